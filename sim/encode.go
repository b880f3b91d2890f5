package sim

import (
	"strconv"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/topic"
)

// The headers of a simulated record, beside its type.
const (
	headerSeq = "seq" // of its first item
	headerBy  = "by"  // the technician who repaired
)

// encoder writes messages as records, into one buffer again and again.
type encoder struct {
	cfg     *settings
	buf     []byte
	headers map[string]string
}

// record is valid until the next call.
func (e *encoder) record(m *machine, msg *message, seq int64) topic.Record {
	clear(e.headers)
	e.headers[headerSeq] = strconv.FormatInt(seq, 10)
	e.buf = e.buf[:0]
	rec := topic.Record{
		Topic: e.cfg.Topic, Key: string(m.id), Headers: e.headers, Time: msg.arrival, Partition: m.partition,
	}
	switch msg.kind {
	case kindMachine:
		rec.Type = fleet.TypeMachine
		e.machine(m)
	case kindEntry:
		rec.Type = msg.entry.log
		if msg.entry.by != "" {
			e.headers[headerBy] = msg.entry.by
		}
		e.entry(m, msg.entry)
	case kindValue:
		e.value(m, msg)
	case kindReadings:
		e.readings(m, msg)
	}
	rec.Value = e.buf
	return rec
}

func (e *encoder) readings(m *machine, msg *message) {
	if len(msg.more) == 0 {
		e.reading(m, &msg.one, msg.broken)
		return
	}
	e.buf = append(e.buf, '[')
	for i := range msg.more {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.reading(m, &msg.more[i], whole)
	}
	e.buf = append(e.buf, ']')
}

// open begins an object with machine and time.
func (e *encoder) open(m *machine, at drumbeat.Time) {
	e.buf = append(e.buf, `{"machine_id":"`...)
	e.buf = append(e.buf, m.id...)
	e.buf = append(e.buf, `","timestamp":"`...)
	e.buf = appendTime(e.buf, at)
	e.buf = append(e.buf, '"')
}

func (e *encoder) reading(m *machine, s *sample, broken breakage) {
	start := len(e.buf)
	if broken == noMachine {
		e.buf = append(e.buf, `{"timestamp":"`...)
		e.buf = appendTime(e.buf, s.event)
		e.buf = append(e.buf, '"')
	} else {
		e.open(m, s.event)
	}
	for x := range sensorCount {
		if !s.has.has(x) {
			continue
		}
		e.buf = append(e.buf, ',', '"')
		e.buf = append(e.buf, e.cfg.Fleet.Sensors[e.cfg.at[x]].Field...)
		e.buf = append(e.buf, '"', ':')
		if broken == noNumber && x == power {
			e.buf = append(e.buf, `"high"`...)
			continue
		}
		e.number(s, x)
	}
	if broken == noNumber && !s.has.has(power) {
		e.buf = append(e.buf, `,"power_kw":"high"`...)
	}
	e.buf = append(e.buf, '}')
	switch broken {
	case cutOff:
		e.buf = e.buf[:start+(len(e.buf)-start)*2/3]
	case badText:
		e.buf[start+16] = 0xff // in the machine's id
	case trailing:
		e.buf = append(e.buf, "}}"...)
	case whole, noNumber, noMachine, breakages:
	}
}

// number writes a sensor's value as a gateway does.
func (e *encoder) number(s *sample, x sensor) {
	switch {
	case s.nan.has(x):
		e.buf = append(e.buf, `"NaN"`...)
	case s.null.has(x):
		e.buf = append(e.buf, "null"...)
	default:
		e.buf = appendScaled(e.buf, s.values[x], e.cfg.Fleet.Sensors[e.cfg.at[x]].Decimals)
	}
}

func (e *encoder) value(m *machine, msg *message) {
	e.open(m, msg.one.event)
	e.buf = append(e.buf, `,"sensor":"`...)
	e.buf = append(e.buf, e.cfg.Fleet.Sensors[e.cfg.at[msg.sensor]].Field...)
	e.buf = append(e.buf, `","value":`...)
	e.number(&msg.one, msg.sensor)
	e.buf = append(e.buf, '}')
}

