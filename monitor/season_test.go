package monitor_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/monitor"
)

// start is when the worlds' clocks begin; hourOf(3) is three hours later.
const start = drumbeat.Time(1_767_225_600_000_000) // 2026-01-01

func hourOf(hours float64) drumbeat.Time { return start.Add(time.Duration(hours * float64(time.Hour))) }

// season is a fleet with its logs and the predictions that were made in it.
type season struct {
	fleet       *fleet.Fleet
	entries     []drumbeat.Item
	findings    []drumbeat.Finding
	predictions []drumbeat.Prediction // as written
	now         drumbeat.Time
}

func newSeason(now float64) *season {
	return &season{now: hourOf(now), fleet: &fleet.Fleet{
		Name: "laundry", Cadence: time.Hour, FailureLog: fleet.Completeness{Kind: fleet.CompleteContinuous},
		Label: fleet.LabelPolicy{Horizon: day, ReportingLag: 6 * time.Hour, DownMax: 2 * time.Hour, Censors: []string{"unscheduled"}},
		Policy: fleet.Policy{
			Threshold: 0.45, RecallTarget: 0.99, MinFailures: 20, MinPrecision: 0.2, MaxFalseAlarms: 0.5, MinLead: time.Hour,
			RetrainBelowRecall: 0.85, WarnBelowRecall: 0.9, HealthyAboveRecall: 0.95,
		},
	}}
}

func (w *season) truth() *label.Truth {
	return label.NewTruth(w.fleet, 0, w.entries, w.findings, w.now)
}

// scores reads the predictions in chunks of three.
func (w *season) scores(_ context.Context, from, until drumbeat.Time, fn func([]drumbeat.Prediction) error) error {
	var asked []drumbeat.Prediction
	for _, p := range w.predictions {
		if (from == drumbeat.NoTime || p.AsOf >= from) && (until == drumbeat.NoTime || p.AsOf < until) {
			asked = append(asked, p)
		}
	}
	for chunk := range slices.Chunk(asked, 3) {
		if err := fn(chunk); err != nil {
			return err
		}
		clear(chunk) // valid until fn returns
	}
	return nil
}

// fail logs a failure, at once.
func (w *season) fail(machine drumbeat.MachineID, hour float64) {
	w.log(label.FailureLog, machine, hour, "bearing")
}

func (w *season) log(log string, machine drumbeat.MachineID, hour float64, kind string) {
	n := len(w.entries)
	w.entries = append(w.entries, drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: machine, EventTime: hourOf(hour), ArrivalTime: hourOf(hour), Position: position(hour, n),
		Entry: drumbeat.Entry{Log: log, ID: fmt.Sprint("e", n), Type: kind},
	})
}

// position grows with the hour.
func position(hour float64, index int) drumbeat.Position {
	return drumbeat.Position{Offset: int64(hour*1000) + 1_000_000, Index: int32(index)}
}

// predict writes a live prediction of the champion.
func (w *season) predict(machine drumbeat.MachineID, hour, probability float64) *drumbeat.Prediction {
	w.predictions = append(w.predictions, drumbeat.Prediction{
		Fleet: "laundry", Machine: machine, AsOf: hourOf(hour), ArrivalTime: hourOf(hour), Position: position(hour+0.1, len(w.predictions)),
		Model: 1, Role: drumbeat.RoleChampion, Purpose: drumbeat.PurposeLive, Probability: probability,
		Threshold: w.fleet.Policy.Threshold, Alarm: probability > w.fleet.Policy.Threshold, Running: true,
	})
	return &w.predictions[len(w.predictions)-1]
}

