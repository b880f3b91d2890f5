package files_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/ingest/files"
)

const pumps = `
fleet: pumps
cadence: 1h
sensors:
  - {name: flow, field: f, min: 0, max: 100, decimals: 2}
  - {name: heat, min: 0, max: 100, decimals: 1}
static: [{name: hall, type: category}, {name: built, type: number}]
logs:
  failure: {time: when, type: mode, detail: note, id: ticket}
  service: {type: kind}
import:
  telemetry: {file: t.csv, machine: pump, time: at, columns: {heat: Heat}}
  machines: {file: m.csv, machine: pump, columns: {built: year}}
  logs:
    failure: {file: f.csv.gz, machine: pump, known_after: 1h, columns: {revision: rev, withdrawn: gone}}
    service: {file: s.csv, machine: pump, time: day, time_format: "02.01.2006 15:04", zone: Europe/Berlin, known_at: seen}
`

func define(t testing.TB, text string) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Load(fstest.MapFS{"fleet.yaml": {Data: []byte(text)}}, ".")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func packed(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write([]byte(text)); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func history() fstest.MapFS {
	return fstest.MapFS{
		"m.csv": {Data: []byte("pump,hall,year\n1,north,2019\n2,\"a \"\"b\"\"\",\n")},
		"t.csv": {Data: []byte("pump,at,flow,Heat,ignored\n" +
			"1,2026-01-31 06:00:00,007.50,,x\n" +
			"1,2026-01-31 08:00:00.25,+1e1,NaN,\n" +
			"2,2026-01-31T06:00:00Z,.5,60.0000000000000000000001,\n")},
		"f.csv.gz": {Data: packed("pump,when,mode,note,ticket,rev,gone\n" +
			"1,2026-01-31 05:00:00,seal,,7,2,yes\n")},
		"s.csv": {Data: []byte("pump,day,kind,seen\r\n" +
			"2,31.01.2026 07:00,oil,31.01.2026 09:00\r\n")},
	}
}

// row is what a test compares.
func row(r files.Row, err error) string {
	out := fmt.Sprintf("%s %s:%d %s %s %s", r.ArrivalTime.Std().Format(time.DateTime), r.File, r.Line, r.Type, r.Key, r.Payload)
	if err != nil {
		out += " | " + err.Error()
	}
	return out
}

func rows(t testing.TB, f *fleet.Fleet, fsys fs.FS, opts files.Options) []string {
	t.Helper()
	in, err := files.Open(f, fsys, opts)
	if err != nil {
		t.Fatal(err)
	}
	var all []files.Row // what a row holds stays, while others follow
	var errs []error
	for r, err := range in.Rows(t.Context()) {
		all, errs = append(all, r), append(errs, err)
	}
	var out []string
	for i := range all {
		out = append(out, row(all[i], errs[i]))
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	return out
}

func TestRowsComeAsTheyBecameKnown(t *testing.T) {
	want := []string{
		`2026-01-31 06:00:00 m.csv:2 machine 1 {"machine_id":"1","hall":"north","built":2019}`,
		`2026-01-31 06:00:00 m.csv:3 machine 2 {"machine_id":"2","hall":"a \"b\"","built":null}`,
		`2026-01-31 06:00:00 t.csv:2 reading 1 {"machine_id":"1","timestamp":"2026-01-31T06:00:00Z","f":7.50,"heat":null}`,
		`2026-01-31 06:00:00 t.csv:4 reading 2 {"machine_id":"2","timestamp":"2026-01-31T06:00:00Z","f":0.5,"heat":60.0000000000000000000001}`,
		`2026-01-31 06:00:00 f.csv.gz:2 failure 1 {"machine_id":"1","when":"2026-01-31T05:00:00Z","mode":"seal","note":null,"ticket":"7","revision":2,"withdrawn":true}`,
		`2026-01-31 08:00:00 s.csv:2 service 2 {"machine_id":"2","timestamp":"2026-01-31T06:00:00Z","kind":"oil"}`,
		`2026-01-31 08:00:00 t.csv:3 reading 1 {"machine_id":"1","timestamp":"2026-01-31T08:00:00.25Z","f":1e1,"heat":null}`,
	}
	f := define(t, pumps)
	if diff := gocmp.Diff(want, rows(t, f, history(), files.Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(want, rows(t, f, history(), files.Options{Memory: 1})); diff != "" {
		t.Errorf("sorted on disk (-want +got):\n%s", diff)
	}
	in, err := files.Open(f, history(), files.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := fleet.NewDecoder(f)
	for r, err := range in.Rows(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		if _, err := d.Decode(fleet.Form{Type: r.Type}, r.Payload, nil); err != nil {
			t.Errorf("%s cannot be decoded: %v", r.Payload, err)
		}
	}
	if in.Total() != 5 {
		t.Errorf("got a total of %d, want 5", in.Total())
	}
}

func TestARowThatCannotBeReadIsNamedAndTheRestGoesOn(t *testing.T) {
	fsys := history()
	fsys["m.csv"] = &fstest.MapFile{Data: []byte("pump,hall,year\n1,north,new\n")}
	fsys["t.csv"] = &fstest.MapFile{Data: []byte("pump,at,flow,Heat\n" +
		"1,yesterday,1,1\n,2026-01-31 06:00:00,1,1\n1,2026-01-31 06:00:00,1\n1,2026-01-31 06:00:00,1,hot\n" +
		"1,2026-01-31 07:00:00,1,1\n1,\"2026-01-31 08:00:00,1,1\n1,2026-01-31 09:00:00,1,1\n")}
	fsys["f.csv.gz"] = &fstest.MapFile{Data: packed("pump,when,mode,note,ticket,rev,gone\n" +
		"1,2026-01-31 05:00:00,seal,,7,-1,yes\n1,2026-01-31 06:00:00,seal,,7,1,perhaps\n")}
	fsys["s.csv"] = &fstest.MapFile{Data: []byte("pump,day,kind,seen\n2,31.01.2026 07:00,oil,\n")}
	want := []string{
		`2026-01-31 07:00:00 m.csv:2 machine  1,north,new | m.csv:2: year: must be a number or empty (got "new")`,
		`2026-01-31 07:00:00 t.csv:2 reading  1,yesterday,1,1 | t.csv:2: at: must be a time such as 2026-01-31T06:00:00Z or 2026-01-31 06:00:00 (got "yesterday")`,
		`2026-01-31 07:00:00 t.csv:3 reading  ,2026-01-31 06:00:00,1,1 | t.csv:3: pump: must name the machine (got nothing)`,
		`2026-01-31 07:00:00 t.csv:4 reading  1,2026-01-31 06:00:00,1 | t.csv:4: has 3 fields where the header has 4`,
		`2026-01-31 07:00:00 t.csv:5 reading  1,2026-01-31 06:00:00,1,hot | t.csv:5: Heat: must be a number or empty (got "hot")`,
		`2026-01-31 07:00:00 f.csv.gz:2 failure  1,2026-01-31 05:00:00,seal,,7,-1,yes | f.csv.gz:2: rev: must be a whole number from 0 or empty (got "-1")`,
		`2026-01-31 07:00:00 f.csv.gz:3 failure  1,2026-01-31 06:00:00,seal,,7,1,perhaps | f.csv.gz:3: gone: must be true, false or empty (got "perhaps")`,
		`2026-01-31 07:00:00 s.csv:2 service  2,31.01.2026 07:00,oil, | s.csv:2: seen: must be a time such as 31.01.2026 06:00 (got "")`,
		`2026-01-31 07:00:00 t.csv:6 reading 1 {"machine_id":"1","timestamp":"2026-01-31T07:00:00Z","f":1,"heat":1}`,
		`2026-01-31 07:00:00 t.csv:7 reading  1,"2026-01-31 08:00:00,1,1 | t.csv:7: opens a quote that never closes`,
		`2026-01-31 09:00:00 t.csv:8 reading 1 {"machine_id":"1","timestamp":"2026-01-31T09:00:00Z","f":1,"heat":1}`,
	}
	for _, memory := range []int{0, 1, 700} {
		got := rows(t, define(t, pumps), fsys, files.Options{Memory: memory})
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("with %d bytes (-want +got):\n%s", memory, diff)
		}
	}
}

func TestARowBeyondTheWallClockComesLastAndFromTheFuture(t *testing.T) {
	now := drumbeat.At(time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC))
	f := define(t, pumps)
	for _, memory := range []int{0, 1} {
		got := rows(t, f, history(), files.Options{Now: now, Memory: memory})
		want := `2026-01-31 07:55:00 t.csv:3 reading 1 {"machine_id":"1","timestamp":"2026-01-31T08:00:00.25Z","f":1e1,"heat":null}`
		if last := got[len(got)-1]; last != want {
			t.Errorf("got %s last, want %s", last, want)
		}
	}
	in, err := files.Open(f, history(), files.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	d, j := fleet.NewDecoder(f), fleet.NewJudge(f)
	fates := map[drumbeat.Fate]int{}
	for r, err := range in.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		items, err := d.Decode(fleet.Form{Type: r.Type}, r.Payload, nil)
		if err != nil {
			t.Fatal(err)
		}
		items[0].ArrivalTime = r.ArrivalTime
		fate, _ := j.Judge(&items[0])
		fates[fate]++
	}
	if diff := gocmp.Diff(map[drumbeat.Fate]int{drumbeat.FateKept: 6, drumbeat.FateFuture: 1}, fates); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAFaultyRowBehindOneFromTheFutureMovesNoClock(t *testing.T) {
	fsys := fstest.MapFS{"t.csv": {Data: []byte("machine_id,timestamp,flow\n" +
		"a,2026-01-31 06:00:00,1\na,2027-01-31 06:00:00,1\na,2026-01-31 06:30:00\na,2026-01-31 06:30:00,1\n")}}
	want := []string{
		`2026-01-31 06:00:00 t.csv:0 machine a {"machine_id":"a"}`,
		`2026-01-31 06:00:00 t.csv:2 reading a {"machine_id":"a","timestamp":"2026-01-31T06:00:00Z","flow":1}`,
		`2026-01-31 06:00:00 t.csv:4 reading  a,2026-01-31 06:30:00 | t.csv:4: has 2 fields where the header has 3`,
		`2026-01-31 06:30:00 t.csv:5 reading a {"machine_id":"a","timestamp":"2026-01-31T06:30:00Z","flow":1}`,
		`2026-01-31 06:30:00 t.csv:3 reading a {"machine_id":"a","timestamp":"2027-01-31T06:00:00Z","flow":1}`,
	}
	now := drumbeat.At(time.Date(2026, 1, 31, 7, 0, 0, 0, time.UTC))
	if diff := gocmp.Diff(want, rows(t, define(t, least), fsys, files.Options{Now: now})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWrongFilesAreToldAllAtOnce(t *testing.T) {
	fsys := history()
	delete(fsys, "m.csv")
	fsys["t.csv"] = &fstest.MapFile{Data: []byte("pump,At,flow,flow,heat\n")}
	fsys["f.csv.gz"] = &fstest.MapFile{Data: []byte("this is not gzip")}
	fsys["s.csv"] = &fstest.MapFile{}
	_, err := files.Open(define(t, pumps), fsys, files.Options{})
	want := []string{
		`open m.csv: no such file (the fleet file names it under import): not found`,
		`t.csv:1: the column "at" is missing; did you mean "At"?`,
		`t.csv:1: the column "flow" is there twice`,
		`t.csv:1: the column "Heat" is missing; did you mean "heat"?`,
		`unpack f.csv.gz: gzip: invalid header`,
		`s.csv:1: is empty: the first row must name the columns`,
	}
	if diff := gocmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !errors.Is(err, drumbeat.ErrInvalid) || !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("got an error of the wrong kinds: %v", err)
	}
	if _, err := files.Open(&fleet.Fleet{Name: "x"}, fsys, files.Options{}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("without import: got %v", err)
	}
}

func TestAFileThatBreaksOffEndsTheImportWithAnError(t *testing.T) {
	fsys := history()
	fsys["f.csv.gz"].Data = fsys["f.csv.gz"].Data[:40]
	in, err := files.Open(define(t, pumps), fsys, files.Options{})
	if err == nil {
		for _, rowErr := range in.Rows(t.Context()) {
			err = rowErr
		}
	}
	var rowErr *files.RowError
	if err == nil || errors.As(err, &rowErr) || !strings.Contains(err.Error(), "f.csv.gz") {
		t.Errorf("got %v, want an error that ends the import", err)
	}
}

func TestAConsumerMayStopAndACancelledImportEnds(t *testing.T) {
	scratch, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Close()
	in, err := files.Open(define(t, pumps), history(), files.Options{Memory: 1, Scratch: scratch})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range in.Rows(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err = range in.Rows(ctx) {
		break
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want a cancelled import", err)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	left, err := fs.ReadDir(scratch.FS(), ".")
	if err != nil || len(left) > 0 {
		t.Errorf("%d scratch files are left, %v", len(left), err)
	}
}

func TestMachinesThatNoFileNamesAreIntroduced(t *testing.T) {
	f := define(t, least)
	fsys := fstest.MapFS{"t.csv": {Data: []byte("machine_id,timestamp,flow\nb,2026-01-31 06:00:00,1\na,2026-01-31 05:00:00,1\nb,2026-01-31 07:00:00,1\n")}}
	want := []string{
		`2026-01-31 05:00:00 t.csv:0 machine a {"machine_id":"a"}`,
		`2026-01-31 05:00:00 t.csv:3 reading a {"machine_id":"a","timestamp":"2026-01-31T05:00:00Z","flow":1}`,
		`2026-01-31 06:00:00 t.csv:0 machine b {"machine_id":"b"}`,
		`2026-01-31 06:00:00 t.csv:2 reading b {"machine_id":"b","timestamp":"2026-01-31T06:00:00Z","flow":1}`,
		`2026-01-31 07:00:00 t.csv:4 reading b {"machine_id":"b","timestamp":"2026-01-31T07:00:00Z","flow":1}`,
	}
	if diff := gocmp.Diff(want, rows(t, f, fsys, files.Options{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const least = `
fleet: pumps
cadence: 1h
sensors: [{name: flow, min: 0, max: 100, decimals: 0}]
import: {telemetry: {file: t.csv}}
`

func TestAnyOrderOfAFileComesOutSorted(t *testing.T) {
	f := define(t, least)
	rapid.Check(t, func(t *rapid.T) {
		minutes := rapid.SliceOfN(rapid.IntRange(0, 59), 0, 120).Draw(t, "minutes")
		if rapid.Bool().Draw(t, "ordered") {
			slices.Sort(minutes)
		}
		type at struct{ minute, line int }
		want := make([]at, 0, len(minutes))
		var text strings.Builder
		text.WriteString("machine_id,timestamp,flow\n")
		for i, minute := range minutes {
			fmt.Fprintf(&text, "a,2026-01-31 06:%02d:00,1\n", minute)
			want = append(want, at{minute, i + 2})
		}
		slices.SortFunc(want, func(a, b at) int { return cmp.Or(a.minute-b.minute, a.line-b.line) })
		in, err := files.Open(f, fstest.MapFS{"t.csv": {Data: []byte(text.String())}}, files.Options{
			// From all in memory to a row a run, whose runs are merged in steps.
			Memory: rapid.SampledFrom([]int{1, 600, 3000, 3000, 10_000, 100_000}).Draw(t, "memory"),
		})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]at, 0, len(minutes))
		for r, err := range in.Rows(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			if r.Type == "reading" {
				got = append(got, at{r.ArrivalTime.Std().Minute(), r.Line})
			}
		}
		if err := in.Close(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// azure finds the real files, which stand beside the repository.
func azure(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for {
		data := filepath.Join(dir, "shared", "data", "azure-pdm")
		if _, err := os.Stat(data); err == nil {
			return data
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("shared/data/azure-pdm stands in no folder above: the real files belong beside the repository")
		}
		dir = up
	}
}

func TestTheRealFilesOfAzure(t *testing.T) {
	daily := map[string]int{"machine": 100, "reading": 36_500, "failure": 761, "maintenance": 3286, "error": 3919}
	hourly := map[string]int{"machine": 20, "reading": 43_200, "failure": 42, "maintenance": 208, "error": 211}
	for name, c := range map[string]struct {
		from   string
		memory int
		want   map[string]int
	}{
		"azure-pdm":        {".", 0, daily},
		"azure-pdm-hourly": {"hourly-20-machines-90-days", 4 << 20, hourly}, // sorted on disk
	} {
		t.Run(name, func(t *testing.T) {
			f, err := fleet.Load(os.DirFS("../../fleets"), name)
			if err != nil {
				t.Fatal(err)
			}
			root, err := os.OpenRoot(filepath.Join(azure(t), c.from))
			if err != nil {
				t.Fatal(err)
			}
			defer root.Close()
			in, err := files.Open(f, root.FS(), files.Options{Memory: c.memory})
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, f, in)
			if diff := gocmp.Diff(c.want, got); diff != "" {
				t.Errorf("kept by type (-want +got):\n%s", diff)
			}
		})
	}
}

// play decodes and judges every row, and counts those kept by type.
func play(t *testing.T, f *fleet.Fleet, in *files.Files) map[string]int {
	t.Helper()
	d, j := fleet.NewDecoder(f), fleet.NewJudge(f)
	kept := map[string]int{}
	last, lastType := drumbeat.NoTime, ""
	for r, err := range in.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.ArrivalTime < last || r.ArrivalTime == last && r.Type == "reading" && lastType != "reading" && lastType != "machine" {
			t.Fatalf("%s:%d is out of order", r.File, r.Line)
		}
		last, lastType = r.ArrivalTime, r.Type
		items, err := d.Decode(fleet.Form{Type: r.Type}, r.Payload, nil)
		if err != nil {
			t.Fatalf("%s:%d: %v", r.File, r.Line, err)
		}
		items[0].ArrivalTime = r.ArrivalTime
		if fate, why := j.Judge(&items[0]); fate != drumbeat.FateKept {
			t.Fatalf("%s:%d: %v, %s", r.File, r.Line, fate, why)
		}
		for _, flag := range items[0].Flags {
			if flag != 0 {
				t.Fatalf("%s:%d has the flag %d", r.File, r.Line, flag)
			}
		}
		kept[r.Type]++
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	return kept
}

func BenchmarkRows(b *testing.B) {
	f, err := fleet.Load(os.DirFS("../../fleets"), "azure-pdm-hourly")
	if err != nil {
		b.Fatal(err)
	}
	root, err := os.OpenRoot(filepath.Join(azure(b), "hourly-20-machines-90-days"))
	if err != nil {
		b.Fatal(err)
	}
	defer root.Close()
	for name, memory := range map[string]int{"in memory": 0, "on disk": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				in, err := files.Open(f, root.FS(), files.Options{Memory: memory})
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range in.Rows(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if err := in.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
