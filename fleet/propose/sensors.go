package propose

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"drumbeat/fleet/strict"
)

// sensor is a proposed sensor.
type sensor struct {
	name     string
	column   int
	unit     string
	counter  bool
	events   bool // counts, mostly 0: summed rather than averaged
	fixed    bool // the same for each machine at all times
	positive bool
	decimals int
	min, max float64
	note     string // behind its line
	doubts   []string
}

// maxSensors is how many sensors a fleet file may declare.
const maxSensors = 200

// findSensors makes sensors of the telemetry's columns, and says why others
// are none.
func (d *draft) findSensors() {
	p := d.telemetry
	var unitless []string
	for i := range p.cols {
		if i == p.machine || i == p.time || i == p.start || i == p.known {
			continue
		}
		if reason := d.noSensor(i); reason != "" {
			d.out.LeftOut = append(d.out.LeftOut, LeftOut{p.cols[i].name, reason})
			continue
		}
		s := d.sensor(i)
		if s.unit == "" && !s.events {
			unitless = append(unitless, s.name)
		}
		d.sensors = append(d.sensors, s)
		d.out.Sensors = append(d.out.Sensors, s.name)
	}
	if len(unitless) > 0 {
		d.doubt("sensors", "the names say no unit of %s: add unit: to each", list(unitless))
	}
	if p.duplicates > 0 {
		d.doubt(p.name, "has at least %s that repeat another: they count once", plural(p.duplicates, "row"))
	}
	if p.conflicts > 0 {
		d.doubt(p.name, "has at least %s that say otherwise for the same machine and time than the row before: the first one counts",
			plural(p.conflicts, "row"))
	}
}

// noSensor says why a column of the telemetry is no sensor, "" if it is one.
func (d *draft) noSensor(i int) string {
	p, c, st := d.telemetry, &d.telemetry.cols[i], &d.telemetry.stats[i]
	switch {
	case c.name == "":
		return "has no name"
	case c.twice:
		return "another column has the same name"
	case st.filled == 0:
		return "is empty"
	case leakName(c.words):
		return "is named like what is to be foretold: it would let the model see the answer" + d.labelColumn(i)
	case c.kind == kindTime:
		return "holds times"
	case c.kind == kindText && st.moves == 0 && !st.over:
		return "is text that never changes for a machine: put it into a file with one row a machine, as an attribute"
	case c.kind == kindText:
		return "is text"
	case st.numbers == 0, st.bad*100 > st.numbers:
		return fmt.Sprintf("has %s that are no numbers, such as %q", plural(st.bad, "cell"), st.badText)
	case st.min == st.max:
		return "is always " + format(st.min, min(st.decimals, 9))
	case hasWord(c.words, "unnamed", "index", "row", "rownum", "udi"):
		return "looks like the number of the row"
	}
	for j := range i {
		if o := &p.stats[j]; o.hash == st.hash && o.numbers == st.numbers && p.isValue(j) {
			return "is a copy of " + p.cols[j].name
		}
	}
	if reason := d.leak(st); reason != "" {
		return reason
	}
	const largest = 1e14
	switch {
	case max(math.Abs(st.min), math.Abs(st.max)) > largest:
		return "has numbers of more than 14 digits: an id or a time, hardly a measurement"
	case len(d.sensors) >= maxSensors:
		return fmt.Sprintf("stands behind the first %d sensors, which is all that a fleet may have", maxSensors)
	}
	return ""
}

// leakName knows the names of the answer.
func leakName(words []string) bool {
	if hasPart(words, "fail", "breakdown") || hasWord(words, "rul", "label", "target", "ttf", "broken") {
		return !hasWord(words, "failsafe")
	}
	return hasWord(words, "remaining") && hasWord(words, "life", "useful", "cycles", "lifetime")
}

// labelColumn tells how to make a failure log of a column of the telemetry.
func (d *draft) labelColumn(i int) string {
	st := &d.telemetry.stats[i]
	odd := st.numbers - st.zeros
	if len(d.failed.of) == 0 && odd > 0 && odd < st.numbers/2 {
		return fmt.Sprintf("; %s are other than 0: if they are the failures, save them as a file of their own (machine, time, type)",
			plural(odd, "row"))
	}
	return ""
}

