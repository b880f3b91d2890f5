package feature

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// report takes a fault at a key of a feature; feature is -1 for the view's
// own keys.
type report func(feature int, key, message string)

// completed returns a checked copy of v with everything filled in that v
// leaves open, and whether it is free of faults.
func (v *View) completed(fault report) (*View, bool) {
	out := *v
	out.Features = slices.Clone(v.Features)
	c := checker{view: &out, ok: true}
	c.fault = func(feature int, key, message string) {
		c.ok = false
		fault(feature, key, message)
	}
	if out.MaxRecord == 0 {
		out.MaxRecord = DefaultRecord
	}
	c.frame()
	if !c.ok {
		return nil, false
	}
	for i := range out.Features {
		c.feature(i)
	}
	if !c.ok {
		return nil, false
	}
	if out.MinHistory == 0 {
		out.MinHistory = out.LongestWindow()
	}
	out.plan = newPlan(&out)
	if worst := out.plan.worstRecord(); worst > out.MaxRecord {
		c.fault(-1, "max_record_bytes", fmt.Sprintf(
			"a record may take %d bytes, more than %d: fewer sensors or distinct windows, a longer cadence, or a higher bound",
			worst, out.MaxRecord))
		return nil, false
	}
	out.Hash = definitionHash(&out)
	return &out, true
}

type checker struct {
	view  *View
	fault report
	ok    bool
}

func (c *checker) faultf(feature int, key, format string, args ...any) {
	c.fault(feature, key, fmt.Sprintf(format, args...))
}

// frame checks what the view says outside its features.
func (c *checker) frame() {
	v := c.view
	if v.Fleet == nil || v.Fleet.Cadence <= 0 {
		c.faultf(-1, "", "a view needs a fleet with a cadence")
		return
	}
	if len(v.Features) == 0 {
		c.faultf(-1, "features", "a view needs at least one feature")
	}
	if len(v.Features) > MaxFeatures {
		c.faultf(-1, "features", "at most %d, one-hot columns counted (got %d)", MaxFeatures, len(v.Features))
	}
	var windows []time.Duration
	for i := range v.Features {
		if w := v.Features[i].Window; w != 0 && !slices.Contains(windows, w) {
			windows = append(windows, w)
		}
	}
	if len(windows) > MaxWindows {
		c.faultf(-1, "features", "at most %d distinct windows (got %d)", MaxWindows, len(windows))
	}
	for _, d := range []time.Duration{v.TTL, v.MinHistory, v.ServeLag} {
		if d < 0 || d%time.Millisecond != 0 {
			c.faultf(-1, "", "ttl, min_history and serve_lag must be whole milliseconds, not below 0")
		}
	}
}

func (c *checker) feature(i int) {
	f := &c.view.Features[i]
	f.Sensor, f.Log, f.Static = -1, -1, -1
	c.name(i)
	switch {
	case f.Agg == AggExpr:
		c.expression(i)
	case f.Agg.OfSensor():
		c.sensor(i)
	case f.Agg.OfLog():
		c.log(i)
	case f.Agg.OfStatic():
		c.static(i)
	default:
		c.faultf(i, "agg", "there is no aggregate %d", f.Agg)
	}
	if !c.ok {
		return
	}
	if f.Title == "" {
		f.Title = title(c.view, f)
	}
	if f.Unit == "" {
		f.Unit = unit(c.view, f)
	}
}

const nameLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

func (c *checker) name(i int) {
	name := c.view.Features[i].Name
	if name == "" || !isLetter(name[0]) || len(name) > 100 ||
		strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(nameLetters, r) }) {
		c.faultf(i, "name", "must be letters, digits and _, beginning with a letter, at most 100 (got %q)", name)
		return
	}
	if first := c.view.Index(name); first < i {
		c.faultf(i, "name", "%q stands here twice, first as features[%d]", name, first)
	}
}

func (c *checker) window(i int) {
	if w := c.view.Features[i].Window; w <= 0 || w > MaxWindow || w%time.Millisecond != 0 {
		c.faultf(i, "window", "must be a duration up to %s such as 7d (got %s)",
			strict.FormatDuration(MaxWindow), strict.FormatDuration(w))
	}
}

func (c *checker) unused(i int) {
	f := &c.view.Features[i]
	if f.Window != 0 && !f.Agg.OfSensor() && f.Agg != AggEvents && f.Agg != AggMeanBetween {
		c.faultf(i, "window", "%s has no window", f.Agg)
	}
	if f.Type != "" && !f.Agg.OfLog() {
		c.faultf(i, "type", "only a log's entries have a type")
	}
	if f.UseAll && !f.Agg.OfSensor() {
		c.faultf(i, "use", "only a sensor's values can be invalid")
	}
}

