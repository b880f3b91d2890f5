// Package propose proposes a fleet folder from real data: fleet.yaml and
// features.yaml, with its doubts as comments, and says whether the data can
// foretell anything yet.
//
// What a table is to the fleet (telemetry, a log, the machines' own table) and
// what its columns are is recognized by the values; names are hints. Tables
// are read twice, a sample first and then to the end, and what is kept of them
// does not grow with their rows. [FromFolder] reads delimited files,
// [FromRecords] the decoded records of a topic.
package propose

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// ViewFile is the file beside fleet.yaml that lists the features.
const ViewFile = "features.yaml"

// Options are what a proposal may vary.
type Options struct {
	// Name is the fleet's name; "" makes it of Folder.
	Name string
	// Folder is what the folder or topic is called, for the name.
	Folder string
	// File is the one file to read, "" for all of the folder's.
	File string
	// Horizon is how far ahead a failure counts; 0 is 7 days.
	Horizon time.Duration
	// Now is the wall clock: the import sets aside what was measured later (T7).
	// NoTime, and 0, is no bound.
	Now drumbeat.Time
	// Fits says whether a proposal's files load, by limits that other packages
	// know, such as the size of a record (S1); a leaner proposal follows one
	// that does not. Nil asks only fleet.Load.
	Fits func(folder fs.FS) error
}

// Proposal is a fleet folder, and what was found on the way to it.
type Proposal struct {
	Fleet     string    `json:"fleet"`
	Files     []File    `json:"files"`
	Sensors   []string  `json:"sensors"`
	LeftOut   []LeftOut `json:"left_out,omitempty"`
	Doubts    []Doubt   `json:"doubts,omitempty"`
	Readiness Readiness `json:"readiness"`
	// Importable says whether `drumbeat import` reads the files as they are.
	Importable bool `json:"importable"`

	fleetYAML, featuresYAML []byte
}

// File is what a file, or the records of one type, is to the fleet.
type File struct {
	Name       string `json:"name"`
	Role       string `json:"role"` // telemetry, machines, a log's name, unused
	Rows       int    `json:"rows"`
	Unreadable int    `json:"unreadable_rows,omitempty"`
	Machine    string `json:"machine_column,omitempty"`
	Time       string `json:"time_column,omitempty"`
	TimeFormat string `json:"time_format,omitempty"`
}

// LeftOut is a column that is no sensor, and why.
type LeftOut struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
}

// Doubt is something that a person must decide. Place is what it concerns: a
// file, a sensor, a key of fleet.yaml.
type Doubt struct {
	Place string `json:"place"`
	Text  string `json:"text"`
}

// FromFolder proposes a fleet from the delimited files of a folder, plain or
// gzipped. It never leaves fsys: give it an os.Root's.
func FromFolder(ctx context.Context, fsys fs.FS, opts Options) (*Proposal, error) {
	tables, notes, err := openTables(fsys, opts.File)
	if err != nil {
		return nil, err
	}
	d := newDraft(opts)
	for _, note := range notes {
		d.doubt("files", "%s", note)
	}
	return d.propose(ctx, tables)
}

// draft is a proposal in the making.
type draft struct {
	opts      Options
	out       Proposal
	records   bool // of a topic: there is no import
	horizon   time.Duration
	cadence   time.Duration
	sheets    []*sheet
	telemetry *profile
	machines  *profile
	logs      []*profile
	failed    *failures
	complete  drumbeat.Time // to when the failure log is taken as complete
	sensors   []sensor
	static    []attribute
	logbooks  []logbook
	running   string
	active    bool // running is clear enough to hold
	names     map[string]bool
	knownFor  time.Duration // known_after of the telemetry
	knownWhy  string
}

func newDraft(opts Options) *draft {
	d := &draft{opts: opts, horizon: cmp.Or(opts.Horizon, 7*strict.Day), names: map[string]bool{}}
	d.failed = &failures{of: map[string][]drumbeat.Time{}, horizon: d.horizon, last: drumbeat.NoTime}
	d.out.Importable = true
	return d
}

func (d *draft) doubt(place, format string, args ...any) {
	d.out.Doubts = append(d.out.Doubts, Doubt{place, fmt.Sprintf(format, args...)})
}

