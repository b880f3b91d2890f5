package fleet

import (
	"drumbeat"
)

// scanReadings decodes readings in the shape that machines send: ASCII, no
// escapes, scalar values. It gives up (false, with nothing decoded) on
// anything else, which strictReadings then judges. FuzzDecode holds the two
// to the same answers.
func (d *Decoder) scanReadings(payload []byte, dst []drumbeat.Item) ([]drumbeat.Item, bool) {
	s := scanner{data: payload}
	out, many := dst, s.accept('[')
	for n := 0; ; n++ {
		s.space()
		start := s.at
		r := d.begin()
		if n >= MaxItems || !d.scanReading(&s, r) {
			return dst, false
		}
		raw := payload[start:s.at:s.at]
		if !many {
			raw = payload
		}
		out = d.keep(out, raw)
		if !many || !s.accept(',') {
			break
		}
	}
	if many && !s.accept(']') {
		return dst, false
	}
	s.space()
	return out, s.at == len(payload)
}

func (d *Decoder) scanReading(s *scanner, r *reading) bool {
	if !s.accept('{') {
		return false
	}
	for {
		s.space()
		if e := d.expected; e < len(d.keys) && s.word(d.keys[e]) {
			s.space()
			x, flag, ok := d.scanValue(s, e)
			if !ok || !r.put(e, x, flag) {
				return false
			}
			d.expected++
		} else if !d.scanMember(s, r) {
			return false
		}
		if !s.accept(',') {
			break
		}
	}
	if !s.accept('}') || r.machine == "" || !r.hasTime || (r.sensor >= 0) != r.hasValue {
		return false
	}
	return r.sensor < 0 || r.put(r.sensor, r.value, r.flag)
}

// scanMember reads one key and its value.
func (d *Decoder) scanMember(s *scanner, r *reading) bool {
	key, ok := s.text()
	if !ok || !s.accept(':') {
		return false
	}
	s.space()
	switch string(key) { // none of these is a sensor's field: Load sees to it
	case "machine_id":
		d.expected = 0
		return r.machine == "" && d.scanMachine(s, r)
	case "timestamp":
		return !r.hasTime && scanTime(s, r)
	case "sensor":
		name, ok := s.text()
		if !ok || r.sensor >= 0 {
			return false
		}
		i, known := d.fields[string(name)]
		r.sensor = i
		return known
	case "value":
		if r.sensor < 0 || r.hasValue { // "sensor" comes first, else the strict way
			return false
		}
		r.hasValue = true
		var ok bool
		r.value, r.flag, ok = d.scanValue(s, r.sensor)
		return ok
	}
	i, known := d.fields[string(key)]
	if !known {
		return s.skip()
	}
	d.expected = i + 1
	x, flag, ok := d.scanValue(s, i)
	return ok && r.put(i, x, flag)
}

func (d *Decoder) scanMachine(s *scanner, r *reading) bool {
	var id []byte
	var ok bool
	if s.peek() == '"' {
		id, ok = s.text()
	} else {
		id = s.number()
		ok = isWhole(id)
	}
	if !ok || len(id) == 0 || len(id) > maxID {
		return false
	}
	r.machine = d.machineID(id)
	return true
}

// scanValue reads a sensor's value.
func (d *Decoder) scanValue(s *scanner, sensor int) (int64, drumbeat.Flag, bool) {
	switch s.peek() {
	case 'n':
		return drumbeat.Missing, 0, s.word("null")
	case '"':
		text, ok := s.text()
		if !ok {
			return 0, 0, false
		}
		flag, ok := notNumber(text)
		return drumbeat.Missing, flag, ok
	}
	number := s.number()
	if !isNumber(number) {
		return 0, 0, false
	}
	if u := &d.units[sensor]; !u.plain {
		return u.scale(number), 0, true
	}
	x, _ := scale(number, d.units[sensor].decimals)
	return x, 0, true
}

// scanTime reads 2006-01-02T15:04:05[.fff]Z, the same with a space and no Z,
// or milliseconds since 1970 of at most 15 digits.
func scanTime(s *scanner, r *reading) bool {
	if s.peek() != '"' {
		ms := s.number()
		if len(ms) == 0 || len(ms) > 15 || !isWhole(ms) || ms[0] == '-' {
			return false
		}
		x, _ := scale(ms, 3)
		r.time, r.hasTime = inRange(drumbeat.Time(x))
		return r.hasTime
	}
	text, ok := s.text()
	const shape = "dddd-dd-ddTdd:dd:dd"
	if !ok || len(text) < len(shape) {
		return false
	}
	for i := range len(shape) {
		c := text[i]
		if shape[i] == 'd' && c-'0' > 9 || shape[i] != 'd' && c != shape[i] && (i != 10 || c != ' ') {
			return false
		}
	}
	micro, rest := int64(0), text[len(shape):]
	if len(rest) > 0 && rest[0] == '.' {
		end := digits(rest, 1)
		if end == 1 || end > 10 {
			return false
		}
		for i := 1; i <= 6; i++ {
			micro *= 10
			if i < end {
				micro += int64(rest[i] - '0')
			}
		}
		rest = rest[end:]
	}
	if utc := string(rest); (text[10] == 'T') != (utc == "Z") || text[10] == ' ' && utc != "" {
		return false
	}
	two := func(i int) int64 { return int64(text[i]-'0')*10 + int64(text[i+1]-'0') }
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if year < 1 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) ||
		hour > 23 || minute > 59 || second > 59 {
		return false
	}
	seconds := daysSince1970(year, month, day)*86400 + hour*3600 + minute*60 + second
	r.time, r.hasTime = drumbeat.Time(seconds*1_000_000+micro), true
	return true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSince1970 counts days of the Gregorian calendar, years beginning in
// March so that the leap day comes last.
func daysSince1970(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	return 365*year + year/4 - year/100 + year/400 + (153*(month-3)+2)/5 + day - 1 - 719468
}

// isWhole says whether a number is written without point and exponent.
func isWhole(number []byte) bool {
	if !isNumber(number) {
		return false
	}
	for _, c := range number {
		if c == '.' || c == 'e' || c == 'E' {
			return false
		}
	}
	return true
}

// scanner walks plain JSON.
type scanner struct {
	data []byte
	at   int
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		switch s.data[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// accept skips space and the byte c, if c comes next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		s.space()
		if s.peek() != c {
			return false
		}
	}
	s.at++
	return true
}

// text reads a quoted text of printable ASCII without escapes.
func (s *scanner) text() ([]byte, bool) {
	if s.peek() != '"' {
		return nil, false
	}
	start := s.at + 1
	for i := start; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case c == '"':
			s.at = i + 1
			return s.data[start:i], true
		case c < ' ' || c >= 0x7f || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// number takes every byte that a number may hold.
func (s *scanner) number() []byte {
	start := s.at
	for s.at < len(s.data) {
		c := s.data[s.at]
		if c-'0' > 9 && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			break
		}
		s.at++
	}
	return s.data[start:s.at]
}

func (s *scanner) word(word string) bool {
	if len(s.data)-s.at < len(word) || string(s.data[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// skip passes over a scalar that nobody asked for.
func (s *scanner) skip() bool {
	switch s.peek() {
	case '"':
		_, ok := s.text()
		return ok
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return isNumber(s.number())
}
