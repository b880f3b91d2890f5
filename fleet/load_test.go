package fleet_test

import (
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

var update = flag.Bool("update", false, "rewrite the expected output under testdata")

func TestAFileFullOfFaultsReportsEachOneWithItsPlace(t *testing.T) {
	_, err := fleet.Load(os.DirFS("testdata"), "faults")
	var faults strict.Faults
	if !errors.As(err, &faults) || !errors.Is(err, drumbeat.ErrInvalid) {
		t.Fatalf("got %v, want faults", err)
	}
	golden(t, "testdata/faults/want.txt", err.Error()+"\n")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
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

func day(text string) drumbeat.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return drumbeat.At(t)
}

func TestEveryFieldOfAFleetIsRead(t *testing.T) {
	got, err := fleet.Load(os.DirFS("testdata"), "full")
	if err != nil {
		t.Fatal(err)
	}
	want := &fleet.Fleet{
		Name: "press-line", Title: "Press line", Cadence: 5 * time.Minute,
		Sensors: []fleet.Sensor{
			{
				Name: "oil_temperature_c", Title: "oil temperature", Field: "T_oil", Unit: "°C", Min: -400, Max: 1500,
				Decimals: 1, OutOfRange: fleet.Null, StuckAfter: 12, MaxJump: 55, Factor: "0.1", Offset: "-273.15",
			},
			{
				Name: "strokes", Title: "strokes made", Field: "strokes", Kind: fleet.Counter, Max: 1_000_000_000,
				OutOfRange: fleet.Reject, Factor: "1", Offset: "0",
			},
			{
				Name: "current_a", Title: "current", Field: "current_a", Unit: "A", Max: 40000, Decimals: 2,
				Factor: "1", Offset: "0",
			},
		},
		Static: []fleet.Attribute{
			{Name: "hall", Type: fleet.Category, Values: []string{"a", "b"}},
			{Name: "built", Type: fleet.Number},
		},
		Logs: []fleet.Log{
			{Name: "failure", Time: "when", Type: "mode", Detail: "note", ID: "ticket", Types: []string{"die", "ram"}},
			{Name: "maintenance", Time: "timestamp", Type: "kind", Types: []string{"service", "repair"}},
		},
		Running:           &fleet.Condition{Sensor: 2, Op: fleet.OpGreaterEqual, Value: 250, Text: "current_a >= 2.50"},
		FailureIsTerminal: true,
		FailureLog:        fleet.Completeness{Kind: fleet.CompleteTo, To: day("2026-01-31T00:00:00Z")},
		Lateness:          36 * time.Hour,
		TrainGrid:         30 * time.Minute,
		Clock:             fleet.ClockWall,
		Label: fleet.LabelPolicy{
			Horizon: 72 * time.Hour, HorizonText: "3d", ReportingLag: 12 * time.Hour,
			Censors: []string{"repair"}, Resolves: []string{"service", "repair"}, DownMax: 48 * time.Hour,
		},
		Policy: fleet.Policy{
			Threshold: 0.3, RecallTarget: 0.9, ProofLowerBound: true, MinFailures: 5, MinPrecision: 0.1,
			MaxFalseAlarms: 1, MinLead: 30 * time.Minute, RetrainBelowRecall: 0.7, WarnBelowRecall: 0.8, HealthyAboveRecall: 0.85,
			DriftSigma: 3, DriftReference: 21 * 24 * time.Hour, MonitorEvery: 48 * time.Hour, RetrainEvery: 0, Cooldown: 72 * time.Hour,
			InspectionMinutes: 45,
		},
		Split: &fleet.Split{
			TrainUntil: day("2025-06-01T00:00:00Z"), TestFrom: day("2025-06-04T10:00:00Z"),
			TestUntil: day("2025-09-01T00:00:00Z"),
		},
		Train:     fleet.Train{Rounds: 50, MaxDepth: 3, Eta: 0.1, Subsample: 0.5, ColSample: 0.6, MinChild: 4, Seed: 9},
		Retention: fleet.Retention{Bronze: 90 * strict.Day, DeadLetters: strict.Day, Silver: 400 * strict.Day, Gold: 800 * strict.Day, Predictions: 588 * time.Hour},
		Import: &fleet.Import{
			Telemetry: fleet.Source{
				File: "t.csv.gz", Machine: "press", Time: "at", TimeFormat: "unix_ms", Zone: "UTC",
				KnownAfter: 2 * time.Minute, Columns: map[string]string{"strokes": "n"},
			},
			Machines: &fleet.Source{
				File: "m.csv", Machine: "machine_id", Zone: "UTC", Columns: map[string]string{"built": "year"},
			},
			Logs: map[string]fleet.Source{"failure": {
				File: "f.csv", Machine: "machine_id", Time: "when", TimeFormat: "02.01.2006 15:04", Zone: "Europe/Berlin",
				KnownAt: "entered", Columns: map[string]string{
					"type": "mode", "detail": "note", "id": "ticket", "revision": "rev", "withdrawn": "gone",
				},
			}},
		},
		MaxReadings: 20000,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// load makes a fleet of a file's text.
func load(t testing.TB, text string) (*fleet.Fleet, error) {
	t.Helper()
	return fleet.Load(fstest.MapFS{"f/fleet.yaml": {Data: []byte(text)}}, "f")
}

const least = "fleet: x\ncadence: 6h\nsensors: [{name: a, min: 0, max: 1, decimals: 0}]\n"

func TestWhatAFileLeavesOutHasADefault(t *testing.T) {
	got, err := load(t, least)
	if err != nil {
		t.Fatal(err)
	}
	want := &fleet.Fleet{
		Name: "x", Title: "x", Cadence: 6 * time.Hour,
		Sensors:  []fleet.Sensor{{Name: "a", Title: "a", Field: "a", Max: 1, Factor: "1", Offset: "0"}},
		Lateness: 24 * time.Hour, TrainGrid: 6 * time.Hour,
		Label: fleet.LabelPolicy{
			Horizon: 7 * strict.Day, HorizonText: "7d", ReportingLag: 24 * time.Hour, DownMax: 24 * time.Hour,
		},
		Policy: fleet.Policy{
			Threshold: 0.45, RecallTarget: 0.99, MinFailures: 20, MinPrecision: 0.2, MaxFalseAlarms: 0.5,
			MinLead: time.Hour, RetrainBelowRecall: 0.85, WarnBelowRecall: 0.9, HealthyAboveRecall: 0.95,
			DriftSigma: 2, DriftReference: 28 * 24 * time.Hour, MonitorEvery: 24 * time.Hour, RetrainEvery: 30 * 24 * time.Hour,
			Cooldown: 7 * 24 * time.Hour, InspectionMinutes: 15,
		},
		Train: fleet.Train{Rounds: 300, MaxDepth: 5, Eta: 0.05, Subsample: 0.8, ColSample: 0.8, MinChild: 1, Seed: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheFailureLogsCompletenessIsSaidInThreeWays(t *testing.T) {
	logs := least + "logs: {failure: {}}\n"
	at := fleet.Completeness{Kind: fleet.CompleteTo, To: day("2016-01-01T00:00:00Z")}
	for text, want := range map[string]fleet.Completeness{
		"":                                       {},
		"failure_log: continuous":                {Kind: fleet.CompleteContinuous},
		"failure_log: {complete_to: 2016-01-01}": at,
		"complete_to: 2016-01-01":                at,
	} {
		f, err := load(t, logs+text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, f.FailureLog); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func TestConditions(t *testing.T) {
	sensors := "fleet: x\ncadence: 1h\nsensors: [{name: a, min: -9, max: 9, decimals: 2}]\n"
	for text, holds := range map[string][3]bool{ // at -1, 0.50 and 1
		"a > 0.5": {false, false, true}, "a >= 0.5": {false, true, true}, "a < 0.5": {true, false, false},
		"a <= 0.50": {true, true, false}, "a == 0.5": {false, true, false}, "a != 0.5": {true, false, true},
		"a<-0.99": {true, false, false},
	} {
		f, err := load(t, sensors+"running: "+text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for i, x := range []int64{-100, 50, 100} {
			if got := f.Running.Holds([]int64{x}); got != holds[i] {
				t.Errorf("%q at %d: got %v, want %v", text, x, got, holds[i])
			}
		}
		if f.Running.Holds([]int64{drumbeat.Missing}) {
			t.Errorf("%q: an unknown value satisfies it", text)
		}
	}
	if _, err := load(t, sensors+"running: a > 0.505"); err == nil || !strings.Contains(err.Error(), "at most 2 decimals") {
		t.Errorf("a constant finer than its sensor: got %v", err)
	}
}

func TestAMissingFileIsNotFound(t *testing.T) {
	if _, err := fleet.Load(fstest.MapFS{}, "f"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("got %v, want a file that is not found", err)
	}
}

func FuzzLoad(f *testing.F) {
	for _, name := range []string{"testdata/faults/fleet.yaml", "testdata/full/fleet.yaml"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		loaded, err := load(t, text)
		if err != nil {
			if !errors.Is(err, drumbeat.ErrInvalid) && !errors.Is(err, drumbeat.ErrLimit) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		fleet.NewDecoder(loaded)
		for i := range loaded.Sensors {
			if s := &loaded.Sensors[i]; s.Max <= s.Min {
				t.Errorf("%s has the bounds %d and %d", s.Name, s.Min, s.Max)
			}
		}
	})
}
