package monitor

import (
	"context"
	"fmt"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/registry"
)

// ShadowInput is what a challenger is compared from.
type ShadowInput struct {
	Fleet  *fleet.Fleet
	Truth  *label.Truth // as known at its FleetNow
	Scores Scores
	// Champion is the version that stands, 0 for none: the one that the gate
	// names. Compared is what was champion when each reading was scored.
	Champion, Challenger drumbeat.ModelVersion
	// Since is when the challenger began on the fleet's clock (the ledger's
	// when_fleet); NoTime: with its first row.
	Since drumbeat.Time
	Seed  uint64 // of the bootstrap
}

// ShadowReport is a challenger beside the champion, on the same live readings,
// at the threshold in force. Both are replayed from the shadow's first row on,
// under the same alert rules. A failure counts once a whole horizon of warning
// was shadowed, and once it has matured (M3): Start + H to Until.
type ShadowReport struct {
	Fleet      drumbeat.FleetName    `json:"fleet"`
	FleetNow   drumbeat.Time         `json:"fleet_now"`
	Champion   drumbeat.ModelVersion `json:"champion"` // that stands, 0: none
	Challenger drumbeat.ModelVersion `json:"challenger"`
	// Champions are the versions that were champion over the rows.
	Champions []drumbeat.ModelVersion `json:"champions"`
	Threshold float64                 `json:"threshold"`
	Sentence  string                  `json:"sentence"`

	Start drumbeat.Time `json:"start"` // the shadow's first row; null: there is none
	From  drumbeat.Time `json:"from"`  // Start + H: failures count from here
	Until drumbeat.Time `json:"until"` // to here, inclusive

	Rows RowsCompared `json:"rows"`
	// Pairs are the failures that at least one of the two could see. The other
	// missed what it did not look at: a challenger that passes a machine over
	// proves nothing by it.
	Pairs        registry.Pairs `json:"pairs"`
	McNemarP     float64        `json:"mcnemar_p"`
	Unobservable int            `json:"unobservable"` // neither could
	Early        int            `json:"early"`        // before From: not a whole horizon of warning
	Immature     int            `json:"immature"`     // after Until

	ChampionSide   ShadowSide `json:"champion_side"`
	ChallengerSide ShadowSide `json:"challenger_side"`
	// AlwaysSide is what a score that always alarms does with the challenger's
	// rows: what every model must beat.
	AlwaysSide ShadowSide `json:"always_side"`

	Failures []ShadowFailure `json:"failures"` // by time and machine
}

// RowsCompared counts readings by who scored them, and those that both scored
// by who alarmed (S3).
type RowsCompared struct {
	Compared       int `json:"compared"`        // scored by both
	OnlyChampion   int `json:"only_champion"`   // the challenger did not score it
	OnlyChallenger int `json:"only_challenger"` // the champion did not

	BothAlarm       int              `json:"both_alarm"`
	ChampionAlarm   int              `json:"champion_alarm"` // alone
	ChallengerAlarm int              `json:"challenger_alarm"`
	NeitherAlarm    int              `json:"neither_alarm"`
	Agreement       label.Proportion `json:"agreement"` // on the same side of the threshold

	// Correlation is Pearson's, of the probabilities; null if one never changes.
	Correlation            label.Number `json:"correlation"`
	MeanAbsoluteDifference label.Number `json:"mean_absolute_difference"`
}

// ShadowSide is one of the two, or the score that always alarms.
type ShadowSide struct {
	// Opened is alerts since Start, opened or that would have been.
	Opened             int              `json:"opened"`
	Recall             label.Proportion `json:"recall"`
	RecallWithRepaired label.Proportion `json:"recall_with_repaired"`
	LeadHours          label.Interval   `json:"lead_hours"`
	Load               label.AlertLoad  `json:"load"`
	// PerHorizon is the baseline of one alert per machine and H (M1).
	PerHorizon label.AlertLoad `json:"per_horizon"`
}

// ShadowFailure is a failure, or a fault found and repaired, and what each of
// the two did about it.
type ShadowFailure struct {
	label.Event
	Repaired   bool        `json:"repaired"`
	Champion   ShadowCatch `json:"champion"`
	Challenger ShadowCatch `json:"challenger"`
}

// ShadowCatch is what one model did about a failure.
type ShadowCatch struct {
	Result    string       `json:"result"` // caught, missed or unobservable
	LeadHours label.Number `json:"lead_hours"`
}

