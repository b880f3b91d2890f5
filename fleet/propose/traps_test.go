package propose_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

// trap is a folder with something in it that would mislead.
type trap struct {
	name   string
	folder func(w *world) fstest.MapFS
	said   []string // doubts and reasons
	unsaid []string
	check  func(t *testing.T, f *fleet.Fleet, p *propose.Proposal)
}

func TestTrapsAreSeenAndSaid(t *testing.T) {
	for _, c := range slices.Concat(columnTraps(), timeTraps(), logTraps(), fileTraps()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := proposal(t, c.folder(newWorld()), propose.Options{})
			all := said(p)
			for _, want := range c.said {
				if !strings.Contains(all, want) {
					t.Errorf("nothing says %q:\n%s", want, all)
				}
			}
			for _, unwanted := range c.unsaid {
				if strings.Contains(all, unwanted) {
					t.Errorf("something says %q:\n%s", unwanted, all)
				}
			}
			if c.check != nil {
				c.check(t, load(t, p), p)
			}
		})
	}
}

// with adds columns to the telemetry.
func with(columns ...column) func(w *world) fstest.MapFS {
	return func(w *world) fstest.MapFS {
		w.extra = columns
		return w.files()
	}
}

func without(names ...string) func(t *testing.T, f *fleet.Fleet, p *propose.Proposal) {
	return func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
		t.Helper()
		for _, name := range names {
			if f.SensorIndex(name) >= 0 {
				t.Errorf("%s became a sensor", name)
			}
		}
	}
}

func columnTraps() []trap {
	noise := func(w *world) string { return w.number(10 * w.random.Float64()) }
	return []trap{
		{
			"a constant column", with(column{"firmware", func(*world, string, time.Time, int) string { return "7" }}),
			[]string{"left out firmware: is always 7"}, nil, without("firmware"),
		},
		{
			"an empty column", with(column{"spare", func(*world, string, time.Time, int) string { return "" }}),
			[]string{"left out spare: is empty"}, nil, without("spare"),
		},
		{
			"a column of NA", with(column{"spare", func(*world, string, time.Time, int) string { return "NA" }}),
			[]string{"left out spare: is empty"}, nil, without("spare"),
		},
		{
			"a copy of another column", with(
				column{"flow", func(_ *world, _ string, _ time.Time, row int) string { return fmt.Sprint(row * 7919 % 1000) }},
				column{"flow_copy", func(_ *world, _ string, _ time.Time, row int) string { return fmt.Sprintf("%d.0", row*7919%1000) }}),
			[]string{"left out flow_copy: is a copy of flow"}, nil, without("flow_copy"),
		},
		{
			"a column named like the answer", with(
				column{"failure", func(w *world, id string, at time.Time, _ int) string {
					if _, until := w.around(id, at); until >= 0 && until < 24 {
						return "1"
					}
					return "0"
				}},
				column{"RUL", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }},
				column{"Label", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }},
				column{"remaining_useful_life", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }}),
			[]string{"left out failure: is named like", "left out RUL: is named like", "left out Label", "left out remaining_useful_life"}, nil,
			without("failure", "rul", "label", "remaining_useful_life"),
		},
		{
			"a column that is filled after failures only", with(column{"repair_torque", func(w *world, id string, at time.Time, _ int) string {
				if since, _ := w.around(id, at); since >= 0 && since < 30 {
					return noise(w)
				}
				return ""
			}}),
			[]string{"left out repair_torque: is filled in", "within 7d after a failure"}, nil, without("repair_torque"),
		},
		{
			"a flag that knows the next failure", with(column{"state", func(w *world, id string, at time.Time, _ int) string {
				if _, until := w.around(id, at); until >= 0 && until < 5*24 {
					return "1"
				}
				return "0"
			}}),
			[]string{"left out state: is other than 0", "made from the failures"}, nil, without("state"),
		},
		{
			"a column that counts down to the failure", with(column{"x", func(w *world, id string, at time.Time, _ int) string {
				_, until := w.around(id, at)
				if until < 0 {
					return ""
				}
				return w.number(until)
			}}),
			[]string{"left out x: falls steadily and rises only when the machine fails"}, nil, without("x"),
		},
		{
			"an honest column that is filled rarely", with(column{"oil_test", func(w *world, _ string, _ time.Time, row int) string {
				if row%40 == 0 {
					return noise(w)
				}
				return ""
			}}),
			[]string{"sensors.oil_test: is there in 2.5 % of the rows only"}, []string{"left out oil_test"}, nil,
		},
		{
			"cells that are no numbers", with(column{"flow", func(w *world, _ string, _ time.Time, row int) string {
				if row%1000 == 5 {
					return "ERR"
				}
				return noise(w)
			}}),
			[]string{`sensors.flow: 4 cells are no numbers, such as "ERR"`}, nil, nil,
		},
		{
			"a column of text that never changes for a machine", with(column{"model", func(_ *world, id string, _ time.Time, _ int) string {
				return "type " + id[len(id)-1:]
			}}),
			[]string{"left out model: is text that never changes for a machine"}, nil, without("model"),
		},
		{
			"a mark for missing values", with(column{"flow", func(w *world, _ string, _ time.Time, row int) string {
				if row%300 == 7 {
					return "-999"
				}
				return noise(w)
			}}),
			[]string{"sensors.flow: -999 stands far from all other values"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("flow")]; s.Min < 0 {
					t.Errorf("the mark is within the bounds: %d", s.Min)
				}
			},
		},
		{
			"a counter with resets", with(column{"strokes", func(w *world, _ string, _ time.Time, row int) string {
				return fmt.Sprint(row / w.machines % 200 * 3)
			}}),
			[]string{"sensors.strokes: falls 16 times"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("strokes")]; s.Kind != fleet.Counter {
					t.Error("strokes is no counter")
				}
			},
		},
		{
			"names that mean something else to us", with(
				column{"Value", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }},
				column{"offset", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }},
				column{"Ölstand [mm]", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }},
				column{"2nd stage: x", func(w *world, _ string, _ time.Time, _ int) string { return noise(w) }}),
			nil, nil,
			func(t *testing.T, f *fleet.Fleet, p *propose.Proposal) {
				want := "temperature_c pressure value_sensor offset_sensor oelstand_mm sensor_2nd_stage_x"
				if got := strings.Join(p.Sensors, " "); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if s := f.Sensors[f.SensorIndex("oelstand_mm")]; s.Unit != "mm" {
					t.Errorf("got the unit %q, want the one in brackets", s.Unit)
				}
			},
		},
	}
}

