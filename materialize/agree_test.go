package materialize_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	feature_memory "drumbeat/feature/memory"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/objstore/memory"
	"drumbeat/refine"
	"drumbeat/sim"
	"drumbeat/topic"
)

// log is a topic in memory: its records by partition.
type log map[int32][]topic.Record

// reader reads a log up to given offsets, then has nothing more.
type reader struct {
	log  log
	next map[int32]int64
	ends map[int32]int64
	end  context.CancelFunc // called when there is nothing more
}

func (r *reader) Poll(context.Context) ([]topic.Record, error) {
	var out []topic.Record
	for partition := range r.log {
		for r.next[partition] < r.ends[partition] && len(out) < 500 {
			out = append(out, r.log[partition][r.next[partition]])
			r.next[partition]++
		}
	}
	if len(out) == 0 && r.end != nil {
		r.end()
	}
	return out, nil
}

func (r *reader) Drained(partition int32) bool { return r.next[partition] >= r.ends[partition] }

func (*reader) Lost() []topic.Lost { return nil }

func (r *reader) Close() {}

func (l log) ends() map[int32]int64 {
	ends := map[int32]int64{}
	for partition, records := range l {
		ends[partition] = int64(len(records))
	}
	return ends
}

// half is an offset in the middle of each partition.
func (l log) half() map[int32]int64 {
	ends := l.ends()
	for partition := range ends {
		ends[partition] /= 2
	}
	return ends
}

