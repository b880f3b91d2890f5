package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/pipeline"
)

// The graphs that a site runs. Each stage of the loop is a graph of one step,
// so that it has a run id and is done once for it; train has several.
const (
	graphRefine   = "refine"
	graphBackfill = "backfill"
	graphLabel    = "label"
	graphTrain    = "train"
	graphEvaluate = "evaluate"
	graphMonitor  = "monitor"
	graphPromote  = "promote"
	graphRollback = "rollback"
)

// stageTime is how long a stage may take over the API: a year of a large
// fleet is trained in some minutes.
const stageTime = time.Hour

// asked is what a stage is asked for.
type asked[P any] struct {
	Fleet drumbeat.FleetName `query:"fleet" maxLength:"200" doc:"Which fleet; may be left out where there is one"`
	Body  stageBody[P]
}

// stageBody is the body of a stage's request.
type stageBody[P any] struct {
	Run string `json:"run,omitempty" maxLength:"200" doc:"Names the run: asked for again it is the same run, done once"`
	Why string `json:"why,omitempty" maxLength:"2000" doc:"In words, for the list of runs"`

	Params P `json:"params,omitempty"`
}

// nothing is the parameters of a stage that takes none.
type nothing struct{}

// stageFlags are what every stage's command takes.
type stageFlags struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	RunID string             `name:"run" help:"Name of the run: asked for again it is the same run, done once. For cron and Airflow."`
	Why   string             `help:"Why, in words, for the list of runs."`
	JSON  bool               `name:"json" help:"Print the run as one JSON document."`
}

// stage makes the operation of a graph: POST /v1/NAME.
func stage[P any](graph, summary string) *operation[asked[P], output[pipeline.Run]] {
	return &operation[asked[P], output[pipeline.Run]]{
		method: http.MethodPost, path: "/v1/" + graph, id: graph, least: access.Engineer, timeout: stageTime, summary: summary,
		run: func(ctx context.Context, h *host, who access.Person, in *asked[P]) (*output[pipeline.Run], error) {
			d, err := h.daemon(in.Fleet)
			if err != nil {
				return nil, err
			}
			params, err := json.Marshal(in.Body.Params)
			if err != nil {
				return nil, fmt.Errorf("read parameters: %w", err)
			}
			if err := d.openIdle(ctx); err != nil {
				return nil, err
			}
			run, err := h.runner.Run(ctx, h.graphs[graph], pipeline.Request{
				ID: runID(in.Body.Run, graph), Fleet: d.def.Name, Who: who.Name, Params: params,
				Reason: pipeline.Reason{Kind: pipeline.Person, Subject: who.Name, Since: d.now(), Detail: in.Body.Why},
			})
			return answer(withoutTrees(run), err)
		},
	}
}

// runID names a run that was not named.
func runID(asked, graph string) string {
	if asked != "" {
		return asked
	}
	return graph + "-" + strings.ToLower(rand.Text()[:10])
}

// withoutTrees leaves a model's own files out of a run: they are megabytes, and
// the registry has them.
func withoutTrees(run pipeline.Run) pipeline.Run {
	for i := range run.Steps {
		if s := &run.Steps[i]; run.Graph == graphTrain && s.Name == stepTrain && len(s.Result) > 0 {
			s.Result = json.RawMessage(`{"files":"in the registry"}`)
		}
	}
	return run
}

// runStage asks for a stage and prints the run.
func runStage[P any](ctx context.Context, p *process, f *stageFlags, op *operation[asked[P], output[pipeline.Run]], params P) error {
	in := &asked[P]{Fleet: f.Fleet, Body: stageBody[P]{Run: f.RunID, Why: f.Why, Params: params}}
	out, err := call(ctx, p, f.Data, op, in)
	if err != nil {
		return err
	}
	run := &out.Body
	if f.JSON {
		return printJSON(p.stdout, run)
	}
	return printRun(p, run)
}

// printRun tells a run, step by step.
func printRun(p *process, run *pipeline.Run) error {
	fmt.Fprintf(p.stdout, "%s of %s: run %s, %s\n", run.Graph, run.Fleet, run.ID, run.State)
	if run.Error != "" {
		fmt.Fprintln(p.stdout, run.Error)
	}
	return printTable(p.stdout, []string{"step", "state", "seconds", "result"}, func(row func(...any)) {
		for i := range run.Steps {
			s := &run.Steps[i]
			row(s.Name, s.State, fmt.Sprintf("%.1f", s.Ended.Wall.Sub(s.Started.Wall).Seconds()), short(s.Result))
		}
	})
}

// short cuts a JSON document to what fits on a line.
func short(text json.RawMessage) string {
	const most = 120
	line := strings.Join(strings.Fields(string(text)), " ")
	if len(line) > most {
		line = line[:most] + "…"
	}
	return line
}

// makeGraphs makes the graphs that the site runs.
func (h *host) makeGraphs() {
	h.graphs = map[string]*pipeline.Graph{}
	one := func(name string, run stepOf) {
		h.graphs[name] = &pipeline.Graph{Name: name, Steps: []pipeline.Step{h.step(name, run)}}
	}
	one(graphRefine, (*daemon).refineStage)
	one(graphBackfill, (*daemon).backfillStage)
	one(graphLabel, (*daemon).labelStage)
	one(graphEvaluate, (*daemon).evaluateStage)
	one(graphMonitor, (*daemon).monitorStage)
	h.graphs[graphTrain] = h.trainGraph()
	one(graphPromote, (*daemon).promoteStep)
	one(graphRollback, (*daemon).rollbackStep)
	for _, name := range []string{graphPromote, graphRollback} {
		h.graphs[name].Steps[0].Retries = 0 // what was refused is refused
	}
}

// stepOf does a step's work for the fleet of its run.
type stepOf func(d *daemon, ctx context.Context, c *pipeline.Context) (any, error)

// stepRetries is how often a step that failed is tried again: a store that
// was away comes back within some pauses, or not soon.
const stepRetries = 2

func (h *host) step(name string, run stepOf) pipeline.Step {
	return pipeline.Step{Name: name, Retries: stepRetries, Run: func(ctx context.Context, c *pipeline.Context) (any, error) {
		d, err := h.daemon(c.Run.Fleet)
		if err != nil {
			return nil, err
		}
		if err := d.openIdle(ctx); err != nil {
			return nil, err
		}
		return run(d, ctx, c)
	}}
}

// openIdle opens what stages need of a fleet whose loops do not run.
func (d *daemon) openIdle(ctx context.Context) error {
	d.opening.Lock()
	defer d.opening.Unlock()
	if d.ingester != nil {
		return nil
	}
	var err error
	if d.idleNow, err = d.fleetNow(ctx); err != nil {
		return err
	}
	return d.openData(ctx)
}

// now is the fleet's clock: that of the stream where one runs, else as of what
// silver holds.
func (d *daemon) now() drumbeat.Time {
	if d.stream != nil {
		return d.stream.Clock().Now()
	}
	return d.idleNow
}
