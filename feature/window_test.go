package feature_test

import (
	"math"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// bench applies readings of one machine: heat in hundredths, load in
// thousandths, at minutes from start.
type bench struct {
	t      *testing.T
	engine *feature.Engine
	offset int64
}

func newBench(t *testing.T, f *fleet.Fleet, features ...feature.Feature) *bench {
	t.Helper()
	v, err := feature.NewView(feature.View{Name: "v", Fleet: f, MinHistory: 24 * time.Hour, Features: features})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{t: t, engine: feature.NewEngine(v)}
}

func (b *bench) apply(item drumbeat.Item) []drumbeat.Vector {
	b.offset++
	item.Machine, item.Position.Offset = "M-1", b.offset
	return b.engine.Apply(&item, nil)
}

func (b *bench) read(at, heat, load int64) drumbeat.Vector {
	none := drumbeat.Missing
	return b.apply(drumbeat.Item{EventTime: start + drumbeat.Time(at*minute), Values: []int64{heat, load, none, none, none}})[0]
}

func heat(agg feature.Agg, window time.Duration) feature.Feature {
	return feature.Feature{Name: agg.String(), Of: "heat", Agg: agg, Window: window}
}

func TestSevenDaysOnAGridOfFifteenMinutesAreExactly672Readings(t *testing.T) {
	for name, running := range map[string]bool{"always": false, "while the load is above 0.5": true} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, testFleet(running), heat(feature.AggCount, 7*24*time.Hour), heat(feature.AggCoverage, 7*24*time.Hour))
			for i := range int64(3 * 672) {
				v := b.read(15*i, 100, 1000)
				if want := float64(min(i+1, 672)); v.Values[0] != want || v.Values[1] != 1 || v.Coverage != 1 {
					t.Fatalf("reading %d: got count %v, coverage %v and %v, want %v, 1 and 1", i, v.Values[0], v.Values[1], v.Coverage, want)
				}
			}
		})
	}
}

func TestCoverageCountsOnlyWhatAMachineShouldReport(t *testing.T) {
	b := newBench(t, testFleet(true), heat(feature.AggCoverage, 24*time.Hour))
	for i := range int64(33) { // two shifts: on at 0:00, its last reading at 8:00 says off
		load := int64(1000)
		if i == 32 {
			load = 0
		}
		if v := b.read(15*i, 100, load); v.Coverage != 1 || v.Running != (load > 0) {
			t.Fatalf("reading %d: got coverage %v, running %v", i, v.Coverage, v.Running)
		}
	}
	if v := b.read(20*60, 100, 1000); v.Coverage != 1 {
		t.Errorf("after 12 hours off: got coverage %v, want 1", v.Coverage)
	}
	// Silent while on from 20:00 to 24:00: 8 + 4 hours were expected, 48
	// readings; there are 33 + 2 but the window has lost the one at 0:00.
	if v, want := b.read(24*60, 100, 1000), 34.0/48; v.Coverage != want {
		t.Errorf("after 4 silent hours: got coverage %v, want %v", v.Coverage, want)
	}
}

func TestCoverageOfASensorThatSaysNothing(t *testing.T) {
	b := newBench(t, testFleet(false), heat(feature.AggCoverage, time.Hour), heat(feature.AggMean, time.Hour))
	b.read(0, drumbeat.Missing, 1000)
	for i := int64(1); i < 4; i++ {
		b.read(15*i, drumbeat.Missing, 1000)
	}
	v := b.read(60, 500, 1000)
	if diff := cmp.Diff([]float64{0.25, 5}, v.Values); diff != "" || v.Coverage != 0.25 {
		t.Errorf("one of four (want -, got +):\n%sand coverage %v", diff, v.Coverage)
	}
}

func TestAWindowIsOpenAtItsBeginningAndClosedAtItsEnd(t *testing.T) {
	b := newBench(t, testFleet(false), heat(feature.AggCount, time.Hour), heat(feature.AggMax, time.Hour), heat(feature.AggFirst, time.Hour))
	b.read(0, 900, 0)
	b.read(1, 500, 0)
	for _, test := range []struct {
		at   int64
		want []float64
	}{{59, []float64{3, 9, 9}}, {60, []float64{3, 5, 5}}, {61, []float64{3, 3, 3}}} {
		if diff := cmp.Diff(test.want, b.read(test.at, 300, 0).Values); diff != "" {
			t.Errorf("count, max, first at minute %d (want -, got +):\n%s", test.at, diff)
		}
	}
}

