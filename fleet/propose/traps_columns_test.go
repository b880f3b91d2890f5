package propose_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

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

// noise is a number that means nothing.
func noise(w *world) string { return w.number(10 * w.random.Float64()) }

// deadColumns hold nothing to learn from.
func deadColumns() []trap {
	return []trap{
		{
			"a constant column", with(column{"firmware", func(*world, string, time.Time, int) string { return "7" }}),
			[]string{"left out firmware: is always 7"},
			nil, without("firmware"),
		},
		{
			"an empty column", with(column{"spare", func(*world, string, time.Time, int) string { return "" }}),
			[]string{"left out spare: is empty"},
			nil, without("spare"),
		},
		{
			"a column of NA", with(column{"spare", func(*world, string, time.Time, int) string { return "NA" }}),
			[]string{"left out spare: is empty"},
			nil, without("spare"),
		},
		{
			"a copy of another column", with(
				column{"flow", func(_ *world, _ string, _ time.Time, row int) string { return strconv.Itoa(row * 7919 % 1000) }},
				column{"flow_copy", func(_ *world, _ string, _ time.Time, row int) string { return fmt.Sprintf("%d.0", row*7919%1000) }}),
			[]string{"left out flow_copy: is a copy of flow"},
			nil, without("flow_copy"),
		},
		{
			"a column of text that never changes for a machine", with(column{"model", func(_ *world, id string, _ time.Time, _ int) string {
				return "type " + id[len(id)-1:]
			}}),
			[]string{"left out model: is text that never changes for a machine"},
			nil, without("model"),
		},
	}
}

// leaks are columns that know the answer, and one that does not.
func leaks() []trap {
	return []trap{
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
			[]string{"left out failure: is named like", "left out RUL: is named like", "left out Label", "left out remaining_useful_life"},
			nil,
			without("failure", "rul", "label", "remaining_useful_life"),
		},
		{
			"a column that is filled after failures only", with(column{"repair_torque", func(w *world, id string, at time.Time, _ int) string {
				if since, _ := w.around(id, at); since >= 0 && since < 30 {
					return noise(w)
				}
				return ""
			}}),
			[]string{"left out repair_torque: is filled in", "within 7d after a failure"},
			nil, without("repair_torque"),
		},
		{
			"a flag that knows the next failure", with(column{"state", func(w *world, id string, at time.Time, _ int) string {
				if _, until := w.around(id, at); until >= 0 && until < 5*24 {
					return "1"
				}
				return "0"
			}}),
			[]string{"left out state: is other than 0", "made from the failures"},
			nil, without("state"),
		},
		{
			"a column that counts down to the failure", with(column{"x", func(w *world, id string, at time.Time, _ int) string {
				_, until := w.around(id, at)
				if until < 0 {
					return ""
				}
				return w.number(until)
			}}),
			[]string{"left out x: falls steadily and rises only when the machine fails"},
			nil, without("x"),
		},
		{
			"an honest column that is filled rarely", with(column{"oil_test", func(w *world, _ string, _ time.Time, row int) string {
				if row%40 == 0 {
					return noise(w)
				}
				return ""
			}}),
			[]string{"sensors.oil_test: is there in 2.5 % of the rows only"},
			[]string{"left out oil_test"},
			nil,
		},
	}
}

// oddColumns need a person's eye.
func oddColumns() []trap {
	return []trap{
		{
			"cells that are no numbers", with(column{"flow", func(w *world, _ string, _ time.Time, row int) string {
				if row%1000 == 5 {
					return "ERR"
				}
				return noise(w)
			}}),
			[]string{`sensors.flow: 4 cells are no numbers, such as "ERR"`},
			nil, nil,
		},
		{
			"a mark for missing values", with(column{"flow", func(w *world, _ string, _ time.Time, row int) string {
				if row%300 == 7 {
					return "-999"
				}
				return noise(w)
			}}),
			[]string{"sensors.flow: -999 stands far from all other values"},
			nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("flow")]; s.Min < 0 {
					t.Errorf("the mark is within the bounds: %d", s.Min)
				}
			},
		},
		{
			"a few values far beyond all others", with(column{"flow", func(w *world, _ string, _ time.Time, row int) string {
				if row%900 == 7 {
					return "100000"
				}
				return noise(w)
			}}),
			[]string{"sensors.flow: has values far beyond the others, which the bounds clip"},
			nil,
			func(t *testing.T, f *fleet.Fleet, _ *propose.Proposal) {
				if s := f.Sensors[f.SensorIndex("flow")]; s.Max > 100_00 || s.Max < 10_00 {
					t.Errorf("got the upper bound %d hundredths for values up to 10", s.Max)
				}
			},
		},
		{
			"a counter with resets",
			with(column{"strokes", func(w *world, _ string, _ time.Time, row int) string { return strconv.Itoa(row / w.machines % 200 * 3) }}),
			[]string{"sensors.strokes: falls 16 times"},
			nil,
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
