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
