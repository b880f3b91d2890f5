package monitor

import (
	"fmt"
	"math"
	"slices"

	"drumbeat"
)

// How M4 is read.
//
// The fleet's mean over a day is the trimmed mean, over machines, of how far
// each is from its own reference mean of that day type, put upon the fleet's
// reference mean. Each machine speaks once, whatever it sends: otherwise one
// with a quicker cadence or a night shift would outweigh the others. Each is
// held against itself: otherwise machines that come or go, or a site that is
// closed, would look like sensors that drift. The tenth part at each end is
// left out: a clock that jumps back makes a counter look reset, and W4 then
// adds all that it ever counted to that day; one machine is not the fleet.
//
// "2 standard deviations" (drift_sigma) is a level of chance, as of a normal
// with known mean. Mean and deviation are known from some 20 weekdays and 8
// weekend days only, so the limit is Student's t of the same level, widened by
// sqrt(1 + 1/n) for the mean's own error (a prediction interval).
//
// "3 consecutive days" are days that confirm: the first day beyond the limit
// raises the suspicion, and three more prove it. A suspicion is searched for
// in every sensor on every day, and days resemble the day before (weather,
// fashion), so what was found by looking cannot also be the proof.
//
// Taken literally, M4 flags a sensor in 8 of 20 months of the simulated laundry
// without any shift, mostly for the weather; read like this in 3 of 60. A shift
// of four deviations is flagged after four days nearly always.
const (
	leastEffect    = 0.2 // of the spread between machines
	confirmations  = 3   // days beyond the limit after the first
	calmDays       = 3   // days within the limit after which a drift has ended
	leastDays      = 5   // of a day type, for a mean and a deviation
	leastMachines  = 5   // for a fleet's mean and a spread
	leastOwnDays   = 3   // of a day type, for a machine's own mean
	trimmed        = 10  // the tenth part of the machines at each end is left out
	longestSilence = 7   // days without a verdict that a suspicion outlives
	recentDays     = 7   // what "now" is: all days of a week
	shownDays      = 35  // of a report
)

// Usual is what the reference says of a sensor on days of one type.
type Usual struct {
	Days     int    `json:"days"`     // with data
	Machines int    `json:"machines"` // with a mean of their own
	Mean     Number `json:"mean"`     // of the fleet, in the sensor's unit
	SD       Number `json:"sd"`       // of the fleet's daily means
	Limit    Number `json:"limit"`    // in standard deviations: more is beyond chance
	// Missing says what the reference lacks to judge days of this type; empty
	// if nothing.
	Missing string `json:"missing,omitempty"`

	own     []float64 // by machine; NaN without enough days
	present float64   // machines on an ordinary day
}

// DayDrift is one complete day of a sensor after the reference.
type DayDrift struct {
	Day         drumbeat.Time `json:"day"` // its begin
	Weekend     bool          `json:"weekend"`
	Machines    int           `json:"machines"`     // that are in the reference
	NewMachines int           `json:"new_machines"` // that are not, and do not count
	Mean        Number        `json:"mean"`         // of the fleet, in the sensor's unit
	Z           Number        `json:"z"`            // in standard deviations of the reference's daily means
	Effect      Number        `json:"effect"`       // in spreads between machines
	Beyond      bool          `json:"beyond"`       // the limit and the least effect
	Note        string        `json:"note,omitempty"`

	shift float64
	mute  bool // no verdict
}

// Quality is what was wrong with a sensor's values, as shares of the readings.
type Quality struct {
	Readings int64  `json:"readings"`
	Missing  Number `json:"missing"`
	Clipped  Number `json:"clipped"`
	Nulled   Number `json:"nulled"`
}

// SensorDrift is one sensor against its reference (M4).
type SensorDrift struct {
	Sensor  string        `json:"sensor"`
	Title   string        `json:"title"`
	Unit    string        `json:"unit"`
	Counter bool          `json:"counter"` // figures are of daily increases
	Flagged bool          `json:"flagged"`
	Since   drumbeat.Time `json:"since"` // the first of the consecutive days; null unless flagged
	// Shift is the mean over the newest days, a week at most and none before
	// Since, less the reference's; Effect is Shift in spreads.
	Shift  Number `json:"shift"`
	Effect Number `json:"effect"`
	// Spread is the standard deviation of the machines' reference means.
	Spread  Number     `json:"spread"`
	Weekday Usual      `json:"weekday"`
	Weekend Usual      `json:"weekend"`
	Days    []DayDrift `json:"days"` // the newest, oldest first
	// Before is of the reference, Now of the last complete week.
	Before   Quality `json:"quality_reference"`
	Now      Quality `json:"quality_now"`
	Sentence string  `json:"sentence"`
}

