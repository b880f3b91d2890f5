package main

import (
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// The needs of a fleet, the most urgent first: without data nothing is seen,
// an alert is what all of this is for, and a model comes after both.
const (
	needReadings = iota
	needDaemon
	needLost
	needSpeed
	needAnswer
	needWatch
	needModel
	needView
	needTraining
	needRecall
)

const (
	// fallenBehind is how many records a running daemon may have before it: a
	// minute of a large fleet.
	fallenBehind = 20_000
	// overdue is how many times its schedule a model may be old: the scheduler
	// had its chance by then.
	overdue = 2
)

// needs lists what of a fleet needs a person.
func (f *fleetStatus) needs(d *depot, running bool) []need {
	var all []need
	add := func(rank int, wanted bool, what, do string, args ...any) {
		if wanted {
			all = append(all, need{What: what, Do: fmt.Sprintf(do, args...), rank: rank})
		}
	}
	where := fmt.Sprintf("--data %s --fleet %s", d.dir, d.def.Name)
	waiting := f.Lag.Bronze + f.Lag.Silver + f.Lag.Gold
	add(needReadings, f.Fresh.Newest == drumbeat.NoTime && waiting == 0, "there are no readings yet",
		"drumbeat import --fleet FLEET --from CSV --data %s, or send them to topic %s", d.dir, d.telemetry.Name)
	switch {
	case running:
	case d.def.Clock == fleet.ClockWall:
		add(needDaemon, true, "the fleet lives by the wall clock and no daemon runs", "drumbeat run --data %s", d.dir)
	case waiting > 0:
		add(needDaemon, true, fmt.Sprintf("%d records wait and no daemon runs", waiting), "drumbeat run --data %s", d.dir)
	case f.Machines.Unseen > 0 && f.Model.Champion != 0:
		add(needDaemon, true, fmt.Sprintf("%d machines were never scored and no daemon runs", f.Machines.Unseen),
			"drumbeat run --data %s", d.dir)
	}
	add(needLost, f.Lost != "", f.Lost, "keep records in topic %s for longer than the longest outage", d.telemetry.Name)
	late := f.Lag.Bronze
	if f.Lag.Stream != nil {
		late = max(late, *f.Lag.Stream)
	}
	add(needSpeed, running && late > fallenBehind, fmt.Sprintf("the daemon is %d records behind the topic", late),
		"drumbeat doctor --data %s says what holds it up", d.dir)
	add(needAnswer, f.Alerts.Open > 0, fmt.Sprintf("open alerts: %d, the oldest on %s since %s",
		f.Alerts.Open, f.Alerts.OldestMachine, momentText(f.Alerts.Oldest)),
		"inspect the machine and say on its page what was found (drumbeat alerts %s lists them)", where)
	add(needWatch, f.Machines.NotWatched > 0, fmt.Sprintf("not watched: %d of %d machines, silent though they should report (%s)",
		f.Machines.NotWatched, f.Machines.Total, some(f.Machines.Silent)), "look at their power, network and gateway")
	f.modelNeeds(d, where, add)
	return all
}

// modelNeeds adds what of the model needs a person.
func (f *fleetStatus) modelNeeds(d *depot, where string, add func(rank int, wanted bool, what, do string, args ...any)) {
	m := &f.Model
	add(needModel, m.Champion == 0 && m.Versions == 0 && f.Fresh.Newest != drumbeat.NoTime, "there is no model yet",
		"train a first one: drumbeat train %s --promote-first", where)
	add(needModel, m.Champion == 0 && m.Versions > 0, "no version is champion, so nothing is predicted",
		"drumbeat train %s --promote-first", where)
	add(needView, m.Champion != 0 && !m.Current && len(m.Challengers) == 0, "the champion reads an earlier view than the folder's features.yaml",
		"train a new version: drumbeat train %s", where)
	every := d.def.Policy.RetrainEvery
	age := time.Duration(m.AgeDays * 24 * float64(time.Hour))
	add(needTraining, m.Champion != 0 && every > 0 && age > overdue*every,
		fmt.Sprintf("the champion is %s old, and is to be trained anew every %s", durationText(age), durationText(every)),
		"drumbeat train %s", where)
	if r := f.Recall; r != nil && r.Seen >= d.def.Policy.MinFailures {
		add(needRecall, r.Recall < d.def.Policy.RetrainBelowRecall, fmt.Sprintf("the champion caught %d of %d failures", r.Caught, r.Seen),
			"train a new version: drumbeat train %s", where)
	}
}
