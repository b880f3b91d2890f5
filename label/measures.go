package label

import (
	"cmp"
	"math"
	"slices"
	"time"

	"drumbeat"
)

// Result is what became of a failure or a repair under the alert rules (M1).
type Result uint8

// The results.
const (
	Caught       Result = iota // an alert stood in time
	Missed                     // none did
	Unobservable               // no row was scored in time, and none was due
)

// String returns the result's name.
func (r Result) String() string { return [...]string{"caught", "missed", "unobservable"}[r] }

// EventResult is one failure or repair and what became of it.
type EventResult struct {
	Event    Event
	Repaired bool // a finding "repaired", else a failure
	Result   Result
	First    drumbeat.Time // as_of of the first row that caught it
	Lead     time.Duration // from then to the event
	// Best is the greatest probability scored in its time of warning, NaN if
	// none was: any threshold below it could have caught it.
	Best float64
}

// AlertLoad is how many alerts there were and what they were worth. An alert
// counts once for every H in which it has a row above the threshold.
type AlertLoad struct {
	Alerts int `json:"alerts"`
	True   int `json:"true"`  // a failure or repair followed within H
	False  int `json:"false"` // matured, and none did
	// Unknown alerts are not matured, or an intervention hid what would have
	// happened.
	Unknown   int        `json:"unknown"`
	Precision Proportion `json:"precision"` // true of true and false
	// FalsePerMachineWeek is the false alarms that a machine causes a week.
	FalsePerMachineWeek Interval `json:"false_per_machine_week"`
}

// EventMeasures is M1 by event, at one threshold.
type EventMeasures struct {
	Threshold    float64    `json:"threshold"`
	Machines     int        `json:"machines"`
	MachineWeeks float64    `json:"machine_weeks"`
	Caught       int        `json:"caught"` // failures
	Missed       int        `json:"missed"`
	Unobservable int        `json:"unobservable"`
	Recall       Proportion `json:"recall"`
	// RecallWithRepaired counts repairs of faults like failures (L3).
	RecallWithRepaired Proportion `json:"recall_with_repaired"`
	LeadHours          Interval   `json:"lead_hours"` // the median of the failures caught
	// Opened is the alerts since From, those after Until too, each once however
	// long it lasted.
	Opened int       `json:"opened"`
	Load   AlertLoad `json:"load"`
	Down   int       `json:"down"` // alerts closed as down, which do not count
	// AlwaysAlarm is the baseline that alarms for every machine, always: one
	// alert per machine and H. It catches all that is observable.
	AlwaysAlarm AlertLoad `json:"always_alarm"`

	Results []EventResult `json:"-"` // by time and machine
}

// Measures ends the replay and measures it. No row may be added afterwards.
func (e *Events) Measures() EventMeasures {
	e.finish()
	m := EventMeasures{Threshold: e.options.Threshold}
	var recall, repaired [2]int
	var leads []leadOf
	exposure := make([]float64, len(e.order))
	alerts, always := make([]tally, len(e.order)), make([]tally, len(e.order))
	for i, t := range e.order {
		if t.firstAsOf != drumbeat.NoTime {
			m.Machines++
		}
		exposure[i] = t.exposure(e.truth) / (7 * 24)
		m.MachineWeeks += exposure[i]
		m.Opened += t.opened
		m.Down += t.counted.down
		alerts[i], always[i] = t.counted, t.baseline
	}
	m.Results = e.results()
	machine := map[drumbeat.MachineID]int{}
	for i, t := range e.order {
		machine[t.machine] = i
	}
	for i := range m.Results {
		r := &m.Results[i]
		if !r.Repaired {
			m.tell(r.Result)
			if r.Result == Caught {
				leads = append(leads, leadOf{r.Lead.Hours(), machine[r.Event.Machine]})
			}
		}
		if r.Result == Unobservable {
			continue
		}
		repaired[1]++
		if r.Result == Caught {
			repaired[0]++
		}
	}
	recall = [2]int{m.Caught, m.Caught + m.Missed}
	m.Recall = ProportionOf(recall[0], recall[1])
	m.RecallWithRepaired = ProportionOf(repaired[0], repaired[1])
	m.LeadHours = leadInterval(leads, len(e.order), e.options.Bootstrap)
	m.Load = loadOf(alerts, exposure, e.options.Bootstrap)
	m.AlwaysAlarm = loadOf(always, exposure, e.options.Bootstrap)
	return m
}

func (m *EventMeasures) tell(r Result) {
	switch r {
	case Caught:
		m.Caught++
	case Missed:
		m.Missed++
	case Unobservable:
		m.Unobservable++
	}
}

// finish applies what came after the last row.
func (e *Events) finish() {
	if e.finished {
		return
	}
	e.finished = true
	for _, machine := range e.silent() {
		e.track(machine)
	}
	end := drumbeat.Position{Epoch: math.MaxInt32, Partition: math.MaxInt32, Offset: math.MaxInt64, Index: math.MaxInt32}
	for _, t := range e.order {
		t.catchUp(end, drumbeat.Time(math.MaxInt64), e)
		if t.watch.State.Open { // still open, or unanswered by now: it counts alike
			t.settle("", e)
		}
		for ; t.ahead < len(t.targets); t.ahead++ {
			t.targets[t.ahead].expected = t.seen && t.running
		}
		t.baseline.count(t.always.spans)
		t.always.spans = nil
	}
}

