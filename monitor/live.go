// Package monitor watches the models that serve: drift of what they read, live
// recall of what they foretold, and challengers beside the champion. It reads
// state and returns reports and reasons to train again; it moves nothing.
package monitor

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
)

// ConceptDrift is the kind of trigger that lost live recall pulls (M4). Its
// subject is the champion's version.
const ConceptDrift = "concept_drift"

// DefaultWindow is how much matured time live recall is measured over: short
// enough to show a loss within a season, long enough for a fleet with a failure
// every other day to show the 20 that a judgement needs twice over.
const DefaultWindow = 90 * 24 * time.Hour

// leadIn is how many horizons before the window are replayed too, so that
// alerts stand in it as they stood.
const leadIn = 4

// Status is how well the champion does, by the fleet's policy (M4).
type Status string

// The statuses of live recall.
const (
	StatusUnknown Status = "unknown" // too little is known to say
	StatusRetrain Status = "retrain" // below retrain_below_recall
	StatusWarn    Status = "warn"    // below warn_below_recall
	StatusWatch   Status = "watch"   // neither good nor bad
	StatusHealthy Status = "healthy" // above healthy_above_recall
)

// LiveInput is what live recall is measured from.
type LiveInput struct {
	Fleet  *fleet.Fleet
	Truth  *label.Truth // as known at its FleetNow
	Scores Scores
	Window time.Duration // 0: DefaultWindow
	// Champion is the version that stands, since Since on the fleet's clock (the
	// ledger's when_fleet). Lost recall is a reason to train again only as far
	// as it is this version's own; 0 leaves no trigger.
	Champion drumbeat.ModelVersion
	Since    drumbeat.Time
	Seed     uint64 // of the bootstrap
}

// LiveReport is live recall (M1, M3): of all versions that were champion, as
// their predictions were made, over matured events only.
type LiveReport struct {
	Fleet      drumbeat.FleetName `json:"fleet"`
	FleetNow   drumbeat.Time      `json:"fleet_now"`
	CompleteTo drumbeat.Time      `json:"complete_to"` // of the failure log; null if nobody knows
	Status     Status             `json:"status"`
	Sentence   string             `json:"sentence"`

	// From and Until, both inclusive, bound the failures and alerts that count.
	From  drumbeat.Time `json:"from"`
	Until drumbeat.Time `json:"until"`
	// Champion is the version that stands, Versions those that were champion.
	Champion drumbeat.ModelVersion   `json:"champion"`
	Since    drumbeat.Time           `json:"champion_since"`
	Versions []drumbeat.ModelVersion `json:"versions"`
	Rows     int                     `json:"rows"` // predictions that count (S3)
	// UnknownRows of them have no label: the machine was down, an intervention
	// hid what would have happened, or a finding says nobody knows (L2).
	UnknownRows int `json:"unknown_rows"`

	// Seen is the failures that count in recall, caught or missed.
	Seen         int `json:"seen"`
	Caught       int `json:"caught"`
	Missed       int `json:"missed"`
	Unobservable int `json:"unobservable"`
	Immature     int `json:"immature"` // known, but not yet matured

	// RecallOfChampion counts only failures that the standing champion had a
	// whole horizon to warn of.
	RecallOfChampion label.Proportion    `json:"recall_of_champion"`
	Measures         label.EventMeasures `json:"measures"`

	// MoreFailures are missing before recall is judged, in about Days at this
	// fleet's rate; null if nobody can say.
	MinFailures  int          `json:"min_failures"`
	MoreFailures int          `json:"more_failures"`
	Days         label.Number `json:"days"`

	Failures []LiveFailure `json:"failures"` // by time and machine
	Triggers []Trigger     `json:"triggers"`
}

// LiveFailure is a failure, or a fault found and repaired, and what became of
// it.
type LiveFailure struct {
	label.Event
	Repaired  bool         `json:"repaired"`
	Result    string       `json:"result"` // caught, missed or unobservable
	LeadHours label.Number `json:"lead_hours"`
	Best      label.Number `json:"best_probability"` // in its time of warning
}