// propose reads the tables and writes the files.
func (d *draft) propose(ctx context.Context, tables []*table) (*Proposal, error) {
	for _, t := range tables {
		s, err := look(ctx, t)
		if err != nil {
			return nil, err
		}
		d.sheets = append(d.sheets, s)
	}
	assign(d.sheets)
	d.orders()
	if err := d.read(ctx); err != nil {
		return nil, err
	}
	d.out.Fleet = fleetName(cmp.Or(d.opts.Name, d.opts.Folder))
	if d.opts.Name != "" && d.out.Fleet != d.opts.Name {
		return nil, fmt.Errorf("name the fleet %q: a name is lower-case letters, digits and -, a letter first: %w",
			d.opts.Name, drumbeat.ErrInvalid)
	}
	d.describe()
	if len(d.sensors) == 0 {
		var reasons []string
		for _, out := range d.out.LeftOut {
			reasons = append(reasons, out.Column+" "+out.Reason)
		}
		return nil, fmt.Errorf("propose a fleet: no column of %s can be a sensor (%s): %w",
			d.telemetry.name, strings.Join(reasons, "; "), drumbeat.ErrInvalid)
	}
	minHistory := d.minHistory()
	d.out.Readiness = readiness(d.telemetry, d.failed, d.horizon, minHistory)
	d.out.Readiness.RowsAfterLast = d.telemetry.afterLast
	d.completeness()
	if err := d.write(minHistory); err != nil {
		return nil, err
	}
	return &d.out, nil
}

// orders lets a file that proves the order of day and month decide for those
// that do not.
func (d *draft) orders() {
	american := false
	proven := false
	for _, s := range d.sheets {
		if s.time < 0 || s.cols[s.time].format.other == "" || !s.cols[s.time].proven {
			continue
		}
		proven, american = true, strings.HasPrefix(s.cols[s.time].format.layout, "1")
	}
	for _, s := range d.sheets {
		if s.time < 0 || s.cols[s.time].format.other == "" || s.cols[s.time].proven {
			continue
		}
		if proven && american != strings.HasPrefix(s.cols[s.time].format.layout, "1") {
			s.cols[s.time].format = s.cols[s.time].format.otherWay()
		}
	}
}

// read reads the tables to their ends: the failures first, for the telemetry
// is looked at around them.
func (d *draft) read(ctx context.Context) error {
	telemetry := d.chooseTelemetry()
	if telemetry == nil {
		return d.noTelemetry()
	}
	machines := d.chooseMachines()
	taken := map[string]*sheet{}
	for _, s := range d.sheets {
		if s.role != roleLog {
			continue
		}
		if other := taken[s.log]; other == nil || s.size > other.size {
			taken[s.log] = s
		}
	}
	for _, s := range d.sheets {
		if s.role == roleLog && taken[s.log] != s {
			d.doubt(s.name, "has the same columns as %s, which was used: the import reads one file a log, so join them", taken[s.log].name)
			s.role = roleNone
		}
	}
	for _, s := range d.sheets {
		if s.role != roleLog && s != machines {
			continue
		}
		p, err := scan(ctx, s, nil, d.latest())
		if err != nil {
			return err
		}
		if s == machines {
			d.machines = p
		} else {
			d.logs = append(d.logs, p)
		}
	}
	slices.SortStableFunc(d.logs, func(a, b *profile) int { return cmp.Compare(logRank(a.log), logRank(b.log)) })
	d.failures()
	var err error
	if d.telemetry, err = scan(ctx, telemetry, d.failed, d.latest()); err != nil {
		return err
	}
	if len(d.telemetry.order) == 0 {
		return fmt.Errorf("propose a fleet: none of the %d rows of %s can be read: %w",
			d.telemetry.read, telemetry.name, drumbeat.ErrInvalid)
	}
	if p, kind := d.telemetry, d.telemetry.typeColumn(); kind >= 0 && p.cols[kind].kind == kindText && p.conflicts*3 > p.steps {
		return fmt.Errorf("propose a fleet: %s has a row for each sensor (its column %s says which): the import reads a column for each, "+
			"so turn it round first: %w", p.name, p.cols[kind].name, drumbeat.ErrInvalid)
	}
	d.listFiles()
	return nil
}

// latest is the time after which a row is one from the future.
func (d *draft) latest() drumbeat.Time {
	if d.opts.Now <= 0 {
		return drumbeat.NoTime
	}
	return d.opts.Now.Add(fleet.Ahead)
}

// logRank puts failures first, then maintenance.
func logRank(name string) int {
	switch name {
	case fleet.FailureLog:
		return 0
	case fleet.MaintenanceLog:
		return 1
	}
	return 2
}

