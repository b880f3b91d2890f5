package feature_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"

	"github.com/google/go-cmp/cmp"
)

func load(f *fleet.Fleet, text string) (*feature.View, error) {
	return feature.LoadView(fstest.MapFS{"mill/features.yaml": {Data: []byte(text)}}, "mill", f)
}

const example = `view: health
ttl: 7d
min_history: 3d
serve_lag: 10m
features:
  - {name: heat_7d, of: heat, agg: mean, window: 7d}
  - {name: heat_1d, of: heat, agg: mean, window: 1d, use: all}
  - {name: heat_health, expr: heat_1d / heat_7d, title: heat health}
  - {name: belts, of: fault, type: belt, agg: events, window: 30d}
  - {name: faults, of: fault, agg: count, window: 1d}
  - {name: since_service, of: service, agg: age}
  - {name: between, of: service, agg: mean_between, window: 30d}
  - {name: age_group, of: age, bins: [24, 60], labels: [new, mid_age, legacy]}
  - {name: age, of: age}
  - {name: site, of: site, onehot: true}
  - {name: where, of: site}
  - {name: hours_1d, of: hours, agg: increase, window: 1d}
`

func TestAViewIsLoadedWithTitlesAndUnits(t *testing.T) {
	v, err := load(testFleet(true), example)
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ Name, Title, Unit, Agg string }
	var got []row
	for _, f := range v.Features {
		got = append(got, row{f.Name, f.Title, f.Unit, f.Agg.String()})
	}
	want := []row{
		{"heat_7d", "temperature, mean of 7 days", "°C", "mean"},
		{"heat_1d", "temperature, mean of 1 day", "°C", "mean"},
		{"heat_health", "heat health", "", "expr"},
		{"belts", "belt (fault), entries in 30 days", "", "events"},
		{"faults", "fault, entries in 1 day", "", "events"},
		{"since_service", "time since the last service", "h", "age"},
		{"between", "service, mean time between entries in 30 days", "h", "mean_between"},
		{"age_group", "age group", "", "bins"},
		{"age", "age", "", "number"},
		{"site_north", "site is north", "", "onehot"},
		{"site_south", "site is south", "", "onehot"},
		{"site_east", "site is east", "", "onehot"},
		{"where", "site", "", "category"},
		{"hours_1d", "hours, increase over 1 day", "h", "increase"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("features (want -, got +):\n%s", diff)
	}
	if v.TTL != 7*24*time.Hour || v.MinHistory != 3*24*time.Hour || v.ServeLag != 10*time.Minute ||
		v.MaxRecord != feature.DefaultRecord || v.LongestWindow() != 30*24*time.Hour {
		t.Errorf("got ttl %s, min_history %s, serve_lag %s, max_record_bytes %d", v.TTL, v.MinHistory, v.ServeLag, v.MaxRecord)
	}
}

func TestWhatAViewLeavesOutHasItsDefault(t *testing.T) {
	v, err := load(testFleet(true), "view: health\nfeatures: [{name: a, of: heat, agg: mean, window: 2d}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if v.TTL != 0 || v.MinHistory != 48*time.Hour || v.ServeLag != 5*time.Minute {
		t.Errorf("got ttl %s, min_history %s, serve_lag %s", v.TTL, v.MinHistory, v.ServeLag)
	}
}

func TestEveryFaultOfAViewIsReportedWithItsPlace(t *testing.T) {
	const file = `view: health
tll: 7d
features:
  - {name: a, of: heat, agg: meen, window: 7d}
  - {name: b, of: heat, agg: slope, window: 7d}
  - {name: c, of: heat, agg: mean, window: 7d, where: load > 0.5}
  - {name: d, of: heat}
  - {name: e, expr: a +}
  - {name: f, expr: a + b, window: 7d}
  - {name: g, of: heat, agg: mean, window: 7d, onehot: true}
  - {agg: mean}
`
	_, err := load(testFleet(true), file)
	if !errors.Is(err, drumbeat.ErrInvalid) {
		t.Fatalf("got %v, want an invalid", err)
	}
	want := `features.yaml:2:1: unknown key "tll"; did you mean "ttl"?
features.yaml:4:30: features[0].agg: must be one of count, mean, std, min, max, sum, first, last, delta, increase, coverage, age, events, mean_between (got "meen"); did you mean "mean"?
features.yaml:5:30: features[1].agg: slope is not computed by this version: delta over the same window says the direction
features.yaml:6:55: features[2].where: conditions inside a window are not computed by this version: leave the key out
features.yaml:7:5: features[3]: agg is missing: how the values of heat become one, such as mean, std, min, max, sum, last
features.yaml:8:21: features[4].expr: read expression: character 4: expected a number, a feature or a parenthesis, found the end
features.yaml:9:36: features[5].window: a feature with expr: has no window:
features.yaml:10:56: features[6].onehot: only a static category is made onehot
features.yaml:11:5: features[7]: "name" is missing
features.yaml:11:5: features[7]: a feature needs of: (a sensor, log or attribute) or expr:`
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("faults (want -, got +):\n%s", diff)
	}
}

