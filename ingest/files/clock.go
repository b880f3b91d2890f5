package files

import (
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// clock reads the times of one source.
type clock struct {
	format string
	zone   *time.Location
}

func newClock(s fleet.Source) (clock, error) {
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return clock{}, fmt.Errorf("load zone %q of %s: %w", s.Zone, s.File, drumbeat.ErrInvalid)
	}
	return clock{format: s.TimeFormat, zone: zone}, nil
}

// read reads a time to the microsecond. A local time that a change of clocks
// makes ambiguous is the earlier or the later, as package time decides.
func (c clock) read(cell string) (drumbeat.Time, bool) {
	switch c.format {
	case fleet.FormatUnix:
		return unix(cell, 6)
	case fleet.FormatUnixMS:
		return unix(cell, 3)
	case "", fleet.FormatRFC3339:
		// With a zone of its own a text of local time is not UTC.
		if c.format == "" && c.zone != time.UTC && len(cell) > 10 && cell[10] == ' ' {
			return c.layout(time.DateTime, cell)
		}
		return fleet.ParseTime(cell)
	}
	return c.layout(c.format, cell)
}

func (c clock) layout(layout, cell string) (drumbeat.Time, bool) {
	t, err := time.ParseInLocation(layout, cell, c.zone)
	if err != nil || t.UTC().Year() < 1 || t.UTC().Year() > 9999 {
		return 0, false
	}
	return drumbeat.Time(t.UnixMicro()), true
}

// unix reads a number of which a unit has so many decimals down to the
// microsecond.
func unix(cell string, decimals int) (drumbeat.Time, bool) {
	const year9999 = 253402300800_000_000
	x, ok := fleet.Scale(cell, decimals)
	return drumbeat.Time(x), ok && x > -year9999/4 && x < year9999
}

// want describes the times that the clock reads.
func (c clock) want() string {
	switch c.format {
	case fleet.FormatUnix:
		return "seconds since 1970"
	case fleet.FormatUnixMS:
		return "milliseconds since 1970"
	case "":
		return "a time such as 2026-01-31T06:00:00Z or 2026-01-31 06:00:00"
	case fleet.FormatRFC3339:
		return "a time such as 2026-01-31T06:00:00Z"
	}
	return "a time such as " + time.Date(2026, 1, 31, 6, 0, 0, 0, c.zone).Format(c.format)
}
