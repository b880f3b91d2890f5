package model

import (
	"encoding/binary"
	"fmt"
	"math"

	"drumbeat"
)

// ubjson reads the part of UBJSON that XGBoost writes: lengths are int64,
// numbers big-endian, arrays counted or typed. The first fault sticks in err,
// and whatever follows reads as nothing.
type ubjson struct {
	rest []byte
	err  error
}

// maxNesting bounds the recursion of skip; XGBoost nests six deep.
const maxNesting = 64

func (r *ubjson) fault(format string, args ...any) {
	if r.err == nil {
		r.err = invalid(format, args...)
	}
	r.rest = nil
}

// take returns the next n bytes, nil where there are fewer.
func (r *ubjson) take(n int64) []byte {
	if r.err != nil || n < 0 || n > int64(len(r.rest)) {
		r.fault("ends within a value of %d bytes", n)
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *ubjson) marker() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

// ubjsonSize returns the bytes of a number of the given type, 0 if it is none.
func ubjsonSize(typ byte) int64 {
	switch typ {
	case 'i', 'U':
		return 1
	case 'I':
		return 2
	case 'l', 'd':
		return 4
	case 'L', 'D':
		return 8
	}
	return 0
}

func ubjsonInt(typ byte, b []byte) int64 {
	switch typ {
	case 'i':
		return int64(int8(b[0])) //nolint:gosec // bits
	case 'U':
		return int64(b[0])
	case 'I':
		return int64(int16(binary.BigEndian.Uint16(b))) //nolint:gosec // bits
	case 'l':
		return int64(int32(binary.BigEndian.Uint32(b))) //nolint:gosec // bits
	}
	return int64(binary.BigEndian.Uint64(b)) //nolint:gosec // bits
}

func ubjsonFloat(typ byte, b []byte) float32 {
	switch typ {
	case 'd':
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	case 'D':
		return float32(math.Float64frombits(binary.BigEndian.Uint64(b)))
	}
	return float32(ubjsonInt(typ, b))
}

// length reads an int64 with its marker.
func (r *ubjson) length() int64 {
	if m := r.marker(); m != 'L' {
		r.fault("want a length, marker L (got %q)", m)
	}
	b := r.take(8)
	if b == nil {
		return 0
	}
	n := ubjsonInt('L', b)
	if n < 0 {
		r.fault("negative length %d", n)
	}
	return n
}

func (r *ubjson) text() string {
	if m := r.marker(); m != 'S' {
		r.fault("want a string, marker S (got %q)", m)
	}
	return string(r.take(r.length()))
}

// object calls field for each key; field must read or skip the value.
func (r *ubjson) object(field func(key string)) {
	if m := r.marker(); m != '{' {
		r.fault("want an object (got %q)", m)
	}
	for r.err == nil {
		if len(r.rest) > 0 && r.rest[0] == '}' {
			r.rest = r.rest[1:]
			return
		}
		field(string(r.take(r.length())))
	}
}

// array calls element n times with 0 to n-1.
func (r *ubjson) array(most int64, element func(i int64)) {
	if a, b := r.marker(), r.marker(); a != '[' || b != '#' {
		r.fault("want a counted array (got %q %q)", a, b)
	}
	n := r.length()
	if n > most && r.err == nil {
		r.err = fmt.Errorf("array of %d, at most %d: %w", n, most, drumbeat.ErrLimit)
	}
	for i := int64(0); i < n && r.err == nil; i++ {
		element(i)
	}
}

// numbers reads an array of numbers, typed or not.
func (r *ubjson) numbers(value func(typ byte, b []byte)) {
	if len(r.rest) > 1 && r.rest[1] == '#' {
		r.array(maxNodes, func(int64) {
			typ := r.marker()
			size := ubjsonSize(typ)
			if size == 0 {
				r.fault("want a number (got %q)", typ)
			}
			if b := r.take(size); r.err == nil {
				value(typ, b)
			}
		})
		return
	}
	typ, size, n := r.typed()
	b := r.take(n * size)
	for ; len(b) > 0; b = b[size:] {
		value(typ, b[:size])
	}
}

// typed reads the head of a typed array. The length is checked against what
// is there, so that the caller's product cannot overflow.
func (r *ubjson) typed() (typ byte, size, n int64) {
	if a, b := r.marker(), r.marker(); a != '[' || b != '$' {
		r.fault("want an array of numbers (got %q %q)", a, b)
	}
	typ = r.marker()
	size = ubjsonSize(typ)
	if m := r.marker(); m != '#' || size == 0 {
		r.fault("want an array of numbers (got type %q)", typ)
	}
	n = r.length()
	if n > int64(len(r.rest)) {
		r.fault("ends within an array of %d", n)
	}
	return typ, size, n
}

func (r *ubjson) ints() []int32 {
	var out []int32
	r.numbers(func(typ byte, b []byte) {
		if typ == 'd' || typ == 'D' {
			r.fault("want whole numbers (got type %q)", typ)
			return
		}
		n := ubjsonInt(typ, b)
		if n != int64(int32(n)) { //nolint:gosec // the check itself
			r.fault("number %d is out of range", n)
		}
		out = append(out, int32(n)) //nolint:gosec // checked
	})
	return out
}

func (r *ubjson) floats() []float32 {
	var out []float32
	r.numbers(func(typ byte, b []byte) { out = append(out, ubjsonFloat(typ, b)) })
	return out
}

func (r *ubjson) texts() []string {
	var out []string
	if len(r.rest) > 1 && r.rest[1] == '$' { // XGBoost writes no empty list so, but may
		if _, _, n := r.typed(); n != 0 {
			r.fault("want an array of strings")
		}
		return nil
	}
	r.array(maxFeatures, func(int64) { out = append(out, r.text()) })
	return out
}

// skip passes over any value.
func (r *ubjson) skip(depth int) {
	if depth > maxNesting {
		r.fault("nested deeper than %d", maxNesting)
	}
	if len(r.rest) == 0 || r.err != nil {
		r.fault("ends before a value")
		return
	}
	switch m := r.rest[0]; m {
	case '{':
		r.object(func(string) { r.skip(depth + 1) })
	case '[':
		if len(r.rest) > 1 && r.rest[1] == '$' {
			_, size, n := r.typed()
			r.take(n * size)
			return
		}
		r.array(maxFile, func(int64) { r.skip(depth + 1) })
	case 'S':
		r.text()
	case 'T', 'F', 'Z':
		r.take(1)
	default:
		size := ubjsonSize(m)
		if size == 0 {
			r.fault("unknown marker %q", m)
		}
		r.take(1 + size)
	}
}

// fields reads an object whose known keys have a reader each.
func (r *ubjson) fields(known map[string]func()) {
	r.object(func(key string) {
		if read, ok := known[key]; ok {
			read()
			return
		}
		r.skip(0)
	})
}

func (r *ubjson) document(d *document) {
	l := &d.Learner
	m := &l.GradientBooster.Model
	str := func(to *string) func() { return func() { *to = r.text() } }
	in := func(known map[string]func()) func() { return func() { r.fields(known) } }
	r.fields(map[string]func(){
		"version": func() { d.Version = r.ints() },
		"learner": in(map[string]func(){
			"feature_names": func() { l.FeatureNames = r.texts() },
			"feature_types": func() { l.FeatureTypes = r.texts() },
			"objective":     in(map[string]func(){"name": str(&l.Objective.Name)}),
			"learner_model_param": in(map[string]func(){
				"base_score": str(&l.Param.BaseScore), "num_class": str(&l.Param.NumClass),
				"num_feature": str(&l.Param.NumFeature), "num_target": str(&l.Param.NumTarget),
			}),
			"gradient_booster": in(map[string]func(){
				"name": str(&l.GradientBooster.Name),
				"model": in(map[string]func(){
					"gbtree_model_param": in(map[string]func(){"num_trees": str(&m.Param.NumTrees)}),
					"tree_info":          func() { m.TreeInfo = r.ints() },
					"trees": func() {
						r.array(maxTrees, func(int64) { m.Trees = append(m.Trees, r.tree()) })
					},
				}),
			}),
		}),
	})
	if r.err == nil && len(r.rest) > 0 {
		r.err = invalid("%d bytes follow the model", len(r.rest))
	}
}

func (r *ubjson) tree() documentTree {
	var t documentTree
	ints := func(to *[]int32) func() { return func() { *to = r.ints() } }
	floats := func(to *[]float32) func() { return func() { *to = r.floats() } }
	r.fields(map[string]func(){
		"left_children":    ints(&t.LeftChildren),
		"right_children":   ints(&t.RightChildren),
		"split_indices":    ints(&t.SplitIndices),
		"split_conditions": floats(&t.SplitConditions),
		"split_type":       ints(&t.SplitType),
		"default_left":     ints(&t.DefaultLeft),
		"sum_hessian":      floats(&t.SumHessian),
	})
	return t
}
