package fleet_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
)

// step is one item fed to a judge, and what should become of it.
type step struct {
	name    string
	item    drumbeat.Item
	arrival string // the event time, if empty
	fate    drumbeat.Fate
	reason  string
	values  []int64 // of a kept reading
	flags   []drumbeat.Flag
}

func machineRecord(static ...string) drumbeat.Item {
	return drumbeat.Item{Kind: drumbeat.KindMachine, Machine: "W-1", EventTime: drumbeat.NoTime, Static: static}
}

func logEntry(log, id string, revision int64, at string) drumbeat.Item {
	return drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: "W-1", EventTime: day(at),
		Entry: drumbeat.Entry{Log: log, ID: id, Revision: revision},
	}
}

func mark(to string) drumbeat.Item {
	return drumbeat.Item{
		Kind: drumbeat.KindWatermark, EventTime: day(to),
		Watermark: drumbeat.Watermark{Log: "failure", CompleteTo: day(to)},
	}
}

func run(t *testing.T, steps []step) {
	t.Helper()
	j := fleet.NewJudge(newMill(t))
	for i, s := range steps {
		s.item.Position.Offset = int64(i)
		s.item.ArrivalTime = s.item.EventTime
		if s.arrival != "" {
			s.item.ArrivalTime = day(s.arrival)
		}
		fate, reason := j.Judge(&s.item)
		if fate != s.fate || reason != s.reason {
			t.Errorf("%s: got %v %q, want %v %q", s.name, fate, reason, s.fate, s.reason)
		}
		if s.values == nil {
			continue
		}
		if diff := cmp.Diff(s.values, s.item.Values); diff != "" {
			t.Errorf("%s: values (-want +got):\n%s", s.name, diff)
		}
		if diff := cmp.Diff(s.flags, s.item.Flags); diff != "" {
			t.Errorf("%s: flags (-want +got):\n%s", s.name, diff)
		}
	}
}

const (
	noon      = "2026-01-31T12:00:00Z"
	clipped   = drumbeat.FlagClipped
	nulled    = drumbeat.FlagNulled
	conflict  = drumbeat.FlagConflict
	kept      = drumbeat.FateKept
	late      = drumbeat.FateLate
	future    = drumbeat.FateFuture
	duplicate = drumbeat.FateDuplicate
)

func TestFatesOfReadings(t *testing.T) {
	fine := func(at string) drumbeat.Item { return reading("W-1", at, 1, 1, 1, 1) }
	microsecond := fine(noon)
	microsecond.EventTime++
	run(t, []step{
		{
			name: "a machine is unknown before its record", item: fine(noon), fate: drumbeat.FateUnknownMachine,
			reason: `no machine record of "W-1" came before`,
		},
		{name: "its record makes it known", item: machineRecord("a", "2019"), arrival: noon, fate: kept},
		{
			name: "more than five minutes ahead", item: fine("2026-01-31T12:05:00.001Z"), arrival: noon, fate: future,
			reason: "measured 5m0.001s after it arrived: at most 5m is a clock's error",
		},
		{
			name: "five minutes ahead", item: reading("W-1", "2026-01-31T12:05:00Z", 1, miss, miss, miss), arrival: noon,
			fate: kept, values: []int64{1, miss, miss, miss}, flags: []drumbeat.Flag{0, 0, 0, 0},
		},
		{
			name: "older than a day", item: fine("2026-01-30T11:59:59.999Z"), arrival: noon, fate: late,
			reason: "arrived 24h0m0.001s after it was measured: at most 1d is allowed",
		},
		{name: "a day old", item: fine("2026-01-30T12:00:00Z"), arrival: noon, fate: kept},
		{name: "the same again", item: fine("2026-01-30T12:00:00Z"), arrival: noon, fate: duplicate, reason: "adds no value"},
		{
			name: "nothing measured", item: reading("W-1", noon, miss, miss, miss, miss), fate: duplicate,
			reason: "adds no value",
		},
		{
			name: "out of range is clipped and nulled", item: reading("W-1", noon, 10001, -1, miss, miss), fate: kept,
			values: []int64{10000, miss, miss, miss}, flags: []drumbeat.Flag{clipped, nulled, 0, 0},
		},
		{
			name: "clipped to what is known", item: reading("W-1", noon, 20000, miss, miss, miss), fate: duplicate,
			reason: "adds no value", values: []int64{miss, miss, miss, miss}, flags: []drumbeat.Flag{0, 0, 0, 0},
		},
		{
			name: "a finer time is cut to the millisecond", item: microsecond, fate: kept,
			values: []int64{miss, 1, 1, 1}, flags: []drumbeat.Flag{conflict, 0, 0, 0},
		},
		{
			name: "all differ", item: reading("W-1", noon, 5, 5, miss, 1), fate: duplicate,
			reason: "adds no value; 2 differ from what was accepted before",
			values: []int64{miss, miss, miss, miss}, flags: []drumbeat.Flag{conflict, conflict, 0, 0},
		},
		{
			name: "one value rejects the reading", item: reading("W-1", "2026-01-31T12:01:00Z", 1, 1, 11, 1),
			fate: drumbeat.FateRejected, reason: "load is out of range: must be from -10 to 10",
		},
		{
			name: "a rejected reading leaves nothing", item: reading("W-1", "2026-01-31T12:01:00Z", 2, miss, miss, miss),
			fate: kept, values: []int64{2, miss, miss, miss}, flags: []drumbeat.Flag{0, 0, 0, 0},
		},
		{
			name: "what says nothing new is a duplicate before it is rejected", fate: duplicate,
			item:   reading("W-1", noon, miss, miss, 1<<63-1, miss),
			reason: "adds no value; 1 differ from what was accepted before",
		},
	})
}

