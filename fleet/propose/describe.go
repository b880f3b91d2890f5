package propose

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// describe says what the tables mean: cadence, sensors, attributes, logs.
func (d *draft) describe() {
	d.fileDoubts()
	d.measureCadence()
	d.telemetryTime()
	d.findSensors()
	d.findRunning()
	d.findStatic()
	for _, p := range d.logs {
		d.findLog(p)
	}
	d.logDoubts()
	d.machineDoubts()
}

// fileDoubts tells what concerns a whole file.
func (d *draft) fileDoubts() {
	for _, p := range d.profiles() {
		if !p.comma && !d.records {
			d.out.Importable = false
			d.doubt(p.name, "parts its columns by another mark than the comma: the import reads commas, so save it with commas first")
		}
		for i := range p.cols {
			if p.cols[i].comma && p.isValue(i) {
				d.out.Importable = false
				d.doubt(p.name, "writes decimal commas, such as in %s: the import reads decimal points, so save it with points first",
					p.cols[i].name)
				break
			}
		}
		if p.unreadable > 0 {
			d.doubt(p.name, "has %s without a readable machine and time, or with another number of fields than the header: "+
				"the import makes them dead letters", plural(p.unreadable, "row"))
		}
	}
	for _, p := range d.profiles() {
		if p.future > 0 {
			d.doubt(p.name, "has %s of after now: the import sets them aside as from the future, and they count for nothing here",
				plural(p.future, "row"))
		}
	}
	for _, s := range d.sheets {
		used := slices.ContainsFunc(d.profiles(), func(p *profile) bool { return p.sheet == s })
		told := slices.ContainsFunc(d.out.Doubts, func(doubt Doubt) bool { return doubt.Place == s.name })
		if used || told {
			continue
		}
		switch {
		case len(s.rows0) == 0 && logByWords(wordsOf(s.name)) != "":
			d.doubt(s.name, "has no rows yet: it is not used, propose again when it has some")
		case len(s.rows0) == 0:
			d.doubt(s.name, "has no rows and is not used")
		case s.machine < 0:
			d.doubt(s.name, "has no column that names the machine and is not used")
		default:
			d.doubt(s.name, "is neither telemetry, a log nor one row a machine, and is not used")
		}
	}
}

func (d *draft) profiles() []*profile {
	all := []*profile{d.telemetry}
	if d.machines != nil {
		all = append(all, d.machines)
	}
	return append(all, d.logs...)
}

// measureCadence takes the median over the machines of their median gap.
func (d *draft) measureCadence() {
	p := d.telemetry
	shuffled := p.backwards*20 > p.steps && p.backwards > len(p.order)
	var medians, low, high []float64
	for _, m := range p.order {
		switch {
		case shuffled && m.rows > 1:
			medians = append(medians, float64(m.last.Sub(m.first))/float64(m.rows-1))
		case m.gaps.seen > 0:
			medians = append(medians, m.gaps.quantile(0.5))
			low, high = append(low, m.gaps.quantile(0.1)), append(high, m.gaps.quantile(0.9))
		}
	}
	if len(medians) == 0 {
		d.cadence = time.Hour
		d.doubt("cadence", "no machine has two readings: 1h is a guess")
		return
	}
	slices.Sort(medians)
	median := time.Duration(medians[len(medians)/2])
	d.cadence = sensible(median)
	switch {
	case shuffled:
		d.doubt("cadence", "the rows of %s are in no order of time: the cadence is the time that a machine's rows span over their "+
			"number, and counters were not looked for", p.name)
		p.stats = slices.Clone(p.stats)
		for i := range p.stats {
			p.stats[i].rises, p.stats[i].falls = 0, 0
		}
		return
	case d.cadence < time.Second*11/10 && median < time.Second*9/10:
		d.doubt("cadence", "readings come every %s: 1s is the shortest cadence", short(median))
	}
	slices.Sort(low)
	slices.Sort(high)
	if l, h := low[len(low)/2], high[len(high)/2]; h > 1.5*l || float64(d.cadence) > 1.2*float64(median) {
		d.doubt("cadence", "gaps vary: half of them are about %s, most lie between %s and %s",
			short(median), short(time.Duration(l)), short(time.Duration(h)))
	}
	if least, most := medians[0], medians[len(medians)-1]; most > 1.5*least {
		d.doubt("cadence", "machines differ: their median gaps go from %s to %s",
			short(time.Duration(least)), short(time.Duration(most)))
	}
}

