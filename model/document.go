package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"drumbeat"
)

// document is a model file's content, the same for JSON and UBJSON. Names are
// XGBoost's own.
type document struct {
	Learner struct {
		FeatureNames    []string `json:"feature_names"`
		FeatureTypes    []string `json:"feature_types"`
		GradientBooster struct {
			Name  string `json:"name"`
			Model struct {
				Param struct {
					NumTrees string `json:"num_trees"`
				} `json:"gbtree_model_param"`
				TreeInfo []int32       `json:"tree_info"`
				Trees    documentTrees `json:"trees"`
			} `json:"model"`
		} `json:"gradient_booster"`
		Param struct {
			BaseScore  string `json:"base_score"`
			NumClass   string `json:"num_class"`
			NumFeature string `json:"num_feature"`
			NumTarget  string `json:"num_target"`
		} `json:"learner_model_param"`
		Objective struct {
			Name string `json:"name"`
		} `json:"objective"`
	} `json:"learner"`
	Version []int32 `json:"version"`
}

type documentTrees []documentTree

type documentTree struct {
	LeftChildren    []int32   `json:"left_children"`
	RightChildren   []int32   `json:"right_children"`
	SplitIndices    []int32   `json:"split_indices"`
	SplitConditions []float32 `json:"split_conditions"`
	SplitType       []int32   `json:"split_type"`
	DefaultLeft     []int32   `json:"default_left"`
	SumHessian      []float32 `json:"sum_hessian"`
}

// UnmarshalJSON reads the trees one by one: an array of millions of empty
// ones must not become gigabytes.
func (d *documentTrees) UnmarshalJSON(text []byte) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return fmt.Errorf("trees: want an array: %w", drumbeat.ErrInvalid)
	}
	*d = nil
	for dec.More() {
		if len(*d) == maxTrees {
			return fmt.Errorf("trees: more than %d: %w", maxTrees, drumbeat.ErrLimit)
		}
		var t documentTree
		if err := dec.Decode(&t); err != nil {
			return fmt.Errorf("trees[%d]: %w", len(*d), err)
		}
		*d = append(*d, t)
	}
	return nil
}

// parse tells the two formats apart: after the opening brace UBJSON has the
// length marker of a key.
func parse(data []byte) (*document, error) {
	d := &document{}
	if len(data) > 1 && data[0] == '{' && data[1] == 'L' {
		r := &ubjson{rest: data}
		if r.document(d); r.err != nil {
			return nil, fmt.Errorf("as UBJSON, at byte %d: %w", len(data)-len(r.rest), r.err)
		}
		return d, nil
	}
	if err := json.Unmarshal(data, d); err != nil {
		return nil, fmt.Errorf("as JSON: %w: %w", err, drumbeat.ErrInvalid)
	}
	return d, nil
}

// ensemble validates the document and takes what is needed out of it.
func (d *document) ensemble() (*Ensemble, error) {
	l := &d.Learner
	if len(d.Version) > 0 && d.Version[0] > 3 {
		return nil, fmt.Errorf("version %d of XGBoost, at most 3 is known: %w", d.Version[0], drumbeat.ErrNewer)
	}
	if l.Objective.Name != "binary:logistic" {
		return nil, invalid("learner.objective.name: want binary:logistic (got %q)", l.Objective.Name)
	}
	if name := l.GradientBooster.Name; name != "gbtree" {
		return nil, invalid("learner.gradient_booster.name: want gbtree (got %q)", name)
	}
	for _, p := range []struct{ name, got, most string }{
		{"num_class", l.Param.NumClass, "1"}, {"num_target", l.Param.NumTarget, "1"},
	} {
		if p.got != "" && p.got != "0" && p.got != p.most {
			return nil, invalid("learner.learner_model_param.%s: want one output (got %q)", p.name, p.got)
		}
	}
	base, err := baseMargin(l.Param.BaseScore)
	if err != nil {
		return nil, err
	}
	names, err := d.names()
	if err != nil {
		return nil, err
	}
	m := &l.GradientBooster.Model
	if n := len(m.Trees); m.Param.NumTrees != strconv.Itoa(n) {
		return nil, invalid("trees: num_trees says %q and there are %d", m.Param.NumTrees, n)
	}
	for i, group := range m.TreeInfo {
		if group != 0 {
			return nil, invalid("tree_info[%d]: want one output (got group %d)", i, group)
		}
	}
	e := &Ensemble{features: names, base: base, trees: make([]tree, len(m.Trees))}
	nodes := 0
	for i := range m.Trees {
		if nodes += len(m.Trees[i].LeftChildren); nodes > maxNodes {
			return nil, fmt.Errorf("trees: more than %d nodes: %w", maxNodes, drumbeat.ErrLimit)
		}
		if e.trees[i], err = m.Trees[i].tree(len(names)); err != nil {
			return nil, fmt.Errorf("trees[%d].%w", i, err)
		}
	}
	return e, nil
}