func TestFatesOfRedrivenReadings(t *testing.T) {
	run(t, []step{
		{name: "machine", item: machineRecord("", ""), arrival: noon, fate: kept},
		{name: "newest", item: reading("W-1", "2026-01-31T12:00:00Z", 1, 1, 1, 1), fate: kept},
		{
			name: "arrived two days before, as old as two latenesses", fate: kept,
			item: reading("W-1", "2026-01-29T12:00:00Z", 1, 1, 1, 1),
		},
		{
			name: "older than two latenesses", item: reading("W-1", "2026-01-29T11:59:59Z", 1, 1, 1, 1), fate: late,
			reason: "measured more than twice 1d before the machine's newest arrival",
		},
	})
}

func TestFatesOfOtherRecords(t *testing.T) {
	run(t, []step{
		{
			name: "a log entry of an unknown machine", item: logEntry("failure", "1", 0, noon),
			fate: drumbeat.FateUnknownMachine, reason: `no machine record of "W-1" came before`,
		},
		{name: "machine", item: machineRecord("a", "2019"), arrival: noon, fate: kept},
		{
			name: "the same machine", item: machineRecord("a", "2019"), arrival: noon, fate: duplicate,
			reason: "says what was known",
		},
		{name: "a changed machine", item: machineRecord("b", "2019"), arrival: noon, fate: kept},
		{name: "changed back", item: machineRecord("a", "2019"), arrival: noon, fate: kept},
		{name: "an entry a year late", item: logEntry("failure", "1", 0, "2025-01-31T12:00:00Z"), arrival: noon, fate: kept},
		{
			name: "its double", item: logEntry("failure", "1", 0, noon), fate: duplicate,
			reason: "revision 0 of this entry came before",
		},
		{name: "its revision", item: logEntry("failure", "1", 1, noon), fate: kept},
		{name: "the same id in another log", item: logEntry("maintenance", "1", 1, noon), fate: kept},
		{
			name: "an entry from the future", item: logEntry("failure", "2", 0, "2026-01-31T12:05:01Z"), arrival: noon,
			fate: future, reason: "measured 5m1s after it arrived: at most 5m is a clock's error",
		},
		{name: "a watermark", item: mark(noon), fate: kept},
		{name: "the same watermark", item: mark(noon), fate: duplicate, reason: "says what was known"},
		{name: "a later one", item: mark("2026-01-31T13:00:00Z"), fate: kept},
	})
}

