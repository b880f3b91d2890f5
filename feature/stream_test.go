package feature_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"

	"pgregory.net/rapid"
)

const (
	minute = int64(time.Minute / time.Microsecond)
	day    = 24 * 60 * minute
	// start is 2026-01-01T00:00:00Z.
	start = drumbeat.Time(1_767_225_600_000_000)
)

func testFleet(running bool) *fleet.Fleet {
	f := &fleet.Fleet{
		Name: "mill", Cadence: 15 * time.Minute, Lateness: 6 * time.Hour,
		Sensors: []fleet.Sensor{
			{Name: "heat", Title: "temperature", Unit: "°C", Min: -5000, Max: 10000, Decimals: 2, Factor: "1", Offset: "0"},
			{Name: "load", Unit: "kW", Min: 0, Max: 60_000, Decimals: 3, Factor: "1", Offset: "0"},
			{Name: "hours", Unit: "h", Kind: fleet.Counter, Max: 100_000, Decimals: 1, Factor: "1", Offset: "0"},
			{Name: "flow", Min: -1e15, Max: 1e15, Decimals: 6, Factor: "1", Offset: "0"},
			{Name: "unused", Max: 10, Factor: "1", Offset: "0"},
		},
		Static: []fleet.Attribute{
			{Name: "site", Values: []string{"north", "south", "east"}},
			{Name: "age", Type: fleet.Number},
		},
		Logs: []fleet.Log{
			{Name: "fault", Type: "kind", Types: []string{"belt", "pump"}},
			{Name: "service", Type: "kind"},
			{Name: "note"},
		},
	}
	if running {
		f.Running = &fleet.Condition{Sensor: 1, Op: fleet.OpGreater, Value: 500, Text: "load > 0.5"}
	}
	return f
}