func timeTraps() []trap {
	layout := func(l string) func(w *world) fstest.MapFS {
		return func(w *world) fstest.MapFS {
			w.layout = l
			return w.files()
		}
	}
	eachDay := func(w *world) { w.cadence = 24 * time.Hour }
	return []trap{
		{
			"averages with the start and the end of their window", func(w *world) fstest.MapFS {
				eachDay(w)
				w.header[1] = "window_end"
				w.extra = []column{{"window_start", func(w *world, _ string, at time.Time, _ int) string {
					return at.Add(-24 * time.Hour).Format(w.layout)
				}}}
				return w.files()
			},
			[]string{"a row spans window_start to window_end: its values are known only at the end"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Import.Telemetry.Time != "window_end" || f.Import.Telemetry.KnownAfter != time.Minute {
					t.Errorf("got %s known after %s", f.Import.Telemetry.Time, f.Import.Telemetry.KnownAfter)
				}
			},
		},
		{
			"averages with the start of their window alone", func(w *world) fstest.MapFS {
				w.header[1] = "window_start"
				return w.files()
			},
			[]string{"window_start is the start of a window", "sees 6h ahead"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Import.Telemetry.KnownAfter != 6*time.Hour {
					t.Errorf("known after %s, want the window", f.Import.Telemetry.KnownAfter)
				}
			},
		},
		{
			"days without a time", func(w *world) fstest.MapFS {
				eachDay(w)
				w.layout = time.DateOnly
				return w.files()
			},
			[]string{"timestamp holds days without a time"}, nil, nil,
		},
		{
			"a time of arrival", with(column{"received_at", func(w *world, _ string, at time.Time, _ int) string {
				return at.Add(3 * time.Minute).Format(w.layout)
			}}),
			[]string{"received_at looks like the time at which a row was stored"}, []string{"left out received_at"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Import.Telemetry.Time != "timestamp" {
					t.Errorf("got the event time %s", f.Import.Telemetry.Time)
				}
			},
		},
		{
			"times without a zone", layout(time.DateTime), []string{"times without a zone are taken as UTC"}, nil, nil,
		},
		{
			"times with a zone", layout(time.RFC3339), nil, []string{"zone"}, nil,
		},
		{
			"days before months, as some value proves", layout("02/01/2006 15:04"), nil, []string{"may be day first"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if got := f.Import.Telemetry.TimeFormat; got != "2/1/2006 15:04" {
					t.Errorf("got %s", got)
				}
			},
		},
		{
			"months before days, as some value proves", layout("01/02/2006 3:04 PM"), nil, []string{"may be day first"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if got := f.Import.Logs["failure"].TimeFormat; got != "1/2/2006 3:04 PM" {
					t.Errorf("got %s", got)
				}
			},
		},
		{
			"an order of day and month that nothing proves", func(w *world) fstest.MapFS {
				w.layout, w.days, w.cadence = "01/02/2006 15:04", 9, time.Hour
				for id := range w.fails {
					w.fails[id] = []time.Time{w.start.AddDate(0, 0, 4)}
				}
				return w.files()
			},
			[]string{"may be day first or month first: no value tells"}, nil, nil,
		},
		{
			"an order that only a late row proves", func(w *world) fstest.MapFS {
				w.layout, w.cadence = "01/02/2006 15:04", 20*time.Minute // the first 5,000 rows are of 9 days
				return w.files()
			},
			nil, []string{"may be day first"},
			func(t *testing.T, f *fleet.Fleet, p *propose.Proposal) {
				if got := f.Import.Telemetry.TimeFormat; got != "1/2/2006 15:04" || f.Cadence != 20*time.Minute {
					t.Errorf("got %s every %s", got, f.Cadence)
				}
			},
		},
		{
			"the newest rows first", func(w *world) fstest.MapFS {
				w.extra = []column{{"hours_run", func(_ *world, _ string, _ time.Time, row int) string { return fmt.Sprint(row * 2) }}}
				folder := w.files()
				lines := strings.Split(strings.TrimSpace(string(folder["telemetry.csv"].Data)), "\n")
				slices.Reverse(lines[1:])
				folder["telemetry.csv"].Data = []byte(strings.Join(lines, "\n"))
				return folder
			},
			nil, []string{"no order"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("hours_run")]; f.Cadence != 6*time.Hour || s.Kind != fleet.Counter {
					t.Errorf("got the cadence %s and the kind %d", f.Cadence, s.Kind)
				}
			},
		},
		{
			"rows in no order", func(w *world) fstest.MapFS {
				folder := w.files()
				lines := strings.Split(strings.TrimSpace(string(folder["telemetry.csv"].Data)), "\n")
				w.random.Shuffle(len(lines)-1, func(i, j int) { lines[i+1], lines[j+1] = lines[j+1], lines[i+1] })
				folder["telemetry.csv"].Data = []byte(strings.Join(lines, "\n"))
				return folder
			},
			[]string{"are in no order of time"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Cadence != 6*time.Hour {
					t.Errorf("got %s", f.Cadence)
				}
			},
		},
		{
			"gaps that vary", func(w *world) fstest.MapFS {
				folder := w.files()
				lines := strings.Split(strings.TrimSpace(string(folder["telemetry.csv"].Data)), "\n")
				kept := lines[:1]
				for _, line := range lines[1:] {
					if w.random.IntN(4) > 0 {
						kept = append(kept, line)
					}
				}
				folder["telemetry.csv"].Data = []byte(strings.Join(kept, "\n"))
				return folder
			},
			[]string{"gaps vary"}, nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Cadence != 6*time.Hour {
					t.Errorf("got %s", f.Cadence)
				}
			},
		},
	}
}

