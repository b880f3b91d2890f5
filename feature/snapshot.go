package feature

import (
	"math"

	"drumbeat"
)

// snapshot is everything that features are computed from, as of t. Each
// window's edge says how many readings it holds and for how long the machine
// should have reported in it.
//
// When a machine should report (W7) is a set of half-open spans [a, b): each
// begins with a reading that satisfies running: and ends at the next reading
// that does not (a reading without that sensor's value does not), or goes on
// to t. Without running: one span begins with the machine's first reading.
// The expected milliseconds of a window are those of the spans inside
// (t - W, t]. Coverage is double(valid readings · cadence) / double(expected),
// at most 1, and 1 where nothing is expected: 672 readings of a full grid of
// 15 minutes stand against exactly 672 expected ones in 7 days.
type snapshot struct {
	t, first int64
	running  bool
	edges    []edge
	sums     []sums  // by track
	lasts    []point // by cell; inside the window wherever its track counts any
	tops     []int64 // by extreme, or Missing
	series   []series
	static   []float64
}

const hour = 3_600_000 // milliseconds

// evaluate computes every feature into values and returns the vector's other
// parts: all but where it stands and what made it.
func (p *plan) evaluate(s *snapshot, values []float64) drumbeat.Vector {
	v := drumbeat.Vector{
		AsOf: instant(s.t), Values: values, Coverage: 1, Running: s.running,
		WarmingUp: s.first == never || s.t-s.first < p.view.MinHistory.Milliseconds(),
	}
	for w := range p.windows {
		if s.edges[w].n > p.windows[w].maxReadings {
			v.Overflow = true
		}
	}
	for _, k := range p.covers {
		v.Coverage = min(v.Coverage, p.coverage(s, k))
	}
	for i := range p.steps {
		st := &p.steps[i]
		switch {
		case st.agg.OfSensor():
			if s.edges[st.window].n > p.windows[st.window].maxReadings {
				values[i] = math.NaN()
				continue
			}
			values[i] = p.aggregate(s, st)
		case st.agg.OfLog():
			values[i] = events(s, st)
		case st.agg == AggExpr:
			values[i] = evaluate(st.code, values)
		case s.static == nil:
			values[i] = math.NaN()
		default:
			values[i] = s.static[st.slot]
		}
	}
	return v
}

// coverage of a track's window; see snapshot.
func (p *plan) coverage(s *snapshot, k int) float64 {
	w := p.tracks[k].window
	expected := s.edges[w].on
	if p.running == nil {
		expected = 0
		if s.first != never {
			expected = max(0, min(p.windows[w].length, s.t-s.first))
		}
	}
	if received := s.sums[k].n * p.cadence; received < expected {
		return float64(received) / float64(expected)
	}
	return 1
}

// aggregate computes a feature of a sensor in the order of W4.
func (p *plan) aggregate(s *snapshot, st *step) float64 {
	sum := &s.sums[st.track]
	switch {
	case st.agg == AggCount:
		return float64(sum.n)
	case st.agg == AggCoverage:
		return p.coverage(s, st.track)
	case sum.n == 0:
		return math.NaN()
	}
	switch st.agg { //nolint:exhaustive // the others are above, or none of a sensor
	case AggMean:
		return sum.s1.float() / float64(sum.n) / st.scale
	case AggStd:
		if sum.n < 2 {
			return math.NaN()
		}
		return math.Sqrt(sum.s2.timesLess(sum.n, sum.s1).float()/float64(sum.n*(sum.n-1))) / st.scale
	case AggSum:
		return sum.s1.float() / st.scale
	case AggMin, AggMax:
		return float64(s.tops[st.extreme]) / st.scale
	case AggFirst:
		return float64(sum.first.x) / st.scale
	case AggLast:
		return float64(s.lasts[st.cell].x) / st.scale
	case AggDelta:
		return float64(s.lasts[st.cell].x-sum.first.x) / st.scale
	case AggIncrease:
		return sum.rise.float() / st.scale
	}
	return math.NaN()
}

// events computes a feature of a log (W3, W4).
func events(s *snapshot, st *step) float64 {
	if st.agg == AggAge {
		if last := s.series[st.series].last(s.t); last != never {
			return float64(s.t-last) / hour
		}
		return math.NaN()
	}
	n, first, last := s.series[st.series].span(s.t-st.length, s.t)
	switch {
	case st.agg == AggEvents:
		return float64(n)
	case n < 2:
		return math.NaN()
	}
	return float64(last-first) / float64(n-1) / hour
}
