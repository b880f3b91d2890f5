package sim

import (
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
)

// Counts is what the simulator knows of what it sent: an own model of rules
// T3 to T5, T8 and V1, which never looks at the pipeline.
type Counts struct {
	Records int64 `json:"records"`
	Items   int64 `json:"items"`
	// Fates counts items of every kind, Readings readings alone (an
	// undecodable record counts as one), both by drumbeat.Fate.
	Fates    [len(drumbeat.Fates)]int64 `json:"fates"`
	Readings [len(drumbeat.Fates)]int64 `json:"readings"`
	// Clipped and Nulled count flagged values of kept readings, by sensor.
	Clipped map[string]int64 `json:"clipped"`
	Nulled  map[string]int64 `json:"nulled"`
	// Entries counts kept log entries by log, Machines kept machine records.
	Entries  map[string]int64 `json:"entries"`
	Machines int64            `json:"machines"`
}

func newCounts() Counts {
	return Counts{Clipped: map[string]int64{}, Nulled: map[string]int64{}, Entries: map[string]int64{}}
}

// Counts returns what was sent so far, by this run and by the past that it
// goes on from.
func (s *Sim) Counts() Counts {
	c := s.counts
	c.Clipped, c.Nulled, c.Entries = maps.Clone(c.Clipped), maps.Clone(c.Nulled), maps.Clone(c.Entries)
	return c
}

// ledger is what one machine's readings have said: which sensors at which
// time, in the order of times. It forgets the oldest; by then they are late.
type ledger struct {
	times   []drumbeat.Time
	said    []mask
	entries map[entry]bool
}

// remembered is how many event times a ledger holds: all that can arrive in
// the allowed lateness, and as many again for what came before in a rush.
func remembered(cfg *settings) int {
	return 4*int(cfg.Fleet.Lateness/cfg.Fleet.Cadence) + 64
}

// find returns where t stands, or would.
func (l *ledger) find(t drumbeat.Time) (int, bool) {
	n := len(l.times)
	if n == 0 || t > l.times[n-1] {
		return n, false
	}
	return slices.BinarySearch(l.times, t)
}

// say remembers at index i what was said of t anew.
func (l *ledger) say(i int, known bool, t drumbeat.Time, news mask, limit int) {
	if known {
		l.said[i] |= news
		return
	}
	if i == len(l.times) {
		l.times, l.said = append(l.times, t), append(l.said, news)
	} else {
		l.times, l.said = slices.Insert(l.times, i, t), slices.Insert(l.said, i, news)
	}
	if len(l.times) > 2*limit {
		l.times = append(l.times[:0], l.times[len(l.times)-limit:]...)
		l.said = append(l.said[:0], l.said[len(l.said)-limit:]...)
	}
}

// add counts a message's items.
func (c *Counts) add(cfg *settings, m *machine, msg *message) {
	c.Records++
	switch msg.kind {
	case kindMachine:
		c.Machines++
		c.item(drumbeat.FateKept)
	case kindEntry:
		c.item(c.entry(m, msg.entry))
	case kindValue:
		s := msg.one
		s.has = 1 << msg.sensor
		c.reading(c.judge(cfg, m, &s, msg.arrival))
	case kindReadings:
		switch {
		case msg.broken != whole:
			c.reading(drumbeat.FateUndecodable)
		case len(msg.more) == 0:
			c.reading(c.judge(cfg, m, &msg.one, msg.arrival))
		}
		for i := range msg.more {
			c.reading(c.judge(cfg, m, &msg.more[i], msg.arrival))
		}
	}
}

func (c *Counts) item(fate drumbeat.Fate) {
	c.Items++
	c.Fates[fate]++
}

func (c *Counts) reading(fate drumbeat.Fate) {
	c.item(fate)
	c.Readings[fate]++
}

// entry judges a log entry: one that was sent before is a duplicate.
func (c *Counts) entry(m *machine, e *entry) drumbeat.Fate {
	key := entry{log: e.log, at: e.at, typ: e.typ, id: e.id}
	if e.id != "" {
		key = entry{log: e.log, id: e.id}
	}
	if m.ledger.entries[key] {
		return drumbeat.FateDuplicate
	}
	if m.ledger.entries == nil {
		m.ledger.entries = make(map[entry]bool)
	}
	m.ledger.entries[key] = true
	c.Entries[e.log]++
	return drumbeat.FateKept
}

// judge says what must become of a sample that arrives then.
func (c *Counts) judge(cfg *settings, m *machine, s *sample, arrival drumbeat.Time) drumbeat.Fate {
	switch {
	case m.ghost:
		return drumbeat.FateUnknownMachine
	case s.event > arrival+5*minute:
		return drumbeat.FateFuture
	case arrival-s.event > cfg.lateMax:
		return drumbeat.FateLate
	}
	at, known := m.ledger.find(s.event)
	var said mask
	if known {
		said = m.ledger.said[at]
	}
	var news, clipped, nulled mask
	rejected := false
	for x := range sensorCount {
		bit := mask(1) << x
		switch {
		case !s.has.has(x):
			continue
		case s.nan.has(x):
			nulled |= bit
			continue
		case s.null.has(x):
			continue
		}
		sensor := &cfg.Fleet.Sensors[cfg.at[x]]
		outside := s.values[x] < sensor.Min || s.values[x] > sensor.Max
		if outside && sensor.OutOfRange == fleet.Null {
			nulled |= bit
			continue
		}
		if said&bit != 0 {
			continue
		}
		news |= bit
		if outside && sensor.OutOfRange == fleet.Clip {
			clipped |= bit
		}
		rejected = rejected || outside && sensor.OutOfRange == fleet.Reject
	}
	switch {
	case news == 0:
		return drumbeat.FateDuplicate
	case rejected:
		return drumbeat.FateRejected
	}
	m.ledger.say(at, known, s.event, news, remembered(cfg))
	for x := range sensorCount {
		if clipped.has(x) {
			c.Clipped[sensorNames[x]]++
		}
		if nulled.has(x) {
			c.Nulled[sensorNames[x]]++
		}
	}
	return drumbeat.FateKept
}