// Shadow compares a challenger with the champion.
func Shadow(ctx context.Context, in ShadowInput) (*ShadowReport, error) {
	r := &ShadowReport{
		Fleet: in.Fleet.Name, FleetNow: in.Truth.FleetNow(), Champion: in.Champion, Challenger: in.Challenger,
		Champions: []drumbeat.ModelVersion{}, Threshold: in.Fleet.Policy.Threshold,
		From: drumbeat.NoTime, Until: matured(in.Truth, in.Fleet.Label.ReportingLag),
		Failures: []ShadowFailure{}, McNemarP: 1,
	}
	start, err := firstRow(ctx, &in)
	if err != nil {
		return nil, fmt.Errorf("compare version %d of %s with the champion: %w", in.Challenger, in.Fleet.Name, err)
	}
	if r.Start = start; start == drumbeat.NoTime {
		r.measureNothing()
		return r, nil
	}
	r.From = start.Add(in.Truth.Horizon())
	s := newShadow(&in, r)
	if err := s.replay(ctx); err != nil {
		return nil, fmt.Errorf("compare version %d of %s with the champion: %w", in.Challenger, in.Fleet.Name, err)
	}
	s.measure()
	r.Sentence = r.sentence()
	return r, nil
}

func (r *ShadowReport) measureNothing() {
	r.Sentence = fmt.Sprintf("Version %d has not scored a live reading beside the champion yet.", r.Challenger)
	nothing := label.NewEvents(&label.Truth{}, label.EventOptions{}).Measures()
	r.Rows = (&agreement{}).rows()
	r.ChampionSide, r.ChallengerSide, r.AlwaysSide = sideOf(&nothing), sideOf(&nothing), sideOf(&nothing)
}

// firstRow returns the as_of of the challenger's first row.
func firstRow(ctx context.Context, in *ShadowInput) (drumbeat.Time, error) {
	first := drumbeat.Time(math.MaxInt64)
	err := in.Scores(ctx, in.Since, drumbeat.NoTime, func(predictions []drumbeat.Prediction) error {
		for i := range predictions {
			if p := &predictions[i]; in.shadows(p) {
				first = min(first, p.AsOf)
			}
		}
		return ctx.Err()
	})
	if err != nil || first == math.MaxInt64 {
		return drumbeat.NoTime, err
	}
	return first, nil
}

func (in *ShadowInput) shadows(p *drumbeat.Prediction) bool {
	return p.Model == in.Challenger && p.Purpose == drumbeat.PurposeLive && registry.IsChallenger(p.Role)
}

// shadow is the replay of both.
type shadow struct {
	in     *ShadowInput
	report *ShadowReport

	champion, challenger, always *label.Events
	pair                         pairing
}

func newShadow(in *ShadowInput, r *ShadowReport) *shadow {
	options := label.EventOptions{
		Threshold: r.Threshold, MinLead: in.Fleet.Policy.MinLead,
		From: r.Start, Until: after(r.Until), FailuresFrom: r.From, Bootstrap: label.Bootstrap{Seed: in.Seed},
	}
	if r.Until == drumbeat.NoTime {
		options.Until = r.Start // nothing has matured
	}
	return &shadow{
		in: in, report: r,
		champion: label.NewEvents(in.Truth, options), challenger: label.NewEvents(in.Truth, options),
		always: label.NewEvents(in.Truth, options),
		pair:   pairing{lanes: map[drumbeat.MachineID]*pairLane{}},
	}
}