// drawWorld draws a small season whose times are few, so that they meet often.
func drawWorld(t *rapid.T) *season {
	machine := rapid.SampledFrom([]drumbeat.MachineID{"W-1", "W-2", "W-3"})
	w := newSeason(float64(rapid.IntRange(0, 90).Draw(t, "now")))
	w.fleet.Label.Horizon = time.Duration(rapid.IntRange(1, 9).Draw(t, "horizon")) * time.Hour
	w.fleet.Label.ReportingLag = time.Duration(rapid.IntRange(0, 4).Draw(t, "lag")) * time.Hour
	w.fleet.Policy.MinLead = time.Duration(rapid.IntRange(0, 2).Draw(t, "min_lead")) * time.Hour
	w.fleet.Policy.MinFailures = rapid.IntRange(1, 4).Draw(t, "min_failures")
	if rapid.IntRange(0, 4).Draw(t, "file") == 0 {
		w.fleet.FailureLog = fleet.Completeness{Kind: fleet.CompleteTo, To: hourOf(float64(rapid.IntRange(0, 80).Draw(t, "complete_to")))}
	}
	failed := map[string]bool{}
	for range rapid.IntRange(0, 14).Draw(t, "entries") {
		m, hour := machine.Draw(t, "machine"), rapid.IntRange(0, 70).Draw(t, "hour")
		if rapid.IntRange(0, 3).Draw(t, "maintenance") == 0 {
			w.log(label.MaintenanceLog, m, float64(hour), rapid.SampledFrom([]string{"planned", "unscheduled"}).Draw(t, "type"))
		} else if key := fmt.Sprint(m, hour); !failed[key] {
			failed[key] = true
			w.fail(m, float64(hour))
		}
	}
	switched := rapid.IntRange(0, 80).Draw(t, "second champion")
	hour := 0
	for range rapid.IntRange(0, 60).Draw(t, "rows") {
		hour += rapid.SampledFrom([]int{0, 0, 1, 1, 2, 5}).Draw(t, "passed")
		ago := rapid.SampledFrom([]int{0, 0, 0, 0, 2}).Draw(t, "ago")
		p := w.predict(machine.Draw(t, "machine"), float64(hour), rapid.SampledFrom([]float64{0.1, 0.45, 0.6, 0.9}).Draw(t, "probability"))
		p.AsOf = hourOf(float64(hour - ago))
		if hour-ago >= switched {
			p.Model = 2
		}
		p.Running = rapid.Bool().Draw(t, "running")
		p.Alarm = p.Alarm != (rapid.IntRange(0, 5).Draw(t, "threshold was another") == 0)
		p.Purpose = rapid.SampledFrom([]drumbeat.Purpose{
			drumbeat.PurposeLive, drumbeat.PurposeLive, drumbeat.PurposeLive, drumbeat.PurposeQuery,
		}).Draw(t, "purpose")
		if rapid.Bool().Draw(t, "shadowed") {
			shadow := *p
			shadow.Model, shadow.Role = 3, rapid.SampledFrom([]drumbeat.Role{"challenger", "challenger-2"}).Draw(t, "role")
			if rapid.IntRange(0, 4).Draw(t, "another") == 0 {
				shadow.Model = 4
			}
			shadow.Probability = rapid.SampledFrom([]float64{0.2, 0.45, 0.7}).Draw(t, "shadow's probability")
			w.predictions = append(w.predictions, shadow)
			if rapid.IntRange(0, 4).Draw(t, "alone") == 0 {
				p.Purpose = drumbeat.PurposeQuery
			}
		}
	}
	return w
}

// judged is a row that counts, with its verdict.
type judged struct {
	label.Row
	above   bool
	version drumbeat.ModelVersion
}

// counted returns the rows that keep says yes to and that count by S3, straight
// from its text.
func (w *season) counted(keep func(*drumbeat.Prediction) bool, above func(*drumbeat.Prediction) bool) []judged {
	var kept []*drumbeat.Prediction
	for i := range w.predictions {
		if keep(&w.predictions[i]) {
			kept = append(kept, &w.predictions[i])
		}
	}
	var rows []judged
	for i, p := range kept {
		counts := true
		for j, q := range kept {
			if q.Machine != p.Machine {
				continue
			}
			late := j < i && q.AsOf > p.AsOf // the next as_of had come
			beaten := j > i && q.AsOf == p.AsOf && q.Model == p.Model && q.Position.Compare(p.Position) >= 0
			if beaten { // unless it was made too late itself
				beaten = !slices.ContainsFunc(kept[:j], func(r *drumbeat.Prediction) bool { return r.Machine == p.Machine && r.AsOf > p.AsOf })
			}
			if late || beaten {
				counts = false
			}
		}
		if counts {
			rows = append(rows, judged{label.Row{
				Machine: p.Machine, AsOf: p.AsOf, Arrival: p.ArrivalTime, Position: p.Position,
				Probability: p.Probability, Running: p.Running,
			}, above(p), p.Model})
		}
	}
	return rows
}

// span is the times that count, both inclusive; failures count from failures on.
type span struct{ from, failures, until drumbeat.Time }

func (s *span) has(t drumbeat.Time) bool { return t >= s.from && t <= s.until }

// warned is an alert: its rows above the threshold, and how it ended.
type warned struct {
	rows    []drumbeat.Time
	outcome drumbeat.Outcome
}

// recount measures by event straight from M1's text.
type recount struct {
	Caught, Missed, Unobservable, Opened int
	True, False, Unknown                 int

	results map[string]label.Result // of failures, by machine and time
}

func key(machine drumbeat.MachineID, t drumbeat.Time) string { return fmt.Sprint(machine, " ", t) }