// testView has every aggregate over windows from shorter than the cadence to
// several days.
func testView(t testing.TB, f *fleet.Fleet) *feature.View {
	t.Helper()
	v := feature.View{Name: "health", Fleet: f, TTL: 7 * 24 * time.Hour, MinHistory: 24 * time.Hour, ServeLag: 5 * time.Minute}
	add := func(x feature.Feature) {
		x.Name = fmt.Sprintf("f%d", len(v.Features))
		v.Features = append(v.Features, x)
	}
	windows := []time.Duration{10 * time.Minute, time.Hour, 24 * time.Hour, 50 * time.Hour}
	for i, agg := range []feature.Agg{
		feature.AggCount, feature.AggMean, feature.AggStd, feature.AggMin, feature.AggMax, feature.AggSum,
		feature.AggFirst, feature.AggLast, feature.AggDelta, feature.AggCoverage,
	} {
		for j, sensor := range []string{"heat", "load", "flow"} {
			add(feature.Feature{Agg: agg, Of: sensor, Window: windows[(i+j)%4], UseAll: (i+j)%5 == 0})
			add(feature.Feature{Agg: agg, Of: sensor, Window: windows[(i+j+2)%4]})
		}
	}
	for _, window := range windows {
		add(feature.Feature{Agg: feature.AggIncrease, Of: "hours", Window: window})
	}
	for _, kind := range []string{"", "belt"} {
		add(feature.Feature{Agg: feature.AggAge, Of: "fault", Type: kind})
		add(feature.Feature{Agg: feature.AggEvents, Of: "fault", Type: kind, Window: 3 * time.Hour})
		add(feature.Feature{Agg: feature.AggMeanBetween, Of: "fault", Type: kind, Window: 30 * time.Hour})
	}
	add(feature.Feature{Agg: feature.AggEvents, Of: "service", Window: 50 * time.Hour})
	add(feature.Feature{Agg: feature.AggCategory, Of: "site"})
	add(feature.Feature{Agg: feature.AggOneHot, Of: "site", Category: "south"})
	add(feature.Feature{Agg: feature.AggBins, Of: "age", Bins: []float64{24, 60}})
	add(feature.Feature{Agg: feature.AggNumber, Of: "age"})
	for _, text := range []string{
		"f1 / f3", "coalesce(f1 - f2, 0) * 3.5 + abs(f4)", "log1p(max(f0, f6)) - min(f1, -f2)", "f62 / (f62 - f62)",
	} {
		add(feature.Feature{Agg: feature.AggExpr, Expr: parse(t, text)})
	}
	view, err := feature.NewView(v)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func parse(t testing.TB, text string) *feature.Expr {
	t.Helper()
	e, err := feature.ParseExpr(text)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// different tells in which parts two vectors differ in any bit.
func different(v *feature.View, got, want *drumbeat.Vector) string {
	for i := range want.Values {
		if math.Float64bits(got.Values[i]) != math.Float64bits(want.Values[i]) {
			f := &v.Features[i]
			return fmt.Sprintf("%s (%s of %s, %s): got %v, want %v", f.Name, f.Agg, f.Of, f.Window, got.Values[i], want.Values[i])
		}
	}
	switch {
	case len(got.Values) != len(want.Values):
		return fmt.Sprintf("got %d values, want %d", len(got.Values), len(want.Values))
	case got.AsOf != want.AsOf:
		return fmt.Sprintf("as of: got %s, want %s", got.AsOf, want.AsOf)
	case got.ArrivalTime != want.ArrivalTime:
		return fmt.Sprintf("arrival: got %s, want %s", got.ArrivalTime, want.ArrivalTime)
	case math.Float64bits(got.Coverage) != math.Float64bits(want.Coverage):
		return fmt.Sprintf("coverage: got %v, want %v", got.Coverage, want.Coverage)
	case got.WarmingUp != want.WarmingUp || got.Overflow != want.Overflow || got.Running != want.Running:
		return fmt.Sprintf("warming up, overflow, running: got %v %v %v, want %v %v %v", got.WarmingUp, got.Overflow,
			got.Running, want.WarmingUp, want.Overflow, want.Running)
	}
	return ""
}

func TestEveryVectorOfTheEngineEqualsAsOf(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprintf("running declared: %v", running), func(t *testing.T) {
			v := testView(t, testFleet(running))
			rapid.Check(t, func(rt *rapid.T) {
				s, e, h := newStream(rt, v.Fleet), feature.NewEngine(v), &feature.History{}
				for range rapid.IntRange(1, 50).Draw(rt, "items") {
					item := s.next()
					h.Items = append(h.Items, item)
					vectors := e.Apply(&item, nil)
					wantShape(rt, s, &item, vectors)
					for i := range vectors {
						want := feature.AsOf(v, h, vectors[i].AsOf, vectors[i].Position)
						if diff := different(v, &vectors[i], &want); diff != "" {
							rt.Fatalf("vector %d of item %+v: %s", i, item, diff)
						}
					}
				}
			})
		})
	}
}

// wantShape checks which vectors an item makes (P4).
func wantShape(rt *rapid.T, s *stream, item *drumbeat.Item, vectors []drumbeat.Vector) {
	var causes []drumbeat.Cause
	for _, v := range vectors {
		if v.Position != item.Position || v.Machine != item.Machine {
			rt.Fatalf("got a vector of %s at %s for the item %+v", v.Machine, v.Position, item)
		}
		causes = append(causes, v.MadeBy)
	}
	own, correction := drumbeat.CauseReading, drumbeat.CauseCorrection
	var want []drumbeat.Cause
	switch {
	case len(s.times) == 0:
	case item.Kind == drumbeat.KindReading && item.EventTime == s.newest:
		want = []drumbeat.Cause{own}
	case item.Kind == drumbeat.KindReading:
		want = []drumbeat.Cause{own, correction}
	case item.Kind == drumbeat.KindEntry && item.Entry.Log != "note":
		want = []drumbeat.Cause{correction}
	case item.Kind == drumbeat.KindMachine:
		want = causes // depends on what changed; bits are checked elsewhere
	}
	if !slices.Equal(causes, want) {
		rt.Fatalf("got vectors made by %v, want %v", causes, want)
	}
}

