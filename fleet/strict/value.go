package strict

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Value is one value of a file with its place, or the absence of one. Its
// readers return the given default where the value is absent or wrong; a
// wrong one is reported besides.
type Value struct {
	file *File
	node *yaml.Node // nil if absent
	path string
}

// Exists says whether the file holds the value.
func (v Value) Exists() bool { return v.node != nil }

// Path returns where the value stands: sensors[2].max.
func (v Value) Path() string { return v.path }

// Line returns the value's line, 0 if it is absent.
func (v Value) Line() int {
	if v.node == nil {
		return 0
	}
	return v.node.Line
}

// Raw returns the scalar's text as written, "" for anything else.
func (v Value) Raw() string {
	if v.node == nil || v.node.Kind != yaml.ScalarNode {
		return ""
	}
	return v.node.Value
}

// Faultf reports a fault at the value, or at the file's start if it is
// absent. The message says what was expected.
func (v Value) Faultf(format string, args ...any) {
	node := v.node
	if node == nil {
		node = v.file.root
	}
	v.file.fault(node, v.path, fmt.Sprintf(format, args...))
}

// wrong reports that the value is not what was wanted, with what it is.
func (v Value) wrong(want string) { v.Faultf("must be %s (got %s)", want, v.got()) }

func (v Value) got() string {
	const shown = 40
	if v.node.Kind == yaml.MappingNode {
		return "a mapping"
	}
	if v.node.Kind == yaml.SequenceNode {
		return "a list"
	}
	text := v.node.Value
	if v.node.ShortTag() == "!!null" {
		return "nothing"
	}
	if runes := []rune(text); len(runes) > shown {
		text = string(runes[:shown]) + "…"
	}
	if v.node.ShortTag() == "!!str" {
		return strconv.Quote(text)
	}
	return text
}

func (v Value) scalar(tags ...string) bool {
	return v.node.Kind == yaml.ScalarNode && slices.Contains(tags, v.node.ShortTag())
}

// Text reads a text of one to 1,000 characters.
func (v Value) Text(def string) string {
	const longest = 1000
	if v.node == nil {
		return def
	}
	if !v.scalar("!!str") || v.node.Value == "" {
		if v.scalar("!!int", "!!float", "!!bool", "!!timestamp") {
			v.Faultf("must be text (got %s: put it in quotes)", v.got())
		} else {
			v.wrong("text")
		}
		return def
	}
	if len(v.node.Value) > longest {
		v.Faultf("must be at most %d characters", longest)
		return def
	}
	return v.node.Value
}

// Name reads a name of lower-case letters, digits and the marks in extra,
// beginning with a letter.
func (v Value) Name(def, extra string) string {
	const longest = 63
	text := v.Text("")
	if text == "" {
		return def
	}
	for i, r := range text {
		letter := r >= 'a' && r <= 'z'
		if !letter && (i == 0 || (r < '0' || r > '9') && !strings.ContainsRune(extra, r)) || i >= longest {
			v.wrong(fmt.Sprintf("a name of lower-case letters, digits and %s, a letter first, at most %d",
				strings.Join(strings.Split(extra, ""), " or "), longest))
			return def
		}
	}
	return text
}

// Bool reads true or false.
func (v Value) Bool(def bool) bool {
	if v.node == nil {
		return def
	}
	if !v.scalar("!!bool") {
		v.wrong("true or false")
		return def
	}
	return strings.EqualFold(v.node.Value, "true")
}

// Int reads a whole number from least to most.
func (v Value) Int(def, least, most int64) int64 {
	if v.node == nil {
		return def
	}
	n, err := strconv.ParseInt(v.node.Value, 10, 64)
	if !v.scalar("!!int") || err != nil || n < least || n > most {
		v.wrong(fmt.Sprintf("a whole number from %d to %d", least, most))
		return def
	}
	return n
}

// Float reads a number from least to most, both included.
func (v Value) Float(def, least, most float64) float64 {
	if v.node == nil {
		return def
	}
	x, err := strconv.ParseFloat(v.node.Value, 64)
	if !v.scalar("!!int", "!!float") || err != nil || math.IsNaN(x) || x < least || x > most {
		v.wrong(fmt.Sprintf("a number from %v to %v", least, most))
		return def
	}
	return x
}

// Decimal reads a number and returns its exact text: digits with an optional
// sign, point and exponent.
func (v Value) Decimal(def string) string {
	if v.node == nil {
		return def
	}
	if !v.scalar("!!int", "!!float") || strings.Trim(v.node.Value, "+-.0123456789eE") != "" {
		v.wrong("a decimal number")
		return def
	}
	return v.node.Value
}

// OneOf reads one of the words and returns its index.
func (v Value) OneOf(def int, words ...string) int {
	if v.node == nil {
		return def
	}
	if v.node.Kind == yaml.ScalarNode {
		if i := slices.Index(words, v.node.Value); i >= 0 {
			return i
		}
	}
	near := ""
	if v.node.Kind == yaml.ScalarNode {
		if word := Nearest(v.node.Value, words); word != "" {
			near = fmt.Sprintf("; did you mean %q?", word)
		}
	}
	v.Faultf("must be one of %s (got %s)%s", strings.Join(words, ", "), v.got(), near)
	return def
}

// List returns the elements of a list of at most most.
func (v Value) List(most int) []Value {
	if v.node == nil {
		return nil
	}
	if v.node.Kind != yaml.SequenceNode {
		v.wrong("a list")
		return nil
	}
	if len(v.node.Content) > most {
		v.Faultf("must have at most %d elements (got %d)", most, len(v.node.Content))
		return nil
	}
	out := make([]Value, len(v.node.Content))
	for i, node := range v.node.Content {
		out[i] = Value{file: v.file, node: node, path: v.path + "[" + strconv.Itoa(i) + "]"}
	}
	return out
}

// Texts returns a list of at most most texts, no two alike.
func (v Value) Texts(most int) []string {
	var out []string
	for _, element := range v.List(most) {
		text := element.Text("")
		if text == "" {
			continue
		}
		if slices.Contains(out, text) {
			element.Faultf("%q stands here twice", text)
			continue
		}
		out = append(out, text)
	}
	return out
}
