package alert_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/alert"
)

// opened returns a store with one open alert, of W-1 since hour 2.
func opened(t *testing.T) (*alert.Store, drumbeat.Alert) {
	t.Helper()
	s := openNew(t)
	apply(t, s, batch(0, prediction("W-1", 2, 0.9), prediction("W-1", 6, 0.8)))
	return s, s.Open()[0]
}

func TestAnAnswerClosesItsAlertAndIsGroundTruth(t *testing.T) {
	s, a := opened(t)
	got, err := s.Answer(t.Context(), answer(drumbeat.OutcomeRepaired, a.ID, 8))
	if err != nil {
		t.Fatal(err)
	}
	want := drumbeat.Finding{
		ID: "F1", Fleet: "laundry", Machine: "W-1", Alert: a.ID, Outcome: drumbeat.OutcomeRepaired, Mode: "any",
		Part: "bearing", Note: "it rattled", Who: "kim", WhenFleet: at(8), WhenWall: at(5000), From: at(2),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	rows, err := s.FindingsAfter(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]alert.Answered{{Seq: 1, Finding: want}}, rows); diff != "" {
		t.Errorf("ground truth (-want +got):\n%s", diff)
	}
	closed, err := s.Alert(t.Context(), a.ID)
	if err != nil || closed.ClosedAt != at(8) || closed.Outcome != drumbeat.OutcomeRepaired || closed.FindingID != "F1" {
		t.Errorf("alert: got %+v, %v, want it closed at hour 8 by F1", closed, err)
	}
	if later, err := s.FindingsAfter(t.Context(), 1); err != nil || len(later) != 0 {
		t.Errorf("findings after the last: got %v, %v, want none", later, err)
	}
}

func TestAnAnswerIsNotOlderThanWhatItAnswers(t *testing.T) {
	s, a := opened(t)
	got, err := s.Answer(t.Context(), answer(drumbeat.OutcomeRepaired, a.ID, 3))
	if err != nil || got.WhenFleet != at(6) {
		t.Errorf("got %s, %v, want the arrival of the alert's newest row", got.WhenFleet, err)
	}
}

func TestTheSameAnswerAgainIsTheSameRow(t *testing.T) {
	s, a := opened(t)
	first, err := s.Answer(t.Context(), answer(drumbeat.OutcomeFailed, a.ID, 8))
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Answer(t.Context(), answer(drumbeat.OutcomeFailed, a.ID, 9))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("finding (-first +again):\n%s", diff)
	}
	if _, err := s.Answer(t.Context(), answer(drumbeat.OutcomeRepaired, a.ID, 8)); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("the same id with another outcome: got %v, want a conflict", err)
	}
	other := answer(drumbeat.OutcomeFailed, a.ID, 8)
	other.Note = "it burned"
	if _, err := s.Answer(t.Context(), other); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("the same id with another note: got %v, want a conflict", err)
	}
	if rows, err := s.FindingsAfter(t.Context(), 0); err != nil || len(rows) != 1 {
		t.Errorf("ground truth: got %v, %v, want one row", rows, err)
	}
}

func TestWhoAnswersAClosedAlertIsTold(t *testing.T) {
	s, a := opened(t)
	apply(t, s, batch(2, entry(failure, "W-1", 7, 7)))
	_, err := s.Answer(t.Context(), answer(drumbeat.OutcomeNothingWrong, a.ID, 8))
	if !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), "says the failure log") {
		t.Errorf("got %v, want a conflict that says how it closed", err)
	}
	if rows, err := s.FindingsAfter(t.Context(), 0); err != nil || len(rows) != 0 {
		t.Errorf("ground truth: got %v, %v, want none", rows, err)
	}
}

func TestAnAnswerAfterTheEndOfAnAlertComesTooLate(t *testing.T) {
	s, a := opened(t)
	if _, err := s.Answer(t.Context(), answer(drumbeat.OutcomeNothingWrong, a.ID, 6+7*24+0.1)); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
	if _, err := s.Answer(t.Context(), answer(drumbeat.OutcomeNothingWrong, a.ID, 6+7*24)); err != nil {
		t.Errorf("at its very end: got %v, want it taken", err)
	}
}

func TestOfTwoAnswersAtOnceOneIsTaken(t *testing.T) {
	s, a := opened(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			f := answer(drumbeat.OutcomeNothingWrong, a.ID, 8)
			f.ID = fmt.Sprint("F", i)
			_, errs[i] = s.Answer(t.Context(), f)
		})
	}
	wg.Wait()
	taken := 0
	for _, err := range errs {
		if err == nil {
			taken++
		} else if !errors.Is(err, drumbeat.ErrConflict) {
			t.Errorf("got %v, want a conflict", err)
		}
	}
	if taken != 1 {
		t.Errorf("%d answers were taken, want one", taken)
	}
}

