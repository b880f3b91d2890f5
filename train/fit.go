package train

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"drumbeat/model"
	"drumbeat/train/xgboost"
)

// maxBin is XGBoost's own default: thresholds a feature. Fewer are hardly
// faster here, and package model may count on no more.
const maxBin = 256

// patience is how many rounds without a better validation loss end a fit: at a
// learning rate of 0.05 a plateau of 30 rounds is one.
const patience = 30

func (t *training) fit(ctx context.Context) error {
	t.shuffle()
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
	t.trees, t.rounds, t.library = fitted.Trees, fitted.Rounds, t.opt.Library.Version()
	if t.ours, err = model.Load(fitted.Trees); err != nil {
		return err
	}
	t.score()
	t.report.Model = modelCounts{Trees: t.ours.Trees(), Depth: t.ours.Depth(), RoundsTried: len(fitted.Loss)}
	return t.agree()
}

// labelsShuffled is what a report and a manifest say of a control model.
const labelsShuffled = "shuffled"

// shuffle deals the labels of the training and of the validation rows out anew
// if that was asked for: as many are positive as before, at random. The test
// rows keep theirs.
func (t *training) shuffle() {
	if !t.shuffled {
		return
	}
	t.report.Labels = labelsShuffled
	random := rand.New(rand.NewPCG(uint64(t.in.Fleet.Train.Seed), 1)) //nolint:gosec // a seed must replay it
	for _, p := range []*part{&t.parts[partTrain], &t.parts[partValidation]} {
		random.Shuffle(len(p.y), func(i, j int) {
			p.y[i], p.y[j] = p.y[j], p.y[i]
			p.values[i], p.values[j] = p.values[j], p.values[i]
		})
	}
}

// score takes the margins of all rows.
func (t *training) score() {
	for p := range t.parts {
		t.scores[p] = margins(t.ours, t.parts[p].x, len(t.parts[p].y), t.opt.Threads)
	}
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

// baseScore starts the trees at the base rate, which saves them the rounds that
// it would take to get there. It takes the nearest of some values on which
// XGBoost's logarithm and ours round alike, so that margins are equal to the
// bit.
func (t *training) baseScore(ctx context.Context, p *part) (float64, error) {
	rate := min(max(float64(p.positives)/float64(len(p.y)), 0.0005), 0.9995)
	one := &xgboost.Data{X: []float32{0, 0}, Names: []string{"x"}, Y: []float32{0, 1}}
	params := t.params
	params.Rounds, params.Patience = 0, 0
	for i := range 10 {
		params.BaseScore = math.Round(rate*1e4)/1e4 + float64(i)*1e-4
		fitted, err := t.opt.Library.Train(ctx, params, one, nil, nil)
		if err != nil {
			return 0, err
		}
		ours, err := model.Load(fitted.Trees)
		if err != nil {
			return 0, err
		}
		theirs, err := t.opt.Library.Load(fitted.Trees, 1, 1)
		if err != nil {
			return 0, err
		}
		want, err := theirs.Margins(one.X[:1])
		theirs.Close()
		if err != nil {
			return 0, err
		}
		if math.Float32bits(ours.Margin(one.X[:1])) == math.Float32bits(want[0]) {
			return params.BaseScore, nil
		}
	}
	return 0, fmt.Errorf("no base score near %v rounds alike: %w", rate, errDisagree)
}

// margins scores rows with several threads.
func margins(e *model.Ensemble, x []float32, rows, threads int) []float32 {
	out := make([]float32, rows)
	width := len(e.Features())
	each := (rows + threads - 1) / threads
	var wait sync.WaitGroup
	for from := 0; from < rows; from += each {
		until := min(from+each, rows)
		wait.Go(func() { e.Margins(x[from*width:until*width], out[from:until]) })
	}
	wait.Wait()
	return out
}
