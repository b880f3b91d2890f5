package fleet

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// FileName is the file that declares a fleet, in the fleet's folder.
const FileName = "fleet.yaml"

// Limits of a fleet file. A washer has 6 sensors, a press line some 60; a
// table of thousands of columns would want another design.
const (
	maxSensors    = 200
	maxAttributes = 64
	maxLogs       = 32
	maxWords      = 1000 // categories of an attribute, types of a log
	tenYears      = 3653 * strict.Day
)

// FailureLog and MaintenanceLog name the two logs whose meaning the rules
// know (L1, L2, A1).
const (
	FailureLog     = "failure"
	MaintenanceLog = "maintenance"
)

// Load reads fleet.yaml in dir of fsys. A file that is wrong is an error of
// type strict.Faults, which holds every fault in it.
func Load(fsys fs.FS, dir string) (*Fleet, error) {
	file, err := strict.Open(fsys, path.Join(dir, FileName))
	if err != nil {
		return nil, err
	}
	l := loader{lines: map[string]int{}}
	l.load(file.Root())
	if err := file.Err(); err != nil {
		return nil, err
	}
	return &l.fleet, nil
}

// loader reads one fleet file.
type loader struct {
	fleet Fleet
	lines map[string]int // where each sensor, attribute and log got its name
}

func (l *loader) load(root strict.Value) {
	f, m := &l.fleet, root.Map()
	f.Name = drumbeat.FleetName(m.Need("fleet").Name("", "-"))
	f.Title = m.Get("title").Text(string(f.Name))
	f.Cadence = m.Need("cadence").Duration(time.Hour, time.Second, 31*strict.Day)
	f.Lateness = m.Get("allowed_lateness").Duration(24*time.Hour, 0, 366*strict.Day)
	f.TrainGrid = m.Get("train_grid").Duration(max(time.Hour, f.Cadence), time.Second, 366*strict.Day)
	f.MaxReadings = m.Get("max_readings_per_window").Int(0, 1, 1e9)
	f.Clock = ClockKind(m.Get("clock").OneOf(int(ClockData), "data", "wall")) //nolint:gosec // 0 or 1
	f.FailureIsTerminal = m.Get("failure_is_terminal").Bool(false)
	l.sensors(m.Need("sensors"))
	l.static(m.Get("static"))
	l.logs(m.Get("logs"))
	l.running(m.Get("running"))
	l.completeness(m.Get("failure_log"), m.Get("complete_to"))
	l.label(m.Get("label"))
	l.policy(m.Get("policy"))
	l.split(m.Get("split"))
	l.train(m.Get("train"))
	l.retention(m.Get("retention"))
	if v := m.Get("import"); v.Exists() {
		l.imports(v)
	}
	m.Close()
}

// name reads the name of a sensor, attribute or log: one name space, for
// features say `of: name` and mean one of the three.
func (l *loader) name(v strict.Value) string {
	name := v.Name("", "_")
	if name == "" {
		return ""
	}
	if line, taken := l.lines[name]; taken {
		v.Faultf("the name %q is taken at line %d", name, line)
		return name
	}
	l.lines[name] = v.Line()
	return name
}

func (l *loader) static(v strict.Value) {
	for _, element := range v.List(maxAttributes) {
		m := element.Map()
		a := Attribute{Name: l.name(m.Need("name"))}
		a.Type = AttributeType(m.Need("type").OneOf(0, "category", "number")) //nolint:gosec // 0 or 1
		values := m.Get("values")
		a.Values = values.Texts(maxWords)
		switch {
		case a.Type == Number && values.Exists():
			values.Faultf("a number has no values")
		case values.Exists() && len(a.Values) == 0:
			values.Faultf("must list at least one category")
		}
		if slices.Contains([]string{"machine_id", "timestamp"}, a.Name) {
			m.Get("name").Faultf("%q means something else in payloads", a.Name)
		}
		m.Close()
		l.fleet.Static = append(l.fleet.Static, a)
	}
}

func (l *loader) logs(v strict.Value) {
	pairs := v.Map().Rest()
	if len(pairs) > maxLogs {
		v.Faultf("must be at most %d logs (got %d)", maxLogs, len(pairs))
		return
	}
	for _, pair := range pairs {
		m := pair.Value.Map()
		log := Log{
			Name:   l.name(pair.Key),
			Time:   m.Get("time").Text("timestamp"),
			Type:   m.Get("type").Text(""),
			Detail: m.Get("detail").Text(""),
			ID:     m.Get("id").Text(""),
			Types:  m.Get("types").Texts(maxWords),
		}
		m.Close()
		if slices.Contains([]string{TypeReading, TypeMachine, TypeWatermark}, log.Name) {
			pair.Key.Faultf("%q is a record type of its own: name the log otherwise", log.Name)
		}
		if log.Type == "" && len(log.Types) > 0 {
			pair.Value.Faultf("types are listed, but no field holds the type: add type")
		}
		fields := map[string]string{"machine_id": "the machine", "revision": "the revision", "withdrawn": "the withdrawal"}
		for _, field := range []struct{ key, name string }{
			{"time", log.Time}, {"type", log.Type}, {"detail", log.Detail}, {"id", log.ID},
		} {
			if other, taken := fields[field.name]; taken && field.name != "" {
				m.Get(field.key).Faultf("the field %q already holds %s", field.name, other)
			}
			fields[field.name] = "the " + field.key
		}
		l.fleet.Logs = append(l.fleet.Logs, log)
	}
}

// completeness reads `failure_log: continuous`, `failure_log: {complete_to: DATE}`
// or `complete_to: DATE` (L2).
func (l *loader) completeness(v, to strict.Value) {
	c := &l.fleet.FailureLog
	if (v.Exists() || to.Exists()) && len(l.lines) > 0 && l.fleet.LogNamed(FailureLog) == nil {
		first := v
		if !v.Exists() {
			first = to
		}
		first.Faultf("there is no log named %s under logs", FailureLog)
	}
	switch {
	case v.Exists() && to.Exists():
		to.Faultf("failure_log says it already: write one of the two")
	case to.Exists():
		c.Kind, c.To = CompleteTo, to.Time(drumbeat.NoTime)
	case v.Raw() == "continuous":
		c.Kind = CompleteContinuous
	case v.Raw() != "":
		v.Faultf("must be continuous or {complete_to: 2016-01-31} (got %q)%s",
			v.Raw(), strict.Suggest(v.Raw(), []string{"continuous"}))
	case v.Exists():
		m := v.Map()
		c.Kind, c.To = CompleteTo, m.Need("complete_to").Time(drumbeat.NoTime)
		m.Close()
	}
}

// titleOf makes words of a name: vibration_hz becomes "vibration", for the
// unit is said beside it.
func titleOf(name, unit string) string {
	words := strings.Split(name, "_")
	if last := len(words) - 1; last > 0 && unitWord(unit) == words[last] {
		words = words[:last]
	}
	return strings.Join(words, " ")
}

func unitWord(unit string) string {
	switch unit {
	case "°C":
		return "c"
	case "°F":
		return "f"
	case "%":
		return "percent"
	case "h":
		return "hours"
	}
	return strings.ToLower(unit)
}
