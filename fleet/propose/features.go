package propose

import (
	"fmt"
	"strings"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// windows are the lengths that suit a cadence.
type windows struct {
	now, short, mid, long time.Duration
}

// windows returns a day, a week and a month for readings that come within the
// day, more for rarer ones. The longest takes a third of the history at most,
// for a machine's row is whole only behind it.
func (d *draft) windows() windows {
	const day = strict.Day
	w := windows{now: max(time.Hour, d.cadence), short: day, mid: 7 * day, long: 30 * day}
	if d.cadence > 8*time.Hour {
		w.short = max(3*day, 3*d.cadence)
	}
	w.mid, w.long = max(w.mid, 7*d.cadence), max(w.long, 30*d.cadence)
	if history := d.telemetry.last.Sub(d.telemetry.first); history < 3*w.long {
		w.long = max(2*w.mid, (history / 3).Truncate(day))
	}
	// What comes more often than every 10 seconds fills more readings than a
	// window may hold (W5).
	const mostReadings = 2_000_000
	w.long = min(w.long, mostReadings*d.cadence, 400*day)
	if w.long < 2*w.mid {
		w.mid = max(w.short, (w.long / 2).Truncate(time.Hour))
	}
	if w.mid <= w.short {
		w.mid = 2 * w.short
	}
	w.long = max(w.long, w.mid+d.cadence)
	return w
}

// lean says how much a view leaves out, so that a machine's record stays
// within its bound (S1). The first that fits is taken.
type lean struct {
	record int // max_record_bytes
	level  int // 0: everything; 1: no std, min, max; 2: two windows; 3: the newest value and a day's mean
}

func leaner() []lean {
	const kilobyte, megabyte = 1 << 10, 1 << 20
	return []lean{
		{256 * kilobyte, 0}, {megabyte, 0}, {megabyte, 1}, {megabyte, 2}, {4 * megabyte, 2}, {16 * megabyte, 2}, {16 * megabyte, 3},
	}
}

// list of features, with unique names.
type featureList struct {
	lines []string
	names map[string]bool
}

// add adds a feature, unless its name is taken or too long.
func (l *featureList) add(name, rest string, args ...any) bool {
	const most, longest = 900, 100
	if l.names[name] || len(l.names) >= most || len(name) > longest {
		return false
	}
	l.names[name] = true
	l.lines = append(l.lines, fmt.Sprintf("  - {name: %s, %s}", name, fmt.Sprintf(rest, args...)))
	return true
}

// features writes features.yaml.
func (d *draft) features(minHistory time.Duration, how lean) []byte {
	w := d.windows()
	list := &featureList{names: map[string]bool{}}
	for i := range d.sensors {
		d.sensorFeatures(list, &d.sensors[i], w, how.level)
	}
	for i := range d.logbooks {
		d.logFeatures(list, &d.logbooks[i], w)
	}
	d.staticFeatures(list)
	ttl := max(24*time.Hour, 7*d.cadence)
	if d.telemetry.longGaps(ttl) {
		ttl = max(ttl, 7*strict.Day)
	}
	var b strings.Builder
	b.WriteString("# Proposed by `drumbeat init`. Each short window stands beside a long one, so that a machine is\n" +
		"# compared with itself.\n")
	fmt.Fprintf(&b, "view: machine_health\nttl: %s\nmin_history: %s\nserve_lag: 5m\nmax_record_bytes: %d\nfeatures:\n",
		strict.FormatDuration(ttl), strict.FormatDuration(minHistory), how.record)
	b.WriteString(strings.Join(list.lines, "\n"))
	b.WriteString("\n")
	return []byte(b.String())
}

// longGaps says whether a fifth of the machines were silent for longer than d
// once.
func (p *profile) longGaps(d time.Duration) bool {
	n := 0
	for _, m := range p.order {
		if m.longest.length() > d {
			n++
		}
	}
	return n*5 > len(p.order)
}

func (d *draft) sensorFeatures(l *featureList, s *sensor, w windows, level int) {
	window := strict.FormatDuration
	agg := func(agg string, of time.Duration) bool {
		return l.add(fmt.Sprintf("%s_%s_%s", s.name, agg, window(of)), "of: %s, agg: %s, window: %s", s.name, agg, window(of))
	}
	if !l.add(s.name+"_now", "of: %s, agg: last, window: %s", s.name, window(w.now)) || s.fixed {
		return
	}
	switch {
	case s.counter:
		agg("increase", w.short)
		agg("increase", w.mid)
		return
	case s.events:
		agg("sum", w.short)
		agg("sum", w.mid)
		if level == 0 {
			agg("sum", w.long)
		}
		return
	case level >= 3:
		agg("mean", w.short)
		return
	}
	short := agg("mean", w.short)
	if level == 0 {
		agg("mean", w.mid)
	}
	long := w.long
	if level >= 2 {
		long = w.mid
	}
	whole := agg("mean", long)
	if level == 0 {
		if w.short >= 10*d.cadence {
			agg("std", w.short)
		}
		agg("std", w.mid)
		agg("min", w.mid)
		agg("max", w.mid)
	}
	if !short || !whole {
		return
	}
	operator := "-"
	if s.positive {
		operator = "/"
	}
	l.add(s.name+"_health", "expr: %s_mean_%s %s %s_mean_%s", s.name, window(w.short), operator, s.name, window(long))
}

func (d *draft) logFeatures(l *featureList, log *logbook, w windows) {
	window := strict.FormatDuration
	const mostTypes = 8
	l.add("hours_since_"+log.name, "of: %s, agg: age", log.name)
	lengths := []time.Duration{w.short, w.mid, w.long}
	if log.name == fleet.FailureLog || log.name == fleet.MaintenanceLog {
		lengths = lengths[2:]
	}
	for _, length := range lengths {
		l.add(fmt.Sprintf("%s_events_%s", log.name, window(length)), "of: %s, agg: events, window: %s", log.name, window(length))
	}
	if log.name == fleet.FailureLog || len(log.types) < 2 || len(log.types) > mostTypes {
		return
	}
	for _, typ := range log.types {
		name := identifier(typ, "type")
		if log.name == fleet.MaintenanceLog {
			l.add(fmt.Sprintf("hours_since_%s_%s", log.name, name), "of: %s, type: %s, agg: age", log.name, scalar(typ))
			continue
		}
		for _, length := range lengths[:2] {
			l.add(fmt.Sprintf("%s_%s_%s", log.name, name, window(length)),
				"of: %s, type: %s, agg: events, window: %s", log.name, scalar(typ), window(length))
		}
	}
}

// staticFeatures makes a column a category of attributes that have few.
func (d *draft) staticFeatures(l *featureList) {
	const mostColumns = 12
	for _, a := range d.static {
		name := a.name
		if l.names[name] {
			name += "_attribute"
		}
		columns := map[string]bool{}
		for _, value := range a.values {
			columns[oneHotName(name, value)] = true
		}
		clash := len(columns) != len(a.values)
		for column := range columns {
			clash = clash || l.names[column] || len(column) > 100
		}
		if a.values == nil || len(a.values) > mostColumns || clash {
			l.add(name, "of: %s", a.name)
			continue
		}
		if l.add(name, "of: %s, onehot: true", a.name) {
			for column := range columns {
				l.names[column] = true
			}
		}
	}
}

// oneHotName is the name of the feature that onehot makes of a category.
func oneHotName(name, category string) string {
	out := []byte(name + "_")
	for _, c := range []byte(category) {
		switch {
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_':
		default:
			c = '_'
		}
		out = append(out, c)
	}
	return string(out)
}
