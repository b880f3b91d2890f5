package label

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"

	"drumbeat"
)

// Scores is labelled rows in the order of their scores: what measures by row
// are made of (M1). It is immutable and safe for concurrent use.
type Scores struct {
	scores []float64 // falling
	// rows says of each row which machine's it is, and the two bits below.
	rows      []uint32
	machines  int
	unknown   int
	positives int
}

// A row's bits: its label, and whether the next row has another score. The
// machine's number stands above them.
const (
	bitPositive = 1 << iota
	bitLast
	machineShift = iota
)

// MaxRows bounds the rows of Scores: a year of a thousand machines, twice.
const MaxRows = 1 << 26

// NewScores takes rows in columns, in any order. Rows of unknown label are
// counted and left out (L2). A NaN score ranks below all others.
func NewScores(machines []drumbeat.MachineID, scores []float64, values []Value) (*Scores, error) {
	if len(machines) != len(scores) || len(scores) != len(values) {
		return nil, fmt.Errorf("measure rows: %d machines, %d scores and %d labels: want as many of each: %w",
			len(machines), len(scores), len(values), drumbeat.ErrInvalid)
	}
	if len(scores) > MaxRows {
		return nil, fmt.Errorf("measure rows: %d rows, at most %d: %w", len(scores), MaxRows, drumbeat.ErrLimit)
	}
	type scored struct {
		score float64
		row   uint32
	}
	s := &Scores{}
	sorted := make([]scored, 0, len(scores))
	index := map[drumbeat.MachineID]uint32{}
	for i, value := range values {
		if value == Unknown {
			s.unknown++
			continue
		}
		machine, ok := index[machines[i]]
		if !ok {
			machine = uint32(len(index)) //nolint:gosec // at most MaxRows
			index[machines[i]] = machine
		}
		next := scored{scores[i], machine << machineShift}
		if math.IsNaN(next.score) {
			next.score = math.Inf(-1)
		}
		if value == Positive {
			next.row |= bitPositive
			s.positives++
		}
		sorted = append(sorted, next)
	}
	s.machines = len(index)
	slices.SortFunc(sorted, func(a, b scored) int { return cmp.Compare(b.score, a.score) })
	s.scores, s.rows = make([]float64, len(sorted)), make([]uint32, len(sorted))
	for i := range sorted {
		s.scores[i], s.rows[i] = sorted[i].score, sorted[i].row
		if i+1 == len(sorted) || sorted[i+1].score != sorted[i].score {
			s.rows[i] |= bitLast
		}
	}
	return s, nil
}

// Rows returns how many rows are labelled.
func (s *Scores) Rows() int { return len(s.rows) }

// Positives returns how many rows are positive.
func (s *Scores) Positives() int { return s.positives }

// Unlabelled returns how many rows were left out because their label is
// unknown.
func (s *Scores) Unlabelled() int { return s.unknown }

// PRAUC returns the area under the precision-recall curve as the average
// precision: over the distinct scores, precision times the recall gained.
// Equal scores are one step. NaN without a positive row.
func (s *Scores) PRAUC() float64 {
	return s.walk(s.once(), 0).ap
}

// ROCAUC returns the area under the ROC curve: the chance that a positive row
// scores above a negative one, ties counting half. NaN unless there are both.
func (s *Scores) ROCAUC() float64 {
	return s.walk(s.once(), 0).roc
}

// once is the weights of every machine drawn once.
func (s *Scores) once() []int64 {
	weights := make([]int64, s.machines)
	for i := range weights {
		weights[i] = 1
	}
	return weights
}

// measured is what one walk over the rows finds.
type measured struct {
	ap, roc, f1 float64
	tp, fp      int64 // among the first rows, up to the cut
}

