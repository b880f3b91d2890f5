package train_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/train"
)

// carried is a value as the next process reads it.
func carried[T any](t *testing.T, from *T) *T {
	t.Helper()
	text, err := json.Marshal(from)
	if err != nil {
		t.Fatal(err)
	}
	into := new(T)
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
	return into
}

func pinned(t *testing.T, w *world, pin *train.Pin) train.Input {
	t.Helper()
	in, err := w.sources(t).Input(carried(t, pin))
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestWhatComesAfterAPinChangesNoRowAndNoLabel(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.live(3, 50, 120)
	w.grow() // findings there are before the pin too
	pin := w.sources(t).Pin(0)
	want, err := train.NewDataset(t.Context(), w.input(t))
	if err != nil {
		t.Fatal(err)
	}
	failures := w.input(t).Truth.Failures()
	for range 2 {
		w.grow()
		slices.Reverse(w.findings) // no order is promised
		in := pinned(t, w, &pin)
		got, err := train.NewDataset(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-before +after):\n%.2000s", diff)
		}
		if diff := cmp.Diff(failures, in.Truth.Failures()); diff != "" {
			t.Errorf("failures:\n%.2000s", diff)
		}
	}
	later, err := train.NewDataset(t.Context(), w.input(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(later.Rows) == len(want.Rows) || len(later.Changes(want)) < 100 {
		t.Error("what came after would have changed nothing: the test shows nothing")
	}
}

func TestAPinKnowsEpochsAndPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.vector("a", begin, 1, 2, 3, 4)
	s := w.sources(t)
	entry := func(epoch, partition int32, offset int64) drumbeat.Item {
		return drumbeat.Item{
			Kind: drumbeat.KindEntry, Machine: "a", EventTime: begin.Add(time.Duration(offset) * day),
			Position: drumbeat.Position{Epoch: epoch, Partition: partition, Offset: offset},
			Entry:    drumbeat.Entry{Log: "failure", ID: "e"},
		}
	}
	distinct := func(entries ...drumbeat.Item) []drumbeat.Item {
		for i := range entries {
			entries[i].Entry.ID = entries[i].Position.String()
		}
		return entries
	}
	s.Entries = distinct(entry(0, 1, 9), entry(1, 0, 2), entry(1, 1, 4), entry(1, 1, 3))
	s.FleetNow = begin.Add(30 * day)
	pin := s.Pin(0)
	s.Entries = append(s.Entries, distinct(entry(1, 0, 5), entry(1, 2, 1), entry(2, 0, 0))...)
	in, err := s.Input(&pin)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range in.Truth.Failures() {
		got = append(got, f.Ref)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"0/1/9/0", "1/0/2/0", "1/1/3/0", "1/1/4/0"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSourcesThatWereChangedCannotBeReadAsPinned(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*train.Sources){
		"another view": func(s *train.Sources) {
			view := *s.View
			view.Hash = "beef"
			s.View = &view
		},
		"another seed": func(s *train.Sources) { s.Fleet.Train.Seed++ },
		"another split": func(s *train.Sources) {
			s.Fleet.Split = &fleet.Split{TrainUntil: begin, TestFrom: begin, TestUntil: drumbeat.NoTime}
		},
		"a finding that is gone":    func(s *train.Sources) { s.Findings = s.Findings[1:] },
		"a finding from the past":   func(s *train.Sources) { s.Findings = append(s.Findings, drumbeat.Finding{ID: "x"}) },
		"another reporting horizon": func(s *train.Sources) { s.Fleet.Label.ReportingLag++ },
	} {
		w := newWorld()
		w.vector("a", begin, 1, 2, 3, 4)
		w.grow()
		s := w.sources(t)
		pin := s.Pin(0)
		if _, err := s.Input(&pin); err != nil {
			t.Errorf("%s, before: %v", name, err)
		}
		change(s)
		if _, err := s.Input(&pin); !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), "start a new run") {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
}

func TestAFailureLogThatStoppedIsToldInWords(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mark time.Duration // how far the log is complete
		days int
		want string
	}{
		"before the first row": {-30 * day, 40, "none of the 40 rows has a known label"},
		"soon after it":        {10 * day, 40, "at least 4 horizons of 3d"},
	} {
		w := newWorld()
		for d := range tc.days {
			w.vector("a", begin.Add(time.Duration(d)*day), 1, 2, 3, 4)
		}
		w.now = begin.Add(time.Duration(tc.days) * day)
		to := begin.Add(tc.mark)
		w.entries = append(w.entries, drumbeat.Item{
			Kind: drumbeat.KindWatermark, Machine: "a", EventTime: to, ArrivalTime: to, Position: w.position(),
			Watermark: drumbeat.Watermark{Log: "failure", CompleteTo: to},
		})
		_, err := train.SplitOf(dataset(t, w), w.input(t))
		if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), tc.want) ||
			!strings.Contains(err.Error(), "complete only to "+to.String()) || !strings.Contains(err.Error(), "watermark") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