func TestTheAggregatesOfASmallWindow(t *testing.T) {
	features := []feature.Feature{
		heat(feature.AggCount, time.Hour), heat(feature.AggMean, time.Hour), heat(feature.AggStd, time.Hour),
		heat(feature.AggMin, time.Hour), heat(feature.AggMax, time.Hour), heat(feature.AggSum, time.Hour),
		heat(feature.AggFirst, time.Hour), heat(feature.AggLast, time.Hour), heat(feature.AggDelta, time.Hour),
	}
	b := newBench(t, testFleet(false), features...)
	null := math.NaN()
	for _, test := range []struct {
		at, heat int64
		want     []float64
	}{
		{0, drumbeat.Missing, []float64{0, null, null, null, null, null, null, null, null}},
		{1, 200, []float64{1, 2, null, 2, 2, 2, 2, 2, 0}},
		{2, 400, []float64{2, 3, math.Sqrt2, 2, 4, 6, 2, 4, 2}},
		{3, drumbeat.Missing, []float64{2, 3, math.Sqrt2, 2, 4, 6, 2, 4, 2}},
		{4, -300, []float64{3, 1, math.Sqrt(13), -3, 4, 3, 2, -3, -5}},
	} {
		got := b.read(test.at, test.heat, 0).Values
		if diff := cmp.Diff(test.want, got, cmpopts.EquateNaNs(), cmpopts.EquateApprox(0, 1e-12)); diff != "" {
			t.Errorf("at minute %d (want -, got +):\n%s", test.at, diff)
		}
	}
}

func TestClippedStuckAndJumpingValues(t *testing.T) {
	all := heat(feature.AggMax, time.Hour)
	all.Name, all.UseAll = "all", true
	b := newBench(t, testFleet(false), heat(feature.AggMax, time.Hour), heat(feature.AggMean, time.Hour), all)
	b.read(0, 100, 0)
	for i, test := range []struct {
		heat int64
		flag drumbeat.Flag
		want []float64 // max, mean, max of all
	}{
		{900, drumbeat.FlagClipped, []float64{1, 5, 9}},
		{2000, drumbeat.FlagStuck, []float64{1, 5, 20}},
		{5000, drumbeat.FlagJump, []float64{1, 5, 50}},
		{200, drumbeat.FlagConflict, []float64{2, 4, 50}},
	} {
		values := []int64{test.heat, 0, 0, 0, 0}
		got := b.apply(drumbeat.Item{
			EventTime: start + drumbeat.Time(minute*int64(i+1)), Values: values, Flags: []drumbeat.Flag{test.flag, 0, 0, 0, 0},
		})[0].Values
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("with the flag %b (want -, got +):\n%s", test.flag, diff)
		}
	}
}

func TestACounterThatFallsWasReset(t *testing.T) {
	b := newBench(t, testFleet(false), feature.Feature{Name: "hours", Of: "hours", Agg: feature.AggIncrease, Window: time.Hour})
	for i, test := range []struct {
		hours int64
		want  float64
	}{{100, 0}, {150, 5}, {20, 7}, {20, 7}, {50, 10}} {
		values := []int64{0, 0, test.hours, 0, 0}
		got := b.apply(drumbeat.Item{EventTime: start + drumbeat.Time(minute*int64(14*i)), Values: values})[0].Values[0]
		if got != test.want {
			t.Errorf("after %d tenths: got %v, want %v", test.hours, got, test.want)
		}
	}
	// At 62 minutes the pair 100, 150 has left.
	if got := b.apply(drumbeat.Item{EventTime: start + drumbeat.Time(62*minute), Values: []int64{0, 0, 60, 0, 0}})[0].Values[0]; got != 6 {
		t.Errorf("when the first has left: got %v, want 6", got)
	}
}

