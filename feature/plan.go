package feature

import (
	"cmp"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
)

// class says which of a sensor's values an aggregate takes, by their flags
// (W3).
type class uint8

const (
	classValid class = iota // use: valid, but for min and max
	classRange              // use: valid in min and max: no clipped ones either
	classAll                // use: all
)

// The flags that matter here, in the three bits that a row keeps of them.
const (
	bitClipped = 1 << iota
	bitStuck
	bitJump
	bitsPerValue = 3
	bitsOfRow    = 2  // of the first meta word: on, and whether that is known
	valuesPerRow = 20 // whose bits one meta word holds
)

// plan is a view compiled for its engine: what to keep and what to compute.
type plan struct {
	view    *View
	running *fleet.Condition
	cadence int64 // milliseconds, like every time and length in this package

	sensors []int // of the fleet, one a column
	columns []int // by sensor of the fleet: its column, or -1
	meta    int   // words of flags in a row
	stride  int   // words in a row

	cells    []cell
	windows  []window  // ascending
	tracks   []track   // by window
	deques   []extrema // by cell
	extremes []extreme // by deque, windows ascending
	covers   []int     // the tracks whose coverage is the row's (W7)

	logs   []int // of the fleet
	series []eventSeries
	static []int // the features of static attributes
	steps  []step

	retention int64
	longest   int64
	horizon   int64
}

// cell is a sensor's values of one class.
type cell struct {
	column  int
	offset  int   // of the value in a row
	word    int   // of its flags in a row
	mask    int64 // a value with any of these flags is not of the class
	chained bool  // some track needs neighbouring values
	deques  [2]int
	tracks  []int
}

// value returns the cell's value in a row, or Missing.
func (c *cell) value(row []int64) int64 {
	if row[c.word]&c.mask != 0 {
		return drumbeat.Missing
	}
	return row[c.offset]
}

type window struct {
	length      int64
	maxReadings int64 // n_max (W5)
	from, to    int   // its tracks
}

// track is a cell's sums over a window.
type track struct {
	cell, window int
	squares      bool // Σx² is wanted
	chained      bool // the first value and the increase are wanted
}

// extrema is the running minimum or maximum of a cell for all its windows.
type extrema struct {
	cell     int
	most     bool // of maxima, else minima
	longest  int64
	from, to int // its extremes
}

type extreme struct{ deque, window int }

// eventSeries is the events of a log, of one type or of any.
type eventSeries struct {
	log     int // in plan.logs
	kind    string
	windows []int64 // lengths, of the features that have one
}

// step computes one feature from a snapshot.
type step struct {
	agg     Agg
	window  int
	track   int
	cell    int
	extreme int
	series  int
	slot    int // of a static value
	length  int64
	scale   float64 // 10^decimals
	code    []instruction
}

// slack is what an out-of-order reading may be older than T4 says: clocks
// that run ahead (T5).
const slack = 5 * 60 * 1000

func newPlan(v *View) *plan {
	p := &plan{
		view: v, running: v.Fleet.Running, cadence: v.Fleet.Cadence.Milliseconds(),
		longest: v.LongestWindow().Milliseconds(), horizon: v.Horizon().Milliseconds(),
	}
	// A redriven reading may be older than the greatest arrival time by 2·L.
	p.retention = p.longest + 2*v.Fleet.Lateness.Milliseconds() + slack
	p.layout()
	p.collect()
	p.steps = make([]step, len(v.Features))
	for i := range v.Features {
		p.steps[i] = p.step(&v.Features[i])
	}
	return p
}

// layout gives each used sensor its column.
func (p *plan) layout() {
	v := p.view
	p.sensors, _, p.logs = v.used()
	p.columns = make([]int, len(v.Fleet.Sensors))
	for i := range p.columns {
		p.columns[i] = slices.Index(p.sensors, i)
	}
	p.meta = max(1, (len(p.sensors)+valuesPerRow-1)/valuesPerRow)
	p.stride = 1 + p.meta + len(p.sensors)
}

func (p *plan) shift(column int) (word, shift int) {
	return 1 + column/valuesPerRow, bitsOfRow + bitsPerValue*(column%valuesPerRow)
}

// collect finds the distinct windows, cells, tracks and extremes.
func (p *plan) collect() {
	features := p.view.Features
	for i := range features {
		if f := &features[i]; f.Agg.OfSensor() {
			p.window(f.Window.Milliseconds())
			p.cell(p.columns[f.Sensor], coverClass(f))
			p.cell(p.columns[f.Sensor], classOf(f))
		}
	}
	slices.SortFunc(p.windows, func(a, b window) int { return cmp.Compare(a.length, b.length) })
	for w := range p.windows {
		p.windows[w].from = len(p.tracks)
		for i := range features {
			if f := &features[i]; f.Agg.OfSensor() && f.Window.Milliseconds() == p.windows[w].length {
				p.collectTrack(f, w)
			}
		}
		p.windows[w].to = len(p.tracks)
	}
	for k := range p.tracks {
		c := &p.cells[p.tracks[k].cell]
		c.tracks = append(c.tracks, k)
	}
	for c := range p.cells {
		p.cells[c].deques = [2]int{-1, -1}
		for side, agg := range [2]Agg{AggMin, AggMax} {
			p.collectExtremes(c, side, agg)
		}
	}
}

