package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/monitor"
	"drumbeat/pipeline"
	"drumbeat/sim"
)

// The play of the monitoring loop.
const (
	day = 24 * time.Hour
	// quietDays are looked at before anything shifts.
	quietDays = 2
	// driftDays is how long a shift may take to be seen: three whole days in a
	// row are asked for (M4).
	driftDays = 5
	// shiftSigmas and shiftSpread are how far vibration shifts: so many
	// standard deviations of the reference's daily means, and at least that
	// share of the spread between machines.
	shiftSigmas = 4
	shiftSpread = 0.6
	// lastDay is the fleet day up to which the shadows are played.
	lastDay = 130
)

// shiftedSensor is what shifts on every machine.
const shiftedSensor = "vibration_hz"

// driftEvidence is what the reports said of a shift, and what the simulator
// knows of it.
type driftEvidence struct {
	Shift      sim.Shift            `json:"shift"`
	Sigmas     float64              `json:"shift_in_reference_deviations"`
	Spreads    float64              `json:"shift_in_spreads_between_machines"`
	QuietDays  int                  `json:"days_before"`
	QuietFlags []string             `json:"flagged_before"`
	DaysToFlag int                  `json:"days_until_flagged"`
	Flagged    []string             `json:"flagged_sensors"`
	Since      drumbeat.Time        `json:"flagged_since"`
	Effect     monitor.Number       `json:"effect"`
	ShiftSeen  monitor.Number       `json:"shift_seen"`
	Features   []driftFeature       `json:"flagged_features"`
	Triggers   []monitor.Trigger    `json:"triggers"`
	Report     *monitor.DriftReport `json:"report"`
}

type driftFeature struct {
	Name   string         `json:"name"`
	MadeOf []string       `json:"made_of"`
	PSI    monitor.Number `json:"psi"`
	Effect monitor.Number `json:"effect"`
}

// playDay plays to the next midnight, and looks at the fleet's models as the
// scheduler does.
func (q *quickstart) playDay(ctx context.Context) (*monitored, error) {
	if err := q.playUntil(ctx, midnight(q.sim.Now())); err != nil {
		return nil, err
	}
	if _, _, err := q.host.watch(ctx, q.daemon); err != nil {
		return nil, err
	}
	return q.daemon.lastReport(ctx)
}

// midnight is the next one after t, and the minute in which it is looked back
// at.
func midnight(t drumbeat.Time) drumbeat.Time {
	return drumbeat.At(t.Std().Truncate(day).Add(day + time.Minute))
}

// playUntil plays and waits until the lake holds what was played, and what was
// foretold.
func (q *quickstart) playUntil(ctx context.Context, until drumbeat.Time) error {
	if err := q.player.playTo(ctx, until); err != nil {
		return err
	}
	if err := q.player.settle(ctx); err != nil {
		return err
	}
	return q.daemon.untilInLake(ctx)
}

// drift shifts vibration on every machine and waits until a report says so.
func (q *quickstart) drift(ctx context.Context) (any, []string, error) {
	d := q.daemon
	q.say("drift: playing on; then %s shifts on every machine", shiftedSensor)
	e := driftEvidence{QuietDays: quietDays, QuietFlags: []string{}}
	var before *monitored
	for range quietDays {
		var err error
		if before, err = q.playDay(ctx); err != nil {
			return nil, nil, err
		}
		e.QuietFlags = append(e.QuietFlags, before.Drift.Flagged.Sensors...)
	}
	if err := q.shift(ctx, before.Drift, &e); err != nil {
		return nil, nil, err
	}
	var found *monitor.SensorDrift
	for e.DaysToFlag = 0; found == nil && e.DaysToFlag < driftDays; e.DaysToFlag++ {
		report, err := q.playDay(ctx)
		if err != nil {
			return nil, nil, err
		}
		e.Report, e.Triggers = report.Drift, report.Triggers
		if s := sensorDrift(report.Drift); s != nil && s.Flagged {
			found = s
		}
	}
	if found == nil {
		return e, []string{fmt.Sprintf("%s shifted by %.3g and no report of %d days flagged it", shiftedSensor, e.Shift.By, driftDays)}, nil
	}
	e.Flagged = e.Report.Flagged.Sensors
	e.Since, e.Effect, e.ShiftSeen = found.Since, found.Effect, found.Shift
	faults := q.checkDrift(&e)
	q.say("  %s", found.Sentence)
	q.say("  since %s; it shifted at %s; features that show it: %d of %d", found.Since, e.Shift.From, len(e.Features), len(d.view.Features))
	return e, faults, nil
}

