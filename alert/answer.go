package alert

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"drumbeat"
)

// MaxTextBytes bounds each text of a finding: a note is a paragraph.
const MaxTextBytes = 4096

// Outcomes lists what a technician may say (A2), in the order of the page.
func Outcomes() []drumbeat.Outcome {
	return []drumbeat.Outcome{
		drumbeat.OutcomeFailed, drumbeat.OutcomeRepaired, drumbeat.OutcomeNothingWrong,
		drumbeat.OutcomeSensorWrong, drumbeat.OutcomeNotInspected,
	}
}

// Answered is a finding as a row of ground truth.
type Answered struct {
	Seq int64 `json:"seq"` // grows
	drumbeat.Finding
}

// Answer takes a finding: an answer to an open alert, or, without one, the
// report of a fault that no alert foretold. It fills in what the alert says
// (fleet, machine, failure mode, where its rows begin) and returns what is now
// a durable row of ground truth. The same finding again returns that row.
//
// WhenFleet is raised to the arrival of the alert's newest row: nobody answers
// what has not happened yet, though the fleet's clock, the least over all
// partitions, may lag behind this machine's own.
//
// An alert that is closed by now is drumbeat.ErrConflict, with a sentence for
// the technician.
func (s *Store) Answer(ctx context.Context, f drumbeat.Finding) (drumbeat.Finding, error) {
	f.Fleet = orElse(f.Fleet, s.fleet.Name)
	if err := s.check(&f); err != nil {
		return drumbeat.Finding{}, err
	}
	f.WhenFleet, f.WhenWall = f.WhenFleet.Cut(), f.WhenWall.Cut()
	s.mu.Lock()
	defer s.mu.Unlock()
	before, err := s.findings(ctx, findingColumns+`WHERE id = ?`, f.ID)
	if err != nil {
		return drumbeat.Finding{}, fmt.Errorf("answer: %w", err)
	}
	if len(before) > 0 {
		return repeated(&f, &before[0].Finding)
	}
	w := s.begin()
	alert, err := s.alertFor(ctx, w, &f)
	if err != nil {
		return drumbeat.Finding{}, err
	}
	if err := w.answer(&f, alert); err != nil {
		return drumbeat.Finding{}, err
	}
	if err := w.commit(ctx); err != nil {
		return drumbeat.Finding{}, fmt.Errorf("answer: %w", err)
	}
	return f, nil
}

// check reports every fault of a finding at once.
func (s *Store) check(f *drumbeat.Finding) error {
	var faults []string
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	if f.ID == "" {
		fault("id: must not be empty: it tells a repeated answer from a new one")
	}
	if f.Fleet != s.fleet.Name {
		fault("fleet: must be %s (got %s)", s.fleet.Name, f.Fleet)
	}
	if f.Who == "" {
		fault("who: must not be empty")
	}
	switch {
	case !slices.Contains(Outcomes(), f.Outcome):
		fault("outcome: must be one of %v (got %q)", Outcomes(), f.Outcome)
	case f.Alert == "" && f.Outcome != drumbeat.OutcomeFailed && f.Outcome != drumbeat.OutcomeRepaired:
		fault("outcome: without an alert only %s or %s can be reported (got %s)",
			drumbeat.OutcomeFailed, drumbeat.OutcomeRepaired, f.Outcome)
	}
	if f.Alert == "" && f.Machine == "" {
		fault("machine: must not be empty where no alert is named")
	}
	if f.WhenFleet == drumbeat.NoTime || f.WhenWall == drumbeat.NoTime {
		fault("when: both clocks must be given (T6)")
	}
	texts := []struct{ path, text string }{
		{"id", f.ID},
		{"who", f.Who},
		{"failure_mode", f.Mode},
		{"part", f.Part},
		{"note", f.Note},
		{"alert", f.Alert},
		{"machine", string(f.Machine)},
	}
	for _, t := range texts {
		if len(t.text) > MaxTextBytes || !utf8.ValidString(t.text) {
			fault("%s: must be text of at most %d bytes", t.path, MaxTextBytes)
		}
	}
	if len(faults) > 0 {
		return fmt.Errorf("answer: %s: %w", strings.Join(faults, "; "), drumbeat.ErrInvalid)
	}
	return nil
}