func (w *season) recount(rows []judged, s span) recount {
	c := recount{results: map[string]label.Result{}}
	first, last := drumbeat.Time(math.MaxInt64), drumbeat.NoTime
	for _, row := range rows {
		first, last = min(first, row.AsOf), max(last, row.AsOf)
	}
	for _, machine := range []drumbeat.MachineID{"W-1", "W-2", "W-3"} {
		var own []judged
		for _, row := range rows {
			if row.Machine == machine {
				own = append(own, row)
			}
		}
		alerts := w.alerts(machine, own)
		for _, alert := range alerts {
			if alert.rows[0] >= s.from {
				c.Opened++
			}
			w.countAlert(&c, machine, alert, s)
		}
		for _, f := range w.entries {
			if f.Machine != machine || f.Entry.Log != label.FailureLog || !s.has(f.EventTime) || f.EventTime < s.failures {
				continue
			}
			result := w.result(f.EventTime, own, alerts, first, last)
			c.results[key(machine, f.EventTime)] = result
			switch result {
			case label.Caught:
				c.Caught++
			case label.Missed:
				c.Missed++
			case label.Unobservable:
				c.Unobservable++
			}
		}
	}
	return c
}

// alerts runs the alert rule over the rows and entries of a machine.
func (w *season) alerts(machine drumbeat.MachineID, rows []judged) []warned {
	watch := label.NewWatch(label.RuleOf(w.fleet, 0))
	var alerts []warned
	take := func(steps []label.Step) {
		for _, step := range steps {
			switch step.Kind {
			case label.StepOpened:
				alerts = append(alerts, warned{})
			case label.StepClosed:
				alerts[len(alerts)-1].outcome = step.Outcome
			case label.StepUpdated:
			}
		}
	}
	entries := slices.Clone(w.entries)
	slices.SortStableFunc(entries, func(a, b drumbeat.Item) int { return a.Position.Compare(b.Position) })
	enter := func(until drumbeat.Position) {
		for len(entries) > 0 && entries[0].Position.Compare(until) <= 0 {
			if entries[0].Machine == machine {
				take(watch.Entry(&entries[0], nil))
			}
			entries = entries[1:]
		}
	}
	for i := range rows {
		enter(rows[i].Position)
		take(watch.Row(&rows[i].Row, rows[i].above, nil))
		if rows[i].above && watch.State.Open {
			alerts[len(alerts)-1].rows = append(alerts[len(alerts)-1].rows, rows[i].AsOf)
		}
	}
	enter(drumbeat.Position{Epoch: math.MaxInt32})
	return alerts
}

func (w *season) result(f drumbeat.Time, rows []judged, alerts []warned, first, last drumbeat.Time) label.Result {
	begin, end := f.Add(-w.fleet.Label.Horizon), f.Add(-w.fleet.Policy.MinLead)
	for _, alert := range alerts {
		if alert.outcome != drumbeat.OutcomeDown &&
			slices.ContainsFunc(alert.rows, func(t drumbeat.Time) bool { return t >= begin && t <= end }) {
			return label.Caught
		}
	}
	due := false
	for _, row := range rows {
		if row.AsOf >= begin && row.AsOf <= end {
			return label.Missed
		}
		if row.AsOf < begin {
			due = row.Running
		}
	}
	if due && begin <= last && end >= first {
		return label.Missed
	}
	return label.Unobservable
}

func (w *season) countAlert(c *recount, machine drumbeat.MachineID, alert warned, s span) {
	horizon := w.fleet.Label.Horizon
	if alert.outcome == drumbeat.OutcomeDown {
		return
	}
	spans := map[int][]drumbeat.Time{}
	for _, t := range alert.rows {
		i := int(t.Sub(alert.rows[0]) / horizon)
		spans[i] = append(spans[i], t)
	}
	for _, own := range spans {
		if !s.has(own[0]) {
			continue
		}
		hit, hidden := false, false
		for _, t := range own {
			for _, e := range w.entries {
				within := e.Machine == machine && e.EventTime > t && e.EventTime <= t.Add(horizon)
				hit = hit || within && e.Entry.Log == label.FailureLog
				hidden = hidden || within && e.Entry.Log == label.MaintenanceLog && e.Entry.Type == "unscheduled"
			}
		}
		// A later row of the span may not have matured.
		immature := own[len(own)-1].Add(horizon) > w.completeTo()
		switch {
		case hit:
			c.True++
		case hidden || immature:
			c.Unknown++
		default:
			c.False++
		}
	}
}

func (w *season) completeTo() drumbeat.Time {
	if w.fleet.FailureLog.Kind == fleet.CompleteTo {
		return w.fleet.FailureLog.To
	}
	return w.now.Add(-w.fleet.Label.ReportingLag)
}

// matured is the newest time of which everything is known.
func (w *season) matured() drumbeat.Time {
	return min(w.now.Add(-w.fleet.Label.ReportingLag), w.completeTo()).Add(-w.fleet.Label.Horizon)
}

// tell returns what a report should agree with.
func tell(m *label.EventMeasures) recount {
	return recount{
		Caught: m.Caught, Missed: m.Missed, Unobservable: m.Unobservable, Opened: m.Opened,
		True: m.Load.True, False: m.Load.False, Unknown: m.Load.Unknown,
	}
}

var _ monitor.Scores = (*season)(nil).scores