func (p *plan) collectTrack(f *Feature, w int) {
	cover := p.track(p.cell(p.columns[f.Sensor], coverClass(f)), w)
	if !slices.Contains(p.covers, cover) {
		p.covers = append(p.covers, cover)
	}
	t := &p.tracks[p.track(p.cell(p.columns[f.Sensor], classOf(f)), w)]
	switch f.Agg { //nolint:exhaustive // the others need no more than count and sum
	case AggStd:
		t.squares = true
	case AggFirst, AggDelta, AggIncrease:
		t.chained = true
		p.cells[t.cell].chained = true
	}
}

func (p *plan) collectExtremes(c, side int, agg Agg) {
	d := extrema{cell: c, most: agg == AggMax, from: len(p.extremes)}
	for w := range p.windows {
		if slices.ContainsFunc(p.view.Features, func(f Feature) bool {
			return f.Agg == agg && f.Window.Milliseconds() == p.windows[w].length &&
				p.cell(p.columns[f.Sensor], classOf(&f)) == c
		}) {
			p.extremes = append(p.extremes, extreme{deque: len(p.deques), window: w})
			d.longest = p.windows[w].length
		}
	}
	if d.to = len(p.extremes); d.to > d.from {
		p.cells[c].deques[side] = len(p.deques)
		p.deques = append(p.deques, d)
	}
}

// classOf returns the values that f aggregates, coverClass the ones that
// count as received: a clipped value was received.
func classOf(f *Feature) class {
	if !f.UseAll && (f.Agg == AggMin || f.Agg == AggMax) {
		return classRange
	}
	return coverClass(f)
}

func coverClass(f *Feature) class {
	if f.UseAll {
		return classAll
	}
	return classValid
}

func (p *plan) window(length int64) {
	if !slices.ContainsFunc(p.windows, func(w window) bool { return w.length == length }) {
		p.windows = append(p.windows, window{length: length, maxReadings: p.view.MaxReadings(millis(length))})
	}
}

func (p *plan) cell(column int, of class) int {
	masks := [...]int64{classValid: bitStuck | bitJump, classRange: bitClipped | bitStuck | bitJump, classAll: 0}
	word, shift := p.shift(column)
	mask := masks[of] << shift
	i := slices.IndexFunc(p.cells, func(c cell) bool { return c.column == column && c.mask == mask })
	if i < 0 {
		i = len(p.cells)
		p.cells = append(p.cells, cell{column: column, offset: 1 + p.meta + column, word: word, mask: mask})
	}
	return i
}

func (p *plan) track(c, w int) int {
	i := slices.IndexFunc(p.tracks, func(t track) bool { return t.cell == c && t.window == w })
	if i < 0 {
		i = len(p.tracks)
		p.tracks = append(p.tracks, track{cell: c, window: w})
	}
	return i
}

func (p *plan) step(f *Feature) step {
	s := step{agg: f.Agg, length: f.Window.Milliseconds()}
	switch {
	case f.Agg == AggExpr:
		s.code = f.Expr.bound(p.view.Index)
	case f.Agg.OfStatic():
		s.slot = len(p.static)
		p.static = append(p.static, p.view.Index(f.Name))
	case f.Agg.OfLog():
		s.series = p.eventSeries(slices.Index(p.logs, f.Log), f.Type)
		if of := &p.series[s.series]; s.length > 0 && !slices.Contains(of.windows, s.length) {
			of.windows = append(of.windows, s.length)
		}
	default:
		s.window = slices.IndexFunc(p.windows, func(w window) bool { return w.length == s.length })
		c := classOf(f)
		if f.Agg == AggCoverage {
			c = coverClass(f)
		}
		s.cell = p.cell(p.columns[f.Sensor], c)
		s.track = p.track(s.cell, s.window)
		s.scale = math.Pow10(p.view.Fleet.Sensors[f.Sensor].Decimals)
		if f.Agg == AggMin || f.Agg == AggMax {
			side := int(f.Agg - AggMin)
			d := p.cells[s.cell].deques[side]
			for e := p.deques[d].from; e < p.deques[d].to; e++ {
				if p.extremes[e].window == s.window {
					s.extreme = e
				}
			}
		}
	}
	return s
}

func (p *plan) eventSeries(log int, kind string) int {
	i := slices.IndexFunc(p.series, func(s eventSeries) bool { return s.log == log && s.kind == kind })
	if i < 0 {
		i = len(p.series)
		p.series = append(p.series, eventSeries{log: log, kind: kind})
	}
	return i
}
