package train

import (
	"cmp"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/model"
)

// Isotonic calibration follows the rows wherever they lead, so it is tried only
// where they are many, of several machines; else Platt's two numbers serve.
const (
	isotonicPositives = 200
	isotonicMachines  = 10 // with a positive row
	folds             = 5
)

// calibration says how margins became probabilities, and why so.
type calibration struct {
	Method string `json:"method"`
	// The mean log losses on validation rows, each machine judged by a
	// calibrator that had not seen it.
	PlattLogLoss    Number `json:"platt_log_loss"`
	IsotonicLogLoss Number `json:"isotonic_log_loss"` // null: too few rows to try
	TestLogLoss     Number `json:"test_log_loss"`     // of the one chosen
	TestMean        Number `json:"test_mean_probability"`
}

// point is a margin and what followed.
type point struct {
	margin   float64
	positive bool
	fold     int
}

// fitCalibrator fits on the validation rows, choosing by cross-validation over
// machines.
func fitCalibrator(p *part, margins []float32) (model.Calibrator, calibration) {
	points := make([]point, len(margins))
	index := map[drumbeat.MachineID]int{}
	failing := map[drumbeat.MachineID]bool{}
	for i, m := range margins {
		n, ok := index[p.machines[i]]
		if !ok {
			n = len(index)
			index[p.machines[i]] = n
		}
		points[i] = point{float64(m), p.y[i] > 0, n % folds}
		if points[i].positive {
			failing[p.machines[i]] = true
		}
	}
	slices.SortStableFunc(points, func(a, b point) int { return cmp.Compare(a.margin, b.margin) })
	c := calibration{Method: model.Platt, IsotonicLogLoss: Number(math.NaN())}
	c.PlattLogLoss = Number(crossLoss(points, platt))
	if p.positives >= isotonicPositives && len(failing) >= isotonicMachines {
		c.IsotonicLogLoss = Number(crossLoss(points, isotonic))
	}
	if c.IsotonicLogLoss < c.PlattLogLoss {
		c.Method = model.Isotonic
		return isotonic(points), c
	}
	return platt(points), c
}

// crossLoss fits on all folds but one and measures on that one, for each.
func crossLoss(points []point, fit func([]point) model.Calibrator) float64 {
	total := 0.0
	for fold := range folds {
		var seen, unseen []point
		for _, p := range points {
			if p.fold == fold {
				unseen = append(unseen, p)
			} else {
				seen = append(seen, p)
			}
		}
		if len(unseen) > 0 && len(seen) > 0 {
			c := fit(seen)
			total += logLoss(unseen, &c) * float64(len(unseen))
		}
	}
	return total / float64(len(points))
}

func logLoss(points []point, c *model.Calibrator) float64 {
	total := 0.0
	for _, p := range points {
		probability := c.Probability(p.margin)
		if !p.positive {
			probability = 1 - probability
		}
		total -= math.Log(probability)
	}
	return total / float64(len(points))
}

// leastStep ends the search for a step of Newton's that helps.
const leastStep = 1e-10

// platt fits 1/(1+exp(-(a·m+b))) by Newton's method on Platt's own targets,
// which keep a little doubt where the classes part cleanly.
func platt(points []point) model.Calibrator {
	positives := 0.0
	for _, p := range points {
		if p.positive {
			positives++
		}
	}
	negatives := float64(len(points)) - positives
	high, low := (positives+1)/(positives+2), 1/(negatives+2)
	a, b := 0.0, math.Log((positives+1)/(negatives+1))
	for loss := plattLoss(points, high, low, a, b); ; {
		step := plattStep(points, high, low, a, b)
		size, next := 1.0, math.Inf(1)
		for ; size > leastStep; size /= 2 {
			if next = plattLoss(points, high, low, a+size*step[0], b+size*step[1]); next < loss {
				break
			}
		}
		if !(next < loss) {
			break
		}
		a, b = a+size*step[0], b+size*step[1]
		if loss-next < 1e-12*loss {
			break
		}
		loss = next
	}
	if a < 0 { // margins that say the opposite are worth nothing: the base rate
		a, b = 0, math.Log((positives+1)/(negatives+1))
	}
	return model.Calibrator{Method: model.Platt, Slope: a, Intercept: b}
}

// plattStep returns Newton's step, on a slightly raised diagonal.
func plattStep(points []point, high, low, a, b float64) [2]float64 {
	haa, hab, hbb, ga, gb := 1e-9, 0.0, 1e-9, 0.0, 0.0
	for _, p := range points {
		target := low
		if p.positive {
			target = high
		}
		q := 1 / (1 + math.Exp(-(a*p.margin + b)))
		d, w := target-q, q*(1-q)
		ga += d * p.margin
		gb += d
		haa += w * p.margin * p.margin
		hab += w * p.margin
		hbb += w
	}
	det := haa*hbb - hab*hab
	return [2]float64{(hbb*ga - hab*gb) / det, (haa*gb - hab*ga) / det}
}

func plattLoss(points []point, high, low, a, b float64) float64 {
	total := 0.0
	for _, p := range points {
		target := low
		if p.positive {
			target = high
		}
		x := a*p.margin + b
		// log(1+exp(-|x|)) is exact where exp would overflow.
		total += math.Log1p(math.Exp(-math.Abs(x))) + max(x, 0) - target*x
	}
	return total
}

// block is neighbouring points that share a probability.
type block struct {
	first, last  float64 // margins
	n, positives float64
	value        float64
}

// isotonic pools neighbours until the share of positives rises with the
// margin: level within a block, a line to the next one. A block's share counts
// half a case of each kind more than it saw, so that it is never 0 or 1.
func isotonic(points []point) model.Calibrator {
	var blocks []block
	for i := 0; i < len(points); {
		b := block{first: points[i].margin, last: points[i].margin}
		for ; i < len(points) && points[i].margin == b.last; i++ {
			b.n++
			if points[i].positive {
				b.positives++
			}
		}
		b.value = b.positives / b.n
		blocks = pool(append(blocks, b))
	}
	var doubted []block
	for _, b := range blocks {
		b.value = (b.positives + 0.5) / (b.n + 1)
		doubted = pool(append(doubted, b))
	}
	c := model.Calibrator{Method: model.Isotonic}
	for _, b := range doubted {
		c.Margins, c.Chances = append(c.Margins, b.first), append(c.Chances, b.value)
		if b.last > b.first {
			c.Margins, c.Chances = append(c.Margins, b.last), append(c.Chances, b.value)
		}
	}
	return c
}

// pool joins the last blocks while the value does not rise.
func pool(blocks []block) []block {
	for n := len(blocks); n > 1 && blocks[n-2].value >= blocks[n-1].value; n-- {
		a, b := blocks[n-2], blocks[n-1]
		blocks = blocks[:n-1]
		blocks[n-2] = block{
			first: a.first, last: b.last, n: a.n + b.n, positives: a.positives + b.positives,
			value: (a.value*a.n + b.value*b.n) / (a.n + b.n),
		}
	}
	return blocks
}
