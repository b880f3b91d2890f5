package sim

import (
	"fmt"
	"math"
	"time"

	"drumbeat"
)

// The purposes of a machine's streams.
const (
	purposeBuild = iota
	purposeUse
	purposeWear
	purposeSense
	purposeNet
)

// burnIn is how long a machine has worked before the simulation starts, so
// that the first day is like any other.
const burnIn = 200 * day

// machine is one machine with its sensors and its way to the topic.
type machine struct {
	build
	core
	sense, net stream
	senses     senses
	link       link
	pending    inbox
	ledger     ledger
	index      int
	partition  int32
	failures   []Failure
}

// newMachine builds a machine and lets it work until start.
func newMachine(cfg *settings, index int, ghost bool) *machine {
	m := &machine{index: index}
	for purpose, s := range []*stream{nil, &m.use, &m.rot, &m.sense, &m.net} {
		if s != nil {
			*s = newStream(cfg.Seed, index, purpose)
		}
	}
	s := newStream(cfg.Seed, index, purposeBuild)
	m.build = newBuild(index, ghost, cfg, &s)
	m.senses.begin(&m.sense, cfg.scales)

	cadence := cfg.Fleet.Cadence
	step := cadence.Microseconds()
	first := floorDiv(int64(cfg.Start-burnIn), step)*step + int64(m.offset)
	m.next = drumbeat.Time(first)
	m.plan.day = math.MinInt64
	m.cycle = time.Hour.Hours() / cadence.Hours()
	m.hours = float64(m.age) * s.between(280, 420)
	m.service = m.next + drumbeat.Time(s.float()*float64(m.serviceEvery))
	m.service = drumbeat.Time(dayOf(m.service))*day + drumbeat.Time(s.between(8, 11)*float64(hour))
	m.service = m.service.Cut()
	for i := range m.parts {
		m.parts[i].renew(&natures[i], m.frailty, &m.rot)
		m.parts[i].left *= s.float() // of any age
	}
	for m.next <= cfg.Start {
		m.step(cfg.Seed, &m.build, cadence)
	}
	m.running = false
	return m
}

// newBuild draws what a machine is.
func newBuild(index int, ghost bool, cfg *settings, s *stream) build {
	b := build{
		id:       drumbeat.MachineID(fmt.Sprintf("W-%03d", index+1)),
		ghost:    ghost,
		site:     s.below(len(sites)),
		frailty:  math.Exp(0.3*s.gauss() - 0.04),
		popular:  s.between(0.7, 1.05),
		year:     2008 + s.below(17),
		capacity: []int{12, 18, 25, 35, 60}[s.below(5)],

		vibration: 30 * math.Exp(0.35*s.gauss()),
		pressure:  s.between(2.2, 4.6),
		heating:   s.between(0.75, 1.3),
		mistakes:  0.015 * math.Exp(0.7*s.gauss()),

		splitVibration: s.chance(0.06),
		newestFirst:    s.chance(0.5),
		clock:          drumbeat.Time(s.gauss()*20_000) * 1000,
		offset:         drumbeat.Time(s.float() * float64(cfg.Fleet.Cadence.Microseconds())).Cut(),
	}
	if ghost {
		b.id = drumbeat.MachineID(fmt.Sprintf("X-%03d", index+1))
	}
	if s.chance(0.04) { // nobody set this one's clock
		b.clock = drumbeat.Time(s.between(-200, 200)) * 1_000_000
	}
	b.night = b.site == 1 && s.chance(0.4)
	b.scale = math.Pow(float64(b.capacity)/25, 0.5) * s.between(0.85, 1.15)
	b.age = max(1, (2026-b.year)*12+s.below(12)-6)
	b.frailty *= 1 + 0.0015*float64(b.age)
	b.serviceEvery = drumbeat.Time(s.between(38, 58)) * day
	return b
}

// tick runs the machine through one interval and queues what it sends.
func (m *machine) tick(cfg *settings) {
	if m.ghost {
		m.haunt(cfg)
		return
	}
	h := m.step(cfg.Seed, &m.build, cfg.Fleet.Cadence)
	m.log(&h)
	if h.service != drumbeat.NoTime {
		m.senses.calibrate()
	}
	if h.on || h.last && (h.failure == drumbeat.NoTime || m.sense.chance(0.7)) {
		s := m.measure(cfg, &h)
		m.link.carry(m, &s, h.at, cfg)
	}
	m.link.settle(m, h.at)
}

// haunt is the tick of a machine that nobody told us of: now and then it
// sends a reading.
func (m *machine) haunt(cfg *settings) {
	h := happening{at: m.next, on: true, load: 0.8}
	m.next = m.next.Add(cfg.Fleet.Cadence)
	if m.net.chance(0.04) {
		s := m.measure(cfg, &h)
		m.send(message{kind: kindReadings, arrival: m.soon(h.at), one: s})
	}
}

// log queues the log entries of a tick. People write them, so they come when
// they come, within the fleet's reporting lag.
func (m *machine) log(h *happening) {
	if h.failure != drumbeat.NoTime {
		m.failures = append(m.failures, Failure{
			Machine: m.id, Time: h.failure, Mode: modes[h.mode], Repaired: drumbeat.NoTime,
		})
		m.write(entry{log: logFailure, at: h.failure, typ: modes[h.mode]}, m.delay(h.failure, h.at, 0.45))
	}
	if h.repair != drumbeat.NoTime {
		m.repaired(h.repair)
		m.write(entry{log: logMaintenance, at: h.repair, typ: "unscheduled", detail: parts[h.repaired]},
			m.delay(h.repair, h.at, 0.3))
	}
	if h.service != drumbeat.NoTime {
		m.write(entry{log: logMaintenance, at: h.service, typ: "scheduled", detail: "filter"},
			m.delay(h.service, h.at, 0.5))
	}
}

// repaired closes the last failure; one from before the start is not told.
func (m *machine) repaired(at drumbeat.Time) {
	if n := len(m.failures); n > 0 && m.failures[n-1].Repaired == drumbeat.NoTime {
		m.failures[n-1].Repaired = at
	}
}

// delay returns when an entry about something at a time arrives: soon after
// the tick that made it, or hours later.
func (m *machine) delay(at, tick drumbeat.Time, late float64) drumbeat.Time {
	wait := m.net.between(1, 15) * float64(minute)
	if m.net.chance(late) {
		wait = m.net.between(0.5, 11) * float64(hour)
	}
	return max(at+drumbeat.Time(wait), tick+1000).Cut()
}

func (m *machine) write(e entry, arrival drumbeat.Time) {
	m.send(message{kind: kindEntry, arrival: arrival, entry: &e})
	if m.net.chance(0.04) { // the maintenance system sends twice
		again := arrival + drumbeat.Time(m.net.between(1, 600))*1_000_000
		m.send(message{kind: kindEntry, arrival: again, entry: &e})
	}
}
