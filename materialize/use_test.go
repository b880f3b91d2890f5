package materialize_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/fstest"

	"drumbeat"
	"drumbeat/feature"
	feature_memory "drumbeat/feature/memory"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/topic"
)

// second makes another view of a view's fleet.
func second(t *testing.T, v *feature.View) *feature.View {
	t.Helper()
	files := fstest.MapFS{"features.yaml": {Data: []byte(`
view: second
ttl: 7d
min_history: 2d
features:
  - {name: vibration_std_3d, of: vibration_hz, agg: std, window: 3d}
  - {name: vibration_mean_5h, of: vibration_hz, agg: mean, window: 5h}
  - {name: power_max_2d, of: power_kw, agg: max, window: 2d}
  - {name: runtime_4d, of: runtime_hours, agg: increase, window: 4d}
  - {name: ratio, expr: vibration_mean_5h / vibration_std_3d}
  - {name: maintenance_age, of: maintenance, agg: age}
`)}}
	view, err := feature.LoadView(files, ".", v.Fleet)
	if err != nil {
		t.Fatal(err)
	}
	return view
}

// paced is a reader that polls few records at a time and calls before each
// poll; what it returned before has been applied by then.
type paced struct {
	reader
	random *rand.Rand
	before func(next map[int32]int64)
}

func (p *paced) Poll(context.Context) ([]topic.Record, error) {
	p.before(copied(p.next))
	var out []topic.Record
	for _, partition := range slices.Sorted(maps.Keys(p.log)) {
		n := min(int64(p.random.IntN(120)), p.ends[partition]-p.next[partition])
		for range n {
			out = append(out, p.log[partition][p.next[partition]])
			p.next[partition]++
		}
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(p.log)), func(partition int32) bool { return !p.Drained(partition) }) {
		p.end()
	}
	return out, nil
}

// said is what a stream gave to its sink.
type said struct {
	mu      sync.Mutex
	vectors map[drumbeat.Hash]map[row]values
	entries map[drumbeat.Position]int
}

func (s *said) sink(_ context.Context, batch materialize.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, out := range batch.Outputs {
		if out.Entry != nil {
			s.entries[out.Entry.Position]++
			continue
		}
		v := out.Vector
		all := s.vectors[out.View.Hash]
		if all == nil {
			all = map[row]values{}
			s.vectors[out.View.Hash] = all
		}
		all[row{v.Machine, v.AsOf, v.Position, v.MadeBy}] = values{v.Values, v.Coverage, v.WarmingUp, v.Running}
	}
	return nil
}

