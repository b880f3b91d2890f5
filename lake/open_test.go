package lake_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
)

// refused opens a lake that must not be opened.
func refused(t *testing.T, store delta.Store, f *fleet.Fleet, kind error, words ...string) {
	t.Helper()
	_, err := lake.Open(t.Context(), store, f, slog.New(slog.DiscardHandler))
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want the kind %v", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestALakeOfANewerFormatIsRefused(t *testing.T) {
	store := memory.New(time.Now)
	if err := store.Create(t.Context(), "laundry/format.json", []byte(`{"format":2}`)); err != nil {
		t.Fatal(err)
	}
	refused(t, store, washers(), drumbeat.ErrNewer, "fleet laundry", "format 2", "newer program")

	store = memory.New(time.Now)
	if err := store.Create(t.Context(), "laundry/format.json", []byte(`{"fo`)); err != nil {
		t.Fatal(err)
	}
	refused(t, store, washers(), drumbeat.ErrInvalid, "laundry/format.json", "restore it")
}

func TestNamesThatTheLakeUsesAreRefused(t *testing.T) {
	for name, spoil := range map[string]func(*fleet.Fleet){
		"sensor offset":              func(f *fleet.Fleet) { f.Sensors[1].Name = "offset" },
		"sensor temperature_c_flags": func(f *fleet.Fleet) { f.Sensors[1].Name = "temperature_c_flags" },
		"attribute machine":          func(f *fleet.Fleet) { f.Static[0].Name = "machine" },
		"log reading":                func(f *fleet.Fleet) { f.Logs[0].Name = "reading" },
		"../up":                      func(f *fleet.Fleet) { f.Name = "../up" },
		"power kw":                   func(f *fleet.Fleet) { f.Sensors[3].Name = "power kw" },
	} {
		f := washers()
		spoil(f)
		refused(t, memory.New(time.Now), f, drumbeat.ErrInvalid, name)
	}
}

func TestAFleetThatLostASensorIsRefusedAndOneThatGainedOneIsNot(t *testing.T) {
	store := memory.New(time.Now)
	l := open(t, store)
	s := newStream(4, 1)
	items := s.batch(20)
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items}, s.progress()); err != nil {
		t.Fatal(err)
	}
	lost := washers()
	lost.Sensors = lost.Sensors[1:]
	refused(t, store, lost, drumbeat.ErrInvalid, "silver/readings", "column temperature_c is not wanted", "another data folder")
	finer := washers()
	finer.Sensors[0].Decimals = 3
	refused(t, store, finer, drumbeat.ErrInvalid, "temperature_c is decimal(18,2) null, want decimal(18,3) null")

	gained := washers()
	gained.Sensors = append(gained.Sensors, fleet.Sensor{Name: "noise_db", Decimals: 1})
	l, err := lake.Open(t.Context(), store, gained, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	got := readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
	for i := range got {
		if got[i].Kind == drumbeat.KindReading && (len(got[i].Values) != 7 || got[i].Values[6] != drumbeat.Missing) {
			t.Fatalf("item %d has values %v", i, got[i].Values)
		}
	}
	if len(got) != len(items) {
		t.Errorf("%d items, want %d", len(got), len(items))
	}
}

func TestRowsThatProgressWouldHideAreRefused(t *testing.T) {
	l := open(t, memory.New(time.Now))
	at := func(epoch, partition int32, offset int64) drumbeat.Item {
		return drumbeat.Item{
			Machine: "W", EventTime: start, ArrivalTime: start, Values: make([]int64, 6), Raw: []byte("{}"),
			Position: drumbeat.Position{Epoch: epoch, Partition: partition, Offset: offset},
		}
	}
	for name, test := range map[string]struct {
		items []drumbeat.Item
		next  lake.Progress
	}{
		"an offset at the progress":    {[]drumbeat.Item{at(0, 0, 5)}, lake.Progress{0: 5}},
		"a partition without progress": {[]drumbeat.Item{at(0, 1, 5)}, lake.Progress{0: 9}},
		"positions that fall":          {[]drumbeat.Item{at(0, 0, 5), at(0, 0, 4)}, lake.Progress{0: 9}},
		"two epochs":                   {[]drumbeat.Item{at(0, 0, 5), at(1, 0, 6)}, lake.Progress{0: 9}},
		"a negative offset":            {[]drumbeat.Item{at(0, 0, -1)}, lake.Progress{0: 9}},
		"negative progress":            {nil, lake.Progress{0: -9}},
	} {
		if err := l.AppendBronze(t.Context(), test.items, nil, test.next); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: bronze: %v, want invalid", name, err)
		}
		if err := l.AppendSilver(t.Context(), lake.Silver{Items: test.items}, test.next); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: silver: %v, want invalid", name, err)
		}
	}
	short := at(0, 0, 1)
	short.Values = short.Values[:2]
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: []drumbeat.Item{short}}, lake.Progress{0: 9}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("too few values: %v, want invalid", err)
	}
}

