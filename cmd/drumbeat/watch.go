package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/monitor"
	"drumbeat/pipeline"
	"drumbeat/registry"
)

// reportMonitor is the kind under which the lake keeps monitoring's reports.
const reportMonitor = "monitor"

// monitored is what one look at a fleet's models found: drift, live recall,
// and what each challenger proved.
type monitored struct {
	Fleet    drumbeat.FleetName    `json:"fleet"`
	MadeAt   drumbeat.Time         `json:"made_at"` // by the fleet's clock
	Run      string                `json:"run"`
	Champion drumbeat.ModelVersion `json:"champion"`
	Drift    *monitor.DriftReport  `json:"drift"`
	Live     *monitor.LiveReport   `json:"live"`
	Judged   []judged              `json:"challengers"`
	Triggers []monitor.Trigger     `json:"triggers"`
}

// looked is the short of it, which the run keeps.
type looked struct {
	MadeAt    drumbeat.Time     `json:"made_at"`
	Flagged   []string          `json:"flagged_sensors"`
	Sentences []string          `json:"sentences"`
	Triggers  []monitor.Trigger `json:"triggers"`
}

// monitorStage looks at a fleet's models and keeps the report.
func (d *daemon) monitorStage(ctx context.Context, c *pipeline.Context) (any, error) {
	report, err := d.look(ctx, c.Run.ID)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("write the report: %w", err)
	}
	row := lake.Report{Kind: reportMonitor, Key: c.Run.ID, MadeAt: report.MadeAt, Text: text}
	if err := d.lake.AppendReport(ctx, row); err != nil {
		return nil, err
	}
	d.report.Store(report)
	short := looked{MadeAt: report.MadeAt, Triggers: report.Triggers, Flagged: report.Drift.Flagged.Sensors}
	short.Sentences = append(slices.Clone(report.Drift.Sentences), report.Live.Sentence)
	for i := range report.Judged {
		short.Sentences = append(short.Sentences, report.Judged[i].Gate.Sentence)
	}
	return short, nil
}

// look makes a report of a fleet's models as of now.
func (d *daemon) look(ctx context.Context, run string) (*monitored, error) {
	champion, alias, err := registry.Champion(ctx, d.registry, d.def.Name)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return nil, fmt.Errorf("monitor %s: it has no champion to watch; `drumbeat train --promote-first` makes one: %w",
			d.def.Name, drumbeat.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	put, err := registry.PutBy(ctx, d.registry, alias)
	if err != nil {
		return nil, err
	}
	truth, err := d.truth(ctx)
	if err != nil {
		return nil, err
	}
	window, err := d.liveWindow(ctx, truth)
	if err != nil {
		return nil, err
	}
	r := &monitored{Fleet: d.def.Name, MadeAt: d.now(), Run: run, Champion: champion.Number}
	if r.Drift, err = d.drift(ctx, &champion); err != nil {
		return nil, err
	}
	r.Live, err = monitor.Live(ctx, monitor.LiveInput{
		Fleet: d.def, Truth: truth, Scores: d.scores, Champion: champion.Number, Since: put.WhenFleet, Window: window,
	})
	if err != nil {
		return nil, err
	}
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return nil, err
	}
	for _, other := range standing {
		if !registry.IsChallenger(other.Name) {
			continue
		}
		j, err := d.judge(ctx, other.Version)
		if err != nil {
			return nil, err
		}
		r.Judged = append(r.Judged, j)
	}
	r.Triggers = append(append(r.Triggers, r.Drift.Triggers...), r.Live.Triggers...)
	return r, nil
}

// liveWindow is how much matured time live recall is measured over: what
// monitoring takes by itself, but none from before the first champion, for
// nobody foretold anything then.
func (d *depot) liveWindow(ctx context.Context, truth *label.Truth) (time.Duration, error) {
	ledger, err := d.registry.Ledger(ctx, d.def.Name, 0)
	if err != nil {
		return 0, err
	}
	matured := truth.FleetNow().Add(-truth.Horizon() - d.def.Label.ReportingLag)
	for i := range ledger {
		if ledger[i].Alias == drumbeat.RoleChampion {
			return min(monitor.DefaultWindow, max(matured.Sub(ledger[i].WhenFleet), time.Hour)), nil
		}
	}
	return monitor.DefaultWindow, nil
}

