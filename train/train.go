// Package train learns a model from the gold table: it picks and labels rows,
// splits them in time, fits with XGBoost, calibrates, measures on rows that
// nothing has seen, and writes down what the model was made of.
//
// [Run] does all of that and changes nothing; [Result.Register] puts what it
// made into a registry. [NewDataset] stops before the fit: it lists the rows
// with their labels, so that what a finding changed can be shown.
//
// The parts of Run can also be done one by one, each by another process that
// knows no more than the JSON of what came before: a [Pin] of the sources,
// then [Prepare], [Fit], [Evaluate], [Restore] and [Result.Register]. They give
// the same bits as Run.
package train

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
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
	// Pin leaves out the rows of gold that came after it; nil reads all.
	Pin *Pin
}

// knows says whether a row of gold is to be read.
func (in *Input) knows(at drumbeat.Position) bool {
	return in.Pin == nil || before(at, in.Pin.Epoch, in.Pin.Gold)
}

// Options say how.
type Options struct {
	Library *xgboost.Library
	Threads int    // of the fit and of scoring
	Program string // this program's version, for the manifest
	// ShuffleLabels deals the labels of the training and validation rows out
	// anew, by the seed: a control model that learnt nothing, which a gate must
	// refuse. The report and the manifest say so.
	ShuffleLabels bool
	Log           *slog.Logger
	// Progress is told what is being done and how far it is, by one goroutine
	// at a time; nil to be silent.
	Progress func(stage string, done, total int)
}

// Run trains and measures a model. The same gold, truth, seed and number of
// threads give the same model to the bit.
func Run(ctx context.Context, in Input, opt Options) (*Result, error) {
	t, err := begin(in, opt)
	if err != nil {
		return nil, err
	}
	var r *Result
	err = t.steps(ctx, t.prepareSteps(), t.fitSteps(), t.evaluateSteps())
	if err == nil {
		r, err = t.result(ctx)
	}
	if err != nil {
		return nil, t.failed(err)
	}
	return r, nil
}

// begin refuses options with which nothing can be trained.
func begin(in Input, opt Options) (*training, error) {
	if opt.Library == nil {
		return nil, fmt.Errorf("train %s: no XGBoost library was given: %w", in.Fleet.Name, drumbeat.ErrInvalid)
	}
	opt.Threads = max(opt.Threads, 1)
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	opt.Progress = inTurn(opt.Progress)
	return &training{in: in, opt: opt, report: newReport(in), shuffled: opt.ShuffleLabels}, nil
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
	in       Input
	opt      Options
	report   *Report
	shuffled bool

	data    *Dataset
	split   Split
	parts   [3]part // train, validation, test
	params  xgboost.Params
	trees   []byte
	rounds  int
	library string // that fitted the trees
	ours    *model.Ensemble
	model   *model.Model
	scores  [3][]float32 // margins of the parts' rows
}

// step is one thing that a training does, as people are told of it.
type step struct {
	name string
	run  func(context.Context) error
}

func (t *training) prepareSteps() []step {
	return []step{{"label", t.label}, {"read", t.read}}
}

func (t *training) fitSteps() []step {
	return []step{{"fit", t.fit}, {"calibrate", t.calibrate}}
}

func (t *training) evaluateSteps() []step {
	return []step{
		{"measure rows", t.measureRows}, {"control", t.control}, {"measure events", t.measureEvents},
	}
}

func (t *training) steps(ctx context.Context, lists ...[]step) error {
	for _, s := range slices.Concat(lists...) {
		t.opt.Progress(s.name, 0, 1)
		if err := s.run(ctx); err != nil {
			return err
		}
		t.opt.Progress(s.name, 1, 1)
	}
	return nil
}

func (t *training) failed(err error) error { return fmt.Errorf("train %s: %w", t.in.Fleet.Name, err) }

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
			return fmt.Errorf("the %s rows (%s) hold %d positive and %d negative rows, and both are needed; "+
				"%d failures are known in all: give it more history, the failures that the log lacks, or other split dates%s: %w",
				partName(p), t.split.span(p), n.Positives, n.Rows-n.Positives, len(t.in.Truth.Failures()),
				also(stopped(t.in)), drumbeat.ErrInvalid)
		}
	}
	return load(ctx, t.in, &t.parts)
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
		Library: "xgboost " + t.library, Program: t.opt.Program, Measures: measures,
	}
	if t.shuffled {
		m.Params["labels"] = labelsShuffled
	}
	if t.in.Pin != nil {
		m.Data["findings"] = int64(t.in.Pin.Findings)
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
