package monitor_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/monitor"
)

// mill is a small fleet: two gauges, a counter, and a gauge of many digits.
func mill() *fleet.Fleet {
	return &fleet.Fleet{
		Name: "mill", Cadence: 15 * time.Minute, Lateness: 24 * time.Hour, TrainGrid: time.Hour,
		Sensors: []fleet.Sensor{
			{Name: "heat", Title: "heat", Unit: "°C", Max: 100_00, Decimals: 2, OutOfRange: fleet.Clip},
			{Name: "shake", Title: "shaking", Unit: "Hz", Max: 500, OutOfRange: fleet.Null},
			{Name: "hours", Title: "running time", Unit: "h", Kind: fleet.Counter, Max: 100_000},
			{Name: "long", Title: "long", Min: -999_999_999_999_999_999, Max: 999_999_999_999_999_999},
		},
		Policy: fleet.Policy{DriftSigma: 2, DriftReference: 28 * day},
	}
}

// ledger is the brute-force account of what silver holds.
type ledger map[drumbeat.MachineID]map[drumbeat.Time]*said

type said struct {
	values          []int64
	clipped, nulled []int64
}

func (l ledger) take(item *drumbeat.Item) {
	if l[item.Machine] == nil {
		l[item.Machine] = map[drumbeat.Time]*said{}
	}
	s := l[item.Machine][item.EventTime]
	if s == nil {
		n := len(item.Values)
		s = &said{slices.Repeat([]int64{drumbeat.Missing}, n), make([]int64, n), make([]int64, n)}
		l[item.Machine][item.EventTime] = s
	}
	for i, v := range item.Values {
		if v != drumbeat.Missing {
			s.values[i] = v
		}
		if item.Flags[i]&drumbeat.FlagClipped != 0 {
			s.clipped[i]++
		}
		if item.Flags[i]&drumbeat.FlagNulled != 0 {
			s.nulled[i]++
		}
	}
}

// daily adds up one day of one machine's sensor.
func (l ledger) daily(machine drumbeat.MachineID, sensor int, counter bool, from drumbeat.Time) monitor.Daily {
	d := monitor.Daily{Sum: new(big.Int)}
	if counter {
		d.Increase = new(big.Int)
	}
	var times []drumbeat.Time
	for t := range l[machine] {
		if t >= from && t < from.Add(day) {
			times = append(times, t)
		}
	}
	slices.Sort(times)
	last := drumbeat.Missing
	for _, t := range times {
		s := l[machine][t]
		d.Readings++
		d.Clipped += s.clipped[sensor]
		d.Nulled += s.nulled[sensor]
		x := s.values[sensor]
		if x == drumbeat.Missing {
			d.Missing++
			continue
		}
		if d.Values == 0 || x < d.Least {
			d.Least = x
		}
		if d.Values == 0 || x > d.Most {
			d.Most = x
		}
		d.Values++
		d.Sum.Add(d.Sum, big.NewInt(x))
		switch {
		case !counter || last == drumbeat.Missing:
		case x >= last:
			d.Increase.Add(d.Increase, big.NewInt(x-last))
		default:
			d.Increase.Add(d.Increase, big.NewInt(x))
		}
		last = x
	}
	return d
}

// silver returns a random week of a few machines, judged: readings come late
// and out of order, in parts, twice, and out of range.
func silver(f *fleet.Fleet, random *rand.Rand) []drumbeat.Item {
	judge, offset := fleet.NewJudge(f), int64(0)
	var kept []drumbeat.Item
	send := func(item drumbeat.Item) {
		offset++
		item.Position = drumbeat.Position{Partition: int32(item.Machine[2] % 2), Offset: offset}
		if fate, _ := judge.Judge(&item); fate == drumbeat.FateKept {
			kept = append(kept, item)
		}
	}
	for m := range 4 {
		send(drumbeat.Item{Kind: drumbeat.KindMachine, Machine: named(m), ArrivalTime: worldStart})
	}
	hours := make([]int64, 4)
	for now := worldStart; now < at(7); now = now.Add(20 * time.Minute) {
		m := random.IntN(4)
		hours[m] += random.Int64N(5)
		if random.IntN(60) == 0 {
			hours[m] = 0
		}
		item := drumbeat.Item{
			Machine: named(m), ArrivalTime: now, EventTime: now, Flags: make([]drumbeat.Flag, 4),
			Values: []int64{
				random.Int64N(120_00) - 500, random.Int64N(600) - 50, hours[m], random.Int64N(2e18) - 1e18,
			},
		}
		if random.IntN(3) == 0 { // some of it later, in steps of the same times
			item.EventTime = now.Add(-time.Duration(random.IntN(70)) * 20 * time.Minute)
		}
		for i := range item.Values {
			if random.IntN(5) == 0 {
				item.Values[i] = drumbeat.Missing
			}
		}
		send(item)
	}
	return kept
}

func named(m int) drumbeat.MachineID { return drumbeat.MachineID(fmt.Sprintf("M-%d", m)) }

func TestDaysAreTheSumsOfWhatSilverHolds(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		f := mill()
		items := silver(f, random)
		books, days := ledger{}, monitor.NewDays(f)
		for i := range items {
			if items[i].Kind == drumbeat.KindReading {
				books.take(&items[i])
			}
		}
		for rest := items; len(rest) > 0; {
			n := 1 + random.IntN(len(rest))
			days.Add(rest[:n])
			days.Add(items[:len(items)-len(rest)+n/2]) // again: nothing is counted twice
			rest = rest[n:]
		}
		for m := range 4 {
			for d := -1; d < 8; d++ {
				for s := range f.Sensors {
					want := books.daily(named(m), s, f.Sensors[s].Kind == fleet.Counter, at(d))
					got, ok := days.Of(named(m), s, at(d).Add(7*time.Hour))
					if ok != (want.Readings > 0) {
						t.Fatalf("seed %d, %s on day %d: heard %v, want %v", seed, named(m), d, ok, want.Readings > 0)
					}
					equal := cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
					if diff := cmp.Diff(want, got, equal); ok && diff != "" {
						t.Fatalf("seed %d, %s of %s on day %d (-want +got):\n%s", seed, f.Sensors[s].Name, named(m), d, diff)
					}
				}
			}
		}
	}
}

func TestForgottenDaysStayForgotten(t *testing.T) {
	t.Parallel()
	f := mill()
	items := silver(f, rand.New(rand.NewPCG(3, 1)))
	days := monitor.NewDays(f)
	days.Add(items[:len(items)/2])
	days.Forget(at(5))
	days.Add(items[len(items)/2:])
	if got := days.Begun(); got != at(5) {
		t.Errorf("the first day begins at %s, want %s", got, at(5))
	}
	if _, ok := days.Of(named(0), 0, at(4)); ok {
		t.Error("day 4 is still held")
	}
	if _, ok := days.Of(named(0), 0, at(6)); !ok {
		t.Error("day 6 is not held")
	}
}
