package fleet

import "time"

// Import says which file holds which log and which column is which, so that
// another fleet's CSV needs no code. Paths are relative to the folder that
// the person names.
type Import struct {
	Telemetry Source
	Machines  *Source
	Logs      map[string]Source // by log name
}

// Source is one CSV file, plain or gzipped by its name.
type Source struct {
	File       string
	Machine    string // column of the machine's id
	Time       string // column of the event time
	TimeFormat string // Go layout, or rfc3339, unix, unix_ms
	Zone       string // IANA zone of times that have none; UTC if absent
	// KnownAfter is how long after its event time a row was known (T7).
	KnownAfter time.Duration
	// KnownAt is the column of the time at which a row was known, "" if
	// KnownAfter says it.
	KnownAt string
	// Columns maps our names (sensors, attributes, type, detail, id) to the
	// file's columns; a name that is missing stands for itself.
	Columns map[string]string
}