func logTraps() []trap {
	drop := func(names ...string) func(w *world) fstest.MapFS {
		return func(w *world) fstest.MapFS {
			folder := w.files()
			for _, name := range names {
				delete(folder, name)
			}
			return folder
		}
	}
	return []trap{
		{
			"no log at all", drop("failures.csv", "maintenance.csv"), []string{"logs: there is no log"}, nil,
			func(t *testing.T, _ *fleet.Fleet, p *propose.Proposal) {
				if p.Readiness.Verdict != propose.Never {
					t.Errorf("got the verdict %s", p.Readiness.Verdict)
				}
			},
		},
		{
			"no log of failures", drop("failures.csv"), []string{"logs: none is recognized as the log of failures", "maintenance"}, nil, nil,
		},
		{
			"failures in a column of the telemetry alone", func(w *world) fstest.MapFS {
				w.extra = []column{{"machine_failure", func(w *world, id string, at time.Time, _ int) string {
					if _, until := w.around(id, at); until >= 0 && until < 6 {
						return "1"
					}
					return "0"
				}}}
				return drop("failures.csv")(w)
			},
			[]string{"left out machine_failure", "save them as a file of their own"}, nil, nil,
		},
		{
			"repairs among the failures", func(w *world) fstest.MapFS {
				w.failTypes = []string{"bearing", "bearing replaced", "seal"}
				return w.files()
			},
			[]string{"of the type bearing replaced look like repairs, not failures"}, nil, nil,
		},
		{
			"a repair at the time of each failure", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["maintenance.csv"].Data = []byte(strings.Replace(string(folder["failures.csv"].Data), "failed_at,failure_type", "done_at,part", 1))
				return folder
			},
			[]string{"have a row in maintenance.csv at the same time: that is the repair"}, nil, nil,
		},
		{
			"machines that are missing here and there", func(w *world) fstest.MapFS {
				folder := w.files()
				w.machines = 10
				folder["failures.csv"].Data = append(folder["failures.csv"].Data, []byte("M-77,2025-02-03T00:00:00Z,seal\n")...)
				cut := strings.Split(string(folder["machines.csv"].Data), "\n")
				folder["machines.csv"].Data = []byte(strings.Join(cut[:7], "\n") + "\nM-99,A1,5,S9,2019-04-01\n")
				return folder
			},
			[]string{
				"failures.csv: 1 machine without telemetry: M-77", "machines.csv: lacks 2 machines of the telemetry", "M-07, M-08",
				"machines.csv: 1 machine without telemetry: M-99",
			}, nil, nil,
		},
		{
			"a failure log that stopped", func(w *world) fstest.MapFS {
				for id, times := range w.fails {
					w.fails[id] = slices.DeleteFunc(times, func(at time.Time) bool { return at.After(w.start.AddDate(0, 0, 60)) })
				}
				return w.files()
			},
			[]string{"the log seems to end there"}, nil,
			func(t *testing.T, f *fleet.Fleet, p *propose.Proposal) {
				if got := f.FailureLog.To.Std(); got.After(time.Date(2025, 3, 3, 0, 0, 0, 0, time.UTC)) {
					t.Errorf("taken as complete to %s", got)
				}
				if p.Readiness.RowsAfterLast < 8*4*55 {
					t.Errorf("got %d rows after the last failure", p.Readiness.RowsAfterLast)
				}
			},
		},
		{
			"the same failure twice", func(w *world) fstest.MapFS {
				folder := w.files()
				lines := strings.SplitAfter(string(folder["failures.csv"].Data), "\n")
				folder["failures.csv"].Data = append(folder["failures.csv"].Data, lines[1]...)
				return folder
			},
			[]string{"logs.failure: 1 row of the same machine, time and type"}, nil, nil,
		},
	}
}

