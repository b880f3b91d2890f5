package sim

import "drumbeat"

// kind says what a message carries.
type kind uint8

const (
	kindReadings kind = iota // one reading, or several as an array
	kindValue                // one sensor's value
	kindEntry                // a line of a log
	kindMachine              // the machine and its attributes
)

// breakage is how a message was damaged on its way.
type breakage uint8

const (
	whole     breakage = iota
	cutOff             // ends in the middle
	noNumber           // a word where a number should stand
	noMachine          // does not say whose it is
	badText            // bytes that are no UTF-8
	trailing           // something after the end
	breakages
)

// message is a record before it is text.
type message struct {
	arrival drumbeat.Time
	order   uint64 // among the machine's messages, breaks ties
	kind    kind
	broken  breakage
	sensor  sensor // of kindValue
	one     sample
	more    []sample // an array, if it is not empty
	entry   *entry
}

// Names of the logs that the fleet file must declare.
const (
	logFailure     = "failure"
	logMaintenance = "maintenance"
)

// entry is a line of a log.
type entry struct {
	log    string
	at     drumbeat.Time
	typ    string
	detail string
	id     string
	by     string // the technician whose finding it follows, "" if none
}

// link is a machine's way to the topic: usually quick, sometimes cut.
type link struct {
	until  drumbeat.Time // of the outage
	out    bool
	stored []sample
}

const (
	// maxStored is what a gateway's memory holds.
	maxStored = 288
	// maxArray is how many readings it sends at once.
	maxArray = 32
)

// carry takes a sample to the topic.
func (l *link) carry(m *machine, s *sample, t drumbeat.Time, cfg *settings) {
	n := &m.net
	if !l.out && n.chance(0.0009) {
		l.out = true
		l.until = t + drumbeat.Time(n.between(0.4, 9)*float64(hour)) + 1
		if n.chance(0.05) {
			l.until += drumbeat.Time(n.between(18, 30)) * hour // over a weekend
		}
	}
	if l.out {
		if len(l.stored) < maxStored {
			l.stored = append(l.stored, *s)
		}
		return
	}
	if n.chance(0.004) {
		return // lost
	}
	arrival := m.soon(t)
	switch u := n.float(); {
	case u < 0.004: // late by minutes or hours, within what is allowed
		arrival = (t + drumbeat.Time(n.between(0.1, 0.7)*float64(cfg.Fleet.Lateness.Microseconds()))).Cut()
	case u < 0.0043: // too late
		arrival = (t + drumbeat.Time(n.between(1.05, 3)*float64(cfg.Fleet.Lateness.Microseconds()))).Cut()
	case u < 0.0046: // at the edge of it
		arrival = (t + drumbeat.Time(n.between(0.97, 1.03)*float64(cfg.Fleet.Lateness.Microseconds()))).Cut()
	}
	msg := message{kind: kindReadings, arrival: arrival, one: *s}
	switch {
	case n.chance(0.0012):
		msg.broken = breakage(1 + n.below(int(breakages)-1)) //nolint:gosec // below breakages
	case m.splitVibration:
		m.apart(&msg, vibration, t)
	case n.chance(0.004):
		m.apart(&msg, sensor(n.below(int(power)+1)), t) //nolint:gosec // below 4
	}
	m.send(msg)
	if n.chance(0.005) { // the gateway saw no acknowledgement
		msg.arrival = (arrival + drumbeat.Time(n.between(1, 180))*1_000_000).Cut()
		if n.chance(0.04) { // and its value had changed meanwhile
			msg.one.values[power]++
		}
		m.send(msg)
	}
}

// apart takes one sensor out of a reading and sends it on its own: before,
// soon after, or never.
func (m *machine) apart(msg *message, s sensor, t drumbeat.Time) {
	msg.one.has &^= 1 << s
	arrival := (msg.arrival + drumbeat.Time(m.net.between(0.01, 30)*1e6)).Cut()
	switch u := m.net.float(); {
	case u < 0.03:
		return
	case u < 0.2:
		arrival = (t + 20_000).Cut()
	}
	m.send(message{
		kind:    kindValue,
		arrival: arrival,
		sensor:  s,
		one:     msg.one,
	})
}

// settle ends an outage: the gateway sends what it stored, in arrays, and
// sometimes again.
func (l *link) settle(m *machine, t drumbeat.Time) {
	if !l.out || t < l.until {
		return
	}
	l.out = false
	at := m.soon(t)
	if m.newestFirst && len(l.stored) > 1 {
		last := len(l.stored) - 1
		m.send(message{kind: kindReadings, arrival: at, one: l.stored[last]})
		l.stored = l.stored[:last]
	}
	for len(l.stored) > 0 {
		n := min(len(l.stored), maxArray)
		at = (at + drumbeat.Time(m.net.between(0.2, 4)*1e6)).Cut()
		msg := message{kind: kindReadings, arrival: at, more: append([]sample(nil), l.stored[:n]...)}
		m.send(msg)
		if m.net.chance(0.1) {
			msg.arrival = (at + drumbeat.Time(m.net.between(1, 60))*1_000_000).Cut()
			m.send(msg)
		}
		l.stored = l.stored[n:]
	}
	l.stored = nil
}

// soon is when a message sent at t ordinarily arrives.
func (m *machine) soon(t drumbeat.Time) drumbeat.Time {
	return (t + drumbeat.Time(m.net.between(0.05, 2.5)*1e6)).Cut()
}

// send queues a message. None arrives before the tick that made it.
func (m *machine) send(msg message) {
	msg.order = m.pending.orders
	m.pending.orders++
	m.pending.push(msg)
}

// inbox is a heap of messages by arrival and order.
type inbox struct {
	heap   []message
	orders uint64
}

func (b *inbox) less(i, j int) bool {
	x, y := &b.heap[i], &b.heap[j]
	return x.arrival < y.arrival || x.arrival == y.arrival && x.order < y.order
}

func (b *inbox) push(m message) {
	b.heap = append(b.heap, m)
	for i := len(b.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !b.less(i, up) {
			break
		}
		b.heap[i], b.heap[up] = b.heap[up], b.heap[i]
		i = up
	}
}

// drop removes the first message.
func (b *inbox) drop() {
	n := len(b.heap) - 1
	b.heap[0] = b.heap[n]
	b.heap[n] = message{}
	b.heap = b.heap[:n]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < n && b.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		b.heap[i], b.heap[least] = b.heap[least], b.heap[i]
		i = least
	}
}
