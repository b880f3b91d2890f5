package feature_test

import (
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

func hashOf(t *testing.T, change func(*fleet.Fleet), edit ...string) drumbeat.Hash {
	t.Helper()
	f := testFleet(true)
	change(f)
	v, err := load(f, strings.NewReplacer(edit...).Replace(example))
	if err != nil {
		t.Fatal(err)
	}
	return v.Hash
}

func TestTheHashFollowsWhatValuesDependOn(t *testing.T) {
	same := func(*fleet.Fleet) {}
	base := hashOf(t, same)
	if len(base) != 64 {
		t.Errorf("got the hash %q, want 64 hex digits", base)
	}
	for name, change := range map[string]func(*fleet.Fleet){
		"fleet":                            func(f *fleet.Fleet) { f.Name = "other" },
		"cadence":                          func(f *fleet.Fleet) { f.Cadence = time.Hour },
		"lateness":                         func(f *fleet.Fleet) { f.Lateness = time.Hour },
		"n_max":                            func(f *fleet.Fleet) { f.MaxReadings = 5000 },
		"running":                          func(f *fleet.Fleet) { f.Running.Value++ },
		"not running":                      func(f *fleet.Fleet) { f.Running = nil },
		"bounds":                           func(f *fleet.Fleet) { f.Sensors[0].Max++ },
		"decimals":                         func(f *fleet.Fleet) { f.Sensors[0].Decimals++ },
		"conversion":                       func(f *fleet.Fleet) { f.Sensors[0].Factor = "2" },
		"clipping":                         func(f *fleet.Fleet) { f.Sensors[0].OutOfRange = fleet.Null },
		"stuck":                            func(f *fleet.Fleet) { f.Sensors[0].StuckAfter = 9 },
		"a sensor that only running: uses": func(f *fleet.Fleet) { f.Sensors[1].Max++ },
		"categories":                       func(f *fleet.Fleet) { f.Static[0].Values = []string{"south", "north", "east"} },
	} {
		if hashOf(t, change) == base {
			t.Errorf("%s: the hash did not change", name)
		}
	}
	for name, change := range map[string]func(*fleet.Fleet){
		"titles":                 func(f *fleet.Fleet) { f.Sensors[0].Title, f.Title = "heat", "Mill" },
		"units":                  func(f *fleet.Fleet) { f.Sensors[0].Unit = "degrees" },
		"the field of a payload": func(f *fleet.Fleet) { f.Sensors[0].Field = "t1" },
		"a sensor not used":      func(f *fleet.Fleet) { f.Sensors[4].Max = 99 },
		"policy":                 func(f *fleet.Fleet) { f.Policy.Threshold = 0.3 },
	} {
		if hashOf(t, change) != base {
			t.Errorf("%s: the hash changed", name)
		}
	}
	for _, edit := range [][2]string{
		{"window: 1d, use: all", "window: 1d"},
		{"agg: mean, window: 7d", "agg: mean, window: 8d"},
		{"heat_1d / heat_7d", "heat_7d / heat_1d"},
		{"type: belt", "type: pump"},
		{"[24, 60]", "[24, 61]"},
		{"name: age,", "name: years,"},
		{"min_history: 3d", "min_history: 4d"},
	} {
		if hashOf(t, same, edit[0], edit[1]) == base {
			t.Errorf("%s for %s: the hash did not change", edit[1], edit[0])
		}
	}
	for _, edit := range [][2]string{
		{"title: heat health", "title: another"},
		{"heat_1d / heat_7d", "(heat_1d/heat_7d)"},
		{"[new, mid_age, legacy]", "[a, b, c]"},
		{"ttl: 7d", "max_record_bytes: 200000\nttl: 1w"},
	} {
		if hashOf(t, same, edit[0], edit[1]) != base {
			t.Errorf("%s for %s: the hash changed", edit[1], edit[0])
		}
	}
}
