package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"drumbeat"
)

// percent writes a probability as people say it.
func percent(p float64) string {
	switch rounded := math.Round(p * 100); {
	case math.IsNaN(p):
		return "–"
	case rounded < 1:
		return "<1\u202f%"
	case rounded > 99:
		return ">99\u202f%"
	default:
		return strconv.FormatFloat(rounded, 'f', 0, 64) + "\u202f%"
	}
}

// permille is a probability as a length of at most 1000, for drawings.
func permille(p float64) int { return int(math.Round(max(0, min(1, p)) * 1000)) }

// likely says in words how likely a failure within the horizon is.
func likely(p float64) string {
	switch {
	case p < 0.02:
		return "Very unlikely to fail"
	case p < 0.15:
		return "Unlikely to fail"
	case p < 0.35:
		return "Might fail"
	case p < 0.55:
		return "May well fail"
	case p < 0.80:
		return "Likely to fail"
	}
	return "Very likely to fail"
}

// outOf says a probability as a count, which people judge best.
func outOf(p float64, horizon string) string {
	switch {
	case p < 0.005:
		return "Of 1,000 machines that look like this, fewer than 5 fail within " + horizon + "."
	case p < 0.095:
		return fmt.Sprintf("Of 100 machines that look like this, about %.0f %s within %s.",
			p*100, plural(int(math.Round(p*100)), "fails", "fail"), horizon)
	case p > 0.95:
		return "Of 100 machines that look like this, " + strconv.Itoa(int(math.Round(p*100))) + " fail within " + horizon + "."
	}
	n := int(math.Round(p * 10))
	return fmt.Sprintf("Of 10 machines that look like this, about %d %s within %s.", n, plural(n, "fails", "fail"), horizon)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// count writes a number with its noun.
func count(n int, one, many string) string { return strconv.Itoa(n) + " " + plural(n, one, many) }

// length writes a duration with one unit, as people say it: 7 days.
func length(d time.Duration) string {
	for _, unit := range []struct {
		size      time.Duration
		one, many string
	}{
		{24 * time.Hour, "day", "days"}, {time.Hour, "hour", "hours"}, {time.Minute, "minute", "minutes"},
	} {
		if n := int(d / unit.size); n >= 2 || n == 1 && (unit.one != "day" || d%unit.size == 0) {
			return count(n, unit.one, unit.many)
		}
	}
	return "a moment"
}

// ago says how long before now a time lies.
func ago(t, now drumbeat.Time) string {
	switch {
	case t == drumbeat.NoTime:
		return "never"
	case now == drumbeat.NoTime || now.Sub(t) < time.Minute:
		return "just now"
	}
	return length(now.Sub(t)) + " ago"
}

// since says shortly how long a machine has been silent.
func since(t, now drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return "never heard"
	}
	switch d := now.Sub(t); {
	case now == drumbeat.NoTime || d < time.Minute:
		return "now"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d/time.Minute)) + " min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d/time.Hour)) + " h"
	default:
		return strconv.Itoa(int(d/(24*time.Hour))) + " days"
	}
}

// day and clock write a time's two halves, in UTC.
func day(t drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return "–"
	}
	return t.Std().Format("Mon 2 Jan 2006")
}

// plainDate writes a day without its weekday.
func plainDate(t drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return "–"
	}
	return t.Std().Format("2 Jan 2006")
}

func clock(t drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return "–"
	}
	return t.Std().Format("15:04")
}

// iso writes a time for machines that read the page.
func iso(t drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return ""
	}
	return t.String()
}

// stateWord names a state.
func stateWord(s drumbeat.MachineState) string {
	switch s {
	case drumbeat.StateAtRisk:
		return "At risk"
	case drumbeat.StateDown:
		return "Down"
	case drumbeat.StateNotWatched:
		return "Not watched"
	case drumbeat.StateWarmingUp:
		return "Warming up"
	case drumbeat.StateOff:
		return "Off"
	case drumbeat.StateHealthy:
		return "Healthy"
	}
	return string(s)
}

// outcomeWord says how an alert ended.
func outcomeWord(o drumbeat.Outcome) string {
	switch o {
	case drumbeat.OutcomeFailed:
		return "It failed"
	case drumbeat.OutcomeRepaired:
		return "Found a fault, repaired"
	case drumbeat.OutcomeNothingWrong:
		return "Nothing wrong"
	case drumbeat.OutcomeSensorWrong:
		return "Sensor is wrong"
	case drumbeat.OutcomeNotInspected:
		return "Not inspected"
	case drumbeat.OutcomeLogFailure:
		return "It failed, says the failure log"
	case drumbeat.OutcomeMaintenance:
		return "Closed by maintenance"
	case drumbeat.OutcomeUnanswered:
		return "Nobody answered"
	case drumbeat.OutcomeDown:
		return "It was down already"
	}
	return string(o)
}

// sentence makes an error's text one.
func sentence(err error) string {
	text := strings.TrimSpace(err.Error())
	first, size := utf8.DecodeRuneInString(text)
	if text == "" {
		return ""
	}
	return string(unicode.ToUpper(first)) + text[size:] + "."
}

// words writes a name of a feature or a sensor as words.
func words(name string) string { return strings.ReplaceAll(name, "_", " ") }

// shortHash is as much of a hash as tells it from others.
func shortHash(h drumbeat.Hash) string {
	if h == "" {
		return unknown
	}
	return shortened(string(h), 10)
}

// triggerWord names a kind of reason to retrain.
func triggerWord(kind string) string {
	switch kind {
	case "data_drift":
		return "A sensor has moved"
	case "concept_drift":
		return "The model misses too much"
	case "schedule":
		return "Its time had come"
	case "person":
		return "Somebody asked"
	}
	return words(kind)
}
