package monitor

import (
	"math"
	"slices"
)

// Level says how far a distribution has moved, by its population stability
// index (M4).
type Level string

// The levels.
const (
	LevelNone        Level = "none"        // below 0.1
	LevelSlight      Level = "slight"      // 0.1 or more
	LevelSignificant Level = "significant" // 0.25 or more
	LevelUnjudged    Level = "unjudged"    // the sentence says why
)

const (
	slightPSI      = 0.1
	significantPSI = 0.25
	// leastShare is the least share of a bin, for the logarithm of an empty one
	// is infinite: what one row in a thousand does is no evidence, nor is half a
	// row.
	leastShare = 0.001
)

func levelOf(psi float64) Level {
	switch {
	case math.IsNaN(psi):
		return LevelUnjudged
	case psi >= significantPSI:
		return LevelSignificant
	case psi >= slightPSI:
		return LevelSlight
	}
	return LevelNone
}

// PSI returns the population stability index of current against reference:
// the sum over bins of (c - r) · ln(c / r), c and r being the shares of the two
// in a bin. The bins are the deciles of the reference; equal ones are one, so a
// feature of few values has a bin for each. What lies below the reference's
// least value has a bin of its own, and so have missing values (NaN): a feature
// that falls silent has changed. NaN if either is empty.
func PSI(reference, current []float64) float64 {
	if len(reference) == 0 || len(current) == 0 {
		return math.NaN()
	}
	edges := deciles(reference)
	r, c := shares(reference, edges), shares(current, edges)
	psi, least := 0.0, max(leastShare, 0.5/float64(min(len(reference), len(current))))
	for i := range r {
		r[i], c[i] = max(r[i], least), max(c[i], least)
		psi += (c[i] - r[i]) * math.Log(c[i]/r[i])
	}
	return psi
}

// deciles returns the upper ends of the bins, all but the last: the first
// holds what is below the least value.
func deciles(x []float64) []float64 {
	sorted := slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	if len(sorted) == 0 {
		return nil
	}
	slices.Sort(sorted)
	edges := []float64{math.Nextafter(sorted[0], math.Inf(-1))}
	for tenth := 1; tenth <= 9; tenth++ {
		edges = append(edges, sorted[(tenth*len(sorted)+9)/10-1])
	}
	return slices.Compact(edges)
}

// shares returns the share of x in each bin (edges[i-1], edges[i]], above the
// last edge, and missing.
func shares(x, edges []float64) []float64 {
	counts := make([]float64, len(edges)+2)
	for _, v := range x {
		bin := len(edges) + 1
		if !math.IsNaN(v) {
			bin, _ = slices.BinarySearch(edges, v)
		}
		counts[bin]++
	}
	for i := range counts {
		counts[i] /= float64(len(x))
	}
	return counts
}

// Range is what a feature's values were over a time.
type Range struct {
	Rows    int    `json:"rows"`
	Missing Number `json:"missing"` // share of the rows
	Least   Number `json:"least"`
	Mean    Number `json:"mean"`
	Most    Number `json:"most"`

	sd float64
}

func rangeOf(x []float64) Range {
	known := slices.DeleteFunc(slices.Clone(x), math.IsNaN)
	nan := Number(math.NaN())
	r := Range{Rows: len(x), Missing: ratio(float64(len(x)-len(known)), float64(len(x))), Least: nan, Mean: nan, Most: nan}
	if len(known) > 0 {
		mean, sd := moments(known)
		r.Least, r.Mean, r.Most, r.sd = Number(slices.Min(known)), Number(mean), Number(slices.Max(known)), sd
	}
	return r
}

// standardized returns the standardized mean difference: the difference of the
// means in units of the deviation within the two, sqrt((s1² + s2²) / 2).
func standardized(before, now Range) Number {
	return ratio(float64(now.Mean-before.Mean), math.Sqrt((before.sd*before.sd+now.sd*now.sd)/2))
}