// watched runs a stream from committed to the log's end; before is called
// between any two of its batches.
func (s *site) watched(
	random *rand.Rand, views []*feature.View, committed map[int32]int64,
	before func(*materialize.Stream, feature.Online, map[int32]int64),
) *said {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	out := &said{vectors: map[drumbeat.Hash]map[row]values{}, entries: map[drumbeat.Position]int{}}
	online := feature_memory.New()
	var stream *materialize.Stream
	first := true
	stream, err := materialize.NewStream(ctx, materialize.StreamConfig{
		Fleet: s.view.Fleet, Views: views, Lake: s.lake, Online: online, Committed: committed, Sink: out.sink,
		Open: func(_ context.Context, from map[int32]int64) (topic.Reader, error) {
			r := reader{log: s.log, next: copied(from), ends: s.log.ends(), end: cancel}
			if !first {
				r.end = nil
				return &r, nil
			}
			first = false // that of Run
			return &paced{reader: r, random: random, before: func(next map[int32]int64) { before(stream, online, next) }}, nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := stream.Run(ctx); err != nil {
		s.t.Fatal(err)
	}
	return out
}

// within returns the rows whose records stand in [from, to); nil is no bound.
func within(rows map[row]values, from, to map[int32]int64) map[row]values {
	out := map[row]values{}
	for at, v := range rows {
		offset, partition := at.position.Offset, at.position.Partition
		if (from == nil || offset >= from[partition]) && (to == nil || offset < to[partition]) {
			out[at] = v
		}
	}
	return out
}

// wholeGold is the gold of a view over the whole log.
func wholeGold(t *testing.T, view *feature.View, records log) (*site, map[row]values) {
	t.Helper()
	whole := newSite(t, view, records)
	whole.carry(records.ends())
	whole.backfill()
	return whole, whole.gold()
}

// part is an offset in each partition, at that fraction.
func (l log) part(fraction float64) map[int32]int64 {
	ends := l.ends()
	for partition := range ends {
		ends[partition] = int64(float64(ends[partition]) * fraction)
	}
	return ends
}

func TestAViewAddedWhileAStreamRunsMakesTheBitsOfOneThatWasThereFromTheStart(t *testing.T) {
	first, records := laundry(t)
	other := second(t, first)
	_, wantFirst := wholeGold(t, first, records)
	whole, wantOther := wholeGold(t, other, records)
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 4))
		// Silver may be behind the stream by little, by much, or not exist.
		silver := []float64{0, 0.1 + 0.2*random.Float64(), 0.3}[seed%3]
		s := newSite(t, first, records)
		s.carry(records.part(silver))
		committed := []map[int32]int64{records.part(0), records.part(silver), records.part(silver / 2)}[seed/2%3]
		var added, left, back map[int32]int64 // where the views changed
		joins, leaves, returns := records.part(0.35+0.1*random.Float64()), records.part(0.6), records.part(0.6+0.2*random.Float64())
		out := s.watched(random, []*feature.View{first}, committed, func(stream *materialize.Stream, online feature.Online, next map[int32]int64) {
			use := func(views ...*feature.View) {
				if err := stream.Use(t.Context(), views); err != nil {
					t.Fatal(err)
				}
			}
			switch {
			case added == nil && past(next, joins):
				if random.IntN(2) == 0 {
					s.carry(records.part(0.33)) // meanwhile the lake has come nearer
				}
				use(first, other)
				added = next
				onlineIsNewest(t, other, online, within(wantOther, nil, next))
			case added != nil && left == nil && past(next, leaves):
				use(other)
				left = next
			case left != nil && back == nil && past(next, returns):
				s.carry(records.part(0.6))
				use(other, first)
				back = next
			}
		})
		if back == nil {
			t.Fatalf("seed %d: the views were not changed three times", seed)
		}
		if err := differ(out.vectors[other.Hash], within(wantOther, added, nil)); err != nil {
			t.Errorf("seed %d, the view that was added: %v", seed, err)
		}
		want := within(wantFirst, committed, left)
		maps.Copy(want, within(wantFirst, back, nil))
		if err := differ(out.vectors[first.Hash], want); err != nil {
			t.Errorf("seed %d, the view that left and came back: %v", seed, err)
		}
		for at, n := range out.entries {
			if n != 1 {
				t.Errorf("seed %d: the entry at %s came %d times", seed, at, n)
			}
		}
		// A restart with both views, silver behind what was committed.
		again := s.watched(random, []*feature.View{first, other}, added,
			func(*materialize.Stream, feature.Online, map[int32]int64) {})
		if err := differ(again.vectors[other.Hash], within(wantOther, added, nil)); err != nil {
			t.Errorf("seed %d, restarted: %v", seed, err)
		}
		if err := differ(again.vectors[first.Hash], within(wantFirst, added, nil)); err != nil {
			t.Errorf("seed %d, the first view restarted: %v", seed, err)
		}
		likeAsOf(t, whole, out.vectors[other.Hash], random)
	}
}

// past says whether next has reached an offset in every partition.
func past(next, to map[int32]int64) bool {
	for partition, offset := range to {
		if next[partition] < offset {
			return false
		}
	}
	return true
}