func TestANewEpochBeginsWhenTheOldOneIsDrained(t *testing.T) {
	store := memory.New(time.Now)
	l := open(t, store)
	s := newStream(6, 2)
	old := s.batch(50)
	end := s.progress()
	if err := l.AppendBronze(t.Context(), withRaw(old), nil, end); err != nil {
		t.Fatal(err)
	}
	if err := l.UseEpoch(1); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("an epoch before the old one is refined: %v, want a conflict", err)
	}
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: old}, end); err != nil {
		t.Fatal(err)
	}
	if err := l.UseEpoch(1); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(lake.Progress{}, l.BronzeProgress()); diff != "" {
		t.Errorf("progress of the new epoch (-want +got):\n%s", diff)
	}
	s.next = lake.Progress{}
	fresh := s.batch(30)
	for i := range fresh {
		fresh[i].Position.Epoch = 1
	}
	if err := l.AppendBronze(t.Context(), withRaw(fresh), nil, s.progress()); err != nil {
		t.Fatal(err)
	}
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: fresh}, s.progress()); err != nil {
		t.Fatal(err)
	}
	l = open(t, store)
	if err := l.UseEpoch(0); !errors.Is(err, drumbeat.ErrInvalid) || l.Epoch() != 1 {
		t.Errorf("back to epoch 0: %v, want invalid", err)
	}
	equal(t, "all", byPosition(append(old, fresh...)), byPosition(readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})))
	equal(t, "the new epoch", byPosition(fresh),
		byPosition(readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions, From: lake.Progress{}})))
	bronze, _ := readBronze(t, l, nil)
	if len(bronze) != len(fresh) {
		t.Errorf("bronze of the epoch has %d items, want %d", len(bronze), len(fresh))
	}
}

func TestRecentReadingsAreThoseOfEachMachinesOwnLastDaysAndTheOneBefore(t *testing.T) {
	l := open(t, memory.New(time.Now))
	s := newStream(8, 3)
	items := s.batch(3000)
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items}, s.progress()); err != nil {
		t.Fatal(err)
	}
	last, arrival, first := map[drumbeat.MachineID]drumbeat.Time{}, map[drumbeat.MachineID]drumbeat.Time{}, map[drumbeat.MachineID]drumbeat.Time{}
	for _, item := range items {
		if item.Kind == drumbeat.KindReading {
			last[item.Machine] = max(last[item.Machine], item.EventTime)
			arrival[item.Machine] = max(arrival[item.Machine], item.ArrivalTime)
			if before, seen := first[item.Machine]; !seen || item.EventTime < before {
				first[item.Machine] = item.EventTime
			}
		}
	}
	const horizon = 48 * time.Hour
	cuts := map[drumbeat.MachineID]drumbeat.Time{}
	for machine := range last {
		recent := min(last[machine], arrival[machine]).Add(-horizon)
		for _, item := range items { // the last one before the recent ones comes too
			if item.Kind == drumbeat.KindReading && item.Machine == machine && item.EventTime <= recent {
				cuts[machine] = max(cuts[machine], item.EventTime)
			}
		}
	}
	var want []drumbeat.Item
	for _, item := range items {
		if item.Kind != drumbeat.KindReading || item.EventTime >= cuts[item.Machine] {
			want = append(want, item)
		}
	}
	if len(want) > len(items)*3/4 {
		t.Fatalf("the test asks for %d of %d items: it must leave most out", len(want), len(items))
	}
	var got []drumbeat.Item
	err := l.ScanRecent(t.Context(), lake.ScanOptions{Partition: lake.AllPartitions}, horizon, func(items []drumbeat.Item) error {
		got = append(got, items...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "recent items", byPosition(want), byPosition(got))
	starts, err := l.FirstReadings(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(first, starts); diff != "" {
		t.Errorf("first readings (-want +got):\n%s", diff)
	}
}

func TestCountsCountRowsFatesReasonsAndFlags(t *testing.T) {
	l := open(t, memory.New(time.Now))
	s := newStream(10, 2)
	items := s.batch(500)
	readings, clipped, nulled := int64(0), map[string]int64{}, map[string]int64{}
	for _, item := range items {
		if item.Kind == drumbeat.KindReading {
			readings++
		}
		for k, flag := range item.Flags {
			if flag&drumbeat.FlagClipped != 0 {
				clipped[washers().Sensors[k].Name]++
			}
			if flag&drumbeat.FlagNulled != 0 {
				nulled[washers().Sensors[k].Name]++
			}
		}
	}
	next := s.progress()
	p := drumbeat.Position{Partition: 0, Offset: 1}
	asides := []lake.Aside{{Position: p, Fate: drumbeat.FateLate}, {Position: p, Fate: drumbeat.FateFuture}, {Position: p, Fate: drumbeat.FateLate}}
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items, Aside: asides}, next); err != nil {
		t.Fatal(err)
	}
	dead := []lake.DeadLetter{{Position: p, Fate: drumbeat.FateUndecodable, Reason: "no JSON \xff"}}
	if err := l.AppendBronze(t.Context(), nil, dead, next); err != nil {
		t.Fatal(err)
	}
	got, err := l.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int64{"late": 2, "future": 1}, got.Aside); diff != "" {
		t.Errorf("aside (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]int64{"no JSON \uFFFD": 1}, got.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(clipped, got.Clipped); diff != "" {
		t.Errorf("clipped (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(nulled, got.Nulled); diff != "" {
		t.Errorf("nulled (-want +got):\n%s", diff)
	}
	if got.Rows["silver_readings"] != readings || got.Rows["dead_letters"] != 1 || got.Rows["bronze"] != 0 {
		t.Errorf("rows are %v, want %d readings", got.Rows, readings)
	}
}