// period is days [from, until) since 1970.
type period struct{ from, until int64 }

func (p period) holds(day int64) bool { return day >= p.from && day < p.until }

// weeks returns the whole weeks up to the period's end.
func (p period) weeks() []period {
	var weeks []period
	for until := p.until; until-recentDays >= p.from; until -= recentDays {
		weeks = append(weeks, period{until - recentDays, until})
	}
	return weeks
}

// weekend says whether a day is a Saturday or Sunday; 1970 began on a
// Thursday.
func weekend(day int64) bool { return ((day+4)%7+7)%7%6 == 0 }

// judge holds the days after the reference against it; now is the day that is
// not over, and none of c.
func (s *SensorDrift) judge(c *chronicle, reference period, now int64, sigma float64) {
	s.Weekday, s.Weekend = c.usual(reference, false, sigma), c.usual(reference, true, sigma)
	s.Spread = Number(c.spread(reference))
	var before, after tally
	for i, day := range c.days {
		switch {
		case reference.holds(day):
			before.add(c.counts[i])
		case day >= reference.until:
			s.Days = append(s.Days, s.day(day, c.values[i]))
		}
		if day >= now-recentDays {
			after.add(c.counts[i])
		}
	}
	s.Before, s.Now = before.quality(), after.quality()
	s.Since = since(s.Days)
	s.Flagged = s.Since != drumbeat.NoTime
	s.measure()
	s.Days = s.Days[max(0, len(s.Days)-shownDays):]
}

func (t tally) quality() Quality {
	n := float64(t.readings)
	return Quality{
		Readings: t.readings,
		Missing:  Number(float64(t.missing) / n), Clipped: Number(float64(t.clipped) / n), Nulled: Number(float64(t.nulled) / n),
	}
}

// usual learns a day type from the reference.
func (c *chronicle) usual(reference period, weekends bool, sigma float64) Usual {
	u := Usual{Mean: Number(math.NaN()), SD: Number(math.NaN()), Limit: Number(math.NaN())}
	var rows [][]float64
	for i, day := range c.days {
		if reference.holds(day) && weekend(day) == weekends {
			rows = append(rows, c.values[i])
		}
	}
	var means []float64
	u.own, means = ownMeans(rows, leastOwnDays)
	u.Machines = len(means)
	if u.Machines < leastMachines {
		u.Missing = fmt.Sprintf("%d machines have %d days or more of the type, and %d are needed",
			u.Machines, leastOwnDays, leastMachines)
		u.Days = len(rows)
		return u
	}
	u.Mean = Number(trimmedMean(means))
	shifts, present := make([]float64, 0, len(rows)), make([]float64, 0, len(rows))
	for _, values := range rows {
		if shift, n := u.shift(values); n > 0 {
			shifts, present = append(shifts, shift), append(present, float64(n))
		}
	}
	u.present = median(present)
	kept := shifts[:0]
	for i, n := range present {
		if u.enough(int(n)) {
			kept = append(kept, shifts[i])
		}
	}
	u.Days = len(kept)
	if u.Days < leastDays {
		u.Missing = fmt.Sprintf("%d days have data, and %d are needed", u.Days, leastDays)
		return u
	}
	centre, sd := moments(kept)
	u.Mean += Number(centre)
	for m := range u.own {
		u.own[m] += centre
	}
	u.SD = Number(sd)
	u.Limit = Number(studentT(sigma, float64(u.Days-1)) * math.Sqrt(1+1/float64(u.Days)))
	return u
}

// enough says whether so many machines of the reference can stand for the
// fleet: half of those that an ordinary day has.
func (u *Usual) enough(machines int) bool {
	return machines >= leastMachines && 2*float64(machines) >= u.present
}

