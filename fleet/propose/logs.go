package propose

import (
	"fmt"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/fleet"
)

// logbook is a proposed log.
type logbook struct {
	name        string
	p           *profile
	time        string // the payload's field, "" for the default
	kind        int    // the type's column, -1 without one
	kindField   string
	detail      int // -1 without one
	detailField string
	id          int // -1 without one
	types       []string
	censors     []string // types of maintenance that was not planned
	notes       []string
}

// findLog describes a log's table.
func (d *draft) findLog(p *profile) {
	l := logbook{name: d.newName(p.log, "log"), p: p, kind: p.typeColumn(), detail: -1, id: -1}
	taken := []string{"machine_id", "timestamp", "revision", "withdrawn", "id"}
	field := func(column int, fallback string) string {
		if d.records {
			return p.cols[column].name
		}
		name := identifier(p.cols[column].name, fallback)
		if slices.Contains(taken, name) || name == l.name {
			name = fallback
		}
		taken = append(taken, name)
		return name
	}
	if l.kind >= 0 {
		l.kindField = field(l.kind, "type")
		l.types = entryTypes(p, l.kind)
	}
	for i := range p.cols {
		if !p.isValue(i) || i == l.kind || p.stats[i].filled == 0 {
			continue
		}
		unique := !p.cols[i].decimals && p.stats[i].filled == p.read-p.unreadable && len(p.cols[i].distinct) == len(p.rows0)
		switch {
		case unique && hasWord(p.cols[i].words, "id", "no", "nr", "number", "ticket", "key") && l.id < 0 && len(p.rows0) > 1:
			l.id = i
		case p.cols[i].kind == kindText && l.detail < 0:
			l.detail, l.detailField = i, field(i, "detail")
		}
	}
	if d.records && p.cols[p.time].name != "timestamp" {
		l.time = p.cols[p.time].name
	}
	if p.log == fleet.MaintenanceLog {
		for _, typ := range l.types {
			if hasPart(wordsOf(typ), "unsched", "unplan", "corrective", "emergency", "reactive") {
				l.censors = append(l.censors, typ)
			}
		}
	}
	d.logbooks = append(d.logbooks, l)
}

// logDoubts says what stands oddly in the logs.
func (d *draft) logDoubts() {
	failure := false
	for i := range d.logbooks {
		l := &d.logbooks[i]
		add := func(format string, args ...any) {
			text := fmt.Sprintf(format, args...)
			l.notes = append(l.notes, text)
			d.doubt("logs."+l.name, "%s", text)
		}
		failure = failure || isFailure(l.p)
		d.entryDoubts(l, add)
		if isFailure(l.p) {
			d.failureDoubts(l, add)
		}
		if len(l.censors) > 0 {
			d.doubt("label", "maintenance of the type %s is taken as a repair that hid what would have happened: "+
				"rows before it train nothing (censors)", strings.Join(l.censors, ", "))
		}
	}
	for _, l := range d.logbooks {
		if strings.HasPrefix(l.p.log, fleet.FailureLog+"_") {
			d.doubt("logs."+l.name, "%s looks like failures too, but one log tells of them: join the files", l.p.name)
		}
	}
	switch {
	case failure:
	case len(d.logbooks) > 0:
		var names []string
		for _, l := range d.logbooks {
			names = append(names, l.name+" ("+l.p.name+")")
		}
		d.doubt("logs", "none is recognized as the log of failures: if one of %s is, name it failure", strings.Join(names, ", "))
	default:
		d.doubt("logs", "there is no log: failures are what is to be foretold, maintenance what changes the odds")
	}
}

