package label

import (
	"slices"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// Rule is what alerts of a fleet obey (A1, L2).
type Rule struct {
	Horizon  time.Duration // H
	DownMax  time.Duration
	Resolves []string // maintenance types that close an alert; empty: all
	Terminal bool     // a failure is final
}

// RuleOf returns the rule of a fleet; a horizon of 0 is the fleet's own.
func RuleOf(f *fleet.Fleet, horizon time.Duration) *Rule {
	if horizon == 0 {
		horizon = f.Label.Horizon
	}
	return &Rule{
		Horizon: horizon, DownMax: f.Label.DownMax,
		Resolves: slices.Clone(f.Label.Resolves), Terminal: f.FailureIsTerminal,
	}
}

func (r *Rule) resolves(kind string) bool {
	return len(r.Resolves) == 0 || slices.Contains(r.Resolves, kind)
}

// Row is a scored row: what measures and alerts need of a prediction.
type Row struct {
	Machine     drumbeat.MachineID
	AsOf        drumbeat.Time
	Arrival     drumbeat.Time // of the item at Position; NoTime: as AsOf
	Position    drumbeat.Position
	Probability float64 // calibrated
	Running     bool    // the machine should report after this (W7)
}

func (r *Row) arrival() drumbeat.Time {
	if r.Arrival == drumbeat.NoTime {
		return r.AsOf
	}
	return r.Arrival
}

// StepKind says what a Watch did.
type StepKind uint8

// The steps of an alert.
const (
	StepOpened StepKind = iota
	StepUpdated
	StepClosed
)

// Step is one thing that happened to a machine's alert.
type Step struct {
	Kind    StepKind
	Outcome drumbeat.Outcome // of StepClosed
	// At is the row's as_of, or when the alert closed on the fleet's clock.
	At drumbeat.Time
}

// Watch is the alert rule A1 for one machine and failure mode: a pure state
// machine, fed in the order of positions. The zero Watch with a Rule has seen
// nothing. Every method appends what happened to dst, at most two steps, and
// returns it.
//
// A timer fires in the order of its machine's items: an item that arrived at
// or before the end of an alert meets it open, a later one finds it closed,
// however the clock of the fleet is read between them (T6).
type Watch struct {
	Rule  *Rule
	State WatchState
}

// WatchState is all that a Watch remembers. It is plain data, for storing.
type WatchState struct {
	Open      bool              `json:"open,omitempty"`
	OpenedAt  drumbeat.Time     `json:"opened_at"` // as_of of the row that opened it
	OpenedPos drumbeat.Position `json:"opened_position"`
	LastAbove drumbeat.Time     `json:"last_above"`
	// Disarmed holds from a close until the risk was at or below the
	// threshold once, or H later.
	Disarmed bool          `json:"disarmed,omitempty"`
	ClosedAt drumbeat.Time `json:"closed_at"`
	// Newest is the greatest as_of seen, NewestPos the greatest position at it.
	Newest    drumbeat.Time     `json:"newest"`
	NewestPos drumbeat.Position `json:"newest_position"`
	Log       logbook           `json:"log"`
}

// NewWatch returns the watch of a machine that nothing is known of.
func NewWatch(rule *Rule) *Watch {
	return &Watch{Rule: rule, State: WatchState{
		OpenedAt: drumbeat.NoTime, LastAbove: drumbeat.NoTime,
		ClosedAt: drumbeat.NoTime, Newest: drumbeat.NoTime,
	}}
}

// Clone returns a copy that shares nothing that changes.
func (w *Watch) Clone() *Watch {
	c := *w
	c.State.Log = w.State.Log.clone()
	return &c
}

// Down says whether the machine is down at t, by what is known so far (L2).
func (w *Watch) Down(t drumbeat.Time) bool { return w.State.Log.down(t, w.Rule) }

// Superseded says whether a row tells nothing new: a row of a later as_of, or
// of the same at a later position, has been seen (S3). Such a row changes
// nothing.
func (w *Watch) Superseded(asOf drumbeat.Time, position drumbeat.Position) bool {
	s := &w.State
	return asOf < s.Newest || asOf == s.Newest && position.Compare(s.NewestPos) < 0
}

// Row takes a live row of the champion; above says that its probability is
// strictly above its threshold.
func (w *Watch) Row(row *Row, above bool, dst []Step) []Step {
	now := row.arrival()
	dst = w.Tick(now, dst)
	if w.Superseded(row.AsOf, row.Position) {
		return dst
	}
	s := &w.State
	s.Newest, s.NewestPos = row.AsOf, row.Position
	if s.Open {
		if above {
			s.LastAbove = row.AsOf
		}
		return append(dst, Step{Kind: StepUpdated, At: row.AsOf})
	}
	if !above {
		s.Disarmed = false
		return dst
	}
	if s.Disarmed && now < s.ClosedAt.Add(w.Rule.Horizon) {
		return dst
	}
	// A row whose own end has passed would open an alert that is over: a log
	// entry for a machine long switched off corrects such rows (P4).
	if now > row.AsOf.Add(w.Rule.Horizon) || w.Down(row.AsOf) {
		return dst
	}
	s.Open, s.Disarmed = true, false
	s.OpenedAt, s.OpenedPos, s.LastAbove = row.AsOf, row.Position, row.AsOf
	return append(dst, Step{Kind: StepOpened, At: row.AsOf})
}

// Entry takes an entry of the failure or maintenance log; others change
// nothing.
func (w *Watch) Entry(item *drumbeat.Item, dst []Step) []Step {
	dst = w.Tick(item.ArrivalTime, dst)
	s := &w.State
	if !s.Log.add(item) {
		return dst
	}
	w.forget()
	if !s.Open || item.Entry.Withdrawn {
		return dst
	}
	switch {
	case item.Entry.Log == MaintenanceLog:
		if item.EventTime >= s.OpenedAt && w.Rule.resolves(item.Entry.Type) {
			return w.close(drumbeat.OutcomeMaintenance, item.ArrivalTime, dst)
		}
	case item.EventTime >= s.OpenedAt:
		return w.close(drumbeat.OutcomeLogFailure, item.ArrivalTime, dst)
	case w.Down(s.OpenedAt):
		// It opened between the failure and this, its late entry.
		return w.close(drumbeat.OutcomeDown, item.ArrivalTime, dst)
	}
	return dst
}

// Finding takes a technician's finding about the machine, at its time on the
// fleet's clock. It closes an open alert whatever it says (A1).
func (w *Watch) Finding(f *drumbeat.Finding, dst []Step) []Step {
	dst = w.Tick(f.WhenFleet, dst)
	if f.Outcome == drumbeat.OutcomeFailed {
		w.State.Log.add(&drumbeat.Item{
			EventTime: f.WhenFleet,
			Entry:     drumbeat.Entry{Log: FailureLog, ID: "finding " + f.ID, Type: f.Mode},
		})
	}
	if !w.State.Open {
		return dst
	}
	return w.close(f.Outcome, f.WhenFleet, dst)
}

// Due returns when the open alert ends unless something happens, NoTime if
// there is none: it is over once the clock is past it.
func (w *Watch) Due() drumbeat.Time {
	if !w.State.Open {
		return drumbeat.NoTime
	}
	return w.State.LastAbove.Add(w.Rule.Horizon)
}

// Tick says what time it is on the fleet's clock.
func (w *Watch) Tick(now drumbeat.Time, dst []Step) []Step {
	if !w.State.Open || now <= w.Due() {
		return dst
	}
	return w.close(drumbeat.OutcomeUnanswered, w.Due(), dst)
}

func (w *Watch) close(outcome drumbeat.Outcome, at drumbeat.Time, dst []Step) []Step {
	w.State.Open, w.State.Disarmed, w.State.ClosedAt = false, true, at
	return append(dst, Step{Kind: StepClosed, Outcome: outcome, At: at})
}

// forget drops entries that no row, alert or late entry can meet any more: an
// alert that opens later opens at or after the newest as_of. H more is kept, so
// that a revision which moves an entry by no more than H finds the one before.
func (w *Watch) forget() {
	s := &w.State
	oldest := s.Newest
	if s.Open {
		oldest = s.OpenedAt
	}
	if oldest != drumbeat.NoTime {
		s.Log.forget(oldest.Add(-w.Rule.DownMax-w.Rule.Horizon), w.Rule.Terminal)
	}
}
