package lake

import (
	"context"
	"fmt"
	"iter"

	"drumbeat"
	"drumbeat/delta"
)

const (
	// chunkItems is how many items a chunk has at least, but for the last one:
	// some megabytes. With the longest record (10,000 items) and one batch of
	// the reader it stays below 64k.
	chunkItems = 16 << 10
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

// chunker gathers items into chunks that do not split a record.
type chunker struct {
	fn    func([]drumbeat.Item) error
	items []drumbeat.Item
}

// add takes items, and passes on a chunk if there are enough.
func (c *chunker) add(items []drumbeat.Item) error {
	c.items = append(c.items, items...)
	if len(c.items) < chunkItems {
		return nil
	}
	// The last record may go on in the next batch: it waits for it.
	cut := len(c.items) - 1
	last := &c.items[cut].Position
	for cut > 0 && sameRecord(&c.items[cut-1].Position, last) {
		cut--
	}
	if cut == 0 {
		return nil
	}
	if err := c.fn(c.items[:cut:cut]); err != nil {
		return err
	}
	c.items = c.items[:copy(c.items, c.items[cut:])]
	return nil
}

// end passes on what is left.
func (c *chunker) end() error {
	if len(c.items) == 0 {
		return nil
	}
	items := c.items
	c.items = nil
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
