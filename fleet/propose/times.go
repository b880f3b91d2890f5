package propose

import (
	"bytes"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// timeFormat is a way to write times, as time_format names it.
type timeFormat struct {
	layout string // a Go layout, or fleet.FormatRFC3339, FormatUnix, FormatUnixMS
	zoned  bool   // each text says its zone
	date   bool   // a day without a time of day
	// other is the layout that reads day and month the other way round, "" if
	// they cannot be confused.
	other string
}

// formats returns the known ways to write a time, the more certain first.
func formats() []timeFormat {
	list := []timeFormat{
		{layout: fleet.FormatRFC3339, zoned: true},
		{layout: "2006-01-02 15:04:05Z07:00", zoned: true},
		{layout: "2006-01-02 15:04:05 Z07:00", zoned: true},
		{layout: "2006-01-02 15:04:05-0700", zoned: true},
		{layout: "2006-01-02 15:04:05 -0700", zoned: true},
		{layout: "2006-01-02T15:04:05-0700", zoned: true},
		{layout: "2006-01-02 15:04:05 UTC", zoned: true},
		{layout: "2006-01-02 15:04:05"},
		{layout: "2006-01-02T15:04:05"},
		{layout: "2006-01-02 15:04"},
		{layout: "2006-01-02T15:04"},
		{layout: "2006-01-02", date: true},
		{layout: "2006/01/02 15:04:05"},
		{layout: "2006/01/02 15:04"},
		{layout: "2006/01/02", date: true},
		{layout: "20060102150405"},
		{layout: "20060102T150405"},
		{layout: "20060102", date: true},
	}
	for _, clock := range []string{" 15:04:05", " 15:04", " 3:04:05 PM", " 3:04 PM", "T15:04:05", ""} {
		for _, year := range []string{"2006", "06"} {
			list = append(list,
				timeFormat{layout: "2.1." + year + clock, date: clock == ""}, // points are European
				timeFormat{layout: "2/1/" + year + clock, date: clock == "", other: "1/2/" + year + clock},
				timeFormat{layout: "2-1-" + year + clock, date: clock == "", other: "1-2-" + year + clock},
				timeFormat{layout: "2-Jan-" + year + clock, date: clock == ""},
				timeFormat{layout: "2 Jan " + year + clock, date: clock == ""},
				timeFormat{layout: "Jan 2, " + year + clock, date: clock == ""},
			)
		}
	}
	return list
}

// otherWay returns the format that reads day and month the other way round.
func (f timeFormat) otherWay() timeFormat { f.layout, f.other = f.other, f.layout; return f }

// years that machines' histories lie in; a number beyond them is no time.
const (
	earliestUnix = 631152000  // 1990
	latestUnix   = 2524608000 // 2050
)

// guessFormat returns the format that reads all but a few of the cells. hint
// says that the column's name speaks of time, without which a bare number is
// no time. day says that the cells themselves prove the order of day and
// month.
func guessFormat(cells [][]byte, hint bool) (f timeFormat, proven, ok bool) {
	if len(cells) == 0 {
		return f, false, false
	}
	enough := len(cells) - len(cells)/20
	if hint {
		for _, unix := range []timeFormat{
			{layout: fleet.FormatUnix, zoned: true}, {layout: fleet.FormatUnixMS, zoned: true},
		} {
			if readable(unix, cells) >= enough {
				return unix, true, true
			}
		}
	}
	for _, f := range formats() {
		if !hint && !strings.ContainsAny(f.layout, "-/:.,") && f.layout != fleet.FormatRFC3339 {
			continue // digits alone
		}
		n := readable(f, cells)
		if f.other == "" {
			if n >= enough {
				return f, true, true
			}
			continue
		}
		swapped := readable(f.otherWay(), cells)
		switch {
		case n < enough && swapped < enough:
		case swapped > n:
			return f.otherWay(), true, true
		default:
			return f, n > swapped, true
		}
	}
	return f, false, false
}

func readable(f timeFormat, cells [][]byte) int {
	c := clock{format: f}
	n, wrong := 0, 0
	for _, cell := range cells {
		if _, ok := c.read(cell); ok {
			n++
		} else if wrong++; wrong > len(cells)/20 && f.other == "" {
			break
		}
	}
	return n
}

// clock reads the times of one column. Neighbouring rows often have the same
// time, and most of a day's share its date.
type clock struct {
	format timeFormat
	text   []byte
	time   drumbeat.Time
	ok     bool
	day    []byte // the first ten bytes of the last text
	start  drumbeat.Time
}

func (c *clock) read(cell []byte) (drumbeat.Time, bool) {
	if len(cell) > 0 && bytes.Equal(cell, c.text) {
		return c.time, c.ok
	}
	c.time, c.ok = c.parse(cell)
	c.text = append(c.text[:0], cell...)
	return c.time, c.ok
}

func (c *clock) parse(cell []byte) (drumbeat.Time, bool) {
	switch c.format.layout {
	case fleet.FormatUnix, fleet.FormatUnixMS:
		return unixTime(cell, c.format.layout == fleet.FormatUnixMS)
	case fleet.FormatRFC3339:
		if len(cell) < 11 || cell[10] == ' ' {
			return 0, false
		}
		if t, ok := c.fast(cell, true); ok {
			return t, true
		}
		return fleet.ParseTime(string(cell))
	case time.DateTime, "2006-01-02T15:04:05":
		if len(cell) < 11 || cell[10] != c.format.layout[10] {
			return 0, false
		}
		if t, ok := c.fast(cell, false); ok {
			return t, true
		}
	}
	if len(cell) > 64 {
		return 0, false
	}
	t, err := time.Parse(c.format.layout, string(cell))
	if err != nil || t.Year() < 1900 || t.Year() > 9999 {
		return 0, false
	}
	return drumbeat.Time(t.UnixMicro()), true
}

// fast reads 2006-01-02 15:04:05 with any fraction, and a Z if zoned, on the
// day that was read last; it leaves every other text to package time.
func (c *clock) fast(cell []byte, zoned bool) (drumbeat.Time, bool) {
	const day, second = len("2006-01-02"), len("2006-01-02 15:04:05")
	if string(cell[:4]) < "1900" {
		return 0, false
	}
	if zoned {
		if cell[len(cell)-1] != 'Z' || cell[day] != 'T' {
			return 0, false
		}
		cell = cell[:len(cell)-1]
	}
	if len(cell) < second || cell[13] != ':' || cell[16] != ':' {
		return 0, false
	}
	if !bytes.Equal(c.day, cell[:day]) {
		t, err := time.Parse(time.DateOnly, string(cell[:day]))
		if err != nil {
			return 0, false
		}
		c.day, c.start = append(c.day[:0], cell[:day]...), drumbeat.Time(t.UnixMicro())
	}
	hour, minute, sec := two(cell[11:]), two(cell[14:]), two(cell[17:])
	if hour > 23 || minute > 59 || sec > 59 {
		return 0, false
	}
	t := c.start + drumbeat.Time((hour*3600+minute*60+sec)*1_000_000)
	if len(cell) == second {
		return t, true
	}
	if cell[second] != '.' || len(cell) == second+1 {
		return 0, false
	}
	unit := 100_000
	for _, digit := range cell[second+1:] {
		if digit-'0' > 9 {
			return 0, false
		}
		t += drumbeat.Time(int(digit-'0') * unit)
		unit /= 10
	}
	return t, true
}

// two reads two digits; what is none is too large for any clock.
func two(cell []byte) int {
	const wrong = 99
	if cell[0]-'0' > 9 || cell[1]-'0' > 9 {
		return wrong
	}
	return int(cell[0]-'0')*10 + int(cell[1]-'0')
}

func unixTime(cell []byte, milliseconds bool) (drumbeat.Time, bool) {
	n, ok := parseNumber(cell)
	if !ok || n.comma {
		return 0, false
	}
	decimals, unit := 6, 1.0
	if milliseconds {
		decimals, unit = 3, 1000
	}
	if n.value < earliestUnix*unit || n.value > latestUnix*unit {
		return 0, false
	}
	x, ok := fleet.Scale(string(cell), decimals)
	return drumbeat.Time(x), ok
}
