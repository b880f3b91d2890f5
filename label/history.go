package label

import (
	"cmp"
	"math"
	"slices"
	"sort"
	"strings"

	"drumbeat"
)

// history is what is known of one machine, and its labels as a step function
// of time: between two cells nothing changes, so a query is one search.
type history struct {
	entries  []*drumbeat.Item // failures and maintenance, by position
	findings []*drumbeat.Finding

	failures      []Event // by time, one per time
	repairs       []Event // by time
	maintenance   []Known // by time
	interventions []Known // by time
	down          []span  // by time, apart
	isTerminal    bool

	cells []cell
}

// span is the times [from, to).
type span struct{ from, to drumbeat.Time }

// cell says that the verdict holds from a time until the next cell.
type cell struct {
	from    drumbeat.Time
	verdict Verdict
}

// at returns the verdict at t. The first cell holds for all earlier times too.
func at(cells []cell, t drumbeat.Time) Verdict {
	i := sort.Search(len(cells), func(i int) bool { return cells[i].from > t })
	return cells[max(i-1, 0)].verdict
}

// settle sorts what was collected and derives failures, repairs, down times
// and interventions from it.
func (h *history) settle(machine drumbeat.MachineID, t *Truth) {
	slices.SortStableFunc(h.entries, func(a, b *drumbeat.Item) int { return a.Position.Compare(b.Position) })
	slices.SortStableFunc(h.findings, func(a, b *drumbeat.Finding) int {
		return cmp.Or(cmp.Compare(a.WhenFleet, b.WhenFleet), cmp.Compare(a.ID, b.ID))
	})
	h.isTerminal = t.rule.Terminal
	h.maintenance = newest(h.entries, MaintenanceLog)
	for _, m := range h.maintenance {
		if slices.Contains(t.fleet.Label.Censors, m.Type) {
			h.interventions = append(h.interventions, m)
		}
	}
	for _, f := range newest(h.entries, FailureLog) {
		h.failures = append(h.failures, Event{
			Machine: machine, At: f.At, Source: SourceFailureLog, Ref: f.ID, Mode: f.Type,
		})
		h.fall(f.At, t)
	}
	for _, f := range h.findings {
		event := Event{Machine: machine, At: f.WhenFleet, Ref: f.ID, Mode: f.Mode}
		switch f.Outcome { //nolint:exhaustive // the others are no events
		case drumbeat.OutcomeFailed:
			event.Source = SourceFailed
			if !h.tells(f, t) {
				h.failures = append(h.failures, event)
			}
			h.fall(f.WhenFleet, t)
		case drumbeat.OutcomeRepaired:
			event.Source = SourceRepaired
			h.repairs = append(h.repairs, event)
		}
	}
	h.failures = oneEach(h.failures)
	h.down = apart(h.down)
}

// newest returns the entries of a log that stand, each in its newest revision,
// by time (T7). Entries come by position: of equal revisions the first counts.
func newest(entries []*drumbeat.Item, log string) []Known {
	var all []Known
	index := map[string]int{}
	for _, item := range entries {
		if item.Entry.Log != log {
			continue
		}
		i, ok := index[item.Entry.ID]
		switch {
		case !ok:
			index[item.Entry.ID] = len(all)
			all = append(all, known(item))
		case item.Entry.Revision > all[i].Revision:
			all[i] = known(item)
		}
	}
	all = slices.DeleteFunc(all, func(k Known) bool { return k.Withdrawn })
	slices.SortStableFunc(all, func(a, b Known) int { return cmp.Compare(a.At, b.At) })
	return all
}

// downEnd returns when the down time of a failure at f ends: at the first
// maintenance at or after it, at most down_max later (L2).
func (h *history) downEnd(f drumbeat.Time, t *Truth) drumbeat.Time {
	end := f.Add(t.rule.DownMax)
	i := sort.Search(len(h.maintenance), func(i int) bool { return h.maintenance[i].At >= f })
	if i < len(h.maintenance) {
		end = min(end, h.maintenance[i].At)
	}
	return end
}

// fall notes the down time that a failure begins.
func (h *history) fall(f drumbeat.Time, t *Truth) {
	if end := h.downEnd(f, t); end > f {
		h.down = append(h.down, span{f, end})
	}
}

// apart sorts spans and joins those that meet.
func apart(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	kept := spans[:0]
	for _, s := range spans {
		if last := len(kept) - 1; last >= 0 && s.from <= kept[last].to {
			kept[last].to = max(kept[last].to, s.to)
			continue
		}
		kept = append(kept, s)
	}
	return kept
}

// tells says whether a finding "it failed" tells of a failure that is known
// already: one in its alert's time, or one of the two lies in the other's
// down time. The log goes before the finding (L3), and no failure counts
// twice.
func (h *history) tells(f *drumbeat.Finding, t *Truth) bool {
	end := h.downEnd(f.WhenFleet, t)
	for i := range h.failures {
		known := h.failures[i].At
		inAlert := f.From != drumbeat.NoTime && f.From <= known && known <= f.WhenFleet &&
			h.failures[i].Source == SourceFailureLog
		after := known <= f.WhenFleet && f.WhenFleet < h.downEnd(known, t)
		before := f.WhenFleet <= known && known < end
		if inAlert || after || before {
			return true
		}
	}
	return false
}

// oneEach sorts failures and makes those of one time one event (L1).
func oneEach(failures []Event) []Event {
	slices.SortStableFunc(failures, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Mode, b.Mode))
	})
	kept := failures[:0]
	for _, f := range failures {
		last := len(kept) - 1
		if last < 0 || kept[last].At != f.At {
			kept = append(kept, f)
			continue
		}
		modes := strings.Split(kept[last].Mode, "+")
		if f.Mode != "" && !slices.Contains(modes, f.Mode) {
			kept[last].Mode = strings.TrimPrefix(kept[last].Mode+"+"+f.Mode, "+")
		}
	}
	return kept
}

