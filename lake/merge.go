package lake

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/delta"
)

// ScanOptions narrows a scan of silver. The zero value is partition 0, all
// of it.
type ScanOptions struct {
	// From and To bound the offsets of the standing epoch, [From, To), by
	// partition. A nil From begins with the first epoch, another leaves earlier
	// epochs out; a nil To is all of silver. A partition that one of them does
	// not name stands at 0 there.
	From, To  Progress
	Partition int32 // one of them, or AllPartitions
	// Since leaves out readings at or before it, where it is above 0; entries,
	// machines and watermarks always come.
	Since drumbeat.Time
}

// ScanSilver gives fn what was kept (readings, entries, machines and
// watermarks), merged in the order of positions within each partition, in
// chunks of some ten thousand items that never split a record. The slice is
// used again after fn returns; what items point to is not.
func (l *Lake) ScanSilver(ctx context.Context, opt ScanOptions, fn func(items []drumbeat.Item) error) error {
	return l.scanSilver(ctx, opt, nil, fn)
}

// scanSilver scans silver; keep says which readings are wanted, nil for all.
func (l *Lake) scanSilver(
	ctx context.Context, opt ScanOptions, keep func(*drumbeat.Item) bool, fn func(items []drumbeat.Item) error,
) error {
	m, err := l.newMerger(ctx, opt)
	if err != nil {
		return fmt.Errorf("scan silver: %w", err)
	}
	m.readings.keep = keep
	if opt.Since > 0 {
		event := l.readingRows.pick("event_time").columns[0].Field
		m.readings.skip = func(f *delta.File) bool {
			_, most, ok := f.Range(event)
			return ok && most <= int64(opt.Since)
		}
		m.readings.keep = func(item *drumbeat.Item) bool {
			return item.EventTime > opt.Since && (keep == nil || keep(item))
		}
	}
	chunks := chunker{fn: fn}
	var merged []drumbeat.Item
	for rows, err := range m.readings.rows(ctx) {
		if err == nil {
			merged, err = m.merge(ctx, merged[:0], rows)
		}
		if err != nil {
			return fmt.Errorf("scan silver: %w", err)
		}
		if err := chunks.add(merged); err != nil {
			return err
		}
	}
	for _, partition := range m.partitions() {
		if merged, err = m.before(ctx, merged[:0], m.lane(partition), theEnd()); err != nil {
			return fmt.Errorf("scan silver: %w", err)
		}
		if err := chunks.add(merged); err != nil {
			return err
		}
	}
	return chunks.end()
}

// theEnd returns what is beyond every position.
func theEnd() drumbeat.Position {
	return drumbeat.Position{Epoch: math.MaxInt32, Partition: math.MaxInt32, Offset: math.MaxInt64, Index: math.MaxInt32}
}

// merger weaves the small tables of silver into its readings. Within each
// table a partition's positions rise from file to file, and all tables grew
// together, so no more of a small table is held than what one append wrote.
type merger struct {
	readings scanning[drumbeat.Item]
	sides    []*side
	lanes    map[int32]*lane
}

// side is one of the small tables.
type side struct {
	scan    scanning[drumbeat.Item]
	reaches []reach // of scan.snapshot's files
	next    int     // file to be read next
}

// lane is what was read of the small tables for one partition.
type lane struct {
	partition int32
	queues    [][]drumbeat.Item // by side, positions rising
	// clear is a position up to which nothing is left to weave in.
	clear drumbeat.Position
}

func (l *Lake) newMerger(ctx context.Context, opt ScanOptions) (*merger, error) {
	// The readings first: the others are written before them.
	snapshot, err := l.readings.Refresh(ctx)
	if err != nil {
		return nil, err
	}
	w := window{epoch: l.Epoch(), from: opt.From, partition: opt.Partition}
	w.to = l.readings.progress(snapshot)[w.epoch]
	if w.to == nil {
		w.to = Progress{}
	}
	if opt.To != nil {
		w.to = w.to.least(opt.To)
	}
	m := &merger{
		readings: scanning[drumbeat.Item]{snapshot: snapshot, codec: l.readingRows, at: itemPosition, window: w},
		lanes:    map[int32]*lane{},
	}
	for _, small := range []struct {
		table *table
		codec codec[drumbeat.Item]
	}{{l.entries, l.entryRows}, {l.machines, l.machineRows}, {l.watermarks, l.markRows}} {
		snapshot, err := small.table.Refresh(ctx)
		if err != nil {
			return nil, err
		}
		s := &side{scan: scanning[drumbeat.Item]{snapshot: snapshot, codec: small.codec, at: itemPosition, window: w}}
		for _, f := range snapshot.Files() {
			s.reaches = append(s.reaches, reachOf(f, snapshot.Schema()))
		}
		m.sides = append(m.sides, s)
	}
	return m, nil
}

