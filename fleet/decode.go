package fleet

import (
	"encoding/json"
	"fmt"
	"strings"

	"drumbeat"
)

// Limits of a record and of the texts in it. A gateway that was offline for a
// day sends 100 readings of 200 bytes; a megabyte is Kafka's own bound.
const (
	MaxRecord  = 1 << 20
	MaxItems   = 10_000
	maxID      = 256    // bytes of a machine's or entry's id, and of a type
	internable = 50_000 // machine ids kept to share their text, then anew
)

// Undecodable is why a record cannot be decoded: the reason of its dead
// letter. It is an error of the kind drumbeat.ErrInvalid.
type Undecodable struct{ Reason string }

// Error returns the reason, which names the field at fault.
func (u *Undecodable) Error() string { return u.Reason }

// Is says that an undecodable record is invalid input.
func (u *Undecodable) Is(target error) bool { return target == drumbeat.ErrInvalid }

func undecodable(format string, args ...any) *Undecodable {
	return &Undecodable{Reason: fmt.Sprintf(format, args...)}
}

// Decoder turns the payloads of a fleet's topic into items. It is not safe
// for concurrent use.
type Decoder struct {
	fleet    *Fleet
	units    []unit
	fields   map[string]int // payload field to sensor
	machines map[string]drumbeat.MachineID
	reading  reading
	keys     []string // each field as JSON writes it, with the colon
	expected int      // the sensor whose field probably comes next

	// Arenas from which items get their slices; a full one is left to them.
	values []int64
	flags  []drumbeat.Flag
}

// NewDecoder returns a Decoder of the fleet's payloads.
func NewDecoder(f *Fleet) *Decoder {
	d := &Decoder{
		fleet:    f,
		units:    make([]unit, len(f.Sensors)),
		fields:   make(map[string]int, len(f.Sensors)),
		machines: map[string]drumbeat.MachineID{},
	}
	for i := range f.Sensors {
		d.units[i] = unitOf(&f.Sensors[i])
		d.fields[f.Sensors[i].Field] = i
		d.keys = append(d.keys, plainKey(f.Sensors[i].Field))
	}
	return d
}

// plainKey returns a field as JSON writes it, with the colon, or what no JSON
// holds if that needs escapes.
func plainKey(field string) string {
	if strings.ContainsFunc(field, func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }) {
		return "\x00"
	}
	return `"` + field + `":`
}

// Form is what a record's headers say of its payload.
type Form struct {
	Type    string // what it is (T2): "" and TypeReading, TypeMachine, TypeWatermark, or a log's name
	Mapping string // the fleet file's mapping by which it is read, "" for the fleet's own names
	// RedriveOf is where the record stood before a redrive, nil if it comes for
	// the first time, and FirstArrival when it first arrived (T8).
	RedriveOf    *drumbeat.Position
	FirstArrival drumbeat.Time
}

// The headers that a record may carry beside its type.
const (
	HeaderMapping   = "mapping"      // Form.Mapping
	HeaderRedriveOf = "redrive_of"   // a position's text: where the record stood before (T8)
	HeaderArrival   = "arrival_time" // of a redriven record: its old one, RFC 3339
)

// FormOf reads a record's type and its other headers. A redrive that they do
// not tell rightly is none: topics carry headers of other programs.
func FormOf(typ string, headers map[string]string) Form {
	form := Form{Type: typ, Mapping: headers[HeaderMapping]}
	if of := headers[HeaderRedriveOf]; of != "" {
		at, err := drumbeat.ParsePosition(of)
		first, ok := ParseTime(headers[HeaderArrival])
		if err == nil && ok {
			form.RedriveOf, form.FirstArrival = &at, first
		}
	}
	return form
}

// Decode appends the payload's items to dst. It sets Kind, Machine, EventTime
// (in microseconds, not yet cut), the part that the kind names, and Raw, which
// is a part of payload. Values are converted, scaled and rounded, but not yet
// held against their bounds: that is the [Judge]'s. A machine record says no
// event time: it is NoTime until the judge sets the arrival time; that of a
// watermark is what it is complete to.
//
// An error is of type *Undecodable and means that the whole record is one
// dead letter (T8); dst then comes back as it was.
func (d *Decoder) Decode(form Form, payload []byte, dst []drumbeat.Item) ([]drumbeat.Item, error) {
	items, err := d.decode(form, payload, dst)
	if form.RedriveOf != nil && err == nil {
		for i := len(dst); i < len(items); i++ {
			items[i].RedriveOf, items[i].FirstArrival = form.RedriveOf, form.FirstArrival
		}
	}
	return items, err
}

