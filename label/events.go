package label

import (
	"time"

	"drumbeat"
)

// EventOptions says what measures by event count.
type EventOptions struct {
	Threshold float64       // a row alarms strictly above it
	MinLead   time.Duration // a later alarm is too late to be of use
	// From and Until bound the failures and alerts that count: [From, Until);
	// NoTime is no bound. Rows before From may be given, so that alerts open
	// as they would have and early failures had a chance.
	From, Until drumbeat.Time
	// FailuresFrom, if it is later than From, bounds the failures and repairs
	// alone: a model that scores since From has had a whole horizon in which to
	// warn of those since From + H.
	FailuresFrom drumbeat.Time
	Bootstrap    Bootstrap
}

// Events replays live scoring rows under the alert rules and measures by event
// (M1). Rows of a machine come in the order of positions; machines may
// interleave. Memory grows with machines, failures and alerts, not with rows.
type Events struct {
	truth       *Truth
	options     EventOptions
	tracks      map[drumbeat.MachineID]*track
	order       []*track // as they came, so that measures do not depend on maps
	first, last drumbeat.Time
	steps       []Step
	finished    bool
}

// NewEvents returns measures that have seen no row.
func NewEvents(truth *Truth, options EventOptions) *Events {
	e := &Events{
		truth: truth, options: options, tracks: map[drumbeat.MachineID]*track{},
		first: drumbeat.NoTime, last: drumbeat.NoTime,
	}
	return e
}

// Add takes the next row of its machine.
func (e *Events) Add(row *Row) { e.AddAs(row, row.Probability > e.options.Threshold) }

// AddAs is Add for a row that was judged when it was made, by the threshold in
// force at that time: above says how.
func (e *Events) AddAs(row *Row, above bool) {
	t := e.track(row.Machine)
	t.catchUp(row.Position, row.arrival(), e)
	superseded := t.watch.Superseded(row.AsOf, row.Position)
	e.steps = t.watch.Row(row, above, e.steps[:0])
	t.follow(e.steps, e)
	if superseded {
		return
	}
	if e.first == drumbeat.NoTime || row.AsOf < e.first {
		e.first = row.AsOf
	}
	e.last = max(e.last, row.AsOf)
	t.scored(row, above && t.watch.State.Open, e)
}

func (e *Events) track(machine drumbeat.MachineID) *track {
	t := e.tracks[machine]
	if t == nil {
		t = newTrack(machine, e.truth)
		e.tracks[machine] = t
		e.order = append(e.order, t)
	}
	return t
}

// counts says whether an event or an alert at t counts.
func (e *Events) counts(t drumbeat.Time) bool {
	o := &e.options
	return (o.From == drumbeat.NoTime || t >= o.From) && (o.Until == drumbeat.NoTime || t < o.Until)
}

// track is the replay of one machine.
type track struct {
	machine drumbeat.MachineID
	watch   *Watch
	history *history
	// entry and finding are the next of each to apply.
	entry, finding int
	// targets are failures and repairs by time. live is the first at or after
	// the newest row, ahead the first whose time of warning has not begun,
	// harm the first after the newest row; visit the first intervention after it.
	targets                 []target
	live, ahead, harm, vist int
	seen, running           bool // of the newest row: there was one, and it said so
	alert                   alarm
	always                  alarm // the baseline's, over the rows that count
	firstAsOf, lastAsOf     drumbeat.Time
	opened                  int   // alerts, however long they lasted
	counted                 tally // alerts by what became of them
	baseline                tally
}

// target is a failure or repair that an alarm may catch.
type target struct {
	event    Event
	repaired bool
	rows     int           // scored in its time of warning
	best     float64       // the greatest probability among them
	caught   drumbeat.Time // as_of of the first row that caught it
	expected bool          // the machine should have reported when that time began
}

// alarm is one alert, by spans of H.
type alarm struct {
	from    drumbeat.Time
	spans   []alarmSpan
	catches []catch
}

// alarmSpan is what followed the rows of an alert in one H of its time.
type alarmSpan struct {
	index    int64
	first    drumbeat.Time
	hit      bool // a failure or repair within H of a row
	hidden   bool // an intervention within H of a row
	immature bool // the log is not complete to H after a row
}

type catch struct {
	target int
	at     drumbeat.Time
}

// tally counts alerts, each once for every H that it lasts (M1).
type tally struct {
	right, wrong, unknown, down int
}

func newTrack(machine drumbeat.MachineID, truth *Truth) *track {
	h := truth.machines[machine]
	if h == nil {
		h = &history{}
	}
	t := &track{
		machine: machine, watch: NewWatch(truth.rule), history: h,
		firstAsOf: drumbeat.NoTime, lastAsOf: drumbeat.NoTime,
	}
	failures, repairs := h.failures, h.repairs
	for len(failures)+len(repairs) > 0 {
		next := target{best: -1, caught: drumbeat.NoTime}
		if len(repairs) == 0 || len(failures) > 0 && failures[0].At <= repairs[0].At {
			next.event, failures = failures[0], failures[1:]
		} else {
			next.event, repairs, next.repaired = repairs[0], repairs[1:], true
		}
		t.targets = append(t.targets, next)
	}
	return t
}