// drift compares what the sensors said, and what was served, with the last
// days of the champion's own data (M4).
func (d *daemon) drift(ctx context.Context, champion *registry.Version) (*monitor.DriftReport, error) {
	reference, err := monitor.ReferenceOf(&champion.Manifest, &d.def.Policy)
	if err != nil {
		return nil, err
	}
	if err := d.countDays(ctx, reference.From); err != nil {
		return nil, err
	}
	live, err := d.live(ctx, champion.Number)
	if err != nil {
		return nil, err
	}
	gold, err := d.lake.Gold(ctx, live.View.Name, live.View.Hash, live.View.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold: %w", err)
	}
	return monitor.Drift(ctx, monitor.DriftInput{
		Fleet: d.def, Days: d.days, Reference: reference, Now: d.now(), Begun: drumbeat.NoTime, View: live.View, Vectors: monitor.OfGold(gold),
		Score: func(values []float64) float64 {
			_, probability := live.Model.Score(values)
			return probability
		},
	})
}

// countDays brings the daily sums up to silver.
func (d *daemon) countDays(ctx context.Context, since drumbeat.Time) error {
	if d.days == nil {
		d.days = monitor.NewDays(d.def)
	}
	end := d.lake.SilverProgress()
	scan := lake.ScanOptions{From: d.counted, To: end, Partition: lake.AllPartitions, Since: since.Add(-24 * time.Hour)}
	err := d.lake.ScanSilver(ctx, scan, func(items []drumbeat.Item) error {
		d.days.Add(items)
		return nil
	})
	if err != nil {
		return fmt.Errorf("add up the days: %w", err)
	}
	d.counted = end
	d.days.Forget(since.Add(-24 * time.Hour))
	return nil
}

// lastReport returns monitoring's newest report, nil before the first.
func (d *depot) lastReport(ctx context.Context) (*monitored, error) {
	if report := d.report.Load(); report != nil {
		return report, nil
	}
	rows, err := d.lake.Reports(ctx, reportMonitor, 1)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	report := &monitored{}
	if err := json.Unmarshal(rows[0].Text, report); err != nil {
		return nil, fmt.Errorf("read monitoring's report of %s: %w", rows[0].MadeAt, err)
	}
	d.report.Store(report)
	return report, nil
}

// attend looks after a fleet's models: monitors when that is due, and trains
// for each reason that it finds or the schedule gives.
func (h *host) attend(ctx context.Context, d *daemon) error {
	triggers, trained, err := h.watch(ctx, d)
	if err != nil {
		return err
	}
	for i := range triggers {
		if _, err := h.retrain(ctx, d, reasonOf(&triggers[i])); err != nil {
			return err
		}
	}
	reason, due, err := h.runner.Scheduled(ctx, graphTrain, d.def.Name, d.def.Policy.RetrainEvery, trained)
	if err != nil || !due || trained == drumbeat.NoTime {
		return err
	}
	_, err = h.retrain(ctx, d, reason)
	return err
}

// watch monitors a fleet if that is due, and returns the reasons to train
// again and when the champion was trained: NoTime without one, for there is
// nothing to look after until a person trains the first.
func (h *host) watch(ctx context.Context, d *daemon) ([]monitor.Trigger, drumbeat.Time, error) {
	champion, _, err := registry.Champion(ctx, h.registry, d.def.Name)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return nil, drumbeat.NoTime, nil
	}
	if err != nil {
		return nil, drumbeat.NoTime, err
	}
	reason, due, err := h.runner.Scheduled(ctx, graphMonitor, d.def.Name, d.def.Policy.MonitorEvery, drumbeat.NoTime)
	if err != nil || !due {
		return nil, champion.WhenFleet, err
	}
	run, err := h.runner.Run(ctx, h.graphs[graphMonitor], pipeline.Request{Fleet: d.def.Name, Reason: reason, Who: scheduler})
	if err != nil {
		return nil, champion.WhenFleet, err
	}
	var found looked
	err = run.Result(graphMonitor, &found)
	return found.Triggers, champion.WhenFleet, err
}