func (s *shadow) replay(ctx context.Context) error {
	champion := newReplay(func(row *scored) {
		s.champion.AddAs(&row.Row, row.above)
		if at, found := slices.BinarySearch(s.report.Champions, row.version); !found {
			s.report.Champions = slices.Insert(s.report.Champions, at, row.version)
		}
		s.pair.add(row, championSide)
	})
	challenger := newReplay(func(row *scored) {
		s.challenger.AddAs(&row.Row, row.above)
		s.pair.add(row, challengerSide)
		sure := row.Row
		sure.Probability = 1
		s.always.AddAs(&sure, true)
	})
	err := s.in.Scores(ctx, s.report.Start, drumbeat.NoTime, func(predictions []drumbeat.Prediction) error {
		for i := range predictions {
			p := &predictions[i]
			switch above := p.Probability > s.report.Threshold; {
			case s.in.shadows(p):
				challenger.add(p, above)
			case p.Role == drumbeat.RoleChampion && p.Purpose == drumbeat.PurposeLive:
				champion.add(p, above)
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	champion.end()
	challenger.end()
	s.pair.end()
	return nil
}

// measure ends the replay.
func (s *shadow) measure() {
	r := s.report
	champion, challenger, always := s.champion.Measures(), s.challenger.Measures(), s.always.Measures()
	r.ChampionSide, r.ChallengerSide, r.AlwaysSide = sideOf(&champion), sideOf(&challenger), sideOf(&always)
	r.Rows = s.pair.found.rows()
	var repaired registry.Pairs
	for i := range champion.Results {
		a, b := &champion.Results[i], &challenger.Results[i] // the same failures: Events lists all of the truth
		r.Failures = append(r.Failures, ShadowFailure{
			Event: a.Event, Repaired: a.Repaired, Champion: catchOf(a), Challenger: catchOf(b),
		})
		nobody := a.Result == label.Unobservable && b.Result == label.Unobservable
		switch {
		case nobody && !a.Repaired:
			r.Unobservable++
		case !nobody:
			count(&repaired, a.Result, b.Result)
			if !a.Repaired {
				count(&r.Pairs, a.Result, b.Result)
			}
		}
	}
	r.ChampionSide.Recall, r.ChallengerSide.Recall = r.Pairs.Recall()
	r.ChampionSide.RecallWithRepaired, r.ChallengerSide.RecallWithRepaired = repaired.Recall()
	r.McNemarP = label.McNemar(r.Pairs.OnlyChampion, r.Pairs.OnlyChallenger)
	for _, f := range s.in.Truth.Failures() {
		switch {
		case f.At < r.Start:
		case f.At < r.From:
			r.Early++
		case f.At > r.Until:
			r.Immature++
		}
	}
}

func count(p *registry.Pairs, champion, challenger label.Result) {
	switch first, second := champion == label.Caught, challenger == label.Caught; {
	case first && second:
		p.Both++
	case first:
		p.OnlyChampion++
	case second:
		p.OnlyChallenger++
	default:
		p.Neither++
	}
}

func sideOf(m *label.EventMeasures) ShadowSide {
	return ShadowSide{
		Opened: m.Opened, Recall: m.Recall, RecallWithRepaired: m.RecallWithRepaired,
		LeadHours: m.LeadHours, Load: m.Load, PerHorizon: m.AlwaysAlarm,
	}
}

func catchOf(e *label.EventResult) ShadowCatch {
	c := ShadowCatch{Result: e.Result.String(), LeadHours: label.Number(math.NaN())}
	if e.Result == label.Caught {
		c.LeadHours = label.Number(e.Lead.Hours())
	}
	return c
}

func (r *ShadowReport) sentence() string {
	p, rows := &r.Pairs, &r.Rows
	return fmt.Sprintf(
		"Since %s version %d scored %d readings beside the champion and agreed on %s of them; it would have opened %d alerts, %s of them right, the champion opened %d, %s of them right. Of %d failures with a whole horizon of warning since then both caught %d, only the champion %d, only version %d %d, neither %d; %d have not matured.",
		day(r.Start), r.Challenger, rows.Compared, figure(rows.Agreement.Interval.Value),
		r.ChallengerSide.Opened, figure(r.ChallengerSide.Load.Precision.Interval.Value),
		r.ChampionSide.Opened, figure(r.ChampionSide.Load.Precision.Interval.Value),
		p.All(), p.Both, p.OnlyChampion, r.Challenger, p.OnlyChallenger, p.Neither, r.Immature)
}

// Evidence returns what the gate judges.
func (r *ShadowReport) Evidence() *registry.Evidence {
	return &registry.Evidence{
		Fleet: r.Fleet, Challenger: r.Challenger, Champion: r.Champion,
		Span:         registry.TimeSpan{From: r.From, Until: r.Until},
		RowsCompared: r.Rows.Compared, Pairs: r.Pairs, Unobservable: r.Unobservable,
		ChallengerAlerts: r.ChallengerSide.Load, ChampionAlerts: r.ChampionSide.Load,
		Always: r.AlwaysSide.Load, PerHorizon: r.ChallengerSide.PerHorizon,
	}
}

// GatePolicy returns what a fleet's policy asks of a challenger.
func GatePolicy(f *fleet.Fleet) *registry.GatePolicy {
	p := &f.Policy
	return &registry.GatePolicy{
		RecallTarget: p.RecallTarget, MinFailures: p.MinFailures, MinPrecision: p.MinPrecision,
		MaxFalseAlarms: p.MaxFalseAlarms, LowerBound: p.ProofLowerBound,
	}
}
