package monitor

import (
	"fmt"
	"math"
	"slices"
	"time"

	"drumbeat/feature"
	"drumbeat/fleet"
)

// Time that passes is no drift, so a feature is compared by what it is:
//
//   - Attributes of machines are compared over machines, one value each: they
//     do not change because some machines ran longer.
//   - Totals that only grow (the level of a counter) differ between any two
//     times. Their distribution is shown and not judged; their increase is
//     judged where it is a feature.
//   - Hours since an event can be no longer than the log is. What is longer
//     than the history before the reference, and "never", are one class, for
//     both times could have seen all that is shorter.
//   - Sums and counts over a window that is longer than the history before the
//     reference were still filling up then. They are not judged.
//   - Expressions are what they are made of.
const (
	leastRows = 200 // of either period: deciles of fewer are noise
	// usualTimes is how often the usual PSI must be passed: the week in question
	// is compared with the worst of some four, and weeks without a shift reach
	// up to 3.8 times that in the simulated laundry, a shift of 0.6 spreads 8
	// times and more.
	usualTimes = 4
)

// FeatureDrift is one feature, or the predictions, now against the reference.
type FeatureDrift struct {
	Feature string   `json:"feature"`
	Title   string   `json:"title"`
	Unit    string   `json:"unit"`
	MadeOf  []string `json:"made_of"` // sensors, logs and attributes
	// Flagged says that the level is significant and the PSI beyond what weeks
	// of the reference make by themselves: four times UsualPSI.
	Flagged bool   `json:"flagged"`
	Level   Level  `json:"level"`
	PSI     Number `json:"psi"`
	// UsualPSI is the largest that a week of the reference has against its other
	// weeks; null for attributes, and without two whole weeks.
	UsualPSI Number `json:"usual_psi"`
	// Difference is the standardized mean difference.
	Difference Number `json:"standardized_mean_difference"`
	Before     Range  `json:"reference"`
	Now        Range  `json:"now"`
	Sentence   string `json:"sentence"`
}

// nature is what a feature is made of, and how time alone changes it.
type nature struct {
	of      []string
	machine bool          // it says nothing but attributes of the machine
	growing bool          // it grows for ever
	age     bool          // it is hours since an event
	mixed   bool          // an expression over ages
	filling time.Duration // the longest window that fills up
}

// natures returns that of each feature of a view.
func natures(v *feature.View) []nature {
	all := make([]nature, len(v.Features))
	for i := range v.Features {
		f, n := &v.Features[i], &all[i]
		if f.Agg == feature.AggExpr {
			n.machine = len(f.Expr.Names()) > 0
			for _, name := range f.Expr.Names() {
				n.join(&all[v.Index(name)])
			}
			continue
		}
		n.of = []string{f.Of}
		n.machine = f.Agg.OfStatic()
		n.age = f.Agg == feature.AggAge
		if f.Agg.OfSensor() && v.Fleet.Sensors[f.Sensor].Kind == fleet.Counter {
			n.growing = slices.Contains([]feature.Agg{
				feature.AggMean, feature.AggMin, feature.AggMax, feature.AggSum, feature.AggFirst, feature.AggLast,
			}, f.Agg)
		}
		if slices.Contains([]feature.Agg{
			feature.AggCount, feature.AggSum, feature.AggIncrease, feature.AggEvents, feature.AggMeanBetween,
		}, f.Agg) {
			n.filling = f.Window
		}
	}
	return all
}

// join takes in an operand of an expression; names stand before they are used.
func (n *nature) join(operand *nature) {
	for _, name := range operand.of {
		if !slices.Contains(n.of, name) {
			n.of = append(n.of, name)
		}
	}
	n.machine = n.machine && operand.machine
	n.growing = n.growing || operand.growing
	n.mixed = n.mixed || operand.mixed || operand.age
	n.filling = max(n.filling, operand.filling)
}

// unjudged says why a feature of this nature is not judged, "" if it is; seen
// is the history before the reference.
func (n *nature) unjudged(seen time.Duration) string {
	switch {
	case n.growing:
		return "a total that only grows is not judged: watch its increase"
	case n.mixed:
		return "an expression over hours since an event is not judged: they grow with the log"
	case n.age && seen <= 0:
		return "hours since an event are not judged: the reference begins with the history"
	case n.filling > seen:
		return fmt.Sprintf("not judged: its window of %s was still filling up in the reference, %s after the history began",
			inDays(n.filling), inDays(max(seen, 0)))
	}
	return ""
}