// shift returns how far the machines are from their own means, and how many
// have one.
func (u *Usual) shift(values []float64) (float64, int) {
	away := make([]float64, 0, len(values))
	for m, v := range values {
		if d := v - u.own[m]; !math.IsNaN(d) {
			away = append(away, d)
		}
	}
	return trimmedMean(away), len(away)
}

// spread is the standard deviation, over machines, of their reference means.
// Where it has to do with fewer machines than are needed, no day is judged.
func (c *chronicle) spread(reference period) float64 {
	var rows [][]float64
	for i, day := range c.days {
		if reference.holds(day) {
			rows = append(rows, c.values[i])
		}
	}
	_, means := ownMeans(rows, leastOwnDays)
	_, sd := moments(means)
	return sd
}

// ownMeans returns each machine's trimmed mean over its days, NaN with fewer
// than least, and all that are known.
func ownMeans(rows [][]float64, least int) (own, known []float64) {
	if len(rows) == 0 {
		return nil, nil
	}
	own = make([]float64, len(rows[0]))
	days := make([]float64, 0, len(rows))
	for m := range own {
		days = days[:0]
		for _, row := range rows {
			if !math.IsNaN(row[m]) {
				days = append(days, row[m])
			}
		}
		own[m] = math.NaN()
		if len(days) >= least {
			own[m] = trimmedMean(days)
			known = append(known, own[m])
		}
	}
	return own, known
}

// day judges one complete day.
func (s *SensorDrift) day(day int64, values []float64) DayDrift {
	nan := Number(math.NaN())
	d := DayDrift{Day: startOf(day), Weekend: weekend(day), Mean: nan, Z: nan, Effect: nan, mute: true}
	u := &s.Weekday
	if d.Weekend {
		u = &s.Weekend
	}
	heard := 0
	for _, v := range values {
		if !math.IsNaN(v) {
			heard++
		}
	}
	if u.Missing != "" {
		d.Machines, d.Note = heard, "the reference cannot judge days of this type"
		return d
	}
	d.shift, d.Machines = u.shift(values)
	d.NewMachines = heard - d.Machines
	if !u.enough(d.Machines) {
		d.Note = fmt.Sprintf("%d machines of the reference, and %.0f are usual", d.Machines, u.present)
		return d
	}
	d.mute = false
	d.Mean = u.Mean + Number(d.shift)
	d.Z, d.Effect = ratio(d.shift, float64(u.SD)), ratio(d.shift, float64(s.Spread))
	d.Beyond = math.Abs(float64(d.Z)) > float64(u.Limit) && math.Abs(float64(d.Effect)) >= leastEffect
	return d
}

// ratio is x/y, 0 if both are 0.
func ratio(x, y float64) Number {
	if x == 0 && y == 0 {
		return 0
	}
	return Number(x / y)
}

// since returns when the drift that holds at the end of the days began, NoTime
// if none does. Days without a verdict neither prove nor disprove.
func since(days []DayDrift) drumbeat.Time {
	var (
		began, last  drumbeat.Time
		up, drifting bool
		run, calm    int
	)
	for i := range days {
		d := &days[i]
		if d.mute {
			continue
		}
		same := d.Beyond && run > 0 && d.shift > 0 == up
		switch {
		case drifting && same:
			calm = 0
		case drifting:
			if calm++; calm == calmDays {
				drifting, run, calm = false, 0, 0
			}
		case same && d.Day-last <= longestSilence*dayLength:
			run++
			drifting = run > confirmations
		case d.Beyond:
			began, up, run = d.Day, d.shift > 0, 1
		default:
			run = 0
		}
		last = d.Day
	}
	if !drifting {
		return drumbeat.NoTime
	}
	return began
}

// measure says how far the sensor is from its reference now.
func (s *SensorDrift) measure() {
	sum, n := 0.0, 0
	for _, d := range slices.Backward(s.Days) {
		if d.mute || s.Flagged && d.Day < s.Since {
			continue
		}
		sum += d.shift
		if n++; n == recentDays {
			break
		}
	}
	s.Shift = Number(sum / float64(n))
	s.Effect = ratio(float64(s.Shift), float64(s.Spread))
}
