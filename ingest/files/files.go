// Package files reads a fleet's history from CSV files, as its fleet file
// declares them, into records for the fleet's topic.
//
// [Open] checks the files and their columns; [Files.Rows] then yields every
// row as a record, in the order in which it became known: machines first, then
// by arrival time, readings before log entries, file and line (T7). Files may
// be in any order of their own and of any size: what does not fit into memory
// is sorted in scratch files. Numbers keep the text that the file gives them.
package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/fleet"
)

// DefaultMemory is how many bytes of rows are sorted in memory at once. The
// year of a hundred machines in hours takes twice that; more would not make
// scratch files faster.
const DefaultMemory = 64 << 20

// Options are what an import may vary.
type Options struct {
	// Now is the wall clock: a row measured more than five minutes after it is
	// yielded last, with an arrival time that makes it a reading from the
	// future (T7). Zero or less: there is no such bound.
	Now drumbeat.Time
	// Memory bounds the bytes of rows held for sorting, per file; 0 is
	// DefaultMemory.
	Memory int
	// Scratch is where rows beyond Memory are sorted; nil is a folder of its own
	// in the system's, removed by Close.
	Scratch *os.Root
}

// Row is one record for the fleet's topic.
type Row struct {
	Type        string // "reading", "machine" or a log's name
	Key         string // the machine
	Payload     []byte // the record's JSON; the row's own text if it has an error
	ArrivalTime drumbeat.Time
	File        string
	Line        int // of the file, from 1; 0 for a machine that no file names
}

// RowError is why a row cannot be read. It is an error of the kind
// drumbeat.ErrInvalid.
type RowError struct {
	File   string
	Line   int
	Column string // "" where it is the whole row
	Reason string
}

// Error writes the fault with its place.
func (e *RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s:%d: %s: %s", e.File, e.Line, e.Column, e.Reason)
}

// Is says that a row that cannot be read is invalid input.
func (e *RowError) Is(target error) bool { return target == drumbeat.ErrInvalid }

// Files are a fleet's files, found and checked.
type Files struct {
	fleet    *fleet.Fleet
	fsys     fs.FS
	opts     Options
	machines *source // nil if the fleet file names none
	timed    []*source
	scratch  *scratch
	open     map[io.Closer]bool
	total    int
}

// Open finds the files that f.Import names in fsys and checks their headers.
// Its error tells of every file that is missing and every column that is not
// there.
func Open(f *fleet.Fleet, fsys fs.FS, opts Options) (*Files, error) {
	if f.Import == nil {
		return nil, fmt.Errorf("import %s: its fleet file says not which files hold what (import:): %w",
			f.Name, drumbeat.ErrInvalid)
	}
	if opts.Memory <= 0 {
		opts.Memory = DefaultMemory
	}
	out := &Files{fleet: f, fsys: fsys, opts: opts, scratch: newScratch(opts.Scratch), open: map[io.Closer]bool{}}
	var faults []error
	add := func(s *source, err error) *source {
		if err != nil {
			faults = append(faults, err)
		}
		return s
	}
	if f.Import.Machines != nil {
		out.machines = add(out.find(machineGrammar(f)))
	}
	out.timed = append(out.timed, add(out.find(readingGrammar(f))))
	for i := range f.Logs {
		if _, ok := f.Import.Logs[f.Logs[i].Name]; ok {
			out.timed = append(out.timed, add(out.find(logGrammar(f, &f.Logs[i]))))
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return out, nil
}

// Close closes the files and removes what sorting left behind.
func (f *Files) Close() error {
	faults := []error{f.scratch.close()}
	for file := range f.open {
		faults = append(faults, file.Close())
	}
	clear(f.open)
	return errors.Join(faults...)
}

// Total returns how many rows there are, machines aside. It is known when the
// first row is yielded, for by then the files have been sorted.
func (f *Files) Total() int { return f.total }

// Rows yields the rows in T7's order. An error of type *RowError concerns its
// row alone, whose Payload then is the row's text, and the rows go on; any
// other error is the last thing yielded.
func (f *Files) Rows(ctx context.Context) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		e := emitter{files: f, yield: yield, last: drumbeat.NoTime}
		if err := e.run(ctx); err != nil && !errors.Is(err, errStopped) {
			yield(Row{}, err)
		}
	}
}