// entryDoubts looks at the entries of any log.
func (d *draft) entryDoubts(l *logbook, add func(string, ...any)) {
	seen := map[entry]bool{}
	twice, early, late := 0, 0, 0
	for _, e := range l.p.entries {
		if seen[e] {
			twice++
		}
		seen[e] = true
		switch {
		case e.time < d.telemetry.first:
			early++
		case e.time > d.telemetry.last:
			late++
		}
	}
	if twice > 0 && l.id < 0 {
		add("%s of the same machine, time and type stand there twice: they count once", plural(twice, "row"))
	}
	if late > 0 {
		add("%s lie behind the last reading (%s)", plural(late, "row"), d.telemetry.last)
	}
	if early > 0 && isFailure(l.p) {
		add("%s lie before the first reading (%s): they teach nothing", plural(early, "row"), d.telemetry.first)
	}
	if l.kind >= 0 && l.types == nil {
		add("the types are not listed: there are many, or some rows have none")
	}
	mixed := 0
	for _, typ := range l.types {
		if logByWords(wordsOf(typ)) != "" && logByWords(wordsOf(typ)) != l.p.log {
			mixed++
		}
	}
	if mixed > 0 && !isFailure(l.p) && slices.ContainsFunc(l.types, func(typ string) bool {
		return logByWords(wordsOf(typ)) == fleet.FailureLog
	}) {
		add("its types mix failures with others (%s): save the failures as a file of their own", list(l.types))
	}
}

// failureDoubts looks for rows of the failure log that are no failures.
func (d *draft) failureDoubts(l *logbook, add func(string, ...any)) {
	var repairs []string
	for _, typ := range l.types {
		if hasPart(wordsOf(typ), "repair", "replac", "maint", "inspect", "service", "fixed", "preventive", "scheduled") {
			repairs = append(repairs, typ)
		}
	}
	if len(repairs) > 0 {
		n := 0
		for _, typ := range repairs {
			n += l.p.stats[l.kind].texts[typ]
		}
		add("%s of the type %s look like repairs, not failures: take them out of the file, for each counts as a failure",
			plural(n, "row"), strings.Join(repairs, ", "))
	}
	type at struct {
		machine string
		time    drumbeat.Time
	}
	for _, other := range d.logs {
		if other.log != fleet.MaintenanceLog {
			continue
		}
		repaired := map[at]bool{}
		for _, e := range other.entries {
			repaired[at{e.machine, e.time}] = true
		}
		n := 0
		for _, e := range l.p.entries {
			if repaired[at{e.machine, e.time}] {
				n++
			}
		}
		if n > 0 {
			add("%d of %d have a row in %s at the same time: that is the repair, known only then",
				n, len(l.p.entries), other.name)
		}
	}
}

// attribute is a proposed static attribute.
type attribute struct {
	name   string
	column int
	values []string // of a category; nil for a number
}

// findStatic makes attributes of the machines' own table.
func (d *draft) findStatic() {
	p := d.machines
	if p == nil {
		return
	}
	leave := func(i int, reason string) {
		d.out.LeftOut = append(d.out.LeftOut, LeftOut{p.name + ": " + p.cols[i].name, reason})
	}
	const maxAttributes, maxValues = 64, 50
	for i := range p.cols {
		c, st := &p.cols[i], &p.stats[i]
		if i == p.machine {
			continue
		}
		switch {
		case c.name == "", c.twice:
			leave(i, "has no name of its own")
		case st.filled == 0:
			leave(i, "is empty")
		case c.kind == kindTime:
			leave(i, "is a date: a number such as the age in months can be used")
		case leakName(c.words):
			leave(i, "is named like what is to be foretold")
		case c.kind == kindNumber && st.bad > 0:
			leave(i, fmt.Sprintf("has cells that are no numbers, such as %q", st.badText))
		case len(st.texts) == 1 && !st.over:
			leave(i, "is the same for all machines")
		case len(d.static) >= maxAttributes:
			leave(i, fmt.Sprintf("stands behind the first %d attributes", maxAttributes))
		case c.kind == kindNumber:
			d.static = append(d.static, attribute{name: d.newName(c.name, "attribute"), column: i})
		case st.over || len(st.texts) > maxValues || len(st.texts)*5 > len(p.order)*4 && len(st.texts) > 6,
			len(st.texts) == len(p.order) && hasWord(c.words, "serial", "id", "number", "name", "no", "nr"):
			leave(i, fmt.Sprintf("has a text of its own for nearly each machine (%d)", len(st.texts)))
		default:
			a := attribute{name: d.newName(c.name, "attribute"), column: i}
			for text := range st.texts {
				a.values = append(a.values, text)
			}
			slices.Sort(a.values)
			d.static = append(d.static, a)
		}
	}
}