func fileTraps() []trap {
	return []trap{
		{
			"two telemetry files with the same columns", func(w *world) fstest.MapFS {
				folder := w.files()
				w.days = 30
				folder["telemetry-old.csv"] = &fstest.MapFile{Data: []byte(w.telemetry())}
				return folder
			},
			[]string{"telemetry-old.csv: has the same columns as telemetry.csv, the larger file, which was used"}, nil, nil,
		},
		{
			"rows that stand there twice", func(w *world) fstest.MapFS {
				folder := w.files()
				lines := strings.SplitAfter(string(folder["telemetry.csv"].Data), "\n")
				double := append(slices.Clone(lines[:9]), lines[1:9]...) // a time of all machines, again
				folder["telemetry.csv"].Data = []byte(strings.Join(append(double, lines[9:]...), ""))
				return folder
			},
			[]string{"has at least 8 rows that repeat another"}, nil, nil,
		},
		{
			"rows that are none", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["telemetry.csv"].Data = append(folder["telemetry.csv"].Data, []byte("M-01,yesterday,1,2\nM-01\n,2025-01-01T00:00:00Z,1,2\n")...)
				return folder
			},
			[]string{"telemetry.csv: has 3 rows without a readable machine and time"}, nil,
			func(t *testing.T, _ *fleet.Fleet, p *propose.Proposal) {
				if f := p.Files[3]; f.Rows != 8*480+3 || f.Unreadable != 3 {
					t.Errorf("got %+v", f)
				}
			},
		},
		{
			"a file that is none of ours, and a folder", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["notes.txt"] = &fstest.MapFile{Data: []byte("word,count\nfoo,1\nbar,2\n")}
				folder["old/telemetry.csv"] = folder["telemetry.csv"]
				return folder
			},
			[]string{"notes.txt: has no column that names the machine and is not used", "folders inside are not read: old"}, nil, nil,
		},
		{
			"numbers for machines, other column names, and nothing in the files' names", func(w *world) fstest.MapFS {
				w.header = []string{"Unit No", "Zeit", "temperature_c", "pressure"}
				folder := w.files()
				strip := func(name string) *fstest.MapFile {
					text := strings.ReplaceAll(string(folder[name].Data), "M-0", "")
					return &fstest.MapFile{Data: []byte(text)}
				}
				return fstest.MapFS{
					"a.csv": strip("machines.csv"), "b.csv": strip("telemetry.csv"), "c.csv": strip("failures.csv"), "d.csv": strip("maintenance.csv"),
				}
			},
			nil, []string{"without telemetry"},
			func(t *testing.T, _ *fleet.Fleet, p *propose.Proposal) {
				var roles []string
				for _, f := range p.Files {
					roles = append(roles, f.Role)
				}
				if got := strings.Join(roles, " "); got != "machines telemetry failure maintenance" {
					t.Errorf("got %s", got)
				}
			},
		},
	}
}

