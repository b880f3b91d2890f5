package lake

import (
	"context"
	"fmt"
	"iter"

	"drumbeat"
	"drumbeat/delta"
)

// scanning reads rows of a table that come from a topic.
type scanning[T any] struct {
	snapshot *delta.Snapshot
	codec    codec[T]
	at       func(*T) *drumbeat.Position
	window   window
	skip     func(*delta.File) bool // nil: no file
	keep     func(*T) bool          // nil: every row
	finish   func([]T)              // nil; makes rows their own owners
	files    []*delta.File          // nil: all
}

// rows yields the wanted rows, batch by batch. A slice is valid until the next.
func (s *scanning[T]) rows(ctx context.Context) iter.Seq2[[]T, error] {
	return func(yield func([]T, error) bool) {
		var rows []T
		var texts names
		schema := s.snapshot.Schema()
		skip := func(f *delta.File) bool {
			r := reachOf(f, schema)
			return !r.meets(&s.window) || s.skip != nil && s.skip(f)
		}
		opt := delta.ScanOptions{Columns: s.codec.names(), Files: s.files, Skip: skip}
		for batch, err := range s.snapshot.Scan(ctx, opt) {
			if err != nil {
				yield(nil, err)
				return
			}
			rows = s.codec.decode(batch, rows[:0], &texts)
			rows = s.wanted(rows)
			if s.finish != nil {
				s.finish(rows)
			}
			if len(rows) > 0 && !yield(rows, nil) {
				return
			}
		}
	}
}

func (s *scanning[T]) wanted(rows []T) []T {
	kept := 0
	for i := range rows {
		if !s.window.holds(s.at(&rows[i])) || s.keep != nil && !s.keep(&rows[i]) {
			continue
		}
		if kept != i {
			rows[kept] = rows[i]
		}
		kept++
	}
	return rows[:kept]
}

// ahead reads rows in a goroutine of its own while fn is busy with those
// before: reading and what is done with it take turns otherwise, on one core.
// own gives rows what they point to, in a space that is used again; rows are
// valid until fn returns.
func ahead[T any](
	ctx context.Context, rows func(context.Context) iter.Seq2[[]T, error], own func([]T, []byte) []byte, fn func([]T) error,
) error {
	type block struct {
		rows  []T
		space []byte
		err   error
	}
	const blocks = 3 // one is read, one waits, one is in use
	full, empty := make(chan *block, blocks), make(chan *block, blocks)
	for range blocks {
		empty <- &block{}
	}
	ctx, stop := context.WithCancel(ctx)
	defer func() { // the reader is gone when ahead returns
		stop()
		for range full {
		}
	}()
	go func() {
		defer close(full)
		for batch, err := range rows(ctx) {
			select {
			case b := <-empty:
				b.rows, b.err = append(b.rows[:0], batch...), err
				b.space = own(b.rows, b.space)
				full <- b
			case <-ctx.Done():
				return
			}
		}
	}()
	for b := range full {
		if b.err != nil {
			return b.err
		}
		if err := fn(b.rows); err != nil {
			return err
		}
		empty <- b
	}
	return ctx.Err()
}

// chunker passes items on, record by record whole: the last one of a batch may
// go on in the next, and waits for it.
type chunker struct {
	fn   func([]drumbeat.Item) error
	held []drumbeat.Item
}

// add takes items, which are valid until it returns.
func (c *chunker) add(items []drumbeat.Item) error {
	if len(items) == 0 {
		return nil
	}
	if n := len(c.held); n > 0 {
		more := 0
		for more < len(items) && sameRecord(&items[more].Position, &c.held[n-1].Position) {
			more++
		}
		c.hold(items[:more])
		if items = items[more:]; len(items) == 0 {
			return nil
		}
		if err := c.end(); err != nil {
			return err
		}
	}
	cut := len(items) - 1
	for cut > 0 && sameRecord(&items[cut-1].Position, &items[cut].Position) {
		cut--
	}
	c.hold(items[cut:])
	if cut == 0 {
		return nil
	}
	return c.fn(items[:cut:cut])
}

func (c *chunker) hold(items []drumbeat.Item) {
	n := len(c.held)
	c.held = append(c.held, items...)
	ownBytes(c.held[n:], nil)
}

// end passes on what is left.
func (c *chunker) end() error {
	if len(c.held) == 0 {
		return nil
	}
	items := c.held
	c.held = c.held[:0]
	return c.fn(items)
}

func sameRecord(a, b *drumbeat.Position) bool {
	return a.Offset == b.Offset && a.Partition == b.Partition && a.Epoch == b.Epoch
}

// scanAll gives fn every row of a table, in chunks valid until fn returns.
func scanAll[T any](ctx context.Context, t *table, c codec[T], fn func([]T) error) error {
	snapshot, err := t.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("scan table %s: %w", t.Name(), err)
	}
	var rows []T
	var texts names
	for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Columns: c.names()}) {
		if err != nil {
			return err
		}
		rows = c.decode(batch, rows[:0], &texts)
		if err := fn(rows); err != nil {
			return err
		}
	}
	return nil
}
