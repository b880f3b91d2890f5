package monitor_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/monitor"
	"drumbeat/registry"
)

// plant is machines of one sensor with a level of their own. On each day the
// whole fleet is a little off, by a fixed noise of deviation 1.
type plant struct {
	fleet    *fleet.Fleet
	machines int
	counter  bool
	// level and shift are of a machine on a day; a NaN level says nothing.
	level func(machine, day int) float64
	shift func(machine, day int) float64
}

func newPlant() *plant {
	f := mill()
	f.Sensors = []fleet.Sensor{{Name: "heat", Title: "heat", Unit: "°C", Max: 1e9, Decimals: 3}}
	return &plant{
		fleet: f, machines: 40,
		level: func(machine, _ int) float64 { return 100 + 10*float64(machine) },
		shift: func(int, int) float64 { return 0 },
	}
}

// days returns what the plant says of the days [from, until), in readings at
// six and at eighteen o'clock.
func (p *plant) days(from, until int) *monitor.Days {
	if p.counter {
		p.fleet.Sensors[0].Kind = fleet.Counter
	}
	days := monitor.NewDays(p.fleet)
	random := rand.New(rand.NewPCG(7, 7))
	offset := int64(0)
	totals := make([]float64, p.machines)
	for d := from; d < until; d++ {
		noise := random.NormFloat64()
		for m := range p.machines {
			x := p.level(m, d) + noise + random.NormFloat64() + p.shift(m, d)
			if math.IsNaN(x) {
				continue
			}
			first, second := x-1, x+1
			if p.counter {
				first, second = totals[m], totals[m]+x
				totals[m] = second + 1
			}
			for hour, v := range map[int]float64{6: first, 18: second} {
				offset++
				when := at(d).Add(time.Duration(hour) * time.Hour)
				days.Add([]drumbeat.Item{{
					Machine: named(m), EventTime: when, ArrivalTime: at(d).Add(18 * time.Hour), Position: drumbeat.Position{Offset: offset},
					Values: []int64{int64(math.Round(v * 1000))}, Flags: []drumbeat.Flag{0},
				}})
			}
		}
	}
	return days
}

// heat returns the plant's sensor as reported at the begin of a day; the
// reference is the days 0 to 27.
func (p *plant) heat(t *testing.T, now drumbeat.Time) *monitor.SensorDrift {
	t.Helper()
	return &p.report(t, now).Sensors[0]
}

