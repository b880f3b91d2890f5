package lake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"
)

func TestPredictionsWhoseAnswerWasLostAreNotWrittenAgainInALargerBatch(t *testing.T) {
	w := newWorld()
	store := &objstoretest.Breaker{Store: memory.New(time.Now), Moment: objstoretest.After, Once: true, WritesOnly: true}
	l := open(t, store)
	store.At = store.Calls() + 2 // the data file, then the commit
	first := predictions(between(w.items, itemAt, nil, w.cuts[0]))
	if err := l.AppendPredictions(t.Context(), first, 0, w.cuts[0]); !errors.Is(err, objstoretest.ErrBroken) {
		t.Fatalf("the broken write: %v", err)
	}
	if err := l.AppendPredictions(t.Context(), predictions(w.items), 0, w.ends); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("more, from the same place: %v, want a conflict", err)
	}
	rest := predictions(between(w.items, itemAt, l.PredictionProgress(0), w.ends))
	if err := l.AppendPredictions(t.Context(), rest, 0, w.ends); err != nil {
		t.Fatal(err)
	}
	var got []drumbeat.Prediction
	err := l.ScanPredictions(t.Context(), func(p []drumbeat.Prediction) error {
		got = append(got, p...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(first, rest...), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLabelsAndFindingsAreReadBack(t *testing.T) {
	store := memory.New(time.Now)
	l := open(t, store)
	p := drumbeat.Position{Epoch: 1, Partition: 2, Offset: 3, Index: 4}
	labels := []lake.Label{
		{Machine: "W-1", AsOf: start, Position: p, Horizon: "7d", Value: lake.LabelPositive, Source: "failure_log", MadeAt: start + 5, Policy: "p1"},
		{Machine: "W-2", AsOf: start, Horizon: "7d", Value: lake.LabelUnknown, MadeAt: drumbeat.NoTime},
	}
	findings := []drumbeat.Finding{{
		ID: "f1", Fleet: "laundry", Machine: "W-1", Alert: "a1", Outcome: drumbeat.OutcomeRepaired, Mode: "any", Part: "belt",
		Note: "worn, loud", Who: "ada", WhenFleet: start, WhenWall: start + 9, From: drumbeat.NoTime,
	}}
	if err := errors.Join(l.AppendLabels(t.Context(), labels), l.AppendFindings(t.Context(), findings)); err != nil {
		t.Fatal(err)
	}
	l = open(t, store)
	var gotLabels []lake.Label
	var gotFindings []drumbeat.Finding
	err := errors.Join(
		l.ScanLabels(t.Context(), func(x []lake.Label) error { gotLabels = append(gotLabels, x...); return nil }),
		l.ScanFindings(t.Context(), func(x []drumbeat.Finding) error { gotFindings = append(gotFindings, x...); return nil }))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(labels, gotLabels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(findings, gotFindings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	if err := l.AppendFindings(t.Context(), []drumbeat.Finding{{Machine: "W"}}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a finding without id: %v, want invalid", err)
	}
}

// BenchmarkSmallSilverAppend is one commit of a live run.
func BenchmarkSmallSilverAppend(b *testing.B) {
	var store delta.Store = memory.New(time.Now)
	l := open(b, store)
	s := newStream(1, 4)
	for b.Loop() {
		b.StopTimer()
		items := s.batch(100)
		b.StartTimer()
		if err := l.AppendSilver(b.Context(), lake.Silver{Items: items}, s.progress()); err != nil {
			b.Fatal(err)
		}
	}
}
