//go:build real

package train_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/model"
	"drumbeat/objstore/memory"
	"drumbeat/registry"
	"drumbeat/registry/local"
	"drumbeat/train"
	"drumbeat/train/xgboost"
)

// options name the real libxgboost that DRUMBEAT_XGBOOST points at; without
// one the tests fail, they do not skip.
func options(tb testing.TB) train.Options {
	tb.Helper()
	path := os.Getenv("DRUMBEAT_XGBOOST")
	if path == "" {
		tb.Fatal("DRUMBEAT_XGBOOST: want the path of libxgboost.so")
	}
	l, err := xgboost.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	return train.Options{Library: l, Threads: 2, Program: "test"}
}

func run(t *testing.T, w *world) *train.Result {
	t.Helper()
	r, err := train.Run(context.Background(), w.input(t), options(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func played() *world {
	w := newWorld()
	w.live(1, 50, 120)
	for i := 0; i < 50*480; i += 501 { // a second reading of the same time
		v := w.vectors[i]
		w.vector(v.Machine, v.AsOf, v.Values[0], 9, 9, 9).WarmingUp = v.WarmingUp
	}
	return w
}

func TestAModelLearnsWhatThereIsToLearn(t *testing.T) {
	t.Parallel()
	w := played()
	r := run(t, w).Report
	t.Log(r.Sentence, r.Warnings)
	within := func(name string, got train.Number, low, high float64) {
		if v := float64(got); !(v >= low && v <= high) {
			t.Errorf("%s is %v, want %v to %v", name, v, low, high)
		}
	}
	within("roc_auc", r.ROCAUC, 0.8, 0.99)
	within("shuffled_roc_auc", r.ShuffledROCAUC, 0.45, 0.55)
	within("base_rate", r.BaseRate, 0.01, 0.2)
	within("shuffled_pr_auc", r.ShuffledPRAUC, 0, 2*float64(r.BaseRate))
	within("pr_auc", r.PRAUC, float64(r.BestSingleFeature.PRAUC)+0.02, 0.95)
	within("pr_auc_interval", r.PRAUC, float64(r.PRAUCInterval[0]), float64(r.PRAUCInterval[1]))
	within("roc_auc_interval", r.ROCAUC, float64(r.ROCAUCInterval[0]), float64(r.ROCAUCInterval[1]))
	within("event_recall", r.EventRecall, float64(r.EventRecallInterval[0]), float64(r.EventRecallInterval[1]))
	within("mean probability over base rate", r.Calibration.TestMean/r.BaseRate, 0.7, 1.4)
	within("always-alarm precision over the alerts'", r.AlwaysAlarm.Precision/r.Precision, 0, 0.8)
	if r.BestSingleFeature.Name != "wear" && r.BestSingleFeature.Name != "heat" {
		t.Errorf("best single feature is %s", r.BestSingleFeature.Name)
	}
	c := r.Rows
	kept := c.InGaps
	for _, part := range c.Parts {
		kept += part.Rows
	}
	if c.Gold != len(w.vectors) || c.Grid != c.WarmingUp+c.Unlabelled+kept || c.WarmingUp != 50*3 {
		t.Errorf("rows do not add up: %+v", c)
	}
	if !strings.Contains(r.Sentence, "At 0.45") || !strings.Contains(r.Sentence, "on the test rows themselves") {
		t.Error(r.Sentence)
	}
}

func TestTheSameInputGivesTheSameModel(t *testing.T) {
	t.Parallel()
	w := played()
	a, b := run(t, w), run(t, w)
	left, err := a.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	right, err := b.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name := range left {
		if !bytes.Equal(left[name], right[name]) {
			t.Errorf("%s differs", name)
		}
	}
	if !bytes.Equal(a.Manifest.Measures, b.Manifest.Measures) {
		t.Error(cmp.Diff(string(a.Manifest.Measures), string(b.Manifest.Measures)))
	}
}

func TestEventsAreMeasuredOnEveryLiveRow(t *testing.T) {
	t.Parallel()
	w := played()
	// A correction in the test time: one certain alarm that no reading made.
	last := w.vectors[len(w.vectors)-50*40]
	for range 30 {
		v := w.vector(last.Machine, last.AsOf, last.Values...)
		v.MadeBy = drumbeat.CauseCorrection
	}
	r := run(t, w)
	test := r.Report.Split.Spans[2]
	from := test.From.Add(-w.fleet.Label.Horizon)
	truth := w.input(t).Truth
	events := label.NewEvents(truth, label.EventOptions{
		Threshold: 0.45, MinLead: time.Hour, From: test.From, Until: test.Until, Bootstrap: label.Bootstrap{Seed: 1},
	})
	n := 0
	for i := range w.vectors {
		v := &w.vectors[i]
		if v.AsOf < from || v.AsOf >= test.Until {
			continue
		}
		n++
		_, p := r.Model.Score(v.Values)
		events.Add(&label.Row{
			Machine: v.Machine, AsOf: v.AsOf, Arrival: v.ArrivalTime, Position: v.Position, Probability: p, Running: v.Running,
		})
	}
	want := events.Measures()
	if r.Report.LiveRows != n {
		t.Errorf("%d live rows, want %d", r.Report.LiveRows, n)
	}
	if got := r.Report.Events; got.Caught != want.Caught || got.Missed != want.Missed || got.Load != want.Load {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestARegisteredModelScoresAsTheTrainedOne(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	w := played()
	r := run(t, w)
	reg, err := local.Open(ctx, filepath.Join(t.TempDir(), "registry.db"), memory.New(time.Now), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	v, err := r.Register(ctx, reg, "run-1", "kim", w.now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.PromoteFirst(ctx, reg, &v, "kim", w.now); err != nil {
		t.Fatal(err)
	}
	champion, _, err := registry.Champion(ctx, reg, "mill")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range champion.Files {
		if files[f.Name], err = reg.Read(ctx, &champion, f.Name); err != nil {
			t.Fatal(err)
		}
	}
	m, err := model.Decode(files)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(w.vectors); i += 97 {
		a, p := r.Model.Score(w.vectors[i].Values)
		b, q := m.Score(w.vectors[i].Values)
		if a != b || p != q {
			t.Fatalf("row %d: %v, %v and %v, %v", i, a, p, b, q)
		}
	}
	var report train.Report
	if err := json.Unmarshal(champion.Manifest.Measures, &report); err != nil {
		t.Fatal(err)
	}
	if report.PRAUC != r.Report.PRAUC || math.IsNaN(float64(report.PRAUC)) {
		t.Errorf("the manifest says %v, the report %v", report.PRAUC, r.Report.PRAUC)
	}
	if champion.Manifest.Data["train_rows"] != int64(r.Report.Rows.Parts["train"].Rows) || champion.Manifest.Library != "xgboost 3.2.0" {
		t.Errorf("lineage: %+v", champion.Manifest.Data)
	}
}

func TestWithoutFailuresThereIsNothingToLearn(t *testing.T) {
	t.Parallel()
	w := played()
	w.entries = nil
	_, err := train.Run(context.Background(), w.input(t), options(t))
	if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), "0 positive") ||
		!strings.Contains(err.Error(), "0 failures are known in all") {
		t.Errorf("got %v", err)
	}
}

func TestATrainingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	opt := options(t)
	opt.Progress = func(stage string, done, _ int) {
		if stage == "fit" && done == 5 {
			cancel()
		}
	}
	if _, err := train.Run(ctx, played().input(t), opt); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
