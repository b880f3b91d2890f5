package monitor_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"drumbeat"
	"drumbeat/monitor"
)

// direct computes the index another way: it asks of each value how many
// deciles of the reference lie below it.
func direct(reference, current []float64) float64 {
	known := slices.DeleteFunc(slices.Clone(reference), math.IsNaN)
	slices.Sort(known)
	bin := func(v float64) int {
		if math.IsNaN(v) {
			return 99
		}
		n := 0
		for k := 1; k <= 9; k++ {
			rank := int(math.Ceil(float64(k) * float64(len(known)) / 10)) // the least value with k tenths at or below it
			if known[rank-1] < v {
				n++
			}
		}
		if v < known[0] {
			n = -1
		}
		return n
	}
	count := func(x []float64) map[int]float64 {
		c := map[int]float64{}
		for _, v := range x {
			c[bin(v)] += 1 / float64(len(x))
		}
		return c
	}
	r, c := count(reference), count(current)
	sum, least := 0.0, max(0.001, 1/(2*float64(min(len(reference), len(current)))))
	for _, b := range []int{-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99} {
		p, q := max(r[b], least), max(c[b], least)
		sum += (q - p) * math.Log(q/p)
	}
	return sum
}

func TestPSIAgainstADirectComputation(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		draw := func(n int, by float64) []float64 {
			x := make([]float64, n)
			for i := range x {
				switch x[i] = random.NormFloat64() + by; {
				case round%3 == 1:
					x[i] = math.Round(x[i]) // few values
				case round%3 == 2 && random.IntN(4) == 0:
					x[i] = math.NaN()
				}
			}
			return x
		}
		reference := draw(20+random.IntN(400), 0)
		current := draw(20+random.IntN(400), float64(round%5)/4)
		if got, want := monitor.PSI(reference, current), direct(reference, current); math.Abs(got-want) > 1e-9 {
			t.Fatalf("round %d: got %.6f, want %.6f", round, got, want)
		}
	}
}

func TestPSIOfKnownShifts(t *testing.T) {
	t.Parallel()
	line := func(from, until int) []float64 {
		var x []float64
		for i := from; i < until; i++ {
			x = append(x, float64(i))
		}
		return x
	}
	constant := slices.Repeat([]float64{3}, 1000)
	nan := slices.Repeat([]float64{math.NaN()}, 1000)
	cases := map[string]struct {
		reference, current []float64
		want               float64
	}{
		"the same":                   {line(0, 1000), line(0, 1000), 0},
		"one decile upwards":         {line(0, 1000), line(100, 1100), (0.001-0.1)*math.Log(0.01) + 0.1*math.Log(2)},
		"a constant that stays":      {constant, constant[:50], 0},
		"a constant that moved down": {constant, slices.Repeat([]float64{2}, 500), 2 * 0.999 * math.Log(1000)},
		"a constant that moved up":   {constant, slices.Repeat([]float64{4}, 500), 2 * 0.999 * math.Log(1000)},
		"silence":                    {constant, nan, 2 * 0.999 * math.Log(1000)},
		"silence that stays":         {nan, nan, 0},
		"nothing":                    {constant, nil, math.NaN()},
	}
	for name, c := range cases {
		got := monitor.PSI(c.reference, c.current)
		if math.Abs(got-c.want) > 1e-9 || math.IsNaN(got) != math.IsNaN(c.want) {
			t.Errorf("%s: got %.6f, want %.6f", name, got, c.want)
		}
	}
}

func TestATableHasTheLastRowOfEachHourAndNoMoreThanItsLimit(t *testing.T) {
	t.Parallel()
	var rows memory
	add := func(machine drumbeat.MachineID, minute int, x float64, change func(*drumbeat.Vector)) {
		v := drumbeat.Vector{
			Machine: machine, AsOf: at(3) + drumbeat.Time(minute)*60_000_000,
			Position: drumbeat.Position{Offset: int64(len(rows))}, Values: []float64{x},
		}
		if change != nil {
			change(&v)
		}
		rows = append(rows, v)
	}
	add("b", 59, 2, nil)
	add("b", 1, 1, nil) // came later, and is older
	add("a", 61, 4, nil)
	add("a", 61, 5, nil) // the same time, known later
	add("a", 62, 6, func(v *drumbeat.Vector) { v.MadeBy = drumbeat.CauseCorrection })
	add("a", 63, 7, func(v *drumbeat.Vector) { v.WarmingUp = true })
	add("a", 64, 8, func(v *drumbeat.Vector) { v.Overflow = true })
	add("a", 20, 3, nil)
	add("a", 24*60, 9, nil) // the next day
	got, err := monitor.Sampled(t.Context(), rows.scan, 3, 4, day/24, 100)
	if want := []float64{3, 5, 2}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	rows = nil
	for minute := range 24 * 60 {
		for _, m := range []drumbeat.MachineID{"a", "b", "c"} {
			add(m, minute, float64(minute), nil)
		}
	}
	got, err = monitor.Sampled(t.Context(), rows.scan, 3, 4, day/1440, 1000)
	again, _ := monitor.Sampled(t.Context(), rows.scan, 3, 4, day/1440, 1000)
	if err != nil || len(got) > 1000 || len(got) < 400 || !slices.Equal(got, again) {
		t.Errorf("%d rows of 4320, %v; want at most 1000, and the same again", len(got), err)
	}
	mean := 0.0
	for _, x := range got {
		mean += x / float64(len(got))
	}
	if math.Abs(mean-720) > 60 {
		t.Errorf("the mean minute of the rows is %.0f, want about 720", mean)
	}
}
