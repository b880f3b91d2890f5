package files

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// source is one file that was found and checked.
type source struct {
	grammar
	file    string
	clock   clock
	columns int // of the header
	machine int // index of the machine's column
	time    int // of the event time's, -1 without one
	known   int // of the time's at which a row was known, -1 without one
	latest  drumbeat.Time
}

// entry is one row of a source.
type entry struct {
	source  *source
	arrival drumbeat.Time // NoTime for a faulty row at the file's start
	event   drumbeat.Time
	line    int
	future  bool // measured after the wall clock: comes last (T7)
	key     string
	payload []byte
	fault   *RowError
	text    string // of a faulty row, cut
}

// before is T7's order of the rows of several files.
func (e *entry) before(o *entry) bool {
	if e.future != o.future {
		return o.future
	}
	log := func(e *entry) int {
		if e.source.log {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(e.arrival, o.arrival),
		cmp.Compare(log(e), log(o)),
		cmp.Compare(e.source.file, o.source.file),
		cmp.Compare(e.line, o.line),
		cmp.Compare(e.source.typ, o.source.typ),
	) < 0
}

// next returns the next entry, valid until the next call, or nil at the end.
type next func() (*entry, error)

// find finds a source's file and checks its header.
func (f *Files) find(g grammar) (*source, error) {
	s := &source{grammar: g, file: g.declare.File, time: -1, known: -1, latest: drumbeat.NoTime}
	if f.opts.Now > 0 {
		s.latest = f.opts.Now.Add(fleet.Ahead)
	}
	var err error
	if s.clock, err = newClock(g.declare); err != nil {
		return nil, err
	}
	rows, closer, err := f.read(s)
	if err != nil {
		return nil, err
	}
	defer closer.Close()
	header, fault, err := rows.next()
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the header of %s: %w", s.file, err)
	}
	if err == nil && fault == "" {
		return s, s.header(header)
	}
	if fault == "" {
		fault = "is empty: the first row must name the columns"
	}
	return nil, &RowError{File: s.file, Line: max(1, rows.start), Reason: fault}
}

// read opens the file, unpacked.
func (f *Files) read(s *source) (*lines, io.Closer, error) {
	file, err := f.fsys.Open(s.file)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, fmt.Errorf("open %s: no such file (the fleet file names it under import): %w",
				s.file, drumbeat.ErrNotFound)
		}
		return nil, nil, fmt.Errorf("open %s: %w", s.file, err)
	}
	if !isGzip(s.file) {
		return newLines(file), file, nil
	}
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("unpack %s: %w", s.file, err), file.Close())
	}
	return newLines(unpacked), file, nil
}

// header finds every column that the source needs.
func (s *source) header(names []string) error {
	header := make([]string, len(names))
	for i, name := range names {
		header[i] = strings.TrimSpace(name)
	}
	s.columns = len(header)
	var faults []error
	find := func(column string) int {
		at := -1
		for i, name := range header {
			if name != column {
				continue
			}
			if at >= 0 {
				faults = append(faults, &RowError{File: s.file, Line: 1, Reason: fmt.Sprintf("the column %q is there twice", column)})
			}
			at = i
		}
		if at < 0 {
			faults = append(faults, &RowError{File: s.file, Line: 1, Reason: missing(column, header)})
		}
		return at
	}
	s.machine = find(s.declare.Machine)
	if s.timeKey != "" {
		s.time = find(s.declare.Time)
		if s.declare.KnownAt != "" {
			s.known = find(s.declare.KnownAt)
		}
	}
	for i := range s.members {
		s.members[i].index = find(s.members[i].column)
	}
	return errors.Join(faults...)
}

