package monitor_test

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/monitor"
	"drumbeat/registry"
	"drumbeat/sim"
	"drumbeat/topic"
)

const day = 24 * time.Hour

// The days of the simulated world: a quarter of history, whose end trained the
// champion, and what comes after.
const (
	referenceEnd  = 83
	referenceDays = 28
	firstReport   = 90
	reports       = 30
	shiftFrom     = 92
)

var worldStart = drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

func at(days int) drumbeat.Time { return worldStart.Add(time.Duration(days) * day) }

func reference() registry.TimeSpan {
	return registry.TimeSpan{From: at(referenceEnd - referenceDays), Until: at(referenceEnd)}
}

func laundry(t testing.TB) *fleet.Fleet {
	t.Helper()
	f, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// world is a simulated laundry and the way from its records to silver.
type world struct {
	sim     *sim.Sim
	decoder *fleet.Decoder
	judge   *fleet.Judge
	offset  int64
	items   []drumbeat.Item
}

// newWorld begins at a time: its machines have worked for 200 days by then, so
// the first day is like any other, and what nobody looks at is not played.
func newWorld(t testing.TB, f *fleet.Fleet, seed uint64, from drumbeat.Time) *world {
	t.Helper()
	s, err := sim.New(sim.Config{Fleet: f, Topic: "laundry", Seed: seed, Machines: 100, Start: from})
	if err != nil {
		t.Fatal(err)
	}
	return &world{sim: s, decoder: fleet.NewDecoder(f), judge: fleet.NewJudge(f)}
}

// play gives fn what silver would hold of the time up to until.
func (w *world) play(t testing.TB, until drumbeat.Time, fn func([]drumbeat.Item)) {
	t.Helper()
	err := w.sim.Play(until, func(r topic.Record) error {
		w.offset++
		items, err := w.decoder.Decode(fleet.Form{Type: r.Type}, r.Value, w.items[:0])
		if err != nil {
			return nil //nolint:nilerr // a dead letter
		}
		kept := 0
		for i := range items {
			items[i].ArrivalTime = r.Time
			items[i].Position = drumbeat.Position{Offset: w.offset, Index: int32(i)}
			if fate, _ := w.judge.Judge(&items[i]); fate == drumbeat.FateKept {
				items[kept] = items[i]
				kept++
			}
		}
		w.items = items
		fn(items[:kept])
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func drift(t testing.TB, f *fleet.Fleet, days *monitor.Days, now drumbeat.Time) *monitor.DriftReport {
	t.Helper()
	r, err := monitor.Drift(t.Context(), monitor.DriftInput{
		Fleet: f, Days: days, Reference: reference(), Now: now, Begun: worldStart,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAFleetAsUsualHardlyEverDrifts is the issue's: in 18 of 20 months without
// a shift no daily report flags a sensor.
func TestAFleetAsUsualHardlyEverDrifts(t *testing.T) {
	t.Parallel()
	seeds := simulatedSeeds
	if testing.Short() {
		seeds = 1
	}
	f := laundry(t)
	flagged := make([]string, seeds)
	t.Run("seeds", func(t *testing.T) {
		for seed := range seeds {
			t.Run(strconv.Itoa(seed), func(t *testing.T) {
				t.Parallel()
				days := monitor.NewDays(f)
				w := newWorld(t, f, uint64(seed), at(referenceEnd-referenceDays-1))
				for report := range reports {
					now := at(firstReport + 1 + report)
					w.play(t, now, days.Add)
					if r := drift(t, f, days, now); len(r.Flagged.Sensors) > 0 && flagged[seed] == "" {
						flagged[seed] = r.Sentences[0]
					}
				}
			})
		}
	})
	wrong := 0
	for seed, sentence := range flagged {
		if sentence != "" {
			wrong++
			t.Logf("seed %d: %s", seed, sentence)
		}
	}
	if wrong > max(seeds/10, 1) {
		t.Errorf("of %d months without a shift %d have a flag", seeds, wrong)
	}
}

// shiftOf is how far the issue moves vibration: four standard deviations of
// the reference's daily means, and 0.6 of the spread between machines.
func shiftOf(t testing.TB, r *monitor.DriftReport) sim.Shift {
	t.Helper()
	for i := range r.Sensors {
		if s := &r.Sensors[i]; s.Sensor == "vibration_hz" {
			by := max(4*s.Weekday.SD, 4*s.Weekend.SD, 0.6*s.Spread)
			return sim.Shift{Sensor: s.Sensor, From: at(shiftFrom), By: float64(by)}
		}
	}
	t.Fatal("no vibration")
	return sim.Shift{}
}

func TestAShiftIsSeenWithinFourDaysAndNothingElse(t *testing.T) {
	t.Parallel()
	seeds := shiftedSeeds
	if testing.Short() {
		seeds = 1
	}
	f := laundry(t)
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			t.Parallel()
			days := monitor.NewDays(f)
			w := newWorld(t, f, uint64(100+seed), at(referenceEnd-referenceDays-1))
			w.play(t, at(shiftFrom), days.Add)
			shift := shiftOf(t, drift(t, f, days, at(shiftFrom)))
			if err := w.sim.Shift(shift); err != nil {
				t.Fatal(err)
			}
			w.play(t, at(shiftFrom+4), days.Add)
			r := drift(t, f, days, at(shiftFrom+4))
			if diff := cmp.Diff([]string{"vibration_hz"}, r.Flagged.Sensors); diff != "" {
				t.Fatalf("flagged after four days (-want +got):\n%s", diff)
			}
			s := &r.Sensors[f.SensorIndex("vibration_hz")]
			if s.Since != at(shiftFrom) || math.Abs(float64(s.Shift)/shift.By-1) > 0.35 {
				t.Errorf("shifted by %.2f since %s; it says: %s", shift.By, at(shiftFrom), s.Sentence)
			}
			first := r.Triggers[0].Key()
			w.play(t, at(shiftFrom+8), days.Add)
			again := drift(t, f, days, at(shiftFrom+8))
			if len(again.Triggers) == 0 || again.Triggers[0].Key() != first || first != "data_drift:vibration_hz:2026-04-03" {
				t.Errorf("the trigger was %s, four days later there are %v", first, again.Triggers)
			}
		})
	}
}
