package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet/strict"
	"drumbeat/pipeline"
	"drumbeat/registry"
	"drumbeat/train"
)

// trainSteps are the steps of the graph that trains, in their order.
var trainSteps = []string{stepLabel, stepDataset, stepTrain, stepEvaluate, stepRegister}

const (
	stepLabel    = "label"
	stepDataset  = "dataset"
	stepTrain    = "train"
	stepEvaluate = "evaluate"
	stepRegister = "register"
)

// trainParams say how a model is trained and what becomes of it.
type trainParams struct {
	Horizon string `json:"horizon,omitempty" maxLength:"40" doc:"How far ahead a failure counts, such as 1d or 7d; the fleet file's if left out"`
	// PromoteFirst makes it the fleet's first champion.
	PromoteFirst bool `json:"promote_first,omitempty" doc:"Make it the fleet's first champion: there is no gate for the first"`
	// Shuffle trains a control that knows nothing.
	Shuffle bool          `json:"shuffle_labels,omitempty" doc:"Train a control on labels in random order: the gate must refuse it"`
	Alias   drumbeat.Role `json:"alias,omitempty" maxLength:"40" doc:"Which challenger's alias it takes; challenger if left out"`
	// Hash is of the view that the caller believes in, "" to take what is.
	Hash drumbeat.Hash `json:"view_hash,omitempty" maxLength:"100" doc:"Refuse unless the fleet's view has this hash"`
}

// trainGraph is label, dataset, train, evaluate, register. Each step's result
// is durable before the next begins, and each reads only what the first one
// pinned.
func (h *host) trainGraph() *pipeline.Graph {
	run := map[string]stepOf{
		stepLabel: (*daemon).labelStep, stepDataset: (*daemon).datasetStep, stepTrain: (*daemon).trainStep,
		stepEvaluate: (*daemon).evaluateStep, stepRegister: (*daemon).registerStep,
	}
	g := &pipeline.Graph{Name: graphTrain}
	for _, name := range trainSteps {
		g.Steps = append(g.Steps, h.step(name, run[name]))
	}
	return g
}

// sources is all that there is to learn from now, in a view.
func (d *depot) sources(ctx context.Context, view *feature.View) (*train.Sources, error) {
	gold, err := d.lake.Gold(ctx, view.Name, view.Hash, view.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold: %w", err)
	}
	s := &train.Sources{Fleet: d.def, View: view, Gold: gold, Epoch: d.lake.Epoch()}
	if s.Entries, err = d.entries(ctx); err != nil {
		return nil, err
	}
	if s.Findings, err = d.findings(ctx); err != nil {
		return nil, err
	}
	s.FleetNow, err = d.fleetNow(ctx)
	return s, err
}

// pinned is what the label step did, and what every later step reads.
type pinned struct {
	labelled
	Pin train.Pin `json:"pin"`
}

func (d *daemon) labelStep(ctx context.Context, c *pipeline.Context) (any, error) {
	var params trainParams
	if err := c.Params(&params); err != nil {
		return nil, err
	}
	var horizon time.Duration
	if params.Horizon != "" {
		var err error
		if horizon, err = strict.ParseDuration(params.Horizon); err != nil {
			return nil, fmt.Errorf("read horizon: %w", err)
		}
	}
	if params.Hash != "" && params.Hash != d.view.Hash {
		return nil, fmt.Errorf("the caller's features have hash %.12s, those of data folder %s %.12s; "+
			"import into a new folder, or change its %s: %w", params.Hash, d.dir, d.view.Hash, d.home(feature.ViewFile), drumbeat.ErrConflict)
	}
	s, err := d.sources(ctx, d.view)
	if err != nil {
		return nil, err
	}
	pin := s.Pin(horizon)
	in, err := s.Input(&pin)
	if err != nil {
		return nil, err
	}
	done, err := d.label(ctx, in)
	return pinned{labelled: done, Pin: pin}, err
}

// pinnedInput reads again what the label step pinned.
func (d *daemon) pinnedInput(ctx context.Context, c *pipeline.Context) (train.Input, train.Options, error) {
	var p pinned
	var params trainParams
	if err := errors.Join(c.Result(stepLabel, &p), c.Params(&params)); err != nil {
		return train.Input{}, train.Options{}, err
	}
	s, err := d.sources(ctx, d.view)
	if err != nil {
		return train.Input{}, train.Options{}, err
	}
	library, err := findXGBoost()
	if err != nil {
		return train.Input{}, train.Options{}, err
	}
	in, err := s.Input(&p.Pin)
	return in, train.Options{
		Library: library, Threads: runtime.GOMAXPROCS(0), Program: "drumbeat " + version, Log: d.log, Progress: c.Progress, ShuffleLabels: params.Shuffle,
	}, err
}