// laundry plays some days of a small laundry.
func laundry(t *testing.T) (*feature.View, log) {
	t.Helper()
	files, err := fs.Sub(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	def, err := fleet.Load(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	view, err := feature.LoadView(files, ".", def)
	if err != nil {
		t.Fatal(err)
	}
	start := drumbeat.At(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	played, err := sim.New(sim.Config{Fleet: def, Topic: "laundry", Seed: 5, Machines: 6, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	records := log{}
	err = played.Play(start.Add(12*24*time.Hour), func(r topic.Record) error {
		r.Partition = topic.PartitionOf(r.Key, 3)
		r.Offset = int64(len(records[r.Partition]))
		r.Value = append([]byte(nil), r.Value...)
		records[r.Partition] = append(records[r.Partition], r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return view, records
}

// row names a vector: one machine, time, position and cause.
type row struct {
	machine  drumbeat.MachineID
	asOf     drumbeat.Time
	position drumbeat.Position
	madeBy   drumbeat.Cause
}

type values struct {
	features []float64
	coverage float64
	warming  bool
	running  bool
}

// site is a lake with the verbs that carry it.
type site struct {
	t    *testing.T
	view *feature.View
	log  log
	lake *lake.Lake
}

func newSite(t *testing.T, view *feature.View, records log) *site {
	t.Helper()
	l, err := lake.Open(t.Context(), memory.New(time.Now), view.Fleet, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, view: view, log: records, lake: l}
}

// carry brings silver up to the offsets, with verbs opened anew.
func (s *site) carry(ends map[int32]int64) {
	s.t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	in, err := ingest.New(s.t.Context(), ingest.Config{
		Fleet: s.view.Fleet, Lake: s.lake, Log: quiet,
		Open: func(_ context.Context, from map[int32]int64) (topic.Reader, error) {
			return &reader{log: s.log, next: copied(from), ends: ends}, nil
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := in.Drain(s.t.Context(), ends); err != nil {
		s.t.Fatal(err)
	}
	r, err := refine.New(s.t.Context(), s.view.Fleet, s.lake, quiet)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := r.Run(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// backfill brings gold up to silver, with a backfill opened anew.
func (s *site) backfill() {
	s.t.Helper()
	b, err := materialize.NewBackfill(s.t.Context(), s.lake, s.view)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := b.Run(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// gold reads all of gold.
func (s *site) gold() map[row]values {
	s.t.Helper()
	b, err := materialize.NewBackfill(s.t.Context(), s.lake, s.view)
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[row]values{}
	err = b.Gold().Scan(s.t.Context(), lake.GoldScan{From: drumbeat.NoTime, Until: drumbeat.NoTime}, func(c *lake.GoldChunk) error {
		for i := range c.Len() {
			at := row{c.Machine[i], c.AsOf[i], c.Position[i], c.MadeBy[i]}
			if _, twice := all[at]; twice {
				s.t.Errorf("gold has %v twice", at)
			}
			v := values{coverage: c.Coverage[i], warming: c.WarmingUp[i], running: c.Running[i]}
			for _, column := range c.Features {
				v.features = append(v.features, column[i])
			}
			all[at] = v
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// stream runs a stream from what silver holds up to the log's end, and returns
// what it gave to the sink.
func (s *site) stream(committed map[int32]int64) (map[row]values, feature.Online) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	all, online := map[row]values{}, feature.Online(feature_memory.New())
	stream, err := materialize.NewStream(ctx, materialize.StreamConfig{
		Fleet: s.view.Fleet, Views: []*feature.View{s.view}, Lake: s.lake, Online: online, Committed: committed,
		Open: func(_ context.Context, from map[int32]int64) (topic.Reader, error) {
			return &reader{log: s.log, next: copied(from), ends: s.log.ends(), end: cancel}, nil
		},
		Sink: func(_ context.Context, batch materialize.Batch) error {
			for _, out := range batch.Outputs {
				if v := out.Vector; v != nil {
					at := row{v.Machine, v.AsOf, v.Position, v.MadeBy}
					if _, twice := all[at]; twice {
						s.t.Errorf("the sink got %v twice", at)
					}
					all[at] = values{v.Values, v.Coverage, v.WarmingUp, v.Running}
				}
			}
			return nil
		},
		Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := stream.Run(ctx); err != nil {
		s.t.Fatal(err)
	}
	return all, online
}

func copied(from map[int32]int64) map[int32]int64 {
	next := map[int32]int64{}
	maps.Copy(next, from)
	return next
}

// differ says how two sets of vectors differ, to the bit.
func differ(got, want map[row]values) error {
	if len(got) != len(want) {
		return fmt.Errorf("got %d vectors, want %d", len(got), len(want))
	}
	for at, w := range want {
		g, ok := got[at]
		if !ok {
			return fmt.Errorf("%v is missing", at)
		}
		if g.coverage != w.coverage || g.warming != w.warming || g.running != w.running {
			return fmt.Errorf("%v: got coverage %v, warming up %v, running %v, want %v, %v, %v",
				at, g.coverage, g.warming, g.running, w.coverage, w.warming, w.running)
		}
		for i := range w.features {
			if math.Float64bits(g.features[i]) != math.Float64bits(w.features[i]) {
				return fmt.Errorf("%v, feature %d: got %v, want %v", at, i, g.features[i], w.features[i])
			}
		}
	}
	return nil
}

func TestBackfillStreamAndRestartMakeTheSameBits(t *testing.T) {
	view, records := laundry(t)
	whole := newSite(t, view, records)
	whole.carry(records.ends())
	whole.backfill()
	want := whole.gold()
	if len(want) < 3000 {
		t.Fatalf("only %d vectors to compare", len(want))
	}

	streamed, _ := newSite(t, view, records).stream(nil)
	if err := differ(streamed, want); err != nil {
		t.Errorf("stream and backfill: %v", err)
	}

	halves := newSite(t, view, records)
	halves.carry(records.half())
	halves.backfill()
	first := halves.gold()
	halves.carry(records.ends())
	halves.backfill()
	if err := differ(halves.gold(), want); err != nil {
		t.Errorf("backfill in two runs and in one: %v", err)
	}

	restarted := newSite(t, view, records)
	restarted.carry(records.half())
	rest, online := restarted.stream(records.half())
	maps.Copy(rest, first)
	if err := differ(rest, want); err != nil {
		t.Errorf("stream restarted from silver: %v", err)
	}

	// The lake is ahead of what the sink made durable: those come again.
	ahead := newSite(t, view, records)
	ahead.carry(records.ends())
	again, _ := ahead.stream(records.half())
	maps.Copy(again, first)
	if err := differ(again, want); err != nil {
		t.Errorf("stream behind silver: %v", err)
	}
	onlineIsNewest(t, view, online, want)
}

// onlineIsNewest compares the online store with the last vector of each
// machine.
func onlineIsNewest(t *testing.T, view *feature.View, online feature.Online, want map[row]values) {
	t.Helper()
	newest := map[drumbeat.MachineID]row{}
	for at := range want {
		last, seen := newest[at.machine]
		if !seen || at.asOf > last.asOf || at.asOf == last.asOf && at.position.Compare(last.position) > 0 {
			newest[at.machine] = at
		}
	}
	for machine, at := range newest {
		records, err := online.Read(t.Context(), view.Hash, []drumbeat.MachineID{machine}, false)
		if err != nil {
			t.Fatal(err)
		}
		v := &records[0].Vector
		got := map[row]values{at: {v.Values, v.Coverage, v.WarmingUp, v.Running}}
		if v.AsOf != at.asOf {
			t.Errorf("%s online is as of %s, want %s", machine, v.AsOf, at.asOf)
		}
		if err := differ(got, map[row]values{at: want[at]}); err != nil {
			t.Errorf("online: %v", err)
		}
	}
}

func TestFleetNowIsTheLeastOfThePartitionsNotDrained(t *testing.T) {
	c := materialize.NewDataClock()
	if c.Now() != drumbeat.NoTime {
		t.Errorf("a clock that saw nothing says %v", c.Now())
	}
	c.Consume(0, 100)
	c.Consume(1, 40)
	if c.Now() != 40 {
		t.Errorf("got %d, want the least, 40", c.Now())
	}
	c.Drained(1)
	if c.Now() != 100 {
		t.Errorf("got %d, want 100: partition 1 is drained", c.Now())
	}
	c.Consume(1, 60)
	if c.Now() != 100 {
		t.Errorf("got %d, want 100: the clock never falls", c.Now())
	}
}
