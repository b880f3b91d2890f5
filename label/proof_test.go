package label_test

import (
	"encoding/json"
	"math"
	"testing"

	"drumbeat/label"

	"pgregory.net/rapid"
)

// choose is Pascal's triangle, for n small enough to be exact.
func choose(n, k int) float64 {
	if k < 0 || k > n {
		return 0
	}
	if k == 0 || k == n {
		return 1
	}
	c := 1.0
	for i := range k {
		c = c * float64(n-i) / float64(i+1)
	}
	return c
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1, math.Abs(b)) }

func TestMcNemar(t *testing.T) {
	for _, test := range []struct {
		first, second int
		want          float64
	}{
		{0, 0, 1},
		{1, 0, 1},
		{3, 3, 1},
		{5, 0, 2.0 / 32},
		{1, 9, 2 * 11.0 / 1024},
		{9, 1, 2 * 11.0 / 1024},
	} {
		if got := label.McNemar(test.first, test.second); !near(got, test.want) {
			t.Errorf("only one %d, only the other %d: got %v, want %v", test.first, test.second, got, test.want)
		}
	}
	if got := label.McNemar(3000, 3100); !(got > 0.19 && got < 0.22) {
		t.Errorf("3000 and 3100: got %v, want about 0.205", got)
	}
}

func TestFisher(t *testing.T) {
	// Fisher's lady with four of four cups, and with three.
	if got := label.Fisher(4, 0, 0, 4); !near(got, 1.0/70) {
		t.Errorf("four of four: got %v, want 1/70", got)
	}
	if got := label.Fisher(3, 1, 1, 3); !near(got, 17.0/70) {
		t.Errorf("three of four: got %v, want 17/70", got)
	}
	if got := label.Fisher(27, 22, 26, 57); !(got > 0.006 && got < 0.007) {
		t.Errorf("27 of 49 against 26 of 83: got %v, want about 0.0066", got)
	}
	if got := label.Fisher(0, 0, 3, 4); got != 1 {
		t.Errorf("nothing drawn: got %v, want 1", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 9)
		a, b, c, d := n.Draw(t, "a"), n.Draw(t, "b"), n.Draw(t, "c"), n.Draw(t, "d")
		var want float64
		for k := a; k <= a+b; k++ {
			want += choose(a+c, k) * choose(b+d, a+b-k) / choose(a+b+c+d, a+b)
		}
		if got := label.Fisher(a, b, c, d); !near(got, want) {
			t.Fatalf("%d right, %d wrong, rest %d and %d: got %v, want %v", a, b, c, d, got, want)
		}
	})
}

func TestFailuresNeeded(t *testing.T) {
	for _, test := range []struct {
		name       string
		caught, n  int
		target     float64
		lowerBound bool
		want       int
		ok         bool
	}{
		{"one missed of twenty needs eighty without a miss", 19, 20, 0.99, false, 80, true},
		{"none missed needs none", 20, 20, 0.99, false, 0, true},
		{"some 380 without a miss prove 0.99 at the lower bound", 0, 0, 0.99, true, 381, true},
		{"a recall of one needs none as long as none is missed", 3, 3, 1, false, 0, true},
		{"and is out of reach after the first", 2, 3, 1, false, 0, false},
		{"no number proves one at the lower bound", 3, 3, 1, true, 0, false},
		{"nothing seen needs the first", 0, 0, 0.5, false, 1, true},
	} {
		got, ok := label.FailuresNeeded(test.caught, test.n, test.target, test.lowerBound)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%s: got %d, %v, want %d, %v", test.name, got, ok, test.want, test.ok)
		}
	}
	if low := label.Wilson(381, 381).Low; low < 0.99 || label.Wilson(380, 380).Low >= 0.99 {
		t.Errorf("the lower bound of 381 without a miss is %v, want the first to reach 0.99", low)
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 60).Draw(t, "n")
		caught := rapid.IntRange(0, n).Draw(t, "caught")
		target := float64(rapid.IntRange(1, 99).Draw(t, "percent")) / 100
		bound := rapid.Bool().Draw(t, "bound")
		reached := func(more int) bool {
			i := label.Wilson(caught+more, n+more)
			if bound {
				return i.Low >= target
			}
			return i.Value >= target
		}
		want := 0
		for !reached(want) {
			want++
		}
		if got, ok := label.FailuresNeeded(caught, n, target, bound); !ok || got != want {
			t.Fatalf("%d of %d to %v: got %d, %v, want %d", caught, n, target, got, ok, want)
		}
	})
}

func TestNumbersTravelAsJSONWithoutNaN(t *testing.T) {
	for want, text := range map[label.Number]string{0.25: "0.25", 12: "12", label.Number(math.Inf(1)): "null"} {
		got, err := json.Marshal(want)
		if err != nil || string(got) != text {
			t.Errorf("%v: got %s, %v, want %s", float64(want), got, err, text)
		}
	}
	var back label.Number
	if err := json.Unmarshal([]byte("null"), &back); err != nil || !math.IsNaN(float64(back)) {
		t.Errorf("null: got %v, %v, want NaN", float64(back), err)
	}
	if err := json.Unmarshal([]byte("0.5"), &back); err != nil || back != 0.5 {
		t.Errorf("0.5: got %v, %v", float64(back), err)
	}
}
