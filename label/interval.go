package label

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"drumbeat"
)

// Interval is an estimate with its 95 % interval. What cannot be estimated is
// NaN, which JSON carries as null (V3).
type Interval struct {
	Value, Low, High float64
}

// nothing is the interval of what cannot be estimated.
func nothing() Interval { return Interval{math.NaN(), math.NaN(), math.NaN()} }

type intervalText struct {
	Value *float64 `json:"value"`
	Low   *float64 `json:"low"`
	High  *float64 `json:"high"`
}

// MarshalJSON writes {"value":…,"low":…,"high":…}, null for NaN.
func (i Interval) MarshalJSON() ([]byte, error) {
	return json.Marshal(intervalText{orNull(i.Value), orNull(i.Low), orNull(i.High)})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Interval) UnmarshalJSON(text []byte) error {
	var t intervalText
	if err := json.Unmarshal(text, &t); err != nil {
		return fmt.Errorf("read interval: %w: %w", err, drumbeat.ErrInvalid)
	}
	*i = Interval{orNaN(t.Value), orNaN(t.Low), orNaN(t.High)}
	return nil
}

func orNull(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func orNaN(x *float64) float64 {
	if x == nil {
		return math.NaN()
	}
	return *x
}

// Proportion is K of N with Wilson's 95 % interval.
type Proportion struct {
	K        int      `json:"k"`
	N        int      `json:"n"`
	Interval Interval `json:"interval"`
}

// ProportionOf returns k of n.
func ProportionOf(k, n int) Proportion { return Proportion{k, n, Wilson(k, n)} }

// z95 bounds the middle 95 % of the normal distribution.
const z95 = 1.959963984540054

// Wilson returns k/n with Wilson's score interval at 95 %.
func Wilson(k, n int) Interval {
	if n <= 0 || k < 0 || k > n {
		return nothing()
	}
	p, m := float64(k)/float64(n), float64(n)
	middle := (p + z95*z95/(2*m)) / (1 + z95*z95/m)
	half := z95 / (1 + z95*z95/m) * math.Sqrt(p*(1-p)/m+z95*z95/(4*m*m))
	low, high := max(middle-half, 0), min(middle+half, 1)
	if k == 0 {
		low = 0
	}
	if k == n {
		high = 1
	}
	return Interval{p, low, high}
}

// Bootstrap is how intervals of measures that are no proportions are found: by
// drawing whole machines again, because a machine's rows resemble each other.
type Bootstrap struct {
	Seed      uint64
	Resamples int // 0: 200
}

// DefaultResamples gives the bounds of a 95 % interval five draws on either
// side: enough for a report, done in a second on a year of a fleet.
const DefaultResamples = 200

func (b Bootstrap) resamples() int {
	if b.Resamples <= 0 {
		return DefaultResamples
	}
	return b.Resamples
}

// each calls fn once a resample with how often each of n machines was drawn.
func (b Bootstrap) each(n int, fn func(weights []int64)) {
	if n == 0 {
		return
	}
	random := rand.New(rand.NewPCG(b.Seed, uint64(n))) //nolint:gosec // a seed must replay it
	weights := make([]int64, n)
	for range b.resamples() {
		clear(weights)
		for range n {
			weights[random.IntN(n)]++
		}
		fn(weights)
	}
}

// percentiles returns an estimate with the middle 95 % of its resamples.
// Resamples that have no value are left out.
func percentiles(value float64, drawn []float64) Interval {
	drawn = slices.DeleteFunc(slices.Clone(drawn), math.IsNaN)
	if math.IsNaN(value) || len(drawn) == 0 {
		return Interval{value, math.NaN(), math.NaN()}
	}
	slices.Sort(drawn)
	n := float64(len(drawn))
	low := int(math.Floor(0.025 * (n - 1)))
	high := int(math.Ceil(0.975 * (n - 1)))
	return Interval{value, drawn[low], drawn[high]}
}
