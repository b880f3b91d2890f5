// Package monitor watches what a model lives from and what comes of it: drift
// of sensors, features and predictions against the days that the champion was
// trained on, live recall, and challengers that score in the champion's
// shadow. Its reports are data for people and for JSON; a [Trigger] asks for a
// retraining (M3, M4). It reads tables and computes; it starts nothing.
package monitor

import (
	"drumbeat"
	"drumbeat/label"
)

// Number is a figure of a report; NaN is null in JSON (V3).
type Number = label.Number

// dayLength is a UTC day in the unit of drumbeat.Time.
const dayLength = drumbeat.Time(24 * 60 * 60 * 1_000_000)

// dayOf counts UTC days since 1970.
func dayOf(t drumbeat.Time) int64 {
	day := int64(t / dayLength)
	if t%dayLength < 0 {
		day--
	}
	return day
}

// startOf returns when a day begins.
func startOf(day int64) drumbeat.Time { return drumbeat.Time(day) * dayLength }