var errStopped = errors.New("the consumer wants no more rows")

// emitter turns entries into rows and hands them on.
type emitter struct {
	files *Files
	yield func(Row, error) bool
	last  drumbeat.Time   // the greatest arrival time so far
	seen  map[string]bool // machines introduced, where no file names them
	arena []byte
}

func (e *emitter) run(ctx context.Context) error {
	first := drumbeat.NoTime
	e.files.total = 0
	var sorted []next
	for _, s := range e.files.timed {
		in, earliest, err := e.files.sort(ctx, s)
		if err != nil {
			return err
		}
		if earliest != drumbeat.NoTime && (first == drumbeat.NoTime || earliest < first) {
			first = earliest
		}
		sorted = append(sorted, in)
	}
	if first == drumbeat.NoTime {
		first = 0 // no row has a time: any will do, if it is always the same
	}
	e.last = first
	if err := e.machines(ctx); err != nil {
		return err
	}
	merged := merge(sorted, func(a, b *entry) bool { return a.before(b) })
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		one, err := merged()
		if err != nil || one == nil {
			return err
		}
		if err := e.entry(one); err != nil {
			return err
		}
	}
}

// machines yields the machines' records, as known before everything else.
func (e *emitter) machines(ctx context.Context) error {
	if e.files.machines == nil {
		e.seen = map[string]bool{}
		return nil
	}
	in, err := e.files.stream(ctx, e.files.machines)
	if err != nil {
		return err
	}
	for {
		one, err := in()
		if err != nil || one == nil {
			return err
		}
		one.arrival = e.last
		if err := e.entry(one); err != nil {
			return err
		}
	}
}

// entry yields one entry, with its machine before it if nobody declared it.
func (e *emitter) entry(one *entry) error {
	row := Row{Type: one.source.typ, Key: one.key, File: one.source.file, Line: one.line}
	row.ArrivalTime = e.arrival(one)
	if one.fault != nil {
		row.Payload = e.keep([]byte(one.text))
		return e.give(row, one.fault)
	}
	if e.seen != nil && !e.seen[one.key] {
		e.seen[one.key] = true
		machine := row
		machine.Type, machine.Line = fleet.TypeMachine, 0
		machine.Payload = append(appendText([]byte(`{"machine_id":`), one.key), '}')
		if err := e.give(machine, nil); err != nil {
			return err
		}
	}
	row.Payload = e.keep(one.payload)
	return e.give(row, nil)
}

// arrival returns when the entry was known. One that was measured after the
// wall clock comes last and arrives before it was measured, for wall time is
// never an arrival time here (T7).
func (e *emitter) arrival(one *entry) drumbeat.Time {
	switch {
	case one.future:
		return min(e.last, one.event.Cut().Add(-fleet.Ahead)-1000)
	case one.arrival == drumbeat.NoTime: // a faulty row before all others
		return e.last
	}
	e.last = max(e.last, one.arrival)
	return one.arrival
}

func (e *emitter) give(row Row, err error) error {
	if !e.yield(row, err) {
		return errStopped
	}
	return nil
}

// keep copies a payload into memory that the row owns.
func (e *emitter) keep(payload []byte) []byte {
	const chunk = 64 << 10
	if len(e.arena)+len(payload) > cap(e.arena) {
		e.arena = make([]byte, 0, max(chunk, len(payload)))
	}
	at := len(e.arena)
	e.arena = append(e.arena, payload...)
	return slices.Clip(e.arena[at:])
}

// missing describes a column that the header lacks.
func missing(column string, header []string) string {
	return fmt.Sprintf("the column %q is missing%s", column, fleet.Suggest(column, header))
}

// isGzip says whether a file is gzipped, by its name.
func isGzip(name string) bool { return strings.HasSuffix(strings.ToLower(name), ".gz") }
