package lake

import (
	"context"
	"fmt"
	"sync/atomic"

	"drumbeat"
	"drumbeat/delta"
)

// Gold is the table of one view and definition hash (P1): a row a vector, its
// columns never altered.
type Gold struct {
	lake     *Lake
	table    *table
	codec    codec[drumbeat.Vector]
	features []string
	dropped  atomic.Bool
}

// maxFeatures bounds the columns of a gold table: far above any view, far
// below what makes a table unwieldy for its readers.
const maxFeatures = 2000

// Gold opens the gold table of a view and definition hash, and makes it if
// there is none. Its features are those that it was made with.
func (l *Lake) Gold(ctx context.Context, view string, hash drumbeat.Hash, features []string) (*Gold, error) {
	if !safeName.MatchString(view) || !safeName.MatchString(string(hash)) {
		return nil, fmt.Errorf("open gold of view %q, hash %q: want names of letters, digits, _ . and -: %w",
			view, hash, drumbeat.ErrInvalid)
	}
	if len(features) > maxFeatures {
		return nil, fmt.Errorf("open gold of view %s: %d features, at most %d: %w", view, len(features), maxFeatures, drumbeat.ErrLimit)
	}
	name := "gold/" + view + "/" + string(hash)
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.golds[name]; g != nil {
		return g, nil
	}
	c := vectorCodec(features)
	if err := checkNames("feature", features, vectorCodec(nil).names()...); err != nil {
		return nil, fmt.Errorf("open gold of view %s: %w", view, err)
	}
	if err := l.finishDrop(ctx, name); err != nil {
		return nil, fmt.Errorf("open gold of view %s: %w", view, err)
	}
	t, err := l.openTable(ctx, name, "materialize", c.schema())
	if err != nil {
		return nil, fmt.Errorf("open gold of view %s: %w", view, err)
	}
	g := &Gold{lake: l, table: t, codec: c, features: features}
	l.golds[name] = g
	return g, nil
}

// vectorCodec is a gold table: what a vector is about, then its values.
func vectorCodec(features []string) codec[drumbeat.Vector] {
	type vector = drumbeat.Vector
	c := codec[vector]{columns: []column[vector]{
		machine(func(row *vector) *drumbeat.MachineID { return &row.Machine }),
		instant("as_of", func(row *vector) *drumbeat.Time { return &row.AsOf }),
	}}
	c = c.with(position(vectorPosition)...).with(
		instant("arrival_time", func(row *vector) *drumbeat.Time { return &row.ArrivalTime }),
		column[vector]{
			Field: delta.Field{Name: "made_by", Type: delta.String, Dictionary: true},
			text:  func(row *vector) []byte { return view(row.MadeBy.String()) },
		},
		double("coverage", func(row *vector) *float64 { return &row.Coverage }),
		truth("warming_up", func(row *vector) *bool { return &row.WarmingUp }),
		truth("overflow", func(row *vector) *bool { return &row.Overflow }),
		truth("running", func(row *vector) *bool { return &row.Running }),
	)
	for i, name := range features {
		c = c.with(column[vector]{
			Field:  delta.Field{Name: name, Type: delta.Float64, Nullable: true},
			floats: func(row *vector) float64 { return row.Values[i] },
		})
	}
	return c
}

func vectorPosition(row *drumbeat.Vector) *drumbeat.Position { return &row.Position }

// Features returns the names of the table's features, in order.
func (g *Gold) Features() []string { return g.features }

// Append writes vectors together with progress (over silver). They come in the
// order of positions within each partition, all of a record's in one call;
// what is in the table already is skipped.
func (g *Gold) Append(ctx context.Context, vectors []drumbeat.Vector, next Progress) error {
	if g.dropped.Load() {
		return fmt.Errorf("append to gold: table %s was dropped, since no live model used it; open it again: %w", g.table.Name(), drumbeat.ErrNotFound)
	}
	for i := range vectors {
		if n := len(vectors[i].Values); n != len(g.features) {
			return fmt.Errorf("append to gold: vector at %s has %d values, want %d: %w",
				vectors[i].Position, n, len(g.features), drumbeat.ErrInvalid)
		}
	}
	epoch := epochOf(g.lake.Epoch(), vectors, vectorPosition)
	rows, err := gatherRows(g.codec, vectorPosition, vectors)
	if err == nil {
		err = placed[drumbeat.Vector]{table: g.table, always: true}.write(ctx, rows, epoch, next)
	}
	if err != nil {
		return fmt.Errorf("append to gold: %w", err)
	}
	return nil
}

// Progress returns what gold holds of the standing epoch, as of the last
// commit that this Lake knows.
func (g *Gold) Progress() Progress { return g.table.at(g.lake.Epoch()) }

// Begun says whether any epoch's progress stands in the table.
func (g *Gold) Begun() bool { return len(g.table.progress(g.table.Snapshot())) > 0 }

// Rows returns how many vectors the table holds, as of the last commit that
// this Lake knows.
func (g *Gold) Rows() int64 { return g.table.Snapshot().Rows() }