func (c *checker) sensor(i int) {
	v, f := c.view, &c.view.Features[i]
	c.unused(i)
	c.window(i)
	f.Sensor = v.Fleet.SensorIndex(f.Of)
	if f.Sensor < 0 {
		c.faultf(i, "of", "%s needs a sensor; there is none named %q%s", f.Agg, f.Of, suggest(f.Of, v.Fleet))
		return
	}
	s := &v.Fleet.Sensors[f.Sensor]
	if f.Agg == AggIncrease && s.Kind != fleet.Counter {
		c.faultf(i, "agg", "increase is for counters; %s is a gauge: use delta", s.Name)
	}
	if !c.ok {
		return
	}
	// W5. Compared in floating point, a hair on the safe side: nobody's
	// definition stands that close to 10^19.
	n, bound := v.MaxReadings(f.Window), math.Max(math.Abs(float64(s.Min)), math.Abs(float64(s.Max)))
	switch {
	case s.Min >= s.Max || s.Max > maxMagnitude || s.Min < -maxMagnitude:
		c.faultf(i, "of", "%s must declare min and max of at most 18 digits, decimals included (W5)", s.Name)
	case n > maxPerWindow:
		c.faultf(i, "window", "up to %d readings in a window are more than %d: a shorter window, or a lower max_readings_per_window (W5)",
			n, int64(maxPerWindow))
	case float64(n)*bound >= 0.999999e19:
		c.faultf(i, "window", "%d readings of up to %.0f units of the last decimal of %s pass 10^19: "+
			"a shorter window, fewer decimals or narrower bounds (W5)", n, bound, s.Name)
	}
}

func (c *checker) log(i int) {
	v, f := c.view, &c.view.Features[i]
	c.unused(i)
	if f.Agg != AggAge {
		c.window(i)
	}
	f.Log = slices.IndexFunc(v.Fleet.Logs, func(l fleet.Log) bool { return l.Name == f.Of })
	if f.Log < 0 {
		c.faultf(i, "of", "%s needs a log; there is none named %q%s", f.Agg, f.Of, suggest(f.Of, v.Fleet))
		return
	}
	l := &v.Fleet.Logs[f.Log]
	switch {
	case f.Type == "":
	case l.Type == "":
		c.faultf(i, "type", "entries of %s have no type", l.Name)
	case len(l.Types) > 0 && !slices.Contains(l.Types, f.Type):
		c.faultf(i, "type", "%s has no type %q%s", l.Name, f.Type, strict.Suggest(f.Type, l.Types))
	}
}

func (c *checker) static(i int) {
	v, f := c.view, &c.view.Features[i]
	c.unused(i)
	f.Static = slices.IndexFunc(v.Fleet.Static, func(a fleet.Attribute) bool { return a.Name == f.Of })
	if f.Static < 0 {
		c.faultf(i, "of", "%s needs a static attribute; there is none named %q%s", f.Agg, f.Of, suggest(f.Of, v.Fleet))
		return
	}
	a := &v.Fleet.Static[f.Static]
	if number := f.Agg == AggBins || f.Agg == AggNumber; number != (a.Type == fleet.Number) {
		c.faultf(i, "of", "%s is for a %s; %s is none", f.Agg, map[bool]string{true: "number", false: "category"}[number], a.Name)
		return
	}
	if f.Agg == AggBins {
		c.bins(i)
		return
	}
	if a.Type == fleet.Category && len(a.Values) == 0 {
		c.faultf(i, "of", "%s must declare its values in the fleet file: their order is their index (V5)", a.Name)
	}
	if f.Agg == AggOneHot && !slices.Contains(a.Values, f.Category) {
		c.faultf(i, "of", "%s has no value %q", a.Name, f.Category)
	}
}

func (c *checker) bins(i int) {
	f := &c.view.Features[i]
	if len(f.Bins) == 0 || len(f.Bins) > MaxBins {
		c.faultf(i, "bins", "must be 1 to %d bounds (got %d)", MaxBins, len(f.Bins))
		return
	}
	for j, bound := range f.Bins {
		if math.IsNaN(bound) || math.IsInf(bound, 0) || j > 0 && bound <= f.Bins[j-1] {
			c.faultf(i, "bins", "must be numbers that rise (got %v)", f.Bins)
			return
		}
	}
	if len(f.Labels) != 0 && len(f.Labels) != len(f.Bins)+1 {
		c.faultf(i, "labels", "%d bounds make %d bins (got %d labels)", len(f.Bins), len(f.Bins)+1, len(f.Labels))
	}
}

func (c *checker) expression(i int) {
	v, f := c.view, &c.view.Features[i]
	c.unused(i)
	if f.Expr == nil {
		c.faultf(i, "expr", "is missing")
		return
	}
	earlier := (&View{Features: v.Features[:i]}).Names()
	for _, name := range f.Expr.Names() {
		switch {
		case slices.Contains(earlier, name):
		case v.Index(name) >= 0:
			c.faultf(i, "expr", "%q must stand before this feature", name)
		default:
			c.faultf(i, "expr", "there is no earlier feature %q%s", name, strict.Suggest(name, earlier))
		}
	}
}

// suggest names what a feature may be of, the nearest first.
func suggest(word string, f *fleet.Fleet) string {
	var known []string
	for i := range f.Sensors {
		known = append(known, f.Sensors[i].Name)
	}
	for i := range f.Logs {
		known = append(known, f.Logs[i].Name)
	}
	for i := range f.Static {
		known = append(known, f.Static[i].Name)
	}
	return strict.Suggest(word, known)
}
