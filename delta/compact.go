package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"drumbeat"
)

const (
	// fullBytes is the size from which a file is left alone: some weeks of a
	// hundred machines. Twice as much, unpacked, is what a compaction holds.
	fullBytes = 8 << 20
	// fullRows is the same for rows that pack well.
	fullRows = 1 << 19
	// fanIn is how many neighbours of about one size make a larger file. More
	// would leave more small files, less would write each row more often.
	fanIn = 8
	// levels is how many sizes there are below a full file, each fanIn times
	// the one before: a row is written again once a level, and a table has
	// less than levels·fanIn small files after a compaction.
	levels = 3
	// groupFiles bounds the files of one commit.
	groupFiles = 1000
	// gatherBytes bounds the rows that a compaction holds unpacked.
	gatherBytes = 256 << 20
)

// CompactOptions narrows a compaction. The zero value is good.
type CompactOptions struct {
	// Tags makes the tags of a file out of the files, in order, whose rows it
	// takes over; nil makes none. Those of this package come by themselves.
	Tags func(files []*File) map[string]string
	// Until, if set, is when no further file is begun, by the table's clock.
	Until time.Time
	// FullBytes and FullRows are the size from which a file is left alone;
	// 8 MB and half a million rows if 0.
	FullBytes, FullRows int64
}

// Compacted is what a compaction did.
type Compacted struct {
	Removed int  // files whose rows stand in larger ones now
	Added   int  // those larger files
	More    bool // there was more to do, but no time
}

// Compact puts small neighbouring files together into larger ones, a commit
// each, so that few remain. Rows keep their order; appends go on meanwhile,
// and readers of older versions too: the small files stay until Vacuum.
// Compacting what is compacted does nothing, so after an error it can simply
// be called again. The table must have been opened with Create, for the log
// does not hold how its columns are best written.
func (t *Table) Compact(ctx context.Context, opt CompactOptions) (Compacted, error) {
	var done Compacted
	if t.wanted == nil {
		return done, fmt.Errorf("compact table %s: it was opened without its columns: %w", t.Name(), drumbeat.ErrInvalid)
	}
	if opt.FullBytes == 0 {
		opt.FullBytes = fullBytes
	}
	if opt.FullRows == 0 {
		opt.FullRows = fullRows
	}
	snapshot, err := t.Refresh(ctx)
	for err == nil {
		group := opt.planAll(snapshot)
		if group == nil {
			break
		}
		if !opt.Until.IsZero() && t.now().After(opt.Until) {
			done.More = true
			break
		}
		if err = t.compact(ctx, snapshot, group, opt, &done); err == nil {
			snapshot, err = t.Refresh(ctx)
		}
	}
	if err != nil {
		return done, fmt.Errorf("compact table %s: %w", t.Name(), err)
	}
	return done, nil
}

// level says how large a file is, 0 for the smallest; levels for a full one.
func (o *CompactOptions) level(f *File) int {
	size, rows := f.Size, f.Rows()
	for level := levels; level > 0; level-- {
		if size >= o.FullBytes || rows >= o.FullRows {
			return level
		}
		size, rows = size*fanIn, rows*fanIn
	}
	return 0
}

// planAll returns the next files to be put together: of one partition.
func (o *CompactOptions) planAll(s *Snapshot) []*File {
	if len(s.meta.PartitionColumns) == 0 {
		return o.plan(s.files)
	}
	left := slices.Clone(s.files)
	for len(left) > 0 {
		first := left[0]
		same := slices.DeleteFunc(slices.Clone(left), func(f *File) bool { return !samePartition(f, first) })
		if group := o.plan(same); group != nil {
			return group
		}
		left = slices.DeleteFunc(left, func(f *File) bool { return samePartition(f, first) })
	}
	return nil
}

// plan returns the next neighbours to be put together, nil if there are none.
// Of each size, fanIn files are awaited; where a larger file follows, there
// will be no more of them.
func (o *CompactOptions) plan(files []*File) []*File {
	sizes := make([]int, len(files))
	for i, f := range files {
		sizes[i] = o.level(f)
	}
	for level := range levels {
		for begin := 0; begin < len(files); begin++ {
			end, ofLevel := begin, 0
			for end < len(files) && sizes[end] <= level {
				if sizes[end] == level {
					ofLevel++
				}
				end++
			}
			if ofLevel >= fanIn || end < len(files) && end-begin > 1 {
				return o.cut(files[begin:end])
			}
			begin = end
		}
	}
	return nil
}

// cut returns the first files of a run, at least two, that one file may take.
func (o *CompactOptions) cut(run []*File) []*File {
	var size, rows int64
	for n, f := range run {
		size, rows = size+f.Size, rows+max(f.Rows(), 0)
		if n >= 2 && (size > 2*o.FullBytes || rows > 2*o.FullRows || n >= groupFiles) {
			return run[:n]
		}
	}
	return run
}