// likeAsOf compares some of the vectors with those computed straight from
// history.
func likeAsOf(t *testing.T, s *site, vectors map[row]values, random *rand.Rand) {
	t.Helper()
	histories := map[drumbeat.MachineID]*feature.History{}
	scan := lake.ScanOptions{Partition: lake.AllPartitions}
	err := s.lake.ScanSilver(t.Context(), scan, func(items []drumbeat.Item) error {
		for i := range items {
			h := histories[items[i].Machine]
			if h == nil {
				h = &feature.History{}
				histories[items[i].Machine] = h
			}
			h.Items = append(h.Items, items[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for at, got := range vectors { // in any order
		if random.IntN(len(vectors)) >= 40 {
			continue
		}
		v := feature.AsOf(s.view, histories[at.machine], at.asOf, at.position)
		want := values{v.Values, v.Coverage, v.WarmingUp, v.Running}
		if err := differ(map[row]values{at: got}, map[row]values{at: want}); err != nil {
			t.Errorf("against history: %v", err)
		}
		compared++
	}
	if compared < 10 {
		t.Errorf("only %d vectors compared with history", compared)
	}
}

func TestViewsChangeWhileBatchesAndTheLakeGoOn(t *testing.T) {
	first, records := laundry(t)
	other := second(t, first)
	_, wantFirst := wholeGold(t, first, records)
	_, wantOther := wholeGold(t, other, records)
	s := newSite(t, first, records)
	random := rand.New(rand.NewPCG(7, 7))
	var group sync.WaitGroup
	turns, batches := make(chan struct{}), 0
	out := s.watched(random, []*feature.View{first}, records.part(0), func(stream *materialize.Stream, _ feature.Online, next map[int32]int64) {
		if batches++; batches%8 == 0 {
			s.carry(next)
		}
		if batches == 1 {
			group.Go(func() { comeAndGo(t, stream, turns, first, other) })
		}
		if batches%2 == 0 && batches <= 2*comings {
			turns <- struct{}{} // what comes of it happens beside the next batches
		}
	})
	group.Wait()
	if err := differ(out.vectors[first.Hash], wantFirst); err != nil {
		t.Errorf("the view that stayed: %v", err)
	}
	got := out.vectors[other.Hash]
	want := map[row]values{}
	for at := range got {
		want[at] = wantOther[at]
	}
	if len(got) == 0 || len(got) == len(wantOther) {
		t.Errorf("%d of %d vectors: it did not come and go", len(got), len(wantOther))
	}
	if err := differ(got, want); err != nil {
		t.Errorf("the view that came and went, %d vectors: %v", len(got), err)
	}
}

// comings is how often comeAndGo changes a stream's views.
const comings = 10

// comeAndGo adds a view to a stream and takes it away, once a turn.
func comeAndGo(t *testing.T, stream *materialize.Stream, turns <-chan struct{}, first, other *feature.View) {
	t.Helper()
	for i := range comings {
		<-turns
		views := []*feature.View{first, other}
		if i%2 == 1 {
			views = views[:1]
		}
		if err := stream.Use(t.Context(), views); err != nil {
			t.Error(err)
		}
		if got := stream.Views(); len(got) != len(views) {
			t.Errorf("%d views, want %d", len(got), len(views))
		}
	}
}

func TestAStreamKeepsItsViewsWhenAChangeIsRefused(t *testing.T) {
	first, records := laundry(t)
	other := second(t, first)
	stranger, _ := laundry(t) // of a fleet that was loaded once more
	s := newSite(t, first, records)
	stream, err := materialize.NewStream(t.Context(), materialize.StreamConfig{
		Fleet: first.Fleet, Views: []*feature.View{first}, Lake: s.lake, Online: feature_memory.New(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, views := range map[string][]*feature.View{
		"no view": nil, "a view twice": {first, other, first}, "a view of another fleet": {first, stranger},
	} {
		if err := stream.Use(t.Context(), views); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if got := stream.Views(); len(got) != 1 || got[0] != first {
		t.Errorf("views %v", got)
	}
}
