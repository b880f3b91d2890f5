//go:build !race

package monitor_test

import (
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/monitor"
)

// goldWorld plays a laundry and keeps what its engine makes of the reference
// and of the last weeks.
type goldWorld struct {
	*world
	days   *monitor.Days
	engine *feature.Engine
	gold   memory
}

func (g *goldWorld) add(items []drumbeat.Item) {
	g.days.Add(items)
	for i := range items {
		for _, v := range g.engine.Apply(&items[i], nil) {
			if v.AsOf >= at(referenceEnd-referenceDays) && v.AsOf < at(referenceEnd) || v.AsOf >= at(shiftFrom-9) {
				g.gold = append(g.gold, v)
			}
		}
	}
}

// TestFeaturesOfAShiftedSensorAreFlagged plays the drift through the
// feature engine.
func TestFeaturesOfAShiftedSensorAreFlagged(t *testing.T) {
	t.Parallel()
	f := laundry(t)
	v := view(t, f)
	begun := at(referenceEnd - referenceDays - 33) // the longest window is filled in the reference
	g := &goldWorld{world: newWorld(t, f, 200, begun), days: monitor.NewDays(f), engine: feature.NewEngine(v)}
	report := func(now int) *monitor.DriftReport {
		t.Helper()
		g.play(t, at(now), g.add)
		r, err := monitor.Drift(t.Context(), monitor.DriftInput{
			Fleet: f, Days: g.days, Reference: reference(), Now: at(now), Begun: begun, View: v, Vectors: g.gold.scan,
			Score: func(x []float64) float64 { return 1 / (1 + math.Exp(-10*(x[v.Index("vibration_health")]-1.2))) },
		})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	before := report(shiftFrom)
	if n := len(before.Flagged.Sensors) + len(before.Flagged.Features); n > 0 || before.Flagged.Predictions {
		t.Errorf("before the shift: %+v", before.Flagged)
	}
	if err := g.sim.Shift(shiftOf(t, before)); err != nil {
		t.Fatal(err)
	}
	r := report(shiftFrom + 4)
	if diff := cmp.Diff([]string{"vibration_hz"}, r.Flagged.Sensors); diff != "" || !r.Flagged.Predictions {
		t.Errorf("after four days, predictions %v, sensors (-want +got):\n%s", r.Flagged.Predictions, diff)
	}
	if !slices.Contains(r.Flagged.Features, "vibration_health") {
		t.Errorf("flagged features are %v, want vibration_health among them", r.Flagged.Features)
	}
	for _, name := range r.Flagged.Features {
		if made := r.Features[v.Index(name)].MadeOf; !slices.Contains(made, "vibration_hz") {
			t.Errorf("%s is flagged and made of %v", name, made)
		}
	}
}
