package train

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"

	"drumbeat/label"
	"drumbeat/model"
	"drumbeat/train/xgboost"

	"golang.org/x/sync/errgroup"
)

// The shuffled-label control: trees fitted to labels that were dealt out anew
// among training rows, so that nothing is left to learn, and scored on the test
// rows with their true labels. They must do no better than chance; if they do,
// the way from the rows to the measures leaks. Validation rows have no part in
// it.
//
// As many positive rows are taken as negative ones. Then each fit has a mirror
// image that is as likely, and chance is exactly one half. Of rare positives a
// greedy tree makes small, high leaves out of unusual rows; failing machines
// are unusual, so without the balance pure noise reaches 0.54.
//
// One fit strays far, because failing machines resemble each other and rise or
// sink together, so many small ones are averaged: on true labels a fit of this
// size comes close to the model, and the report says how close.
const (
	controlRuns   = 40
	controlRows   = 4_000
	controlRounds = 15
	controlBins   = 32
)

// control measures what cannot be learnt.
func (t *training) control(ctx context.Context) error {
	random := rand.New(rand.NewPCG(uint64(t.params.Seed), 0)) //nolint:gosec // a seed must replay it
	d := t.balanced(random)
	params := t.params
	params.Rounds, params.Patience, params.Threads = min(max(t.rounds, 1), controlRounds), 0, 1
	params.MaxBin, params.BaseScore = min(params.MaxBin, controlBins), 0.5
	labels := make([][]float32, controlRuns+1)
	labels[controlRuns] = slices.Clone(d.Y) // the true ones, to show what such a fit can do
	for run := range controlRuns {
		random.Shuffle(len(d.Y), func(i, j int) { d.Y[i], d.Y[j] = d.Y[j], d.Y[i] })
		labels[run] = slices.Clone(d.Y)
	}
	// Each thread fits runs of its own, so that none waits at every split.
	var roc, pr [controlRuns + 1]float64
	var next, done atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range t.opt.Threads {
		group.Go(func() error {
			m, err := t.opt.Library.NewMatrix(d, 1)
			if err != nil {
				return err
			}
			defer m.Close()
			for run := next.Add(1) - 1; run <= controlRuns; run = next.Add(1) - 1 {
				p := params
				p.Seed += run
				s, err := t.chance(ctx, m, p, labels[run])
				if err != nil {
					return err
				}
				roc[run], pr[run] = s.ROCAUC(), s.PRAUC()
				t.opt.Progress("control", int(done.Add(1)), len(labels))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for run := range controlRuns {
		t.report.ShuffledROCAUC += Number(roc[run] / controlRuns)
		t.report.ShuffledPRAUC += Number(pr[run] / controlRuns)
	}
	t.report.Shuffled = shuffled{
		Runs: controlRuns, Rows: len(d.Y), Rounds: params.Rounds, TrueROCAUC: Number(roc[controlRuns]),
	}
	return nil
}

// balanced draws training rows, as many of each label.
func (t *training) balanced(random *rand.Rand) *xgboost.Data {
	train, width := &t.parts[partTrain], len(t.data.Features)
	d := &xgboost.Data{Names: t.data.Features}
	left := [2]int{controlRows / 2, controlRows / 2}
	for label := range left {
		have := train.positives
		if label == 0 {
			have = len(train.y) - train.positives
		}
		left[label] = min(have, controlRows/2)
	}
	left[0] = min(left[0], left[1])
	left[1] = left[0]
	for _, i := range random.Perm(len(train.y)) {
		if y := int(train.y[i]); left[y] > 0 {
			left[y]--
			d.X = append(d.X, train.x[i*width:(i+1)*width]...)
			d.Y = append(d.Y, train.y[i])
		}
	}
	return d
}

// chance fits to shuffled labels and scores the test rows.
func (t *training) chance(
	ctx context.Context, m *xgboost.Matrix, p xgboost.Params, y []float32,
) (*label.Scores, error) {
	fitted, err := m.Train(ctx, p, y)
	if err != nil {
		return nil, err
	}
	e, err := model.Load(fitted.Trees)
	if err != nil {
		return nil, err
	}
	test := &t.parts[partTest]
	return scoresOf(test, margins(e, test.x, len(test.y), 1))
}

func scoresOf(p *part, margins []float32) (*label.Scores, error) {
	scores := make([]float64, len(margins))
	for i, m := range margins {
		scores[i] = float64(m)
	}
	return label.NewScores(p.machines, scores, p.values)
}

// measureRows measures the test rows: the order by margin, the decisions by
// calibrated probability.
func (t *training) measureRows(ctx context.Context) error {
	test := &t.parts[partTest]
	bootstrap := t.bootstrap()
	order, err := scoresOf(test, t.scores[partTest])
	if err != nil {
		return err
	}
	probabilities := make([]float64, len(test.y))
	points := make([]point, len(test.y))
	mean := 0.0
	for i, m := range t.scores[partTest] {
		probabilities[i] = t.model.Calibrator.Probability(float64(m))
		points[i] = point{margin: float64(m), positive: test.y[i] > 0}
		mean += probabilities[i] / float64(len(test.y))
	}
	t.report.Calibration.TestLogLoss = Number(logLoss(points, &t.model.Calibrator))
	t.report.Calibration.TestMean = Number(mean)
	decisions, err := label.NewScores(test.machines, probabilities, test.values)
	if err != nil {
		return err
	}
	measures := decisions.Measures(t.in.Fleet.Policy.Threshold, bootstrap)
	byMargin := order.Measures(0, bootstrap)
	measures.PRAUC, measures.ROCAUC = byMargin.PRAUC, byMargin.ROCAUC
	t.report.rows(&measures)
	t.report.BestSingleFeature, err = t.bestSingle(ctx, test)
	return err
}

func (t *training) bootstrap() label.Bootstrap {
	return label.Bootstrap{Seed: uint64(t.in.Fleet.Train.Seed)} //nolint:gosec // any bits will do
}

// bestSingle ranks the test rows by each feature alone, upwards and downwards,
// with the rows that lack it first or last, and returns the best of all: what a
// rule of thumb could do at its very best, chosen with hindsight.
func (t *training) bestSingle(ctx context.Context, p *part) (single, error) {
	width := len(t.data.Features)
	found := make([]single, width)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(t.opt.Threads)
	for f := range width {
		group.Go(func() error {
			found[f] = single{Name: t.data.Features[f], PRAUC: -1}
			scores := make([]float64, len(p.y))
			for variant := range 4 {
				if err := ctx.Err(); err != nil {
					return err
				}
				sign, missing := 1.0, math.Inf(-1)
				if variant&1 != 0 {
					sign = -1
				}
				if variant&2 != 0 {
					missing = math.Inf(1)
				}
				for i := range scores {
					if v := float64(p.x[i*width+f]); math.IsNaN(v) {
						scores[i] = missing
					} else {
						scores[i] = sign * v
					}
				}
				s, err := label.NewScores(p.machines, scores, p.values)
				if err != nil {
					return err
				}
				found[f].PRAUC = max(found[f].PRAUC, Number(s.PRAUC()))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return single{}, err
	}
	best := single{PRAUC: -1}
	for _, s := range found {
		if s.PRAUC > best.PRAUC {
			best = s
		}
	}
	return best, nil
}
