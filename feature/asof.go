package feature

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"strconv"

	"drumbeat"
	"drumbeat/fleet"
)

// History is everything that was accepted about one machine, in any order.
type History struct {
	Items []drumbeat.Item
}

// AsOf computes a machine's vector as of t, knowing what stood at positions
// up to k (P1), straight from the rules: whole scans, sorted slices, integers
// of any size. It shares no code with the engine but the expressions, and is
// what the engine is checked against. It takes time in proportion to the
// whole history for every feature. The vector's ArrivalTime is that of the
// item at k, MadeBy is as for a reading's own row.
func AsOf(v *View, h *History, t drumbeat.Time, k drumbeat.Position) drumbeat.Vector {
	o := oracle{view: v, t: t.Milliseconds(), machine: ""}
	arrival := drumbeat.NoTime
	for i := range h.Items {
		item := &h.Items[i]
		o.machine = item.Machine
		if item.Position.Compare(k) > 0 {
			continue
		}
		o.known = append(o.known, item)
		if item.Position == k {
			arrival = item.ArrivalTime
		}
	}
	slices.SortStableFunc(o.known, func(a, b *drumbeat.Item) int { return a.Position.Compare(b.Position) })
	o.read()
	out := drumbeat.Vector{
		Machine: o.machine, AsOf: t, Position: k, ArrivalTime: arrival, MadeBy: drumbeat.CauseReading,
		Values: make([]float64, len(v.Features)), Coverage: 1,
		WarmingUp: len(o.readings) == 0 || millis(o.t-o.readings[0].at) < v.MinHistory,
		Running:   len(o.readings) > 0 && o.satisfied(len(o.readings)-1),
	}
	for i := range v.Features {
		f := &v.Features[i]
		if f.Agg.OfSensor() {
			out.Coverage = min(out.Coverage, o.coverage(f))
			out.Overflow = out.Overflow || o.overflow(f)
		}
		out.Values[i] = o.value(f, out.Values)
	}
	return out
}

// oracle is what is known of a machine at (t, k).
type oracle struct {
	view     *View
	machine  drumbeat.MachineID
	t        int64
	known    []*drumbeat.Item
	readings []known // event times rising, none after t
}

// known is a reading: all values of one event time (T3).
type known struct {
	at     int64
	values []int64
	flags  []drumbeat.Flag
}

func (o *oracle) read() {
	sensors := len(o.view.Fleet.Sensors)
	index := map[int64]int{}
	for _, item := range o.known {
		at := item.EventTime.Milliseconds()
		if item.Kind != drumbeat.KindReading || at > o.t {
			continue
		}
		i, seen := index[at]
		if !seen {
			i = len(o.readings)
			index[at] = i
			r := known{at: at, values: make([]int64, sensors), flags: make([]drumbeat.Flag, sensors)}
			for s := range r.values {
				r.values[s] = drumbeat.Missing
			}
			o.readings = append(o.readings, r)
		}
		for s := range item.Values {
			if o.readings[i].values[s] == drumbeat.Missing {
				o.readings[i].values[s] = item.Values[s]
				if item.Flags != nil && item.Values[s] != drumbeat.Missing {
					o.readings[i].flags[s] = item.Flags[s]
				}
			}
		}
	}
	slices.SortFunc(o.readings, func(a, b known) int { return cmp.Compare(a.at, b.at) })
}

// within returns the readings of f's window (t - W, t]; they are sorted.
func (o *oracle) within(f *Feature) []known {
	left := o.t - f.Window.Milliseconds()
	for i := range o.readings {
		if o.readings[i].at > left {
			return o.readings[i:]
		}
	}
	return nil
}

// sample is one valid value (W3).
type sample struct{ at, x int64 }

func (o *oracle) samples(f *Feature, skipClipped bool) []sample {
	readings := o.within(f)
	out := make([]sample, 0, len(readings))
	for _, r := range readings {
		x, flag := r.values[f.Sensor], r.flags[f.Sensor]
		if x == drumbeat.Missing {
			continue
		}
		if !f.UseAll {
			if flag&drumbeat.FlagStuck != 0 || flag&drumbeat.FlagJump != 0 {
				continue
			}
			if skipClipped && flag&drumbeat.FlagClipped != 0 {
				continue
			}
		}
		out = append(out, sample{r.at, x})
	}
	return out
}

func (o *oracle) overflow(f *Feature) bool {
	return int64(len(o.within(f))) > o.view.MaxReadings(f.Window)
}

// satisfied says whether the machine should report from reading i on (W7).
func (o *oracle) satisfied(i int) bool {
	c := o.view.Fleet.Running
	return c == nil || c.Holds(o.readings[i].values)
}

// coverage by W7: valid readings over expected ones, in f's window.
func (o *oracle) coverage(f *Feature) float64 {
	left := o.t - f.Window.Milliseconds()
	expected := new(big.Int)
	for i := range o.readings {
		from, to := o.readings[i].at, o.t
		if i+1 < len(o.readings) {
			to = o.readings[i+1].at
		}
		if from < left {
			from = left
		}
		if o.satisfied(i) && to > from {
			expected.Add(expected, big.NewInt(to-from))
		}
	}
	received := big.NewInt(int64(len(o.samples(f, false))))
	received.Mul(received, big.NewInt(o.view.Fleet.Cadence.Milliseconds()))
	if received.Cmp(expected) >= 0 {
		return 1
	}
	return double(received) / double(expected)
}

