package propose_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleet/propose"
	"drumbeat/fleet/strict"
	"drumbeat/fleets"
	"drumbeat/sim"
)

func TestAFolderBecomesAFleet(t *testing.T) {
	w := newWorld()
	folder := w.files()
	p := proposal(t, folder)
	golden(t, "plain/fleet.yaml", text(t, p, fleet.FileName))
	golden(t, "plain/features.yaml", text(t, p, propose.ViewFile))
	want := map[string]int{"machine": 8, "reading": 8 * 480, "failure": 80, "maintenance": 80}
	for m := range w.machines {
		want["failure"] += len(w.fails[w.id(m)]) - 10
		want["maintenance"] += len(w.fails[w.id(m)]) - 10
	}
	rows, unreadable := imported(t, p, folder)
	if diff := cmp.Diff(want, rows); diff != "" || unreadable != 0 {
		t.Errorf("the import reads otherwise, and %d rows not at all (-want +got):\n%s", unreadable, diff)
	}
	if !p.Importable {
		t.Error("the import reads these files, and the proposal says that it does not")
	}
}

func TestRealDataIsRecognizedWithoutHelp(t *testing.T) {
	dir := t.TempDir()
	simulate(t, dir, 10, 100)
	volts := []string{"volt", "rotate", "pressure", "vibration"}
	for name, c := range map[string]struct {
		from     string
		roles    string
		sensors  []string
		cadence  time.Duration
		time     string
		verdict  propose.Verdict
		parts    [3]int
		failures int
		complete string
	}{
		"azure daily": {
			azure(t), "error failure machines maintenance telemetry", volts, strict.Day, "window_end", propose.Ready,
			[3]int{411, 120, 153},
			702, "2016-01-01T06:00:00Z",
		},
		"azure hourly": { // train's own report has the same parts; that of the daily file 411, 123 and 150
			filepath.Join(azure(t), "hourly-20-machines-90-days"), "error failure machines maintenance telemetry", volts, time.Hour,
			"datetime", propose.NotYet,
			[3]int{18, 7, 6},
			37, "2015-04-01T05:00:00Z",
		},
		"simulated": {
			dir, "failure machines maintenance telemetry",
			[]string{"temperature_c", "vibration_hz", "pressure_bar", "power_kw", "runtime_hours", "error_code_count"},
			15 * time.Minute, "timestamp", propose.NotYet,
			[3]int{-1},
			-1, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			folder := os.DirFS(c.from)
			p := proposal(t, folder)
			if got := roles(p); got != c.roles {
				t.Errorf("got the files as %s, want %s", got, c.roles)
			}
			if diff := cmp.Diff(c.sensors, p.Sensors); diff != "" {
				t.Errorf("sensors (-want +got):\n%s", diff)
			}
			f := load(t, p)
			if f.Cadence != c.cadence || f.Import.Telemetry.Time != c.time {
				t.Errorf("got %s every %s, want %s every %s", f.Import.Telemetry.Time, f.Cadence, c.time, c.cadence)
			}
			r := p.Readiness
			if r.Verdict != c.verdict {
				t.Errorf("got the verdict %q (%s), want %q", r.Verdict, r.Sentence, c.verdict)
			}
			if got := [3]int{r.TrainFailures, r.ValidationFailures, r.TestFailures}; c.parts[0] >= 0 && got != c.parts {
				t.Errorf("got the failures of the parts %v, want %v", got, c.parts)
			}
			if c.failures >= 0 && r.FailuresSeen != c.failures {
				t.Errorf("got %d failures, want %d", r.FailuresSeen, c.failures)
			}
			if got := f.FailureLog.To.Std().Format(time.RFC3339); c.complete != "" && got != c.complete {
				t.Errorf("got the failure log complete to %s, want %s", got, c.complete)
			}
			if _, unreadable := imported(t, p, folder); unreadable > 0 {
				t.Errorf("the import cannot read %d rows", unreadable)
			}
		})
	}
}

func TestTheSimulatorsFleetIsFoundAgain(t *testing.T) {
	dir := t.TempDir()
	simulate(t, dir, 20, 60)
	got := load(t, proposal(t, os.DirFS(dir)))
	want := laundry(t)
	for i := range want.Sensors {
		w, g := &want.Sensors[i], &got.Sensors[i]
		if g.Name != w.Name || g.Unit != w.Unit || g.Kind != w.Kind || g.Decimals != w.Decimals {
			t.Errorf("got %s %s kind %d of %d decimals, want %s %s kind %d of %d",
				g.Name, g.Unit, g.Kind, g.Decimals, w.Name, w.Unit, w.Kind, w.Decimals)
		}
		if g.Min > w.Min && w.Min >= 0 || g.Max == 0 {
			t.Errorf("%s: the bounds %d to %d cut into what is possible", g.Name, g.Min, g.Max)
		}
	}
	if got.Running == nil || got.Running.Sensor != want.Running.Sensor {
		t.Errorf("got the running condition %v, want one on power_kw", got.Running)
	}
	if diff := cmp.Diff(want.Label.Censors, got.Label.Censors); diff != "" {
		t.Errorf("censors (-want +got):\n%s", diff)
	}
	var names []string
	for _, a := range got.Static {
		names = append(names, a.Name)
	}
	if diff := cmp.Diff([]string{"model_year", "location", "age_months", "capacity_kg"}, names); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
}