func (p *plant) report(t *testing.T, now drumbeat.Time) *monitor.DriftReport {
	t.Helper()
	r, err := monitor.Drift(t.Context(), monitor.DriftInput{
		Fleet: p.fleet, Days: p.days(0, 60), Now: now, Begun: at(0),
		Reference: registry.TimeSpan{From: at(0), Until: at(28)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// from moves every machine by so much on the days [from, until).
func from(by float64, from, until int) func(int, int) float64 {
	return func(_, d int) float64 {
		if d >= from && d < until {
			return by
		}
		return 0
	}
}

// clause is a plant, the day of its report, and the day since which its sensor
// must be flagged, 0 for never.
type clause struct {
	change     func(*plant)
	now, since int
}

// The plant's spread is 117, its fleet's day 1 to a deviation: 30 is far beyond
// both bounds. 2026-01-01 is a Thursday; day 33 is a Tuesday.
var clauses = map[string]clause{
	"a fleet as usual": {func(*plant) {}, 60, 0},
	"one day beyond and three that confirm": {
		func(p *plant) { p.shift = from(30, 33, 60) }, 37, 33,
	},
	"two that confirm": {func(p *plant) { p.shift = from(30, 33, 60) }, 36, 0},
	"downwards":        {func(p *plant) { p.shift = from(-30, 33, 60) }, 37, 33},
	"20 deviations that are less than 0.2 of the spread": {
		func(p *plant) { p.shift = from(20, 33, 60) }, 60, 0,
	},
	"0.25 of a small spread that is within two deviations": {
		func(p *plant) {
			p.level = func(machine, _ int) float64 { return 100 + 0.1*float64(machine) }
			p.shift = from(0.5, 33, 60)
		}, 60, 0,
	},
	"days that disagree in their direction": {
		func(p *plant) {
			p.shift = func(_, d int) float64 {
				return from(30-60*when(d%2 == 0), 33, 60)(0, d)
			}
		}, 60, 0,
	},
	"weekends that are otherwise by themselves": {
		func(p *plant) {
			level := p.level
			p.level = func(machine, d int) float64 {
				return level(machine, d) - 60*when(isWeekend(d))
			}
		}, 60, 0,
	},
	"a weekend that is like a weekday": {
		func(p *plant) {
			level := p.level
			p.level = func(machine, d int) float64 {
				return level(machine, d) - 60*when(isWeekend(d) && d < 30)
			}
		}, 40, 0, // two days of seven
	},
	"days without data do not end a suspicion": {
		func(p *plant) {
			level := p.level
			p.shift = from(30, 33, 60)
			p.level = func(machine, d int) float64 {
				if d == 34 || d == 36 {
					return math.NaN()
				}
				return level(machine, d)
			}
		}, 39, 33,
	},
	"a silence of eight days does": {
		func(p *plant) {
			level := p.level
			p.shift = from(30, 33, 60)
			p.level = func(machine, d int) float64 {
				if d >= 35 && d < 43 {
					return math.NaN()
				}
				return level(machine, d)
			}
		}, 47, 43,
	},
	"two calm days do not end a drift": {
		func(p *plant) {
			p.shift = func(_, d int) float64 { return from(30, 33, 39)(0, d) + from(30, 41, 60)(0, d) }
		}, 45, 33,
	},
	"three do": {func(p *plant) { p.shift = from(30, 33, 39) }, 42, 0},
	"a drift that came back is new": {func(p *plant) {
		p.shift = func(_, d int) float64 { return from(30, 33, 39)(0, d) + from(30, 42, 60)(0, d) }
	}, 46, 42},
	"another kind of machine comes": {
		func(p *plant) {
			p.machines = 60
			p.level = func(machine, d int) float64 {
				if machine >= 40 && d < 30 {
					return math.NaN()
				}
				return 100 + 10*float64(machine)
			}
		}, 60, 0,
	},
	"the lower part of the machines goes": {
		func(p *plant) {
			p.level = func(machine, d int) float64 {
				if machine < 18 && d >= 30 {
					return math.NaN()
				}
				return 100 + 10*float64(machine)
			}
		}, 60, 0,
	},
	"one machine in ten goes mad": {
		func(p *plant) {
			p.shift = func(machine, d int) float64 {
				return from(1e5, 33, 60)(0, d) * when(machine < 4)
			}
		}, 60, 0,
	},
	"a counter that gains more a day": {func(p *plant) { p.counter = true; p.shift = from(30, 33, 60) }, 37, 33},
	"a counter of which some seem to be reset": {
		func(p *plant) {
			p.counter = true
			p.shift = func(machine, d int) float64 { return 1e5 * when((machine+d)%14 == 0) }
		}, 60, 0,
	},
}

// when is 1 if something holds, else 0.
func when(holds bool) float64 {
	if holds {
		return 1
	}
	return 0
}

func TestTheClausesOfM4(t *testing.T) {
	t.Parallel()
	for name, c := range clauses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlant()
			c.change(p)
			s := p.heat(t, at(c.now))
			want := drumbeat.NoTime
			if c.since > 0 {
				want = at(c.since)
			}
			if s.Since != want || s.Flagged != (c.since > 0) {
				t.Errorf("flagged %v since %s, want since %s: %s\n%s", s.Flagged, s.Since, want, s.Sentence, tabled(s))
			}
		})
	}
}

func isWeekend(d int) bool {
	w := at(d).Std().Weekday()
	return w == time.Saturday || w == time.Sunday
}

func tabled(s *monitor.SensorDrift) string {
	var text strings.Builder
	fmt.Fprintf(&text, "spread %.4g, weekday %+v, weekend %+v\n", s.Spread, s.Weekday.Days, s.Weekend.Days)
	for _, d := range s.Days {
		fmt.Fprintf(&text, "%s mean %.5g z %.3g effect %.3g beyond %v %s\n", d.Day, d.Mean, d.Z, d.Effect, d.Beyond, d.Note)
	}
	return text.String()
}
