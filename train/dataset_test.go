package train_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/train"
)

func dataset(t *testing.T, w *world) *train.Dataset {
	t.Helper()
	d, err := train.NewDataset(context.Background(), w.input(t))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// times lists what was picked, as machine and time after the beginning.
func times(d *train.Dataset) []string {
	var out []string
	for i := range d.Rows {
		out = append(out, string(d.Rows[i].Machine)+" "+d.Rows[i].AsOf.Sub(begin).String()+" "+d.Rows[i].Verdict.Value.String())
	}
	return out
}

func TestTheLastReadingOfEachIntervalIsPicked(t *testing.T) {
	t.Parallel()
	w := newWorld()
	hour := func(h int) drumbeat.Time { return begin.Add(time.Duration(h) * time.Hour) }
	w.vector("a", hour(2), 1, 2, 3, 4)
	w.vector("a", hour(23), 1, 2, 3, 4)
	w.vector("b", hour(5), 1, 2, 3, 4)
	w.vector("b", hour(4), 1, 2, 3, 4)
	w.vector("a", hour(20), 1, 2, 3, 4)                                   // came later, happened earlier
	w.vector("a", hour(23), 5, 2, 3, 4)                                   // the same time, known later: this one
	w.vector("a", hour(23), 6, 2, 3, 4).MadeBy = drumbeat.CauseCorrection // no reading's own row
	w.vector("a", hour(24), 1, 2, 3, 4)                                   // belongs to the next day
	w.vector("b", hour(30), 1, 2, 3, 4).WarmingUp = true
	w.vector("b", hour(47), 1, 2, 3, 4)
	w.vector("b", hour(50), 1, 2, 3, 4).WarmingUp = true // warming up and last of its day: the day is left out
	w.now = hour(24 * 30)
	d := dataset(t, w)
	want := []string{"a 23h0m0s negative", "a 24h0m0s negative", "b 5h0m0s negative", "b 47h0m0s negative"}
	if diff := cmp.Diff(want, times(d)); diff != "" {
		t.Error(diff)
	}
	if got := d.Rows[0].Position.Offset; got != 5 {
		t.Errorf("picked the row at offset %d, want the later of the two, 5", got)
	}
	counts := train.RowCounts{Gold: 11, Corrections: 1, Grid: 5, WarmingUp: 1}
	counts.ByReason, counts.Parts = d.Counts.ByReason, d.Counts.Parts
	if diff := cmp.Diff(counts, d.Counts); diff != "" {
		t.Error(diff)
	}
}

func TestIntervalsBefore1970AreWholeToo(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.vector("a", drumbeat.Time(-1000), 1, 2, 3, 4)
	w.vector("a", 0, 1, 2, 3, 4)
	w.now = begin
	if d := dataset(t, w); len(d.Rows) != 2 {
		t.Errorf("a row before and one after midnight of 1970 gave %d rows, want 2", len(d.Rows))
	}
}

func TestUnlabelledRowsAreCountedByReason(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for d := range 10 {
		w.vector("a", begin.Add(time.Duration(d)*day), 1, 2, 3, 4)
	}
	w.fail("a", begin.Add(2*day-time.Hour)) // down until a day later, for lack of a repair
	w.now = begin.Add(10 * day)             // complete to day 9: labels to day 6
	d := dataset(t, w)
	want := []string{
		"a 0s positive", "a 24h0m0s positive", "a 48h0m0s unknown", "a 72h0m0s negative", "a 96h0m0s negative",
		"a 120h0m0s negative", "a 144h0m0s negative", "a 168h0m0s unknown", "a 192h0m0s unknown", "a 216h0m0s unknown",
	}
	if diff := cmp.Diff(want, times(d)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"down": 1, "incomplete": 3}, d.Counts.ByReason); diff != "" {
		t.Error(diff)
	}
}

func TestAFindingChangesTheNextTrainingSet(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for d := range 10 {
		w.vector("a", begin.Add(time.Duration(d)*day), 1, 2, 3, 4)
		w.vector("b", begin.Add(time.Duration(d)*day), 1, 2, 3, 4)
	}
	w.now = begin.Add(10 * day)
	before := dataset(t, w)
	at := begin.Add(8*day + time.Hour)
	w.findings = []drumbeat.Finding{{
		ID: "f1", Fleet: "mill", Machine: "a", Outcome: drumbeat.OutcomeRepaired, Who: "kim", WhenFleet: at, From: at.Add(-5 * day),
	}}
	got := dataset(t, w).Changes(before)
	var want []train.Change
	for _, d := range []int{6, 7, 8} { // the alert's, within 3 days before the repair
		was := "unknown"
		if d == 6 {
			was = "negative"
		}
		want = append(want, train.Change{
			Machine: "a", AsOf: begin.Add(time.Duration(d) * day), Before: was, After: "positive", Source: "repaired", Ref: "f1",
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := dataset(t, w).Changes(dataset(t, w)); len(again) != 0 {
		t.Errorf("the same set twice differs: %v", again)
	}
}

func TestAnIncompleteFailureLogIsToldInWords(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.fleet.FailureLog.Kind = fleet.CompleteUnknown
	w.vector("a", begin, 1, 2, 3, 4)
	w.now = begin.Add(30 * day)
	_, err := train.NewDataset(context.Background(), w.input(t))
	if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), "failure_log") {
		t.Errorf("got %v", err)
	}
}