func (h *history) terminal(t drumbeat.Time) bool {
	return h.isTerminal && len(h.failures) > 0 && h.failures[0].At <= t
}

func (h *history) downAt(t drumbeat.Time) bool {
	i := sort.Search(len(h.down), func(i int) bool { return h.down[i].from > t })
	return i > 0 && t < h.down[i-1].to
}

// build evaluates the rules once for each time at which one of them may
// change its mind.
func (h *history) build(t *Truth) []cell {
	edges := h.edges(t)
	slices.Sort(edges)
	cells := make([]cell, 0, len(edges))
	for i, edge := range edges {
		if i > 0 && edge == edges[i-1] {
			continue
		}
		verdict := h.verdict(edge, t)
		if n := len(cells); n == 0 || cells[n-1].verdict != verdict {
			cells = append(cells, cell{edge, verdict})
		}
	}
	return slices.Clip(cells)
}

// beginning lies before every event, and far enough from the end of the range
// for a horizon to be taken away.
const beginning drumbeat.Time = math.MinInt64 / 2

func (h *history) edges(t *Truth) []drumbeat.Time {
	edges := []drumbeat.Time{beginning}
	if t.completeTo != drumbeat.NoTime {
		edges = append(edges, t.completeTo.Add(-t.horizon)+1)
	}
	for i := range h.failures {
		edges = append(edges, h.failures[i].At.Add(-t.horizon), h.failures[i].At)
	}
	for i := range h.down {
		edges = append(edges, h.down[i].from, h.down[i].to)
	}
	for i := range h.interventions {
		edges = append(edges, h.interventions[i].At.Add(-t.horizon), h.interventions[i].At)
	}
	for _, f := range h.findings {
		edges = append(edges, max(f.From, beginning), f.WhenFleet.Add(-t.horizon), f.WhenFleet+1)
	}
	return edges
}

// verdict applies L1 to L3 to a row as of asOf: the first rule that has
// something to say decides.
func (h *history) verdict(asOf drumbeat.Time, t *Truth) Verdict {
	if h.terminal(asOf) {
		return Verdict{Unknown, SourceTerminal, h.failures[0].Ref}
	}
	if h.downAt(asOf) {
		return Verdict{Unknown, SourceDown, ""}
	}
	end := asOf.Add(t.horizon)
	hidden, by := h.intervened(asOf, end)
	if !hidden {
		if f, ok := h.failure(asOf, end); ok {
			return Verdict{Positive, f.Source, f.Ref}
		}
	}
	if f := h.found(asOf, drumbeat.OutcomeRepaired, t); f != nil {
		return Verdict{Positive, SourceRepaired, f.ID}
	}
	if hidden {
		return Verdict{Unknown, SourceIntervention, by}
	}
	if f := h.found(asOf, drumbeat.OutcomeSensorWrong, t); f != nil {
		return Verdict{Unknown, SourceSensorWrong, f.ID}
	}
	if f := h.found(asOf, drumbeat.OutcomeNotInspected, t); f != nil {
		return Verdict{Unknown, SourceNotInspected, f.ID}
	}
	if !t.Complete(asOf) {
		return Verdict{Unknown, SourceIncomplete, ""}
	}
	if f := h.found(asOf, drumbeat.OutcomeNothingWrong, t); f != nil {
		return Verdict{Negative, SourceNothingWrong, f.ID}
	}
	return Verdict{Negative, SourceSilence, ""}
}

// next returns the index of the first failure after t.
func (h *history) next(t drumbeat.Time) int {
	return sort.Search(len(h.failures), func(i int) bool { return h.failures[i].At > t })
}

// failure returns the failure in (asOf, end] that labels a row: the first of
// the log, else the first finding.
func (h *history) failure(asOf, end drumbeat.Time) (Event, bool) {
	i := h.next(asOf)
	if i == len(h.failures) || h.failures[i].At > end {
		return Event{}, false
	}
	for j := i; j < len(h.failures) && h.failures[j].At <= end; j++ {
		if h.failures[j].Source == SourceFailureLog {
			return h.failures[j], true
		}
	}
	return h.failures[i], true
}

// intervened says whether an intervention lies in (asOf, end], strictly before
// the first failure, and which.
func (h *history) intervened(asOf, end drumbeat.Time) (bool, string) {
	i := sort.Search(len(h.interventions), func(i int) bool { return h.interventions[i].At > asOf })
	if i == len(h.interventions) || h.interventions[i].At > end {
		return false, ""
	}
	if j := h.next(asOf); j < len(h.failures) && h.failures[j].At <= h.interventions[i].At {
		return false, ""
	}
	return true, h.interventions[i].ID
}

// found returns the first finding of an outcome that speaks for the row: from
// the alert's start to the finding, and not more than H before a repair. A
// report without an alert speaks only of a fault.
func (h *history) found(asOf drumbeat.Time, outcome drumbeat.Outcome, t *Truth) *drumbeat.Finding {
	repaired := outcome == drumbeat.OutcomeRepaired
	for _, f := range h.findings {
		if f.Outcome != outcome || asOf > f.WhenFleet {
			continue
		}
		from := f.From
		if repaired {
			from = max(from, f.WhenFleet.Add(-t.horizon))
		} else if from == drumbeat.NoTime {
			continue
		}
		if asOf >= from {
			return f
		}
	}
	return nil
}
