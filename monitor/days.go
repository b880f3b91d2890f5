package monitor

import (
	"maps"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sync"

	"drumbeat"
	"drumbeat/fleet"
)

// Days adds up what the sensors of every machine said on each UTC day of
// event_time, in exact integers: whatever the order in which readings came, the
// sums are the same (V2). Every value that silver accepted counts (W3's use:
// all): what a sensor says is what drifts, a clipped or stuck value too.
//
// A cell, one of a machine, sensor and day, takes 48 bytes, 16 more for a
// counter, and a machine's day 4: 20,000 machines, 60 days and 6 sensors are
// some 370 MB, 100 machines 2 MB. Beside that the times of each machine's
// newest days are kept, for a reading may still come between them: 4 bytes a
// reading and 8 a counter, of about twice the allowed lateness.
//
// Days is safe for concurrent use.
type Days struct {
	mu       sync.Mutex
	fleet    *fleet.Fleet
	counter  []int // by sensor: the column of its increase, -1 for a gauge
	counters int
	index    map[drumbeat.MachineID]int
	machines []tracked
	days     map[int64]*daySums
	floor    int64                       // days before it are not kept
	last     map[int32]drumbeat.Position // added, by partition
}

// daySums is one day. Its slices end with the last machine that was heard.
type daySums struct {
	readings []uint32 // by machine: event times of which anything was accepted
	cells    []cell   // by machine, then sensor
	rises    []wide   // by machine, then counter
}

// cell is what one machine's sensor said on a day.
type cell struct {
	sum                wide
	least, most        int64 // if n > 0
	n, clipped, nulled uint32
}

// tracked is what must be known of a machine to go on adding.
type tracked struct {
	id     drumbeat.MachineID
	newest drumbeat.Time // the greatest arrival_time
	open   []openDay     // the days that may change still, in order
}

// openDay is a day's event times, in order, with what the counters said.
type openDay struct {
	day    int64
	times  []int32 // milliseconds of the day
	values []int64 // by time, then counter; drumbeat.Missing where nothing was said
}

// NewDays returns Days of a fleet that has said nothing.
func NewDays(f *fleet.Fleet) *Days {
	d := &Days{
		fleet: f, index: map[drumbeat.MachineID]int{}, days: map[int64]*daySums{},
		floor: math.MinInt64, last: map[int32]drumbeat.Position{},
	}
	for i := range f.Sensors {
		column := -1
		if f.Sensors[i].Kind == fleet.Counter {
			column = d.counters
			d.counters++
		}
		d.counter = append(d.counter, column)
	}
	return d
}

// Add takes items of silver as lake.ScanSilver gives them, in the order of
// positions within each partition. Items that were added before change
// nothing, so a scan may begin again anywhere.
func (d *Days) Add(items []drumbeat.Item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range items {
		item := &items[i]
		if last, begun := d.last[item.Position.Partition]; begun && item.Position.Compare(last) <= 0 {
			continue
		}
		d.last[item.Position.Partition] = item.Position
		if item.Kind == drumbeat.KindReading && dayOf(item.EventTime) >= d.floor {
			d.add(item)
		}
	}
}

// Forget drops the days that end at or before a time, and takes no more
// readings of them.
func (d *Days) Forget(before drumbeat.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.floor = max(d.floor, dayOf(before))
	maps.DeleteFunc(d.days, func(day int64, _ *daySums) bool { return day < d.floor })
}

func (d *Days) add(item *drumbeat.Item) {
	day := dayOf(item.EventTime)
	at, known := d.index[item.Machine]
	if !known {
		at = len(d.machines)
		d.index[item.Machine] = at
		d.machines = append(d.machines, tracked{id: item.Machine, newest: drumbeat.NoTime})
	}
	m := &d.machines[at]
	sums := d.day(day, at)
	open := m.day(day)
	row, fresh := open.row(int32((item.EventTime-startOf(day))/1000), d.counters) //nolint:gosec // below a day
	if fresh {
		sums.readings[at]++
	}
	for s := range d.fleet.Sensors {
		if s >= len(item.Values) {
			break // the fleet file has more sensors than the reading knew of
		}
		x, c := item.Values[s], &sums.cells[at*len(d.fleet.Sensors)+s]
		if s < len(item.Flags) {
			if item.Flags[s]&drumbeat.FlagClipped != 0 {
				c.clipped++
			}
			if item.Flags[s]&drumbeat.FlagNulled != 0 {
				c.nulled++
			}
		}
		if x == drumbeat.Missing {
			continue
		}
		c.add(x)
		if k := d.counter[s]; k >= 0 {
			rise := &sums.rises[at*d.counters+k]
			open.count(row, k, d.counters, x, rise)
		}
	}
	m.newest = max(m.newest, item.ArrivalTime)
	m.close(m.newest.Add(-2 * d.fleet.Lateness))
}

// day returns the sums of a day, with room for the machine.
func (d *Days) day(day int64, machine int) *daySums {
	sums := d.days[day]
	if sums == nil {
		sums = &daySums{}
		d.days[day] = sums
	}
	if machine >= len(sums.readings) {
		n := len(d.machines)
		sums.readings = grown(sums.readings, n)
		sums.cells = grown(sums.cells, n*len(d.fleet.Sensors))
		sums.rises = grown(sums.rises, n*d.counters)
	}
	return sums
}

