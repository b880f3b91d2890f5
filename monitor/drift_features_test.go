package monitor_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/lake"
	"drumbeat/monitor"
)

// memory is rows of gold without a lake.
type memory []drumbeat.Vector

func (m memory) scan(
	_ context.Context, from, until drumbeat.Time, fn func(*lake.GoldChunk) error,
) error {
	const size = 1000
	for rows := range slices.Chunk(m, size) {
		c := &lake.GoldChunk{Features: make([][]float64, len(rows[0].Values))}
		for i := range rows {
			v := &rows[i]
			if v.AsOf < from || v.AsOf >= until {
				continue
			}
			c.Machine, c.AsOf = append(c.Machine, v.Machine), append(c.AsOf, v.AsOf)
			c.Position, c.MadeBy = append(c.Position, v.Position), append(c.MadeBy, v.MadeBy)
			c.WarmingUp, c.Overflow = append(c.WarmingUp, v.WarmingUp), append(c.Overflow, v.Overflow)
			for k, x := range v.Values {
				c.Features[k] = append(c.Features[k], x)
			}
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

func view(t testing.TB, f *fleet.Fleet) *feature.View {
	t.Helper()
	v, err := feature.LoadView(fleets.FS(), "laundry", f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

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
				// Of four rows of an hour the last one counts: half are enough here.
				g.gold = append(g.gold, v)
			}
		}
	}
}

func TestScratchFeatures(t *testing.T) {
	f := laundry(t)
	v := view(t, f)
	for seed := range 6 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			for _, shifted := range []bool{false, true} {
				g := &goldWorld{
					world: newWorld(t, f, uint64(200+seed), worldStart), days: monitor.NewDays(f), engine: feature.NewEngine(v),
				}
				g.play(t, at(shiftFrom), g.add)
				if shifted {
					if err := g.sim.Shift(shiftOf(t, drift(t, f, g.days, at(shiftFrom)))); err != nil {
						t.Fatal(err)
					}
				}
				for _, now := range []int{shiftFrom + 4, shiftFrom + 5, shiftFrom + 7, shiftFrom + 14} {
					g.play(t, at(now), g.add)
					r, err := monitor.Drift(t.Context(), monitor.DriftInput{
						Fleet: f, Days: g.days, Reference: reference(), Now: at(now), Begun: worldStart, View: v, Vectors: g.gold.scan,
						Score: func(x []float64) float64 { return x[0] },
					})
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("seed %d shifted %v day %d: sensors %v features %v", seed, shifted, now, r.Flagged.Sensors, r.Flagged.Features)
					for _, x := range r.Features {
						if x.Level != monitor.LevelNone && x.Level != monitor.LevelUnjudged {
							t.Logf("    %s %s %.3f usual %.3f made of %v", x.Level, x.Feature, x.PSI, x.UsualPSI, x.MadeOf)
						}
					}
					if false {
						for _, x := range r.Features {
							t.Logf("  %s %.3f %s", x.Feature, x.PSI, x.Sentence)
						}
					}
				}
			}
		})
	}
}