// catchUp applies what stands before a row: entries by position, findings by
// time on the fleet's clock.
func (t *track) catchUp(position drumbeat.Position, arrival drumbeat.Time, e *Events) {
	for t.entry < len(t.history.entries) {
		item := t.history.entries[t.entry]
		if item.Position.Compare(position) > 0 {
			break
		}
		t.answer(item.ArrivalTime, e)
		t.entry++
		e.steps = t.watch.Entry(item, e.steps[:0])
		t.follow(e.steps, e)
	}
	t.answer(arrival, e)
}

// answer applies the findings made before a time.
func (t *track) answer(before drumbeat.Time, e *Events) {
	for t.finding < len(t.history.findings) && t.history.findings[t.finding].WhenFleet < before {
		e.steps = t.watch.Finding(t.history.findings[t.finding], e.steps[:0])
		t.finding++
		t.follow(e.steps, e)
	}
}

// follow keeps the books of the machine's alert.
func (t *track) follow(steps []Step, e *Events) {
	for _, step := range steps {
		switch step.Kind {
		case StepOpened:
			t.alert = alarm{from: step.At, spans: t.alert.spans[:0], catches: t.alert.catches[:0]}
			if e.options.From == drumbeat.NoTime || step.At >= e.options.From {
				t.opened++
			}
		case StepClosed:
			t.settle(step.Outcome, e)
		case StepUpdated:
		}
	}
}

// scored takes a row that is not superseded.
func (t *track) scored(row *Row, alarmed bool, e *Events) {
	horizon := e.truth.horizon
	end := row.AsOf.Add(horizon)
	for ; t.ahead < len(t.targets) && t.targets[t.ahead].event.At <= end; t.ahead++ {
		t.targets[t.ahead].expected = t.seen && t.running
	}
	t.seen, t.running = true, row.Running
	for t.live < len(t.targets) && t.targets[t.live].event.At < row.AsOf {
		t.live++
	}
	for i := t.live; i < t.ahead; i++ {
		target := &t.targets[i]
		if !target.repaired && target.event.At.Add(-e.options.MinLead) < row.AsOf {
			continue
		}
		target.rows++
		target.best = max(target.best, row.Probability)
		if alarmed && target.caught == drumbeat.NoTime {
			t.alert.catches = append(t.alert.catches, catch{i, row.AsOf})
		}
	}
	span := t.followed(row.AsOf, end, e)
	if alarmed {
		t.alert.add(row.AsOf, horizon, span)
	}
	if e.counts(row.AsOf) {
		if t.firstAsOf == drumbeat.NoTime {
			t.firstAsOf, t.always.from = row.AsOf, row.AsOf
		}
		t.lastAsOf = row.AsOf
		if t.always.begins(row.AsOf, horizon) {
			t.baseline.count(t.always.spans)
			t.always.spans = t.always.spans[:0]
		}
		t.always.add(row.AsOf, horizon, span)
	}
}

// followed says what came within H after a row.
func (t *track) followed(asOf, end drumbeat.Time, e *Events) alarmSpan {
	past := func(i *target) bool { return i.event.At < asOf || i.event.At == asOf && !i.repaired }
	for t.harm < len(t.targets) && past(&t.targets[t.harm]) {
		t.harm++
	}
	hidden := t.history.interventions
	for t.vist < len(hidden) && hidden[t.vist].At <= asOf {
		t.vist++
	}
	return alarmSpan{
		hit:      t.harm < len(t.targets) && t.targets[t.harm].event.At <= end,
		hidden:   t.vist < len(hidden) && hidden[t.vist].At <= end,
		immature: !e.truth.Complete(asOf),
	}
}

func (a *alarm) index(asOf drumbeat.Time, horizon time.Duration) int64 {
	return int64(asOf.Sub(a.from) / horizon)
}

// begins says whether a row is the first of a new span.
func (a *alarm) begins(asOf drumbeat.Time, horizon time.Duration) bool {
	return len(a.spans) == 0 || a.spans[len(a.spans)-1].index != a.index(asOf, horizon)
}

// add takes a row of the alert.
func (a *alarm) add(asOf drumbeat.Time, horizon time.Duration, row alarmSpan) {
	if a.begins(asOf, horizon) {
		row.index, row.first = a.index(asOf, horizon), asOf
		a.spans = append(a.spans, row)
		return
	}
	last := &a.spans[len(a.spans)-1]
	last.hit = last.hit || row.hit
	last.hidden = last.hidden || row.hidden
	last.immature = last.immature || row.immature
}

// settle closes the books of an alert. One that was down already does not
// count, nor does what it caught (A1).
func (t *track) settle(outcome drumbeat.Outcome, e *Events) {
	if outcome == drumbeat.OutcomeDown {
		if e.counts(t.alert.from) {
			t.counted.down++
		}
		return
	}
	for _, c := range t.alert.catches {
		if target := &t.targets[c.target]; target.caught == drumbeat.NoTime {
			target.caught = c.at
		}
	}
	kept := t.alert.spans[:0]
	for _, span := range t.alert.spans {
		if e.counts(span.first) {
			kept = append(kept, span)
		}
	}
	t.counted.count(kept)
}

func (c *tally) count(spans []alarmSpan) {
	for _, span := range spans {
		switch {
		case span.hit:
			c.right++
		case span.hidden, span.immature:
			c.unknown++
		default:
			c.wrong++
		}
	}
}

func (c *tally) all() int { return c.right + c.wrong + c.unknown }