func TestAViewThatMeansNothingIsRefused(t *testing.T) {
	f := testFleet(true)
	f.Logs[1].Types = []string{"planned", "unplanned"}
	f.Logs[2].Type = ""
	f.Static = append(f.Static, fleet.Attribute{Name: "owner"})
	f.Sensors = append(f.Sensors, fleet.Sensor{Name: "wide", Max: 999_999_999_999_999_999})
	for entry, want := range map[string]string{
		"{name: a, of: heet, agg: mean, window: 7d}":                        `mean needs a sensor; there is none named "heet"; did you mean "heat"?`,
		"{name: a, of: heat, agg: mean}":                                    "window: must be a duration up to 400d",
		"{name: a, of: heat, agg: increase, window: 7d}":                    "increase is for counters; heat is a gauge: use delta",
		"{name: a, of: heat, agg: age}":                                     `age needs a log; there is none named "heat"`,
		"{name: a, of: fault, agg: age, window: 7d}":                        "age has no window",
		"{name: a, of: fault, agg: events}":                                 "must be a duration up to 400d",
		"{name: a, of: fault, type: bell, agg: events, window: 7d}":         `fault has no type "bell"; did you mean "belt"?`,
		"{name: a, of: note, type: x, agg: age}":                            "entries of note have no type",
		"{name: a, of: heat, type: x, agg: mean, window: 7d}":               "only a log's entries have a type",
		"{name: a, of: fault, use: all, agg: age}":                          "only a sensor's values can be invalid",
		"{name: a, of: owner, onehot: true}":                                "owner must declare its values",
		"{name: a, of: owner}":                                              "owner must declare its values",
		"{name: a, of: age, bins: [3, 3]}":                                  "must be numbers that rise",
		"{name: a, of: age, bins: [3, 4], labels: [x]}":                     "2 bounds make 3 bins (got 1 labels)",
		"{name: a, expr: later + 1}":                                        `there is no earlier feature "later"`,
		"{name: a, expr: b + 1}, {name: b, of: age}":                        `"b" must stand before this feature`,
		"{name: a, of: age}, {name: a, of: site}":                           `"a" stands here twice`,
		"{name: a, of: wide, agg: sum, window: 1d}":                         "pass 10^19",
		"{name: a, of: heat, agg: mean, window: 401d}":                      "a duration from 1ms to 400d",
		"{name: site_north, of: age}, {name: site, of: site, onehot: true}": `"site_north" stands here twice`,
	} {
		_, err := load(f, "view: v\nfeatures: ["+entry+"]\n")
		if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), want) ||
			!strings.HasPrefix(err.Error(), "features.yaml:2:") {
			t.Errorf("%s:\ngot  %v\nwant %s", entry, err, want)
		}
	}
}

func TestAViewWhoseRecordsWouldBeTooLongIsRefused(t *testing.T) {
	f := testFleet(true)
	f.Cadence = time.Second
	_, err := load(f, "view: v\nfeatures: [{name: a, of: heat, agg: mean, window: 7d}]\n")
	if err == nil || !strings.Contains(err.Error(), "more than 262144: fewer sensors or distinct windows, a longer cadence") {
		t.Errorf("got %v", err)
	}
	_, err = load(testFleet(true), "view: v\nmax_record_bytes: 1024\nfeatures: [{name: a, of: heat, agg: mean, window: 7d}]\n")
	if err == nil || !strings.HasPrefix(err.Error(), "features.yaml:2:19: max_record_bytes: a record may take") {
		t.Errorf("got %v", err)
	}
}

func TestASumThatCouldPassItsIntegersIsRefused(t *testing.T) {
	// W5: n_max · max|x| · 10^d < 10^19; 7 days at 15 minutes are 4·672 readings.
	for most, ok := range map[int64]bool{3_720_000_000_000_000: true, 3_721_000_000_000_000: false} {
		f := testFleet(false)
		f.Sensors[0].Max = most
		_, err := load(f, "view: v\nfeatures: [{name: a, of: heat, agg: std, window: 7d}]\n")
		if (err == nil) != ok {
			t.Errorf("max %d: got %v, want it accepted: %v", most, err, ok)
		}
		f.MaxReadings = 672
		if _, err := load(f, "view: v\nfeatures: [{name: a, of: heat, agg: std, window: 7d}]\n"); err != nil {
			t.Errorf("max %d with max_readings_per_window 672: got %v", most, err)
		}
	}
}

func TestAMissingFileIsNotFound(t *testing.T) {
	if _, err := feature.LoadView(fstest.MapFS{}, "mill", testFleet(true)); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("got %v, want %v", err, drumbeat.ErrNotFound)
	}
}

func TestNewViewReportsEveryFault(t *testing.T) {
	_, err := feature.NewView(feature.View{Name: "v", Fleet: testFleet(true), Features: []feature.Feature{
		{Name: "1a", Agg: feature.AggMean, Of: "heat", Window: time.Hour},
		{Name: "b", Agg: feature.AggExpr},
		{Name: "c", Agg: feature.Agg(99)},
		{Name: "d", Agg: feature.AggOneHot, Of: "site", Category: "moon"},
	}})
	for _, want := range []string{
		"features[0].name: must be letters", "features[1].expr: is missing", "features[2].agg: there is no aggregate 99",
		`features[3].of: site has no value "moon"`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	if _, err := feature.NewView(feature.View{}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("an empty view: got %v", err)
	}
}

func FuzzLoadView(f *testing.F) {
	f.Add(example)
	f.Add("view: v\nfeatures: [{name: a, of: heat, agg: mean, window: 1ms}]\nmax_record_bytes: 99999\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := load(testFleet(true), text)
		if err != nil {
			if !errors.Is(err, drumbeat.ErrInvalid) && !errors.Is(err, drumbeat.ErrLimit) {
				t.Fatalf("got %v of no kind", err)
			}
			return
		}
		item := drumbeat.Item{Machine: "M", EventTime: start, Values: []int64{1, 2, 3, 4, 5}}
		if got := feature.NewEngine(v).Apply(&item, nil); len(got) != 1 {
			t.Fatalf("got %d vectors of a first reading", len(got))
		}
	})
}
