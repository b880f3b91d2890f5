package lake_test

import (
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

// washers is a small fleet with sensors of several decimals.
func washers() *fleet.Fleet {
	return &fleet.Fleet{
		Name: "laundry",
		Sensors: []fleet.Sensor{
			{Name: "temperature_c", Decimals: 2},
			{Name: "vibration_hz", Decimals: 3},
			{Name: "pressure_bar", Decimals: 3},
			{Name: "power_kw", Decimals: 3},
			{Name: "runtime_hours", Decimals: 2},
			{Name: "error_code_count"},
		},
		Static: []fleet.Attribute{{Name: "location"}, {Name: "model_year", Type: fleet.Number}},
		Logs:   []fleet.Log{{Name: "failure"}, {Name: "maintenance"}},
	}
}

func open(t testing.TB, store delta.Store) *lake.Lake {
	t.Helper()
	l, err := lake.Open(t.Context(), store, washers(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

const start = drumbeat.Time(1_767_225_600_000_000) // 2026-01-01

// stream makes items as a topic would bring them: partitions mixed, offsets
// rising in each, most of them readings.
type stream struct {
	random     *rand.Rand
	partitions int32
	next       lake.Progress
}

func newStream(seed uint64, partitions int32) *stream {
	return &stream{random: rand.New(rand.NewPCG(seed, 0)), partitions: partitions, next: lake.Progress{}}
}

// record appends the items of one record.
func (s *stream) record(items []drumbeat.Item) []drumbeat.Item {
	partition := s.random.Int32N(s.partitions)
	offset := s.next[partition]
	s.next[partition]++
	if s.random.IntN(20) == 0 {
		return items // not every offset has an item
	}
	for index := range 1 + s.random.Int32N(3)/2 {
		at := start.Add(time.Duration(offset) * 15 * time.Minute)
		item := drumbeat.Item{
			Machine:     drumbeat.MachineID(fmt.Sprintf("W-%d-%d", partition, s.random.IntN(5))),
			EventTime:   at.Add(-time.Duration(s.random.IntN(100)) * time.Minute),
			ArrivalTime: at,
			Position:    drumbeat.Position{Partition: partition, Offset: offset, Index: index},
		}
		switch s.random.IntN(12) {
		case 0:
			item.Kind = drumbeat.KindEntry
			item.Entry = drumbeat.Entry{
				Log: "failure", ID: fmt.Sprint("id-", offset), Revision: int64(index), Withdrawn: offset%3 == 0,
				Type: "bearing", Detail: "straße",
			}
		case 1:
			item.Kind = drumbeat.KindMachine
			item.Static = []string{"Berlin", ""}
		case 2:
			item.Kind = drumbeat.KindWatermark
			item.Machine = ""
			item.Watermark = drumbeat.Watermark{Log: "failure", CompleteTo: at}
		default:
			item.Values, item.Flags = s.values()
		}
		items = append(items, item)
	}
	return items
}

func (s *stream) values() ([]int64, []drumbeat.Flag) {
	values, flags := make([]int64, 6), make([]drumbeat.Flag, 6)
	for i := range values {
		values[i] = s.random.Int64N(100_000)
		switch s.random.IntN(50) {
		case 0:
			values[i] = drumbeat.Missing
			flags[i] = drumbeat.FlagNulled
		case 1:
			flags[i] = drumbeat.FlagClipped | drumbeat.FlagStuck
		}
	}
	return values, flags
}

// batch returns the items of n records.
func (s *stream) batch(n int) []drumbeat.Item {
	var items []drumbeat.Item
	for range n {
		items = s.record(items)
	}
	return items
}

func (s *stream) progress() lake.Progress {
	return maps.Clone(s.next)
}

// withRaw gives items the JSON text that bronze keeps, and only what bronze
// keeps of the rest.
func withRaw(items []drumbeat.Item) []drumbeat.Item {
	out := make([]drumbeat.Item, len(items))
	for i := range items {
		from := &items[i]
		out[i] = drumbeat.Item{
			Kind: from.Kind, Machine: from.Machine, EventTime: from.EventTime, ArrivalTime: from.ArrivalTime,
			Position: from.Position, Entry: drumbeat.Entry{Log: from.Entry.Log},
			Raw: fmt.Appendf(nil, `{"machine_id":%q,"n":%d}`, from.Machine, i),
		}
		if i%7 == 0 {
			out[i].RedriveOf = &drumbeat.Position{Epoch: 0, Partition: 1, Offset: int64(i), Index: 2}
		}
	}
	return out
}

// byPosition sorts items as if all partitions had been read one by one.
func byPosition(items []drumbeat.Item) []drumbeat.Item {
	items = slices.Clone(items)
	slices.SortStableFunc(items, func(a, b drumbeat.Item) int { return a.Position.Compare(b.Position) })
	return items
}

// ordered fails the test if items are not in the order of positions within
// each partition.
func ordered(t *testing.T, items []drumbeat.Item) {
	t.Helper()
	last := map[int32]drumbeat.Position{}
	for i := range items {
		p := items[i].Position
		if before, seen := last[p.Partition]; seen && p.Compare(before) <= 0 {
			t.Fatalf("%s comes after %s", p, before)
		}
		last[p.Partition] = p
	}
}

func readSilver(t *testing.T, l *lake.Lake, opt lake.ScanOptions) []drumbeat.Item {
	t.Helper()
	var all []drumbeat.Item
	err := l.ScanSilver(t.Context(), opt, func(items []drumbeat.Item) error {
		all = append(all, items...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ordered(t, all)
	return all
}

func readBronze(t *testing.T, l *lake.Lake, from lake.Progress) ([]drumbeat.Item, lake.Progress) {
	t.Helper()
	var all []drumbeat.Item
	progress, err := l.ScanBronze(t.Context(), from, func(items []drumbeat.Item) error {
		for i := range items { // they are lent
			all = append(all, items[i].Clone())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ordered(t, all)
	return all, progress
}

// equal compares many items, and shows where they begin to differ: a diff of
// all of them would take minutes.
func equal(t *testing.T, what string, want, got []drumbeat.Item) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if !reflect.DeepEqual(want[i], got[i]) {
			t.Fatalf("%s: item %d (-want +got):\n%s", what, i, cmp.Diff(want[i], got[i]))
		}
	}
	if len(want) != len(got) {
		t.Fatalf("%s: %d items, want %d", what, len(got), len(want))
	}
}

func TestSilverIsReadBackMergedInTheOrderOfPositions(t *testing.T) {
	l := open(t, memory.New(time.Now))
	s := newStream(1, 4)
	var want []drumbeat.Item
	for _, n := range []int{1, 10, 3000, 0, 6000, 500} {
		items := s.batch(n)
		want = append(want, items...)
		if err := l.AppendSilver(t.Context(), lake.Silver{Items: items}, s.progress()); err != nil {
			t.Fatal(err)
		}
	}
	want = byPosition(want)
	got := readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
	equal(t, "silver", want, byPosition(got))
	if diff := cmp.Diff(s.progress(), l.SilverProgress()); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	from, to := lake.Progress{0: 500, 1: 700, 2: 20, 3: 1900}, lake.Progress{0: 1900, 1: 2000, 2: 2100, 3: 1950}
	since := start.Add(1000 * 15 * time.Minute)
	for _, opt := range []lake.ScanOptions{
		{Partition: 2},
		{Partition: lake.AllPartitions, From: from},
		{Partition: lake.AllPartitions, To: to},
		{Partition: lake.AllPartitions, From: from, To: to},
		{Partition: 3, From: from, To: to},
		{Partition: lake.AllPartitions, Since: since},
		{Partition: 1, From: from, Since: since},
		{Partition: lake.AllPartitions, To: lake.Progress{}},
	} {
		var some []drumbeat.Item
		for _, item := range want {
			p := item.Position
			to, bounded := opt.To[p.Partition]
			switch {
			case opt.Partition != lake.AllPartitions && p.Partition != opt.Partition,
				p.Offset < opt.From[p.Partition],
				opt.To != nil && (!bounded || p.Offset >= to),
				item.Kind == drumbeat.KindReading && opt.Since > 0 && item.EventTime <= opt.Since:
				continue
			}
			some = append(some, item)
		}
		equal(t, fmt.Sprintf("scan %+v", opt), some, byPosition(readSilver(t, l, opt)))
	}
}

func TestABigAppendIsOneFileAPartition(t *testing.T) {
	store := memory.New(time.Now)
	l := open(t, store)
	items, next := benchReadings(60_000)
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items}, next); err != nil {
		t.Fatal(err)
	}
	var files int
	for entry, err := range store.List(t.Context(), "laundry/silver/readings/part-", "") {
		if err != nil || entry.Size == 0 {
			t.Fatal(entry, err)
		}
		files++
	}
	if files != 4 {
		t.Errorf("%d files, want 4", files)
	}
	n := map[int32]int{}
	for _, item := range readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions}) {
		n[item.Position.Partition]++
	}
	if diff := cmp.Diff(map[int32]int{0: 15_000, 1: 15_000, 2: 15_000, 3: 15_000}, n); diff != "" {
		t.Errorf("rows by partition (-want +got):\n%s", diff)
	}
}

func TestBronzeAndDeadLettersAreReadBack(t *testing.T) {
	l := open(t, memory.New(time.Now))
	s := newStream(2, 3)
	var want []drumbeat.Item
	var wantDead []lake.DeadLetter
	for _, n := range []int{200, 20_000} {
		items := withRaw(s.batch(n))
		want = append(want, items...)
		dead := lake.DeadLetter{
			Position: drumbeat.Position{Partition: 1, Offset: s.next[1]}, Type: "reading", Key: "k\xff", ArrivalTime: start,
			Fate: drumbeat.FateUnknownMachine, Reason: "machine W-9 is not declared", Raw: []byte("\xff\x00{"),
			RedriveOf: &drumbeat.Position{Offset: 4},
		}
		s.next[1]++
		wantDead = append(wantDead, dead)
		if err := l.AppendBronze(t.Context(), items, []lake.DeadLetter{dead}, s.progress()); err != nil {
			t.Fatal(err)
		}
	}
	got, progress := readBronze(t, l, nil)
	equal(t, "bronze", byPosition(want), byPosition(got))
	if diff := cmp.Diff(s.progress(), progress); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
	from := lake.Progress{0: 70, 1: 5000, 2: 1}
	some, _ := readBronze(t, l, from)
	wantSome := slices.DeleteFunc(byPosition(want), func(i drumbeat.Item) bool { return i.Position.Offset < from[i.Position.Partition] })
	equal(t, "bronze from the middle", wantSome, byPosition(some))
	var dead []lake.DeadLetter
	err := l.ScanDeadLetters(t.Context(), func(d []lake.DeadLetter) error {
		dead = append(dead, d...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantDead, dead); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
}

func TestAChunkNeverSplitsARecord(t *testing.T) {
	l := open(t, memory.New(time.Now))
	var items []drumbeat.Item
	for offset := range int64(12) {
		for index := range int32(7000) {
			items = append(items, drumbeat.Item{
				Machine: "W", EventTime: start, ArrivalTime: start, Raw: []byte("{}"),
				Position: drumbeat.Position{Offset: offset, Index: index}, Values: make([]int64, 6),
			})
		}
	}
	next := lake.Progress{0: 12}
	if err := l.AppendBronze(t.Context(), items, nil, next); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items}, next); err != nil {
		t.Fatal(err)
	}
	whole := func(chunk []drumbeat.Item) error {
		if len(chunk)%7000 != 0 || len(chunk) > 64<<10 {
			t.Errorf("a chunk of %d items", len(chunk))
		}
		return nil
	}
	if _, err := l.ScanBronze(t.Context(), nil, whole); err != nil {
		t.Fatal(err)
	}
	if err := l.ScanSilver(t.Context(), lake.ScanOptions{}, whole); err != nil {
		t.Fatal(err)
	}
}