// chooseTelemetry returns the sheet of readings: of several the most regular,
// and of several with the same columns the largest.
func (d *draft) chooseTelemetry() *sheet {
	var best *sheet
	for _, s := range d.sheets {
		if s.role != roleTelemetry {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(telemetryRank(s), telemetryRank(best)), cmp.Compare(s.size, best.size)) > 0 {
			best = s
		}
	}
	for _, s := range d.sheets {
		if s.role != roleTelemetry || s == best {
			continue
		}
		s.role = roleNone
		if sameColumns(s.table, best.table) {
			d.doubt(s.name, "has the same columns as %s, the larger file, which was used: the import reads one telemetry file, "+
				"so join them", best.name)
		} else {
			d.doubt(s.name, "looks like telemetry too, but %s was used: the import reads one telemetry file a fleet", best.name)
		}
	}
	return best
}

func telemetryRank(s *sheet) int {
	rank := 0
	if hasPart(wordsOf(s.name), "telemetry", "sensor", "reading", "measure", "scada") {
		rank += 2
	}
	if s.regular >= 0.5 {
		rank++
	}
	return rank
}

// chooseMachines returns the machines' own table, nil if there is none.
func (d *draft) chooseMachines() *sheet {
	var best *sheet
	for _, s := range d.sheets {
		if s.role != roleMachines {
			continue
		}
		if best == nil {
			best = s
			continue
		}
		s.role = roleNone
		d.doubt(s.name, "has one row a machine, as %s, which was used: the import reads one machines file, so join them", best.name)
	}
	return best
}

// noTelemetry says why there is nothing to propose.
func (d *draft) noTelemetry() error {
	var found []string
	for _, s := range d.sheets {
		switch {
		case len(s.rows0) == 0:
			found = append(found, s.name+" has no rows")
		case s.machine < 0:
			found = append(found, s.name+" has no column that names the machine (every row must; one machine too)")
		case s.time < 0:
			found = append(found, s.name+" has no column of times that can be read")
		default:
			found = append(found, fmt.Sprintf("%s looks like %s", s.name, cmp.Or(s.log, s.role.String())))
		}
	}
	return fmt.Errorf("propose a fleet: no telemetry was found, which has a column of the machine, one of the time and numbers (%s): %w",
		strings.Join(found, "; "), drumbeat.ErrInvalid)
}

// failures collects when machines failed: several entries at one time are one
// event (L1).
func (d *draft) failures() {
	for _, p := range d.logs {
		if p.log != fleet.FailureLog {
			continue
		}
		for _, e := range p.entries {
			d.failed.of[e.machine] = append(d.failed.of[e.machine], e.time)
			d.failed.last = max(d.failed.last, e.time)
		}
	}
	for id, times := range d.failed.of {
		slices.Sort(times)
		d.failed.of[id] = slices.Compact(times)
	}
}

func (d *draft) listFiles() {
	read := map[*sheet]*profile{d.telemetry.sheet: d.telemetry}
	if d.machines != nil {
		read[d.machines.sheet] = d.machines
	}
	for _, p := range d.logs {
		read[p.sheet] = p
	}
	for _, s := range d.sheets {
		f := File{Name: s.name, Role: s.role.String(), Rows: len(s.rows0)}
		if s.role == roleLog {
			f.Role = s.log
		}
		if p := read[s]; p != nil {
			f.Rows, f.Unreadable = p.read, p.unreadable
		} else {
			f.Role = roleNone.String()
		}
		if s.machine >= 0 {
			f.Machine = s.cols[s.machine].name
		}
		if s.time >= 0 && s.role != roleMachines {
			f.Time, f.TimeFormat = s.cols[s.time].name, s.cols[s.time].format.layout
		}
		d.out.Files = append(d.out.Files, f)
	}
}

// fleetName makes a fleet's name of a text.
func fleetName(text string) string {
	text = strings.ToLower(text)
	for _, end := range []string{".gz", ".csv", ".tsv", ".txt"} {
		text = strings.TrimSuffix(text, end)
	}
	return strings.ReplaceAll(identifier(text, "fleet"), "_", "-")
}

// FS returns the proposed folder: fleet.yaml and features.yaml.
func (p *Proposal) FS() fs.FS {
	return memory{fleet.FileName: p.fleetYAML, ViewFile: p.featuresYAML}
}

// Write writes the folder's files. It replaces none: if one is there already
// nothing is written, and the error is of the kind drumbeat.ErrConflict.
func (p *Proposal) Write(folder *os.Root) error {
	names := []string{fleet.FileName, ViewFile}
	for _, name := range names {
		if _, err := folder.Lstat(name); err == nil {
			return fmt.Errorf("write %s: it is there already, and a proposal replaces nothing; choose another folder: %w",
				name, drumbeat.ErrConflict)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	for _, name := range names {
		text, err := fs.ReadFile(p.FS(), name)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		file, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		_, err = file.Write(text)
		if err := errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