func TestRecordsOfATopicMakeTheSameFleetAsTheirFiles(t *testing.T) {
	w := newWorld()
	folder := w.files()
	fromFiles := load(t, proposal(t, folder))
	p, err := propose.FromRecords(context.Background(), records(t, proposal(t, folder), folder),
		propose.Options{Folder: "plant 7"})
	if err != nil {
		t.Fatal(err)
	}
	got := load(t, p)
	if got.Import != nil {
		t.Error("the records are in the topic: there is nothing to import")
	}
	byName := func(a, b fleet.Sensor) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(got.Sensors, byName)
	slices.SortFunc(fromFiles.Sensors, byName)
	if diff := cmp.Diff(fromFiles.Sensors, got.Sensors); diff != "" {
		t.Errorf("sensors (-files +records):\n%s", diff)
	}
	if got.Cadence != fromFiles.Cadence || got.FailureLog != fromFiles.FailureLog {
		t.Errorf("got %s and %v, want %s and %v", got.Cadence, got.FailureLog, fromFiles.Cadence, fromFiles.FailureLog)
	}
	// What was proposed decodes the records that it was made of.
	decoder := fleet.NewDecoder(got)
	for record, err := range records(t, p, folder) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decoder.Decode(fleet.Form{Type: record.Type}, record.Payload, nil); err != nil {
			t.Fatalf("%s %s: %v", record.Type, record.Payload, err)
		}
	}
}

func TestAFleetOfAnyCadenceLoads(t *testing.T) {
	for _, cadence := range []time.Duration{
		time.Second, 10 * time.Second, time.Minute, 5 * time.Minute, 37 * time.Minute, time.Hour, 8 * time.Hour, strict.Day, 7 * strict.Day,
		30 * strict.Day,
	} {
		t.Run(cadence.String(), func(t *testing.T) {
			w := newWorld()
			w.machines, w.cadence = 2, cadence
			w.days = max(1, min(3000, int(1500*cadence.Hours()/24)))
			for i := range 12 { // a wide table
				w.extra = append(w.extra, column{"sensor " + string(rune('a'+i)), func(w *world, _ string, _ time.Time, _ int) string {
					return w.number(w.random.NormFloat64())
				}})
			}
			p := proposal(t, w.files())
			if got := load(t, p).Cadence; got != cadence {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestNothingIsReplaced(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := proposal(t, newWorld().files())
	for name := range map[string]bool{fleet.FileName: true, propose.ViewFile: true} {
		if err := root.WriteFile(name, []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := p.Write(root); !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is there: got %v, want a conflict", name, err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 1 {
			t.Errorf("%s is there: got %v, want that file alone", name, entries)
		}
		if err := root.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Write(root); err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Load(os.DirFS(dir), ".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feature.LoadView(os.DirFS(dir), ".", f); err != nil {
		t.Fatal(err)
	}
}

func TestALinkOutOfTheFolderIsNotFollowed(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret.csv"), []byte(newWorld().telemetry()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret.csv"), filepath.Join(dir, "telemetry.csv")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, file := range []string{"", "../" + filepath.Base(outside) + "/secret.csv"} {
		if _, err := propose.FromFolder(context.Background(), root.FS(), propose.Options{File: file}); err == nil {
			t.Errorf("file %q: a file outside the folder was read", file)
		}
	}
}

func TestWhatCannotBeAFleetIsSaid(t *testing.T) {
	for name, c := range map[string]struct {
		folder fstest.MapFS
		want   string
		is     error
	}{
		"an empty folder":   {fstest.MapFS{}, "no file of rows", drumbeat.ErrNotFound},
		"an empty file":     {fstest.MapFS{"a.csv": {}}, "a.csv is empty", drumbeat.ErrNotFound},
		"a spreadsheet":     {fstest.MapFS{"a.xlsx": {Data: []byte("PK")}}, "save it as CSV", drumbeat.ErrNotFound},
		"UTF-16":            {fstest.MapFS{"a.csv": {Data: []byte("\xff\xfea\x00")}}, "save it as UTF-8", drumbeat.ErrNotFound},
		"no header":         {fstest.MapFS{"a.csv": {Data: []byte("1,2,3\n4,5,6\n")}}, "has no header", drumbeat.ErrNotFound},
		"no machine":        {fstest.MapFS{"a.csv": {Data: []byte("time,volt\n2026-01-01 00:00:00,1.5\n2026-01-01 01:00:00,2.5\n")}}, "no column that names the machine", drumbeat.ErrInvalid},
		"only a header":     {fstest.MapFS{"a.csv": {Data: []byte("machine_id,time,volt\n")}}, "a.csv has no rows", drumbeat.ErrInvalid},
		"broken compressed": {fstest.MapFS{"a.csv.gz": {Data: []byte("no gzip")}}, "unpack a.csv.gz", nil},
	} {
		_, err := propose.FromFolder(context.Background(), c.folder, propose.Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	_, err := propose.FromFolder(context.Background(), newWorld().files(), propose.Options{Name: "Plant 7!"})
	if !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a name that is none: got %v", err)
	}
}

// roles returns what the files are, in their order.
func roles(p *propose.Proposal) string {
	var out []string
	for _, f := range p.Files {
		out = append(out, f.Role)
	}
	return strings.Join(out, " ")
}

func simulate(t *testing.T, dir string, machines, days int) {
	t.Helper()
	start := timeOf(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	err := sim.WriteCSV(sim.Config{Fleet: laundry(t), Seed: 1, Machines: machines, Start: start},
		start.Add(time.Duration(days)*strict.Day), dir)
	if err != nil {
		t.Fatal(err)
	}
}

func laundry(t *testing.T) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// azure finds the real files, which stand beside the repository.
func azure(t *testing.T) string {
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