func TestAnEngineLoadedFromRecentHistoryGoesOnToTheBit(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		v := testView(t, testFleet(running))
		rapid.Check(t, func(rt *rapid.T) {
			s, e := newStream(rt, v.Fleet), feature.NewEngine(v)
			var items []drumbeat.Item
			for range rapid.IntRange(1, 80).Draw(rt, "items") {
				items = append(items, s.next())
				e.Apply(&items[len(items)-1], nil)
			}
			again := loaded(v, items)
			for range 15 {
				item := s.next()
				got, want := again.Apply(&item, nil), e.Apply(&item, nil)
				if len(got) != len(want) {
					rt.Fatalf("got %d vectors, want %d", len(got), len(want))
				}
				for i := range got {
					if diff := different(v, &got[i], &want[i]); diff != "" || got[i].MadeBy != want[i].MadeBy {
						rt.Fatalf("vector %d of item %+v: %s", i, item, diff)
					}
				}
			}
		})
	}
}

// loaded returns an engine that saw what Retention asks for, and no more.
func loaded(v *feature.View, items []drumbeat.Item) *feature.Engine {
	e := feature.NewEngine(v)
	first, newest, before := drumbeat.NoTime, drumbeat.NoTime, drumbeat.NoTime
	for i := range items {
		if t := items[i].EventTime; items[i].Kind == drumbeat.KindReading {
			newest = max(newest, t)
			if first == drumbeat.NoTime || t < first {
				first = t
			}
		}
	}
	since := drumbeat.NoTime
	if newest != drumbeat.NoTime {
		since = newest.Add(-e.Retention())
	}
	for i := range items {
		if t := items[i].EventTime; items[i].Kind == drumbeat.KindReading && t <= since {
			before = max(before, t)
		}
	}
	if first != drumbeat.NoTime {
		e.LoadFirst(items[0].Machine, first)
	}
	for i := range items {
		if t := items[i].EventTime; items[i].Kind != drumbeat.KindReading || t > since || t == before {
			e.Load(&items[i])
		}
	}
	return e
}

func TestAnAdvancedRecordEqualsAsOfWithTheReadingAdded(t *testing.T) {
	t.Parallel()
	for _, running := range []bool{true, false} {
		v := testView(t, testFleet(running))
		ws := new(feature.Workspace)
		rapid.Check(t, func(rt *rapid.T) {
			s, e, h := newStream(rt, v.Fleet), feature.NewEngine(v), &feature.History{}
			for range rapid.IntRange(1, 80).Draw(rt, "items") {
				item := s.next()
				h.Items = append(h.Items, item)
				e.Apply(&item, nil)
			}
			rec, ok := e.Record("M-1")
			if !ok {
				return
			}
			if size := len(rec.Advance) + len(feature.AppendVector(nil, &rec.Vector)); size > feature.WorstRecord(v) {
				rt.Fatalf("got a record of %d bytes, want at most %d", size, feature.WorstRecord(v))
			}
			for range 4 {
				advanceOnce(rt, v, s, h, &rec, ws)
			}
		})
	}
}

func advanceOnce(rt *rapid.T, v *feature.View, s *stream, h *feature.History, rec *feature.Record, ws *feature.Workspace) {
	t0 := rec.Vector.AsOf
	t := t0 + drumbeat.Time(rapid.SampledFrom([]int64{
		-1000, 0, 1000, minute, 15 * minute, 60 * minute, 10 * 60 * minute, day - 1000, day, day + 1000,
	}).Draw(rt, "ahead"))
	item := drumbeat.Item{Machine: "M-1", EventTime: t, ArrivalTime: t + 1000}
	known := s.known[t]
	delete(s.known, t) // a request may repeat values, or contradict them
	item.Values, item.Flags, _ = s.values(t)
	s.known[t] = known
	got, status, err := v.Advance(rec, &item, ws)
	if err != nil {
		rt.Fatal(err)
	}
	want, wantStatus := rec.Vector, feature.StatusUsed
	switch {
	case t < t0:
		wantStatus = feature.StatusOlder
	case t > t0+drumbeat.Time(day):
		wantStatus = feature.StatusStale
	default:
		item.Position = rec.Vector.Position
		item.Position.Epoch++
		with := &feature.History{Items: append(slices.Clip(h.Items), item)}
		want = feature.AsOf(v, with, t, item.Position)
	}
	if diff := different(v, &got, &want); status != wantStatus || diff != "" {
		rt.Fatalf("%s ahead: got %s, want %s: %s", t.Sub(t0), status, wantStatus, diff)
	}
	if got.Position != rec.Vector.Position {
		rt.Fatalf("got the position %s, want the record's", got.Position)
	}
}
