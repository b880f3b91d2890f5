package label_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"drumbeat"
	"drumbeat/label"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func scoresOf(t testing.TB, scores []float64, positives string) *label.Scores {
	t.Helper()
	machines := make([]drumbeat.MachineID, len(scores))
	values := make([]label.Value, len(scores))
	for i := range scores {
		machines[i] = drumbeat.MachineID(fmt.Sprint("W-", i%7))
		values[i] = map[byte]label.Value{'+': label.Positive, '-': label.Negative, '?': label.Unknown}[positives[i]]
	}
	s, err := label.NewScores(machines, scores, values)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAreas(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name      string
		scores    []float64
		positives string
		pr, roc   float64
	}{
		{"a perfect order", []float64{4, 3, 2, 1}, "++--", 1, 1},
		{"the worst order", []float64{4, 3, 2, 1}, "--++", (1.0/3 + 2.0/4) / 2, 0},
		{"all scores equal is the base rate and a coin", []float64{1, 1, 1, 1}, "+--+", 0.5, 0.5},
		{"a textbook case", []float64{0.1, 0.4, 0.35, 0.8}, "--++", (1 + 2.0/3) / 2, 0.75},
		{"a tie counts half", []float64{2, 1, 1}, "-+-", 1.0 / 3, 0.25},
		{"unknown rows are left out", []float64{9, 4, 8, 3}, "?+?-", 1, 1},
		{"a missing score ranks last", []float64{nan, 1, 2}, "+--", 1.0 / 3, 0},
		{"no positive row: nothing to measure", []float64{1, 2}, "--", nan, nan},
		{"no negative row: no ROC", []float64{1, 2}, "++", 1, nan},
		{"no row at all", nil, "", nan, nan},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := scoresOf(t, test.scores, test.positives)
			got, want := []float64{s.PRAUC(), s.ROCAUC()}, []float64{test.pr, test.roc}
			if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-15)); diff != "" {
				t.Errorf("PR-AUC and ROC-AUC (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAreasAreWhatTheDefinitionsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "rows")
		scores, positive := make([]float64, n), make([]bool, n)
		machines, values := make([]drumbeat.MachineID, n), make([]label.Value, n)
		for i := range n {
			scores[i] = float64(rapid.IntRange(0, 9).Draw(t, "score")) / 10
			positive[i] = rapid.Bool().Draw(t, "positive")
			if positive[i] {
				values[i] = label.Positive
			}
		}
		s, err := label.NewScores(machines, scores, values)
		if err != nil {
			t.Fatal(err)
		}
		var pairs, wins float64
		for i := range n {
			for j := range n {
				if positive[i] && !positive[j] {
					pairs++
					switch {
					case scores[i] > scores[j]:
						wins++
					case scores[i] == scores[j]:
						wins += 0.5
					}
				}
			}
		}
		if got := s.ROCAUC(); pairs > 0 && got != wins/pairs {
			t.Errorf("ROC-AUC: got %v, want %v", got, wins/pairs)
		}
		var ap, recall float64
		for cut := 10; cut >= 0; cut-- { // scores at or above cut/10
			var tp, fp, all float64
			for i := range n {
				if positive[i] {
					all++
				}
				if scores[i] >= float64(cut)/10 {
					if positive[i] {
						tp++
					} else {
						fp++
					}
				}
			}
			if tp > 0 {
				ap += (tp/all - recall) * (tp / (tp + fp))
				recall = tp / all
			}
		}
		if got := s.PRAUC(); recall > 0 && math.Abs(got-ap) > 1e-12 {
			t.Errorf("PR-AUC: got %v, want %v", got, ap)
		}
	})
}

func TestRowMeasures(t *testing.T) {
	s := scoresOf(t, []float64{0.9, 0.8, 0.45, 0.4, 0.2, 0.7}, "+-+--?")
	got := s.Measures(0.45, label.Bootstrap{Seed: 7})
	want := label.RowMeasures{
		Threshold: 0.45, Rows: 5, Unknown: 1, Positives: 2,
		Confusion: label.Confusion{TruePositives: 1, FalsePositives: 1, TrueNegatives: 2, FalseNegatives: 1},
		Precision: label.ProportionOf(1, 2), Recall: label.ProportionOf(1, 2), BaseRate: label.Wilson(2, 5),
	}
	ignore := cmpopts.IgnoreFields(label.RowMeasures{}, "F1", "PRAUC", "ROCAUC")
	if diff := cmp.Diff(want, got, ignore); diff != "" {
		t.Errorf("measures (-want +got):\n%s", diff)
	}
	if got.F1.Value != 0.5 {
		t.Errorf("F1: got %v, want 0.5", got.F1.Value)
	}
	if diff := cmp.Diff(got, s.Measures(0.45, label.Bootstrap{Seed: 7}), cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("the same seed gives another interval:\n%s", diff)
	}
}

