package label_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"

	"pgregory.net/rapid"
)

// oracle answers L1 to L3 straight from their text, by going through
// everything for every question.
type oracle struct {
	fleet    *fleet.Fleet
	horizon  time.Duration
	entries  []drumbeat.Item
	findings []drumbeat.Finding
	now      drumbeat.Time
}

// standing returns the event times (and types) of a log's entries of a machine
// as their newest revisions have them.
func (o *oracle) standing(machine drumbeat.MachineID, log string) []drumbeat.Item {
	var all []drumbeat.Item
	for _, e := range o.entries {
		if e.Kind != drumbeat.KindEntry || e.Machine != machine || e.Entry.Log != log || e.Entry.Withdrawn {
			continue
		}
		beaten := slices.ContainsFunc(o.entries, func(other drumbeat.Item) bool {
			same := other.Kind == drumbeat.KindEntry && other.Machine == machine && other.Entry.Log == log &&
				other.Entry.ID == e.Entry.ID
			newer := other.Entry.Revision > e.Entry.Revision ||
				other.Entry.Revision == e.Entry.Revision && other.Position.Compare(e.Position) < 0
			return same && newer
		})
		if !beaten {
			all = append(all, e)
		}
	}
	return all
}

func (o *oracle) downUntil(machine drumbeat.MachineID, f drumbeat.Time) drumbeat.Time {
	end := f.Add(o.fleet.Label.DownMax)
	for _, m := range o.standing(machine, label.MaintenanceLog) {
		if m.EventTime >= f {
			end = min(end, m.EventTime)
		}
	}
	return end
}

type fell struct {
	at      drumbeat.Time
	fromLog bool
	counts  bool // it is not the same failure as another
}

func (o *oracle) failures(machine drumbeat.MachineID) []fell {
	var all []fell
	for _, f := range o.standing(machine, label.FailureLog) {
		all = append(all, fell{f.EventTime, true, true})
	}
	answers := slices.Clone(o.findings)
	slices.SortStableFunc(answers, func(a, b drumbeat.Finding) int { return int(a.WhenFleet - b.WhenFleet) })
	for _, f := range answers {
		if f.Machine != machine || f.Outcome != drumbeat.OutcomeFailed {
			continue
		}
		same := slices.ContainsFunc(all, func(g fell) bool {
			inAlert := g.fromLog && f.From != drumbeat.NoTime && f.From <= g.at && g.at <= f.WhenFleet
			inDown := g.at <= f.WhenFleet && f.WhenFleet < o.downUntil(machine, g.at)
			around := f.WhenFleet <= g.at && g.at < o.downUntil(machine, f.WhenFleet)
			return g.counts && (inAlert || inDown || around)
		})
		all = append(all, fell{f.WhenFleet, false, !same})
	}
	return all
}

func (o *oracle) complete(t drumbeat.Time) bool {
	to, marked := drumbeat.Time(0), false
	for _, e := range o.entries {
		if e.Kind == drumbeat.KindWatermark && e.Watermark.Log == label.FailureLog {
			to, marked = max(to, e.Watermark.CompleteTo), true
		}
	}
	switch {
	case marked:
	case o.fleet.FailureLog.Kind == fleet.CompleteContinuous:
		to = o.now.Add(-o.fleet.Label.ReportingLag)
	case o.fleet.FailureLog.Kind == fleet.CompleteTo:
		to = o.fleet.FailureLog.To
	default:
		return false
	}
	return t.Add(o.horizon) <= to
}

func (o *oracle) label(machine drumbeat.MachineID, t drumbeat.Time) (label.Value, label.Source) {
	end := t.Add(o.horizon)
	first, logged, failed := drumbeat.NoTime, false, false
	for _, f := range o.failures(machine) {
		if f.counts && f.at <= t && o.fleet.FailureIsTerminal {
			return label.Unknown, label.SourceTerminal
		}
	}
	for _, f := range o.failures(machine) {
		if f.at <= t && t < o.downUntil(machine, f.at) {
			return label.Unknown, label.SourceDown
		}
		if f.counts && f.at > t && (first == drumbeat.NoTime || f.at < first) {
			first = f.at
		}
		if f.counts && f.at > t && f.at <= end {
			logged, failed = logged || f.fromLog, failed || !f.fromLog
		}
	}
	hidden := false
	for _, m := range o.standing(machine, label.MaintenanceLog) {
		within := m.EventTime > t && m.EventTime <= end && slices.Contains(o.fleet.Label.Censors, m.Entry.Type)
		if within && (first == drumbeat.NoTime || m.EventTime < first) {
			hidden = true
		}
	}
	said := func(outcome drumbeat.Outcome) bool {
		return slices.ContainsFunc(o.findings, func(f drumbeat.Finding) bool {
			if f.Machine != machine || f.Outcome != outcome || t > f.WhenFleet || t < f.From {
				return false
			}
			if outcome == drumbeat.OutcomeRepaired {
				return f.WhenFleet.Sub(t) <= o.horizon
			}
			return f.From != drumbeat.NoTime
		})
	}
	switch {
	case logged && !hidden:
		return label.Positive, label.SourceFailureLog
	case failed && !hidden:
		return label.Positive, label.SourceFailed
	case said(drumbeat.OutcomeRepaired):
		return label.Positive, label.SourceRepaired
	case hidden:
		return label.Unknown, label.SourceIntervention
	case said(drumbeat.OutcomeSensorWrong):
		return label.Unknown, label.SourceSensorWrong
	case said(drumbeat.OutcomeNotInspected):
		return label.Unknown, label.SourceNotInspected
	case !o.complete(t):
		return label.Unknown, label.SourceIncomplete
	case said(drumbeat.OutcomeNothingWrong):
		return label.Negative, label.SourceNothingWrong
	}
	return label.Negative, label.SourceSilence
}

