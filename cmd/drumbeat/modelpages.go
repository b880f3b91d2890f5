package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet/strict"
	"drumbeat/label"
	"drumbeat/monitor"
	"drumbeat/pipeline"
	"drumbeat/registry"
	"drumbeat/train"
	"drumbeat/web"
)

// modelPages tells the page about a fleet's models, their health and the
// quality of data.
type modelPages struct {
	host   *host
	daemon *daemon

	mu         sync.Mutex // guards what follows
	qualityNow web.Quality
	qualityAt  time.Time
}

// shownRuns is how many runs of the retraining the page lists.
const shownRuns = 20

func (m *modelPages) models(ctx context.Context) (web.Models, error) {
	d := m.daemon
	list, err := d.models(ctx)
	if err != nil {
		return web.Models{}, err
	}
	runs, err := m.host.runs.List(ctx, pipeline.Query{Graph: graphTrain, Fleet: d.def.Name, Limit: shownRuns})
	if err != nil {
		return web.Models{}, err
	}
	out := web.Models{NextRetrain: m.next(ctx, graphTrain, d.def.Policy.RetrainEvery)}
	why := map[string]string{}
	for i := range runs {
		why[runs[i].ID] = reasonWords(&runs[i].Reason)
		out.Runs = append(out.Runs, shownRun(&runs[i]))
	}
	former := map[drumbeat.ModelVersion]bool{}
	for _, row := range slices.Backward(list.Ledger) {
		out.Ledger = append(out.Ledger, shownRow(&row))
		if row.Alias == drumbeat.RoleChampion {
			former[row.To] = true
		}
	}
	out.Previous = registry.Previous(list.Ledger)
	last, err := d.lastReport(ctx)
	if err != nil {
		return web.Models{}, err
	}
	for i := range list.Versions {
		v, err := shownVersion(&list.Versions[i])
		if err != nil {
			return web.Models{}, err
		}
		for alias, number := range list.Aliases {
			if number == v.Number {
				v.Role = alias
			}
		}
		v.Former = former[v.Number] && v.Number != list.Champion
		v.Why = why[list.Versions[i].Run]
		if last != nil {
			last.judgedInto(&v)
		}
		out.Versions = append(out.Versions, v)
	}
	return out, nil
}

// judgedInto adds what the newest report says of a challenger.
func (r *monitored) judgedInto(v *web.Version) {
	for i := range r.Judged {
		j := &r.Judged[i]
		if j.Gate.Challenger == v.Number && registry.IsChallenger(v.Role) {
			v.Gate, v.Shadow = shownGate(&j.Gate, r.MadeAt), shownShadow(j.Shadow)
		}
	}
}

func shownRow(l *registry.LedgerRow) web.LedgerRow {
	return web.LedgerRow{
		Seq: l.Seq, Alias: l.Alias, From: l.From, To: l.To, Who: l.Who, Why: l.Why, Proof: l.Proof,
		WhenFleet: l.WhenFleet, WhenWall: l.WhenWall,
	}
}

func shownRun(r *pipeline.Run) web.Run {
	out := web.Run{
		ID: r.ID, Reason: reasonWords(&r.Reason), Who: r.Who, State: web.RunState(r.State), Error: r.Error,
		WhenFleet: r.Requested.Fleet, WhenWall: r.Requested.Wall,
	}
	for _, name := range trainSteps {
		step := web.RunStep{Name: name, State: web.RunWaiting}
		for i := range r.Steps {
			if s := &r.Steps[i]; s.Name == name {
				step.State = web.RunState(s.State)
				if s.Ended.Wall != drumbeat.NoTime {
					step.Seconds = s.Ended.Wall.Sub(s.Started.Wall).Seconds()
				}
			}
		}
		out.Steps = append(out.Steps, step)
	}
	return out
}

// reasonWords says for people why a run was asked for.
func reasonWords(r *pipeline.Reason) string {
	switch r.Kind {
	case pipeline.DataDrift:
		return fmt.Sprintf("%s has drifted since %s", r.Subject, r.Since.Std().Format("2 Jan 2006"))
	case pipeline.ConceptDrift:
		return fmt.Sprintf("version %s foretells too little", r.Subject)
	case pipeline.Schedule:
		return "the schedule"
	case pipeline.Person:
		if r.Detail != "" {
			return r.Detail
		}
		return "asked for by " + r.Subject
	}
	return r.String()
}