// leak says how a column knows of failures what only they can tell.
func (d *draft) leak(st *stat) string {
	p := d.telemetry
	const enough = 20
	switch {
	case st.met >= enough && st.met*2 < p.read && st.metAfter*20 >= st.met*19 && p.after*5 < p.read*4:
		return fmt.Sprintf("is filled in %s, nearly all of them within %s after a failure: it is written because the machine failed",
			plural(st.met, "row"), strict.FormatDuration(d.horizon))
	case st.odd >= enough && st.oddBefore*50 >= st.odd*49 && st.oddBefore*2 >= p.before && p.before*5 < p.read*4:
		return fmt.Sprintf("is other than 0 in %s, nearly all of them within %s before a failure, and in most such rows: "+
			"it was made from the failures", plural(st.odd, "row"), strict.FormatDuration(d.horizon))
	case st.falls >= enough && st.rises >= 3 && st.rises*10 <= st.falls && st.resetAtFailure*5 >= st.rises*4:
		return "falls steadily and rises only when the machine fails: it counts down to the failure"
	}
	return ""
}

// sensor describes a column that is one.
func (d *draft) sensor(i int) sensor {
	p, c, st := d.telemetry, &d.telemetry.cols[i], &d.telemetry.stats[i]
	s := sensor{column: i, name: d.newName(c.name, "sensor"), unit: unitOf(c.name, c.words), positive: st.neverNegative() && st.zeros*200 < st.numbers}
	sudden := st.falls - st.resets
	const enough = 20
	s.counter = st.min >= 0 && st.rises >= enough && st.falls*100 <= st.rises && sudden*1000 <= st.rises
	s.events = !s.counter && st.decimals == 0 && st.min >= 0 && st.zeros*10 >= st.numbers*6
	s.fixed = st.moves == 0 && p.steps > len(p.order)
	s.scale(st, d.most())
	low, high := format(st.min, s.decimals), format(st.max, s.decimals)
	s.note = fmt.Sprintf("observed %s to %s: set the physical limits", low, high)
	d.doubt("sensors."+s.name, "%s", s.note)
	add := func(format string, args ...any) {
		s.doubts = append(s.doubts, fmt.Sprintf(format, args...))
		d.doubt("sensors."+s.name, "%s", s.doubts[len(s.doubts)-1])
	}
	if st.decimals > s.decimals {
		add("the texts have up to %d decimals: %d are kept", st.decimals, s.decimals)
	}
	if st.bad > 0 {
		add("%s are no numbers, such as %q: the import makes those rows dead letters", plural(st.bad, "cell"), st.badText)
	}
	if rows := p.read - p.unreadable; st.filled*2 < rows {
		add("is there in %.1f %% of the rows only", 100*float64(st.filled)/float64(max(1, rows)))
	}
	if st.max > s.max || st.min < s.min {
		add("has values far beyond the others, which the bounds clip")
	}
	if s.counter && st.falls > 0 {
		add("falls %d times: taken as a counter's resets", st.falls)
	}
	if s.fixed {
		add("never changes for a machine: an attribute rather, for a file with one row a machine")
	}
	if sentinel := st.sentinel(); sentinel != "" {
		add("%s stands far from all other values: if it means missing, empty those cells", sentinel)
	}
	return s
}

// sentinel returns an extreme that looks like a mark for a missing value.
func (s *stat) sentinel() string {
	q1, q99 := s.sample.quantile(0.01), s.sample.quantile(0.99)
	spread := max(q99-q1, 1e-9)
	for _, x := range []float64{s.min, s.max} {
		usual := []float64{-999, -9999, -99999, 999, 9999, 99999, 65535, -1}
		far := x < q1-3*spread || x > q99+3*spread
		if far && slices.Contains(usual, x) || x == -999 || x == -9999 {
			return format(x, 0)
		}
	}
	return ""
}

// most is the most readings that the longest window may hold (W5).
func (d *draft) most() float64 {
	const perCadence = 4
	return perCadence * float64(d.windows().long) / float64(d.cadence)
}

// scale chooses decimals and bounds, the observed range widened by half and
// rounded outwards; sums must fit (W5), so wide numbers keep fewer decimals.
func (s *sensor) scale(st *stat, readings float64) {
	low, high := st.usual()
	span := high - low
	s.decimals = min(st.decimals, max(6, 6-int(math.Floor(math.Log10(span)))), 9)
	for {
		s.min, s.max = bounds(st, s.counter, s.decimals)
		largest := max(math.Abs(s.min), math.Abs(s.max)) * math.Pow(10, float64(s.decimals))
		if s.decimals == 0 || largest < 1e17 && largest*readings < 1e18 {
			return
		}
		s.decimals--
	}
}

