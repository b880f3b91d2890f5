package propose_test

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

// drop leaves files out.
func drop(names ...string) func(w *world) fstest.MapFS {
	return func(w *world) fstest.MapFS {
		folder := w.files()
		for _, name := range names {
			delete(folder, name)
		}
		return folder
	}
}

// missingTraps are about what is not there.
func missingTraps() []trap {
	return []trap{
		{
			"no log at all", drop("failures.csv", "maintenance.csv"),
			[]string{"logs: there is no log"},
			nil,
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
			[]string{"left out machine_failure", "save them as a file of their own"},
			nil, nil,
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
			},
			nil, nil,
		},
	}
}

// entryTraps are about a log's rows.
func entryTraps() []trap {
	return []trap{
		{
			"repairs among the failures", func(w *world) fstest.MapFS {
				w.failTypes = []string{"bearing", "bearing replaced", "seal"}
				return w.files()
			},
			[]string{"of the type bearing replaced look like repairs, not failures"},
			nil, nil,
		},
		{
			"a repair at the time of each failure", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["maintenance.csv"].Data = []byte(strings.Replace(string(folder["failures.csv"].Data), "failed_at,failure_type", "done_at,part", 1))
				return folder
			},
			[]string{"have a row in maintenance.csv at the same time: that is the repair"},
			nil, nil,
		},
		{
			"a failure log that stopped", func(w *world) fstest.MapFS {
				for id, times := range w.fails {
					w.fails[id] = slices.DeleteFunc(times, func(at time.Time) bool { return at.After(w.start.AddDate(0, 0, 60)) })
				}
				return w.files()
			},
			[]string{"the log seems to end there"},
			nil,
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
			[]string{"logs.failure: 1 row of the same machine, time and type"},
			nil, nil,
		},
	}
}
