package model_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"drumbeat/model"
)

// oakTree is one tree in XGBoost's own columns.
type oakTree struct {
	Left      []int     `json:"left_children"`
	Right     []int     `json:"right_children"`
	Feature   []int     `json:"split_indices"`
	Threshold []float32 `json:"split_conditions"`
	Missing   []int     `json:"default_left"`
	Cover     []float32 `json:"sum_hessian"`
	Types     []int     `json:"split_type"`
}

func (t *oakTree) node(cover float32) int {
	t.Left, t.Right = append(t.Left, -1), append(t.Right, -1)
	t.Feature, t.Missing = append(t.Feature, 0), append(t.Missing, 0)
	t.Threshold, t.Cover = append(t.Threshold, 0), append(t.Cover, cover)
	t.Types = append(t.Types, 0)
	return len(t.Left) - 1
}

// grow adds a random subtree that is at most depth deep.
func (t *oakTree) grow(r *rand.Rand, depth, features int, cover float32) int {
	at := t.node(cover)
	if depth == 0 || r.IntN(8) == 0 {
		t.Threshold[at] = float32(r.NormFloat64())
		return at
	}
	t.Feature[at], t.Missing[at] = r.IntN(features), r.IntN(2)
	t.Threshold[at] = value(r)
	share := r.Float32()
	if r.IntN(20) == 0 {
		share = 0
	}
	left := t.grow(r, depth-1, features, cover*share)
	right := t.grow(r, depth-1, features, cover*(1-share))
	t.Left[at], t.Right[at] = left, right
	return at
}

// value draws few enough numbers that rows meet thresholds exactly, with zeros
// of both signs and the ends of the range.
func value(r *rand.Rand) float32 {
	switch r.IntN(12) {
	case 0:
		return float32(math.Copysign(0, -1))
	case 1:
		return math.MaxFloat32
	case 2:
		return -math.MaxFloat32
	case 3:
		return math.SmallestNonzeroFloat32
	}
	return float32(r.IntN(9)-4) / 2
}

func forest(r *rand.Rand, trees, depth, features int) []oakTree {
	out := make([]oakTree, trees)
	for i := range out {
		out[i].grow(r, depth, features, 100)
	}
	return out
}

type object = map[string]any

// document is a model file as XGBoost writes it.
func document(trees []oakTree, features int, baseScore string) object {
	return object{
		"version": []int{3, 2, 0},
		"learner": object{
			"feature_names": []string{}, "feature_types": []string{},
			"learner_model_param": object{
				"base_score": baseScore, "num_class": "0", "num_feature": strconv.Itoa(features), "num_target": "1",
			},
			"objective": object{"name": "binary:logistic"},
			"gradient_booster": object{
				"name": "gbtree",
				"model": object{
					"gbtree_model_param": object{"num_trees": strconv.Itoa(len(trees)), "num_parallel_tree": "1"},
					"tree_info":          make([]int, len(trees)),
					"trees":              trees,
				},
			},
		},
	}
}

func bytesOf(tb testing.TB, doc any) []byte {
	tb.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func load(tb testing.TB, doc any) *model.Ensemble {
	tb.Helper()
	e, err := model.Load(bytesOf(tb, doc))
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func row(r *rand.Rand, features int) []float32 {
	x := make([]float32, features)
	for i := range x {
		if x[i] = value(r); r.IntN(4) == 0 {
			x[i] = float32(math.NaN())
		}
	}
	return x
}

// margin is XGBoost's rule, said as plainly as it can be.
func (t *oakTree) margin(x []float32) float32 {
	at := 0
	for t.Left[at] >= 0 {
		at = t.next(at, x)
	}
	return t.Threshold[at]
}

func (t *oakTree) next(at int, x []float32) int {
	v := x[t.Feature[at]]
	if v != v {
		if t.Missing[at] != 0 {
			return t.Left[at]
		}
		return t.Right[at]
	}
	if v < t.Threshold[at] {
		return t.Left[at]
	}
	return t.Right[at]
}

// known is the tree's mean over the training rows, where the features of the
// set are known to be x's.
func (t *oakTree) known(at int, x []float32, set uint) float64 {
	if t.Left[at] < 0 {
		return float64(t.Threshold[at])
	}
	if set>>t.Feature[at]&1 != 0 {
		return t.known(t.next(at, x), x, set)
	}
	left, right := float64(t.Cover[t.Left[at]]), float64(t.Cover[t.Right[at]])
	if left+right == 0 {
		left, right = 1, 1
	}
	return (left*t.known(t.Left[at], x, set) + right*t.known(t.Right[at], x, set)) / (left + right)
}

// shapley is the definition: over all orders of the features, what each adds.
func shapley(trees []oakTree, x []float32, features int) []float64 {
	factorial := func(n int) float64 { return math.Gamma(float64(n) + 1) }
	out := make([]float64, features+1)
	values := make([]float64, 1<<features)
	for set := range values {
		for i := range trees {
			values[set] += trees[i].known(0, x, uint(set))
		}
	}
	out[features] = values[0]
	for f := range features {
		for set := range values {
			if set>>f&1 != 0 {
				continue
			}
			size := 0
			for b := range features {
				size += set >> b & 1
			}
			weight := factorial(size) * factorial(features-size-1) / factorial(features)
			out[f] += weight * (values[set|1<<f] - values[set])
		}
	}
	return out
}

func seeds(n int) []uint64 {
	out := make([]uint64, n)
	for i := range out {
		out[i] = uint64(i)
	}
	return out
}
