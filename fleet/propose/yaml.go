package propose

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// write makes the files, and leaves features out until they load.
func (d *draft) write(minHistory time.Duration) error {
	d.out.fleetYAML = d.fleetFile()
	if _, err := fleet.Load(d.out.FS(), "."); err != nil {
		return fmt.Errorf("load the proposed fleet: %w", err)
	}
	var last error
	for _, how := range leaner() {
		d.out.featuresYAML = d.features(minHistory, how)
		if d.opts.Fits == nil {
			return nil
		}
		if last = d.opts.Fits(d.out.FS()); last == nil {
			if how.level > 0 {
				d.doubt("features", "a machine's record would pass its bound (S1), so fewer windows are proposed")
			}
			return nil
		}
	}
	return fmt.Errorf("load the proposed features: %w", last)
}

// page is a YAML file in the making.
type page struct{ text strings.Builder }

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(&p.text, format, args...)
	p.text.WriteByte('\n')
}

// comment writes a text as comment lines of at most 110 columns.
func (p *page) comment(indent, text string) {
	const width = 110
	line := indent + "#"
	for word := range strings.FieldsSeq(printable(text)) {
		if len(line)+1+len(word) > width && len(line) > len(indent)+1 {
			p.line("%s", line)
			line = indent + "#  "
		}
		line += " " + word
	}
	p.line("%s", line)
}

// printable drops what would end a comment or confuse a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// doubts writes the doubts about a place.
func (p *page) doubts(d *draft, indent string, places ...string) {
	for _, doubt := range d.out.Doubts {
		if slices.Contains(places, doubt.Place) {
			p.comment(indent, "doubt: "+doubt.Text)
		}
	}
}

// fleetFile writes fleet.yaml.
func (d *draft) fleetFile() []byte {
	p := &page{}
	d.head(p)
	p.line("fleet: %s", d.out.Fleet)
	p.doubts(d, "", "cadence")
	p.line("cadence: %s", strict.FormatDuration(d.cadence))
	p.line("allowed_lateness: %s   # how late a reading may come and still count: ask who sends them",
		strict.FormatDuration(max(24*time.Hour, 2*d.knownFor)))
	d.sensorLines(p)
	d.staticLines(p)
	d.logLines(p)
	d.policyLines(p)
	if !d.records {
		d.importLines(p)
	}
	return []byte(p.text.String())
}

// head says what was found, and what does not belong to a line below.
func (d *draft) head(p *page) {
	r := &d.out.Readiness
	p.comment("", "Proposed by `drumbeat init` from real data. Lines that begin with doubt: are for you to decide.")
	p.comment("", "Can these data foretell failures? "+r.Sentence)
	p.comment("", fmt.Sprintf("%d machines, %.0f days; %d failures of %d machines in that time, %.2f a machine and year.",
		r.Machines, r.Days, r.FailuresSeen, r.MachinesFailed, r.PerMachineYear))
	places := []string{"files", "static", "features"}
	for _, s := range d.sheets {
		places = append(places, s.name)
	}
	for _, doubt := range d.out.Doubts {
		if slices.Contains(places, doubt.Place) && doubt.Place != "static" {
			p.comment("", "doubt: "+doubt.Place+" "+doubt.Text)
		}
	}
}

func (d *draft) sensorLines(p *page) {
	p.doubts(d, "", "sensors")
	p.line("sensors:")
	wide := 0
	for i := range d.sensors {
		wide = max(wide, len(d.sensors[i].name))
	}
	for i := range d.sensors {
		s := &d.sensors[i]
		for _, doubt := range s.doubts {
			p.comment("  ", "doubt: "+doubt)
		}
		unit, kind := "", "gauge"
		if s.unit != "" {
			unit = "unit: " + scalar(s.unit) + ", "
		}
		if s.counter {
			kind = "counter"
		}
		field := ""
		if column := d.telemetry.cols[s.column].name; d.records && column != s.name {
			field = "field: " + scalar(column) + ", "
		}
		p.line("  - {name: %s,%s %s%skind: %s, min: %s, max: %s, decimals: %d}   # doubt: %s", s.name,
			strings.Repeat(" ", wide-len(s.name)), field, unit, kind, format(s.min, s.decimals), format(s.max, s.decimals), s.decimals, s.note)
	}
	for _, out := range d.out.LeftOut {
		p.comment("  ", fmt.Sprintf("left out: %s %s", out.Column, out.Reason))
	}
	switch {
	case d.running == "":
	case d.active:
		p.line("running: %s   # doubt: machines fall silent behind a reading that does not satisfy it", d.running)
		d.doubt("running", "%s: machines fall silent behind a reading that does not satisfy it", d.running)
	default:
		p.line("# running: %s   # doubt: the values lie in two groups, on and off; uncomment it if machines that are off send nothing", d.running)
		d.doubt("running", "%s is proposed as a comment: the values lie in two groups, on and off", d.running)
	}
}

func (d *draft) staticLines(p *page) {
	p.doubts(d, "", "static")
	if len(d.static) == 0 {
		return
	}
	p.line("static:")
	for _, a := range d.static {
		if a.values == nil {
			p.line("  - {name: %s, type: number}", a.name)
			continue
		}
		p.line("  - {name: %s, type: category, values: %s}", a.name, scalars(a.values))
	}
}

