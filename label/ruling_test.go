package label_test

import (
	"fmt"
	"slices"

	"drumbeat"
	"drumbeat/label"
)

// ruling answers A1 straight from its text: at every event it looks through
// all that came before, and remembers nothing but the alerts themselves.
type ruling struct {
	rule   *label.Rule
	past   []say
	alerts []ruled
	told   []string
}

type ruled struct {
	opened, lastAbove, closed drumbeat.Time
	open                      bool
	closedBefore              int // events seen when it closed
}

func (r *ruling) newest() (drumbeat.Time, bool) {
	newest, seen := drumbeat.NoTime, false
	for _, s := range r.past {
		if s.row {
			newest, seen = max(newest, s.asOf), true
		}
	}
	return newest, seen
}

// known returns what stands in a log by the past events.
func (r *ruling) known(log string) []drumbeat.Time {
	byID := map[string]*drumbeat.Item{}
	for _, s := range r.past {
		if s.entry != nil && s.entry.Entry.Log == log {
			before := byID[s.entry.Entry.ID]
			if before == nil || s.entry.Entry.Revision > before.Entry.Revision {
				byID[s.entry.Entry.ID] = s.entry
			}
		}
	}
	var times []drumbeat.Time
	for _, item := range byID {
		if !item.Entry.Withdrawn {
			times = append(times, item.EventTime)
		}
	}
	if log == label.FailureLog {
		for _, s := range r.past {
			if s.finding != nil && s.finding.Outcome == drumbeat.OutcomeFailed {
				times = append(times, s.finding.WhenFleet)
			}
		}
	}
	return times
}

func (r *ruling) down(t drumbeat.Time) bool {
	for _, f := range r.known(label.FailureLog) {
		end := f.Add(r.rule.DownMax)
		for _, m := range r.known(label.MaintenanceLog) {
			if m >= f {
				end = min(end, m)
			}
		}
		if f <= t && (t < end || r.rule.Terminal) {
			return true
		}
	}
	return false
}

func (r *ruling) close(outcome drumbeat.Outcome, at drumbeat.Time) {
	a := &r.alerts[len(r.alerts)-1]
	a.open, a.closed, a.closedBefore = false, at, len(r.past)
	r.told = append(r.told, fmt.Sprintf("closed %v %s", at.Sub(start).Hours(), outcome))
}

func (r *ruling) see(s say) {
	var current *ruled
	if n := len(r.alerts); n > 0 && r.alerts[n-1].open {
		current = &r.alerts[n-1]
	}
	now := s.arrival
	if s.finding != nil {
		now = s.finding.WhenFleet
	}
	if current != nil && now.Sub(current.lastAbove) > r.rule.Horizon {
		r.close(drumbeat.OutcomeUnanswered, current.lastAbove.Add(r.rule.Horizon))
		current = nil
	}
	newest, seen := r.newest()
	revised := s.entry != nil && slices.ContainsFunc(r.past, func(p say) bool {
		return p.entry != nil && p.entry.Entry.Log == s.entry.Entry.Log && p.entry.Entry.ID == s.entry.Entry.ID &&
			p.entry.Entry.Revision >= s.entry.Entry.Revision
	})
	r.past = append(r.past, s)
	switch {
	case s.row && seen && s.asOf < newest:
		// superseded
	case s.row && current != nil:
		if s.above {
			current.lastAbove = s.asOf
		}
	case s.row && s.above:
		lapsed := s.arrival.Sub(s.asOf) > r.rule.Horizon
		if r.armed(s.arrival) && !lapsed && !r.down(s.asOf) {
			r.alerts = append(r.alerts, ruled{opened: s.asOf, lastAbove: s.asOf, open: true})
			r.told = append(r.told, fmt.Sprintf("opened %v", s.asOf.Sub(start).Hours()))
		}
	case s.finding != nil && current != nil:
		r.close(s.finding.Outcome, s.finding.WhenFleet)
	case s.entry != nil && current != nil && !revised && !s.entry.Entry.Withdrawn:
		resolves := len(r.rule.Resolves) == 0 || slices.Contains(r.rule.Resolves, s.entry.Entry.Type)
		switch {
		case s.entry.Entry.Log == label.MaintenanceLog && resolves && s.entry.EventTime >= current.opened:
			r.close(drumbeat.OutcomeMaintenance, s.arrival)
		case s.entry.Entry.Log == label.FailureLog && s.entry.EventTime >= current.opened:
			r.close(drumbeat.OutcomeLogFailure, s.arrival)
		case s.entry.Entry.Log == label.FailureLog && r.down(current.opened):
			r.close(drumbeat.OutcomeDown, s.arrival)
		}
	}
}

// armed says whether an alert may open: none has closed yet, or H has passed,
// or a row since was not above.
func (r *ruling) armed(now drumbeat.Time) bool {
	if len(r.alerts) == 0 {
		return true
	}
	last := &r.alerts[len(r.alerts)-1]
	if now.Sub(last.closed) >= r.rule.Horizon {
		return true
	}
	newest := drumbeat.NoTime
	for i, s := range r.past {
		if !s.row || s.asOf < newest {
			continue
		}
		newest = s.asOf
		if i >= last.closedBefore && !s.above {
			return true
		}
	}
	return false
}