// sensible returns the usual cadence next to d, if one is within a tenth.
func sensible(d time.Duration) time.Duration {
	const minute, hour, day = time.Minute, time.Hour, strict.Day
	for _, usual := range []time.Duration{
		time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 20 * time.Second, 30 * time.Second,
		minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 20 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 4 * hour, 6 * hour, 8 * hour, 12 * hour, day, 2 * day, 7 * day, 14 * day,
	} {
		if d >= usual*9/10 && d <= usual*11/10 {
			return usual
		}
	}
	unit := time.Second
	switch {
	case d > 4*day:
		unit = day
	case d > 4*hour:
		unit = hour
	case d > 4*minute:
		unit = minute
	}
	return min(max(d.Round(unit), time.Second), 31*day)
}

// short writes a measured duration for a sentence.
func short(d time.Duration) string {
	switch {
	case d >= 2*strict.Day:
		return fmt.Sprintf("%.1f days", d.Hours()/hoursADay)
	case d >= time.Minute:
		return strings.TrimSuffix(d.Round(time.Second).String(), "0s")
	}
	return d.Round(time.Millisecond).String()
}

// telemetryTime tells what the event time of a reading is, and when a reading
// was known.
func (d *draft) telemetryTime() {
	p := d.telemetry
	c := &p.cols[p.time]
	switch {
	case p.start >= 0:
		d.knownFor = time.Minute
		d.knownWhy = "a window's values are made when it has ended: entries of that instant are known by then"
		d.doubt("import.telemetry", "a row spans %s to %s: its values are known only at the end, which is its time; "+
			"the start would let the model see what comes", p.cols[p.start].name, c.name)
	case hasWord(c.words, "start", "begin", "from", "bucket"):
		d.knownFor = d.cadence
		d.knownWhy = "the window's end, if its values are averages"
		d.doubt("import.telemetry", "%s is the start of a window: if the values average what follows it, the model sees %s ahead; "+
			"add a column with the end and use that", c.name, strict.FormatDuration(d.cadence))
	case c.format.date:
		d.knownFor = strict.Day
		d.knownWhy = "a day's values are known when it has ended"
		d.doubt("import.telemetry", "%s holds days without a time: if a row sums up its day, the model sees a day ahead; "+
			"use the day's end", c.name)
	}
	if p.known >= 0 {
		d.doubt("import.telemetry", "%s looks like the time at which a row was stored: if so, add known_at: %s, and allowed_lateness counts",
			p.cols[p.known].name, scalar(p.cols[p.known].name))
	}
	var local []string
	for _, p := range d.profiles() {
		if p.time < 0 || p == d.machines {
			continue
		}
		c := &p.cols[p.time]
		if !c.format.zoned {
			local = append(local, p.name)
		}
		if c.format.other != "" && !c.proven {
			d.doubt(p.name, "%s may be day first or month first: no value tells; %q was taken, as in %s",
				c.name, c.format.layout, orderName(c.format.layout))
		}
	}
	if len(local) > 0 && !d.records {
		d.doubt("import", "times without a zone are taken as UTC (%s): if they are local, say zone: Europe/Berlin (your own) at each",
			strings.Join(local, ", "))
	}
	if len(local) > 0 && len(local) < len(d.logs)+1 {
		d.doubt("import", "some files say their zone and others do not: compare one failure with its readings before you trust them")
	}
}

func orderName(layout string) string {
	if strings.HasPrefix(layout, "1") {
		return "the United States"
	}
	return "Europe"
}

// completeness says how far the failure log is complete: to the last reading,
// unless it stopped long before (L2).
func (d *draft) completeness() {
	r := &d.out.Readiness
	d.complete = d.telemetry.last
	if r.FailuresSeen == 0 || r.Days == 0 {
		return
	}
	expected := float64(r.FailuresSeen) / r.Days * r.DaysAfterLast
	const implausible = 5 // e^-5: such a silence is chance once in 150 times
	if expected > implausible && d.failed.last < d.telemetry.last {
		d.doubt("failure_log", "the last failure is %.0f days before the last reading, where about %.0f more would be expected: the log seems to "+
			"end there, so what follows is not taken as healthy; set complete_to if it does not", r.DaysAfterLast, expected)
		d.complete = d.failed.last
	}
}