// names returns the features' names; XGBoost calls unnamed ones f0, f1, ….
func (d *document) names() ([]string, error) {
	n, err := strconv.Atoi(d.Learner.Param.NumFeature)
	if err != nil || n < 0 || n > maxFeatures {
		return nil, invalid("learner.learner_model_param.num_feature: want 0 to %d (got %q)",
			maxFeatures, d.Learner.Param.NumFeature)
	}
	for i, typ := range d.Learner.FeatureTypes {
		if typ == "c" {
			return nil, invalid("learner.feature_types[%d]: categorical features are not read", i)
		}
	}
	names := d.Learner.FeatureNames
	if len(names) == 0 {
		names = make([]string, n)
		for i := range names {
			names[i] = "f" + strconv.Itoa(i)
		}
	}
	if len(names) != n {
		return nil, invalid("learner.feature_names: want %d (got %d)", n, len(names))
	}
	seen := make(map[string]bool, n)
	for i, name := range names {
		if name == "" || !utf8.ValidString(name) || seen[name] {
			return nil, invalid("learner.feature_names[%d]: empty, twice or not UTF-8: %q", i, name)
		}
		seen[name] = true
	}
	return names, nil
}

// baseMargin reads base_score, a probability, and from XGBoost 3.1 on a list
// of one. The margin is computed in float32 as XGBoost does, but for the
// logarithm, which is correctly rounded here; libm's may be a unit in the last
// place off (glibc: for one base score in a thousand), so training chooses a
// base score on which both agree.
func baseMargin(text string) (float32, error) {
	inner := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		inner = text[1 : len(text)-1]
	}
	p64, err := strconv.ParseFloat(strings.TrimSpace(inner), 32)
	if err != nil || !(p64 >= 0 && p64 <= 1) {
		return 0, invalid("learner.learner_model_param.base_score: want one probability (got %q)", text)
	}
	const nearest = float32(1e-6) // XGBoost keeps this far from 0 and 1
	p := min(max(float32(p64), nearest), 1-nearest)
	odds := 1/p - 1
	return float32(-math.Log(float64(odds))), nil
}

// tree validates one tree by walking it: every node is reached once at most,
// every index is within bounds, every number finite.
func (d *documentTree) tree(features int) (tree, error) {
	n := len(d.LeftChildren)
	for _, l := range []struct {
		name string
		got  int
	}{
		{"right_children", len(d.RightChildren)},
		{"split_indices", len(d.SplitIndices)},
		{"split_conditions", len(d.SplitConditions)},
		{"default_left", len(d.DefaultLeft)},
		{"sum_hessian", len(d.SumHessian)},
	} {
		if l.got != n {
			return tree{}, invalid("%s: want %d values, as many as left_children (got %d)", l.name, n, l.got)
		}
	}
	if n == 0 {
		return tree{}, invalid("left_children: want at least the root")
	}
	for i, typ := range d.SplitType {
		if typ != 0 {
			return tree{}, invalid("split_type[%d]: categorical splits are not read", i)
		}
	}
	t := tree{
		left: d.LeftChildren, right: d.RightChildren, feature: d.SplitIndices,
		threshold: d.SplitConditions, defaultLeft: make([]bool, n), cover: d.SumHessian,
	}
	for i, v := range d.DefaultLeft {
		t.defaultLeft[i] = v != 0
	}
	return t, t.validate(features)
}

func (t *tree) validate(features int) error {
	n := int32(len(t.left)) //nolint:gosec // at most maxNodes
	type visit struct {
		node  int32
		depth int
	}
	seen := make([]bool, n)
	for stack := []visit{{}}; len(stack) > 0; {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		i := v.node
		if seen[i] {
			return invalid("left_children: node %d is reached twice", i)
		}
		seen[i] = true
		if v.depth > maxDepth {
			return fmt.Errorf("left_children: deeper than %d: %w", maxDepth, drumbeat.ErrLimit)
		}
		t.depth = max(t.depth, v.depth)
		if !finite(t.threshold[i]) || !finite(t.cover[i]) || t.cover[i] < 0 {
			return invalid("split_conditions[%d], sum_hessian: want finite numbers, the latter not negative (got %v, %v)",
				i, t.threshold[i], t.cover[i])
		}
		left, right := t.left[i], t.right[i]
		if left == -1 && right == -1 {
			continue
		}
		if left < 1 || left >= n || right < 1 || right >= n {
			return invalid("left_children[%d]: children %d and %d of %d nodes", i, left, right, n)
		}
		if f := t.feature[i]; f < 0 || int(f) >= features {
			return invalid("split_indices[%d]: want 0 to %d (got %d)", i, features-1, f)
		}
		stack = append(stack, visit{left, v.depth + 1}, visit{right, v.depth + 1})
	}
	return nil
}

func finite(x float32) bool { return x-x == 0 }

func invalid(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), drumbeat.ErrInvalid)
}

func nan(x float32) bool { return x != x }