func (d *draft) logLines(p *page) {
	p.doubts(d, "", "logs")
	if len(d.logbooks) == 0 {
		return
	}
	p.line("logs:")
	for i := range d.logbooks {
		l := &d.logbooks[i]
		for _, note := range l.notes {
			p.comment("  ", "doubt: "+note)
		}
		var parts []string
		add := func(key, value string) {
			if value != "" {
				parts = append(parts, key+": "+scalar(value))
			}
		}
		add("time", l.time)
		add("type", l.kindField)
		add("detail", l.detailField)
		if d.records && l.id >= 0 {
			add("id", l.p.cols[l.id].name)
		}
		if len(l.types) > 0 {
			parts = append(parts, "types: "+scalars(l.types))
		}
		p.line("  %s: {%s}", l.name, strings.Join(parts, ", "))
	}
}

func (d *draft) policyLines(p *page) {
	p.line("failure_is_terminal: false   # machines are repaired and go on")
	if slices.ContainsFunc(d.logbooks, func(l logbook) bool { return l.name == fleet.FailureLog }) {
		p.doubts(d, "", "failure_log")
		until := "the end of the data"
		if d.complete < d.telemetry.last {
			until = "the last failure"
		}
		p.line("failure_log: {complete_to: %s}   # %s: a machine without an entry until then did not fail",
			d.complete.Std().Format(time.RFC3339), until)
	}
	p.line("clock: data")
	p.doubts(d, "", "label")
	var censors []string
	for i := range d.logbooks {
		if d.logbooks[i].name == fleet.MaintenanceLog {
			censors = append(censors, d.logbooks[i].censors...)
		}
	}
	hidden := ""
	if len(censors) > 0 {
		hidden = ", censors: " + scalars(censors)
	}
	p.line("label: {horizon: %s, reporting_lag: 24h, down_max: 24h%s}", strict.FormatDuration(d.horizon), hidden)
	grid, rows := d.trainGrid()
	p.line("train_grid: %s   # one training row a machine in that time: about %d", strict.FormatDuration(grid), rows)
	lead := ""
	if d.horizon <= time.Hour {
		lead = ", min_lead: 0"
	}
	p.line("policy: {threshold: 0.45, recall_target: 0.99, min_failures: %d%s}   # see what they cost in the first report", needTest, lead)
}

// trainGrid returns how far apart training rows of a machine stand: an hour,
// or more where that makes more rows than a first model needs.
func (d *draft) trainGrid() (grid time.Duration, rows int64) {
	const enough = 250_000
	for _, grid = range []time.Duration{time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour, 12 * time.Hour, strict.Day} {
		grid, rows = max(grid, d.cadence), 0
		for _, m := range d.telemetry.order {
			active := min(time.Duration(m.days.count)*max(strict.Day, d.cadence), m.last.Sub(m.first)+d.cadence)
			rows += min(int64(m.rows), int64(active/grid))
		}
		if rows <= enough {
			break
		}
	}
	return grid, rows
}

func (d *draft) importLines(p *page) {
	p.doubts(d, "", "import")
	p.line("import:")
	p.doubts(d, "  ", "import.telemetry")
	t := d.telemetry
	p.line("  telemetry:")
	p.line("    file: %s", scalar(t.name))
	p.line("    machine: %s", scalar(t.cols[t.machine].name))
	p.line("    time: %s", scalar(t.cols[t.time].name))
	p.line("    time_format: %s", scalar(t.cols[t.time].format.layout))
	if d.knownFor > 0 {
		p.line("    known_after: %s   # %s", strict.FormatDuration(d.knownFor), d.knownWhy)
	}
	var columns []string
	for i := range d.sensors {
		columns = append(columns, mapped(d.sensors[i].name, t.cols[d.sensors[i].column].name)...)
	}
	if len(columns) > 0 {
		p.line("    columns: {%s}", strings.Join(columns, ", "))
	}
	if m := d.machines; m != nil {
		var columns []string
		for _, a := range d.static {
			columns = append(columns, mapped(a.name, m.cols[a.column].name)...)
		}
		p.line("  machines: {file: %s, machine: %s%s}", scalar(m.name), scalar(m.cols[m.machine].name), braces(columns))
	}
	if len(d.logbooks) == 0 {
		return
	}
	p.line("  logs:")
	for i := range d.logbooks {
		l := &d.logbooks[i]
		var columns []string
		for _, c := range []struct {
			key    string
			column int
		}{{"type", l.kind}, {"detail", l.detail}, {"id", l.id}} {
			if c.column >= 0 {
				columns = append(columns, c.key+": "+scalar(l.p.cols[c.column].name))
			}
		}
		at := &l.p.cols[l.p.time]
		p.line("    %s: {file: %s, machine: %s, time: %s, time_format: %s%s}", l.name, scalar(l.p.name),
			scalar(l.p.cols[l.p.machine].name), scalar(at.name), scalar(at.format.layout), braces(columns))
	}
}

// mapped maps a name to a column, if they differ.
func mapped(name, column string) []string {
	if name == column {
		return nil
	}
	return []string{name + ": " + scalar(column)}
}

func braces(columns []string) string {
	if len(columns) == 0 {
		return ""
	}
	return ", columns: {" + strings.Join(columns, ", ") + "}"
}

// scalar writes a text as YAML reads it back: in quotes, unless it is a plain
// word.
func scalar(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == ""
	letter := plain && (text[0] >= 'a' && text[0] <= 'z' || text[0] >= 'A' && text[0] <= 'Z')
	words := []string{"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
	if letter && !slices.Contains(words, strings.ToLower(text)) {
		return text
	}
	quoted, err := json.Marshal(text)
	if err != nil { // it has none for texts
		return `""`
	}
	return string(quoted)
}

func scalars(texts []string) string {
	out := make([]string, len(texts))
	for i, text := range texts {
		out[i] = scalar(text)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
