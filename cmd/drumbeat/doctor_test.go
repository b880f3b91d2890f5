package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/model"
	"drumbeat/registry"
)

// quiet is a process that nobody reads.
func quiet() *process {
	return &process{stdout: io.Discard, stderr: io.Discard, log: slog.New(slog.DiscardHandler)}
}

// shared is where healthySite stands, "" before it does.
var shared string

// healthySite is a small site, made once: the first steps of a quickstart, and
// a champion.
var healthySite = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "drumbeat-site-*")
	if err != nil {
		return "", err
	}
	shared = dir
	made := quickstartCommand{
		Dir: dir, Once: true, Until: "materialize", Seed: 1, Machines: 3, Days: 35, Listen: "127.0.0.1:0",
		Start: drumbeat.At(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)),
	}
	ctx := context.Background()
	if err := made.Run(ctx, quiet()); err != nil {
		return dir, err
	}
	s, err := openSite(ctx, dir, false, quiet())
	if err != nil {
		return dir, err
	}
	return dir, errors.Join(crown(ctx, s.depots[0]), s.Close(), os.Chmod(dir, 0o750))
})

// crown registers a model of one split and makes it champion.
func crown(ctx context.Context, d *depot) error {
	v := d.view
	trees, err := json.Marshal(map[string]any{
		"version": []int{3, 2, 0},
		"learner": map[string]any{
			"feature_names":       v.Names(),
			"objective":           map[string]any{"name": "binary:logistic"},
			"learner_model_param": map[string]any{"base_score": "5E-1", "num_class": "0", "num_target": "1", "num_feature": strconv.Itoa(len(v.Features))},
			"gradient_booster": map[string]any{"name": "gbtree", "model": map[string]any{
				"gbtree_model_param": map[string]any{"num_trees": "1"}, "tree_info": []int{0},
				"trees": []any{map[string]any{
					"left_children": []int{1, -1, -1}, "right_children": []int{2, -1, -1}, "split_indices": []int{0, 0, 0},
					"split_conditions": []float32{60, -3, 3}, "split_type": []int{0, 0, 0}, "default_left": []int{1, 0, 0},
					"sum_hessian": []float32{100, 90, 10},
				}},
			}},
		},
	})
	if err != nil {
		return err
	}
	m, err := model.New(trees, model.Description{
		Fleet: d.def.Name, View: v.Name, Hash: v.Hash, Features: v.Names(), Horizon: "7d",
		Calibrator: model.Calibrator{Method: "platt", Slope: 1},
	})
	if err != nil {
		return err
	}
	files, err := m.Encode()
	if err != nil {
		return err
	}
	now, err := d.fleetNow(ctx)
	if err != nil {
		return err
	}
	version, err := d.registry.Register(ctx, registry.Registration{
		Manifest: registry.Manifest{
			Format: registry.ManifestFormat, Fleet: d.def.Name, View: v.Name, Hash: v.Hash, Features: v.Names(),
			Horizon: "7d", LabelPolicy: "test", Threshold: 0.45, Calibration: "platt",
			Split: map[string]registry.TimeSpan{"train": {From: now.Add(-30 * 24 * time.Hour), Until: now}},
		},
		Files: files, Who: "test", WhenFleet: now,
	})
	if err != nil {
		return err
	}
	_, err = registry.PromoteFirst(ctx, d.registry, &version, "test", now)
	return err
}

// siteCopy is a copy of the small site, to be broken.
func siteCopy(t *testing.T) string {
	t.Helper()
	from, err := healthySite()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	return dir
}

// opened does something with the fleet of a site, and closes it.
func opened(t *testing.T, dir string, do func(ctx context.Context, d *depot) error) {
	t.Helper()
	s, err := openSite(t.Context(), dir, false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(do(t.Context(), s.depots[0]), s.Close()); err != nil {
		t.Fatal(err)
	}
}

// query changes a database behind the program's back.
func query(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// newer makes a database one of a later program.
func newer(name ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		query(t, filepath.Join(append([]string{dir}, name...)...), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	}
}

// edit replaces text in a file of the folder.
func edit(name, before, after string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), before) {
			t.Fatalf("%s does not contain %q", name, before)
		}
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(string(text), before, after)), 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