// GoldScan narrows a scan of gold. The zero value is everything.
type GoldScan struct {
	// From and Until bound as_of, [From, Until); at 0 or below they do not.
	From, Until drumbeat.Time
	Columns     []string // features wanted, in this order; nil for all
}

// GoldChunk is rows of gold in columns.
type GoldChunk struct {
	Machine   []drumbeat.MachineID
	AsOf      []drumbeat.Time
	Position  []drumbeat.Position
	Arrival   []drumbeat.Time
	MadeBy    []drumbeat.Cause
	Coverage  []float64
	WarmingUp []bool
	Overflow  []bool
	Running   []bool
	Features  [][]float64 // by feature, then row; NaN is null (V3)
}

// Len returns the number of rows.
func (c *GoldChunk) Len() int { return len(c.AsOf) }

// The places of a gold table's first columns.
const (
	goldMachine = iota
	goldAsOf
	goldEpoch
	goldPartition
	goldOffset
	goldIndex
	goldArrival
	goldMadeBy
	goldCoverage
	goldWarmingUp
	goldOverflow
	goldRunning
	goldColumns
)

// Scan gives fn the rows in the order in which they were written, some
// thousands at a time. A chunk and all that it holds are used again after fn
// returns, but for machines.
func (g *Gold) Scan(ctx context.Context, opt GoldScan, fn func(*GoldChunk) error) error {
	if g.dropped.Load() {
		return fmt.Errorf("scan gold: table %s was dropped, since no live model used it; open it again: %w", g.table.Name(), drumbeat.ErrNotFound)
	}
	snapshot, err := g.table.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("scan gold: %w", err)
	}
	wanted := opt.Columns
	if wanted == nil {
		wanted = g.features
	}
	columns := append(vectorCodec(nil).names(), wanted...)
	asOf := g.codec.columns[goldAsOf].Field
	skip := func(f *delta.File) bool { return outside(f, asOf, opt.From, opt.Until) }
	chunk := &GoldChunk{Features: make([][]float64, len(wanted))}
	var texts names
	for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Columns: columns, Skip: skip}) {
		if err != nil {
			return fmt.Errorf("scan gold: %w", err)
		}
		chunk.fill(batch, opt, &texts)
		if chunk.Len() == 0 {
			continue
		}
		if err := fn(chunk); err != nil {
			return err
		}
	}
	return nil
}

// fill takes a batch's rows that are wanted.
func (c *GoldChunk) fill(batch *delta.Batch, opt GoldScan, texts *names) {
	rows := c.choose(batch, opt)
	col := func(i int) []int64 { return batch.Columns[i].Ints }
	c.Machine, c.AsOf, c.Arrival = c.Machine[:0], c.AsOf[:0], c.Arrival[:0]
	c.Position, c.MadeBy = c.Position[:0], c.MadeBy[:0]
	for _, i := range rows {
		c.Machine = append(c.Machine, drumbeat.MachineID(texts.of(batch.Columns[goldMachine].Bytes[i])))
		c.AsOf = append(c.AsOf, drumbeat.Time(col(goldAsOf)[i]))
		c.Arrival = append(c.Arrival, drumbeat.Time(col(goldArrival)[i]))
		c.Position = append(c.Position, drumbeat.Position{
			Epoch: int32(col(goldEpoch)[i]), Partition: int32(col(goldPartition)[i]), //nolint:gosec // 32-bit columns
			Offset: col(goldOffset)[i], Index: int32(col(goldIndex)[i]), //nolint:gosec // a 32-bit column
		})
		made := drumbeat.CauseReading
		if string(batch.Columns[goldMadeBy].Bytes[i]) == drumbeat.CauseCorrection.String() {
			made = drumbeat.CauseCorrection
		}
		c.MadeBy = append(c.MadeBy, made)
	}
	c.WarmingUp = chooseTruth(c.WarmingUp[:0], col(goldWarmingUp), rows)
	c.Overflow = chooseTruth(c.Overflow[:0], col(goldOverflow), rows)
	c.Running = chooseTruth(c.Running[:0], col(goldRunning), rows)
	c.Coverage = chooseReal(c.Coverage[:0], batch.Columns[goldCoverage].Floats, rows)
	for k := range c.Features {
		c.Features[k] = chooseReal(c.Features[k][:0], batch.Columns[goldColumns+k].Floats, rows)
	}
}

// choose returns the indexes of the rows that are wanted.
func (c *GoldChunk) choose(batch *delta.Batch, opt GoldScan) []int {
	rows := make([]int, 0, batch.N)
	for i, at := range batch.Columns[goldAsOf].Ints {
		if within(drumbeat.Time(at), opt.From, opt.Until) {
			rows = append(rows, i)
		}
	}
	return rows
}

func chooseReal(out, values []float64, rows []int) []float64 {
	for _, i := range rows {
		out = append(out, values[i])
	}
	return out
}

func chooseTruth(out []bool, values []int64, rows []int) []bool {
	for _, i := range rows {
		out = append(out, values[i] != 0)
	}
	return out
}