func (e *encoder) entry(m *machine, x *entry) {
	log := e.cfg.logs[x.log]
	e.buf = append(e.buf, `{"machine_id":"`...)
	e.buf = append(e.buf, m.id...)
	e.buf = append(e.buf, '"')
	if x.id != "" {
		id := log.ID
		if id == "" {
			id = "id"
		}
		e.text(id, x.id)
	}
	e.buf = append(e.buf, ',', '"')
	e.buf = append(e.buf, log.Time...)
	e.buf = append(e.buf, `":"`...)
	e.buf = appendTime(e.buf, x.at)
	e.buf = append(e.buf, '"')
	if log.Type != "" {
		e.text(log.Type, x.typ)
	}
	if log.Detail != "" {
		e.text(log.Detail, x.detail)
	}
	e.buf = append(e.buf, '}')
}

// text writes a field whose value needs no escaping.
func (e *encoder) text(name, value string) {
	e.buf = append(e.buf, ',', '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, `":"`...)
	e.buf = append(e.buf, value...)
	e.buf = append(e.buf, '"')
}

func (e *encoder) machine(m *machine) {
	e.buf = append(e.buf, `{"machine_id":"`...)
	e.buf = append(e.buf, m.id...)
	e.buf = append(e.buf, '"')
	for i := range e.cfg.Fleet.Static {
		a := &e.cfg.Fleet.Static[i]
		switch a.Name {
		case "location":
			e.text(a.Name, m.location(a))
		case "model_year":
			e.whole(a.Name, m.year)
		case "age_months":
			e.whole(a.Name, m.age)
		case "capacity_kg":
			e.whole(a.Name, m.capacity)
		}
	}
	e.buf = append(e.buf, '}')
}

func (e *encoder) whole(name string, v int) {
	e.buf = append(e.buf, ',', '"')
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, '"', ':')
	e.buf = strconv.AppendInt(e.buf, int64(v), 10)
}

// location is the machine's site by the name that the fleet file has for it.
func (m *machine) location(a *fleet.Attribute) string {
	if n := len(a.Values); n > 0 {
		return a.Values[m.site%n]
	}
	return sites[m.site].name
}

// appendScaled writes a scaled whole number as a decimal one.
func appendScaled(dst []byte, v int64, decimals int) []byte {
	if v < 0 {
		dst = append(dst, '-')
		v = -v
	}
	unit := int64(1)
	for range decimals {
		unit *= 10
	}
	dst = strconv.AppendInt(dst, v/unit, 10)
	if decimals == 0 {
		return dst
	}
	dst = append(dst, '.')
	for rest := v % unit; unit > 1; {
		unit /= 10
		dst = append(dst, byte('0'+rest/unit)) //nolint:gosec // a digit
		rest %= unit
	}
	return dst
}

// appendTime writes RFC 3339 with milliseconds.
func appendTime(dst []byte, t drumbeat.Time) []byte {
	d := dayOf(t)
	y, m, dd := civil(d)
	dst = appendDigits(dst, y, 4)
	dst = append(dst, '-')
	dst = appendDigits(dst, m, 2)
	dst = append(dst, '-')
	dst = appendDigits(dst, dd, 2)
	dst = append(dst, 'T')
	ms := (int64(t) - d*int64(day)) / 1000
	dst = appendDigits(dst, ms/3_600_000, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, ms/60_000%60, 2)
	dst = append(dst, ':')
	dst = appendDigits(dst, ms/1000%60, 2)
	dst = append(dst, '.')
	dst = appendDigits(dst, ms%1000, 3)
	return append(dst, 'Z')
}

func appendDigits(dst []byte, v int64, n int) []byte {
	dst = append(dst, "0000"[:n]...)
	for i := len(dst) - 1; n > 0; n-- {
		dst[i] = byte('0' + v%10)
		v /= 10
		i--
	}
	return dst
}

// civil turns days since 1970 into year, month and day. Years are counted
// from March of the year 0, so that leap days come last, in eras of 400 years.
func civil(d int64) (year, month, dayOfMonth int64) {
	const era = 146_097
	d += 719_468
	n := floorDiv(d, era)
	d -= n * era
	y := (d - d/1460 + d/36_524 - d/146_096) / 365
	d -= 365*y + y/4 - y/100
	m := (5*d + 2) / 153
	dayOfMonth = d - (153*m+2)/5 + 1
	month = m + 3
	year = y + n*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, dayOfMonth
}
