package fleet

import (
	"slices"
	"time"

	// Zones by name, on machines that have none.
	_ "time/tzdata"

	"drumbeat/fleet/strict"
)

// imports reads which files hold what.
func (l *loader) imports(v strict.Value) {
	m := v.Map()
	in := &Import{Logs: map[string]Source{}}
	var sensors []string
	for i := range l.fleet.Sensors {
		if name := l.fleet.Sensors[i].Name; name != "" && !slices.Contains(sensors, name) {
			sensors = append(sensors, name)
		}
	}
	if telemetry := m.Need("telemetry"); telemetry.Exists() {
		in.Telemetry, _ = source(telemetry, "timestamp", sensors)
	}
	if machines := m.Get("machines"); machines.Exists() {
		var attributes []string
		for i := range l.fleet.Static {
			attributes = append(attributes, l.fleet.Static[i].Name)
		}
		s, _ := source(machines, "", attributes)
		in.Machines = &s
	}
	logs := m.Get("logs")
	for _, pair := range logs.Map().Rest() {
		name := pair.Key.Text("")
		log := l.fleet.LogNamed(name)
		if log == nil {
			var known []string
			for i := range l.fleet.Logs {
				known = append(known, l.fleet.Logs[i].Name)
			}
			pair.Key.Faultf("there is no log named %q under logs%s", name, strict.Suggest(name, known))
			continue
		}
		in.Logs[name] = l.logSource(pair.Value, log)
	}
	m.Close()
	l.fleet.Import = in
}

// logSource reads a log's source; its columns default to the log's own fields.
func (l *loader) logSource(v strict.Value, log *Log) Source {
	s, columns := source(v, log.Time, []string{"type", "detail", "id", "revision", "withdrawn"})
	for _, field := range []struct{ key, name string }{
		{"type", log.Type}, {"detail", log.Detail},
	} {
		if column := columns.Get(field.key); column.Exists() && field.name == "" {
			column.Faultf("the log %s declares no %s: add %s to it", log.Name, field.key, field.key)
		}
		if _, said := s.Columns[field.key]; !said && field.name != "" {
			s.Columns[field.key] = field.name
		}
	}
	if _, said := s.Columns["id"]; !said && log.ID != "" {
		s.Columns["id"] = log.ID
	}
	return s
}

// source reads what all sources share; names are those that columns may map.
// Without a default for the time column the rows have no times.
func source(v strict.Value, timeColumn string, names []string) (Source, *strict.Map) {
	m := v.Map()
	s := Source{
		File:       m.Need("file").Text(""),
		Machine:    m.Get("machine").Text("machine_id"),
		Time:       m.Get("time").Text(timeColumn),
		TimeFormat: m.Get("time_format").Text(""),
		Zone:       m.Get("zone").Text("UTC"),
		KnownAfter: m.Get("known_after").Duration(0, 0, tenYears),
		KnownAt:    m.Get("known_at").Text(""),
		Columns:    map[string]string{},
	}
	if timeColumn == "" {
		for _, key := range []string{"time", "time_format", "zone", "known_after", "known_at"} {
			if key := m.Get(key); key.Exists() {
				key.Faultf("machines have no time: they are known before everything else")
			}
		}
	}
	if known := m.Get("known_after"); known.Exists() && s.KnownAt != "" {
		known.Faultf("known_at says it already: write one of the two")
	}
	if format := m.Get("time_format"); format.Exists() && !validFormat(s.TimeFormat) {
		format.Faultf("must be rfc3339, unix, unix_ms or a Go layout such as 2006-01-02 15:04:05 (got %q)", s.TimeFormat)
	}
	if zone := m.Get("zone"); zone.Exists() {
		if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
			zone.Faultf("must be a zone such as UTC or Europe/Berlin (got %q)", s.Zone)
		}
	}
	columns := m.Get("columns").Map()
	for _, pair := range columns.Rest() {
		name := pair.Key.Text("")
		if !slices.Contains(names, name) {
			pair.Key.Faultf("unknown name %q%s", name, strict.Suggest(name, names))
			continue
		}
		if column := pair.Value.Text(""); column != "" {
			s.Columns[name] = column
		}
	}
	m.Close()
	return s, columns
}

// The time formats that are no Go layouts.
const (
	FormatRFC3339 = "rfc3339"
	FormatUnix    = "unix"
	FormatUnixMS  = "unix_ms"
)

// validFormat tries a layout on a day that no two of its parts confuse.
func validFormat(format string) bool {
	switch format {
	case FormatRFC3339, FormatUnix, FormatUnixMS:
		return true
	}
	want := time.Date(2019, 11, 23, 17, 48, 52, 0, time.UTC)
	got, err := time.Parse(format, want.Format(format))
	return err == nil && got.Truncate(strict.Day).Equal(want.Truncate(strict.Day))
}
