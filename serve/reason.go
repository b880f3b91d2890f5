package serve

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"

	"drumbeat"
	"drumbeat/feature"
)

// Explanation is why a prediction came out as it did: every feature's part in
// the margin. The bias and the contributions add up to the margin.
type Explanation struct {
	Bias    float64           `json:"bias"`
	Reasons []drumbeat.Reason `json:"reasons"` // every feature, the weightiest first
}

// maxReasons is how many reasons a prediction carries: as many as a person
// reads.
const maxReasons = 5

// Explain works out why the champion says what it says of a vector of its
// view.
func (m *Models) Explain(v *drumbeat.Vector) Explanation {
	view, usual := m.Champion.View, m.Usual[m.Champion.View.Hash]
	parts := m.Champion.Model.Explain(v.Values, nil)
	e := Explanation{Bias: parts[len(parts)-1], Reasons: make([]drumbeat.Reason, len(v.Values))}
	for i := range e.Reasons {
		f := &view.Features[i]
		r := drumbeat.Reason{Feature: f.Name, Contribution: parts[i], Unit: f.Unit}
		if value := v.Values[i]; !math.IsNaN(value) {
			r.Value = &value
		}
		if ordinary, ok := usual.Of(v.Machine, i); ok {
			r.Usual = &ordinary
		}
		r.Text = inWords(f, &r)
		e.Reasons[i] = r
	}
	slices.SortStableFunc(e.Reasons, func(x, y drumbeat.Reason) int {
		return cmp.Compare(math.Abs(y.Contribution), math.Abs(x.Contribution))
	})
	return e
}

// inWords writes a reason for a technician: what was seen, and what is usual
// for this machine.
func inWords(f *feature.Feature, r *drumbeat.Reason) string {
	title := f.Title
	if title == "" {
		title = strings.ReplaceAll(f.Name, "_", " ")
	}
	switch {
	case r.Value == nil:
		return title + ": no value"
	case f.Agg == feature.AggOneHot && *r.Value == 0:
		return strings.Replace(title, " is ", " is not ", 1)
	case f.Agg == feature.AggOneHot:
		return title
	case f.Agg == feature.AggBins && int(*r.Value) < len(f.Labels):
		return title + ": " + strings.ReplaceAll(f.Labels[int(*r.Value)], "_", " ")
	case f.Agg == feature.AggCategory || f.Agg == feature.AggBins || f.Agg == feature.AggNumber:
		return title + ": " + strconv.FormatFloat(*r.Value, 'f', -1, 64) // a model year is no quantity
	}
	text := title + ": " + quantity(*r.Value, r.Unit)
	if r.Usual == nil {
		return text
	}
	return text + "; usual for this machine: " + quantity(*r.Usual, r.Unit) + change(*r.Value, *r.Usual)
}

// change says how far a value is from the usual one, in per cent where that
// means something.
func change(value, usual float64) string {
	if usual == 0 || value*usual < 0 {
		return ""
	}
	percent := math.Round((value/usual - 1) * 100)
	switch {
	case percent == 0 || math.Abs(percent) > 900:
		return ""
	case percent > 0:
		return " (+" + strconv.FormatFloat(percent, 'f', 0, 64) + " %)"
	}
	return " (−" + strconv.FormatFloat(-percent, 'f', 0, 64) + " %)"
}

// quantity writes a value with its unit as a person would: hours become days
// where they are many.
func quantity(v float64, unit string) string {
	if unit == "h" && math.Abs(v) >= 72 && math.Abs(v) < 24*366 {
		v, unit = v/24, "days"
	}
	text := significant(v)
	if unit == "" {
		return text
	}
	return text + " " + unit
}

// significant writes three significant digits, and every digit before the
// point, in groups of three.
func significant(v float64) string {
	size := math.Abs(v)
	decimals := 0
	switch {
	case size == 0 || size >= 100 || size == math.Trunc(size) && size < 1e6:
	case size >= 10:
		decimals = 1
	case size >= 1:
		decimals = 2
	case size >= 0.001:
		decimals = 3
	default:
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	whole, rest, _ := strings.Cut(text, ".")
	if rest = strings.TrimRight(rest, "0"); rest != "" {
		rest = "." + rest
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "−", whole[1:]
	}
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	return sign + whole + rest
}