// scheduler is who asks for what no person asked for.
const scheduler = "scheduler"

func reasonOf(t *monitor.Trigger) pipeline.Reason {
	return pipeline.Reason{Kind: pipeline.Kind(t.Kind), Subject: t.Subject, Since: t.Since, Detail: t.Sentence}
}

// retrain trains for a reason, once. That another training is under way, or
// that the cooldown holds, is no fault: the reason will be met again.
func (h *host) retrain(ctx context.Context, d *daemon, reason pipeline.Reason) (pipeline.Run, error) {
	run, err := h.runner.Run(ctx, h.graphs[graphTrain], pipeline.Request{
		Fleet: d.def.Name, Reason: reason, Who: scheduler, Cooldown: d.def.Policy.Cooldown,
	})
	if errors.Is(err, drumbeat.ErrConflict) || errors.Is(err, drumbeat.ErrLimit) {
		h.log.InfoContext(ctx, "not retrained now", "fleet", d.def.Name, "why", err)
		return run, nil
	}
	return run, err
}

// attendAll looks after every fleet's models until ctx ends. What fails is
// told and tried again: serving does not depend on it.
func (h *host) attendAll(ctx context.Context) error {
	graphs := make([]pipeline.Graph, 0, len(h.graphs))
	for _, g := range h.graphs {
		graphs = append(graphs, *g)
	}
	if err := h.runner.Resume(ctx, graphs...); err != nil && ctx.Err() == nil {
		h.log.ErrorContext(ctx, "a run was not resumed", "error", err)
	}
	ticker := time.NewTicker(lakeEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for _, d := range h.daemons {
			if err := h.attend(ctx, d); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "models not looked after, trying again", "fleet", d.def.Name, "error", err)
			}
		}
	}
}

// monitorCommand looks at a fleet's models now.
type monitorCommand struct {
	stageFlags
	Report bool `help:"Print the newest whole report as JSON instead of looking anew."`
}

// Help teaches the command.
func (monitorCommand) Help() string {
	return `Compares what the sensors said and what was served with the last days of the champion's own data (drift), measures live recall
over failures that have matured, and holds challengers to the gate. The daemon does this by itself (policy: monitor_every) and
trains again for the reasons that it finds.`
}

func showReport() *operation[ofFleet, output[monitored]] {
	return &operation[ofFleet, output[monitored]]{
		method: http.MethodGet, path: "/v1/monitor", id: "show-report", least: access.Viewer,
		summary: "Monitoring's newest report: drift, live recall, challengers",
		run: func(ctx context.Context, h *host, _ access.Person, in *ofFleet) (*output[monitored], error) {
			d, err := h.daemon(in.Fleet)
			if err != nil {
				return nil, err
			}
			report, err := d.lastReport(ctx)
			if err == nil && report == nil {
				err = fmt.Errorf("there is no report on %s yet; `drumbeat monitor` makes one: %w", d.def.Name, drumbeat.ErrNotFound)
			}
			if err != nil {
				return nil, err
			}
			return answer(*report, nil)
		},
	}
}

// Run monitors and prints what was found.
func (c *monitorCommand) Run(ctx context.Context, p *process) error {
	if c.Report {
		out, err := call(ctx, p, c.Data, showReport(), &ofFleet{c.Fleet})
		if err != nil {
			return err
		}
		return printJSON(p.stdout, out.Body)
	}
	return runStage(ctx, p, &c.stageFlags, stage[nothing](graphMonitor, ""), nothing{})
}