func TestBootstrapDrawsWholeMachines(t *testing.T) {
	// Two machines, one of them always right, the other always wrong: an
	// interval over rows would be narrow, over machines it is all there is.
	var machines []drumbeat.MachineID
	var scores []float64
	var values []label.Value
	for i := range 1000 {
		machines = append(machines, "right", "wrong")
		scores = append(scores, float64(i%2), float64(i%2))
		values = append(values, label.Value(i%2), label.Value(1-i%2))
	}
	s, err := label.NewScores(machines, scores, values)
	if err != nil {
		t.Fatal(err)
	}
	got := s.Measures(0.5, label.Bootstrap{Seed: 3}).ROCAUC
	if want := (label.Interval{Value: 0.5, Low: 0, High: 1}); got != want {
		t.Errorf("ROC-AUC: got %+v, want %+v", got, want)
	}
}

func TestBootstrapIntervalCoversTheTruth(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	covered := 0
	const worlds = 60
	for range worlds {
		var machines []drumbeat.MachineID
		var scores []float64
		var values []label.Value
		for m := range 40 {
			for range 10 {
				positive := random.Float64() < 0.3
				score := random.NormFloat64()
				if positive {
					score++
				}
				machines = append(machines, drumbeat.MachineID(strconv.Itoa(m)))
				scores = append(scores, score)
				values = append(values, map[bool]label.Value{true: label.Positive}[positive])
			}
		}
		s, err := label.NewScores(machines, scores, values)
		if err != nil {
			t.Fatal(err)
		}
		got := s.Measures(0, label.Bootstrap{Seed: 5, Resamples: 100}).ROCAUC
		const truth = 0.7602 // of two normals one apart
		if got.Low <= truth && truth <= got.High {
			covered++
		}
	}
	if covered < worlds*85/100 {
		t.Errorf("the 95 %% interval covered the truth in %d of %d worlds", covered, worlds)
	}
}

func TestNewScoresRefusesColumnsOfDifferentLengths(t *testing.T) {
	_, err := label.NewScores(make([]drumbeat.MachineID, 2), make([]float64, 3), make([]label.Value, 2))
	if !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("got %v, want an invalid input", err)
	}
}

func TestWilson(t *testing.T) {
	tests := []struct {
		k, n      int
		low, high float64
	}{{0, 10, 0, 0.2775}, {10, 10, 0.7225, 1}, {5, 10, 0.2366, 0.7634}, {8, 10, 0.4902, 0.9433}, {99, 100, 0.9455, 0.9982}}
	for _, test := range tests {
		got := label.Wilson(test.k, test.n)
		if math.Abs(got.Low-test.low) > 5e-5 || math.Abs(got.High-test.high) > 5e-5 || got.Value != float64(test.k)/float64(test.n) {
			t.Errorf("Wilson(%d, %d): got %+v, want %v to %v", test.k, test.n, got, test.low, test.high)
		}
	}
	if got := label.Wilson(0, 0); !math.IsNaN(got.Value) {
		t.Errorf("Wilson(0, 0): got %+v, want nothing", got)
	}
}

func TestIntervalsTravelAsJSONWithoutNaN(t *testing.T) {
	in := []label.Interval{{0.5, 0.25, 0.75}, {math.NaN(), math.NaN(), math.NaN()}, {0.5, math.NaN(), math.Inf(1)}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"value":0.5,"low":0.25,"high":0.75},{"value":null,"low":null,"high":null},{"value":0.5,"low":null,"high":null}]`
	if string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	var out []label.Interval
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	in[2].High = math.NaN()
	if diff := cmp.Diff(in, out, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("round trip (-want +got):\n%s", diff)
	}
}

func TestCountedRows(t *testing.T) {
	machines := []drumbeat.MachineID{"a", "b", "a", "a", "a", "a", "b"}
	asOf := []drumbeat.Time{at(1), at(1), at(2), at(2), at(1), at(3), at(1)}
	// a: 1; 2 superseded by a correction at 2; 1 again, too late; 3. b: 1 corrected.
	want := []bool{true, false, false, true, false, true, true}
	if got := label.Counted(machines, asOf); !slices.Equal(got, want) {
		t.Errorf("counted: got %v, want %v", got, want)
	}
}
