package train_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"drumbeat"
	"drumbeat/model"
	"drumbeat/train"
)

// draw makes rows whose chance of failing is a known function of the margin.
func draw(seed uint64, n int, chance func(margin float64) float64) ([]drumbeat.MachineID, []float32, []bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	machines, margins, failed := make([]drumbeat.MachineID, n), make([]float32, n), make([]bool, n)
	for i := range n {
		machines[i] = machine(r.IntN(50))
		margins[i] = float32(2*r.NormFloat64() - 2)
		failed[i] = r.Float64() < chance(float64(margins[i]))
	}
	return machines, margins, failed
}

func logistic(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// worst is the largest error of a calibrator between -4 and 1, where rows are.
func worst(c *model.Calibrator, chance func(float64) float64) float64 {
	most := 0.0
	for m := -4.0; m < 1; m += 0.1 {
		most = max(most, math.Abs(c.Probability(m)-chance(m)))
	}
	return most
}

func TestPlattFindsAStraightLineInLogOdds(t *testing.T) {
	t.Parallel()
	chance := func(m float64) float64 { return logistic(0.6*m - 0.5) }
	machines, margins, failed := draw(1, 20_000, chance)
	c, method := train.FitCalibrator(machines, margins, failed)
	if method != model.Platt || math.Abs(c.Slope-0.6) > 0.05 || math.Abs(c.Intercept+0.5) > 0.08 {
		t.Errorf("got %s %v %v, want platt 0.6 -0.5", method, c.Slope, c.Intercept)
	}
}

func TestIsotonicFindsAStep(t *testing.T) {
	t.Parallel()
	chance := func(m float64) float64 {
		if m > -1 {
			return 0.7
		}
		return 0.05
	}
	machines, margins, failed := draw(2, 20_000, chance)
	c, method := train.FitCalibrator(machines, margins, failed)
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if method != model.Isotonic {
		t.Fatalf("got %s", method)
	}
	for _, m := range []float64{-4, -2, 0, 1} {
		if p := c.Probability(m); math.Abs(p-chance(m)) > 0.06 {
			t.Errorf("at %v: got %v, want %v", m, p, chance(m))
		}
	}
}

func TestIsotonicNeedsManyFailures(t *testing.T) {
	t.Parallel()
	step := func(m float64) float64 { return map[bool]float64{true: 0.9, false: 0}[m > 0] }
	for n, want := range map[int]string{1000: model.Platt, 10_000: model.Isotonic} {
		machines, margins, failed := draw(3, n, step)
		if _, method := train.FitCalibrator(machines, margins, failed); method != want {
			t.Errorf("%d rows, a seventh of them failures: got %s, want %s", n, method, want)
		}
	}
}

func TestEveryFitIsAValidCalibrator(t *testing.T) {
	t.Parallel()
	for name, chance := range map[string]func(float64) float64{
		"margins that say the opposite": func(m float64) float64 { return logistic(-m - 4) },
		"margins that say nothing":      func(float64) float64 { return 0.1 },
		"classes that part cleanly":     func(m float64) float64 { return map[bool]float64{true: 1}[m > -1] },
		"hardly any":                    func(float64) float64 { return 0.001 },
	} {
		machines, margins, failed := draw(4, 8000, chance)
		c, method := train.FitCalibrator(machines, margins, failed)
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %s: %v", name, method, err)
		}
	}
	opposite := func(m float64) float64 { return logistic(-m - 4) }
	machines, margins, failed := draw(4, 3000, opposite)
	share := 0.0
	for _, f := range failed {
		if f {
			share += 1 / float64(len(failed))
		}
	}
	if c, _ := train.FitCalibrator(machines, margins, failed); math.Abs(c.Probability(-2)-share) > 0.05 {
		t.Errorf("the opposite of the truth must become the base rate %v, got %v", share, c.Probability(-2))
	}
}

func TestCalibrationComesCloseToTheTruth(t *testing.T) {
	t.Parallel()
	for name, chance := range map[string]func(float64) float64{
		"a line":  func(m float64) float64 { return logistic(m) },
		"a curve": func(m float64) float64 { return 0.8 * logistic(3*m+3) },
	} {
		machines, margins, failed := draw(5, 40_000, chance)
		if c, method := train.FitCalibrator(machines, margins, failed); worst(&c, chance) > 0.05 {
			t.Errorf("%s: %s is off by %v", name, method, worst(&c, chance))
		}
	}
}
