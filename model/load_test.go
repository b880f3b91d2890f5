package model_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/model"
)

// stump is the smallest tree with a split.
func stump() oakTree {
	return oakTree{
		Left: []int{1, -1, -1}, Right: []int{2, -1, -1}, Feature: []int{1, 0, 0},
		Threshold: []float32{0.5, -1, 1}, Missing: []int{1, 0, 0}, Cover: []float32{10, 4, 6}, Types: []int{0, 0, 0},
	}
}

func TestADamagedFileIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	learner := func(doc object) object { return doc["learner"].(object) }
	param := func(doc object) object { return learner(doc)["learner_model_param"].(object) }
	booster := func(doc object) object { return learner(doc)["gradient_booster"].(object) }
	tree := func(change func(*oakTree)) func(object) {
		return func(doc object) {
			s := stump()
			change(&s)
			booster(doc)["model"].(object)["trees"] = []oakTree{s}
		}
	}
	for _, tc := range []struct {
		name, want string
		kind       error
		change     func(object)
	}{
		{"another objective", "objective.name", drumbeat.ErrInvalid, func(d object) {
			learner(d)["objective"] = object{"name": "reg:squarederror"}
		}},
		{"dart", "gradient_booster.name", drumbeat.ErrInvalid, func(d object) { booster(d)["name"] = "dart" }},
		{"a version to come", "version 4", drumbeat.ErrNewer, func(d object) { d["version"] = []int{4, 0, 0} }},
		{"three classes", "num_class", drumbeat.ErrInvalid, func(d object) { param(d)["num_class"] = "3" }},
		{"two targets", "num_target", drumbeat.ErrInvalid, func(d object) { param(d)["num_target"] = "2" }},
		{"a base score beyond 1", "base_score", drumbeat.ErrInvalid, func(d object) { param(d)["base_score"] = "[1.5]" }},
		{"a base score that is no number", "base_score", drumbeat.ErrInvalid, func(d object) { param(d)["base_score"] = "NaN" }},
		{"two base scores", "base_score", drumbeat.ErrInvalid, func(d object) { param(d)["base_score"] = "[5E-1,5E-1]" }},
		{"fewer names than features", "feature_names", drumbeat.ErrInvalid, func(d object) {
			learner(d)["feature_names"] = []string{"a"}
		}},
		{"a name twice", "feature_names[1]", drumbeat.ErrInvalid, func(d object) {
			learner(d)["feature_names"] = []string{"a", "a"}
		}},
		{"categories", "feature_types[1]", drumbeat.ErrInvalid, func(d object) {
			learner(d)["feature_types"] = []string{"float", "c"}
		}},
		{"a negative width", "num_feature", drumbeat.ErrInvalid, func(d object) { param(d)["num_feature"] = "-1" }},
		{"far too wide", "num_feature", drumbeat.ErrInvalid, func(d object) { param(d)["num_feature"] = "1000000000" }},
		{"a tree too few", "num_trees", drumbeat.ErrInvalid, func(d object) {
			booster(d)["model"].(object)["trees"] = []oakTree{}
		}},
		{"a second output", "tree_info[0]", drumbeat.ErrInvalid, func(d object) {
			booster(d)["model"].(object)["tree_info"] = []int{1}
		}},
		{"no node", "trees[0].left_children", drumbeat.ErrInvalid, tree(func(o *oakTree) { *o = oakTree{} })},
		{"columns of different lengths", "split_indices", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Feature = o.Feature[:2] })},
		{"a child beyond the tree", "left_children[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Right[0] = 3 })},
		{"a negative child", "left_children[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Left[0] = -2 })},
		{"one child only", "left_children[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Left[0] = -1 })},
		{"the root as a child", "left_children[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Left[0] = 0 })},
		{"a node reached twice", "node 2", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Left[0] = 2 })},
		{"a cycle", "reached twice", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Left[1], o.Right[1] = 2, 1 })},
		{"a feature that there is not", "split_indices[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Feature[0] = 2 })},
		{"a negative feature", "split_indices[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Feature[0] = -1 })},
		{"negative cover", "sum_hessian", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Cover[2] = -1 })},
		{"a categorical split", "split_type[0]", drumbeat.ErrInvalid, tree(func(o *oakTree) { o.Types[0] = 1 })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			doc := document([]oakTree{stump()}, 2, "[5E-1]")
			load(t, doc) // it was sound before
			tc.change(doc)
			_, err := model.Load(bytesOf(t, doc))
			if !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q and %v", err, tc.want, tc.kind)
			}
		})
	}
}

func TestABottomlessTreeIsRefused(t *testing.T) {
	t.Parallel()
	const deep = 100
	o := oakTree{}
	for i := range deep {
		o.node(1)
		o.node(1)
		o.Left[2*i], o.Right[2*i] = 2*i+1, 2*i+2
	}
	o.node(1)
	_, err := model.Load(bytesOf(t, document([]oakTree{o}, 1, "5E-1")))
	if !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func TestEveryCutOfAFileIsRefused(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"testdata/small.json", "testdata/small.ubj"} {
		whole, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 1 + n/50 {
			if _, err := model.Load(whole[:n]); err == nil {
				t.Errorf("%s: the first %d bytes of %d were taken for a model", name, n, len(whole))
			}
		}
		if _, err := model.Load(append(whole, 'x')); err == nil {
			t.Errorf("%s: a byte more was accepted", name)
		}
	}
}

func TestAMillionEmptyTreesTakeNoMemory(t *testing.T) {
	t.Parallel()
	text := `{"learner":{"gradient_booster":{"model":{"trees":[{}` + strings.Repeat(",{}", 1_000_000) + `]}}}}`
	if _, err := model.Load([]byte(text)); !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

// FuzzLoad holds that no bytes bring the reader down, and that what it accepts
// can be evaluated and explained.
func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/small.json", "testdata/small.ubj"} {
		whole, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(whole)
	}
	f.Add(bytesOf(f, document([]oakTree{stump()}, 2, "[5E-1]")))
	f.Add([]byte("{L\x00\x00\x00\x00\x00\x00\x00\x07version[$l#L\x7f\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("{L\x00\x00\x00\x00\x00\x00\x00\x01a[#L\x00\x00\x00\x00\x00\x00\x00\x02[#L"))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := model.Load(data)
		if err != nil {
			return
		}
		n := len(e.Features())
		r := rand.New(rand.NewPCG(1, uint64(len(data))))
		x, out := row(r, n), make([]float64, n+1)
		margin := float64(e.Margin(x))
		e.Explain(x, out)
		sum, size := 0.0, 1.0
		for _, v := range out {
			sum += v
			size += math.Abs(v)
		}
		if finite := !math.IsInf(margin, 0) && !math.IsNaN(margin) && size < 1e6; finite && math.Abs(sum-margin) > 1e-4*size {
			t.Errorf("contributions sum to %v, the margin is %v", sum, margin)
		}
	})
}