// shownVersion makes a version of a registered one, without what happened to
// it since.
func shownVersion(v *registry.Version) (web.Version, error) {
	out := web.Version{
		Number: v.Number, TrainedAt: v.WhenFleet, TrainedWall: v.WhenWall, Who: v.Who, Threshold: v.Manifest.Threshold, Hash: v.Manifest.Hash,
	}
	report, err := reportOf(v)
	if err != nil {
		return out, err
	}
	if out.Horizon, err = strict.ParseDuration(v.Manifest.Horizon); err != nil {
		return out, fmt.Errorf("read the horizon of version %d: %w", v.Number, err)
	}
	out.Measures = web.Measures{
		BaseRate: estimate(report.BaseRate, report.BaseRateInterval), PRAUC: estimate(report.PRAUC, report.PRAUCInterval),
		ShuffledROCAUC: float64(report.ShuffledROCAUC),
	}
	measuresInto(&out.Measures, &report.Events)
	return out, nil
}

// reportOf reads the report that a version was registered with.
func reportOf(v *registry.Version) (*train.Report, error) {
	report := &train.Report{}
	if len(v.Manifest.Measures) == 0 {
		return report, nil
	}
	if err := json.Unmarshal(v.Manifest.Measures, report); err != nil {
		return nil, fmt.Errorf("read the report of version %d: %w", v.Number, err)
	}
	return report, nil
}

// measuresInto fills in what is measured by event.
func measuresInto(m *web.Measures, e *label.EventMeasures) {
	m.Recall, m.RecallWithRepaired = share(e.Recall), share(e.RecallWithRepaired)
	m.Precision, m.FalseAlarms = share(e.Load.Precision), web.Estimate(e.Load.FalsePerMachineWeek)
	m.LeadHours = web.Estimate(e.LeadHours)
	m.AlertsPerWeek = math.NaN()
	if e.MachineWeeks > 0 && e.Machines > 0 {
		m.AlertsPerWeek = float64(e.Load.Alerts) / (e.MachineWeeks / float64(e.Machines))
	}
}

func estimate(value train.Number, bounds train.Pair) web.Estimate {
	return web.Estimate{Value: float64(value), Low: float64(bounds[0]), High: float64(bounds[1])}
}

func share(p label.Proportion) web.Share {
	return web.Share{K: p.K, N: p.N, Low: p.Interval.Low, High: p.Interval.High}
}

func shownGate(g *registry.Gate, at drumbeat.Time) *web.Gate {
	out := &web.Gate{Passed: g.Passed, JudgedAt: at, Sentence: g.Sentence}
	for i := range g.Rows {
		r := &g.Rows[i]
		out.Rows = append(out.Rows, web.GateRow{
			Name: r.Name, Asked: r.Asked, Measured: r.Measured, Bound: r.Bound, OK: r.OK, Missing: r.Missing,
		})
	}
	return out
}

func shownShadow(s *monitor.ShadowReport) *web.Shadow {
	return &web.Shadow{
		From: s.Start, Until: s.Until, Rows: s.Rows.Compared, OnlyOne: s.Rows.OnlyChampion + s.Rows.OnlyChallenger,
		BothAbove: s.Rows.BothAlarm, NeitherAbove: s.Rows.NeitherAlarm, OnlyChampionAbove: s.Rows.ChampionAlarm,
		OnlyChallengerAbove: s.Rows.ChallengerAlarm,
		ChampionAlerts:      s.ChampionSide.Opened, ChallengerAlerts: s.ChallengerSide.Opened,
		CaughtByBoth: s.Pairs.Both, CaughtByChampion: s.Pairs.OnlyChampion, CaughtByChallenger: s.Pairs.OnlyChallenger,
		CaughtByNone: s.Pairs.Neither, Sentence: s.Sentence,
	}
}

