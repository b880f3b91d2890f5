package lake_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"

	"github.com/google/go-cmp/cmp"
)

// streaming is a world that comes in many small commits.
func streaming(commits, records int) *world {
	s := newStream(31, 2)
	w := &world{}
	for k := range commits {
		items := s.batch(records)
		w.raw = append(w.raw, withRaw(items)...)
		for i := range items {
			if (k+i)%9 == 0 {
				w.dead = append(w.dead, lake.DeadLetter{Position: items[i].Position, ArrivalTime: items[i].ArrivalTime, Fate: drumbeat.FateUndecodable})
				w.asides = append(w.asides, lake.Aside{Position: items[i].Position, Machine: items[i].Machine, ArrivalTime: items[i].ArrivalTime, Fate: drumbeat.FateLate})
				continue
			}
			w.items = append(w.items, items[i])
		}
		w.cuts = append(w.cuts, s.progress())
	}
	w.ends = s.progress()
	return w
}

// commit carries every table from one cut to the next.
func (w *world) commit(ctx context.Context, l *lake.Lake, next lake.Progress) error {
	from := l.BronzeProgress()
	if err := l.AppendBronze(ctx, between(w.raw, itemAt, from, next), between(w.dead, deadAt, from, next), next); err != nil {
		return err
	}
	from = l.SilverProgress()
	silver := lake.Silver{Items: between(w.items, itemAt, from, next), Aside: between(w.asides, asideAt, from, next)}
	if err := l.AppendSilver(ctx, silver, next); err != nil {
		return err
	}
	gold, err := l.Gold(ctx, "health", "h1", []string{"a", "b"})
	if err != nil {
		return err
	}
	if err := gold.Append(ctx, vectors(between(w.items, itemAt, gold.Progress(), next), 2), next); err != nil {
		return err
	}
	return l.AppendPredictions(ctx, predictions(between(w.items, itemAt, l.PredictionProgress(), next)), next)
}

// clock is a wall clock that a test moves.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) move(d time.Duration) { c.at = c.at.Add(d) }

func (c *clock) open(t testing.TB, store delta.Store) *lake.Lake {
	t.Helper()
	l, err := lake.OpenAt(t.Context(), store, washers(), slog.New(slog.DiscardHandler), c.now)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// files counts the blobs of every table, those of the log apart.
func files(t *testing.T, store delta.Store) map[string]int {
	t.Helper()
	out := map[string]int{}
	for entry, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		folder := entry.Key[:strings.LastIndexByte(entry.Key, '/')]
		out[folder]++
	}
	return out
}

