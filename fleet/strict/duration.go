package strict

import (
	"fmt"
	"math"
	"strings"
	"time"

	"drumbeat"
)

// Day is 24 hours: time here is UTC, whose days are all alike.
const Day = 24 * time.Hour

//nolint:gochecknoglobals // a constant table
var units = []struct {
	name string
	size time.Duration
}{
	{"ms", time.Millisecond}, // before m and s
	{"s", time.Second},
	{"m", time.Minute},
	{"h", time.Hour},
	{"d", Day},
	{"w", 7 * Day},
}

// ParseDuration reads whole numbers with units: 15m, 24h, 7d, 1d12h, and 0.
func ParseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	wrong := func() error {
		return fmt.Errorf("read duration %q: want a whole number and a unit (ms, s, m, h, d, w) such as 15m or 7d: %w",
			text, drumbeat.ErrInvalid)
	}
	var total time.Duration
	rest := text
	for rest != "" {
		digits := 0
		var n int64
		for digits < len(rest) && rest[digits] >= '0' && rest[digits] <= '9' {
			if n > math.MaxInt64/100 {
				return 0, wrong()
			}
			n = n*10 + int64(rest[digits]-'0')
			digits++
		}
		rest = rest[digits:]
		size := time.Duration(0)
		for _, unit := range units {
			if after, ok := strings.CutPrefix(rest, unit.name); ok {
				size, rest = unit.size, after
				break
			}
		}
		if digits == 0 || size == 0 || n > int64((math.MaxInt64-total)/size) {
			return 0, wrong()
		}
		total += time.Duration(n) * size
	}
	if text == "" {
		return 0, wrong()
	}
	return total, nil
}

// FormatDuration writes d in the largest unit that divides it, as
// ParseDuration reads it: 7d, 15m, 90s; days before weeks.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	for i := len(units) - 2; i >= 0; i-- {
		if d%units[i].size == 0 && (i != 0 || d%time.Second != 0) {
			return fmt.Sprintf("%d%s", d/units[i].size, units[i].name)
		}
	}
	return d.String()
}

// Duration reads a duration from least to most, both included.
func (v Value) Duration(def, least, most time.Duration) time.Duration {
	if v.node == nil {
		return def
	}
	var d time.Duration
	ok := v.scalar("!!str") || v.scalar("!!int") && v.node.Value == "0"
	if ok {
		var err error
		d, err = ParseDuration(v.node.Value)
		ok = err == nil
	}
	if !ok {
		v.wrong("a duration such as 15m, 24h or 7d")
		return def
	}
	if d < least || d > most {
		v.wrong("a duration from " + FormatDuration(least) + " to " + FormatDuration(most))
		return def
	}
	return d
}

// Time reads a date (its first instant, UTC) or an RFC 3339 time.
func (v Value) Time(def drumbeat.Time) drumbeat.Time {
	if v.node == nil {
		return def
	}
	if v.scalar("!!str", "!!timestamp") {
		for _, layout := range []string{time.DateOnly, time.RFC3339Nano, time.DateTime} {
			if t, err := time.Parse(layout, v.node.Value); err == nil && t.Year() >= 1 {
				return drumbeat.At(t)
			}
		}
	}
	v.wrong("a date such as 2016-01-31 or a time such as 2016-01-31T06:00:00Z")
	return def
}
