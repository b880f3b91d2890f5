package label

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// Truth is what is known of a fleet's failures at one time on its clock. It is
// immutable and safe for concurrent use.
type Truth struct {
	fleet      *fleet.Fleet
	rule       *Rule
	horizon    time.Duration
	fleetNow   drumbeat.Time
	completeTo drumbeat.Time // NoTime: nothing is negative (L2)
	machines   map[drumbeat.MachineID]*history
	blank      []cell // the verdicts of a machine without a history
}

// NewTruth builds the truth from log entries and watermarks in any order
// (items of other kinds are passed over), and findings, as known at fleetNow.
// A horizon of 0 is the fleet's own.
func NewTruth(
	f *fleet.Fleet, horizon time.Duration, entries []drumbeat.Item, findings []drumbeat.Finding,
	fleetNow drumbeat.Time,
) *Truth {
	rule := RuleOf(f, horizon)
	t := &Truth{
		fleet: f, rule: rule, horizon: rule.Horizon, fleetNow: fleetNow,
		machines: map[drumbeat.MachineID]*history{},
	}
	t.completeTo = completeTo(f, entries, fleetNow)
	for i := range entries {
		item := &entries[i]
		if item.Kind == drumbeat.KindEntry && (item.Entry.Log == FailureLog || item.Entry.Log == MaintenanceLog) {
			h := t.history(item.Machine)
			h.entries = append(h.entries, item)
		}
	}
	seen := map[string]bool{}
	for i := range findings {
		f := &findings[i]
		if ours := f.Fleet == "" || f.Fleet == t.fleet.Name; ours && !seen[f.ID] && f.WhenFleet != drumbeat.NoTime {
			seen[f.ID] = true
			h := t.history(f.Machine)
			h.findings = append(h.findings, f)
		}
	}
	for machine, h := range t.machines {
		h.settle(machine, t)
		h.cells = h.build(t)
	}
	t.blank = new(history).build(t)
	return t
}

// completeTo returns up to when the failure log is complete (L2).
func completeTo(f *fleet.Fleet, entries []drumbeat.Item, fleetNow drumbeat.Time) drumbeat.Time {
	to := drumbeat.NoTime
	for i := range entries {
		if entries[i].Kind == drumbeat.KindWatermark && entries[i].Watermark.Log == FailureLog {
			to = max(to, entries[i].Watermark.CompleteTo)
		}
	}
	if to != drumbeat.NoTime {
		return to
	}
	switch f.FailureLog.Kind {
	case fleet.CompleteContinuous:
		if fleetNow != drumbeat.NoTime {
			return fleetNow.Add(-f.Label.ReportingLag)
		}
	case fleet.CompleteTo:
		return f.FailureLog.To
	case fleet.CompleteUnknown:
	}
	return drumbeat.NoTime
}

func (t *Truth) history(machine drumbeat.MachineID) *history {
	h := t.machines[machine]
	if h == nil {
		h = &history{}
		t.machines[machine] = h
	}
	return h
}

// Label returns the label of a row of machine as of t, by L1 to L3.
func (t *Truth) Label(machine drumbeat.MachineID, asOf drumbeat.Time) Verdict {
	cells := t.blank
	if h := t.machines[machine]; h != nil {
		cells = h.cells
	}
	return at(cells, asOf)
}

// Rule returns the alert rule that belongs to this truth.
func (t *Truth) Rule() *Rule { return t.rule }

// Horizon returns H.
func (t *Truth) Horizon() time.Duration { return t.horizon }

// CompleteTo returns up to when the failure log is complete, NoTime if nobody
// knows: then no row is negative (L2).
func (t *Truth) CompleteTo() drumbeat.Time { return t.completeTo }

// FleetNow returns the time on the fleet's clock at which this is the truth.
func (t *Truth) FleetNow() drumbeat.Time { return t.fleetNow }

// Complete says whether the failure log is complete to asOf + H.
func (t *Truth) Complete(asOf drumbeat.Time) bool {
	return t.completeTo != drumbeat.NoTime && asOf.Add(t.horizon) <= t.completeTo
}

// Mature says whether a prediction as of asOf may be measured: its horizon and
// the reporting lag have passed (M3).
func (t *Truth) Mature(asOf drumbeat.Time, reportingLag time.Duration) bool {
	return t.fleetNow != drumbeat.NoTime && asOf.Add(t.horizon+reportingLag) <= t.fleetNow
}

// Down says whether the machine was down at t (L2); after a terminal failure
// it is down for ever.
func (t *Truth) Down(machine drumbeat.MachineID, at drumbeat.Time) bool {
	h := t.machines[machine]
	return h != nil && (h.terminal(at) || h.downAt(at))
}

// Failures returns every failure, by time and machine: the log's, and findings
// "it failed" that the log does not hold.
func (t *Truth) Failures() []Event {
	return t.events(func(h *history) []Event { return h.failures })
}

// Repairs returns every finding "found a fault, repaired", by time and machine.
func (t *Truth) Repairs() []Event {
	return t.events(func(h *history) []Event { return h.repairs })
}

func (t *Truth) events(of func(*history) []Event) []Event {
	var all []Event
	for _, h := range t.machines {
		all = append(all, of(h)...)
	}
	slices.SortFunc(all, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Machine, b.Machine))
	})
	return all
}

// Policy writes what these labels depend on, for the training manifest and the
// label table (L3).
func (t *Truth) Policy() string {
	p := &t.fleet.Label
	list := func(words []string) string {
		if len(words) == 0 {
			return "none"
		}
		return strings.Join(words, "+")
	}
	return fmt.Sprintf("L1-L3/1 horizon=%s reporting_lag=%s down_max=%s censors=%s terminal=%t",
		t.horizon, p.ReportingLag, p.DownMax, list(p.Censors), t.fleet.FailureIsTerminal)
}