// report is how good a version was when it was trained.
func (m *modelPages) report(ctx context.Context, number drumbeat.ModelVersion) (web.Report, error) {
	list, err := m.models(ctx)
	if err != nil {
		return web.Report{}, err
	}
	at := slices.IndexFunc(list.Versions, func(v web.Version) bool { return v.Number == number })
	if at < 0 {
		return web.Report{}, fmt.Errorf("version %d of %s: %w", number, m.daemon.def.Name, drumbeat.ErrNotFound)
	}
	version, err := m.daemon.registry.Version(ctx, m.daemon.def.Name, number)
	if err != nil {
		return web.Report{}, err
	}
	r, err := reportOf(&version)
	if err != nil {
		return web.Report{}, err
	}
	manifest, err := json.MarshalIndent(withoutMeasures(version.Manifest), "", "  ")
	if err != nil {
		return web.Report{}, fmt.Errorf("write the manifest of version %d: %w", number, err)
	}
	e := &r.Events
	out := web.Report{
		Version: list.Versions[at], Gap: list.Versions[at].Horizon, Manifest: manifest, Price: r.Sentence, Warnings: r.Warnings,
		ROCAUC: estimate(r.ROCAUC, r.ROCAUCInterval), ShuffledPRAUC: float64(r.ShuffledPRAUC),
		BestFeature: r.BestSingleFeature.Name, BestFeaturePRAUC: float64(r.BestSingleFeature.PRAUC),
		AlwaysPrecision: float64(r.AlwaysAlarm.Precision), AlwaysFalseAlarms: float64(r.AlwaysAlarm.FalseAlarms),
		Machines: e.Machines, MachineWeeks: e.MachineWeeks, Unobservable: e.Unobservable,
		Alerts: e.Load.Alerts, TrueAlerts: e.Load.True, FalseAlerts: e.Load.False, UnknownAlerts: e.Load.Unknown,
	}
	for i := range r.Split.Spans {
		s := &r.Split.Spans[i]
		n := r.Rows.Parts[s.Part]
		out.Split = append(out.Split, web.Span{Name: s.Part, From: s.From, Until: s.Until, Rows: n.Rows, Positive: n.Positives})
	}
	for i := range r.Failures {
		f := &r.Failures[i]
		if f.Repaired {
			continue
		}
		shown := web.Failure{Machine: f.Machine, At: f.At, Result: f.Result, Best: float64(f.Best)}
		if lead := float64(f.Lead); !math.IsNaN(lead) {
			shown.Lead = time.Duration(lead * float64(time.Hour))
		}
		out.Failures = append(out.Failures, shown)
	}
	return out, nil
}

func withoutMeasures(m registry.Manifest) registry.Manifest {
	m.Measures = nil // they are the report
	return m
}

// next is when a schedule asks next, NoTime without one.
func (m *modelPages) next(ctx context.Context, graph string, every time.Duration) drumbeat.Time {
	if every == 0 {
		return drumbeat.NoTime
	}
	runs, err := m.host.runs.List(ctx, pipeline.Query{Graph: graph, Fleet: m.daemon.def.Name, Limit: 1})
	if err != nil || len(runs) == 0 {
		return drumbeat.NoTime
	}
	return runs[0].Requested.Fleet.Add(every)
}

// promote makes a version champion for whoever asks at the page, which writes
// down who it was.
func (m *modelPages) promote(ctx context.Context, version drumbeat.ModelVersion, override string) error {
	in := &modelMove{Fleet: m.daemon.def.Name}
	in.Body.Version, in.Body.Why = version, override
	_, err := m.host.move(ctx, access.PersonOf(ctx), graphPromote, in)
	return err
}

func (m *modelPages) rollback(ctx context.Context, why string) error {
	in := &modelMove{Fleet: m.daemon.def.Name}
	in.Body.Why = why
	_, err := m.host.move(ctx, access.PersonOf(ctx), graphRollback, in)
	return err
}

// retrain starts a retraining and does not wait for it.
func (m *modelPages) retrain(ctx context.Context, why string) (string, error) {
	who := access.PersonOf(ctx)
	graph := m.host.graphs[graphTrain]
	run, unfinished, err := m.host.runner.Start(ctx, graph, pipeline.Request{
		Fleet: m.daemon.def.Name, Who: who.Name,
		Reason: pipeline.Reason{Kind: pipeline.Person, Subject: who.Name, Since: m.daemon.now(), Detail: why},
	})
	if errors.Is(err, drumbeat.ErrConflict) { // one is under way
		runs, listErr := m.host.runs.List(ctx, pipeline.Query{Graph: graphTrain, Fleet: m.daemon.def.Name, State: pipeline.Running, Limit: 1})
		if listErr == nil && len(runs) > 0 {
			return runs[0].ID, nil
		}
	}
	if err != nil || !unfinished {
		return run.ID, err
	}
	return run.ID, m.host.background(func(ctx context.Context) error {
		_, err := m.host.runner.Continue(ctx, graph, run.ID)
		return err
	})
}
