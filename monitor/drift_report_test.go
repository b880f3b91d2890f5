package monitor_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/monitor"
	objects "drumbeat/objstore/memory"
	"drumbeat/registry"
)

func TestTheDayThatIsNotOverDoesNotCount(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.shift = from(30, 33, 60)
	if s := p.heat(t, at(37)-1); s.Flagged || len(s.Days) != 36-28 {
		t.Errorf("before the fourth day is over: flagged %v, %d days", s.Flagged, len(s.Days))
	}
	s := p.heat(t, at(37))
	if !s.Flagged || math.Abs(float64(s.Shift)-30) > 3 || math.Abs(float64(s.Effect)-30/116.9) > 0.03 {
		t.Errorf("after it: %s", s.Sentence)
	}
	// Student's t that leaves as much outside as two deviations do is 2.140 for
	// 19 degrees of freedom and 2.429 for 7.
	if w, e := float64(s.Weekday.Limit), float64(s.Weekend.Limit); math.Abs(w-2.140*math.Sqrt(1+1./20)) > 0.01 ||
		math.Abs(e-2.429*math.Sqrt(1+1./8)) > 0.01 {
		t.Errorf("the limits are %.3f and %.3f", w, e)
	}
	if math.Abs(float64(s.Weekday.Mean)-295) > 1.5 || math.Abs(float64(s.Weekday.SD)-1) > 0.5 || math.Abs(float64(s.Spread)-116.9) > 1 {
		t.Errorf("reference mean %.4g, deviation %.3g, spread %.4g; want 295, 1, 116.9", s.Weekday.Mean, s.Weekday.SD, s.Spread)
	}
}

func TestWhoComesIsCountedAndDoesNotCount(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.machines = 50
	p.level = func(machine, d int) float64 {
		if (machine >= 40) != (d >= 40) && machine >= 20 {
			return math.NaN() // ten come on day 40, and twenty of the forty go
		}
		return 100 + 10*float64(machine)
	}
	d := p.heat(t, at(45)).Days[44-28]
	if d.Machines != 20 || d.NewMachines != 10 || d.Note != "" {
		t.Errorf("%+v, want 20 machines and 10 new ones", d)
	}
	level := p.level
	p.level = func(machine, day int) float64 {
		if machine == 0 && day >= 40 {
			return math.NaN() // the twenty-first goes
		}
		return level(machine, day)
	}
	if d := p.heat(t, at(45)).Days[44-28]; d.Note == "" || d.Beyond || !math.IsNaN(float64(d.Z)) {
		t.Errorf("fewer than half are left, and it judges: %+v", d)
	}
}

func TestAReferenceThatIsTooShortIsASentence(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*plant)
		want   string
	}{
		"four weekend days": {
			func(p *plant) {
				p.level = func(machine, d int) float64 {
					if d < 14 {
						return math.NaN()
					}
					return 100 + 10*float64(machine)
				}
			}, "weekend days: 4 days have data, and 5 are needed",
		},
		"four machines": {func(p *plant) { p.machines = 4 }, "4 machines have 3 days or more of the type, and 5 are needed"},
		"nothing": {
			func(p *plant) {
				p.level = func(_, d int) float64 {
					if d < 28 {
						return math.NaN()
					}
					return 1
				}
			}, "0 machines have 3 days",
		},
	} {
		p := newPlant()
		p.shift = from(200, 33, 60)
		c.change(p)
		r := p.report(t, at(50))
		all := strings.Join(r.Sentences, " ")
		if !strings.Contains(all, c.want) {
			t.Errorf("%s: it says %q, want %q", name, all, c.want)
		}
		if flagged := r.Sensors[0].Flagged; flagged != (name == "four weekend days") { // weekdays can be judged
			t.Errorf("%s: flagged %v: %s", name, flagged, tabled(&r.Sensors[0]))
		}
	}
}

func TestASensorThatFallsSilentIsSaid(t *testing.T) {
	t.Parallel()
	f := mill()
	days := monitor.NewDays(f)
	for d := range 40 {
		for m := range 6 {
			item := drumbeat.Item{
				Machine: named(m), EventTime: at(d), ArrivalTime: at(d), Position: drumbeat.Position{Offset: int64(d*10 + m)},
				Values: []int64{int64(d + m), int64(m), drumbeat.Missing, 1}, Flags: make([]drumbeat.Flag, 4),
			}
			if d >= 30 {
				item.Values[1], item.Flags[1] = drumbeat.Missing, drumbeat.FlagNulled
				item.Flags[0] = drumbeat.FlagClipped
			}
			days.Add([]drumbeat.Item{item})
		}
	}
	r, err := monitor.Drift(t.Context(), monitor.DriftInput{
		Fleet: f, Days: days, Now: at(40), Reference: registry.TimeSpan{From: at(0), Until: at(28)},
	})
	if err != nil {
		t.Fatal(err)
	}
	shake := &r.Sensors[1]
	want := monitor.Quality{Readings: 42, Missing: 1, Nulled: 1}
	if diff := cmp.Diff(want, shake.Now); diff != "" || shake.Before.Missing != 0 {
		t.Errorf("quality now (-want +got):\n%s", diff)
	}
	if !strings.Contains(strings.Join(r.Sentences, " "), "Shaking: no value in the last 7 days") {
		t.Errorf("it says %q", r.Sentences)
	}
	if heat := &r.Sensors[0]; heat.Now.Clipped != 1 || heat.Before.Clipped != 0 {
		t.Errorf("clipped before %v and now %v, want 0 and 1", heat.Before.Clipped, heat.Now.Clipped)
	}
}