// silent lists machines with a history and without a row, sorted.
func (e *Events) silent() []drumbeat.MachineID {
	var machines []drumbeat.MachineID
	for machine := range e.truth.machines {
		if e.tracks[machine] == nil {
			machines = append(machines, machine)
		}
	}
	slices.Sort(machines)
	return machines
}

// exposure returns the hours in which a false alarm would have been seen: of
// rows that count and have matured, a cadence each at the least.
func (t *track) exposure(truth *Truth) float64 {
	if t.firstAsOf == drumbeat.NoTime || !truth.Complete(t.firstAsOf) {
		return 0
	}
	last := min(t.lastAsOf, truth.completeTo.Add(-truth.horizon))
	return (last.Sub(t.firstAsOf) + truth.fleet.Cadence).Hours()
}

func (e *Events) results() []EventResult {
	var all []EventResult
	for _, t := range e.order {
		for i := range t.targets {
			target := &t.targets[i]
			if !e.counts(target.event.At) || target.event.At < e.options.FailuresFrom {
				continue
			}
			r := EventResult{
				Event: target.event, Repaired: target.repaired, Result: e.result(target),
				First: target.caught, Best: math.NaN(),
			}
			if target.rows > 0 {
				r.Best = target.best
			}
			if r.Result == Caught {
				r.Lead = r.Event.At.Sub(r.First)
			}
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b EventResult) int {
		return cmp.Or(cmp.Compare(a.Event.At, b.Event.At), cmp.Compare(a.Event.Machine, b.Event.Machine))
	})
	return all
}

// result says what became of a target. Where nothing at all was scored in its
// time of warning, before the first row or after the last of the whole fleet,
// nobody could have seen it.
func (e *Events) result(t *target) Result {
	at := t.event.At
	switch {
	case t.caught != drumbeat.NoTime:
		return Caught
	case t.rows > 0:
		return Missed
	case e.first == drumbeat.NoTime || at.Add(-e.options.MinLead) < e.first || at.Add(-e.truth.horizon) > e.last:
		return Unobservable
	case t.expected:
		return Missed
	}
	return Unobservable
}

func loadOf(tallies []tally, weeks []float64, b Bootstrap) AlertLoad {
	var l AlertLoad
	var total float64
	for i := range tallies {
		l.Alerts += tallies[i].all()
		l.True += tallies[i].right
		l.False += tallies[i].wrong
		l.Unknown += tallies[i].unknown
		total += weeks[i]
	}
	l.Precision = ProportionOf(l.True, l.True+l.False)
	rate := func(wrong, weeks float64) float64 {
		if weeks == 0 {
			return math.NaN()
		}
		return wrong / weeks
	}
	var drawn []float64
	b.each(len(tallies), func(weights []int64) {
		var wrong, exposed float64
		for i, w := range weights {
			wrong += float64(w) * float64(tallies[i].wrong)
			exposed += float64(w) * weeks[i]
		}
		drawn = append(drawn, rate(wrong, exposed))
	})
	l.FalsePerMachineWeek = percentiles(rate(float64(l.False), total), drawn)
	return l
}

type leadOf struct {
	hours   float64
	machine int
}

// leadInterval returns the median of the leads: the lower of the middle two.
func leadInterval(leads []leadOf, machines int, b Bootstrap) Interval {
	slices.SortFunc(leads, func(x, y leadOf) int { return cmp.Compare(x.hours, y.hours) })
	median := func(weights []int64) float64 {
		var total, seen int64
		for _, l := range leads {
			total += weights[l.machine]
		}
		for _, l := range leads {
			if seen += weights[l.machine]; 2*seen >= total && total > 0 {
				return l.hours
			}
		}
		return math.NaN()
	}
	ones := make([]int64, machines)
	for i := range ones {
		ones[i] = 1
	}
	var drawn []float64
	b.each(machines, func(weights []int64) { drawn = append(drawn, median(weights)) })
	return percentiles(median(ones), drawn)
}

// ThresholdFor returns the highest threshold at which the failures' best rows
// reach a recall, and whether any does. It is a bound to try, not a promise:
// an alert that another row opened may be silent when the best row comes, so
// measure again at what it returns (M2).
func ThresholdFor(results []EventResult, recall float64) (float64, bool) {
	var best []float64
	for i := range results {
		if r := &results[i]; !r.Repaired && r.Result != Unobservable {
			best = append(best, r.Best)
		}
	}
	// NaN sorts first: no threshold catches these.
	slices.Sort(best)
	slices.Reverse(best)
	need := int(math.Ceil(recall*float64(len(best)) - 1e-9))
	if need <= 0 || need > len(best) || math.IsNaN(best[need-1]) {
		return math.NaN(), false
	}
	return math.Nextafter(best[need-1], math.Inf(-1)), true
}
