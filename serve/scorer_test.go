package serve_test

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/model"
	"drumbeat/serve"
)

// vector makes a vector of nulls with some features set.
func vector(v *feature.View, set map[string]float64) *drumbeat.Vector {
	out := &drumbeat.Vector{
		Machine: "W-001", AsOf: start, Position: drumbeat.Position{Epoch: 1, Offset: 7}, ArrivalTime: start + 1,
		Values: feature.Nulls(len(v.Features)), Coverage: 1, Running: true,
	}
	for name, value := range set {
		out.Values[v.Index(name)] = value
	}
	return out
}

func scorer(t testing.TB, v *feature.View, m *model.Model) *serve.Scorer {
	t.Helper()
	s := serve.NewScorer(v.Fleet)
	if err := s.Swap(serve.Models{Champion: &serve.Live{Version: 3, View: v, Model: m}}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAPredictionCarriesWhatItWasMadeFrom(t *testing.T) {
	v := laundry(t)
	s := scorer(t, v, shaken(t, v))
	got, err := s.Score(vector(v, map[string]float64{"vibration_now": 70}), serve.Asked{
		Purpose: drumbeat.PurposeLive, ReadingID: "1/0/9/0", Flags: []string{serve.FlagStale},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := drumbeat.Prediction{
		Fleet: "laundry", Machine: "W-001", AsOf: start, Position: drumbeat.Position{Epoch: 1, Offset: 7}, ArrivalTime: start + 1,
		ReadingID: "1/0/9/0", Hash: v.Hash, Model: 3, Role: drumbeat.RoleChampion, Purpose: drumbeat.PurposeLive,
		Horizon: "7d", Mode: "any", Margin: float64(float32(3) + float32(-0.5) + float32(0.1)), Threshold: 0.45, Alarm: true,
		Running: true, Flags: []string{serve.FlagStale},
	}
	want.Margin, want.Probability = got.Margin, 1/(1+math.Exp(-got.Margin))
	if math.Abs(got.Margin-2.6) > 1e-6 {
		t.Errorf("margin %v, want 2.6", got.Margin)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("prediction (-want +got):\n%s", diff)
	}
}

func TestAnAlarmIsStrictlyAboveTheThreshold(t *testing.T) {
	v := laundry(t)
	m := forest(t, v, split{"vibration_now", 60, 0, 0}) // margin 0: probability 0.5 exactly
	for threshold, want := range map[float64]bool{0.4999: true, 0.5: false, 0.5001: false} {
		v.Fleet.Policy.Threshold = threshold
		p, err := scorer(t, v, m).Score(vector(v, nil), serve.Asked{})
		if err != nil || p.Probability != 0.5 || p.Alarm != want {
			t.Errorf("0.5 against %v: alarm %t at %v, %v; want %t", threshold, p.Alarm, p.Probability, err, want)
		}
	}
}

func TestAPredictionSaysWhatLimitsIt(t *testing.T) {
	v := laundry(t)
	s := scorer(t, v, shaken(t, v))
	x := vector(v, nil)
	x.WarmingUp, x.Overflow, x.Coverage = true, true, 0.49
	p, err := s.Score(x, serve.Asked{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{serve.FlagWarmingUp, serve.FlagOverflow, serve.FlagLowCoverage}
	if diff := cmp.Diff(want, p.Flags); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestContributionsAndBiasAddUpToTheMargin(t *testing.T) {
	v := laundry(t)
	s := scorer(t, v, shaken(t, v))
	for _, x := range []*drumbeat.Vector{
		vector(v, nil),
		vector(v, map[string]float64{"vibration_now": 70, "errors_7d": 9, "model_year": 2019}),
		vector(v, map[string]float64{"vibration_now": 10, "errors_7d": 0, "model_year": 2000}),
	} {
		p, err := s.Score(x, serve.Asked{Why: serve.WhyAlways})
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Explain(x)
		if err != nil {
			t.Fatal(err)
		}
		sum := e.Bias
		for _, r := range e.Reasons {
			sum += r.Contribution
		}
		if math.Abs(sum-p.Margin) > 1e-4*max(1, math.Abs(p.Margin)) {
			t.Errorf("bias and contributions make %v, the margin is %v", sum, p.Margin)
		}
		if len(e.Reasons) != len(v.Features) || len(p.Reasons) != 5 || p.Reasons[0].Feature != "vibration_now" {
			t.Errorf("%d reasons of %d features; %d with the prediction, first %s",
				len(e.Reasons), len(v.Features), len(p.Reasons), p.Reasons[0].Feature)
		}
	}
}

func TestReasonsAreWorkedOutWhenAsked(t *testing.T) {
	v := laundry(t)
	s := scorer(t, v, shaken(t, v))
	loud, quiet := vector(v, map[string]float64{"vibration_now": 70}), vector(v, map[string]float64{"vibration_now": 1})
	for _, tc := range []struct {
		why         serve.Why
		loud, quiet int
	}{{serve.WhyNever, 0, 0}, {serve.WhyAlarm, 5, 0}, {serve.WhyAlways, 5, 5}} {
		p, _ := s.Score(loud, serve.Asked{Why: tc.why})
		q, _ := s.Score(quiet, serve.Asked{Why: tc.why})
		if len(p.Reasons) != tc.loud || len(q.Reasons) != tc.quiet {
			t.Errorf("why %d: %d and %d reasons, want %d and %d", tc.why, len(p.Reasons), len(q.Reasons), tc.loud, tc.quiet)
		}
	}
}

func TestReasonsReadAsWords(t *testing.T) {
	v := laundry(t)
	usual := serve.NewUsual(v)
	for range 100 {
		x := vector(v, map[string]float64{"vibration_now": 48, "runtime_total": 12_000, "hours_since_maintenance": 30})
		usual.Add("W-001", x.Values)
	}
	s := serve.NewScorer(v.Fleet)
	if err := s.Swap(serve.Models{Champion: &serve.Live{Version: 1, View: v, Model: shaken(t, v)}, Usual: map[drumbeat.Hash]*serve.Usual{v.Hash: usual}}); err != nil {
		t.Fatal(err)
	}
	e, err := s.Explain(vector(v, map[string]float64{
		"vibration_now": 62.12345, "runtime_total": 12_345.6, "hours_since_maintenance": 1480, "errors_7d": 0,
		"model_year": 2019, "age_group": 2, "location_north": 1, "location_south": 0, "temp_std_1d": 0.03123,
	}))
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, r := range e.Reasons {
		text[r.Feature] = r.Text
	}
	for name, want := range map[string]string{
		"vibration_now":           "vibration, latest within 1 hour: 62.1 Hz; usual for this machine: 48 Hz (+29 %)",
		"runtime_total":           "running time, latest within 7 days: 12,346 h; usual for this machine: 12,000 h (+3 %)",
		"hours_since_maintenance": "time since the last maintenance: 61.7 days; usual for this machine: 30 h",
		"errors_7d":               "error codes, sum of 7 days: 0",
		"model_year":              "model year: 2019",
		"age_group":               "age group: legacy",
		"location_north":          "location is north",
		"location_south":          "location is not south",
		"temp_std_1d":             "temperature, spread over 1 day: 0.031 °C",
		"pressure_min_1d":         "pressure, lowest of 1 day: no value",
	} {
		if text[name] != want {
			t.Errorf("%s:\n got %q\nwant %q", name, text[name], want)
		}
	}
}

func TestUsualIsTheMedianOfWhatAMachineShowed(t *testing.T) {
	v := laundry(t)
	u := serve.NewUsual(v)
	var seen []float64
	x := uint64(1)
	for range 5000 {
		x = x*6364136223846793005 + 1442695040888963407
		value := float64(x>>40) / float64(1<<24)
		value = value * value // skewed, so that mean and median differ
		seen = append(seen, value)
		u.Add("W-001", []float64{value, math.NaN()})
	}
	slices.Sort(seen)
	got, ok := u.Of("W-001", 0)
	if want := seen[2500]; !ok || math.Abs(got-want) > 0.01 {
		t.Errorf("usual %v, %t; the median is %v", got, ok, want)
	}
	if _, ok := u.Of("W-001", 1); ok {
		t.Error("something is usual for a feature that was always null")
	}
	if _, ok := u.Of("W-002", 0); ok {
		t.Error("something is usual for a machine that was never seen")
	}
}

func TestWithoutAModelThereIsNoPrediction(t *testing.T) {
	v := laundry(t)
	s := serve.NewScorer(v.Fleet)
	if _, err := s.Score(vector(v, nil), serve.Asked{}); !errors.Is(err, serve.ErrNoModel) {
		t.Errorf("score without a model: %v, want ErrNoModel", err)
	}
	if _, err := s.Explain(vector(v, nil)); !errors.Is(err, serve.ErrNoModel) {
		t.Errorf("explain without a model: %v, want ErrNoModel", err)
	}
}

func TestModelsAreSwappedBetweenPredictions(t *testing.T) {
	v := laundry(t)
	models := []serve.Models{
		{Champion: &serve.Live{Version: 1, View: v, Model: forest(t, v, split{"vibration_now", 60, -1, -1})}},
		{Champion: &serve.Live{Version: 2, View: v, Model: forest(t, v, split{"vibration_now", 60, 1, 1})}},
	}
	s := serve.NewScorer(v.Fleet)
	if err := s.Swap(models[0]); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				if err := s.Swap(models[i%2]); err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	x := vector(v, nil)
	for range 20_000 {
		p, err := s.Score(x, serve.Asked{})
		if err != nil || (p.Model == 1) != (p.Margin == -1) {
			t.Fatalf("version %d with margin %v, %v", p.Model, p.Margin, err)
		}
	}
	close(done)
	wg.Wait()
}

func TestScoringAQuietVectorAllocatesNothing(t *testing.T) {
	v := laundry(t)
	s := scorer(t, v, shaken(t, v))
	x := vector(v, nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = s.Score(x, serve.Asked{Why: serve.WhyAlarm}) }); n > 0 {
		t.Errorf("%.0f allocations a prediction, want none", n)
	}
	said := make([]drumbeat.Prediction, 0, 1)
	if n := testing.AllocsPerRun(100, func() { said = s.Models().Predict(v.Hash, x, said[:0]) }); n > 0 {
		t.Errorf("%.0f allocations a vector of the stream, want none", n)
	}
}
