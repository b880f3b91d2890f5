package feature

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"drumbeat/fleet"
)

// title writes what f is for a person: "vibration, mean of 7 days".
func title(v *View, f *Feature) string {
	switch {
	case f.Agg == AggExpr:
		return plain(f.Name)
	case f.Agg.OfSensor():
		return fmt.Sprintf("%s, "+sensorTitles[f.Agg], sensorTitle(&v.Fleet.Sensors[f.Sensor]), days(f.Window))
	case f.Agg.OfLog():
		entry := plain(f.Of)
		if f.Type != "" {
			entry = plain(f.Type) + " (" + entry + ")"
		}
		switch f.Agg { //nolint:exhaustive // the three of a log
		case AggAge:
			return "time since the last " + entry
		case AggEvents:
			return fmt.Sprintf("%s, entries in %s", entry, days(f.Window))
		default:
			return fmt.Sprintf("%s, mean time between entries in %s", entry, days(f.Window))
		}
	case f.Agg == AggOneHot:
		return plain(f.Of) + " is " + plain(f.Category)
	case f.Agg == AggBins:
		return plain(f.Name)
	}
	return plain(f.Of)
}

//nolint:gochecknoglobals // a constant table
var sensorTitles = [...]string{
	AggCount: "readings in %s", AggMean: "mean of %s", AggStd: "spread over %s",
	AggMin: "lowest of %s", AggMax: "highest of %s", AggSum: "sum of %s",
	AggFirst: "first of %s", AggLast: "latest within %s", AggDelta: "change over %s",
	AggIncrease: "increase over %s", AggCoverage: "share of expected readings in %s",
}

func sensorTitle(s *fleet.Sensor) string {
	if s.Title != "" {
		return s.Title
	}
	return plain(s.Name)
}

// unit returns the unit of f's values.
func unit(v *View, f *Feature) string {
	switch {
	case f.Agg == AggCount || f.Agg == AggCoverage:
		return ""
	case f.Agg.OfSensor():
		return v.Fleet.Sensors[f.Sensor].Unit
	case f.Agg == AggAge || f.Agg == AggMeanBetween:
		return "h"
	}
	return ""
}

func plain(name string) string { return strings.ReplaceAll(name, "_", " ") }

// days writes a window as people say it: 7 days, 1 day, 6 hours.
func days(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{
		{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"},
	} {
		switch {
		case d == unit.size:
			return "1 " + unit.name
		case d%unit.size == 0:
			return strconv.FormatInt(int64(d/unit.size), 10) + " " + unit.name + "s"
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + " milliseconds"
}