// plain is the simplest judge: it keeps everything that it accepted for ever
// and looks through all of it.
type plain struct {
	f    *fleet.Fleet
	kept []drumbeat.Item
}

func (p *plain) judge(item *drumbeat.Item) drumbeat.Fate {
	newest, known := drumbeat.NoTime, false
	var static []string
	for i := range p.kept {
		k := &p.kept[i]
		if k.Machine != item.Machine {
			continue
		}
		if k.Kind == drumbeat.KindMachine {
			known, static = true, k.Static
		}
		if k.Kind == drumbeat.KindReading {
			newest = max(newest, k.ArrivalTime)
		}
	}
	if item.Kind == drumbeat.KindMachine {
		item.EventTime = item.ArrivalTime
	}
	item.EventTime = item.EventTime.Cut()
	fate := drumbeat.FateKept
	switch {
	case !known && item.Kind != drumbeat.KindMachine:
		return drumbeat.FateUnknownMachine
	case item.EventTime > item.ArrivalTime.Add(5*time.Minute):
		return drumbeat.FateFuture
	case item.Kind == drumbeat.KindMachine:
		if known && slices.Equal(static, item.Static) {
			return drumbeat.FateDuplicate
		}
	case item.Kind == drumbeat.KindEntry:
		if slices.ContainsFunc(p.kept, func(k drumbeat.Item) bool {
			return k.Kind == drumbeat.KindEntry && k.Entry.Log == item.Entry.Log && k.Entry.ID == item.Entry.ID &&
				k.Entry.Revision == item.Entry.Revision
		}) {
			return drumbeat.FateDuplicate
		}
	case item.EventTime < item.ArrivalTime.Add(-p.f.Lateness),
		newest != drumbeat.NoTime && item.EventTime < newest.Add(-2*p.f.Lateness):
		return drumbeat.FateLate
	default:
		fate = p.sift(item)
	}
	if fate == drumbeat.FateKept {
		k := *item
		k.Values = slices.Clone(item.Values)
		p.kept = append(p.kept, k)
		if item.Kind == drumbeat.KindReading {
			p.mark(item)
		}
	}
	return fate
}

// mark reads V1 word by word: over the values that are known now of the times
// before the item's, no older than the judge's memory, the newest first.
func (p *plain) mark(item *drumbeat.Item) {
	newest := drumbeat.NoTime
	for i := range p.kept {
		if k := &p.kept[i]; k.Machine == item.Machine && k.Kind == drumbeat.KindReading {
			newest = max(newest, k.ArrivalTime)
		}
	}
	for i, v := range item.Values {
		if v == miss {
			continue
		}
		at := map[drumbeat.Time]int64{}
		for k := range p.kept {
			k := &p.kept[k]
			if k.Machine == item.Machine && k.Kind == drumbeat.KindReading && k.EventTime < item.EventTime &&
				k.EventTime >= newest.Add(-2*p.f.Lateness) && k.Values[i] != miss {
				at[k.EventTime] = k.Values[i]
			}
		}
		times := slices.Sorted(maps.Keys(at))
		slices.Reverse(times)
		s := &p.f.Sensors[i]
		if len(times) > 0 && s.MaxJump > 0 && max(v-at[times[0]], at[times[0]]-v) > s.MaxJump {
			item.Flags[i] |= drumbeat.FlagJump
		}
		row := 1
		for _, time := range times {
			if at[time] != v {
				break
			}
			row++
		}
		if s.StuckAfter > 0 && row >= s.StuckAfter {
			item.Flags[i] |= drumbeat.FlagStuck
		}
	}
}

