//go:build real

package xgboost_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/model"
	"drumbeat/train/xgboost"
)

// library opens the real libxgboost that DRUMBEAT_XGBOOST names; without one
// the tests fail, they do not skip.
func library(tb testing.TB) *xgboost.Library {
	tb.Helper()
	path := os.Getenv("DRUMBEAT_XGBOOST")
	if path == "" {
		tb.Fatal("DRUMBEAT_XGBOOST: want the path of libxgboost.so")
	}
	l, err := xgboost.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Logf("libxgboost %s", l.Version())
	return l
}

var names = []string{"a", "b", "c", "d", "e", "f", "g", "h"}

// invent makes rows whose labels depend on a, b·c and on whether d is missing.
func invent(seed uint64, rows int, columns []string) *xgboost.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	d := &xgboost.Data{Names: columns}
	for range rows {
		x := make([]float32, len(columns))
		for j := range x {
			x[j] = float32(r.NormFloat64())
			if j%3 == 1 {
				x[j] = float32(math.Round(float64(x[j]) * 2)) // few values, zeros of both signs
			}
			if r.Float64() < 0.15 {
				x[j] = float32(math.NaN())
			}
		}
		score := zero(x[0]) + zero(x[1])*zero(x[2]) - 1
		if x[3] != x[3] {
			score++
		}
		y := float32(0)
		if score+0.5*r.NormFloat64() > 0 {
			y = 1
		}
		d.X, d.Y = append(d.X, x...), append(d.Y, y)
	}
	return d
}

func zero(x float32) float64 {
	if x != x {
		return 0
	}
	return float64(x)
}

func params() xgboost.Params {
	return xgboost.Params{
		Rounds: 60, MaxDepth: 6, Eta: 0.1, Subsample: 0.8, ColSample: 0.8, MinChild: 1,
		MaxBin: 64, Seed: 7, Threads: 2,
	}
}

func fit(tb testing.TB, l *xgboost.Library, p xgboost.Params, d *xgboost.Data) (*xgboost.Fit, *model.Ensemble) {
	tb.Helper()
	f, err := l.Train(context.Background(), p, d, nil, nil)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := model.Load(f.Trees)
	if err != nil {
		tb.Fatal(err)
	}
	return f, e
}

func TestOurTreesAreXGBoosts(t *testing.T) {
	l := library(t)
	for _, tc := range []struct {
		name    string
		change  func(*xgboost.Params)
		rows    int
		columns int
	}{
		{"depth 6, in the heap", func(*xgboost.Params) {}, 100_000, 40},
		{"depth 8, the heap's deepest", func(p *xgboost.Params) { p.MaxDepth = 8; p.Rounds = 21 }, 100_000, 8},
		{"depth 12, packed", func(p *xgboost.Params) { p.MaxDepth = 12; p.Rounds = 30; p.MinChild = 0 }, 20_000, 8},
		{"300 columns, packed", func(p *xgboost.Params) { p.Rounds = 10 }, 10_000, 300},
		{"a single split", func(p *xgboost.Params) { p.MaxDepth, p.Rounds = 1, 3 }, 10_000, 8},
		{"no tree at all", func(p *xgboost.Params) { p.Rounds = 0; p.BaseScore = 0.2 }, 10_000, 8},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := params()
			tc.change(&p)
			columns := make([]string, tc.columns)
			for i := range columns {
				columns[i] = "column_" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			}
			f, e := fit(t, l, p, invent(3, 4000, columns))
			peer, err := l.Load(f.Trees, tc.columns, 2)
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			rows := invent(4, tc.rows, columns)
			want, err := peer.Margins(rows.X)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, tc.rows)
			e.Margins(rows.X, got)
			for i := range want {
				row := rows.X[i*tc.columns : (i+1)*tc.columns]
				one := e.Margin(row)
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) || math.Float32bits(one) != math.Float32bits(want[i]) {
					t.Fatalf("row %d: got %v in a batch, %v alone, want %v", i, got[i], one, want[i])
				}
			}
			contributions(t, e, peer, rows.X[:500*tc.columns], tc.columns)
		})
	}
}

func contributions(t *testing.T, e *model.Ensemble, peer *xgboost.Predictor, x []float32, columns int) {
	t.Helper()
	want, err := peer.Contributions(x)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]float64, columns+1)
	worst := 0.0
	for i := range len(x) / columns {
		row := x[i*columns : (i+1)*columns]
		e.Explain(row, got)
		sum, margin := 0.0, float64(e.Margin(row))
		for j, v := range got {
			sum += v
			worst = max(worst, math.Abs(v-float64(want[i*(columns+1)+j])))
		}
		if math.Abs(sum-margin) > 1e-5*max(1, math.Abs(margin)) {
			t.Fatalf("row %d: contributions sum to %v, the margin is %v", i, sum, margin)
		}
	}
	t.Logf("largest difference of a contribution: %.1e", worst)
	if worst > 1e-5 {
		t.Errorf("a contribution differs by %v from XGBoost's own", worst)
	}
}

func TestTheSameSeedGivesTheSameTrees(t *testing.T) {
	l := library(t)
	d := invent(1, 3000, names)
	a, _ := fit(t, l, params(), d)
	b, _ := fit(t, l, params(), d)
	if !bytes.Equal(a.Trees, b.Trees) {
		t.Error("two fits with one seed differ")
	}
	p := params()
	p.Seed++
	if c, _ := fit(t, l, p, d); bytes.Equal(a.Trees, c.Trees) {
		t.Error("another seed gave the same trees")
	}
}