func (d *Decoder) decode(form Form, payload []byte, dst []drumbeat.Item) ([]drumbeat.Item, error) {
	if len(payload) > MaxRecord {
		return dst, undecodable("a record of %d bytes: at most %d are read", len(payload), MaxRecord)
	}
	if form.Mapping != "" {
		return dst, undecodable("mapping %q is not declared", clip(form.Mapping))
	}
	typ := form.Type
	switch typ {
	case "", TypeReading:
		if items, ok := d.scanReadings(payload, dst); ok {
			return items, nil
		}
		return d.strictReadings(payload, dst)
	case TypeMachine:
		return d.decodeOne(payload, dst, d.machine)
	case TypeWatermark:
		return d.decodeOne(payload, dst, d.watermark)
	}
	log := d.fleet.LogNamed(typ)
	if log == nil {
		return dst, undecodable("type %q is no log of this fleet%s", clip(typ), d.fleet.nearestType(clip(typ)))
	}
	return d.decodeOne(payload, dst, func(o *object, item *drumbeat.Item) *Undecodable {
		return d.entry(log, o, item)
	})
}

// Again decodes an item of bronze once more, by what its record's headers said.
func (d *Decoder) Again(bronze *drumbeat.Item, dst []drumbeat.Item) ([]drumbeat.Item, error) {
	return d.Decode(formOf(bronze), bronze.Raw, dst)
}

// formOf returns what the headers of the item's record said. Few records name
// anything there that concerns us.
func formOf(bronze *drumbeat.Item) Form {
	typ := typeOf(bronze)
	if !strings.Contains(bronze.Headers, `"`+HeaderMapping+`"`) && !strings.Contains(bronze.Headers, `"`+HeaderRedriveOf+`"`) {
		return Form{Type: typ}
	}
	var headers map[string]string
	if err := json.Unmarshal([]byte(bronze.Headers), &headers); err != nil {
		return Form{Type: typ} // another hand wrote it
	}
	return FormOf(typ, headers)
}

// typeOf returns the type header that the item's record had.
func typeOf(item *drumbeat.Item) string {
	switch item.Kind {
	case drumbeat.KindEntry:
		return item.Entry.Log
	case drumbeat.KindMachine:
		return TypeMachine
	case drumbeat.KindWatermark:
		return TypeWatermark
	case drumbeat.KindReading:
	}
	return TypeReading
}

// reading is the reading that is being decoded.
type reading struct {
	machine drumbeat.MachineID
	time    drumbeat.Time
	hasTime bool
	values  []int64
	flags   []drumbeat.Flag
	set     []bool
	// A single sensor's value: {"sensor":…,"value":…}.
	sensor   int // -1 if there is none
	value    int64
	flag     drumbeat.Flag
	hasValue bool
}

// begin readies d.reading, with slices from the arenas.
func (d *Decoder) begin() *reading {
	const chunk = 8192 // values: 64 KB, big enough to be rare, small enough to be let go
	n := len(d.fleet.Sensors)
	if len(d.values)+n > cap(d.values) {
		d.values = make([]int64, 0, max(n, chunk))
		d.flags = make([]drumbeat.Flag, 0, max(n, chunk))
	}
	at := len(d.values)
	set := d.reading.set
	if set == nil {
		set = make([]bool, n)
	}
	d.reading = reading{
		values: d.values[at : at+n : at+n], flags: d.flags[at : at+n : at+n], set: set, sensor: -1,
	}
	for i := range d.reading.values {
		d.reading.values[i], d.reading.flags[i], set[i] = drumbeat.Missing, 0, false
	}
	return &d.reading
}

// put sets a sensor's value; false if it was set otherwise before.
func (r *reading) put(sensor int, value int64, flag drumbeat.Flag) bool {
	if r.set[sensor] {
		return r.values[sensor] == value && r.flags[sensor] == flag
	}
	r.values[sensor], r.flags[sensor], r.set[sensor] = value, flag, true
	return true
}

// keep appends the finished reading and its slices to what is kept.
func (d *Decoder) keep(dst []drumbeat.Item, raw []byte) []drumbeat.Item {
	n := len(d.values) + len(d.fleet.Sensors)
	d.values, d.flags = d.values[:n], d.flags[:n]
	r := &d.reading
	return append(dst, drumbeat.Item{
		Kind: drumbeat.KindReading, Machine: r.machine, EventTime: r.time,
		Values: r.values, Flags: r.flags, Raw: raw,
	})
}

// machineID returns the id, sharing one text among all of a machine's items.
func (d *Decoder) machineID(id []byte) drumbeat.MachineID {
	if m, ok := d.machines[string(id)]; ok {
		return m
	}
	if len(d.machines) >= internable {
		clear(d.machines)
	}
	m := drumbeat.MachineID(id)
	d.machines[string(m)] = m
	return m
}

// notNumber says whether a text stands for a missing value (V3), and with
// which flag: "" says nothing, NaN and infinities say something that is no
// number.
func notNumber[T ~string | ~[]byte](text T) (drumbeat.Flag, bool) {
	switch string(text) {
	case "":
		return 0, true
	case "NaN", "Inf", "-Inf", "Infinity", "-Infinity":
		return drumbeat.FlagNulled, true
	}
	return 0, false
}

// clip shortens what a message quotes.
func clip(text string) string {
	const shown = 60
	if len(text) <= shown {
		return text
	}
	end := shown
	for end > 0 && text[end]&0xC0 == 0x80 { // not within a character
		end--
	}
	return text[:end] + "…"
}