func TestAClockThatLeapsFlagsNothing(t *testing.T) {
	t.Parallel()
	p := newPlant()
	far := drumbeat.At(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC))
	r := p.report(t, far)
	if len(r.Flagged.Sensors) > 0 || len(r.Sensors[0].Days) == 0 {
		t.Errorf("in the year 9000: %v, %d days", r.Flagged, len(r.Sensors[0].Days))
	}
	if n := r.Sensors[0].Now.Readings; n != 0 {
		t.Errorf("%d readings in the last week of the year 8999", n)
	}
}

func TestAReportIsJSONWithoutNaN(t *testing.T) {
	t.Parallel()
	p := newPlant()
	p.machines = 3
	r := p.report(t, at(40))
	text, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var again monitor.DriftReport
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	second, err := json.Marshal(&again)
	if diff := cmp.Diff(string(text), string(second)); err != nil || diff != "" {
		t.Errorf("read and written again: %v\n%s", err, diff)
	}
	for _, part := range []string{
		`"drift_sigma":2`, `"limit":null`, `"since":null`, `"features":[]`, `"predictions":null`, `"triggers":[]`,
		`"flagged":{"sensors":[],"features":[],"predictions":false}`,
	} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%s is not in %s", part, text)
		}
	}
}

func TestTheReferenceEndsWithTheChampionsData(t *testing.T) {
	t.Parallel()
	p := newPlant()
	manifest := &registry.Manifest{Split: map[string]registry.TimeSpan{"test": {From: at(20), Until: at(83).Add(5 * time.Hour)}}}
	got, err := monitor.ReferenceOf(manifest, &p.fleet.Policy)
	if want := (registry.TimeSpan{From: at(55), Until: at(83)}); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := monitor.ReferenceOf(&registry.Manifest{}, &p.fleet.Policy); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("without a split: got %v, want an error of kind invalid", err)
	}
	for name, span := range map[string]registry.TimeSpan{
		"no whole day":  {From: at(1).Add(time.Hour), Until: at(2).Add(time.Hour)},
		"in the future": {From: at(20), Until: at(50)},
		"the wrong way": {From: at(20), Until: at(10)},
	} {
		_, err := monitor.Drift(t.Context(), monitor.DriftInput{Fleet: p.fleet, Days: p.days(0, 1), Now: at(40), Reference: span})
		if !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v, want an error of kind invalid", name, err)
		}
	}
}

func TestRowsComeFromGold(t *testing.T) {
	t.Parallel()
	f := laundry(t)
	v := view(t, f)
	rows := records(v, 40, func(m, d int, values []float64) {
		values[v.Index("power_health")] += 3 * when(d >= 33)
		for i := range v.Features {
			if v.Features[i].Agg.OfStatic() {
				values[i] = float64(m)
			}
		}
	})
	l, err := lake.Open(t.Context(), objects.New(time.Now), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	gold, err := l.Gold(t.Context(), v.Name, v.Hash, v.Names())
	if err != nil {
		t.Fatal(err)
	}
	if err := gold.Append(t.Context(), rows, lake.Progress{0: int64(len(rows))}); err != nil {
		t.Fatal(err)
	}
	in := monitor.DriftInput{
		Fleet: f, Days: monitor.NewDays(f), Now: at(40), Begun: at(-40), View: v,
		Reference: registry.TimeSpan{From: at(0), Until: at(28)}, Vectors: rows.scan,
	}
	want, err := monitor.Drift(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	in.Vectors = monitor.OfGold(gold)
	got, err := monitor.Drift(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	one, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	other, err := json.Marshal(got)
	if diff := cmp.Diff(string(one), string(other)); err != nil || diff != "" {
		t.Errorf("%v, report (-memory +gold):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"power_health"}, got.Flagged.Features); diff != "" {
		t.Errorf("flagged (-want +got):\n%s", diff)
	}
}