func (p *plain) sift(item *drumbeat.Item) drumbeat.Fate {
	news, rejected := 0, false
	for i := range item.Values {
		s := &p.f.Sensors[i]
		v := item.Values[i]
		out := v != miss && (v < s.Min || v > s.Max)
		switch {
		case out && s.OutOfRange == fleet.Clip && v < s.Min:
			v, item.Flags[i] = s.Min, clipped
		case out && s.OutOfRange == fleet.Clip:
			v, item.Flags[i] = s.Max, clipped
		case out && s.OutOfRange == fleet.Null:
			v, item.Flags[i] = miss, nulled
		case out:
			rejected = true
		}
		for k := range p.kept {
			k := &p.kept[k]
			if v == miss || k.Kind != drumbeat.KindReading || k.Machine != item.Machine ||
				k.EventTime != item.EventTime || k.Values[i] == miss {
				continue
			}
			item.Flags[i] = 0
			if k.Values[i] != v {
				item.Flags[i] = conflict
			}
			v = miss
		}
		if v != miss {
			news++
		}
		item.Values[i] = v
	}
	switch {
	case news == 0:
		return drumbeat.FateDuplicate
	case rejected:
		return drumbeat.FateRejected
	}
	return drumbeat.FateKept
}

// anyItem draws an item near enough to others to be late, early, a duplicate
// or a conflict.
func anyItem(t *rapid.T, offset int) drumbeat.Item {
	const minute = drumbeat.Time(60_000_000)
	now := day(noon) + drumbeat.Time(offset)*15*minute
	item := drumbeat.Item{
		Machine:     drumbeat.MachineID(rapid.SampledFrom([]string{"a", "b"}).Draw(t, "machine")),
		Position:    drumbeat.Position{Offset: int64(offset)},
		ArrivalTime: now - drumbeat.Time(rapid.SampledFrom([]int{0, 0, 0, 0, 20 * 60, 47 * 60}).Draw(t, "behind"))*minute,
	}
	item.EventTime = item.ArrivalTime - minute*
		drumbeat.Time(rapid.SampledFrom([]int{0, 0, 0, 15, 30, 60, -5, -6, 12 * 60, 24 * 60, 24*60 + 1}).Draw(t, "age"))
	item.EventTime += drumbeat.Time(rapid.SampledFrom([]int{0, 0, 1, 999, 1000}).Draw(t, "micro"))
	switch rapid.SampledFrom([]int{0, 0, 0, 0, 0, 0, 0, 0, 1, 2}).Draw(t, "kind") {
	case 0:
		for i := range 4 {
			v := rapid.SampledFrom([]int64{0, 1, 2, 3, miss, 10001, 500_001, -400}).Draw(t, fmt.Sprint("value ", i))
			item.Values = append(item.Values, v)
			item.Flags = append(item.Flags, 0)
		}
	case 1:
		item.Kind = drumbeat.KindMachine
		item.Static = []string{rapid.SampledFrom([]string{"", "x"}).Draw(t, "hall"), ""}
	case 2:
		item.Kind = drumbeat.KindEntry
		item.Entry = drumbeat.Entry{
			Log: "failure", ID: rapid.SampledFrom([]string{"1", "2"}).Draw(t, "id"),
			Revision: rapid.Int64Range(0, 1).Draw(t, "revision"),
		}
	}
	return item
}

func clone(item drumbeat.Item) drumbeat.Item {
	item.Values, item.Flags = slices.Clone(item.Values), slices.Clone(item.Flags)
	return item
}

