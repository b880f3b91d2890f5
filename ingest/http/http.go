// Package http reads the batches that programs post: readings, log entries and
// machines, as one JSON object, an array of them, or a line each (NDJSON). A
// batch is taken whole or not at all: every fault in it is told, with its line.
//
// It makes records of the fleet's topic and writes nothing itself. A batch
// that is posted again, because its answer was lost, does no harm: what says
// the same as before is a duplicate (T3, T7).
package http

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/topic"
)

const (
	// MaxBody bounds a body, as sent and as unpacked: a day of readings of 500
	// machines is some 10 MB.
	MaxBody = 16 << 20
	// MaxItems bounds the items of a batch.
	MaxItems = 100_000
	// MaxFaults is how many faults are told; more are counted.
	MaxFaults = 100
	// A record holds several readings of one machine, up to these bounds: a
	// topic's own record is 1 MB at most.
	recordItems = 500
	recordBytes = 256 << 10
)

// Fault is why an item of a batch cannot be taken.
type Fault struct {
	Line    int    // of the body, from 1
	Item    int    // in the batch, from 1; 0 if the body itself is at fault
	Message string // what, why, what next
}

// Faults refuses a batch. It is an error of the kind drumbeat.ErrInvalid.
type Faults struct {
	Told  []Fault
	Total int
}

// Error tells the first fault, and how many there are.
func (f *Faults) Error() string {
	first := f.Told[0]
	return fmt.Sprintf("%d faults, the first in line %d: %s", f.Total, first.Line, first.Message)
}

// Is says that faults are invalid input.
func (f *Faults) Is(target error) bool { return target == drumbeat.ErrInvalid }

func (f *Faults) add(line, item int, message string) {
	if f.Total++; len(f.Told) < MaxFaults {
		f.Told = append(f.Told, Fault{Line: line, Item: item, Message: message})
	}
}

// Request is what was posted.
type Request struct {
	Type  string // of the records: a log's name, fleet.TypeReading, fleet.TypeMachine, fleet.TypeWatermark
	Body  []byte
	Gzip  bool // the body is packed
	Lines bool // the body is NDJSON
	// Arrival says when an item arrives that was measured at event, NoTime for
	// a machine's declaration; or why it cannot arrive, in words.
	Arrival func(event drumbeat.Time) (drumbeat.Time, string)
}

// Reader reads requests for a fleet's topic. It is not safe for concurrent
// use.
type Reader struct {
	fleet   *fleet.Fleet
	topic   string
	decoder *fleet.Decoder
	known   func(drumbeat.MachineID) bool
	items   []drumbeat.Item
}

// NewReader returns a Reader; known says which machines were declared.
func NewReader(f *fleet.Fleet, topic string, known func(drumbeat.MachineID) bool) *Reader {
	return &Reader{fleet: f, topic: topic, decoder: fleet.NewDecoder(f), known: known}
}

// Read returns the records that a request becomes, one machine's readings
// together, in their order, and how many items they hold; or *Faults.
func (r *Reader) Read(in *Request) (records []topic.Record, items int, err error) {
	body, err := unpack(in)
	if err != nil {
		return nil, 0, err
	}
	batch := batch{reader: r, request: in, open: map[string]int{}}
	if in.Lines {
		batch.lines(body)
	} else {
		batch.document(body)
	}
	if batch.faults.Total > 0 {
		return nil, 0, &batch.faults
	}
	return batch.close(), batch.count, nil
}