// pair is the two tables that are compared.
type pair struct {
	before, now *table
	weeks       []period // whole weeks of the reference
	short       string   // why nothing of them is judged, if not ""
}

// judge compares one feature.
func (p *pair) judge(f *feature.Feature, at int, n *nature, seen time.Duration) FeatureDrift {
	d := FeatureDrift{Feature: f.Name, Title: f.Title, Unit: f.Unit, MadeOf: n.of}
	before, now := p.before.column(at, n.machine), p.now.column(at, n.machine)
	d.Before, d.Now = rangeOf(before), rangeOf(now)
	if n.age {
		most := seen.Hours()
		before, now = censored(before, most), censored(now, most)
	}
	least := leastRows
	if n.machine {
		least = leastMachines
	}
	usual := math.NaN()
	if !n.machine {
		usual = p.usual(before)
	}
	d.compare(before, now, usual, p.lack(least, before, now, n.unjudged(seen)))
	if n.machine && d.Level != LevelUnjudged {
		d.Sentence += " It is an attribute of machines, compared machine by machine: it moves when machines come or go."
	}
	if n.age && d.Level != LevelUnjudged {
		d.Sentence += fmt.Sprintf(" Whatever is longer than %s, and never, counts as one: the history before the reference shows no more.",
			inDays(seen))
	}
	return d
}

// lack says why two columns cannot be compared, "" if they can.
func (p *pair) lack(least int, before, now []float64, other string) string {
	heads := min(p.before.heads(), p.now.heads())
	switch {
	case other != "":
		return other
	case p.short != "":
		return p.short
	case len(before) < least || len(now) < least:
		return fmt.Sprintf("too little data: %d rows in the reference and %d now, and %d are needed in each",
			len(before), len(now), least)
	case heads < leastMachines:
		return fmt.Sprintf("too little data: %d machines, and %d are needed", heads, leastMachines)
	}
	return ""
}

// usual returns the largest PSI of a week of the reference against its other
// weeks, NaN without two weeks. Weather, fashion and a repair here and there
// move a narrow feature from one week to the next; that is no drift.
func (p *pair) usual(values []float64) float64 {
	most := math.NaN()
	if len(p.weeks) < 2 || len(values) != len(p.before.days) {
		return most
	}
	for _, w := range p.weeks {
		var rest, week []float64
		for i, v := range values {
			if w.holds(p.before.days[i]) {
				week = append(week, v)
			} else {
				rest = append(rest, v)
			}
		}
		if psi := PSI(rest, week); !(psi <= most) {
			most = psi
		}
	}
	return most
}

// compare fills in the figures, and the level unless something is lacking.
func (d *FeatureDrift) compare(before, now []float64, usual float64, lack string) {
	d.UsualPSI = Number(usual)
	d.Difference = standardized(rangeOf(before), rangeOf(now))
	if lack != "" {
		d.PSI, d.Level, d.Sentence = Number(math.NaN()), LevelUnjudged, sentence(d.Title+": "+lack)
		return
	}
	psi := PSI(before, now)
	d.PSI, d.Level = Number(psi), levelOf(psi)
	d.Flagged = d.Level == LevelSignificant && !(psi < usualTimes*usual)
	d.Sentence = sentence(fmt.Sprintf("%s: %s drift (PSI %.2f); the mean is %s", d.Title, map[Level]string{
		LevelNone: "no", LevelSlight: "slight", LevelSignificant: "significant",
	}[d.Level], psi, moved(d.Difference)))
	if d.Level == LevelSignificant && !d.Flagged {
		d.Sentence += fmt.Sprintf(" Weeks of the reference differ by up to %.2f: it is not flagged below %d times that.", usual, usualTimes)
	}
	if gone := float64(d.Now.Missing - d.Before.Missing); math.Abs(gone) >= 0.05 {
		d.Sentence += fmt.Sprintf(" It is missing in %.0f %% of the rows, %.0f %% before.",
			100*float64(d.Now.Missing), 100*float64(d.Before.Missing))
	}
}

func moved(difference Number) string {
	switch d := float64(difference); {
	case math.IsNaN(d):
		return "unknown"
	case math.Abs(d) < 0.005:
		return "as it was"
	case d > 0:
		return fmt.Sprintf("%.2f standard deviations higher", d)
	default:
		return fmt.Sprintf("%.2f standard deviations lower", -d)
	}
}

// censored cuts hours since an event at most; never is most.
func censored(x []float64, most float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = most
		if v < most {
			out[i] = v
		}
	}
	return out
}
