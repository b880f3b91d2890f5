// Package train learns a model from the gold table: it picks and labels rows,
// splits them in time, fits with XGBoost, calibrates, measures on rows that
// nothing has seen, and writes down what the model was made of.
//
// [Run] does all of that and changes nothing; [Result.Register] puts what it
// made into a registry. [NewDataset] stops before the fit: it lists the rows
// with their labels, so that what a finding changed can be shown.
package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/model"
	"drumbeat/registry"
	"drumbeat/train/xgboost"
)

// Input is what a model is learnt from.
type Input struct {
	Fleet *fleet.Fleet
	View  *feature.View
	Gold  *lake.Gold   // of the view and its hash
	Truth *label.Truth // its horizon is the model's
}

// Options say how.
type Options struct {
	Library *xgboost.Library
	Threads int    // of the fit and of scoring
	Program string // this program's version, for the manifest
	Log     *slog.Logger
	// Progress is told what is being done and how far it is, by one goroutine
	// at a time; nil to be silent.
	Progress func(stage string, done, total int)
}

// Result is a trained model with its measures and its lineage.
type Result struct {
	Model    *model.Model
	Report   *Report
	Manifest registry.Manifest
}

// Run trains and measures a model. The same gold, truth, seed and number of
// threads give the same model to the bit.
func Run(ctx context.Context, in Input, opt Options) (*Result, error) {
	r, err := run(ctx, in, opt)
	if err != nil {
		return nil, fmt.Errorf("train %s: %w", in.Fleet.Name, err)
	}
	return r, nil
}

func run(ctx context.Context, in Input, opt Options) (*Result, error) {
	if opt.Library == nil {
		return nil, fmt.Errorf("no XGBoost library was given: %w", drumbeat.ErrInvalid)
	}
	opt.Threads = max(opt.Threads, 1)
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Progress = inTurn(opt.Progress)
	t := &training{in: in, opt: opt, report: newReport(in)}
	for _, step := range []struct {
		name string
		run  func(context.Context) error
	}{
		{"label", t.label},
		{"read", t.read},
		{"fit", t.fit},
		{"calibrate", t.calibrate},
		{"measure rows", t.measureRows},
		{"control", t.control},
		{"measure events", t.measureEvents},
	} {
		opt.Progress(step.name, 0, 1)
		if err := step.run(ctx); err != nil {
			return nil, err
		}
		opt.Progress(step.name, 1, 1)
	}
	t.report.tell(in.Fleet)
	for _, warning := range t.report.Warnings {
		opt.Log.WarnContext(ctx, "look at the trained model", "fleet", in.Fleet.Name, "warning", warning)
	}
	manifest, err := t.manifest()
	if err != nil {
		return nil, err
	}
	return &Result{Model: t.model, Report: t.report, Manifest: manifest}, nil
}

// inTurn makes progress safe to call from several goroutines.
func inTurn(progress func(string, int, int)) func(string, int, int) {
	if progress == nil {
		return func(string, int, int) {}
	}
	var mu sync.Mutex
	return func(stage string, done, total int) {
		mu.Lock()
		defer mu.Unlock()
		progress(stage, done, total)
	}
}

// training is a run in progress: each step fills in what the next ones need.
type training struct {
	in     Input
	opt    Options
	report *Report

	data   *Dataset
	split  Split
	parts  [3]part // train, validation, test
	params xgboost.Params
	trees  []byte
	rounds int
	ours   *model.Ensemble
	model  *model.Model
	scores [3][]float32 // margins of the parts' rows
}

// label picks and labels rows and splits them.
func (t *training) label(ctx context.Context) error {
	var err error
	if t.data, err = NewDataset(ctx, t.in); err != nil {
		return err
	}
	if t.split, err = splitOf(t.data, t.in); err != nil {
		return err
	}
	t.report.Split = t.split
	t.report.Rows = t.data.Counts
	return nil
}

// read loads the features of the labelled rows of each part.
func (t *training) read(ctx context.Context) error {
	for i := range t.data.Rows {
		row := &t.data.Rows[i]
		if row.Verdict.Value == label.Unknown {
			continue
		}
		if p, ok := t.split.part(row.AsOf); ok {
			t.parts[p].add(row)
		} else {
			t.report.Rows.InGaps++
		}
	}
	for p := range t.parts {
		n := partCounts{Rows: len(t.parts[p].y), Positives: t.parts[p].positives}
		t.report.Rows.Parts[partName(p)] = n
		if n.Positives == 0 || n.Positives == n.Rows {
			return fmt.Errorf("the %s rows (%s) hold %d positive and %d negative rows, and both are needed: "+
				"give it more history or other split dates: %w", partName(p), t.split.span(p), n.Positives,
				n.Rows-n.Positives, drumbeat.ErrInvalid)
		}
	}
	return load(ctx, t.in, &t.parts)
}

