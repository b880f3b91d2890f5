package propose

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// Verdict says whether data can foretell anything yet.
type Verdict string

// The verdicts.
const (
	Ready  Verdict = "yes"
	NotYet Verdict = "not yet"
	Never  Verdict = "no" // more of the same data would not help
)

// What a first model and an honest measure of it need: four horizons of
// labelled rows, as train asks, and in the test part as many failures as
// min_failures of the policy. A model that saw fewer than leastTrain in
// training, or leastValidation when its threshold was chosen, is luck.
const (
	needHorizons    = 4
	needTest        = 20
	needTrain       = 20
	needValidation  = 5
	shareTrain      = 0.60 // of the time, as train splits it (L4)
	shareValidation = 0.18
)

// Readiness is what the data can foretell, in figures.
type Readiness struct {
	Verdict  Verdict `json:"verdict"`
	Sentence string  `json:"sentence"`

	Machines           int     `json:"machines"`
	Days               float64 `json:"days_of_history"`
	Failures           int     `json:"failures"`            // events, several of a machine at one time are one (L1)
	FailuresSeen       int     `json:"failures_in_history"` // of machines with telemetry, while it lasts
	MachinesFailed     int     `json:"machines_failed"`
	PerMachineYear     float64 `json:"failures_per_machine_year"`
	MachineDays        float64 `json:"machine_days_with_data"` // share
	RowsAfterLast      int     `json:"rows_after_last_failure"`
	DaysAfterLast      float64 `json:"days_after_last_failure"`
	Horizon            string  `json:"horizon"`
	LabelledDays       float64 `json:"labelled_days"`
	NeededDays         float64 `json:"needed_days"`
	TrainFailures      int     `json:"train_failures"`
	ValidationFailures int     `json:"validation_failures"`
	TestFailures       int     `json:"test_failures"`
	NeededTestFailures int     `json:"needed_test_failures"`
	MoreDays           float64 `json:"more_days,omitempty"` // about, at this rate
	Gaps               []Gap   `json:"longest_gaps,omitempty"`
}

// Gap is a long time without a reading of one machine.
type Gap struct {
	Machine string        `json:"machine"`
	From    drumbeat.Time `json:"from"`
	To      drumbeat.Time `json:"to"`
	Days    float64       `json:"days"`
}

const hoursADay = 24

func daysOf(d time.Duration) float64 { return math.Round(d.Hours()/hoursADay*10) / 10 }

// readiness measures the telemetry against the failures.
func readiness(telemetry *profile, failed *failures, horizon, minHistory time.Duration) Readiness {
	r := Readiness{Horizon: strict.FormatDuration(horizon), NeededTestFailures: needTest, Machines: len(telemetry.order)}
	span := telemetry.last.Sub(telemetry.first)
	r.Days = daysOf(span)
	r.activity(telemetry)
	var events []drumbeat.Time
	for id, times := range failed.of {
		r.Failures += len(times)
		m := telemetry.machines[id]
		if m == nil {
			continue
		}
		affected := false
		for _, t := range times {
			if t >= telemetry.first && t <= telemetry.last {
				events = append(events, t)
				affected = true
			}
		}
		if affected {
			r.MachinesFailed++
		}
	}
	slices.Sort(events)
	r.FailuresSeen = len(events)
	years := span.Hours() / hoursADay / 365.25 * float64(r.Machines)
	if years > 0 {
		r.PerMachineYear = math.Round(float64(len(events))/years*100) / 100
	}
	if len(events) > 0 {
		r.DaysAfterLast = daysOf(telemetry.last.Sub(events[len(events)-1]))
	}
	labelled := max(0, span-minHistory-horizon)
	r.LabelledDays, r.NeededDays = daysOf(labelled), daysOf(needHorizons*horizon+minHistory+horizon)
	r.split(telemetry.first.Add(minHistory), labelled, horizon, events)
	r.judge(span, horizon, minHistory)
	return r
}