func TestAWindowBeyondItsBoundIsNullAndSaysOverflow(t *testing.T) {
	f := testFleet(false)
	f.MaxReadings = 3
	b := newBench(t, f, heat(feature.AggCount, time.Hour),
		feature.Feature{Name: "short", Of: "heat", Agg: feature.AggSum, Window: time.Minute})
	for i, want := range [][]float64{{1, 1}, {2, 1}, {3, 1}, {math.NaN(), 1}} {
		v := b.read(int64(i), 100, 0)
		if diff := cmp.Diff(want, v.Values, cmpopts.EquateNaNs()); diff != "" || v.Overflow != (i == 3) {
			t.Errorf("reading %d: overflow %v (want -, got +):\n%s", i+1, v.Overflow, diff)
		}
	}
	if v := b.read(62, 100, 0); v.Overflow || v.Values[0] != 2 {
		t.Errorf("when the burst has left: got %v, overflow %v", v.Values, v.Overflow)
	}
}

func TestAMachineWarmsUpUntilItsFirstReadingIsOldEnough(t *testing.T) {
	b := newBench(t, testFleet(false), heat(feature.AggCount, time.Hour))
	if v := b.read(0, 1, 0); !v.WarmingUp {
		t.Error("at the first reading: got warm")
	}
	if v := b.read(24*60-1, 1, 0); !v.WarmingUp {
		t.Error("a minute before min_history: got warm")
	}
	if v := b.read(24*60, 1, 0); v.WarmingUp {
		t.Error("at min_history: got warming up")
	}
}

func TestAnOlderReadingMakesItsRowAndACorrection(t *testing.T) {
	b := newBench(t, testFleet(false), heat(feature.AggSum, time.Hour))
	b.read(0, 100, 0)
	b.read(30, 200, 0)
	got := b.apply(drumbeat.Item{EventTime: start + drumbeat.Time(15*minute), Values: []int64{400, 0, 0, 0, 0}})
	if len(got) != 2 || got[0].MadeBy != drumbeat.CauseReading || got[0].Values[0] != 5 ||
		got[1].MadeBy != drumbeat.CauseCorrection || got[1].Values[0] != 7 || got[0].Position != got[1].Position {
		t.Errorf("got %+v", got)
	}
	newest, ok := b.engine.Newest("M-1")
	if !ok || newest.MadeBy != drumbeat.CauseCorrection || newest.AsOf != start+drumbeat.Time(30*minute) || newest.Values[0] != 7 {
		t.Errorf("newest: got %+v, %v", newest, ok)
	}
	if machines := b.engine.Machines(); len(machines) != 1 || machines[0] != "M-1" {
		t.Errorf("machines: got %v", machines)
	}
}

func TestNothingIsMadeBeforeAMachinesFirstReading(t *testing.T) {
	b := newBench(t, testFleet(false), feature.Feature{Name: "age", Of: "fault", Agg: feature.AggAge})
	if got := b.apply(drumbeat.Item{Kind: drumbeat.KindEntry, EventTime: start, Entry: drumbeat.Entry{Log: "fault", ID: "1"}}); got != nil {
		t.Errorf("got %+v of an entry", got)
	}
	if _, ok := b.engine.Newest("M-1"); ok {
		t.Error("got a newest vector")
	}
	if _, ok := b.engine.Record("M-1"); ok {
		t.Error("got a record")
	}
	if got := b.read(90, 0, 0).Values[0]; got != 1.5 {
		t.Errorf("the entry's age: got %v, want 1.5", got)
	}
}

func TestTheTTLBoundsAgeAtBothEnds(t *testing.T) {
	v := feature.View{TTL: time.Hour}
	for _, test := range []struct {
		now  drumbeat.Time
		want bool
	}{
		{start, false},
		{start.Add(time.Hour), false},
		{start.Add(time.Hour + time.Millisecond), true},
		{start.Add(-time.Hour), false},
		{drumbeat.NoTime, false},
	} {
		if got := v.OutsideMaxAge(start, test.now); got != test.want {
			t.Errorf("at %s: got %v, want %v", test.now, got, test.want)
		}
	}
	unbounded := feature.View{}
	if unbounded.OutsideMaxAge(start, start.Add(10_000*time.Hour)) {
		t.Error("a ttl of 0 bounds nothing")
	}
}
