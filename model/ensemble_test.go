package model_test

import (
	"encoding/csv"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"drumbeat/model"
)

func TestMarginsFollowXGBoostsRuleToTheBit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                   string
		trees, depth, features int
	}{
		{"one leaf", 1, 0, 1},
		{"eight trees, one group", 8, 3, 4},
		{"a last group of five", 29, 6, 10},
		{"depth 8, the heap's deepest", 9, 8, 3},
		{"depth 9, packed", 9, 9, 3},
		{"depth 14, packed", 3, 14, 20},
		{"256 features, the heap's widest", 10, 5, 256},
		{"257 features, packed", 10, 5, 257},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			for _, seed := range seeds(6) {
				r := rand.New(rand.NewPCG(seed, 1))
				trees := forest(r, tc.trees, tc.depth, tc.features)
				e := load(t, document(trees, tc.features, "[5E-1]"))
				const rows = 37
				var x []float32
				for range rows {
					x = append(x, row(r, tc.features)...)
				}
				got := make([]float32, rows)
				e.Margins(x, got)
				for i := range rows {
					one := x[i*tc.features : (i+1)*tc.features]
					want := float32(0)
					for k := range trees {
						want += trees[k].margin(one)
					}
					if math.Float32bits(got[i]) != math.Float32bits(want) {
						t.Fatalf("seed %d, row %d in a batch: got %v, want %v", seed, i, got[i], want)
					}
					if alone := e.Margin(one); math.Float32bits(alone) != math.Float32bits(want) {
						t.Fatalf("seed %d, row %d alone: got %v, want %v", seed, i, alone, want)
					}
				}
			}
		})
	}
}

func TestARowThatEndsEarlyIsMissingTheRest(t *testing.T) {
	t.Parallel()
	for _, depth := range []int{5, 10} {
		r := rand.New(rand.NewPCG(1, 2))
		e := load(t, document(forest(r, 20, depth, 6), 6, "[5E-1]"))
		for range 50 {
			full := row(r, 6)
			full[4], full[5] = float32(math.NaN()), float32(math.NaN())
			if got, want := e.Margin(full[:4]), e.Margin(full); got != want {
				t.Fatalf("depth %d: got %v, want %v", depth, got, want)
			}
			long := append(append([]float32(nil), full...), 7)
			if got, want := e.Margin(long), e.Margin(full); got != want {
				t.Fatalf("depth %d, a value too many: got %v, want %v", depth, got, want)
			}
		}
	}
}

func TestTheBaseScoreBecomesTheBaseMargin(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float32{
		"5E-1": 0, "[5E-1]": 0, "[2E-1]": -1.3862944, "[8.902407E-2]": -2.3256097,
		"[0E0]": -13.815509, "[1E0]": 13.74516, // XGBoost's bounds, a millionth off 0 and 1
	} {
		e := load(t, document([]oakTree{}, 1, text))
		if got := e.Margin([]float32{1}); math.Abs(float64(got-want)) > 1e-6*math.Abs(float64(want)) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}

// The file was written by a test of train/xgboost under the build tag real,
// with -update: what XGBoost itself says of these rows.
func TestAFileOfXGBoostsOwnGivesItsOwnNumbers(t *testing.T) {
	t.Parallel()
	file, err := os.Open("testdata/small.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"testdata/small.json", "testdata/small.ubj"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		e, err := model.Load(text)
		if err != nil {
			t.Fatal(err)
		}
		n := len(e.Features())
		out := make([]float64, n+1)
		for i, line := range lines[1:] {
			numbers := make([]float64, len(line))
			for k, cell := range line {
				numbers[k] = math.NaN()
				if cell != "" {
					if numbers[k], err = strconv.ParseFloat(cell, 32); err != nil {
						t.Fatal(err)
					}
				}
			}
			x := model.Narrow(numbers[:n], nil)
			if got := e.Margin(x); got != float32(numbers[n]) {
				t.Fatalf("%s, row %d: margin %v, XGBoost says %v", name, i, got, float32(numbers[n]))
			}
			e.Explain(x, out)
			for k, got := range out {
				if want := numbers[n+1+k]; math.Abs(got-want) > 1e-5 {
					t.Fatalf("%s, row %d: contribution %d is %v, XGBoost says %v", name, i, k, got, want)
				}
			}
		}
	}
}

func BenchmarkEnsemble(b *testing.B) {
	const features = 40
	r := rand.New(rand.NewPCG(1, 1))
	trees := make([]oakTree, 300)
	for i := range trees {
		trees[i].full(r, 6, features, 1000)
	}
	e := load(b, document(trees, features, "[5E-1]"))
	const rows = 1024
	x := make([]float32, rows*features)
	for i := range x {
		if x[i] = float32(r.NormFloat64()); r.IntN(10) == 0 {
			x[i] = float32(math.NaN())
		}
	}
	margins := make([]float32, rows)
	out := make([]float64, features+1)
	b.Run("a row", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e.Margin(x[i%rows*features : (i%rows+1)*features])
		}
	})
	b.Run("1024 rows", func(b *testing.B) {
		for b.Loop() {
			e.Margins(x, margins)
		}
	})
	b.Run("explain a row", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e.Explain(x[i%rows*features:(i%rows+1)*features], out)
		}
	})
}

// full grows a tree without early leaves, as a hard case to walk.
func (t *oakTree) full(r *rand.Rand, depth, features int, cover float32) int {
	at := t.node(cover)
	if depth == 0 {
		t.Threshold[at] = float32(r.NormFloat64())
		return at
	}
	t.Feature[at], t.Missing[at], t.Threshold[at] = r.IntN(features), r.IntN(2), float32(r.NormFloat64())
	left := t.full(r, depth-1, features, cover/3)
	right := t.full(r, depth-1, features, cover-cover/3)
	t.Left[at], t.Right[at] = left, right
	return at
}
