package lake

import (
	"fmt"
	"sort"

	"drumbeat"
	"drumbeat/delta"
)

// gathered is rows of one partition for one table, held as its columns: a row
// costs its values and nothing more, and what is written needs no turning.
type gathered[T any] struct {
	codec     codec[T]
	at        func(*T) *drumbeat.Position
	room      int          // rows to make room for with the first one
	batch     *delta.Batch // nil before the first row
	epoch     int32
	partition int32
	offsets   []int64
	index     int32 // of the last row within its record
}

func gather[T any](c codec[T], at func(*T) *drumbeat.Position) *gathered[T] {
	return &gathered[T]{codec: c, at: at}
}

// gatherRows gathers rows, a partition each.
func gatherRows[T any](c codec[T], at func(*T) *drumbeat.Position, rows []T) ([]*gathered[T], error) {
	var parts []*gathered[T]
	byPartition := map[int32]*gathered[T]{}
	for i := range rows {
		partition := at(&rows[i]).Partition
		part := byPartition[partition]
		if part == nil {
			part = gather(c, at)
			byPartition[partition] = part
			parts = append(parts, part)
		}
		if err := part.add(&rows[i]); err != nil {
			return nil, fmt.Errorf("row %d %w", i, err)
		}
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].partition < parts[j].partition })
	return parts, nil
}

// add takes a row, which must stand in the partition of the rows before it,
// not before them. What its texts point to must stay as it is until the rows
// are written.
func (g *gathered[T]) add(row *T) error {
	at := g.at(row)
	if n := len(g.offsets); n > 0 {
		before := drumbeat.Position{Epoch: g.epoch, Partition: g.partition, Offset: g.offsets[n-1], Index: g.index}
		if at.Epoch != g.epoch || at.Partition != g.partition || at.Compare(before) < 0 {
			return fmt.Errorf("at %s comes after %s: want one epoch and the order of positions: %w", at, before, drumbeat.ErrInvalid)
		}
	}
	if g.batch == nil {
		g.batch, g.offsets = g.codec.batch(g.room), make([]int64, 0, g.room)
	}
	g.epoch, g.partition, g.index = at.Epoch, at.Partition, at.Index
	g.offsets = append(g.offsets, at.Offset)
	g.codec.add(g.batch, row)
	return nil
}

// from returns the rows at or after an offset.
func (g *gathered[T]) from(offset int64) piece {
	first := sort.Search(len(g.offsets), func(i int) bool { return g.offsets[i] >= offset })
	if first == len(g.offsets) {
		return piece{}
	}
	p := piece{n: g.batch.N - first, columns: g.batch.Columns}
	p.span = span{epoch: g.epoch, partition: g.partition, first: g.offsets[first], last: g.offsets[len(g.offsets)-1]}
	if first > 0 {
		p.columns = make([]delta.Column, len(g.batch.Columns))
		for i := range p.columns {
			p.columns[i] = behind(&g.batch.Columns[i], first)
		}
	}
	return p
}

// behind returns a column without its first rows.
func behind(c *delta.Column, first int) delta.Column {
	var out delta.Column
	if c.Ints != nil {
		out.Ints = c.Ints[first:]
	}
	if c.Floats != nil {
		out.Floats = c.Floats[first:]
	}
	if c.Bytes != nil {
		out.Bytes = c.Bytes[first:]
	}
	if c.Null != nil {
		out.Null = c.Null[first:]
	}
	return out
}

// piece is rows of one partition that are new to a table.
type piece struct {
	n       int
	columns []delta.Column
	span    span
}

// batches makes a file of each piece or, where they are small, one of all.
func batches(pieces []piece) []*delta.Batch {
	total := 0
	for i := range pieces {
		total += pieces[i].n
	}
	if total < splitRows && len(pieces) > 1 {
		return []*delta.Batch{joined(pieces, total)}
	}
	var out []*delta.Batch
	for i := range pieces {
		out = append(out, &delta.Batch{
			N: pieces[i].n, Columns: pieces[i].columns, Tags: map[string]string{tagSpans: spans{pieces[i].span}.String()},
		})
	}
	return out
}

// joined makes one batch of several pieces.
func joined(pieces []piece, total int) *delta.Batch {
	batch := &delta.Batch{N: total, Columns: make([]delta.Column, len(pieces[0].columns))}
	var all spans
	done := 0
	for i := range pieces {
		p := &pieces[i]
		all = append(all, p.span)
		for k := range batch.Columns {
			out, in := &batch.Columns[k], &p.columns[k]
			out.Ints = append(out.Ints, in.Ints...)
			out.Floats = append(out.Floats, in.Floats...)
			out.Bytes = append(out.Bytes, in.Bytes...)
			if in.Null == nil && out.Null == nil {
				continue
			}
			if out.Null == nil {
				out.Null = make([]bool, done, total)
			}
			if in.Null == nil {
				out.Null = append(out.Null, make([]bool, p.n)...)
			} else {
				out.Null = append(out.Null, in.Null[:p.n]...)
			}
		}
		done += p.n
	}
	batch.Tags = map[string]string{tagSpans: all.String()}
	return batch
}