// sound answers for a machine without faults, so that only the folder speaks.
func sound(dir string) *exam {
	e := newExam(dir, slog.New(slog.DiscardHandler))
	e.cores = func() int { return 4 }
	e.limit = func() (uint64, error) { return 65536, nil }
	e.library = func() (path, version string, err error) { return "libxgboost.so", "3.2.0", nil }
	e.listens = func(context.Context, string) error { return nil }
	e.since = func() (wall, monotonic time.Duration) { return time.Hour, time.Hour }
	return e
}

// examined runs every check on a folder.
func examined(t *testing.T, e *exam) *doctorReport {
	t.Helper()
	c := doctorCommand{Data: e.dir}
	report, err := c.examine(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func resultOf(t *testing.T, r *doctorReport, name string) *checkResult {
	t.Helper()
	for i := range r.Checks {
		if r.Checks[i].Name == name {
			return &r.Checks[i]
		}
	}
	t.Fatalf("there is no check %s", name)
	return nil
}

func TestDoctorFindsNothingWrongWithASoundSite(t *testing.T) {
	t.Parallel()
	report := examined(t, sound(siteCopy(t)))
	for i := range report.Checks {
		c := &report.Checks[i]
		if c.Name == "dead-letters" { // a small simulation has strangers in it like a large one
			continue
		}
		if c.State == stateFail || c.State == stateWarn {
			t.Errorf("%s: %s: %s (mend: %s)", c.Name, c.State, c.Found, c.Mend)
		}
	}
	if !report.OK || report.Running {
		t.Errorf("ok %v, running %v: want a sound site at rest", report.OK, report.Running)
	}
	if n := len(report.Checks); n < 40 {
		t.Errorf("%d checks ran, want all of them", n)
	}
}

func TestDoctorsChecksHaveNamesAndOneJob(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, c := range checks() {
		if c.name == "" || c.what == "" || seen[c.name] {
			t.Errorf("check %q (%s): want a name of its own and what it looks at", c.name, c.what)
		}
		if (c.site == nil) == (c.fleet == nil) {
			t.Errorf("check %s: want it to be of the site or of a fleet", c.name)
		}
		for _, part := range c.needs {
			if partNames[part] == "" {
				t.Errorf("check %s needs %q, which is no part", c.name, part)
			}
		}
		seen[c.name] = true
	}
}

// fault is one thing that is wrong with a folder, and the check that says so.
type fault struct {
	name  string
	check string
	state checkState
	found string // part of what it says
	spoil func(t *testing.T, dir string)
	exam  func(*exam)
}

func playFaults(t *testing.T, faults []fault) {
	t.Helper()
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := siteCopy(t)
			if f.spoil != nil {
				f.spoil(t, dir)
			}
			e := sound(dir)
			if f.exam != nil {
				f.exam(e)
			}
			report := examined(t, e)
			c := resultOf(t, report, f.check)
			if c.State != f.state || !strings.Contains(c.Found, f.found) {
				t.Errorf("check %s: got %s: %s\nwant %s with %q", f.check, c.State, c.Found, f.state, f.found)
			}
			if (c.State == stateWarn || c.State == stateFail) && c.Mend == "" {
				t.Errorf("check %s: %s has no mend", f.check, c.Found)
			}
			if report.OK != (report.Counts[stateFail] == 0) {
				t.Errorf("ok is %v with %d faults", report.OK, report.Counts[stateFail])
			}
		})
	}
}

