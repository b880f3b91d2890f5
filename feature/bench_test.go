package feature_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
)

func laundry(t testing.TB) *feature.View {
	t.Helper()
	f, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	v, err := feature.LoadView(fleets.FS(), "laundry", f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wash returns the readings of a round: every machine's, 15 minutes apart.
func wash(rng *rand.Rand, round int, items []drumbeat.Item) {
	for m := range items {
		values := items[m].Values
		if values == nil {
			values = make([]int64, 6)
		}
		values[0], values[1], values[2] = 4000+rng.Int64N(3000), 20_000+rng.Int64N(9000), 2000+rng.Int64N(500)
		values[3], values[4], values[5] = rng.Int64N(20_000), int64(25*round), rng.Int64N(2)
		at, name := start+drumbeat.Time(15*minute*int64(round)), items[m].Machine
		if name == "" {
			name = drumbeat.MachineID(fmt.Sprintf("W-%03d", m))
		}
		items[m] = drumbeat.Item{
			Machine: name, EventTime: at, ArrivalTime: at + 1000,
			Position: drumbeat.Position{Epoch: 1, Offset: int64(round*len(items) + m)}, Values: values,
		}
	}
}

// processorTime reports what the benchmark used of the processor: on a busy
// machine the wall clock says little.
func processorTime(b *testing.B) func() {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	from := used()
	return func() { b.ReportMetric(float64(used()-from)/float64(b.N), "cpu-ns/op") }
}

const rounds = 31 * 96 // until the longest window is full

func washed(b testing.TB, machines int) (*feature.Engine, []drumbeat.Item, *rand.Rand) {
	e := feature.NewEngine(laundry(b))
	rng, items := rand.New(rand.NewPCG(1, 2)), make([]drumbeat.Item, machines)
	for round := range rounds {
		wash(rng, round, items)
		for m := range items {
			e.Load(&items[m])
		}
	}
	return e, items, rng
}

// BenchmarkApply takes readings of 100 machines in order, with every feature.
func BenchmarkApply(b *testing.B) {
	e, items, rng := washed(b, 100)
	dst := make([]drumbeat.Vector, 0, 8)
	b.ReportAllocs()
	b.ResetTimer()
	defer processorTime(b)()
	for i := range b.N {
		m := i % len(items)
		if m == 0 {
			wash(rng, rounds+i/len(items), items)
		}
		dst = e.Apply(&items[m], dst[:0])
	}
}

// BenchmarkApplyOutOfOrder takes readings an hour older than the newest: a
// row of their own and a correction each.
func BenchmarkApplyOutOfOrder(b *testing.B) {
	e, items, _ := washed(b, 100)
	dst := make([]drumbeat.Vector, 0, 8)
	b.ReportAllocs()
	b.ResetTimer()
	defer processorTime(b)()
	for i := range b.N {
		item := items[i%len(items)]
		item.EventTime -= drumbeat.Time(60*minute) - drumbeat.Time(1000*(1+i/len(items)%3_000_000))
		dst = e.Apply(&item, dst[:0])
	}
}

func BenchmarkRecord(b *testing.B) {
	e, items, _ := washed(b, 100)
	b.ReportAllocs()
	size := 0
	defer processorTime(b)()
	for i := 0; b.Loop(); i++ {
		r, _ := e.Record(items[i%len(items)].Machine)
		size = len(r.Advance)
	}
	b.ReportMetric(float64(size), "bytes/record")
}

func BenchmarkAdvance(b *testing.B) {
	e, items, _ := washed(b, 100)
	v, ws := e.View(), new(feature.Workspace)
	r, _ := e.Record(items[7].Machine)
	item := items[7]
	item.EventTime = item.EventTime.Add(15 * time.Minute)
	b.ReportAllocs()
	defer processorTime(b)()
	for b.Loop() {
		if _, _, err := v.Advance(&r, &item, ws); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkJoin(b *testing.B) {
	v := laundry(b)
	const rows = 1_000_000
	var spine []feature.SpineRow
	ids := make([]drumbeat.MachineID, 100)
	for m := range ids {
		ids[m] = drumbeat.MachineID(fmt.Sprintf("W-%03d", m))
		for h := range 1000 {
			spine = append(spine, feature.SpineRow{Machine: ids[m], Time: start + drumbeat.Time(150*minute*int64(h))})
		}
	}
	for b.Loop() {
		j := v.NewJoiner(spine)
		for i := range rows {
			at := start + drumbeat.Time(15*minute*int64(i/100))
			j.Offer(ids[i%100], at, at+1000, drumbeat.Position{Offset: int64(i)})
		}
		if got := j.Matches(); got[0].Slot < 0 {
			b.Fatal("the first spine row has no vector")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/row")
}

// BenchmarkAsOf computes one vector from 90 days of one machine.
func BenchmarkAsOf(b *testing.B) {
	v, h := laundry(b), &feature.History{}
	rng, items := rand.New(rand.NewPCG(1, 2)), make([]drumbeat.Item, 1)
	for round := range 90 * 96 {
		items[0].Values = nil
		wash(rng, round, items)
		h.Items = append(h.Items, items[0])
	}
	last := h.Items[len(h.Items)-1]
	for b.Loop() {
		if got := feature.AsOf(v, h, last.EventTime, last.Position); got.Values == nil {
			b.Fatal("no values")
		}
	}
}
