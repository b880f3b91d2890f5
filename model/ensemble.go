package model

import (
	"fmt"
	"math"
	"slices"

	"drumbeat"
)

// The limits of a model file. They are some ten times what training makes
// (300 trees of 127 nodes, 50 features, 3 MB as JSON), so that a file beyond
// them is damaged or hostile, and small enough that loading one cannot take
// the process down.
const (
	maxFile     = 64 << 20
	maxTrees    = 10_000
	maxNodes    = 4 << 20 // of all trees together
	maxFeatures = 4096
	maxDepth    = 64 // of one tree; also bounds recursion and the quadrature
)

// Ensemble is a sum of regression trees on the log-odds scale, as XGBoost's
// binary:logistic learns them. It is immutable and safe for concurrent use.
type Ensemble struct {
	features []string
	base     float32 // the margin before any tree
	trees    []tree
	depth    int // of the deepest tree

	heap    *heap   // nil if the trees are too deep or the rows too wide
	packed  *packed // used where heap is nil
	explain explainer
	expects float64 // mean margin over the training rows: the bias of Explain
}

// tree is one regression tree as the file holds it, after validation. Node 0
// is the root; a node is a leaf where left is -1.
type tree struct {
	left, right []int32
	feature     []int32
	threshold   []float32 // of a leaf: its value
	defaultLeft []bool
	cover       []float32 // sum of hessians of the training rows that passed
	depth       int
}

func (t *tree) leaf(node int32) bool { return t.left[node] < 0 }

// Load reads an ensemble that XGBoost saved, as JSON or UBJSON, and validates
// all of it: a margin can be computed for any row afterwards. It reads
// objective binary:logistic with numerical splits.
func Load(data []byte) (*Ensemble, error) {
	e, err := load(data)
	if err != nil {
		return nil, fmt.Errorf("load xgboost model: %w", err)
	}
	return e, nil
}

func load(data []byte) (*Ensemble, error) {
	if len(data) > maxFile {
		return nil, fmt.Errorf("%d bytes, at most %d: %w", len(data), maxFile, drumbeat.ErrLimit)
	}
	root, err := parse(data)
	if err != nil {
		return nil, err
	}
	e, err := root.ensemble()
	if err != nil {
		return nil, err
	}
	for i := range e.trees {
		e.depth = max(e.depth, e.trees[i].depth)
	}
	if e.depth <= heapDepth && len(e.features) <= heapFeatures {
		e.heap = newHeap(e.trees, len(e.features))
	} else {
		e.packed = newPacked(e.trees)
	}
	e.explain = newExplainer(e.trees, e.depth)
	e.expects = float64(e.base) + e.explain.mean
	return e, nil
}

// Features returns the names of the columns of a row, in order.
func (e *Ensemble) Features() []string { return slices.Clone(e.features) }

// Trees returns the number of trees.
func (e *Ensemble) Trees() int { return len(e.trees) }

// Depth returns the greatest number of splits from a root to a leaf.
func (e *Ensemble) Depth() int { return e.depth }

// Margin returns the log-odds of one row, NaN being missing. It equals
// XGBoost's own to the bit: float32, trees added in order. Values that the
// row lacks at its end are missing, those beyond the features are ignored.
func (e *Ensemble) Margin(row []float32) float32 {
	if e.heap != nil {
		return e.heap.margin(e.base, row)
	}
	return e.packed.margin(e.base, e.pad(row))
}

// Margins computes the margins of len(out) rows of len(Features()) values
// each, one row after another in rows.
func (e *Ensemble) Margins(rows, out []float32) {
	width := len(e.features)
	rows = rows[:width*len(out)]
	if e.heap != nil {
		e.heap.margins(e.base, rows, out, width)
		return
	}
	for i := range out {
		out[i] = e.packed.margin(e.base, rows[i*width:(i+1)*width])
	}
}

// pad returns row with exactly one value a feature.
func (e *Ensemble) pad(row []float32) []float32 {
	if len(row) >= len(e.features) {
		return row
	}
	full := make([]float32, len(e.features))
	for i := copy(full, row); i < len(full); i++ {
		full[i] = float32(math.NaN())
	}
	return full
}