// drawWorld draws a small fleet whose times are few, so that they meet often.
func drawWorld(t *rapid.T) *oracle {
	hours := rapid.IntRange(0, 40)
	machines := rapid.SampledFrom([]drumbeat.MachineID{"W-1", "W-2"})
	f := laundry()
	f.FailureIsTerminal = rapid.IntRange(0, 9).Draw(t, "terminal") == 0
	f.FailureLog.Kind = rapid.SampledFrom([]fleet.CompletenessKind{
		fleet.CompleteContinuous, fleet.CompleteContinuous, fleet.CompleteTo, fleet.CompleteUnknown,
	}).Draw(t, "log")
	f.FailureLog.To = at(float64(hours.Draw(t, "complete_to")))
	f.Label.ReportingLag = 3 * time.Hour
	f.Label.DownMax = time.Duration(rapid.IntRange(0, 6).Draw(t, "down_max")) * time.Hour
	o := &oracle{
		fleet: f, horizon: time.Duration(rapid.IntRange(1, 9).Draw(t, "horizon")) * time.Hour,
		now: at(float64(rapid.IntRange(0, 60).Draw(t, "now"))),
	}
	for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
		when := at(float64(hours.Draw(t, "event")))
		item := drumbeat.Item{
			Kind: drumbeat.KindEntry, Machine: machines.Draw(t, "machine"), EventTime: when,
			ArrivalTime: when.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "known_after")) * time.Hour),
			Position:    drumbeat.Position{Offset: int64(i)},
			Entry: drumbeat.Entry{
				Log:       rapid.SampledFrom([]string{label.FailureLog, label.MaintenanceLog, "error"}).Draw(t, "log"),
				ID:        rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "id"),
				Revision:  int64(rapid.IntRange(0, 2).Draw(t, "revision")),
				Withdrawn: rapid.IntRange(0, 5).Draw(t, "withdrawn") == 0,
				Type:      rapid.SampledFrom([]string{"planned", "unscheduled"}).Draw(t, "type"),
			},
		}
		o.entries = append(o.entries, item)
	}
	if rapid.IntRange(0, 4).Draw(t, "watermark") == 0 {
		o.entries = append(o.entries, drumbeat.Item{Kind: drumbeat.KindWatermark, Watermark: drumbeat.Watermark{
			Log: label.FailureLog, CompleteTo: at(float64(hours.Draw(t, "watermark_to"))),
		}})
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "findings") {
		when := hours.Draw(t, "when")
		from := drumbeat.NoTime
		if rapid.Bool().Draw(t, "alert") {
			from = at(float64(when - rapid.IntRange(0, 12).Draw(t, "since")))
		}
		o.findings = append(o.findings, drumbeat.Finding{
			ID: fmt.Sprint("F", i), Machine: machines.Draw(t, "machine"), WhenFleet: at(float64(when)), From: from,
			Outcome: rapid.SampledFrom([]drumbeat.Outcome{
				drumbeat.OutcomeFailed, drumbeat.OutcomeRepaired, drumbeat.OutcomeNothingWrong,
				drumbeat.OutcomeSensorWrong, drumbeat.OutcomeNotInspected,
			}).Draw(t, "outcome"),
		})
	}
	return o
}

func TestLabelsAreWhatTheTextSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawWorld(t)
		shuffled := rapid.Permutation(o.entries).Draw(t, "order")
		truth := label.NewTruth(o.fleet, o.horizon, shuffled, o.findings, o.now)
		for _, machine := range []drumbeat.MachineID{"W-1", "W-2", "W-3"} {
			for hour := -15; hour < 60; hour++ {
				for _, off := range []drumbeat.Time{-1000, 0, 1000} {
					asOf := at(float64(hour)) + off
					value, source := o.label(machine, asOf)
					got := truth.Label(machine, asOf)
					if got.Value != value || got.Source != source {
						t.Fatalf("%s as of hour %d%+d: got %s by %s, want %s by %s",
							machine, hour, off/1000, got.Value, got.Source, value, source)
					}
				}
			}
		}
	})
}
