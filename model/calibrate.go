package model

import (
	"math"
	"sort"
)

// The methods of calibration.
const (
	Platt    = "platt"
	Isotonic = "isotonic"
)

// maxKnots bounds an isotonic calibrator; fitting makes some dozens.
const maxKnots = 10_000

// margins beyond this are as good as certain: exp stays finite.
const maxLogit = 30

// Calibrator maps margins to probabilities, never falling, always strictly
// between 0 and 1.
type Calibrator struct {
	// Method is platt: 1/(1+exp(-(Slope·margin+Intercept))); or isotonic:
	// linear between the knots, level beyond them.
	Method    string    `json:"method"`
	Slope     float64   `json:"slope,omitempty"`
	Intercept float64   `json:"intercept,omitempty"`
	Margins   []float64 `json:"margins,omitempty"`       // of the knots, rising strictly
	Chances   []float64 `json:"probabilities,omitempty"` // of the knots, never falling
}

// Validate checks what Probability relies on.
func (c *Calibrator) Validate() error {
	switch c.Method {
	case Platt:
		if !(c.Slope >= 0 && c.Slope < 1e6) || !(math.Abs(c.Intercept) < 1e6) {
			return invalid("platt: want a finite slope of at least 0 (got %v, %v)", c.Slope, c.Intercept)
		}
		return nil
	case Isotonic:
	default:
		return invalid("method: want platt or isotonic (got %q)", c.Method)
	}
	n := len(c.Margins)
	if n == 0 || n > maxKnots || len(c.Chances) != n {
		return invalid("isotonic: want 1 to %d knots (got %d margins, %d probabilities)",
			maxKnots, n, len(c.Chances))
	}
	for i, m := range c.Margins {
		p := c.Chances[i]
		if !(math.Abs(m) < 1e9) || !(p > 0 && p < 1) {
			return invalid("isotonic: knot %d: want a finite margin and a probability within 0 and 1 (got %v, %v)",
				i, m, p)
		}
		if i > 0 && (m <= c.Margins[i-1] || p < c.Chances[i-1]) {
			return invalid("isotonic: knot %d: margins must rise and probabilities not fall", i)
		}
	}
	return nil
}

// Probability returns the calibrated probability of a margin.
func (c *Calibrator) Probability(margin float64) float64 {
	if c.Method == Platt {
		x := c.Slope*margin + c.Intercept
		return 1 / (1 + math.Exp(-min(max(x, -maxLogit), maxLogit)))
	}
	i := sort.SearchFloat64s(c.Margins, margin)
	switch {
	case i == 0:
		return c.Chances[0]
	case i == len(c.Margins):
		return c.Chances[i-1]
	}
	lo, hi := c.Chances[i-1], c.Chances[i]
	share := (margin - c.Margins[i-1]) / (c.Margins[i] - c.Margins[i-1])
	return min(max(lo+share*(hi-lo), lo), hi)
}
