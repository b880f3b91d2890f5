package fleet

import (
	"fmt"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// Ahead is how far an event time may run before its arrival time (T5).
const Ahead = 5 * time.Minute

// Judge gives every item of a partition its fate (T8) and every value its
// flags (V1, T3), fed in the order of positions. It is not safe for
// concurrent use.
//
// What it remembers is bounded. Of a machine's readings, only those whose
// event time is at most 2·L before the greatest arrival time of its kept
// readings: an item older than that is late, whatever its own arrival time
// says. A row of equal values is counted as far back as that, too. Since no
// item arrives later than L after it was measured without being late, this
// concerns only records whose arrival time lies back, such as redriven ones.
// Ids of log entries, machines and watermarks are kept for good: they are few.
type Judge struct {
	fleet      *Fleet
	machines   map[drumbeat.MachineID]*machine
	entries    map[entryKey]struct{}
	watermarks map[string]watermark
}

type entryKey struct {
	log, id  string
	revision int64
}

type watermark struct {
	to       drumbeat.Time
	position drumbeat.Position
}

// machine is what the judge remembers of one.
type machine struct {
	known    bool
	static   []string
	since    drumbeat.Position // of the record that said static
	accepted accepted
}

// NewJudge returns a Judge that has seen nothing.
func NewJudge(f *Fleet) *Judge {
	return &Judge{
		fleet:      f,
		machines:   map[drumbeat.MachineID]*machine{},
		entries:    map[entryKey]struct{}{},
		watermarks: map[string]watermark{},
	}
}

// Known says whether a machine record of m was kept.
func (j *Judge) Known(m drumbeat.MachineID) bool {
	state := j.machines[m]
	return state != nil && state.known
}

// Judge returns the item's fate, and why in words unless it is kept. It cuts
// the event time (T1); of a kept reading, Values then holds only what was
// newly accepted, and Flags what was done to what the reading said.
func (j *Judge) Judge(item *drumbeat.Item) (drumbeat.Fate, string) {
	if item.Kind == drumbeat.KindMachine {
		item.EventTime = item.ArrivalTime
	}
	item.EventTime = item.EventTime.Cut()
	if item.Kind != drumbeat.KindMachine && item.Kind != drumbeat.KindWatermark && !j.Known(item.Machine) {
		return drumbeat.FateUnknownMachine, fmt.Sprintf("no machine record of %q came before", clip(string(item.Machine)))
	}
	if ahead := item.EventTime.Sub(item.JudgedArrival()); ahead > Ahead {
		return drumbeat.FateFuture, fmt.Sprintf("measured %s after it arrived: at most %s is a clock's error",
			ahead, strict.FormatDuration(Ahead))
	}
	switch item.Kind {
	case drumbeat.KindReading:
		return j.reading(item)
	case drumbeat.KindEntry:
		return j.entry(item)
	case drumbeat.KindMachine:
		return j.machine(item)
	case drumbeat.KindWatermark:
		return j.watermark(item)
	}
	return drumbeat.FateRejected, fmt.Sprintf("kind %d is not known", item.Kind)
}

func (j *Judge) reading(item *drumbeat.Item) (drumbeat.Fate, string) {
	m := j.machines[item.Machine]
	lateness := j.fleet.Lateness
	if age := item.JudgedArrival().Sub(item.EventTime); age > lateness {
		return drumbeat.FateLate, fmt.Sprintf("arrived %s after it was measured: at most %s is allowed",
			age, strict.FormatDuration(lateness))
	}
	if m.accepted.forgot(item.EventTime, 2*lateness) {
		return drumbeat.FateLate, fmt.Sprintf("measured more than twice %s before the machine's newest arrival",
			strict.FormatDuration(lateness))
	}
	if len(item.Values) != len(j.fleet.Sensors) || len(item.Flags) != len(item.Values) {
		return drumbeat.FateRejected, fmt.Sprintf("%d values for %d sensors", len(item.Values), len(j.fleet.Sensors))
	}
	rejected := j.fleet.Clean(item)
	news, conflicts := m.accepted.sift(item)
	switch {
	case news == 0 && conflicts > 0:
		return drumbeat.FateDuplicate, fmt.Sprintf("adds no value; %d differ from what was accepted before", conflicts)
	case news == 0:
		return drumbeat.FateDuplicate, "adds no value"
	case rejected >= 0:
		s := &j.fleet.Sensors[rejected]
		return drumbeat.FateRejected, fmt.Sprintf("%s is out of range: must be from %s to %s",
			s.Name, j.fleet.FormatValue(rejected, s.Min), j.fleet.FormatValue(rejected, s.Max))
	}
	m.accepted.add(item, 2*lateness)
	m.accepted.mark(item, j.fleet.Sensors)
	return drumbeat.FateKept, ""
}

func (j *Judge) entry(item *drumbeat.Item) (drumbeat.Fate, string) {
	key := entryKey{log: item.Entry.Log, id: item.Entry.ID, revision: item.Entry.Revision}
	if _, seen := j.entries[key]; seen {
		return drumbeat.FateDuplicate, fmt.Sprintf("revision %d of this entry came before", key.revision)
	}
	j.entries[key] = struct{}{}
	return drumbeat.FateKept, ""
}

func (j *Judge) machine(item *drumbeat.Item) (drumbeat.Fate, string) {
	m := j.of(item.Machine)
	if m.known && slices.Equal(m.static, item.Static) {
		return drumbeat.FateDuplicate, "says what was known"
	}
	m.known, m.static, m.since = true, slices.Clone(item.Static), item.Position
	return drumbeat.FateKept, ""
}

func (j *Judge) watermark(item *drumbeat.Item) (drumbeat.Fate, string) {
	w, seen := j.watermarks[item.Watermark.Log]
	if seen && w.to == item.Watermark.CompleteTo {
		return drumbeat.FateDuplicate, "says what was known"
	}
	j.watermarks[item.Watermark.Log] = watermark{to: item.Watermark.CompleteTo, position: item.Position}
	return drumbeat.FateKept, ""
}

func (j *Judge) of(id drumbeat.MachineID) *machine {
	m := j.machines[id]
	if m == nil {
		m = &machine{}
		j.machines[id] = m
	}
	return m
}

// Restore feeds an item that was kept before a restart, in any order. When
// every kept item is fed (readings no older than [Fleet.Memory] before the
// newest suffice), the judge goes on as if it had judged everything itself.
func (j *Judge) Restore(item *drumbeat.Item) {
	switch item.Kind {
	case drumbeat.KindReading:
		j.of(item.Machine).accepted.add(item, 2*j.fleet.Lateness)
	case drumbeat.KindEntry:
		j.entries[entryKey{item.Entry.Log, item.Entry.ID, item.Entry.Revision}] = struct{}{}
	case drumbeat.KindMachine:
		m := j.of(item.Machine)
		if !m.known || item.Position.Compare(m.since) > 0 {
			m.known, m.static, m.since = true, slices.Clone(item.Static), item.Position
		}
	case drumbeat.KindWatermark:
		w, seen := j.watermarks[item.Watermark.Log]
		if !seen || item.Position.Compare(w.position) > 0 {
			j.watermarks[item.Watermark.Log] = watermark{to: item.Watermark.CompleteTo, position: item.Position}
		}
	}
}

// Clean holds every value against its sensor's bounds (V1): it clips or nulls
// it, with the flag, and returns the first sensor whose value rejects the
// reading, -1 without one.
func (f *Fleet) Clean(item *drumbeat.Item) (rejected int) {
	rejected = -1
	for i := range f.Sensors {
		s, v := &f.Sensors[i], item.Values[i]
		if v >= s.Min && v <= s.Max || v == drumbeat.Missing {
			continue
		}
		switch s.OutOfRange {
		case Clip:
			item.Values[i] = min(max(v, s.Min), s.Max)
			item.Flags[i] |= drumbeat.FlagClipped
		case Null:
			item.Values[i] = drumbeat.Missing
			item.Flags[i] |= drumbeat.FlagNulled
		case Reject:
			if rejected < 0 {
				rejected = i
			}
		}
	}
	return rejected
}