// compact puts a group of files into one and commits it.
func (t *Table) compact(ctx context.Context, s *Snapshot, group []*File, opt CompactOptions, done *Compacted) error {
	if err := s.writable(); err != nil {
		return err
	}
	g := gathering{schema: s.schema, batch: &Batch{Columns: make([]Column, len(s.schema))}}
	for n, f := range group {
		if n >= 2 && g.bytes > gatherBytes {
			group = group[:n]
			break
		}
		for batch, err := range s.Scan(ctx, ScanOptions{Files: []*File{f}}) {
			if err != nil {
				return err
			}
			g.add(batch)
		}
	}
	if opt.Tags != nil {
		g.batch.Tags = opt.Tags(group)
	}
	var adds []*add
	if g.batch.N > 0 {
		var err error
		adds, err = t.write(ctx, s.schema, []*Batch{g.batch})
		defer t.wrote(adds)
		if err != nil {
			return err
		}
		for _, a := range adds { // one: the files are of one partition
			a.DataChange = false
			a.Tags[tagOrder] = group[0].order.String()
		}
	}
	replaced, err := t.replace(ctx, group, adds, "OPTIMIZE")
	if replaced {
		done.Removed += len(group)
		done.Added += len(adds)
	}
	return err
}

// replace commits that files go and others come. It says false if one of the
// files has gone already.
func (t *Table) replace(ctx context.Context, files []*File, adds []*add, operation string) (bool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range t.tries {
		if err := t.catchUp(ctx); err != nil {
			return false, err
		}
		snapshot := t.current.Load()
		if err := snapshot.writable(); err != nil {
			return false, err
		}
		there := make(map[string]bool, len(snapshot.files))
		for _, f := range snapshot.files {
			there[f.Path] = true
		}
		if slices.ContainsFunc(files, func(f *File) bool { return !there[f.Path] }) {
			return false, nil
		}
		actions := []action{t.info(operation)}
		for _, f := range files {
			actions = append(actions, action{Remove: &remove{
				Path: escapePath(f.Path), DeletionTimestamp: t.now().UnixMilli(), DataChange: len(adds) == 0,
			}})
		}
		for _, a := range adds {
			actions = append(actions, action{Add: a})
		}
		err := t.commit(ctx, snapshot, actions)
		if err == nil {
			t.checkpointIfDue(ctx)
			return true, nil
		}
		if !errors.Is(err, drumbeat.ErrConflict) {
			return false, err
		}
		if err := t.refresh(ctx); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("others were first %d times: %w", t.tries, drumbeat.ErrConflict)
}

// Remove takes files, and so their rows, out of the table. It says false, and
// does nothing, if one of them has gone already. Readers of older versions go
// on: the files stay until Vacuum.
func (t *Table) Remove(ctx context.Context, files []*File) (bool, error) {
	if len(files) == 0 {
		return true, nil
	}
	removed, err := t.replace(ctx, files, nil, "DELETE")
	if err != nil {
		return false, fmt.Errorf("remove %d files of table %s: %w", len(files), t.Name(), err)
	}
	return removed, nil
}

// gathering is rows of several files on their way into one.
type gathering struct {
	schema Schema
	batch  *Batch
	bytes  int64
	arena  []byte            // the end of the newest chunk of text
	texts  map[string][]byte // of columns of few values
}

const (
	arenaBytes = 1 << 20
	// maxTexts bounds the texts that are kept once only.
	maxTexts = 100_000
)

// add takes over a batch's rows, and nothing that the batch holds.
func (g *gathering) add(b *Batch) {
	for i, field := range g.schema {
		from, to := &b.Columns[i], &g.batch.Columns[i]
		switch field.Type {
		case Float64:
			to.Floats = append(to.Floats, from.Floats[:b.N]...)
		case String, Binary:
			for _, text := range from.Bytes[:b.N] {
				to.Bytes = append(to.Bytes, g.own(text, field.Dictionary))
			}
		case Int32, Int64, Bool, Timestamp, Decimal, Date:
			to.Ints = append(to.Ints, from.Ints[:b.N]...)
		}
		if from.Null != nil && to.Null == nil {
			to.Null = make([]bool, g.batch.N, g.batch.N+b.N)
		}
		if from.Null != nil {
			to.Null = append(to.Null, from.Null[:b.N]...)
		} else if to.Null != nil {
			to.Null = append(to.Null, make([]bool, b.N)...)
		}
		g.bytes += 8 * int64(b.N)
	}
	g.batch.N += b.N
}

// own returns a copy of a text; of one that returns often, the same copy.
func (g *gathering) own(text []byte, often bool) []byte {
	if often {
		if known, ok := g.texts[string(text)]; ok {
			return known
		}
	}
	if cap(g.arena)-len(g.arena) < len(text) {
		g.arena = make([]byte, 0, max(arenaBytes, len(text)))
	}
	from := len(g.arena)
	g.arena = append(g.arena, text...)
	g.bytes += int64(len(text))
	out := g.arena[from:len(g.arena):len(g.arena)]
	if often && len(g.texts) < maxTexts {
		if g.texts == nil {
			g.texts = map[string][]byte{}
		}
		g.texts[string(text)] = out
	}
	return out
}