func TestAJudgeAgreesWithThePlainOneAndSurvivesRestarts(t *testing.T) {
	mill := newMill(t)
	mill.Sensors[0].StuckAfter, mill.Sensors[0].MaxJump = 3, 2
	mill.Sensors[1].StuckAfter, mill.Sensors[2].MaxJump = 2, 1
	rapid.Check(t, func(t *rapid.T) {
		whole, oracle := fleet.NewJudge(mill), &plain{f: mill}
		restarted := fleet.NewJudge(mill)
		var kept []drumbeat.Item
		for offset := range rapid.IntRange(1, 150).Draw(t, "items") {
			if rapid.IntRange(0, 40).Draw(t, "restart") == 0 {
				restarted = fleet.NewJudge(mill)
				order := kept
				if rapid.Bool().Draw(t, "shuffled") {
					order = slices.Clone(kept)
					slices.Reverse(order)
				}
				for i := range order {
					restarted.Restore(&order[i])
				}
			}
			item := anyItem(t, offset)
			one, two, three := clone(item), clone(item), clone(item)
			want := oracle.judge(&one)
			got, reason := whole.Judge(&two)
			again, _ := restarted.Judge(&three)
			if got != want || again != want {
				t.Fatalf("item %d: got %v (%s), after a restart %v, want %v", offset, got, reason, again, want)
			}
			if (reason == "") != (want == drumbeat.FateKept) {
				t.Fatalf("item %d: %v has the reason %q", offset, want, reason)
			}
			if want != drumbeat.FateKept {
				continue
			}
			if diff := cmp.Diff(one, two); diff != "" {
				t.Fatalf("item %d (-plain +judge):\n%s", offset, diff)
			}
			if diff := cmp.Diff(one, three); diff != "" {
				t.Fatalf("item %d (-plain +restarted):\n%s", offset, diff)
			}
			kept = append(kept, clone(two))
		}
	})
}

func TestAValueIsStuckFromTheRowsEndOnAndJumpsFromTheOneBefore(t *testing.T) {
	mill := newMill(t)
	mill.Sensors[0].StuckAfter, mill.Sensors[0].MaxJump = 3, 10
	j := fleet.NewJudge(mill)
	record := machineRecord("", "")
	record.ArrivalTime = day(noon)
	j.Judge(&record)
	const stuck, jump = drumbeat.FlagStuck, drumbeat.FlagJump
	for i, step := range []struct {
		minute int
		value  int64
		want   drumbeat.Flag
	}{
		{0, 5, 0}, {15, 5, 0}, {30, 5, stuck}, {45, 5, stuck}, // the third and what follows
		{60, miss, 0}, {75, 5, stuck}, // a missing value ends no row
		{90, 15, 0}, {105, 26, jump}, {120, 15, jump}, // 10 is allowed, 11 is not
		{100, 16, 0}, // late news: from 15 before it, and it changes nothing that was said
		{135, 15, 0},
	} {
		item := reading("W-1", noon, step.value, 1, 1, 1)
		item.EventTime = item.EventTime.Add(time.Duration(step.minute) * time.Minute)
		item.ArrivalTime = item.EventTime
		if fate, why := j.Judge(&item); fate != drumbeat.FateKept || item.Flags[0] != step.want {
			t.Errorf("step %d, minute %d: %v %s, flags %v, want %v", i, step.minute, fate, why, item.Flags[0], step.want)
		}
	}
}

func TestAJudgeForgetsWhatIsOutOfReach(t *testing.T) {
	j := fleet.NewJudge(newMill(t))
	record := machineRecord("", "")
	record.ArrivalTime = day(noon)
	j.Judge(&record)
	at := day(noon)
	for range 100_000 { // three years, of which two days are remembered
		at = at.Add(15 * time.Minute)
		item := drumbeat.Item{
			Machine: "W-1", EventTime: at, ArrivalTime: at, Values: []int64{1, 1, 1, 1}, Flags: make([]drumbeat.Flag, 4),
		}
		if fate, why := j.Judge(&item); fate != drumbeat.FateKept {
			t.Fatal(fate, why)
		}
	}
	if space := j.Space("W-1"); space > 1000 {
		t.Errorf("the judge holds space for %d readings: two days are 192", space)
	}
}

func BenchmarkJudge(b *testing.B) {
	j := fleet.NewJudge(newMill(b))
	record := machineRecord("", "")
	j.Judge(&record)
	values, flags := []int64{1, 1, 1, 1}, make([]drumbeat.Flag, 4)
	at := day(noon)
	b.ReportAllocs()
	for b.Loop() {
		at = at.Add(15 * time.Minute)
		item := drumbeat.Item{Machine: "W-1", EventTime: at, ArrivalTime: at, Values: values, Flags: flags}
		if fate, _ := j.Judge(&item); fate != drumbeat.FateKept {
			b.Fatal(fate)
		}
	}
}