func remove(names ...string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		for _, name := range names {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// blocked puts a file where a folder should be.
func blocked(name string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		remove(name)(t, dir)
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o640); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDoctorFindsFaultsOfTheFolder(t *testing.T) {
	t.Parallel()
	later := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			future := time.Now().Add(time.Hour)
			if err := os.Chtimes(filepath.Join(dir, name), future, future); err != nil {
				t.Fatal(err)
			}
		}
	}
	write := func(mode os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			if err := os.WriteFile(filepath.Join(dir, controlFile), []byte("{}"), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	playFaults(t, []fault{
		{name: "it does not exist", check: "folder", state: stateFail, found: "there is no folder", spoil: remove(".")},
		{name: "it is no data folder", check: "folder", state: stateFail, found: "drumbeat.json", spoil: remove(headFile)},
		{name: "a newer program wrote it", check: "folder", state: stateFail, found: "format 99", spoil: edit(headFile, `"format": 2`, `"format": 99`)},
		{name: "its head is damaged", check: "folder", state: stateFail, found: headFile, spoil: edit(headFile, `"format"`, `format`)},
		{name: "checks that need it are skipped", check: "table-files", state: stateSkipped, found: "the data folder", spoil: remove(headFile)},
		{name: "a daemon died", check: "daemon", state: stateWarn, found: "left of one that died", spoil: write(0o600)},
		{name: "the token is readable", check: "secrets", state: stateFail, found: "0644", spoil: write(0o644)},
		{name: "databases are readable", check: "secrets", state: stateWarn, found: "registry.sqlite", spoil: func(t *testing.T, dir string) {
			t.Helper()
			if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(filepath.Join(dir, "registry.sqlite"), 0o644)); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "another user made it", check: "owner", state: stateWarn, found: "access.sqlite", exam: func(e *exam) { e.uid += 4711 }},
		{name: "little space is left", check: "disk-space", state: stateWarn, found: "2.0 GB free", exam: func(e *exam) {
			e.folder = &folderUse{diskUse: diskUse{Free: 2_000_000_000}}
		}},
		{name: "it will be full tomorrow", check: "disk-space", state: stateFail, found: "full in 1 days", exam: func(e *exam) {
			e.folder = &folderUse{diskUse: diskUse{Free: 50 << 30, LastDay: 60 << 30}}
		}},
		{name: "no more files can be made", check: "disk-files", state: stateWarn, found: "only 12 more", exam: func(e *exam) {
			e.folder = &folderUse{freeFiles: 12}
		}},
		{name: "the clock was set back", check: "clock", state: stateFail, found: "in the future", spoil: later(headFile)},
		{name: "the clock was never set", check: "clock", state: stateFail, found: "1970", exam: func(e *exam) {
			e.now = func() time.Time { return time.Unix(1000, 0) }
		}},
		{name: "the lake's folder is none", check: partObjects, state: stateFail, found: "objects", spoil: blocked(objectDir)},
		{name: "what needs the lake's folder is skipped", check: partRegistry, state: stateSkipped, found: "the lake's folder", spoil: blocked(objectDir)},
		{name: "the broker's folder is none", check: partBroker, state: stateFail, found: "broker", spoil: blocked(brokerDir)},
		{name: "the registry is newer", check: partRegistry, state: stateFail, found: "version 99", spoil: newer("registry.sqlite")},
		{name: "the access database is newer", check: partAccess, state: stateFail, found: "version 99", spoil: newer("access.sqlite")},
		{name: "an act was changed", check: "acts", state: stateFail, found: "hash", spoil: func(t *testing.T, dir string) {
			t.Helper()
			opened(t, dir, func(ctx context.Context, d *depot) error {
				_, _, err := d.access.NewToken(ctx, localUser, localUser, time.Hour)
				return err
			})
			query(t, filepath.Join(dir, "access.sqlite"), `DROP TRIGGER acts_are_never_changed`, `UPDATE acts SET who = 'nobody'`)
		}},
		{name: "a token ends soon", check: "tokens", state: stateWarn, found: "gateway (technician", spoil: endingToken},
	})
}

// endingToken makes a token that has two days left.
func endingToken(t *testing.T, dir string) {
	t.Helper()
	opened(t, dir, func(ctx context.Context, d *depot) error {
		of := access.Person{Name: "gateway", Role: access.Technician}
		_, _, err := d.access.NewToken(ctx, localUser, of, 48*time.Hour)
		return err
	})
	query(t, filepath.Join(dir, "access.sqlite"), `UPDATE tokens SET created_at = created_at - 30 * 86400000000`)
}

func TestDoctorFindsFaultsOfTheProcess(t *testing.T) {
	t.Parallel()
	text := func(answers map[string]string) func(string) ([]byte, error) {
		return func(path string) ([]byte, error) {
			if text, known := answers[path]; known {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}
	}
	const machine = "MemTotal: 64 kB\nMemAvailable:    8388608 kB\n"
	for _, f := range []struct {
		name  string
		check func(context.Context, *exam) verdict
		state checkState
		found string
		exam  func(*exam)
	}{
		{"one core", checkCores, stateWarn, "1 cores", func(e *exam) { e.cores = func() int { return 1 } }},
		{"enough memory", checkMemory, stateOK, "8.6 GB", func(e *exam) { e.read = text(map[string]string{"/proc/meminfo": machine}) }},
		{"little memory", checkMemory, stateWarn, "MB available", func(e *exam) {
			e.read = text(map[string]string{"/proc/meminfo": "MemAvailable: 900000 kB\n"})
		}},
		{"a control group bounds it", checkMemory, stateFail, "100 MB available", func(e *exam) {
			e.read = text(map[string]string{
				"/proc/meminfo": machine, "/sys/fs/cgroup/memory.max": "400000000\n", "/sys/fs/cgroup/memory.current": "300000000\n",
			})
		}},
		{"a control group without a bound", checkMemory, stateOK, "8.6 GB", func(e *exam) {
			e.read = text(map[string]string{"/proc/meminfo": machine, "/sys/fs/cgroup/memory.max": "max\n"})
		}},
		{"memory is not told", checkMemory, stateSkipped, "does not say", func(e *exam) { e.read = text(nil) }},
		{"few open files", checkOpenFiles, stateWarn, "1024", func(e *exam) { e.limit = func() (uint64, error) { return 1024, nil } }},
		{"hardly any open files", checkOpenFiles, stateFail, "256", func(e *exam) { e.limit = func() (uint64, error) { return 256, nil } }},
		{"the clock jumped back", checkJumps, stateWarn, "-5s", func(e *exam) {
			e.since = func() (wall, monotonic time.Duration) { return time.Hour - 5*time.Second, time.Hour }
		}},
		{"no zones", checkZones, stateFail, "no data", func(e *exam) { e.zone = func(string) error { return errors.New("no data") } }},
		{"no libxgboost", checkLibrary, stateFail, "not found", func(e *exam) {
			e.library = func() (path, version string, err error) { return "", "", drumbeat.ErrNotFound }
		}},
		{"another libxgboost", checkLibrary, stateWarn, "3.1.1", func(e *exam) {
			e.library = func() (path, version string, err error) { return "x.so", "3.1.1", nil }
		}},
		{"no scripts", checkPage, stateFail, "htmx", func(e *exam) { e.page = func() error { return errors.New("htmx is missing") } }},
		{"the address is taken", checkListener, stateWarn, usualAddress, func(e *exam) {
			e.listens = func(context.Context, string) error { return errors.New("in use") }
		}},
		{"the folder cannot be written", checkWritable, stateFail, "", func(e *exam) { e.dir = "/sys" }},
	} {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			e := sound(t.TempDir())
			f.exam(e)
			v := f.check(t.Context(), e)
			if v.State != f.state || !strings.Contains(v.Found, f.found) {
				t.Errorf("got %s: %s\nwant %s with %q", v.State, v.Found, f.state, f.found)
			}
			if (v.State == stateWarn || v.State == stateFail) == (v.Mend == "") {
				t.Errorf("%s: %s has the mend %q", v.State, v.Found, v.Mend)
			}
		})
	}
}

// TestTheRunbookListsEveryCheck holds docs/runbook/doctor.md to the checks.
func TestTheRunbookListsEveryCheck(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/runbook/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks() {
		if row := "| `" + c.name + "` | " + c.what + " |"; !strings.Contains(string(text), row) {
			t.Errorf("docs/runbook/doctor.md lacks the row\n%s", row)
		}
	}
	_, list, _ := strings.Cut(string(text), "## Every check")
	if rows := strings.Count(list, "\n| `"); rows != len(checks()) {
		t.Errorf("docs/runbook/doctor.md has %d rows for %d checks", rows, len(checks()))
	}
}
