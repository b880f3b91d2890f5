package main

import (
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/model"
	"drumbeat/monitor"
	"drumbeat/pipeline"
	"drumbeat/registry"
)

// The controls that the gate must refuse, and the aliases under which they
// score in the champion's shadow.
const (
	aliasShuffled drumbeat.Role = "challenger-2"
	aliasAlways   drumbeat.Role = "challenger-3"
)

// shadowEvidence is what the challenger did beside the champion.
type shadowEvidence struct {
	Champion drumbeat.ModelVersion `json:"champion"`
	Honest   drumbeat.ModelVersion `json:"challenger"`
	Shuffled drumbeat.ModelVersion `json:"control_of_shuffled_labels"`
	Always   drumbeat.ModelVersion `json:"control_that_always_alarms"`
	Days     float64               `json:"fleet_days_played"`
	Reports  int                   `json:"monitoring_reports"`
	Opened   map[string]int        `json:"alerts_by_model_version"`
	Shadow   *monitor.ShadowReport `json:"shadow"`
	Live     *monitor.LiveReport   `json:"live_recall"`
	// Broke is the failures of the live report's window that the simulator
	// knows.
	Broke int `json:"failures_in_the_window_that_the_simulator_knows"`
}

// shadow plays to the last day with the challenger, and two controls, scoring
// the same live readings.
func (q *quickstart) shadow(ctx context.Context) (any, []string, error) {
	d := q.daemon
	retrained, ok := evidenceOf[retrainEvidence](q)
	if !ok {
		return nil, []string{"there is no challenger"}, nil
	}
	e := shadowEvidence{Champion: d.scorer.Champion().Version, Honest: retrained.Version, Opened: map[string]int{}}
	var err error
	if e.Shuffled, err = q.trainShuffled(ctx); err != nil {
		return nil, nil, fmt.Errorf("train a control on shuffled labels: %w", err)
	}
	if e.Always, err = q.registerAlways(ctx, e.Honest); err != nil {
		return nil, nil, fmt.Errorf("register a control that always alarms: %w", err)
	}
	if err := d.follow(ctx); err != nil {
		return nil, nil, err
	}
	until := d.sim().Start.Add(lastDay * day)
	q.say("shadow: versions %d, %d and %d score what version %d scores, to fleet day %d", e.Honest, e.Shuffled, e.Always, e.Champion, lastDay)
	began := q.sim.Now()
	bar := q.newProgress("shadow", "days", int64(until.Sub(began)/day))
	var last *monitored
	for q.sim.Now() < until {
		if last, err = q.playDay(ctx); err != nil {
			return nil, nil, err
		}
		e.Reports++
		bar.Set(int64(q.sim.Now().Sub(began) / day))
	}
	bar.Done()
	e.Days, e.Live = q.sim.Now().Sub(began).Hours()/24, last.Live
	faults, err := q.checkShadow(ctx, &e)
	return e, faults, err
}

// trainShuffled trains the control whose labels mean nothing.
func (q *quickstart) trainShuffled(ctx context.Context) (drumbeat.ModelVersion, error) {
	made, err := q.trainRun(ctx, pipeline.Request{
		ID: "control-shuffled", Reason: pipeline.Reason{Detail: "a control for the gate"},
	}, trainParams{Shuffle: true, Alias: aliasShuffled})
	if err != nil {
		return 0, err
	}
	return made.Version, nil
}

// always is the calibration that alarms whatever the trees say.
const always = 5.0

// registerAlways registers the challenger's trees with a calibration that
// alarms always.
func (q *quickstart) registerAlways(ctx context.Context, of drumbeat.ModelVersion) (drumbeat.ModelVersion, error) {
	d := q.daemon
	honest, err := d.registry.Version(ctx, d.def.Name, of)
	if err != nil {
		return 0, err
	}
	live, err := d.live(ctx, of)
	if err != nil {
		return 0, err
	}
	alarming := *live.Model
	alarming.Calibrator = model.Calibrator{Method: model.Platt, Slope: 0, Intercept: always}
	files, err := alarming.Encode()
	if err != nil {
		return 0, err
	}
	manifest := honest.Manifest
	manifest.Calibration, manifest.Measures = model.Platt, nil // they are another model's
	version, err := d.registry.Register(ctx, registry.Registration{
		Manifest: manifest, Files: files, Run: "control-always", Who: localUser.Name, WhenFleet: d.now(),
	})
	if err != nil {
		return 0, err
	}
	_, err = d.registry.Move(ctx, registry.Move{
		Fleet: d.def.Name, Alias: aliasAlways, To: version.Number, Who: localUser.Name,
		Why: "a control for the gate: it always alarms", Proof: registry.NoGate, WhenFleet: d.now(),
	})
	return version.Number, err
}

// checkShadow holds what was measured to what must be, and to what the
// simulator knows.
func (q *quickstart) checkShadow(ctx context.Context, e *shadowEvidence) ([]string, error) {
	d := q.daemon
	verdict, err := d.judge(ctx, e.Honest)
	if err != nil {
		return nil, err
	}
	e.Shadow = verdict.Shadow
	alerts, err := d.alerts.List(ctx, alert.Filter{Limit: alert.MaxList})
	if err != nil {
		return nil, err
	}
	var faults []string
	for i := range alerts {
		e.Opened[fmt.Sprint(alerts[i].Model)]++
		if alerts[i].Model != e.Champion {
			faults = append(faults, fmt.Sprintf("version %d opened alert %s, only the champion may", alerts[i].Model, alerts[i].ID))
		}
	}
	seen := map[string]bool{}
	for _, f := range q.sim.Failures() {
		if f.Time >= e.Live.From && f.Time <= e.Live.Until {
			seen[fmt.Sprint(f.Machine, f.Time)] = true
		}
	}
	e.Broke = len(seen)
	faults = append(faults, unequal("failures of the live report", int64(e.Live.Seen+e.Live.Unobservable), int64(e.Broke))...)
	if e.Shadow.Rows.Compared == 0 || e.Shadow.Pairs.All() == 0 {
		faults = append(faults, "the challenger was compared on nothing")
	}
	q.say("  %s", e.Shadow.Sentence)
	q.say("  live: %s", e.Live.Sentence)
	return faults, nil
}

// gateEvidence is the gate's table for each of the three.
type gateEvidence struct {
	Honest   registry.Gate `json:"challenger"`
	Shuffled registry.Gate `json:"control_of_shuffled_labels"`
	Always   registry.Gate `json:"control_that_always_alarms"`
}

// gate judges the challenger and the controls by the same table.
func (q *quickstart) gate(ctx context.Context) (any, []string, error) {
	shadowed, ok := evidenceOf[shadowEvidence](q)
	if !ok {
		return nil, []string{"there is nothing to judge"}, nil
	}
	q.say("gate: the challenger and two controls by the same table")
	var e gateEvidence
	for _, one := range []struct {
		version drumbeat.ModelVersion
		into    *registry.Gate
	}{{shadowed.Honest, &e.Honest}, {shadowed.Shuffled, &e.Shuffled}, {shadowed.Always, &e.Always}} {
		verdict, err := q.daemon.judge(ctx, one.version)
		if err != nil {
			return nil, nil, err
		}
		*one.into = verdict.Gate
		q.say("  %s", verdict.Gate.Sentence)
	}
	var faults []string
	if e.Shuffled.Passed {
		faults = append(faults, "a model of shuffled labels passed the gate")
	}
	if e.Always.Passed {
		faults = append(faults, "a model that always alarms passed the gate")
	}
	return e, faults, nil
}
