package propose_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

// layout writes the files' times otherwise.
func layout(l string) func(w *world) fstest.MapFS {
	return func(w *world) fstest.MapFS {
		w.layout = l
		return w.files()
	}
}

// reordered changes the rows of the telemetry, the header aside.
func reordered(w *world, change func(rows []string) []string) fstest.MapFS {
	folder := w.files()
	lines := strings.Split(strings.TrimSpace(string(folder["telemetry.csv"].Data)), "\n")
	folder["telemetry.csv"].Data = []byte(strings.Join(append(lines[:1:1], change(lines[1:])...), "\n"))
	return folder
}

// windowTraps are about what a row's time means.
func windowTraps() []trap {
	return []trap{
		{
			"averages with the start and the end of their window", func(w *world) fstest.MapFS {
				w.cadence = 24 * time.Hour
				w.header[1] = "window_end"
				w.extra = []column{{"window_start", func(w *world, _ string, at time.Time, _ int) string {
					return at.Add(-24 * time.Hour).Format(w.layout)
				}}}
				return w.files()
			},
			[]string{"a row spans window_start to window_end: its values are known only at the end"},
			nil,
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
			[]string{"window_start is the start of a window", "sees 6h ahead"},
			nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Import.Telemetry.KnownAfter != 6*time.Hour {
					t.Errorf("known after %s, want the window", f.Import.Telemetry.KnownAfter)
				}
			},
		},
		{
			"days without a time", func(w *world) fstest.MapFS {
				w.cadence = 24 * time.Hour
				w.layout = time.DateOnly
				return w.files()
			},
			[]string{"timestamp holds days without a time"},
			nil, nil,
		},
		{
			"a time of arrival", with(column{"received_at", func(w *world, _ string, at time.Time, _ int) string {
				return at.Add(3 * time.Minute).Format(w.layout)
			}}),
			[]string{"received_at looks like the time at which a row was stored"},
			[]string{"left out received_at"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Import.Telemetry.Time != "timestamp" {
					t.Errorf("got the event time %s", f.Import.Telemetry.Time)
				}
			},
		},
		{
			"gaps that vary", func(w *world) fstest.MapFS {
				return reordered(w, func(rows []string) []string {
					return slices.DeleteFunc(rows, func(string) bool { return w.random.IntN(4) == 0 })
				})
			},
			[]string{"gaps vary"},
			nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Cadence != 6*time.Hour {
					t.Errorf("got %s", f.Cadence)
				}
			},
		},
	}
}

// dayMonthTraps are about the order of day and month.
func dayMonthTraps() []trap {
	return []trap{
		{
			"days before months, as some value proves", layout("02/01/2006 15:04"), nil,
			[]string{"may be day first"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if got := f.Import.Telemetry.TimeFormat; got != "2/1/2006 15:04" {
					t.Errorf("got %s", got)
				}
			},
		},
		{
			"months before days, as some value proves", layout("01/02/2006 3:04 PM"), nil,
			[]string{"may be day first"},
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
			[]string{"may be day first or month first: no value tells"},
			nil, nil,
		},
		{
			"an order that only a late row proves", func(w *world) fstest.MapFS {
				w.layout, w.cadence = "01/02/2006 15:04", 20*time.Minute // the first 5,000 rows are of 9 days
				return w.files()
			},
			nil,
			[]string{"may be day first"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if got := f.Import.Telemetry.TimeFormat; got != "1/2/2006 15:04" || f.Cadence != 20*time.Minute {
					t.Errorf("got %s every %s", got, f.Cadence)
				}
			},
		},
	}
}

// orderTraps are about zones and the order of rows.
func orderTraps() []trap {
	return []trap{
		{
			"times without a zone", layout(time.DateTime), []string{"times without a zone are taken as UTC"}, nil, nil,
		},
		{
			"times with a zone", layout(time.RFC3339), nil, []string{"zone"}, nil,
		},
		{
			"the newest rows first", func(w *world) fstest.MapFS {
				w.extra = []column{{"hours_run", func(_ *world, _ string, _ time.Time, row int) string { return strconv.Itoa(row * 2) }}}
				return reordered(w, func(rows []string) []string { slices.Reverse(rows); return rows })
			},
			nil,
			[]string{"no order"},
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("hours_run")]; f.Cadence != 6*time.Hour || s.Kind != fleet.Counter {
					t.Errorf("got the cadence %s and the kind %d", f.Cadence, s.Kind)
				}
			},
		},
		{
			"a file whose second half stands first", func(w *world) fstest.MapFS {
				return reordered(w, func(rows []string) []string {
					return slices.Concat(rows[len(rows)/2:], rows[:len(rows)/2])
				})
			},
			nil,
			[]string{"no order", "gaps vary"},
			func(t *testing.T, f *fleet.Fleet, p *propose.Proposal) {
				if f.Cadence != 6*time.Hour || p.Readiness.MachineDays < 0.95 {
					t.Errorf("got %s, and data on %.2f of the machine-days", f.Cadence, p.Readiness.MachineDays)
				}
			},
		},
		{
			"readings in two parts", func(w *world) fstest.MapFS {
				return reordered(w, func(rows []string) (out []string) {
					for i, row := range rows {
						cells := strings.Split(row, ",")
						if i%5 > 0 {
							out = append(out, row)
							continue
						}
						out = append(out, strings.Join([]string{cells[0], cells[1], cells[2], ""}, ","),
							strings.Join([]string{cells[0], cells[1], "", cells[3]}, ","))
					}
					return out
				})
			},
			nil,
			[]string{"say otherwise", "repeat another"},
			nil,
		},
		{
			"rows in no order", func(w *world) fstest.MapFS {
				return reordered(w, func(rows []string) []string {
					w.random.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
					return rows
				})
			},
			[]string{"are in no order of time"},
			nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if f.Cadence != 6*time.Hour {
					t.Errorf("got %s", f.Cadence)
				}
			},
		},
	}
}
