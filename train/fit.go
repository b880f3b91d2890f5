package train

import (
	"context"
	"fmt"
	"math"
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
