package propose_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleet/propose"
	"drumbeat/ingest/files"
)

var update = flag.Bool("update", false, "rewrite the expected output under testdata")

// world is a small fleet whose files a test writes as it likes.
type world struct {
	machines  int
	start     time.Time
	days      int
	cadence   time.Duration
	layout    string
	delim     string
	comma     bool // decimal commas
	extra     []column
	header    []string // of the telemetry's machine, time, temp, press
	fails     map[string][]time.Time
	random    *rand.Rand
	failTypes []string
}

// column is a further column of the telemetry.
type column struct {
	name string
	cell func(w *world, machine string, at time.Time, row int) string
}

func newWorld() *world {
	w := &world{
		machines: 8, start: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), days: 120, cadence: 6 * time.Hour, layout: time.RFC3339,
		delim: ",", header: []string{"machine_id", "timestamp", "temperature_c", "pressure"}, random: rand.New(rand.NewPCG(7, 7)),
		fails: map[string][]time.Time{}, failTypes: []string{"bearing", "seal"},
	}
	for m := range w.machines {
		for day := 5 + m; day < w.days; day += 12 {
			w.fails[w.id(m)] = append(w.fails[w.id(m)], w.start.AddDate(0, 0, day).Add(5*time.Hour))
		}
	}
	return w
}

func (w *world) id(m int) string { return fmt.Sprintf("M-%02d", m+1) }

func (w *world) number(x float64) string {
	text := fmt.Sprintf("%.2f", x)
	if w.comma {
		text = strings.Replace(text, ".", ",", 1)
	}
	return text
}

// sinceFailure returns the hours since the machine's last failure and until
// its next, -1 without one.
func (w *world) around(machine string, at time.Time) (since, until float64) {
	since, until = -1, -1
	for _, f := range w.fails[machine] {
		if !f.After(at) {
			since = at.Sub(f).Hours()
		} else if until < 0 {
			until = f.Sub(at).Hours()
		}
	}
	return since, until
}

func (w *world) row(cells ...string) string { return strings.Join(cells, w.delim) + "\n" }

func (w *world) telemetry() string {
	var b strings.Builder
	header := slices.Clone(w.header)
	for _, c := range w.extra {
		header = append(header, c.name)
	}
	b.WriteString(w.row(header...))
	n := 0
	for at := w.start; at.Before(w.start.AddDate(0, 0, w.days)); at = at.Add(w.cadence) {
		for m := range w.machines {
			id := w.id(m)
			cells := []string{
				id, at.Format(w.layout), w.number(60 + 8*w.random.NormFloat64()), w.number(4 + w.random.Float64()),
			}
			for _, c := range w.extra {
				cells = append(cells, c.cell(w, id, at, n))
			}
			b.WriteString(w.row(cells...))
			n++
		}
	}
	return b.String()
}

func (w *world) failures() string {
	var b strings.Builder
	b.WriteString(w.row("machine_id", "failed_at", "failure_type"))
	for m := range w.machines {
		for i, at := range w.fails[w.id(m)] {
			b.WriteString(w.row(w.id(m), at.Format(w.layout), w.failTypes[i%len(w.failTypes)]))
		}
	}
	return b.String()
}

func (w *world) maintenance() string {
	var b strings.Builder
	b.WriteString(w.row("machine_id", "done_at", "maintenance_type", "part"))
	for m := range w.machines {
		for i, at := range w.fails[w.id(m)] {
			kind := []string{"scheduled", "unscheduled"}[i%2]
			b.WriteString(w.row(w.id(m), at.Add(8*time.Hour).Format(w.layout), kind, fmt.Sprintf("part %d", w.random.IntN(90))))
		}
	}
	return b.String()
}

func (w *world) machinesFile() string {
	var b strings.Builder
	b.WriteString(w.row("machine_id", "model", "age_months", "serial_number", "installed"))
	for m := range w.machines {
		b.WriteString(w.row(w.id(m), []string{"A1", "B 2"}[m%2], strconv.Itoa(10+m*7), fmt.Sprintf("S%d", 1000+m*m), "2019-04-0"+strconv.Itoa(m+1)))
	}
	return b.String()
}

func (w *world) files() fstest.MapFS {
	return fstest.MapFS{
		"telemetry.csv":   {Data: []byte(w.telemetry())},
		"failures.csv":    {Data: []byte(w.failures())},
		"maintenance.csv": {Data: []byte(w.maintenance())},
		"machines.csv":    {Data: []byte(w.machinesFile())},
	}
}

// proposal proposes, and holds what comes of it to the promise: it loads
// without edits, and the import finds every column.
func proposal(t *testing.T, folder fs.FS) *propose.Proposal {
	t.Helper()
	opts := propose.Options{Folder: "plant 7", Fits: fits}
	p, err := propose.FromFolder(context.Background(), folder, opts)
	if err != nil {
		t.Fatal(err)
	}
	f := load(t, p)
	in, err := files.Open(f, folder, files.Options{})
	if err != nil {
		t.Fatalf("the import does not find what was proposed: %v\n%s", err, text(t, p, fleet.FileName))
	}
	defer in.Close()
	return p
}

// fits says whether a proposed folder loads.
func fits(folder fs.FS) error {
	f, err := fleet.Load(folder, ".")
	if err != nil {
		return err
	}
	_, err = feature.LoadView(folder, ".", f)
	return err
}

func load(t *testing.T, p *propose.Proposal) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Load(p.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feature.LoadView(p.FS(), ".", f); err != nil {
		t.Fatal(err)
	}
	return f
}

// imported counts the rows that the import reads by the proposed fleet file,
// and those that it cannot read.
func imported(t *testing.T, p *propose.Proposal, folder fs.FS) (rows map[string]int, unreadable int) {
	t.Helper()
	in, err := files.Open(load(t, p), folder, files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	rows = map[string]int{}
	for row, err := range in.Rows(context.Background()) {
		if err != nil {
			unreadable++
			continue
		}
		rows[row.Type]++
	}
	return rows, unreadable
}

func text(t *testing.T, p *propose.Proposal, name string) string {
	t.Helper()
	data, err := fs.ReadFile(p.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// said returns the doubts and the reasons of what was left out, a line each.
func said(p *propose.Proposal) string {
	var b strings.Builder
	for _, d := range p.Doubts {
		fmt.Fprintf(&b, "%s: %s\n", d.Place, d.Text)
	}
	for _, l := range p.LeftOut {
		fmt.Fprintf(&b, "left out %s: %s\n", l.Column, l.Reason)
	}
	return b.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func gzipped(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func timeOf(at time.Time) drumbeat.Time { return drumbeat.Time(at.UnixMicro()) }

// records are what the import makes of the folder by the proposal p.
func records(t *testing.T, p *propose.Proposal, folder fs.FS) iter.Seq2[propose.Record, error] {
	t.Helper()
	f := load(t, p)
	if f.Import == nil { // of a topic: its own files say
		f = load(t, proposal(t, folder))
	}
	return func(yield func(propose.Record, error) bool) {
		in, err := files.Open(f, folder, files.Options{})
		if err != nil {
			yield(propose.Record{}, err)
			return
		}
		defer in.Close()
		for row, err := range in.Rows(context.Background()) {
			if !yield(propose.Record{Type: row.Type, Payload: row.Payload}, err) {
				return
			}
		}
	}
}