func TestPatienceKeepsTheBestRound(t *testing.T) {
	l := library(t)
	p := params()
	p.Rounds, p.Patience, p.Eta = 400, 10, 0.3
	f, err := l.Train(context.Background(), p, invent(1, 2000, names), invent(2, 2000, names), nil)
	if err != nil {
		t.Fatal(err)
	}
	best := 0
	for i, loss := range f.Loss {
		if loss < f.Loss[best] {
			best = i
		}
	}
	if f.Rounds != best+1 || len(f.Loss) != f.Rounds+p.Patience {
		t.Errorf("kept %d rounds of %d, the best was %d", f.Rounds, len(f.Loss), best+1)
	}
	e, err := model.Load(f.Trees)
	if err != nil {
		t.Fatal(err)
	}
	if e.Trees() != f.Rounds {
		t.Errorf("%d trees, want %d", e.Trees(), f.Rounds)
	}
}

func TestAFitEndsWithItsContext(t *testing.T) {
	l := library(t)
	ctx, cancel := context.WithCancel(context.Background())
	rounds := 0
	_, err := l.Train(ctx, params(), invent(1, 1000, names), nil, func(round, _ int) {
		if rounds = round; round == 5 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || rounds != 5 {
		t.Errorf("ended after round %d with %v", rounds, err)
	}
}

func TestWhatXGBoostRefusesIsAnErrorInWords(t *testing.T) {
	l := library(t)
	infinite := invent(1, 100, names)
	infinite.X[5] = float32(math.Inf(1))
	labels := invent(1, 100, names)
	labels.Y[3] = 2
	short := invent(1, 100, names)
	short.X = short.X[1:]
	for name, d := range map[string]*xgboost.Data{"an infinity": infinite, "a label of 2": labels, "a value too few": short} {
		_, err := l.Train(context.Background(), params(), d, nil, nil)
		if !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
	if _, err := l.Load([]byte("junkjunk"), 8, 1); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("junk: %v", err)
	}
}

func BenchmarkOneRow(b *testing.B) {
	l := library(b)
	columns := make([]string, 40)
	for i := range columns {
		columns[i] = "c" + strings.Repeat("x", i)
	}
	p := params()
	p.Rounds = 300
	f, e := fit(b, l, p, invent(1, 20_000, columns))
	peer, err := l.Load(f.Trees, 40, 1)
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	rows := invent(2, 1000, columns).X
	out := make([]float64, 41)
	margins := make([]float32, 1000)
	b.Run("margin/ours", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e.Margin(rows[i%1000*40 : (i%1000+1)*40])
		}
	})
	b.Run("margin/xgboost", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := peer.One(rows[i%1000*40 : (i%1000+1)*40]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("thousand/ours", func(b *testing.B) {
		for b.Loop() {
			e.Margins(rows, margins)
		}
	})
	b.Run("thousand/xgboost", func(b *testing.B) {
		for b.Loop() {
			if _, err := peer.Margins(rows); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("explain/ours", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			e.Explain(rows[i%1000*40:(i%1000+1)*40], out)
		}
	})
	b.Run("explain/xgboost", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := peer.Contributions(rows[i%1000*40 : (i%1000+1)*40]); err != nil {
				b.Fatal(err)
			}
		}
	})
}

var update = flag.Bool("update", false, "rewrite the files of package model's tests")

// TestTheFilesOfPackageModelsTestsAreXGBoosts compares the files that package
// model's own tests read, a model in both formats and what XGBoost says of
// some rows, with what XGBoost says today.
func TestTheFilesOfPackageModelsTestsAreXGBoosts(t *testing.T) {
	l := library(t)
	p := params()
	p.Rounds, p.MaxDepth, p.Threads = 11, 4, 1
	f, _ := fit(t, l, p, invent(9, 2000, names))
	peer, err := l.Load(f.Trees, len(names), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	text, err := peer.Save("json")
	if err != nil {
		t.Fatal(err)
	}
	rows := invent(10, 60, names)
	margins, err := peer.Margins(rows.X)
	if err != nil {
		t.Fatal(err)
	}
	contributions, err := peer.Contributions(rows.X)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	out.WriteString(strings.Join(names, ",") + ",margin,by_" + strings.Join(names, ",by_") + ",bias\n")
	for i, margin := range margins {
		numbers := append(slices.Clone(rows.X[i*len(names):(i+1)*len(names)]), margin)
		numbers = append(numbers, contributions[i*(len(names)+1):(i+1)*(len(names)+1)]...)
		cells := make([]string, len(numbers))
		for k, v := range numbers {
			if v == v {
				cells[k] = strconv.FormatFloat(float64(v), 'g', -1, 32)
			}
		}
		out.WriteString(strings.Join(cells, ",") + "\n")
	}
	for name, body := range map[string][]byte{"small.ubj": f.Trees, "small.json": text, "small.csv": []byte(out.String())} {
		path := filepath.Join("..", "..", "model", "testdata", name)
		if *update {
			if err := os.WriteFile(path, body, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, body) {
			t.Errorf("%s is not what XGBoost %s writes; look at the difference, then run with -update", name, l.Version())
		}
	}
}