// repeated answers a finding that was sent before.
func repeated(f, before *drumbeat.Finding) (drumbeat.Finding, error) {
	same := (f.Alert == before.Alert || f.Alert == "") && (f.Machine == before.Machine || f.Machine == "") &&
		f.Outcome == before.Outcome && f.Part == before.Part && f.Note == before.Note && f.Who == before.Who &&
		(f.Mode == before.Mode || f.Mode == "")
	if !same {
		return drumbeat.Finding{}, fmt.Errorf("answer: finding %s was given before and said %s by %s: %w",
			f.ID, before.Outcome, before.Who, drumbeat.ErrConflict)
	}
	return *before, nil
}

// alertFor returns the open alert that a finding answers, nil if it reports
// a fault of its own. A report about a machine with an open alert answers it:
// the first of the failure modes, if there are several.
func (s *Store) alertFor(ctx context.Context, w *work, f *drumbeat.Finding) (*drumbeat.Alert, error) {
	if f.Alert == "" {
		for _, mode := range w.modes(f.Machine) {
			if alert := w.openAlert(key{f.Machine, mode}); alert != nil {
				return alert, nil
			}
		}
		return nil, nil //nolint:nilnil // no alert is an answer here
	}
	alert, err := s.Alert(ctx, f.Alert)
	if err != nil {
		return nil, fmt.Errorf("answer: %w", err)
	}
	if f.Machine != "" && f.Machine != alert.Machine {
		return nil, fmt.Errorf("answer: machine: alert %s is about %s, not %s: %w",
			f.Alert, alert.Machine, f.Machine, drumbeat.ErrInvalid)
	}
	if alert.ClosedAt != drumbeat.NoTime {
		return nil, fmt.Errorf("answer: the alert of machine %s is closed since %s (%s); report a fault without it: %w",
			alert.Machine, alert.ClosedAt, Words(alert.Outcome), drumbeat.ErrConflict)
	}
	return &alert, nil
}

// answer puts a finding into the work and closes what it closes.
func (w *work) answer(f *drumbeat.Finding, alert *drumbeat.Alert) error {
	f.From = drumbeat.NoTime
	if alert != nil {
		f.Alert, f.Machine, f.From = alert.ID, alert.Machine, alert.OpenedAt
		f.Mode = orElse(f.Mode, alert.Mode)
		f.WhenFleet = max(f.WhenFleet, alert.Latest.AsOf, alert.Latest.ArrivalTime)
	}
	w.findings = append(w.findings, f)
	w.watch(key{f.Machine, AnyMode})
	for _, mode := range w.modes(f.Machine) {
		k := key{f.Machine, mode}
		answered := alert != nil && alert.Mode == mode
		if !answered && f.Outcome != drumbeat.OutcomeFailed {
			continue // another mode's alert is another question, unless the machine failed
		}
		w.follow(k, w.watch(k).Finding(f, w.steps[:0]), nil)
		if answered {
			closed := w.alerts[alert.ID]
			if closed == nil || closed.Outcome != f.Outcome {
				return fmt.Errorf("answer: the alert of machine %s ended at %s, before this: %w",
					alert.Machine, alert.LastAbove.Add(w.store.rule.Horizon), drumbeat.ErrConflict)
			}
			closed.FindingID = f.ID
		}
	}
	return nil
}

// Words says how an alert ended, for people.
func Words(o drumbeat.Outcome) string {
	switch o {
	case drumbeat.OutcomeFailed:
		return "it failed"
	case drumbeat.OutcomeRepaired:
		return "found a fault, repaired"
	case drumbeat.OutcomeNothingWrong:
		return "nothing wrong"
	case drumbeat.OutcomeSensorWrong:
		return "sensor is wrong"
	case drumbeat.OutcomeNotInspected:
		return "not inspected"
	case drumbeat.OutcomeLogFailure:
		return "it failed, says the failure log"
	case drumbeat.OutcomeMaintenance:
		return "it was serviced, says the maintenance log"
	case drumbeat.OutcomeUnanswered:
		return "nobody answered"
	case drumbeat.OutcomeDown:
		return "it had failed already"
	}
	return string(o)
}

func orElse[T ~string](value, other T) T {
	if value == "" {
		return other
	}
	return value
}
