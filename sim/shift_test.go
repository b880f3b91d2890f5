package sim_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/sim"
	"drumbeat/topic"
)

// readingsOf decodes the readings of whole records.
func readingsOf(t *testing.T, f *fleet.Fleet, records []topic.Record) []drumbeat.Item {
	t.Helper()
	var items []drumbeat.Item
	decoder := fleet.NewDecoder(f)
	for i := range records {
		if records[i].Type != "" {
			continue
		}
		if more, err := decoder.Decode(fleet.Form{}, records[i].Value, nil); err == nil {
			items = append(items, more...)
		}
	}
	return items
}

func TestAShiftMovesOneSensorOfRunningMachinesAndNothingElse(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 21, 30)
	until, from := cfg.Start.Add(6*day), cfg.Start.Add(3*day+day/2)
	plain := readingsOf(t, cfg.Fleet, play(t, start(t, cfg), until))

	running := start(t, cfg)
	records := play(t, running, cfg.Start.Add(2*day))
	if err := running.Shift(sim.Shift{Sensor: "vibration_hz", From: from, By: -4.5}); err != nil {
		t.Fatal(err)
	}
	records = append(records, play(t, running, until)...)
	shifted := readingsOf(t, cfg.Fleet, records)

	cfg.Shifts = []sim.Shift{{Sensor: "vibration_hz", From: from, By: -4}, {Sensor: "vibration_hz", From: from, By: -0.5}}
	configured := start(t, cfg)
	if diff := firstDifference(records, play(t, configured, until)); diff != "" {
		t.Fatalf("shifts of the configuration: %s", diff)
	}
	if diff := cmp.Diff(running.Counts(), configured.Counts()); diff != "" {
		t.Fatal(diff)
	}
	if len(plain) != len(shifted) {
		t.Fatalf("%d readings, %d with the shift", len(plain), len(shifted))
	}
	vibration := cfg.Fleet.SensorIndex("vibration_hz")
	moved, odd := 0, 0
	for i := range plain {
		was, is := &plain[i], &shifted[i]
		a, b := was.Values[vibration], is.Values[vibration]
		was.Values[vibration] = b
		if diff := cmp.Diff(was.Values, is.Values); was.EventTime != is.EventTime || diff != "" {
			t.Fatalf("reading %d has another time or other values:\n%s", i, diff)
		}
		before := is.EventTime < from.Add(-4*time.Minute) // the clocks of some machines are off
		switch {
		case before && a != b:
			t.Fatalf("at %s vibration is %d, %d without the shift", is.EventTime, b, a)
		case before || a == drumbeat.Missing || !cfg.Fleet.Running.Holds(is.Values):
		case a-b == 4500:
			moved++
		default:
			odd++ // stuck, a glitch, a reading that says power wrongly
		}
	}
	if moved < 1000 || odd*20 > moved {
		t.Errorf("%d values are 4.5 Hz lower, %d are not", moved, odd)
	}
}

// TestCountsHoldUnderAShift sends values below every bound.
func TestCountsHoldUnderAShift(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 22, 20)
	cfg.Shifts = []sim.Shift{
		{Sensor: "vibration_hz", From: cfg.Start, By: -30}, {Sensor: "temperature_c", From: cfg.Start.Add(2 * day), By: 45},
	}
	s := start(t, cfg)
	p := newPipeline(cfg.Fleet)
	for _, r := range play(t, s, cfg.Start.Add(4*day)) {
		p.record(r)
	}
	if diff := cmp.Diff(p.counts, s.Counts()); diff != "" {
		t.Errorf("what the pipeline found is not what was sent (-pipeline +sim):\n%s", diff)
	}
	if c := s.Counts(); c.Nulled["vibration_hz"] < 1000 || c.Clipped["temperature_c"] < 200 {
		t.Errorf("hardly anything went out of range: %+v", c)
	}
}

func TestAShiftedSimulationGoesOnFromThePast(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 23, 20)
	cfg.Shifts = []sim.Shift{{Sensor: "power_kw", From: cfg.Start.Add(day), By: 2}}
	until := cfg.Start.Add(4 * day)
	want := partitioned(play(t, start(t, cfg), until), 1)[0]
	past := &sim.Past{Partitions: 1}
	held := want[:len(want)/2]
	for i := range held {
		if err := past.Observe(&held[i]); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Past = past
	if diff := firstDifference(want[len(held):], play(t, start(t, cfg), until)); diff != "" {
		t.Error(diff)
	}
}

func TestAShiftThatCannotBePlayedIsRefused(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 1, 3)
	s := start(t, cfg)
	play(t, s, cfg.Start.Add(day))
	for name, sh := range map[string]sim.Shift{
		"an unknown sensor": {Sensor: "colour", From: s.Now(), By: 1},
		"a counter":         {Sensor: "runtime_hours", From: s.Now(), By: 1},
		"no number":         {Sensor: "power_kw", From: s.Now(), By: math.NaN()},
		"too far":           {Sensor: "power_kw", From: s.Now(), By: math.Inf(1)},
		"in the past":       {Sensor: "power_kw", From: cfg.Start, By: 1},
	} {
		if err := s.Shift(sh); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v, want an error of kind invalid", name, err)
		}
	}
	cfg.Shifts = []sim.Shift{{Sensor: "colour"}}
	if _, err := sim.New(cfg); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("in the configuration: got %v, want an error of kind invalid", err)
	}
}
