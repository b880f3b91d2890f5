package model_test

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/model"
)

func sample(t *testing.T) *model.Model {
	t.Helper()
	r := rand.New(rand.NewPCG(3, 4))
	m, err := model.New(bytesOf(t, document(forest(r, 10, 4, 3), 3, "[1E-1]")), model.Description{
		Fleet: "laundry", View: "machine_health", Hash: "abc", Features: []string{"f0", "f1", "f2"},
		Horizon: "7d", HorizonTime: 168 * time.Hour,
		Calibrator: model.Calibrator{Method: model.Platt, Slope: 0.9, Intercept: -0.2},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestAModelComesBackAsItWas(t *testing.T) {
	t.Parallel()
	m := sample(t)
	files, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	files["report.json"] = []byte("{}") // others may lie beside
	back, err := model.Decode(files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.Description, back.Description); diff != "" {
		t.Error(diff)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		values := []float64{r.NormFloat64(), math.NaN(), r.NormFloat64() * 1e300}
		a, p := m.Score(values)
		b, q := back.Score(values)
		if a != b || p != q || !(p > 0 && p < 1) {
			t.Errorf("%v: got %v, %v, want %v, %v", values, b, q, a, p)
		}
		sum := 0.0
		for _, v := range back.Explain(values, nil) {
			sum += v
		}
		if math.Abs(sum-a) > 1e-5*max(1, math.Abs(a)) {
			t.Errorf("reasons sum to %v, the margin is %v", sum, a)
		}
	}
}

func TestFilesThatDoNotBelongTogetherAreRefused(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, want string
		kind       error
		change     func(files map[string][]byte)
	}{
		{"no description", model.FileModel, drumbeat.ErrInvalid, func(f map[string][]byte) { delete(f, model.FileModel) }},
		{"no trees", "checksum", drumbeat.ErrInvalid, func(f map[string][]byte) { delete(f, model.FileTrees) }},
		{"altered trees", "checksum", drumbeat.ErrInvalid, func(f map[string][]byte) {
			f[model.FileTrees] = append([]byte(nil), f[model.FileTrees]...)
			f[model.FileTrees][10] ^= 1
		}},
		{"a newer format", "format 2", drumbeat.ErrNewer, func(f map[string][]byte) {
			f[model.FileModel] = bytes.Replace(f[model.FileModel], []byte(`"format": 1`), []byte(`"format": 2`), 1)
		}},
		{"other features", "features", drumbeat.ErrInvalid, func(f map[string][]byte) {
			f[model.FileModel] = bytes.Replace(f[model.FileModel], []byte(`"f1"`), []byte(`"g1"`), 1)
		}},
		{"a calibrator that falls", "platt", drumbeat.ErrInvalid, func(f map[string][]byte) {
			f[model.FileModel] = bytes.Replace(f[model.FileModel], []byte(`0.9`), []byte(`-0.9`), 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			files, err := sample(t).Encode()
			if err != nil {
				t.Fatal(err)
			}
			tc.change(files)
			_, err = model.Decode(files)
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q and %v", err, tc.want, tc.kind)
			}
		})
	}
}

func TestNumbersBeyondFloat32StayOnTheirSide(t *testing.T) {
	t.Parallel()
	got := model.Narrow([]float64{1e300, -1e300, math.Inf(1), math.Inf(-1), 0.1, math.MaxFloat32}, nil)
	want := []float32{math.MaxFloat32, -math.MaxFloat32, math.MaxFloat32, -math.MaxFloat32, 0.1, math.MaxFloat32}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if x := model.Narrow([]float64{math.NaN()}, nil); !math.IsNaN(float64(x[0])) {
		t.Errorf("missing became %v", x[0])
	}
}

func TestACalibratedProbabilityNeverFallsAndIsNeverCertain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]model.Calibrator{
		"platt":       {Method: model.Platt, Slope: 1.3, Intercept: -2},
		"steep platt": {Method: model.Platt, Slope: 1e5},
		"flat platt":  {Method: model.Platt, Intercept: -1},
		"isotonic": {
			Method: model.Isotonic, Margins: []float64{-4, -1, 0, 0.5, 3}, Chances: []float64{0.001, 0.1, 0.1, 0.4, 0.99},
		},
		"one knot": {Method: model.Isotonic, Margins: []float64{0}, Chances: []float64{0.3}},
	} {
		if err := c.Validate(); err != nil {
			t.Fatal(name, err)
		}
		last := 0.0
		for margin := -1e4; margin <= 1e4; margin += 0.37 {
			if margin > -50 && margin < 50 {
				margin -= 0.36
			}
			p := c.Probability(margin)
			if !(p > 0 && p < 1) || p < last {
				t.Fatalf("%s: %v at %v after %v", name, p, margin, last)
			}
			last = p
		}
	}
	c := model.Calibrator{Method: model.Isotonic, Margins: []float64{-1, 1}, Chances: []float64{0.2, 0.6}}
	for margin, want := range map[float64]float64{-9: 0.2, -1: 0.2, 0: 0.4, 0.5: 0.5, 1: 0.6, 9: 0.6} {
		if got := c.Probability(margin); math.Abs(got-want) > 1e-15 {
			t.Errorf("at %v: got %v, want %v", margin, got, want)
		}
	}
}

func TestACalibratorThatCannotBeOneIsRefused(t *testing.T) {
	t.Parallel()
	nan := math.NaN()
	for name, c := range map[string]model.Calibrator{
		"no method":           {},
		"a slope of NaN":      {Method: model.Platt, Slope: nan},
		"a falling slope":     {Method: model.Platt, Slope: -1},
		"no knots":            {Method: model.Isotonic},
		"a knot without":      {Method: model.Isotonic, Margins: []float64{1}},
		"falling":             {Method: model.Isotonic, Margins: []float64{1, 2}, Chances: []float64{0.2, 0.1}},
		"two at one margin":   {Method: model.Isotonic, Margins: []float64{1, 1}, Chances: []float64{0.1, 0.2}},
		"certain":             {Method: model.Isotonic, Margins: []float64{1}, Chances: []float64{1}},
		"a margin of NaN":     {Method: model.Isotonic, Margins: []float64{nan}, Chances: []float64{0.5}},
		"an endless margin":   {Method: model.Isotonic, Margins: []float64{math.Inf(1)}, Chances: []float64{0.5}},
		"a chance that is no": {Method: model.Isotonic, Margins: []float64{0}, Chances: []float64{nan}},
	} {
		if err := c.Validate(); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