// stream reads the source's rows in the order of the file; it is closed at
// their end, or by Files.Close.
func (f *Files) stream(ctx context.Context, s *source) (next, error) {
	rows, closer, err := f.read(s)
	if err != nil {
		return nil, err
	}
	f.open[closer] = true
	if _, _, err := rows.next(); err != nil {
		return nil, fmt.Errorf("read the header of %s: %w", s.file, err)
	}
	one := &entry{source: s}
	last := drumbeat.NoTime // arrival of the last row that has one
	keys := map[string]string{}
	ended := false
	return func() (*entry, error) {
		if ended || ctx.Err() != nil {
			return nil, ctx.Err()
		}
		fields, fault, err := rows.next()
		if err != nil {
			ended = true
			delete(f.open, closer)
			if err = errors.Join(notEnd(err), closer.Close()); err != nil {
				return nil, fmt.Errorf("read %s after line %d: %w", s.file, rows.line, err)
			}
			return nil, nil
		}
		*one = entry{source: s, arrival: last, line: rows.start, payload: one.payload}
		if fault != "" {
			one.fault = &RowError{Reason: fault}
		} else {
			one.fault = s.parse(fields, one, keys)
		}
		switch {
		case one.fault != nil:
			one.fault.File, one.fault.Line = s.file, one.line
			one.arrival, one.key, one.text = last, "", cut(rows.raw)
		case !one.future:
			last = one.arrival
		}
		return one, nil
	}, nil
}

func notEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// cut keeps of a faulty row what a dead letter shows.
func cut(raw []byte) string {
	const kept = 64 << 10
	return strings.ToValidUTF8(string(raw[:min(len(raw), kept)]), "\ufffd")
}

// parse fills the entry from a row's fields, unless it returns a fault.
func (s *source) parse(fields []string, one *entry, keys map[string]string) *RowError {
	if len(fields) != s.columns {
		return &RowError{Reason: fmt.Sprintf("has %d fields where the header has %d", len(fields), s.columns)}
	}
	id := strings.TrimSpace(fields[s.machine])
	if id == "" {
		return &RowError{Column: s.declare.Machine, Reason: "must name the machine (got nothing)"}
	}
	one.key = intern(keys, id)
	payload := appendText(append(one.payload[:0], `{"machine_id":`...), id)
	arrival := one.arrival
	if s.time >= 0 {
		var fault *RowError
		if arrival, fault = s.times(fields, one); fault != nil {
			return fault
		}
		payload = append(appendText(append(payload, ','), s.timeKey), ':', '"')
		payload = append(one.event.Std().AppendFormat(payload, time.RFC3339Nano), '"')
	}
	for i := range s.members {
		m := &s.members[i]
		cell := strings.TrimSpace(fields[m.index])
		var wrong string
		payload, wrong = appendValue(append(payload, m.key...), m.kind, cell)
		if wrong != "" {
			return &RowError{Column: m.column, Reason: fmt.Sprintf("%s (got %q)", wrong, cutCell(cell))}
		}
	}
	one.payload = append(payload, '}')
	one.arrival = arrival
	one.future = s.latest != drumbeat.NoTime && s.time >= 0 && one.event > s.latest
	return nil
}

// times reads when a row was measured and when it was known (T7).
func (s *source) times(fields []string, one *entry) (arrival drumbeat.Time, fault *RowError) {
	read := func(index int, column string) (drumbeat.Time, *RowError) {
		cell := strings.TrimSpace(fields[index])
		t, ok := s.clock.read(cell)
		if !ok {
			return 0, &RowError{Column: column, Reason: fmt.Sprintf("must be %s (got %q)", s.clock.want(), cutCell(cell))}
		}
		return t, nil
	}
	if one.event, fault = read(s.time, s.declare.Time); fault != nil {
		return 0, fault
	}
	if s.known < 0 {
		return one.event.Cut().Add(s.declare.KnownAfter).Cut(), nil
	}
	arrival, fault = read(s.known, s.declare.KnownAt)
	return arrival.Cut(), fault
}

func cutCell(cell string) string {
	const shown = 60
	if runes := []rune(cell); len(runes) > shown {
		return string(runes[:shown]) + "…"
	}
	return cell
}

// intern shares the texts of machine ids, of which there are few.
func intern(keys map[string]string, id string) string {
	const most = 100_000
	if shared, ok := keys[id]; ok {
		return shared
	}
	if len(keys) < most {
		id = strings.Clone(id) // not with the row around it
		keys[id] = id
	}
	return id
}