// lane returns a partition's lane.
func (m *merger) lane(partition int32) *lane {
	at := m.lanes[partition]
	if at == nil {
		at = &lane{partition: partition, queues: make([][]drumbeat.Item, len(m.sides)), clear: drumbeat.Position{Epoch: -1}}
		m.lanes[partition] = at
	}
	return at
}

// partitions returns the partitions that may have something left.
func (m *merger) partitions() []int32 {
	all := map[int32]bool{}
	for partition := range m.lanes {
		all[partition] = true
	}
	for partition := range m.readings.window.to {
		all[partition] = true
	}
	for _, s := range m.sides { // of earlier epochs
		for i := range s.reaches {
			for _, x := range s.reaches[i].spans {
				all[x.partition] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// merge appends readings, each after what stands before it.
func (m *merger) merge(ctx context.Context, out, rows []drumbeat.Item) ([]drumbeat.Item, error) {
	var at *lane
	var err error
	for i := range rows {
		p := &rows[i].Position
		if at == nil || at.partition != p.Partition {
			at = m.lane(p.Partition)
		}
		if p.Compare(at.clear) >= 0 {
			if out, err = m.before(ctx, out, at, *p); err != nil {
				return out, err
			}
		}
		out = append(out, rows[i])
	}
	return out, nil
}

// before appends what the lane has before a position, in order.
func (m *merger) before(ctx context.Context, out []drumbeat.Item, at *lane, until drumbeat.Position) ([]drumbeat.Item, error) {
	for _, s := range m.sides {
		if err := m.load(ctx, s, at.partition, until); err != nil {
			return out, err
		}
	}
	for {
		best := -1
		at.clear = theEnd()
		for k, queue := range at.queues {
			if len(queue) > 0 && queue[0].Position.Compare(at.clear) < 0 {
				best, at.clear = k, queue[0].Position
			}
		}
		if best < 0 || at.clear.Compare(until) >= 0 {
			break
		}
		out = append(out, at.queues[best][0])
		at.queues[best] = at.queues[best][1:]
	}
	for _, s := range m.sides {
		if _, first, ok := s.upcoming(at.partition); ok && first.Compare(at.clear) < 0 {
			at.clear = first
		}
	}
	return out, nil
}

// upcoming returns the next unread file that may have rows of a partition, and
// the least position that they may have.
func (s *side) upcoming(partition int32) (file int, first drumbeat.Position, ok bool) {
	for i := s.next; i < len(s.reaches); i++ {
		if first, ok := s.reaches[i].first(partition); ok && s.reaches[i].meets(&s.scan.window) {
			return i, first, true
		}
	}
	return 0, first, false
}

// load reads the files that may have rows of a partition before a position.
func (m *merger) load(ctx context.Context, s *side, partition int32, until drumbeat.Position) error {
	for {
		upTo, first, ok := s.upcoming(partition)
		if !ok || first.Compare(until) >= 0 {
			return nil
		}
		s.scan.files = s.scan.snapshot.Files()[s.next : upTo+1]
		s.next = upTo + 1
		for rows, err := range s.scan.rows(ctx) {
			if err != nil {
				return err
			}
			for i := range rows {
				at := m.lane(rows[i].Position.Partition)
				k := slices.Index(m.sides, s)
				at.queues[k] = append(at.queues[k], rows[i])
				if rows[i].Position.Compare(at.clear) < 0 {
					at.clear = rows[i].Position
				}
			}
		}
	}
}

// Entries returns every log entry of silver, all revisions, in the order in
// which they were written.
func (l *Lake) Entries(ctx context.Context) ([]drumbeat.Item, error) {
	return l.small(ctx, l.entries, l.entryRows)
}

// Machines returns every machine record of silver, in the order in which they
// were written: a later one of a machine replaces an earlier one (V5).
func (l *Lake) Machines(ctx context.Context) ([]drumbeat.Item, error) {
	return l.small(ctx, l.machines, l.machineRows)
}

// Watermarks returns every watermark of silver, in the order in which they
// were written.
func (l *Lake) Watermarks(ctx context.Context) ([]drumbeat.Item, error) {
	return l.small(ctx, l.watermarks, l.markRows)
}

// small returns a small table of silver, up to the readings' progress.
func (l *Lake) small(ctx context.Context, t *table, c codec[drumbeat.Item]) ([]drumbeat.Item, error) {
	m, err := l.newMerger(ctx, ScanOptions{Partition: AllPartitions})
	if err != nil {
		return nil, fmt.Errorf("scan table %s: %w", t.Name(), err)
	}
	snapshot := t.Snapshot()
	scan := scanning[drumbeat.Item]{snapshot: snapshot, codec: c, at: itemPosition, window: m.readings.window}
	var items []drumbeat.Item
	for rows, err := range scan.rows(ctx) {
		if err != nil {
			return nil, err
		}
		items = append(items, rows...)
	}
	return items, nil
}