func TestAFaultThatNoAlertForetold(t *testing.T) {
	s := openNew(t)
	apply(t, s, batch(0, prediction("W-1", 2, 0.1)))
	f := answer(drumbeat.OutcomeFailed, "", 8)
	f.Machine = "W-1"
	got, err := s.Answer(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	if got.Alert != "" || got.From != drumbeat.NoTime || got.WhenFleet != at(8) {
		t.Errorf("got %+v, want a report without alert and without a beginning", got)
	}
	if !s.Down("W-1", at(9)) {
		t.Error("a machine of which a technician says that it failed is not down")
	}
	apply(t, s, batch(1, prediction("W-1", 9, 0.9)))
	if len(s.Open()) != 0 {
		t.Error("an alert opened while the machine was down")
	}
}

func TestAReportAnswersTheOpenAlertOfItsMachine(t *testing.T) {
	s, a := opened(t)
	f := answer(drumbeat.OutcomeRepaired, "", 8)
	f.Machine = "W-1"
	got, err := s.Answer(t.Context(), f)
	if err != nil || got.Alert != a.ID || got.From != at(2) || len(s.Open()) != 0 {
		t.Errorf("got %+v, %v and %d open alerts, want the open alert answered", got, err, len(s.Open()))
	}
	again, err := s.Answer(t.Context(), f)
	if err != nil || again != got {
		t.Errorf("the same report again: got %+v, %v, want the same row", again, err)
	}
}

func TestAnAnswerOfOneModeLeavesTheOtherOpen(t *testing.T) {
	tests := map[drumbeat.Outcome]int{drumbeat.OutcomeRepaired: 1, drumbeat.OutcomeFailed: 0}
	for outcome, open := range tests {
		s := openNew(t)
		for i, mode := range []string{"bearing", "pump"} {
			p := prediction("W-1", 2, 0.9)
			p.Mode = mode
			apply(t, s, batch(int64(i), p))
		}
		for _, a := range s.Open() {
			if a.Mode == "bearing" {
				if _, err := s.Answer(t.Context(), answer(outcome, a.ID, 8)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if got := len(s.Open()); got != open {
			t.Errorf("after %s of the one: %d open alerts, want %d", outcome, got, open)
		}
	}
}

func TestWrongAnswersAreRefusedWithEveryFault(t *testing.T) {
	s, a := opened(t)
	tests := map[string]struct {
		change func(*drumbeat.Finding)
		kind   error
		says   []string
	}{
		"nothing at all": {
			func(f *drumbeat.Finding) { *f = drumbeat.Finding{WhenFleet: drumbeat.NoTime} }, drumbeat.ErrInvalid,
			[]string{"id:", "who:", "outcome:", "machine:", "both clocks"},
		},
		"an outcome of the log": {
			func(f *drumbeat.Finding) { f.Outcome = drumbeat.OutcomeLogFailure }, drumbeat.ErrInvalid, []string{"outcome: must be one of"},
		},
		"nothing wrong without an alert": {
			func(f *drumbeat.Finding) { f.Alert, f.Machine, f.Outcome = "", "W-1", drumbeat.OutcomeNothingWrong },
			drumbeat.ErrInvalid,
			[]string{"without an alert only"},
		},
		"another fleet":          {func(f *drumbeat.Finding) { f.Fleet = "dryers" }, drumbeat.ErrInvalid, []string{"fleet:"}},
		"another machine":        {func(f *drumbeat.Finding) { f.Machine = "W-2" }, drumbeat.ErrInvalid, []string{"is about W-1, not W-2"}},
		"an alert that is none":  {func(f *drumbeat.Finding) { f.Alert = "x" }, drumbeat.ErrNotFound, []string{"there is none"}},
		"a book for a note":      {func(f *drumbeat.Finding) { f.Note = strings.Repeat("x", 5000) }, drumbeat.ErrInvalid, []string{"note:"}},
		"a note that is no text": {func(f *drumbeat.Finding) { f.Note = "\xff" }, drumbeat.ErrInvalid, []string{"note:"}},
	}
	for name, test := range tests {
		f := answer(drumbeat.OutcomeRepaired, a.ID, 8)
		test.change(&f)
		_, err := s.Answer(t.Context(), f)
		if !errors.Is(err, test.kind) {
			t.Errorf("%s: got %v, want %v", name, err, test.kind)
			continue
		}
		for _, says := range test.says {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %q does not say %q", name, err, says)
			}
		}
	}
	if len(s.Open()) != 1 {
		t.Error("a refused answer closed the alert")
	}
}

func TestFindingsCannotBeRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	defer s.Close()
	f := answer(drumbeat.OutcomeFailed, "", 8)
	f.Machine = "W-1"
	if _, err := s.Answer(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"DELETE FROM finding", "UPDATE finding SET who = 'x'"} {
		if err := edit(t, path, statement); err == nil || !strings.Contains(err.Error(), "never changes") {
			t.Errorf("%s: got %v, want it refused", statement, err)
		}
	}
	if got, err := s.Finding(t.Context(), "F1"); err != nil || got.Who != "kim" {
		t.Errorf("finding: got %+v, %v", got, err)
	}
	if _, err := s.Finding(t.Context(), "F2"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a finding that is not there: got %v, want not found", err)
	}
}

func TestAlertsSurviveReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	apply(t, s, batch(0, prediction("W-1", 2, 0.9)))
	a := s.Open()[0]
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	defer s.Close()
	if diff := cmp.Diff([]drumbeat.Alert{a}, s.Open()); diff != "" {
		t.Errorf("open alerts (-before +after):\n%s", diff)
	}
	if _, err := s.Answer(t.Context(), answer(drumbeat.OutcomeNothingWrong, a.ID, 8)); err != nil {
		t.Fatal(err)
	}
	apply(t, s, batch(1, prediction("W-1", 9, 0.9)))
	if len(s.Open()) != 0 {
		t.Error("a closed alert opened again before it was re-armed")
	}
}