func TestFilesOfOtherKindsAreRead(t *testing.T) {
	plain := proposal(t, newWorld().files(), propose.Options{})
	for name, c := range map[string]struct {
		delim      string
		comma      bool
		importable bool
	}{
		"semicolons and decimal commas": {";", true, false}, "tabs": {"\t", false, false}, "bars": {"|", false, false}, "commas": {",", false, true},
	} {
		w := newWorld()
		w.delim, w.comma = c.delim, c.comma
		folder := w.files()
		for name, file := range maps.Clone(folder) {
			if c.importable { // gzipped, with a byte order mark
				folder[name+".gz"] = &fstest.MapFile{Data: gzipped(t, append([]byte("\ufeff"), file.Data...))}
				delete(folder, name)
			}
		}
		p, err := propose.FromFolder(t.Context(), folder, propose.Options{Folder: "plant 7"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Importable != c.importable || c.importable == strings.Contains(said(p), "the import reads commas") {
			t.Errorf("%s: importable %v\n%s", name, p.Importable, said(p))
		}
		if c.comma != strings.Contains(said(p), "decimal commas") {
			t.Errorf("%s: %s", name, said(p))
		}
		if got, want := load(t, p), load(t, plain); len(got.Sensors) != len(want.Sensors) || got.Sensors[0] != want.Sensors[0] || got.Cadence != want.Cadence {
			t.Errorf("%s: got %+v, want %+v", name, got.Sensors, want.Sensors)
		}
		if diff := cmp.Diff(plain.Readiness, p.Readiness); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
