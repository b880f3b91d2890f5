package lake_test

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
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
	return l.AppendPredictions(ctx, predictions(between(w.items, itemAt, l.PredictionProgress(0), next)), 0, next)
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
	w := streaming(200, 3)
	c := newClock()
	store := memory.New(c.now)
	l, other := c.open(t, store), open(t, memory.New(time.Now))
	var total lake.Maintained
	for i, next := range w.cuts {
		if err := w.commit(t.Context(), l, next); err != nil {
			t.Fatal(err)
		}
		c.move(30 * time.Second)
		if i%10 == 9 {
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
	for k := 0; k < len(w.cuts); k += 29 {
		from, to := w.cuts[k], w.cuts[min(k+31, len(w.cuts)-1)]
		bronze, _ := readBronze(t, l, from)
		equal(t, "bronze from a cut on", byPosition(between(w.raw, itemAt, from, w.ends)), byPosition(bronze))
		silver := readSilver(t, l, lake.ScanOptions{From: from, To: to, Partition: lake.AllPartitions})
		equal(t, "silver between cuts", byPosition(between(w.items, itemAt, from, to)), byPosition(silver))
	}
	// The commits of Keep are there (60), what the next sweep will take (15),
	// and a checkpoint's worth.
	for folder, n := range files(t, store) {
		if n > 60+15+100 {
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
	if total.Compacted < 1000 || total.Deleted < 500 || total.Cleaned < 500 {
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
	writes, step := 1, 3
	if testing.Short() {
		step = 11
	}
	for n := 0; n <= writes; n += step {
		c := newClock()
		breaker := &objstoretest.Breaker{Store: copyOf(t, store, c), At: n, Moment: objstoretest.Moment(n % 2), Once: n%4 == 0, WritesOnly: true}
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

func goldOf(t *testing.T, l *lake.Lake, hash drumbeat.Hash) *lake.Gold {
	t.Helper()
	g, err := l.Gold(t.Context(), "health", hash, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGoldThatNoLiveModelUsesIsDroppedAndMayBeginAnew(t *testing.T) {
	w := streaming(3, 20)
	c := newClock()
	store := memory.New(c.now)
	gold := func(l *lake.Lake, hash drumbeat.Hash) *lake.Gold { return goldOf(t, l, hash) }
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