// Live measures live recall.
func Live(ctx context.Context, in LiveInput) (*LiveReport, error) {
	if in.Window == 0 {
		in.Window = DefaultWindow
	}
	r := &LiveReport{
		Fleet: in.Fleet.Name, FleetNow: in.Truth.FleetNow(), CompleteTo: in.Truth.CompleteTo(),
		From: drumbeat.NoTime, Until: matured(in.Truth, in.Fleet.Label.ReportingLag),
		Champion: in.Champion, Since: in.Since, Versions: []drumbeat.ModelVersion{},
		MinFailures: in.Fleet.Policy.MinFailures, Days: label.Number(math.NaN()),
		RecallOfChampion: label.ProportionOf(0, 0), Failures: []LiveFailure{}, Triggers: []Trigger{},
	}
	if r.Until == drumbeat.NoTime {
		r.Status, r.Sentence = StatusUnknown, "Live recall is unknown: the fleet has sent nothing yet."
		return r, nil
	}
	r.From = r.Until.Add(-in.Window)
	first, err := r.replay(ctx, &in)
	if err != nil {
		return nil, fmt.Errorf("measure live recall of %s: %w", in.Fleet.Name, err)
	}
	r.count(&in, first)
	r.judge(&in)
	return r, nil
}

// replay runs the champions' predictions under the alert rules, and returns
// the as_of of the first, NoTime without one.
func (r *LiveReport) replay(ctx context.Context, in *LiveInput) (drumbeat.Time, error) {
	events := label.NewEvents(in.Truth, label.EventOptions{
		Threshold: in.Fleet.Policy.Threshold, MinLead: in.Fleet.Policy.MinLead,
		From: r.From, Until: after(r.Until), Bootstrap: label.Bootstrap{Seed: in.Seed},
	})
	first, own := drumbeat.Time(math.MaxInt64), drumbeat.Time(math.MaxInt64)
	replay := newReplay(func(s *scored) {
		events.AddAs(&s.Row, s.above)
		first = min(first, s.AsOf)
		if s.version == in.Champion {
			own = min(own, s.AsOf)
		}
		if s.AsOf < r.From {
			return
		}
		if at, found := slices.BinarySearch(r.Versions, s.version); !found {
			r.Versions = slices.Insert(r.Versions, at, s.version)
		}
		r.Rows++
		if in.Truth.Label(s.Machine, s.AsOf).Value == label.Unknown {
			r.UnknownRows++
		}
	})
	begin := r.From.Add(-leadIn * in.Truth.Horizon())
	err := in.Scores(ctx, begin, after(r.Until), func(predictions []drumbeat.Prediction) error {
		for i := range predictions {
			p := &predictions[i]
			if p.Role == drumbeat.RoleChampion && p.Purpose == drumbeat.PurposeLive {
				replay.add(p, p.Alarm)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return drumbeat.NoTime, err
	}
	replay.end()
	r.Measures = events.Measures()
	if r.Since == drumbeat.NoTime && own != math.MaxInt64 {
		r.Since = own
	}
	if first == math.MaxInt64 {
		return drumbeat.NoTime, nil
	}
	return first, nil
}

// count takes what the replay found.
func (r *LiveReport) count(in *LiveInput, first drumbeat.Time) {
	m := &r.Measures
	r.Caught, r.Missed, r.Unobservable, r.Seen = m.Caught, m.Missed, m.Unobservable, m.Caught+m.Missed
	for _, f := range in.Truth.Failures() {
		if f.At > r.Until {
			r.Immature++
		}
	}
	var caught, seen int
	for i := range m.Results {
		e := &m.Results[i]
		r.Failures = append(r.Failures, liveFailure(e))
		own := r.Since != drumbeat.NoTime && e.Event.At.Add(-in.Truth.Horizon()) >= r.Since
		if e.Repaired || e.Result == label.Unobservable || !own {
			continue
		}
		seen++
		if e.Result == label.Caught {
			caught++
		}
	}
	r.RecallOfChampion = label.ProportionOf(caught, seen)
	r.MoreFailures = max(r.MinFailures-r.Seen, 0)
	if first != drumbeat.NoTime && r.Seen > 0 {
		days := r.Until.Sub(max(r.From, first)).Hours() / 24
		r.Days = label.Number(math.Ceil(float64(r.MoreFailures) * days / float64(r.Seen)))
	}
}

func liveFailure(e *label.EventResult) LiveFailure {
	f := LiveFailure{
		Event: e.Event, Repaired: e.Repaired, Result: e.Result.String(),
		LeadHours: label.Number(math.NaN()), Best: label.Number(e.Best),
	}
	if e.Result == label.Caught {
		f.LeadHours = label.Number(e.Lead.Hours())
	}
	return f
}

// judge compares recall with the policy (M4).
func (r *LiveReport) judge(in *LiveInput) {
	policy, recall := &in.Fleet.Policy, r.Measures.Recall.Interval.Value
	r.Status = StatusUnknown
	silence := logSilence(in.Truth, in.Fleet)
	switch {
	case silence != "":
		r.Sentence = "Live recall is unknown: " + silence + " " + r.figures()
	case r.Rows == 0:
		r.Sentence = "Live recall is unknown: no champion made a live prediction in this time."
	case r.Seen < max(r.MinFailures, 1):
		r.Sentence = "Live recall is unknown: " + r.waiting() + " " + r.figures()
	case recall < policy.RetrainBelowRecall:
		r.Status = StatusRetrain
		r.Sentence = fmt.Sprintf("Live recall is below %g, so train again. %s", policy.RetrainBelowRecall, r.figures())
		r.pull(policy)
	case recall < policy.WarnBelowRecall:
		r.Status = StatusWarn
		r.Sentence = fmt.Sprintf("Live recall is below %g: look at the failures missed. %s", policy.WarnBelowRecall, r.figures())
	case recall > policy.HealthyAboveRecall:
		r.Status = StatusHealthy
		r.Sentence = fmt.Sprintf("Live recall is healthy, above %g. %s", policy.HealthyAboveRecall, r.figures())
	default:
		r.Status = StatusWatch
		r.Sentence = fmt.Sprintf("Live recall is neither below %g nor above %g. %s",
			policy.WarnBelowRecall, policy.HealthyAboveRecall, r.figures())
	}
}

// figures says recall, never without what it costs.
func (r *LiveReport) figures() string {
	m := &r.Measures
	if r.Seen == 0 && m.Load.Alerts == 0 {
		return fmt.Sprintf("No failure was seen and no alert opened; %d failures have not matured.", r.Immature)
	}
	return fmt.Sprintf(
		"It caught %d of %d failures (95 %% interval %s to %s; with repaired faults %d of %d); of its alerts %s were right, with %s false alarms per machine and week over %d alerts; %d failures have not matured, %d nobody could see.",
		m.Recall.K, m.Recall.N, figure(m.Recall.Interval.Low), figure(m.Recall.Interval.High),
		m.RecallWithRepaired.K, m.RecallWithRepaired.N, figure(m.Load.Precision.Interval.Value),
		figure(m.Load.FalsePerMachineWeek.Value), m.Load.Alerts, r.Immature, r.Unobservable)
}

// waiting says how much evidence is missing.
func (r *LiveReport) waiting() string {
	text := fmt.Sprintf("%d of %d failures seen, %d more are needed", r.Seen, max(r.MinFailures, 1), max(r.MoreFailures, 1))
	if math.IsNaN(float64(r.Days)) {
		return text + ", and none has matured yet, so nobody can say how long that takes."
	}
	return text + fmt.Sprintf(", about %.0f days at this fleet's rate.", float64(r.Days))
}

// pull makes lost recall a reason to train again, if the standing champion lost
// it: failures that an earlier one missed are reason enough only once.
func (r *LiveReport) pull(policy *fleet.Policy) {
	own := &r.RecallOfChampion
	switch {
	case r.Champion == 0:
		return
	case own.N < max(policy.MinFailures, 1):
		r.Sentence += fmt.Sprintf(" Version %d, champion since %s, had a whole horizon to warn of %d of them: too few to train again for.",
			r.Champion, day(r.Since), own.N)
	case own.Interval.Value >= policy.RetrainBelowRecall:
		r.Sentence += fmt.Sprintf(" Version %d, champion since %s, caught %d of the %d that it had a whole horizon to warn of: it need not be replaced.",
			r.Champion, day(r.Since), own.K, own.N)
	default:
		r.Triggers = append(r.Triggers, Trigger{
			Kind: ConceptDrift, Subject: strconv.Itoa(int(r.Champion)), Since: r.Since,
			Sentence: fmt.Sprintf("Version %d caught %d of %d failures, below the %g that calls for another.",
				r.Champion, own.K, own.N, policy.RetrainBelowRecall),
		})
	}
}

func day(t drumbeat.Time) string { return strings.SplitN(t.String(), "T", 2)[0] }

func figure(x float64) string {
	if math.IsNaN(x) {
		return "unknown"
	}
	return strconv.FormatFloat(x, 'f', 3, 64)
}