// unpack returns the body as it was before it was packed, which a small one
// may promise to be huge.
func unpack(in *Request) ([]byte, error) {
	if len(in.Body) > MaxBody {
		return nil, tooLarge(len(in.Body))
	}
	if !in.Gzip {
		return in.Body, nil
	}
	packed, err := gzip.NewReader(bytes.NewReader(in.Body))
	if err != nil {
		return nil, fmt.Errorf("unpack the body: it is no gzip: %w (%w)", drumbeat.ErrInvalid, err)
	}
	body, err := io.ReadAll(io.LimitReader(packed, MaxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack the body: it is damaged: %w (%w)", drumbeat.ErrInvalid, err)
	case len(body) > MaxBody:
		return nil, tooLarge(len(body))
	}
	return body, nil
}

func tooLarge(size int) error {
	return fmt.Errorf("a body of %d bytes or more: at most %d are taken at once, unpacked; send several: %w", size, MaxBody, drumbeat.ErrLimit)
}

// batch is a request that is being read.
type batch struct {
	reader  *Reader
	request *Request
	count   int
	faults  Faults
	parts   []part
	open    map[string]int // the part that takes a machine's next reading
}

// part is a record to be.
type part struct {
	key     string
	raws    [][]byte
	size    int
	arrival drumbeat.Time // of its latest item
}

// lines reads NDJSON.
func (b *batch) lines(body []byte) {
	line := 0
	for text := range bytes.Lines(body) {
		line++
		if text = bytes.TrimSpace(text); len(text) > 0 {
			b.value(text, line)
		}
	}
	b.empty()
}

// document reads one JSON value.
func (b *batch) document(body []byte) {
	if text := bytes.TrimSpace(body); len(text) > 0 {
		lead := bytes.Count(body[:bytes.Index(body, text[:1])], []byte("\n"))
		b.value(text, 1+lead)
	}
	b.empty()
}

func (b *batch) empty() {
	if b.count == 0 && b.faults.Total == 0 {
		b.faults.add(1, 0, "the body holds nothing: send an object, an array of objects, or a line each")
	}
}

// value reads an object or an array of them.
func (b *batch) value(text []byte, line int) {
	if text[0] != '[' {
		b.item(text, line)
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token() // the bracket
	seen := 0              // bytes whose lines were counted
	for decoder.More() {
		var raw json.RawMessage
		err := decoder.Decode(&raw)
		at := int(decoder.InputOffset()) - len(raw)
		if err == nil && at >= seen {
			line += bytes.Count(text[seen:at], []byte("\n"))
			seen = at
		}
		if err != nil {
			b.syntax(text, line, seen, err)
			return
		}
		if !b.item(raw, line) {
			return
		}
	}
	if _, err := decoder.Token(); err != nil {
		b.syntax(text, line, seen, err)
		return
	}
	if rest := bytes.TrimSpace(text[decoder.InputOffset():]); len(rest) > 0 {
		b.faults.add(line, 0, "something follows the array: for a value in each line say Content-Type: application/x-ndjson")
	}
}

// syntax tells where JSON breaks; line is that of the byte seen.
func (b *batch) syntax(text []byte, line, seen int, err error) {
	first := line - bytes.Count(text[:seen], []byte("\n")) // of text
	switch broken, ok := errors.AsType[*json.SyntaxError](err); {
	case ok:
		line = first + bytes.Count(text[:min(int(broken.Offset), len(text))], []byte("\n"))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		line = first + bytes.Count(text, []byte("\n"))
	}
	b.faults.add(line, 0, "not JSON: "+strings.TrimPrefix(err.Error(), "json: "))
}

// item takes an object; false when the batch is full.
func (b *batch) item(raw []byte, line int) bool {
	if b.count++; b.count > MaxItems {
		b.faults.add(line, b.count, fmt.Sprintf("more than %d items: send several batches", MaxItems))
		return false
	}
	r := b.reader
	var err error
	r.items, err = r.decoder.Decode(fleet.Form{Type: b.request.Type}, raw, r.items[:0])
	switch {
	case err != nil:
		b.faults.add(line, b.count, err.Error())
		return true
	case len(r.items) != 1:
		b.faults.add(line, b.count, fmt.Sprintf("want an object here (got an array of %d)", len(r.items)))
		return true
	}
	item := &r.items[0]
	if item.Kind == drumbeat.KindReading || item.Kind == drumbeat.KindEntry {
		if !r.known(item.Machine) {
			b.faults.add(line, b.count, fmt.Sprintf("machine_id: %q was not declared; POST /v1/machines declares it", item.Machine))
			return true
		}
	}
	arrival, fault := b.request.Arrival(item.EventTime)
	if fault != "" {
		b.faults.add(line, b.count, fault)
		return true
	}
	b.place(item, raw, arrival)
	return true
}

// place puts an item into its machine's record.
func (b *batch) place(item *drumbeat.Item, raw []byte, arrival drumbeat.Time) {
	key := string(item.Machine)
	at, found := b.open[key]
	if !found || item.Kind != drumbeat.KindReading || len(b.parts[at].raws) >= recordItems || b.parts[at].size+len(raw) > recordBytes {
		at = len(b.parts)
		b.open[key] = at
		b.parts = append(b.parts, part{key: key, arrival: arrival})
	}
	p := &b.parts[at]
	p.raws, p.size, p.arrival = append(p.raws, raw), p.size+len(raw)+1, max(p.arrival, arrival)
}

// close makes the records.
func (b *batch) close() []topic.Record {
	records := make([]topic.Record, len(b.parts))
	for i := range b.parts {
		p := &b.parts[i]
		value := p.raws[0]
		if len(p.raws) > 1 {
			value = append([]byte{'['}, bytes.Join(p.raws, []byte{','})...)
			value = append(value, ']')
		}
		records[i] = topic.Record{Topic: b.reader.topic, Key: p.key, Value: value, Type: b.request.Type, Time: p.arrival}
	}
	return records
}