// shift lets the simulator shift the sensor from now on, and keeps it where a
// later start finds it.
func (q *quickstart) shift(ctx context.Context, r *monitor.DriftReport, e *driftEvidence) error {
	s := sensorDrift(r)
	if s == nil {
		return fmt.Errorf("shift %s: the report does not know it: %w", shiftedSensor, drumbeat.ErrNotFound)
	}
	by := max(shiftSigmas*float64(s.Weekday.SD), shiftSpread*float64(s.Spread))
	e.Shift = sim.Shift{Sensor: shiftedSensor, From: q.sim.Now(), By: by}
	e.Sigmas, e.Spreads = by/float64(s.Weekday.SD), by/float64(s.Spread)
	head := q.daemon.sim()
	head.Shifts = append(head.Shifts, e.Shift)
	if err := q.daemon.save(); err != nil {
		return err
	}
	if err := q.sim.Shift(e.Shift); err != nil {
		return fmt.Errorf("shift %s: %w", shiftedSensor, err)
	}
	return ctx.Err()
}

// sensorDrift finds the shifted sensor in a report.
func sensorDrift(r *monitor.DriftReport) *monitor.SensorDrift {
	for i := range r.Sensors {
		if r.Sensors[i].Sensor == shiftedSensor {
			return &r.Sensors[i]
		}
	}
	return nil
}

// checkDrift holds the report to what the simulator knows.
func (q *quickstart) checkDrift(e *driftEvidence) []string {
	var faults []string
	if len(e.Flagged) != 1 || e.Flagged[0] != shiftedSensor {
		faults = append(faults, fmt.Sprintf("flagged sensors %q, only %s shifted", e.Flagged, shiftedSensor))
	}
	if got, want := e.Since.Std().Truncate(day), e.Shift.From.Std().Truncate(day); !got.Equal(want) {
		faults = append(faults, fmt.Sprintf("flagged since %s, it shifted on %s", got, want))
	}
	for i := range e.Report.Features {
		f := &e.Report.Features[i]
		if !f.Flagged {
			continue
		}
		e.Features = append(e.Features, driftFeature{Name: f.Feature, MadeOf: f.MadeOf, PSI: f.PSI, Effect: f.Difference})
		if !slices.Contains(f.MadeOf, shiftedSensor) {
			faults = append(faults, fmt.Sprintf("feature %s is flagged and made of %q", f.Feature, f.MadeOf))
		}
	}
	if len(e.Features) == 0 {
		faults = append(faults, "no feature made of "+shiftedSensor+" is flagged")
	}
	return faults
}

// retrainEvidence is how a reason became a model.
type retrainEvidence struct {
	Run      pipeline.Run          `json:"run"`
	Seconds  map[string]float64    `json:"seconds_by_step"`
	Again    string                `json:"asked_again_for_the_same_reason"`
	Cooldown string                `json:"asked_for_another_reason_within_the_cooldown"`
	Version  drumbeat.ModelVersion `json:"version"`
	Runs     int                   `json:"runs_for_that_reason"`
}

// retrain trains for the drift that was seen, once.
func (q *quickstart) retrain(ctx context.Context) (any, []string, error) {
	seen, ok := evidenceOf[driftEvidence](q)
	if !ok || len(seen.Triggers) == 0 {
		return nil, []string{"the reports gave no reason to train again"}, nil
	}
	d := q.daemon
	reason := reasonOf(&seen.Triggers[0])
	q.say("retrain: %s", reason.String())
	run, err := q.host.retrain(ctx, d, reason)
	if err != nil {
		return nil, nil, err
	}
	e := retrainEvidence{Run: withoutTrees(run), Seconds: map[string]float64{}}
	for i := range run.Steps {
		s := &run.Steps[i]
		e.Seconds[s.Name] = s.Ended.Wall.Sub(s.Started.Wall).Seconds()
	}
	var made registered
	if err := run.Result(stepRegister, &made); err != nil {
		return nil, nil, err
	}
	e.Version = made.Version
	again, err := q.host.retrain(ctx, d, reason)
	if err != nil {
		return nil, nil, err
	}
	e.Again = again.ID
	other := pipeline.Reason{Kind: pipeline.ConceptDrift, Subject: "1", Since: d.now(), Detail: "a try within the cooldown"}
	_, refusal := q.host.runner.Run(ctx, q.host.graphs[graphTrain], pipeline.Request{
		Fleet: d.def.Name, Reason: other, Who: scheduler, Cooldown: d.def.Policy.Cooldown,
	})
	if refusal != nil {
		e.Cooldown = refusal.Error()
	}
	runs, err := q.host.runs.List(ctx, pipeline.Query{Graph: graphTrain, Fleet: d.def.Name, Key: reason.Key()})
	if err != nil {
		return nil, nil, err
	}
	e.Runs = len(runs)
	var faults []string
	for what, wrong := range map[string]bool{
		"the run did not end well":                      run.State != pipeline.Done,
		"asking again started another run":              again.ID != run.ID || e.Runs != 1,
		"the cooldown did not hold":                     !errors.Is(refusal, drumbeat.ErrLimit),
		"the run does not say that data drift began it": run.Reason.Kind != pipeline.DataDrift,
	} {
		if wrong {
			faults = append(faults, what)
		}
	}
	q.say("  version %d, in %d steps; asked again for the same reason: run %s", e.Version, len(run.Steps), again.ID)
	return e, faults, nil
}