// minHistory is how long a machine is known before its rows train (W7): a
// week, of a short history a day.
func (d *draft) minHistory() time.Duration {
	const long = 60 * strict.Day
	if d.telemetry.last.Sub(d.telemetry.first) >= long {
		return max(7*strict.Day, d.cadence)
	}
	return max(strict.Day, d.cadence)
}

// machineDoubts compares the machines of the files.
func (d *draft) machineDoubts() {
	of := func(p *profile, other *profile) (missing []string) {
		for _, m := range p.order {
			if other.machines[m.id] == nil {
				missing = append(missing, m.id)
			}
		}
		return missing
	}
	for _, p := range d.logs {
		if missing := of(p, d.telemetry); len(missing) > 0 {
			d.doubt(p.name, "%s without telemetry: %s", plural(len(missing), "machine"), list(missing))
		}
	}
	if d.machines == nil {
		if !d.records {
			d.doubt("static", "no file has one row a machine: model, age and place often tell much")
		}
		return
	}
	if missing := of(d.telemetry, d.machines); len(missing) > 0 {
		d.doubt(d.machines.name, "lacks %s of the telemetry, whose rows the import refuses as of unknown machines: %s",
			plural(len(missing), "machine"), list(missing))
	}
	if missing := of(d.machines, d.telemetry); len(missing) > 0 {
		d.doubt(d.machines.name, "%s without telemetry: %s", plural(len(missing), "machine"), list(missing))
	}
	if n := d.machines.read - d.machines.unreadable - len(d.machines.order); n > 0 {
		d.doubt(d.machines.name, "%s of a machine that stands there already", plural(n, "row"))
	}
}

// list names the first few.
func list(names []string) string {
	const shown = 5
	if len(names) > shown {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:shown], ", "), len(names)-shown)
	}
	return strings.Join(names, ", ")
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// findRunning looks for a sensor that says whether the machine is on (W7).
func (d *draft) findRunning() {
	p := d.telemetry
	for i := range d.sensors {
		s := &d.sensors[i]
		st := &p.stats[s.column]
		if s.counter || st.min < 0 || !hasPart(p.cols[s.column].words, "power", "current", "load", "rpm", "speed", "kw", "watt", "amp") {
			continue
		}
		threshold, off, ok := onOff(&st.sample)
		if !ok || s.decimals < decimalsOf(threshold) {
			continue
		}
		d.running = fmt.Sprintf("%s > %s", s.name, format(threshold, decimalsOf(threshold)))
		// Clear is a fleet whose machines fall silent behind a reading of off,
		// and only then.
		const enough = 20
		silent := 0
		for _, x := range st.silent.kept {
			if x <= threshold {
				silent++
			}
		}
		gaps := float64(st.silent.seen) / float64(max(1, p.read))
		d.active = len(st.silent.kept) >= enough && silent*10 >= len(st.silent.kept)*9 && off <= 3*gaps
		return
	}
}

// onOff returns a threshold between the values of off and on, and the share
// of off, if there are two such groups.
func onOff(sample *reservoir) (threshold, off float64, ok bool) {
	high := sample.quantile(0.9)
	if !(high > 0) {
		return 0, 0, false
	}
	const low = 0.05 // of what is usual when on
	var on []float64
	for _, x := range sample.kept {
		if x > low*high {
			on = append(on, x)
		}
	}
	if len(on) == 0 {
		return 0, 0, false
	}
	slices.Sort(on)
	usual := low * on[len(on)/2]
	unit := math.Pow(10, math.Floor(math.Log10(usual)))
	threshold = math.Ceil(usual/unit) * unit
	below, between := 0, 0
	for _, x := range sample.kept {
		switch {
		case x <= threshold:
			below++
		case x <= 2*threshold:
			between++
		}
	}
	off = float64(below) / float64(len(sample.kept))
	return threshold, off, off >= 0.01 && off <= 0.95 && between*2 <= below
}

// entryTypes returns a log's types in order, nil if they are too many to be
// kinds, or if some rows have none.
func entryTypes(p *profile, kind int) []string {
	const most = 30
	st := &p.stats[kind]
	if st.over || len(st.texts) > most || st.filled < p.read-p.unreadable {
		return nil
	}
	var types []string
	for text := range st.texts {
		if len(text) > 200 {
			return nil
		}
		types = append(types, text)
	}
	slices.Sort(types)
	return types
}

// isFailure says whether the log is the one of failures.
func isFailure(p *profile) bool { return p.log == fleet.FailureLog }