func double(x *big.Int) float64 {
	f, _ := new(big.Float).SetPrec(256).SetInt(x).Float64()
	return f
}

func (o *oracle) value(f *Feature, earlier []float64) float64 {
	switch {
	case f.Agg == AggExpr:
		return evaluate(f.Expr.bound(o.view.Index), earlier)
	case f.Agg.OfLog():
		return o.events(f)
	case f.Agg.OfStatic():
		return o.static(f)
	case o.overflow(f):
		return math.NaN()
	case f.Agg == AggCoverage:
		return o.coverage(f)
	}
	samples := o.samples(f, f.Agg == AggMin || f.Agg == AggMax)
	if f.Agg == AggCount {
		return float64(len(samples))
	}
	if len(samples) == 0 {
		return math.NaN()
	}
	ten := math.Pow(10, float64(o.view.Fleet.Sensors[f.Sensor].Decimals))
	return o.aggregate(f.Agg, samples) / ten
}

// aggregate computes W4 up to the last division.
func (o *oracle) aggregate(agg Agg, samples []sample) float64 {
	n, s1, s2, rises := int64(len(samples)), new(big.Int), new(big.Int), new(big.Int)
	least, most := samples[0].x, samples[0].x
	for i, s := range samples {
		x := big.NewInt(s.x)
		s1.Add(s1, x)
		s2.Add(s2, new(big.Int).Mul(x, x))
		if s.x < least {
			least = s.x
		}
		if s.x > most {
			most = s.x
		}
		if i > 0 {
			up := big.NewInt(s.x)
			if s.x >= samples[i-1].x {
				up.Sub(up, big.NewInt(samples[i-1].x))
			}
			rises.Add(rises, up)
		}
	}
	first, last := samples[0].x, samples[n-1].x
	switch agg { //nolint:exhaustive // the rest have been answered
	case AggMean:
		return double(s1) / float64(n)
	case AggStd:
		if n < 2 {
			return math.NaN()
		}
		over := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(n), s2), new(big.Int).Mul(s1, s1))
		return math.Sqrt(double(over) / double(big.NewInt(n*(n-1))))
	case AggMin:
		return double(big.NewInt(least))
	case AggMax:
		return double(big.NewInt(most))
	case AggSum:
		return double(s1)
	case AggFirst:
		return double(big.NewInt(first))
	case AggLast:
		return double(big.NewInt(last))
	case AggDelta:
		return double(new(big.Int).Sub(big.NewInt(last), big.NewInt(first)))
	case AggIncrease:
		return double(rises)
	}
	return math.NaN()
}

// events computes an aggregate of a log from the newest known revision of
// each entry (T7).
func (o *oracle) events(f *Feature) float64 {
	newest := map[string]*drumbeat.Item{}
	for _, item := range o.known {
		if item.Kind != drumbeat.KindEntry || item.Entry.Log != f.Of {
			continue
		}
		if old := newest[item.Entry.ID]; old == nil || item.Entry.Revision > old.Entry.Revision {
			newest[item.Entry.ID] = item
		}
	}
	var times []int64
	for _, item := range newest {
		at := item.EventTime.Milliseconds()
		if item.Entry.Withdrawn || f.Type != "" && item.Entry.Type != f.Type || at > o.t {
			continue
		}
		if f.Agg == AggAge || at > o.t-f.Window.Milliseconds() {
			times = append(times, at)
		}
	}
	slices.Sort(times)
	n := len(times)
	switch {
	case f.Agg == AggEvents:
		return float64(n)
	case f.Agg == AggAge && n > 0:
		return float64(o.t-times[n-1]) / 3600000
	case f.Agg == AggMeanBetween && n > 1:
		return float64(times[n-1]-times[0]) / float64(n-1) / 3600000
	}
	return math.NaN()
}

// static computes V5: the attributes loaded last by t, else first.
func (o *oracle) static(f *Feature) float64 {
	var loads []*drumbeat.Item
	for _, item := range o.known {
		if item.Kind == drumbeat.KindMachine {
			loads = append(loads, item)
		}
	}
	if len(loads) == 0 {
		return math.NaN()
	}
	slices.SortStableFunc(loads, func(a, b *drumbeat.Item) int {
		return cmp.Compare(a.EventTime.Milliseconds(), b.EventTime.Milliseconds())
	})
	item := loads[0]
	for _, load := range loads {
		if load.EventTime.Milliseconds() <= o.t {
			item = load
		}
	}
	text := item.Static[f.Static]
	attribute := &o.view.Fleet.Static[f.Static]
	if attribute.Type == fleet.Category {
		for i, value := range attribute.Values {
			switch {
			case value != text:
			case f.Agg == AggCategory:
				return float64(i)
			case value == f.Category:
				return 1
			}
		}
		if f.Agg == AggOneHot {
			return 0
		}
		return math.NaN()
	}
	x, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
		return math.NaN()
	}
	if f.Agg == AggNumber {
		return x
	}
	index := 0
	for _, bound := range f.Bins {
		if x >= bound {
			index++
		}
	}
	return float64(index)
}
