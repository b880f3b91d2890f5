package label_test

import (
	"math"
	"slices"

	"drumbeat"
	"drumbeat/label"
)

// counted measures by event straight from M1's text, over alerts that the
// watch finds.
type counted struct {
	caught, missed, unobservable int
	load                         [4]int
	down                         int
}

type warned struct {
	rows    []drumbeat.Time
	outcome drumbeat.Outcome
}

// alertsOf runs the rule over one machine and returns each alert's rows.
func alertsOf(o *oracle, machine drumbeat.MachineID, rows []label.Row, threshold float64) []warned {
	rule := label.RuleOf(o.fleet, o.horizon)
	w := label.NewWatch(rule)
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
	entries := slices.Clone(o.entries)
	slices.SortStableFunc(entries, func(a, b drumbeat.Item) int { return a.Position.Compare(b.Position) })
	findings := slices.Clone(o.findings)
	slices.SortStableFunc(findings, func(a, b drumbeat.Finding) int { return int(a.WhenFleet - b.WhenFleet) })
	answer := func(before drumbeat.Time) {
		for len(findings) > 0 && findings[0].WhenFleet < before {
			if findings[0].Machine == machine {
				take(w.Finding(&findings[0], nil))
			}
			findings = findings[1:]
		}
	}
	enter := func(until drumbeat.Position) {
		for len(entries) > 0 && entries[0].Position.Compare(until) <= 0 {
			if entries[0].Kind == drumbeat.KindEntry && entries[0].Machine == machine && entries[0].Entry.Log != "error" {
				answer(entries[0].ArrivalTime)
				take(w.Entry(&entries[0], nil))
			}
			entries = entries[1:]
		}
	}
	for i := range rows {
		if rows[i].Machine != machine {
			continue
		}
		enter(rows[i].Position)
		answer(rows[i].Arrival)
		superseded := w.Superseded(rows[i].AsOf, rows[i].Position)
		take(w.Row(&rows[i], rows[i].Probability > threshold, nil))
		if !superseded && rows[i].Probability > threshold && w.State.Open {
			last := &alerts[len(alerts)-1]
			last.rows = append(last.rows, rows[i].AsOf)
		}
	}
	enter(drumbeat.Position{Epoch: math.MaxInt32})
	answer(math.MaxInt64)
	take(w.Tick(o.now, nil))
	return alerts
}

func (o *oracle) count(rows []label.Row, opt *label.EventOptions) counted {
	var c counted
	within := func(t drumbeat.Time) bool { return t >= opt.From && t < opt.Until }
	first, last := drumbeat.Time(math.MaxInt64), drumbeat.NoTime
	for _, row := range rows {
		first, last = min(first, row.AsOf), max(last, row.AsOf)
	}
	for _, machine := range []drumbeat.MachineID{"W-1", "W-2"} {
		alerts := alertsOf(o, machine, rows, opt.Threshold)
		var repairs []drumbeat.Time
		for _, f := range o.findings {
			if f.Machine == machine && f.Outcome == drumbeat.OutcomeRepaired {
				repairs = append(repairs, f.WhenFleet)
			}
		}
		seen := map[drumbeat.Time]bool{}
		for _, f := range o.failures(machine) {
			if !f.counts || seen[f.at] {
				continue
			}
			seen[f.at] = true
			if within(f.at) {
				o.countFailure(&c, machine, f.at, rows, alerts, opt, first, last)
			}
		}
		for _, alert := range alerts {
			o.countAlert(&c, machine, alert, repairs, within)
		}
	}
	return c
}

func (o *oracle) countFailure(
	c *counted, machine drumbeat.MachineID, f drumbeat.Time, rows []label.Row, alerts []warned,
	opt *label.EventOptions, first, last drumbeat.Time,
) {
	begin, end := f.Add(-o.horizon), f.Add(-opt.MinLead)
	for _, alert := range alerts {
		if alert.outcome != drumbeat.OutcomeDown && slices.ContainsFunc(alert.rows, func(t drumbeat.Time) bool {
			return t >= begin && t <= end
		}) {
			c.caught++
			return
		}
	}
	scored, running, newest := false, false, drumbeat.NoTime
	for _, row := range rows {
		if row.Machine != machine || row.AsOf < newest {
			continue
		}
		newest = row.AsOf
		scored = scored || row.AsOf >= begin && row.AsOf <= end
		if row.AsOf < begin {
			running = row.Running
		}
	}
	switch {
	case scored:
		c.missed++
	case begin > last || end < first || !running:
		c.unobservable++
	default:
		c.missed++
	}
}

func (o *oracle) countAlert(
	c *counted, machine drumbeat.MachineID, alert warned, repairs []drumbeat.Time, within func(drumbeat.Time) bool,
) {
	if alert.outcome == drumbeat.OutcomeDown {
		if within(alert.rows[0]) {
			c.down++
		}
		return
	}
	for span := range 100 {
		var own []drumbeat.Time
		for _, t := range alert.rows {
			if int(t.Sub(alert.rows[0])/o.horizon) == span {
				own = append(own, t)
			}
		}
		if len(own) == 0 || !within(own[0]) {
			continue
		}
		c.load[0]++
		hit, hidden, mature := false, false, true
		for _, t := range own {
			end := t.Add(o.horizon)
			for _, f := range o.failures(machine) {
				hit = hit || f.counts && f.at > t && f.at <= end
			}
			for _, r := range repairs {
				hit = hit || r >= t && r <= end
			}
			for _, m := range o.standing(machine, label.MaintenanceLog) {
				hidden = hidden || m.EventTime > t && m.EventTime <= end && slices.Contains(o.fleet.Label.Censors, m.Entry.Type)
			}
			mature = mature && o.complete(t)
		}
		switch {
		case hit:
			c.load[1]++
		case hidden || !mature:
			c.load[3]++
		default:
			c.load[2]++
		}
	}
}
