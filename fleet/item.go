package fleet

import (
	"fmt"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// The types of record that are no logs: values of a record's "type" header
// (T2). A record without the header is a reading.
const (
	TypeReading   = "reading"
	TypeMachine   = "machine"
	TypeWatermark = "watermark"
)

// TypeOf returns the record type that the item came under.
func TypeOf(item *drumbeat.Item) string {
	switch item.Kind {
	case drumbeat.KindReading:
		return TypeReading
	case drumbeat.KindEntry:
		return item.Entry.Log
	case drumbeat.KindMachine:
		return TypeMachine
	case drumbeat.KindWatermark:
		return TypeWatermark
	}
	return TypeReading
}

// recordTypes lists what a record's type may be.
func (f *Fleet) recordTypes() []string {
	types := []string{TypeReading, TypeMachine, TypeWatermark}
	for i := range f.Logs {
		types = append(types, f.Logs[i].Name)
	}
	return types
}

// Times that a payload may name. Beyond them differences of times could
// overflow, and no text form has four digits of year.
const (
	firstTime = drumbeat.Time(-62135596800_000_000) // 0001-01-01
	lastTime  = drumbeat.Time(253402300799_999_999) // 9999-12-31
)

// ParseTime reads an event time as payloads write it: RFC 3339, or
// "2006-01-02 15:04:05" with any fraction, as UTC. It is cut to microseconds.
func ParseTime(text string) (drumbeat.Time, bool) {
	const shortest, longest = len("2006-01-02 15:04:05"), 64
	if len(text) < shortest || len(text) > longest || strings.Contains(text, ",") {
		return 0, false
	}
	if text[10] == ' ' {
		text = text[:10] + "T" + text[11:] + "Z"
	}
	var t time.Time // RFC 3339 allows lower case, package time does not
	if err := t.UnmarshalText([]byte(strings.ToUpper(text))); err != nil {
		return 0, false
	}
	return inRange(drumbeat.Time(t.UnixMicro()))
}

func inRange(t drumbeat.Time) (drumbeat.Time, bool) { return t, t >= firstTime && t <= lastTime }

// Arrives says when what was measured at event arrives if it is sent now, or,
// in words, why it cannot (T5, T6): by the wall clock now; by the data's at the
// later of the two, at most horizon ahead. Before a fleet's time has begun it
// is NoTime, and an event begins it.
func (f *Fleet) Arrives(event, now drumbeat.Time, horizon time.Duration) (drumbeat.Time, string) {
	if f.Clock == ClockWall {
		if event > now.Add(Ahead) {
			return 0, fmt.Sprintf("its timestamp %s lies more than %s after its arrival at %s", event, Ahead, now)
		}
		return now, ""
	}
	if now == drumbeat.NoTime {
		return event, ""
	}
	if event > now.Add(horizon) {
		return 0, fmt.Sprintf("its timestamp %s lies more than %s after the fleet's time %s", event, horizon, now)
	}
	return max(now, event), ""
}

// Memory is how far before the newest event time a [Judge] remembers what it
// accepted: what a restart must restore. It is twice the allowed lateness,
// for a redriven record's old arrival time may be that late again, and the
// five minutes by which an event time may run ahead (T5).
func (f *Fleet) Memory() time.Duration { return 2*f.Lateness + Ahead }

// Suggest returns "; did you mean …?" with the nearest known word, or else the
// list of them.
func Suggest(word string, known []string) string { return strict.Suggest(word, known) }

// nearestType describes the record types for an unknown one.
func (f *Fleet) nearestType(typ string) string { return strict.Suggest(typ, f.recordTypes()) }
