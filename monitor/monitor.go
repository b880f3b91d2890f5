// Package monitor watches what a model lives from and what comes of it: drift
// of sensors, features and predictions against the days that the champion was
// trained on, live recall, and challengers that score in the champion's
// shadow. Its reports are data for people and for JSON; a [Trigger] asks for a
// retraining (M3, M4). It reads tables and computes; it starts nothing.
package monitor

import (
	"encoding/json"
	"math"
	"strconv"

	"drumbeat"
)

// Number is a figure of a report; what cannot be estimated is NaN, which JSON
// carries as null (V3).
type Number float64

// MarshalJSON writes null for NaN and infinities.
func (n Number) MarshalJSON() ([]byte, error) {
	if v := float64(n); math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 64), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (n *Number) UnmarshalJSON(text []byte) error {
	*n = Number(math.NaN())
	if string(text) == "null" {
		return nil
	}
	return json.Unmarshal(text, (*float64)(n))
}

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