// grown returns s with zeros up to n.
func grown[T any](s []T, n int) []T { return append(s, make([]T, n-len(s))...) }

func (c *cell) add(x int64) {
	if c.n == 0 {
		c.least, c.most = x, x
	}
	c.n++
	c.sum.add(x)
	c.least, c.most = min(c.least, x), max(c.most, x)
}

// day returns the machine's open day, made if there is none.
func (m *tracked) day(day int64) *openDay {
	i := len(m.open)
	for i > 0 && m.open[i-1].day > day {
		i--
	}
	if i == 0 || m.open[i-1].day < day {
		m.open = slices.Insert(m.open, i, openDay{day: day})
		i++
	}
	return &m.open[i-1]
}

// close lets the days go that ended by then: whatever is measured in them and
// comes now is late (T4), by the bound that fleet.Judge keeps too.
func (m *tracked) close(until drumbeat.Time) {
	n := 0
	for n < len(m.open) && startOf(m.open[n].day+1) <= until {
		n++
	}
	if n > 0 {
		m.open = slices.Delete(m.open, 0, n)
	}
}

// row returns where a time stands, and whether it was not there before:
// several readings of one time complete each other (T3).
func (o *openDay) row(ms int32, counters int) (int, bool) {
	i := len(o.times)
	if i > 0 && ms <= o.times[i-1] {
		var known bool
		if i, known = slices.BinarySearch(o.times, ms); known {
			return i, false
		}
	}
	o.times = slices.Insert(o.times, i, ms)
	for k := range counters {
		o.values = slices.Insert(o.values, i*counters+k, drumbeat.Missing)
	}
	return i, true
}

// count sets what a counter said at a row, and keeps its increase over the
// day: the sum over consecutive values that are both in the day (W4).
func (o *openDay) count(row, counter, counters int, x int64, rise *wide) {
	before, after := drumbeat.Missing, drumbeat.Missing
	for i := row - 1; i >= 0 && before == drumbeat.Missing; i-- {
		before = o.values[i*counters+counter]
	}
	for i := row + 1; i < len(o.times) && after == drumbeat.Missing; i++ {
		after = o.values[i*counters+counter]
	}
	if before != drumbeat.Missing {
		rise.add(gained(before, x))
	}
	if after != drumbeat.Missing {
		rise.add(gained(x, after))
	}
	if before != drumbeat.Missing && after != drumbeat.Missing {
		rise.add(-gained(before, after))
	}
	o.values[row*counters+counter] = x
}

// gained is what a counter gained between two values: a fall is a reset (V4).
func gained(from, to int64) int64 {
	if to >= from {
		return to - from
	}
	return to
}

// wide is a whole number of 128 bits: the scaled values of a day may pass 64
// (bounds have up to 18 digits).
type wide struct {
	high int64
	low  uint64
}

func (w *wide) add(x int64) {
	low, carry := bits.Add64(w.low, uint64(x), 0) //nolint:gosec // two's complement
	w.high += x>>63 + int64(carry)                //nolint:gosec // 0 or 1
	w.low = low
}

func (w wide) float() float64 {
	if w.high == int64(w.low)>>63 { //nolint:gosec // two's complement
		return float64(int64(w.low)) //nolint:gosec // it fits
	}
	return float64(w.high)*(1<<64) + float64(w.low)
}

func (w wide) exact() *big.Int {
	x := new(big.Int).Lsh(big.NewInt(w.high), 64)
	return x.Add(x, new(big.Int).SetUint64(w.low))
}

// Daily is what one machine's sensor said on one day, scaled by the sensor's
// decimals.
type Daily struct {
	Readings int64 // event times of which anything was accepted, of any sensor
	Values   int64 // of this sensor
	Missing  int64 // readings without a value
	Clipped  int64 // values set to a bound (V1)
	Nulled   int64 // values out of range or no number, made missing (V1)
	Sum      *big.Int
	Least    int64
	Most     int64
	Increase *big.Int // of a counter, by W4 over pairs within the day; nil for a gauge
}

// Of returns what a machine's sensor said on the day that t lies in; false if
// the machine said nothing.
func (d *Days) Of(machine drumbeat.MachineID, sensor int, t drumbeat.Time) (Daily, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	at, known := d.index[machine]
	sums := d.days[dayOf(t)]
	if !known || sums == nil || at >= len(sums.readings) || sums.readings[at] == 0 {
		return Daily{}, false
	}
	c := &sums.cells[at*len(d.fleet.Sensors)+sensor]
	day := Daily{
		Readings: int64(sums.readings[at]), Values: int64(c.n), Missing: int64(sums.readings[at]) - int64(c.n),
		Clipped: int64(c.clipped), Nulled: int64(c.nulled),
		Sum: c.sum.exact(), Least: c.least, Most: c.most,
	}
	if k := d.counter[sensor]; k >= 0 {
		day.Increase = sums.rises[at*d.counters+k].exact()
	}
	return day, true
}
