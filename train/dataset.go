package train

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/lake"
)

// Dataset is the rows that training picks, with their labels, by machine and
// time. Rows of unknown label are among them; rows of machines that were
// warming up are only counted.
type Dataset struct {
	Features []string
	Rows     []Row
	Counts   RowCounts
	Progress lake.Progress // of gold, when the rows were picked
}

// Row is one row of a training set: which gold row, and what was true.
type Row struct {
	Machine  drumbeat.MachineID
	AsOf     drumbeat.Time
	Position drumbeat.Position
	Verdict  label.Verdict
}

// RowCounts says where the rows of gold went.
type RowCounts struct {
	Gold        int `json:"gold"`
	Corrections int `json:"corrections"` // gold's, never trained on (P6)
	// Grid is the picked rows: one a machine and interval of train_grid.
	Grid       int                   `json:"grid"`
	WarmingUp  int                   `json:"warming_up"` // left out (W7)
	Unlabelled int                   `json:"unlabelled"` // left out (L2)
	ByReason   map[string]int        `json:"by_reason"`  // the unlabelled
	Overflow   int                   `json:"overflow"`   // of the grid, kept; their wide windows are null (W5)
	InGaps     int                   `json:"in_gaps"`    // labelled, but in no part of the split (L4)
	Parts      map[string]partCounts `json:"parts"`      // train, validation, test
}

type partCounts struct {
	Rows      int `json:"rows"`
	Positives int `json:"positives"`
}

// cell is a machine's interval of the training grid (P6).
type cell struct {
	machine  drumbeat.MachineID
	interval int64
}

// picked is the row that stands for a cell so far.
type picked struct {
	asOf     drumbeat.Time
	position drumbeat.Position
	warming  bool
	overflow bool
}

// NewDataset picks the rows that the next training would use and labels them,
// without reading a feature.
func NewDataset(ctx context.Context, in Input) (*Dataset, error) {
	grid := drumbeat.Time(in.Fleet.TrainGrid.Microseconds())
	if grid <= 0 {
		return nil, fmt.Errorf("pick rows: train_grid must be above 0: %w", drumbeat.ErrInvalid)
	}
	if in.Truth.CompleteTo() == drumbeat.NoTime {
		return nil, fmt.Errorf("pick rows: nobody says up to when the failure log is complete, so no row is negative: "+
			"send watermarks, or set failure_log in the fleet file (L2): %w", drumbeat.ErrInvalid)
	}
	d := &Dataset{
		Features: in.View.Names(), Progress: in.Gold.Progress(),
		Counts: RowCounts{ByReason: map[string]int{}, Parts: map[string]partCounts{}},
	}
	if in.Pin != nil {
		d.Progress = in.Pin.Gold
	}
	cells := map[cell]picked{}
	err := in.Gold.Scan(ctx, lake.GoldScan{Columns: []string{}}, func(c *lake.GoldChunk) error {
		for i, asOf := range c.AsOf {
			if !in.knows(c.Position[i]) {
				continue
			}
			d.Counts.Gold++
			if c.MadeBy[i] != drumbeat.CauseReading {
				d.Counts.Corrections++
				continue
			}
			at := cell{c.Machine[i], floorDiv(int64(asOf), int64(grid))}
			old, ok := cells[at]
			if ok && cmp.Or(cmp.Compare(asOf, old.asOf), c.Position[i].Compare(old.position)) < 0 {
				continue
			}
			cells[at] = picked{asOf, c.Position[i], c.WarmingUp[i], c.Overflow[i]}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	d.pick(cells, in.Truth)
	return d, nil
}

// floorDiv divides towards the past.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// pick labels the cells' rows and puts them in order.
func (d *Dataset) pick(cells map[cell]picked, truth *label.Truth) {
	d.Counts.Grid = len(cells)
	d.Rows = make([]Row, 0, len(cells))
	for at, p := range cells {
		if p.warming {
			d.Counts.WarmingUp++
			continue
		}
		if p.overflow {
			d.Counts.Overflow++
		}
		d.Rows = append(d.Rows, Row{Machine: at.machine, AsOf: p.asOf, Position: p.position})
	}
	slices.SortFunc(d.Rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.AsOf, b.AsOf))
	})
	for i := range d.Rows {
		row := &d.Rows[i]
		row.Verdict = truth.Label(row.Machine, row.AsOf)
		if row.Verdict.Value == label.Unknown {
			d.Counts.Unlabelled++
			d.Counts.ByReason[row.Verdict.Source.String()]++
		}
	}
}

// Change is a row whose label differs between two training sets.
type Change struct {
	Machine drumbeat.MachineID `json:"machine"`
	AsOf    drumbeat.Time      `json:"as_of"`
	Before  string             `json:"before"` // the label, or "absent"
	After   string             `json:"after"`
	Source  string             `json:"source"` // what decides it now
	Ref     string             `json:"ref,omitempty"`
}

// Changes lists the rows whose label, or where it comes from, is not what it
// was in before: what a finding, or the time since, has taught. New rows are
// listed, rows that are gone are not: gold only grows.
func (d *Dataset) Changes(before *Dataset) []Change {
	type key struct {
		machine drumbeat.MachineID
		asOf    drumbeat.Time
	}
	old := make(map[key]label.Verdict, len(before.Rows))
	for i := range before.Rows {
		old[key{before.Rows[i].Machine, before.Rows[i].AsOf}] = before.Rows[i].Verdict
	}
	var changes []Change
	for i := range d.Rows {
		row := &d.Rows[i]
		was, ok := old[key{row.Machine, row.AsOf}]
		if ok && was == row.Verdict {
			continue
		}
		c := Change{
			Machine: row.Machine, AsOf: row.AsOf, Before: "absent", After: row.Verdict.Value.String(),
			Source: row.Verdict.Source.String(), Ref: row.Verdict.Ref,
		}
		if ok {
			c.Before = was.Value.String()
		}
		changes = append(changes, c)
	}
	return changes
}