// walk goes through the rows once, each counting as often as its machine was
// drawn, and takes F1 where the first cut rows are called positive. Wins are
// counted in whole halves, so ROC-AUC is exact but for one division.
func (s *Scores) walk(weights []int64, cut int) measured {
	var m measured
	var ap float64
	var tp, fp, p, n, wins int64 // wins: twice the positives above, once those level
	for i, row := range s.rows {
		if i == cut {
			m.tp, m.fp = tp+p, fp+n
		}
		w := weights[row>>machineShift]
		positive := w * int64(row&bitPositive)
		p += positive
		n += w - positive
		if row&bitLast == 0 {
			continue
		}
		wins += n * (2*tp + p)
		tp += p
		fp += n
		if p > 0 {
			ap += float64(p) * (float64(tp) / float64(tp+fp))
		}
		p, n = 0, 0
	}
	if cut == len(s.rows) {
		m.tp, m.fp = tp, fp
	}
	m.ap, m.roc, m.f1 = math.NaN(), math.NaN(), math.NaN()
	if tp > 0 {
		m.ap = ap / float64(tp)
	}
	if tp > 0 && fp > 0 {
		m.roc = float64(wins) / (2 * float64(tp) * float64(fp))
	}
	if all := m.tp + m.fp + tp; all > 0 {
		m.f1 = 2 * float64(m.tp) / float64(all) // 2·tp / (2·tp + fp + fn)
	}
	return m
}

// Confusion counts rows by label and by score > threshold, strictly.
type Confusion struct {
	TruePositives  int `json:"true_positives"`
	FalsePositives int `json:"false_positives"`
	TrueNegatives  int `json:"true_negatives"`
	FalseNegatives int `json:"false_negatives"`
}

// At returns the confusion at a threshold.
func (s *Scores) At(threshold float64) Confusion {
	return s.confusion(s.walk(s.once(), s.cut(threshold)))
}

func (s *Scores) confusion(m measured) Confusion {
	tp, fp := int(m.tp), int(m.fp)
	return Confusion{
		TruePositives: tp, FalsePositives: fp,
		FalseNegatives: s.positives - tp, TrueNegatives: len(s.rows) - s.positives - fp,
	}
}

// cut returns how many rows score above the threshold.
func (s *Scores) cut(threshold float64) int {
	return sort.Search(len(s.scores), func(i int) bool { return s.scores[i] <= threshold })
}

// RowMeasures is M1 by row, at one threshold.
type RowMeasures struct {
	Threshold float64    `json:"threshold"`
	Rows      int        `json:"rows"`
	Unknown   int        `json:"unknown_rows"` // counted, in no denominator (L2)
	Positives int        `json:"positives"`
	BaseRate  Interval   `json:"base_rate"`
	Confusion Confusion  `json:"confusion"`
	Precision Proportion `json:"precision"`
	Recall    Proportion `json:"recall"`
	F1        Interval   `json:"f1"`
	PRAUC     Interval   `json:"pr_auc"`
	ROCAUC    Interval   `json:"roc_auc"`
}

// Measures returns every measure by row, with intervals: Wilson's for
// proportions, the bootstrap's for the rest.
func (s *Scores) Measures(threshold float64, b Bootstrap) RowMeasures {
	cut := s.cut(threshold)
	var ap, roc, f1 []float64
	b.each(s.machines, func(weights []int64) {
		m := s.walk(weights, cut)
		ap, roc, f1 = append(ap, m.ap), append(roc, m.roc), append(f1, m.f1)
	})
	m := s.walk(s.once(), cut)
	c := s.confusion(m)
	return RowMeasures{
		Threshold: threshold, Rows: len(s.rows), Unknown: s.unknown, Positives: s.positives,
		BaseRate: Wilson(s.positives, len(s.rows)), Confusion: c,
		Precision: ProportionOf(c.TruePositives, c.TruePositives+c.FalsePositives),
		Recall:    ProportionOf(c.TruePositives, s.positives),
		F1:        percentiles(m.f1, f1),
		PRAUC:     percentiles(m.ap, ap),
		ROCAUC:    percentiles(m.roc, roc),
	}
}
