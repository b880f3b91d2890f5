package monitor

import (
	"maps"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
)

// chronicle is what a sensor said over some days, machine by machine.
type chronicle struct {
	days []int64 // those of which anything was heard, in order
	// values by day, then machine: the mean of a gauge, the day's increase of a
	// counter, in the sensor's unit; NaN where there is none.
	values [][]float64
	counts []tally // by day, over all machines
}

// tally counts the readings of a time, and what was wrong with a sensor's
// values in them.
type tally struct{ readings, missing, clipped, nulled int64 }

func (t *tally) add(u tally) {
	t.readings += u.readings
	t.missing += u.missing
	t.clipped += u.clipped
	t.nulled += u.nulled
}

// chronicle gathers a sensor's days of [from, until).
func (d *Days) chronicle(sensor int, from, until int64) *chronicle {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &chronicle{}
	scale := math.Pow10(d.fleet.Sensors[sensor].Decimals)
	for _, day := range slices.Sorted(maps.Keys(d.days)) {
		if day < from || day >= until {
			continue
		}
		sums := d.days[day]
		values := make([]float64, len(d.machines))
		var all tally
		for m := range values {
			values[m] = math.NaN()
			if m >= len(sums.readings) || sums.readings[m] == 0 {
				continue
			}
			cell := &sums.cells[m*len(d.fleet.Sensors)+sensor]
			values[m] = d.value(sums, cell, m, sensor) / scale
			all.add(tally{
				int64(sums.readings[m]), int64(sums.readings[m]) - int64(cell.n), int64(cell.clipped), int64(cell.nulled),
			})
		}
		c.days, c.values, c.counts = append(c.days, day), append(c.values, values), append(c.counts, all)
	}
	return c
}

// value is a machine's figure of a day, scaled. A counter needs two values to
// increase.
func (d *Days) value(sums *daySums, c *cell, machine, sensor int) float64 {
	switch {
	case c.n > 0 && d.fleet.Sensors[sensor].Kind == fleet.Gauge:
		return c.sum.float() / float64(c.n)
	case c.n > 1 && d.fleet.Sensors[sensor].Kind == fleet.Counter:
		return sums.rises[machine*d.counters+d.counter[sensor]].float()
	}
	return math.NaN()
}

// Begun returns when the first day begins of which anything is held, NoTime if
// there is none.
func (d *Days) Begun() drumbeat.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := drumbeat.NoTime
	for day := range d.days {
		if at := startOf(day); first == drumbeat.NoTime || at < first {
			first = at
		}
	}
	return first
}