// activity measures how much of the machines' time has data.
func (r *Readiness) activity(p *profile) {
	with, of := 0, int64(0)
	for _, m := range p.order {
		with += m.days.count
		of += dayOf(m.last) - dayOf(m.first) + 1
		if m.longest.length() > 0 {
			r.Gaps = append(r.Gaps, Gap{m.id, m.longest.from, m.longest.to, daysOf(m.longest.length())})
		}
	}
	if of > 0 {
		r.MachineDays = math.Round(float64(with)/float64(of)*1000) / 1000
	}
	slices.SortFunc(r.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(b.To-b.From, a.To-a.From), strings.Compare(a.Machine, b.Machine))
	})
	const shown = 5
	r.Gaps = r.Gaps[:min(shown, len(r.Gaps))]
}

// split counts the failures that each part's labels would see (L4).
func (r *Readiness) split(first drumbeat.Time, labelled, horizon time.Duration, events []drumbeat.Time) {
	free := labelled - 2*horizon
	if free <= 0 {
		return
	}
	share := func(s float64) time.Duration { return time.Duration(s * float64(free)) }
	train, validation := share(shareTrain), share(shareTrain+shareValidation)
	count := func(from, until time.Duration) int {
		n := 0
		for _, t := range events {
			if t > first.Add(from) && t <= first.Add(until+horizon) {
				n++
			}
		}
		return n
	}
	r.TrainFailures = count(0, train)
	r.ValidationFailures = count(train+horizon, validation+horizon)
	r.TestFailures = count(validation+2*horizon, labelled)
}

// judge says what is missing, and how long it will take.
func (r *Readiness) judge(span, horizon, minHistory time.Duration) {
	perDay := float64(r.FailuresSeen) / max(1, span.Hours()/hoursADay)
	enough := r.TestFailures >= needTest && r.TrainFailures >= needTrain && r.ValidationFailures >= needValidation
	needed := needHorizons*horizon + minHistory + horizon
	switch {
	case r.Failures == 0:
		r.Verdict = Never
		r.Sentence = "No failure is known, so there is nothing to learn from: add a file of failures " +
			"(machine, time, what failed), even of the past only."
		return
	case r.FailuresSeen == 0:
		r.Verdict = Never
		r.Sentence = fmt.Sprintf("None of the %d failures falls on a machine and a time that the telemetry covers: "+
			"check the names of the machines and the time zones.", r.Failures)
		return
	case enough && span >= needed:
		r.Verdict = Ready
		r.Sentence = fmt.Sprintf("Yes: %d failures of %d machines in %.0f days, about %d of them to test with, "+
			"for a horizon of %s.", r.FailuresSeen, r.Machines, r.Days, r.TestFailures, r.Horizon)
		return
	}
	// The parts grow with the history beyond the gaps between them.
	fixed := minHistory + 3*horizon
	more := needed - span
	for _, part := range []struct {
		need  float64
		share float64
	}{{needTest, 1 - shareTrain - shareValidation}, {needValidation, shareValidation}, {needTrain, shareTrain}} {
		labels := horizon.Hours() / hoursADay * perDay // the failures that a horizon behind the part adds
		days := max(0, part.need-labels) / part.share / perDay
		more = max(more, fixed+time.Duration(days*float64(strict.Day))-span)
	}
	r.Verdict = NotYet
	r.MoreDays = max(1, math.Ceil(daysOf(more)))
	var lacks []string
	if span < needed {
		lacks = append(lacks, fmt.Sprintf("the history of %.0f days is shorter than the %.0f that a horizon of %s needs",
			r.Days, r.NeededDays, r.Horizon))
	}
	if !enough {
		lacks = append(lacks, fmt.Sprintf("about %d failures would be left to train with, %d to choose a threshold and %d to test "+
			"(%d, %d and %d are wanted)", r.TrainFailures, r.ValidationFailures, r.TestFailures, needTrain, needValidation, needTest))
	}
	r.Sentence = fmt.Sprintf("Not yet: %s. At this rate of %.2f failures a day it takes about %.0f more days%s.",
		strings.Join(lacks, ", and "), perDay, r.MoreDays, shorter(horizon))
}

// shorter offers a shorter horizon, which needs less history.
func shorter(horizon time.Duration) string {
	if horizon <= strict.Day {
		return ""
	}
	return "; a first report, with wide intervals, may be had at once, and sooner for a shorter horizon"
}