func (t *training) fit(ctx context.Context) error {
	f := &t.in.Fleet.Train
	train, valid := &t.parts[partTrain], &t.parts[partValidation]
	t.params = xgboost.Params{
		Rounds: f.Rounds, MaxDepth: f.MaxDepth, Eta: f.Eta, Subsample: f.Subsample, ColSample: f.ColSample,
		MinChild: f.MinChild, MaxBin: maxBin, Seed: f.Seed, Threads: t.opt.Threads, Patience: patience,
	}
	var err error
	if t.params.BaseScore, err = t.baseScore(ctx, train); err != nil {
		return err
	}
	fitted, err := t.opt.Library.Train(ctx, t.params, train.data(t.data.Features), valid.data(t.data.Features),
		func(round, rounds int) { t.opt.Progress("fit", round, rounds) })
	if err != nil {
		return err
	}
	t.trees, t.rounds = fitted.Trees, fitted.Rounds
	if t.ours, err = model.Load(fitted.Trees); err != nil {
		return err
	}
	for p := range t.parts {
		t.scores[p] = margins(t.ours, t.parts[p].x, len(t.parts[p].y), t.opt.Threads)
	}
	t.report.Model = modelCounts{Trees: t.ours.Trees(), Depth: t.ours.Depth(), RoundsTried: len(fitted.Loss)}
	return t.agree()
}

// agree holds our evaluation of the trees to XGBoost's own, to the bit: a model
// that would be served otherwise than it was trained is never handed out.
func (t *training) agree() error {
	p, err := t.opt.Library.Load(t.trees, len(t.data.Features), t.opt.Threads)
	if err != nil {
		return err
	}
	defer p.Close()
	want, err := p.Margins(t.parts[partValidation].x)
	if err != nil {
		return err
	}
	for i, got := range t.scores[partValidation] {
		if math.Float32bits(got) != math.Float32bits(want[i]) {
			return fmt.Errorf("validation row %d has margin %v here and %v in XGBoost: %w",
				i, got, want[i], errDisagree)
		}
	}
	t.report.Model.AgreedRows = len(want)
	return nil
}

var errDisagree = errors.New("the two evaluations of the trees differ")

// calibrate makes probabilities of margins, and the model of both.
func (t *training) calibrate(context.Context) error {
	c, chosen := fitCalibrator(&t.parts[partValidation], t.scores[partValidation])
	t.report.Calibration = chosen
	m, err := model.New(t.trees, model.Description{
		Fleet: t.in.Fleet.Name, View: t.in.View.Name, Hash: t.in.View.Hash, Features: t.data.Features,
		Horizon: t.report.Horizon, HorizonTime: t.in.Truth.Horizon(), Calibrator: c,
	})
	t.model = m
	return err
}

// manifest is the lineage of the model.
func (t *training) manifest() (registry.Manifest, error) {
	measures, err := json.Marshal(t.report)
	if err != nil {
		return registry.Manifest{}, fmt.Errorf("write report: %w", err)
	}
	c := &t.report.Rows
	m := registry.Manifest{
		Format: registry.ManifestFormat, Fleet: t.in.Fleet.Name, View: t.in.View.Name, Hash: t.in.View.Hash,
		Features: t.data.Features, Horizon: t.report.Horizon, Mode: "any", LabelPolicy: t.in.Truth.Policy(),
		Threshold: t.in.Fleet.Policy.Threshold, Calibration: t.model.Calibrator.Method,
		Data: map[string]int64{
			"gold_rows": int64(c.Gold), "corrections": int64(c.Corrections), "grid_rows": int64(c.Grid),
			"warming_up": int64(c.WarmingUp), "unlabelled": int64(c.Unlabelled), "in_gaps": int64(c.InGaps),
			"truth_at_us": int64(t.in.Truth.FleetNow()), "complete_to_us": int64(t.in.Truth.CompleteTo()),
		},
		Split: map[string]registry.TimeSpan{}, Params: t.params.Map(), Seed: t.params.Seed,
		Library: "xgboost " + t.opt.Library.Version(), Program: t.opt.Program, Measures: measures,
	}
	for partition, next := range t.data.Progress {
		m.Data["gold_progress_"+strconv.Itoa(int(partition))] = next
	}
	for p := range t.parts {
		name := partName(p)
		m.Data[name+"_rows"] = int64(len(t.parts[p].y))
		m.Split[name] = registry.TimeSpan{From: t.split.Spans[p].From, Until: t.split.Spans[p].Until}
	}
	return m, nil
}

// Register stores the model in a registry. run names the training run, so that
// a repeated call returns the same version; it may be empty.
func (r *Result) Register(
	ctx context.Context, to registry.Versions, run, who string, fleetNow drumbeat.Time,
) (registry.Version, error) {
	files, err := r.Model.Encode()
	if err != nil {
		return registry.Version{}, err
	}
	return to.Register(ctx, registry.Registration{
		Manifest: r.Manifest, Files: files, Run: run, Who: who, WhenFleet: fleetNow,
	})
}

// horizonText writes a horizon the way that fleet files do.
func horizonText(f *fleet.Fleet, horizon time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case horizon == f.Label.Horizon && f.Label.HorizonText != "":
		return f.Label.HorizonText
	case horizon%day == 0:
		return strconv.Itoa(int(horizon/day)) + "d"
	case horizon%time.Hour == 0:
		return strconv.Itoa(int(horizon/time.Hour)) + "h"
	}
	return horizon.String()
}
