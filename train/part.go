package train

import (
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/model"
	"drumbeat/train/xgboost"
)

// The parts of a split.
const (
	partTrain = iota
	partValidation
	partTest
)

func partName(p int) string { return [...]string{"train", "validation", "test"}[p] }

// maxValues bounds the features held at once, 4 GB: a fleet that has more rows
// wants a wider train_grid.
const maxValues = 1 << 30

// part is the labelled rows of one part of the split, by machine and time.
type part struct {
	machines  []drumbeat.MachineID
	asOf      []drumbeat.Time
	positions []drumbeat.Position
	values    []label.Value
	y         []float32
	x         []float32 // row after row
	positives int
}

func (p *part) add(row *Row) {
	p.machines = append(p.machines, row.Machine)
	p.asOf = append(p.asOf, row.AsOf)
	p.positions = append(p.positions, row.Position)
	p.values = append(p.values, row.Verdict.Value)
	y := float32(0)
	if row.Verdict.Value == label.Positive {
		y = 1
		p.positives++
	}
	p.y = append(p.y, y)
}

func (p *part) data(names []string) *xgboost.Data {
	return &xgboost.Data{X: p.x, Names: names, Y: p.y}
}

// slot says where a gold row's features belong.
type slot struct {
	part     int8
	row      int32
	position drumbeat.Position
}

type slotKey struct {
	machine drumbeat.MachineID
	asOf    drumbeat.Time
}

// load reads the features of the parts' rows in one scan of gold.
func load(ctx context.Context, in Input, parts *[3]part) error {
	width := len(in.View.Features)
	slots := map[slotKey]slot{}
	least, most := drumbeat.Time(0), drumbeat.Time(0)
	for p := range parts {
		rows := len(parts[p].y)
		if rows*width > maxValues {
			return fmt.Errorf("read features: %d rows of %d, at most %d values: widen train_grid: %w",
				rows, width, maxValues, drumbeat.ErrLimit)
		}
		parts[p].x = make([]float32, rows*width)
		for i, asOf := range parts[p].asOf {
			slots[slotKey{parts[p].machines[i], asOf}] = slot{int8(p), int32(i), parts[p].positions[i]}
			if least == 0 || asOf < least {
				least = asOf
			}
			most = max(most, asOf)
		}
	}
	found := 0
	row := make([]float64, 0, width)
	err := in.Gold.Scan(ctx, lake.GoldScan{From: least, Until: most + 1}, func(c *lake.GoldChunk) error {
		for i, asOf := range c.AsOf {
			if c.MadeBy[i] != drumbeat.CauseReading || !in.knows(c.Position[i]) {
				continue
			}
			s, ok := slots[slotKey{c.Machine[i], asOf}]
			if !ok || s.position != c.Position[i] {
				continue
			}
			found++
			row = row[:0]
			for f := range c.Features {
				row = append(row, c.Features[f][i])
			}
			model.Narrow(row, parts[s.part].x[int(s.row)*width:][:0:width])
		}
		return nil
	})
	if err == nil && found != len(slots) {
		err = fmt.Errorf("read features: gold has %d of the %d rows that were picked: it was changed meanwhile: %w",
			found, len(slots), drumbeat.ErrConflict)
	}
	return err
}