// bounds widens what was observed. A few values far from all others are
// faults rather than physics: they lie outside, and are clipped (V1).
func bounds(st *stat, counter bool, decimals int) (least, most float64) {
	if counter {
		return 0, math.Pow(10, math.Ceil(math.Log10(max(st.max, 1)))+1)
	}
	low, high := st.usual()
	span := high - low
	step := math.Pow(10, max(math.Floor(math.Log10(span)), -float64(decimals)))
	if !st.neverNegative() {
		least = math.Floor((low-span/2)/step) * step
	}
	most = math.Ceil((high+span/2)/step) * step
	return least, max(most, least+step)
}

// usual returns the range of the values, without those that lie beyond three
// times the spread of 99 % of them.
func (s *stat) usual() (low, high float64) {
	q1, q99 := s.sample.quantile(0.005), s.sample.quantile(0.995)
	const far = 3
	low, high = max(s.min, q1-far*(q99-q1)), min(s.max, q99+far*(q99-q1))
	if low >= high {
		return s.min, s.max
	}
	return low, high
}

// neverNegative says whether values below 0 are too rare to be real.
func (s *stat) neverNegative() bool { return s.negatives*200 < s.numbers }

// format writes a number with so many decimals at most.
func format(x float64, decimals int) string {
	text := strconv.FormatFloat(x, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	if text == "-0" {
		return "0"
	}
	return text
}

// decimalsOf returns how many decimals a rounded number needs.
func decimalsOf(x float64) int {
	text := strconv.FormatFloat(x, 'g', 6, 64)
	rounded, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	text = strconv.FormatFloat(rounded, 'f', -1, 64)
	if at := strings.IndexByte(text, '.'); at >= 0 {
		return len(text) - at - 1
	}
	return 0
}

// newName makes a name that nothing else has and no rule reserves.
func (d *draft) newName(text, fallback string) string {
	name := identifier(text, fallback)
	reserved := []string{
		"machine", "event_time", "arrival_time", "epoch", "partition", "offset", "index", "position", "redrive_of",
		"machine_id", "timestamp", "sensor", "value", "revision", "withdrawn",
	}
	if slices.Contains(reserved, name) || strings.HasSuffix(name, "_flags") {
		name += "_" + fallback
	}
	base := name
	for n := 2; d.names[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	d.names[name] = true
	return name
}

// unitOf returns the unit that a name says for sure: in brackets, by an
// unmistakable last word, or by a letter beside the quantity that it measures.
func unitOf(name string, words []string) string {
	if i := strings.LastIndexAny(name, "[("); i > 0 {
		if unit := strings.Trim(name[i+1:], "[]() "); unit != "" && len(unit) <= 10 {
			return unit
		}
	}
	if len(words) == 0 {
		return ""
	}
	last := words[len(words)-1]
	if n := len(words); n >= 2 {
		switch words[n-2] + "/" + last {
		case "mm/s", "m/s", "l/min", "l/h", "m3/h", "g/s", "kg/h":
			return words[n-2] + "/" + last
		}
	}
	sure := map[string]string{
		"celsius": "°C", "degc": "°C", "fahrenheit": "°F", "degf": "°F", "kelvin": "K", "bar": "bar", "mbar": "mbar", "psi": "psi",
		"kpa": "kPa", "mpa": "MPa", "hpa": "hPa", "hz": "Hz", "khz": "kHz", "rpm": "rpm", "kw": "kW", "kwh": "kWh", "watt": "W",
		"watts": "W", "volts": "V", "amps": "A", "mm": "mm", "mms": "mm/s", "pct": "%", "percent": "%", "hours": "h", "hrs": "h",
		"minutes": "min", "seconds": "s", "kg": "kg", "litres": "l", "liters": "l", "lpm": "l/min", "ppm": "ppm", "db": "dB", "nm": "Nm",
	}
	if len(words) > 1 && sure[last] != "" {
		return sure[last]
	}
	for _, pair := range []struct{ of, letter, unit string }{
		{"temp", "c", "°C"},
		{"temp", "f", "°F"},
		{"temp", "k", "K"},
		{"volt", "v", "V"},
		{"curr", "a", "A"},
		{"press", "pa", "Pa"},
		{"power", "w", "W"},
		{"torque", "nm", "Nm"},
		{"accel", "g", "g"},
		{"vib", "g", "g"},
		{"run", "h", "h"},
	} {
		if last == pair.letter && hasPart(words[:len(words)-1], pair.of) {
			return pair.unit
		}
	}
	return ""
}