func maintain(t *testing.T, l *lake.Lake, opt lake.MaintainOptions) lake.Maintained {
	t.Helper()
	done, err := l.Maintain(t.Context(), opt)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestALakeThatLooksAfterItselfHoldsWhatOneDoesThatDoesNot(t *testing.T) {
	w := streaming(400, 2)
	c := newClock()
	store := memory.New(c.now)
	l, other := c.open(t, store), open(t, memory.New(time.Now))
	var total lake.Maintained
	for i, next := range w.cuts {
		if err := w.commit(t.Context(), l, next); err != nil {
			t.Fatal(err)
		}
		c.move(15 * time.Second)
		if i%12 == 11 {
			done := maintain(t, l, lake.MaintainOptions{Keep: delta.MinKeep})
			total.Compacted += done.Compacted
			total.Deleted += done.Deleted
			total.Cleaned += done.Cleaned
		}
		if i%50 == 49 { // the other writes the same in larger steps
			if err := w.commit(t.Context(), other, next); err != nil {
				t.Fatal(err)
			}
		}
	}
	if d := cmp.Diff(contents(t, other), contents(t, l)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(contents(t, other), contents(t, c.open(t, store))); d != "" {
		t.Errorf("opened again (-want +got):\n%s", d)
	}
	// Rows of a partition still stand in the order of their positions.
	last := map[int32]drumbeat.Position{}
	for _, item := range readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions}) {
		if item.Position.Compare(last[item.Position.Partition]) < 0 {
			t.Fatalf("%s comes after %s", item.Position, last[item.Position.Partition])
		}
		last[item.Position.Partition] = item.Position
	}
	// A scan of a stretch finds all of it in the files that took others over.
	for k := 0; k < len(w.cuts); k += 23 {
		from, to := w.cuts[k], w.cuts[min(k+31, len(w.cuts)-1)]
		bronze, _ := readBronze(t, l, from)
		equal(t, "bronze from a cut on", byPosition(between(w.raw, itemAt, from, w.ends)), byPosition(bronze))
		silver := readSilver(t, l, lake.ScanOptions{From: from, To: to, Partition: lake.AllPartitions})
		equal(t, "silver between cuts", byPosition(between(w.items, itemAt, from, to)), byPosition(silver))
	}
	// The commits of Keep are there (120), what the next sweep will take
	// (30), and a checkpoint's worth.
	for folder, n := range files(t, store) {
		if n > 120+30+100 {
			t.Errorf("%s has %d files", folder, n)
		}
	}
	for _, name := range []string{"bronze", "silver/readings", "gold/health/h1", "predictions"} {
		table, err := delta.Open(t.Context(), store, "laundry/"+name, delta.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(table.Snapshot().Files()); n > 36 {
			t.Errorf("%s has %d live files", name, n)
		}
	}
	t.Logf("%+v", total)
	if total.Compacted < 2000 || total.Deleted < 1000 || total.Cleaned < 1000 {
		t.Errorf("too little was done: %+v", total)
	}
}

// copyOf returns a store that holds the same.
func copyOf(t *testing.T, from delta.Store, c *clock) delta.Store {
	t.Helper()
	to := memory.New(c.now)
	for entry, err := range from.List(t.Context(), "", "") {
		var body []byte
		if err == nil {
			body, err = from.Read(t.Context(), entry.Key)
		}
		if err == nil {
			err = to.Create(t.Context(), entry.Key, body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func TestACrashAtAnyWriteOfMaintainLosesAndDoublesNothing(t *testing.T) {
	w := streaming(18, 4)
	c := newClock()
	store := memory.New(c.now)
	l := c.open(t, store)
	for i, next := range w.cuts {
		if err := w.commit(t.Context(), l, next); err != nil {
			t.Fatal(err)
		}
		if i == 9 {
			maintain(t, l, lake.MaintainOptions{})
			for _, name := range []string{"bronze", "predictions"} { // so that there is a log to clean
				table, err := delta.Open(t.Context(), store, "laundry/"+name, delta.Options{})
				if err != nil {
					t.Fatal(err)
				}
				if err := table.Checkpoint(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	want := contents(t, l)
	writes, step := 1, 1
	if testing.Short() {
		step = 7
	}
	for n := 0; n <= writes; n += step {
		c := newClock()
		breaker := &objstoretest.Breaker{Store: copyOf(t, store, c), At: n, Moment: objstoretest.Moment(n % 2), Once: n%3 == 0, WritesOnly: true}
		c.move(2 * time.Hour)
		l, err := lake.OpenAt(t.Context(), breaker, washers(), slog.New(slog.DiscardHandler), c.now)
		if err == nil {
			_, err = l.Maintain(t.Context(), lake.MaintainOptions{})
		}
		if n == 0 {
			writes = breaker.Calls()
		}
		if err != nil && !errors.Is(err, objstoretest.ErrBroken) || n == 0 && err != nil {
			t.Fatal(err)
		}
		again := c.open(t, breaker.Store)
		maintain(t, again, lake.MaintainOptions{})
		if got := contents(t, again); !reflect.DeepEqual(want, got) {
			t.Fatalf("write %d of %d (-want +got):\n%s", n, writes, cmp.Diff(want, got))
		}
	}
	if writes < 40 {
		t.Errorf("only %d writes", writes)
	}
}

func TestGoldThatNoLiveModelUsesIsDroppedAndMayBeginAnew(t *testing.T) {
	w := streaming(3, 20)
	c := newClock()
	store := memory.New(c.now)
	gold := func(l *lake.Lake, hash drumbeat.Hash) *lake.Gold {
		t.Helper()
		g, err := l.Gold(t.Context(), "health", hash, []string{"a", "b"})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	fill := func(g *lake.Gold) {
		t.Helper()
		if err := g.Append(t.Context(), vectors(w.items, 2), w.ends); err != nil {
			t.Fatal(err)
		}
	}
	l := c.open(t, store)
	fill(gold(l, "live"))
	fill(gold(l, "idle"))
	c.move(20 * 24 * time.Hour)
	fill(gold(l, "young"))
	c.move(15 * 24 * time.Hour)
	if done := maintain(t, l, lake.MaintainOptions{}); done.Dropped != nil {
		t.Errorf("without live hashes: %v", done.Dropped)
	}
	opt := lake.MaintainOptions{LiveHashes: []drumbeat.Hash{"live"}}
	before := c.now()
	writes := 1
	for n := 0; n <= writes; n++ {
		c := &clock{at: before.Add(-31 * 24 * time.Hour)} // so old is the copy's log
		breaker := &objstoretest.Breaker{Store: copyOf(t, store, c), Moment: objstoretest.Moment(n % 2), WritesOnly: true}
		c.move(31 * 24 * time.Hour)
		l := c.open(t, breaker)
		idle := gold(l, "idle")
		opt.LiveHashes = []drumbeat.Hash{"live", "young"}
		start := breaker.Calls()
		if n > 0 {
			breaker.At = start + n
		}
		_, err := l.Maintain(t.Context(), opt)
		if n == 0 {
			writes = breaker.Calls() - start
		}
		if err != nil && !errors.Is(err, objstoretest.ErrBroken) || n == 0 && err != nil {
			t.Fatal(err)
		}
		if err == nil {
			if err := idle.Append(t.Context(), nil, nil); !errors.Is(err, drumbeat.ErrNotFound) {
				t.Errorf("append to a dropped table: %v", err)
			}
		}
		l = c.open(t, breaker.Store)
		if n%3 == 1 { // the next to come is Maintain, else somebody who wants that gold
			maintain(t, l, opt)
		}
		again := gold(l, "idle")
		fill(again)
		if got := len(fromChunks(t, again, lake.GoldScan{})); got != len(w.items) {
			t.Fatalf("write %d of %d: filled again it has %d rows, want %d", n, writes, got, len(w.items))
		}
		maintain(t, l, opt)
		for _, hash := range []drumbeat.Hash{"live", "young", "idle"} {
			if got := len(fromChunks(t, gold(c.open(t, breaker.Store), hash), lake.GoldScan{})); got != len(w.items) {
				t.Errorf("write %d: %s has %d rows", n, hash, got)
			}
		}
	}
	// By the log's own age: the young one stays.
	opt.LiveHashes = []drumbeat.Hash{"live"}
	done := maintain(t, l, opt)
	if d := cmp.Diff([]string{"gold/health/idle"}, done.Dropped); d != "" {
		t.Errorf("dropped (-want +got):\n%s", d)
	}
	if n := files(t, store)["laundry/gold/health/idle"]; n != 0 {
		t.Errorf("%d files are left", n)
	}
}

// keeping is the fleet with retention.
func keeping(r fleet.Retention) *fleet.Fleet {
	f := washers()
	f.Lateness, f.Retention = 24*time.Hour, r
	f.Label = fleet.LabelPolicy{Horizon: 7 * 24 * time.Hour, ReportingLag: 24 * time.Hour}
	return f
}

func TestOldRowsGoAndWhatARestartNeedsStays(t *testing.T) {
	store := memory.New(time.Now)
	f := keeping(fleet.Retention{
		Bronze: 20 * 24 * time.Hour, DeadLetters: 2 * 24 * time.Hour, Silver: 24 * time.Hour, Gold: 30 * 24 * time.Hour, Predictions: 30 * 24 * time.Hour,
	})
	openFleet := func() *lake.Lake {
		l, err := lake.Open(t.Context(), store, f, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	// A reading a machine and day, a file a day; W-2 falls silent on day 10.
	l := openFleet()
	var items []drumbeat.Item
	next := lake.Progress{}
	const days = 60
	for d := range days {
		var batch []drumbeat.Item
		for m := range 3 {
			if m == 2 && d > 10 {
				continue
			}
			at := start + drumbeat.Time(d)*day
			batch = append(batch, drumbeat.Item{
				Machine: drumbeat.MachineID(fmt.Sprint("W-", m)), EventTime: at, ArrivalTime: at + 1000,
				Position: drumbeat.Position{Offset: next[0]}, Values: make([]int64, 6), Flags: make([]drumbeat.Flag, 6),
			})
			next[0]++
		}
		items = append(items, batch...)
		dead := []lake.DeadLetter{{Position: drumbeat.Position{Offset: next[0]}, ArrivalTime: start + drumbeat.Time(d)*day}}
		next[0]++
		if err := l.AppendBronze(t.Context(), withRaw(batch), dead, maps.Clone(next)); err != nil {
			t.Fatal(err)
		}
		if d == days-1 {
			break // refine lags
		}
		err := l.AppendSilver(t.Context(), lake.Silver{Items: batch}, maps.Clone(next))
		if err == nil {
			scores := predictions(batch)
			for i := range scores {
				scores[i].ArrivalTime = batch[i].ArrivalTime
			}
			err = l.AppendPredictions(t.Context(), scores, maps.Clone(next))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	progress := []lake.Progress{l.BronzeProgress(), l.SilverProgress(), l.PredictionProgress()}
	opt := lake.MaintainOptions{FleetNow: start + days*day, Need: 5 * 24 * time.Hour}
	recent := func(l *lake.Lake) []string {
		var out []drumbeat.Item
		scan := lake.ScanOptions{Partition: lake.AllPartitions}
		err := l.ScanRecent(t.Context(), scan, opt.Need, func(items []drumbeat.Item) error { out = append(out, items...); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return lines(t, out)
	}
	before := recent(l)
	done := maintain(t, l, opt)
	if done.Expired == 0 || len(done.Notes) != 1 || !strings.Contains(done.Notes[0], "silver") {
		t.Errorf("%+v", done)
	}
	l = openFleet()
	if d := cmp.Diff(before, recent(l)); d != "" {
		t.Errorf("what a restart reads (-want +got):\n%s", d)
	}
	if d := cmp.Diff(progress, []lake.Progress{l.BronzeProgress(), l.SilverProgress(), l.PredictionProgress()}); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
	left := func(machine drumbeat.MachineID, items []drumbeat.Item) (out []int) {
		for i := range items {
			if items[i].Machine == machine {
				out = append(out, int((items[i].EventTime-start)/day))
			}
		}
		return out
	}
	silver := readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
	// Need and the judge's memory are 7 days and 5 minutes, from each machine's
	// own last reading on; the files that hold those stay whole.
	if d := cmp.Diff([]int{3, 4, 5, 6, 7, 8, 9, 10}, left("W-2", silver)); d != "" {
		t.Errorf("W-2 in silver (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int{3, 4, 5, 6, 7, 8, 9, 10, 51, 52, 53, 54, 55, 56, 57, 58}, left("W-0", silver)); d != "" {
		t.Errorf("W-0 in silver (-want +got):\n%s", d)
	}
	bronze, _ := readBronze(t, l, nil)
	if got := left("W-1", bronze); len(got) != 20 || got[0] != 40 || got[19] != 59 {
		t.Errorf("W-1 in bronze: %v", got)
	}
	counts, err := l.Counts(t.Context())
	if err != nil || counts.Rows["dead_letters"] != 2 || counts.Rows["predictions"] != 2*29 {
		t.Errorf("%v, %v", counts.Rows, err)
	}
	// Bronze that silver has not seen stays, however old, with what stands in
	// the same file.
	opt.FleetNow = start + 1000*day
	l = openFleet()
	maintain(t, l, opt)
	if bronze, _ := readBronze(t, l, nil); !slices.Contains(left("W-0", bronze), 59) {
		t.Errorf("bronze that is not refined: %v", left("W-0", bronze))
	}
	if err := l.AppendSilver(t.Context(), lake.Silver{Items: items[len(items)-2:]}, next); err != nil {
		t.Fatal(err)
	}
	l = openFleet()
	maintain(t, l, opt)
	if bronze, _ := readBronze(t, l, nil); len(bronze) != 0 {
		t.Errorf("bronze that is refined: %v", left("W-0", bronze))
	}
	silver = readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
	for _, machine := range []drumbeat.MachineID{"W-0", "W-1", "W-2"} {
		if days := left(machine, silver); len(days) == 0 {
			t.Errorf("nothing is left of %s", machine)
		}
	}
}

func TestACallThatHasNoTimeLeftSaysSoAndTheNextGoesOn(t *testing.T) {
	w := streaming(10, 4)
	l := open(t, memory.New(time.Now))
	for _, next := range w.cuts {
		if err := w.commit(t.Context(), l, next); err != nil {
			t.Fatal(err)
		}
	}
	calls := 1
	for maintain(t, l, lake.MaintainOptions{Budget: 5 * time.Millisecond}).More {
		if calls++; calls > 100 {
			t.Fatal("it never ends")
		}
	}
	if done := maintain(t, l, lake.MaintainOptions{}); done.More || done.Compacted != 0 {
		t.Errorf("after %d calls: %+v", calls, done)
	}
	if _, err := l.Maintain(t.Context(), lake.MaintainOptions{Keep: time.Minute}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a minute for readers: %v", err)
	}
}
