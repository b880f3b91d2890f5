package model_test

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestContributionsAreShapleyValuesByDefinition(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                   string
		trees, depth, features int
	}{
		{"a leaf adds nothing but the bias", 3, 0, 2},
		{"one feature that splits again and again", 2, 7, 1},
		{"two features", 3, 6, 2},
		{"many distinct features on a path", 4, 8, 7},
		{"deeper than four points reach", 2, 11, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds(12) {
				r := rand.New(rand.NewPCG(seed, 3))
				trees := forest(r, tc.trees, tc.depth, tc.features)
				e := load(t, document(trees, tc.features, "[5E-1]"))
				x := row(r, tc.features)
				got := make([]float64, tc.features+1)
				e.Explain(x, got)
				want := shapley(trees, x, tc.features)
				sum := 0.0
				for f := range want {
					sum += got[f]
					if math.Abs(got[f]-want[f]) > 1e-6 {
						t.Fatalf("seed %d, feature %d: got %v, want %v", seed, f, got[f], want[f])
					}
				}
				if margin := float64(e.Margin(x)); math.Abs(sum-margin) > 1e-5*max(1, math.Abs(margin)) {
					t.Fatalf("seed %d: the contributions sum to %v, the margin is %v", seed, sum, margin)
				}
			}
		})
	}
}

func TestScoringAndExplainingAllocateNothing(t *testing.T) {
	m := sample(t)
	values := []float64{0.5, math.NaN(), -1}
	out := make([]float64, 0, 4)
	if n := testing.AllocsPerRun(100, func() {
		m.Score(values)
		m.Explain(values, out)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