func (d *daemon) datasetStep(ctx context.Context, c *pipeline.Context) (any, error) {
	in, opt, err := d.pinnedInput(ctx, c)
	if err != nil {
		return nil, err
	}
	return train.Prepare(ctx, in, opt)
}

func (d *daemon) trainStep(ctx context.Context, c *pipeline.Context) (any, error) {
	in, opt, err := d.pinnedInput(ctx, c)
	if err != nil {
		return nil, err
	}
	var prepared train.Prepared
	if err := c.Result(stepDataset, &prepared); err != nil {
		return nil, err
	}
	return train.Fit(ctx, in, opt, &prepared)
}

func (d *daemon) evaluateStep(ctx context.Context, c *pipeline.Context) (any, error) {
	in, opt, err := d.pinnedInput(ctx, c)
	if err != nil {
		return nil, err
	}
	var prepared train.Prepared
	var fitted train.Fitted
	if err := errors.Join(c.Result(stepDataset, &prepared), c.Result(stepTrain, &fitted)); err != nil {
		return nil, err
	}
	result, err := train.Evaluate(ctx, in, opt, &prepared, &fitted)
	if err != nil {
		return nil, err
	}
	return result.Manifest, nil
}

// registered is the version that a training made.
type registered struct {
	Version  drumbeat.ModelVersion `json:"version"`
	Alias    drumbeat.Role         `json:"alias,omitempty"` // that it took
	Sentence string                `json:"sentence"`
}

func (d *daemon) registerStep(ctx context.Context, c *pipeline.Context) (any, error) {
	var p pinned
	var params trainParams
	var fitted train.Fitted
	var manifest registry.Manifest
	err := errors.Join(c.Result(stepLabel, &p), c.Params(&params), c.Result(stepTrain, &fitted), c.Result(stepEvaluate, &manifest))
	if err != nil {
		return nil, err
	}
	result, err := train.Restore(&fitted, &manifest)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(d.home(feature.ViewFile))
	if err != nil {
		return nil, fmt.Errorf("read the view: %w", err)
	}
	result.Files = map[string][]byte{feature.ViewFile: text}
	v, err := result.Register(ctx, d.registry, c.Run.ID, c.Run.Who, p.Pin.FleetNow)
	if err != nil {
		return nil, fmt.Errorf("register the model: %w", err)
	}
	out := registered{Version: v.Number, Sentence: result.Report.Sentence}
	out.Alias, err = d.place(ctx, c.Run, &params, &v, p.Pin.Horizon)
	return out, err
}

// place gives a new version its alias: champion if it is the fleet's first and
// that was asked for, else challenger, so that it scores in the champion's
// shadow. One of another horizon than the fleet's stands beside both.
func (d *daemon) place(
	ctx context.Context, run *pipeline.Run, params *trainParams, v *registry.Version, horizon time.Duration,
) (drumbeat.Role, error) {
	if params.PromoteFirst {
		if _, err := registry.PromoteFirst(ctx, d.registry, v, run.Who, d.now()); err != nil {
			return "", fmt.Errorf("promote version %d: %w", v.Number, err)
		}
		return drumbeat.RoleChampion, nil
	}
	champion, err := d.registry.Alias(ctx, d.def.Name, drumbeat.RoleChampion)
	if errors.Is(err, drumbeat.ErrNotFound) || horizon != d.def.Label.Horizon {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	alias := params.Alias
	if alias == "" {
		alias = drumbeat.RoleChallenger
	}
	before, err := d.registry.Alias(ctx, d.def.Name, alias)
	if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
		return "", err
	}
	if before.Version == v.Number || champion.Version == v.Number {
		return alias, nil // the step was done before it was cut off
	}
	_, err = d.registry.Move(ctx, registry.Move{
		Fleet: d.def.Name, Alias: alias, From: before.Version, To: v.Number, Who: run.Who,
		Why: "to score in the champion's shadow; trained for: " + run.Reason.String(), Proof: "run " + run.ID, WhenFleet: d.now(),
	})
	return alias, err
}
