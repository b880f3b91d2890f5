package train_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/train"
)

func rows(times ...drumbeat.Time) *train.Dataset {
	d := &train.Dataset{}
	for _, at := range times {
		d.Rows = append(d.Rows, train.Row{Machine: "a", AsOf: at})
	}
	return d
}

func daily(n int) *train.Dataset {
	var all []drumbeat.Time
	for d := range n {
		all = append(all, begin.Add(time.Duration(d)*day))
	}
	return rows(all...)
}

func truth(w *world) train.Input {
	return train.Input{Fleet: w.fleet, View: w.view, Truth: label.NewTruth(w.fleet, 0, w.entries, nil, w.now)}
}

func TestAPinnedSplitKeepsItsGaps(t *testing.T) {
	t.Parallel()
	w := newWorld()
	at := func(d int) drumbeat.Time { return begin.Add(time.Duration(d) * day) }
	w.fleet.Split = &fleet.Split{TrainUntil: at(50), TestFrom: at(80), TestUntil: at(95)}
	w.fail("a", at(52))  // seen by the labels of the last training rows
	w.fail("a", at(60))  // validation's
	w.fail("a", at(97))  // seen by the last test rows
	w.fail("a", at(120)) // beyond
	s, err := train.SplitOf(daily(100), truth(w))
	if err != nil {
		t.Fatal(err)
	}
	want := [3]train.Span{
		{Part: "train", From: at(0), Until: at(50), Failures: 1},
		{Part: "validation", From: at(53), Until: at(77), Failures: 1},
		{Part: "test", From: at(80), Until: at(95), Failures: 1},
	}
	if diff := cmp.Diff(want, s.Spans); diff != "" || !s.Pinned || s.Gap != "3d" {
		t.Error(diff, s.Pinned, s.Gap)
	}
}

func TestNoLabelOfAPartLooksIntoTheNext(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		w.fleet.Label.Horizon = time.Duration(rapid.IntRange(1, 10).Draw(t, "horizon")) * day
		gaps := rapid.SliceOfN(rapid.IntRange(0, 30), 50, 200).Draw(t, "hours between rows")
		at, all := begin, []drumbeat.Time{}
		for _, hours := range gaps {
			at = at.Add(time.Duration(hours) * time.Hour)
			all = append(all, at)
		}
		s, err := train.SplitOf(rows(all...), truth(w))
		if err != nil {
			if !errors.Is(err, drumbeat.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		for p := range 2 {
			if s.Spans[p].Until.Add(w.fleet.Label.Horizon) > s.Spans[p+1].From {
				t.Fatalf("part %d ends at %s, the next begins at %s", p, s.Spans[p].Until, s.Spans[p+1].From)
			}
		}
		last := -1
		for _, at := range all {
			if p := s.Part(at); p >= 0 {
				if p < last {
					t.Fatalf("parts are out of order at %s", at)
				}
				last = p
			}
		}
		if s.Part(all[0]) != 0 || s.Part(at) != 2 {
			t.Fatalf("the first row is in part %d, the last in %d", s.Part(all[0]), s.Part(at))
		}
	})
}

func TestAChosenSplitGivesMostRowsToTraining(t *testing.T) {
	t.Parallel()
	s, err := train.SplitOf(daily(100), truth(newWorld()))
	if err != nil {
		t.Fatal(err)
	}
	var n [3]int
	for d := range 100 {
		if p := s.Part(begin.Add(time.Duration(d) * day)); p >= 0 {
			n[p]++
		}
	}
	if n[0] < 50 || n[1] < 15 || n[2] < 18 {
		t.Errorf("train, validation and test got %v of 100 days", n)
	}
}

func TestTooShortAHistoryIsToldInWords(t *testing.T) {
	t.Parallel()
	w := newWorld()
	for name, tc := range map[string]struct {
		set  *train.Dataset
		want string
	}{
		"eleven days for a horizon of three": {daily(12), "at least 4 horizons of 3d"},
		"no row at all":                      {rows(), "gold of view mill_health has no rows"},
	} {
		_, err := train.SplitOf(tc.set, truth(w))
		if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	w.fleet.Split = &fleet.Split{TrainUntil: begin.Add(50 * day), TestFrom: begin.Add(55 * day), TestUntil: drumbeat.NoTime}
	if _, err := train.SplitOf(daily(100), truth(w)); err == nil || !strings.Contains(err.Error(), "no time is left for the validation rows") {
		t.Errorf("a pinned split without room: %v", err)
	}
}

func TestHorizonsAreWrittenAsInFleetFiles(t *testing.T) {
	t.Parallel()
	f := newWorld().fleet
	for want, d := range map[string]time.Duration{"3d": 72 * time.Hour, "1d": day, "36h": 36 * time.Hour, "1m30s": 90 * time.Second} {
		if got := train.HorizonText(f, d); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
