package alert_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/alert"
)

// machines returns whose alerts these are, in their order.
func machines(alerts []drumbeat.Alert) []drumbeat.MachineID {
	var all []drumbeat.MachineID
	for i := range alerts {
		all = append(all, alerts[i].Machine)
	}
	return all
}

func TestAlertsAreListedFromTheNewest(t *testing.T) {
	s := openNew(t)
	for i := range 7 {
		hour := float64(1 + i/2) // two at a time
		apply(t, s, batch(int64(i), prediction(drumbeat.MachineID(fmt.Sprint("W-", i)), hour, 0.9)))
	}
	apply(t, s, batch(7, entry(maintenance, "W-3", 9, 9)))
	all, err := s.List(t.Context(), alert.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 7 || all[0].Machine != "W-6" {
		t.Fatalf("got %v, want all seven from W-6", machines(all))
	}
	var paged []drumbeat.Alert
	filter := alert.Filter{Limit: 2}
	for len(paged) < 20 {
		page, err := s.List(t.Context(), filter)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		paged = append(paged, page...)
		filter.Before = page[len(page)-1].ID
	}
	if diff := cmp.Diff(all, paged); diff != "" {
		t.Errorf("alerts (-at once +by pages):\n%s", diff)
	}
	closed, err := s.List(t.Context(), alert.Filter{Closed: true})
	if got := machines(closed); err != nil || !slices.Equal(got, []drumbeat.MachineID{"W-3"}) {
		t.Errorf("closed: got %v, %v, want W-3", got, err)
	}
	history, err := s.History(t.Context(), "W-2", 9)
	if got := machines(history); err != nil || !slices.Equal(got, []drumbeat.MachineID{"W-2"}) {
		t.Errorf("history of W-2: got %v, %v", got, err)
	}
	if _, err := s.Alert(t.Context(), "x"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("an alert that is not there: got %v, want not found", err)
	}
}

func TestOpenAlertsAreListedByPresentRisk(t *testing.T) {
	s := openNew(t)
	apply(t, s, batch(0, prediction("W-1", 1, 0.9), prediction("W-2", 1, 0.5), prediction("W-3", 1, 0.7), prediction("W-1", 2, 0.1)))
	if got := machines(s.Open()); !slices.Equal(got, []drumbeat.MachineID{"W-3", "W-2", "W-1"}) {
		t.Errorf("got %v, want by risk", got)
	}
}

func TestCounts(t *testing.T) {
	s, a := opened(t)
	apply(t, s, batch(2, prediction("W-2", 7, 0.9), entry(maintenance, "W-2", 8, 8), prediction("W-3", 9, 0.9)))
	if _, err := s.Answer(t.Context(), answer(drumbeat.OutcomeRepaired, a.ID, 9)); err != nil {
		t.Fatal(err)
	}
	got, err := s.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := alert.Counts{
		Open: 1, Total: 3, Findings: 1, Applied: alert.Applied{Live: 4, Entries: 1},
		Outcomes: map[drumbeat.Outcome]int{drumbeat.OutcomeRepaired: 1, drumbeat.OutcomeMaintenance: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	findings, err := s.Findings(t.Context(), "W-1", 5)
	if err != nil || len(findings) != 1 {
		t.Errorf("findings about W-1: got %v, %v, want one", findings, err)
	}
}

func TestSubscribersHearOfEveryChangeOnceItIsDurable(t *testing.T) {
	s := openNew(t)
	changes, stop := s.Subscribe(10)
	apply(t, s, batch(0, prediction("W-1", 1, 0.9), prediction("W-1", 2, 0.8))) // opened and updated at once
	apply(t, s, batch(2, prediction("W-1", 3, 0.7)))
	apply(t, s, batch(3, prediction("W-2", 3, 0.1)))
	apply(t, s, batch(4, prediction("W-1", 4, 0.6), entry(maintenance, "W-1", 5, 5)))
	stop()
	stop() // twice is once
	var got []string
	for c := range changes {
		if stored, err := s.Alert(t.Context(), c.Alert.ID); err != nil || stored.Machine != c.Alert.Machine {
			t.Errorf("change of %s: stored %+v, %v", c.Alert.Machine, stored, err)
		}
		got = append(got, fmt.Sprint(c.Kind, " ", c.Alert.Latest.Probability, " ", c.Missed))
	}
	want := []string{"opened 0.8 false", "updated 0.7 false", "closed 0.6 false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestASlowSubscriberIsToldThatItMissedSomething(t *testing.T) {
	s := openNew(t)
	changes, stop := s.Subscribe(1)
	defer stop()
	for i := range 3 {
		apply(t, s, batch(int64(i), prediction("W-1", float64(i), 0.9)))
	}
	if c := <-changes; c.Kind != alert.Opened || c.Missed {
		t.Errorf("first: got %s, missed %v, want it opened and none missed", c.Kind, c.Missed)
	}
	apply(t, s, batch(3, prediction("W-1", 3, 0.9)))
	if c := <-changes; c.Kind != alert.Updated || !c.Missed {
		t.Errorf("next: got %s, missed %v, want an update that says what was missed", c.Kind, c.Missed)
	}
	counts, err := s.Counts(t.Context())
	if err != nil || counts.Applied.Forgotten != 2 {
		t.Errorf("forgotten: got %d, %v, want 2", counts.Applied.Forgotten, err)
	}
}

func TestClosingEndsSubscriptions(t *testing.T) {
	s := openAt(t, t.TempDir()+"/alerts.db")
	changes, stop := s.Subscribe(1)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, ok := <-changes; ok {
		t.Error("a change came from a closed store")
	}
	stop()
	late, _ := s.Subscribe(1)
	if _, ok := <-late; ok {
		t.Error("a change came from a closed store")
	}
}

func TestEveryOutcomeHasWords(t *testing.T) {
	outcomes := append(alert.Outcomes(), drumbeat.OutcomeLogFailure, drumbeat.OutcomeMaintenance,
		drumbeat.OutcomeUnanswered, drumbeat.OutcomeDown)
	for _, outcome := range outcomes {
		if alert.Words(outcome) == string(outcome) {
			t.Errorf("%s has no words", outcome)
		}
	}
}
