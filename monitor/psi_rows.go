package monitor

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/bits"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/lake"
)

// Scan gives fn rows with as_of in [from, until) in chunks, with every feature
// of the view in its order. A chunk is fn's until it returns.
type Scan func(ctx context.Context, from, until drumbeat.Time, fn func(*lake.GoldChunk) error) error

// OfGold returns the scan of a gold table, which must be of the view that is
// judged.
func OfGold(g *lake.Gold) Scan {
	return func(ctx context.Context, from, until drumbeat.Time, fn func(*lake.GoldChunk) error) error {
		return g.Scan(ctx, lake.GoldScan{From: from, Until: until}, fn)
	}
}

// maxRows bounds the rows of a period: deciles of so many are as good as those
// of all, and with 50 features they are 25 MB. Beyond it every second hour, then
// three of four and so on are left out, chosen by a hash of machine and hour.
const maxRows = 50_000

// table is rows of a period, ordered by machine and time.
type table struct {
	machines []drumbeat.MachineID
	days     []int64
	columns  [][]float64 // by feature, then row
}

// slot is an interval of the training grid of one machine: it gives one row,
// for its neighbours are nearly the same and would only count many times (P6).
type slot struct {
	machine  drumbeat.MachineID
	interval int64
}

// zeros returns how many zeros a hash of the slot begins with (FNV-1a, and a
// multiplication, for its upper bits alone are weak).
func (s slot) zeros() int {
	h := uint64(14695981039346656037)
	mix := func(b byte) { h = (h ^ uint64(b)) * 1099511628211 }
	for i := range len(s.machine) {
		mix(s.machine[i])
	}
	for shift := 0; shift < 64; shift += 8 {
		mix(byte(s.interval >> shift)) //nolint:gosec // the lowest eight bits
	}
	return bits.LeadingZeros64(h * 0x9e3779b97f4a7c15)
}

// sampled is the row of a slot so far.
type sampled struct {
	asOf     drumbeat.Time
	position drumbeat.Position
	values   []float64
}

// sampler picks the rows of a table.
type sampler struct {
	grid  drumbeat.Time
	limit int
	thin  int // slots are kept whose hash begins with so many zeros
	slots map[slot]*sampled
}

// readTable picks the rows of a period as training does (P6): the last
// reading-made row of each interval; warming up and overflown ones are left out.
func readTable(ctx context.Context, scan Scan, days period, grid time.Duration, limit int) (*table, error) {
	s := &sampler{grid: max(drumbeat.Time(grid.Microseconds()), 1), limit: limit, slots: map[slot]*sampled{}}
	from, until := startOf(days.from), startOf(days.until)
	width := 0
	err := scan(ctx, from, until, func(c *lake.GoldChunk) error {
		width = len(c.Features)
		for i, at := range c.AsOf {
			if at >= from && at < until && c.MadeBy[i] == drumbeat.CauseReading && !c.WarmingUp[i] && !c.Overflow[i] {
				s.add(c, i)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read rows from %s to %s: %w", from, until, err)
	}
	return s.table(width), nil
}

func (s *sampler) add(c *lake.GoldChunk, row int) {
	at := slot{c.Machine[row], int64(c.AsOf[row] / s.grid)}
	held := s.slots[at]
	if held == nil {
		if at.zeros() < s.thin {
			return
		}
		held = &sampled{asOf: drumbeat.NoTime}
		s.slots[at] = held
	}
	if cmp.Or(cmp.Compare(c.AsOf[row], held.asOf), c.Position[row].Compare(held.position)) < 0 {
		return
	}
	held.asOf, held.position, held.values = c.AsOf[row], c.Position[row], held.values[:0]
	for _, column := range c.Features {
		held.values = append(held.values, column[row])
	}
	for len(s.slots) > s.limit {
		s.thin++
		maps.DeleteFunc(s.slots, func(at slot, _ *sampled) bool { return at.zeros() < s.thin })
	}
}

func (s *sampler) table(width int) *table {
	order := slices.SortedFunc(maps.Keys(s.slots), func(a, b slot) int {
		return cmp.Or(cmp.Compare(a.machine, b.machine), cmp.Compare(a.interval, b.interval))
	})
	t := &table{columns: make([][]float64, width)}
	for _, at := range order {
		t.machines, t.days = append(t.machines, at.machine), append(t.days, dayOf(s.slots[at].asOf))
		for k, v := range s.slots[at].values {
			t.columns[k] = append(t.columns[k], v)
		}
	}
	return t
}

// heads returns how many machines the table has.
func (t *table) heads() int { return len(t.lastOf()) }

// lastOf returns the last row of each machine.
func (t *table) lastOf() []int {
	var rows []int
	for i, m := range t.machines {
		if i+1 == len(t.machines) || t.machines[i+1] != m {
			rows = append(rows, i)
		}
	}
	return rows
}

// column returns a feature's values, or the last of each machine.
func (t *table) column(feature int, perMachine bool) []float64 {
	switch {
	case feature >= len(t.columns):
		return nil // no row at all
	case !perMachine:
		return t.columns[feature]
	}
	rows := t.lastOf()
	values := make([]float64, len(rows))
	for i, row := range rows {
		values[i] = t.columns[feature][row]
	}
	return values
}

// scored returns what score says of each row.
func (t *table) scored(score func(values []float64) float64) []float64 {
	values, row := make([]float64, len(t.machines)), make([]float64, len(t.columns))
	for i := range values {
		for k := range row {
			row[k] = t.columns[k][i]
		}
		values[i] = score(row)
	}
	return values
}
