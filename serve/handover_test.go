package serve_test

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/feature/memory"
	"drumbeat/lake"
	"drumbeat/materialize"
	objects "drumbeat/objstore/memory"
	"drumbeat/serve"
	"drumbeat/sim"
	"drumbeat/topic"
)

// tape is a topic of one partition in memory, read a little at a time.
type tape struct {
	records []topic.Record
	next    int
	end     func() // called when there is nothing more; nil for readers that look back
}

func (r *tape) Poll(context.Context) ([]topic.Record, error) {
	from := r.next
	if r.next = min(r.next+25, len(r.records)); r.next == from && r.end != nil {
		r.end()
	}
	return r.records[from:r.next], nil
}

func (r *tape) Drained(int32) bool { return r.next == len(r.records) }

func (*tape) Lost() []topic.Lost { return nil }

func (r *tape) Close() {}

// played is some days of a small laundry.
func played(t *testing.T, v *feature.View) []topic.Record {
	t.Helper()
	s, err := sim.New(sim.Config{Fleet: v.Fleet, Topic: "laundry", Seed: 3, Machines: 4, Start: start})
	if err != nil {
		t.Fatal(err)
	}
	var records []topic.Record
	err = s.Play(start.Add(6*24*time.Hour), func(r topic.Record) error {
		r.Partition, r.Offset, r.Epoch = 0, int64(len(records)), 0
		r.Value, r.Headers = append([]byte(nil), r.Value...), maps.Clone(r.Headers)
		records = append(records, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// watch counts, by reading, how many champions' predictions the stream made.
type watch struct {
	scorer *serve.Scorer
	mu     sync.Mutex
	said   map[drumbeat.Position]int
	of     map[drumbeat.ModelVersion]int
	turns  chan struct{}
}

func (w *watch) sink(_ context.Context, batch materialize.Batch) error {
	models := w.scorer.Models()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, out := range batch.Outputs {
		if out.Vector == nil || out.Vector.MadeBy != drumbeat.CauseReading {
			continue
		}
		at := out.Vector.Position
		w.said[at] += 0 // it was seen
		for _, p := range models.Predict(out.View.Hash, out.Vector, nil) {
			if p.Role == drumbeat.RoleChampion {
				w.said[at]++
				w.of[p.Model]++
			}
		}
	}
	select {
	case w.turns <- struct{}{}:
	default:
	}
	return nil
}

// TestEveryReadingIsAnsweredByOneChampionThroughEveryHandover lets champions
// of two views take turns while the stream runs, as promotion does.
func TestEveryReadingIsAnsweredByOneChampionThroughEveryHandover(t *testing.T) {
	v := laundry(t)
	views := []*feature.View{v, narrow(t, v)}
	records := played(t, v)
	l, err := lake.Open(t.Context(), objects.New(time.Now), v.Fleet, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{
		scorer: serve.NewScorer(v.Fleet), said: map[drumbeat.Position]int{}, of: map[drumbeat.ModelVersion]int{},
		turns: make(chan struct{}, 1),
	}
	if err := w.scorer.Swap(serve.Models{Champion: constant(t, v, 1)}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	opened := 0
	stream, err := materialize.NewStream(ctx, materialize.StreamConfig{
		Fleet: v.Fleet, Views: views[:1], Lake: l, Online: memory.New(), Sink: w.sink, Log: slog.New(slog.DiscardHandler),
		Open: func(_ context.Context, from map[int32]int64) (topic.Reader, error) {
			if opened++; opened == 1 {
				return &tape{records: records, end: cancel}, nil // the stream's own
			}
			return &tape{records: records, next: int(from[0])}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { handOver(ctx, t, stream, w, views) })
	if err := stream.Run(ctx); err != nil {
		t.Fatal(err)
	}
	group.Wait()
	for at, n := range w.said {
		if n != 1 {
			t.Errorf("%d champions answered the reading at %s, want 1", n, at)
		}
	}
	if len(w.said) < 1000 || w.of[1] == 0 || w.of[2] == 0 || w.of[1]+w.of[2] != len(w.said) {
		t.Errorf("%d readings; answers by version: %v", len(w.said), w.of)
	}
}

// handOver promotes the other model again and again until ctx ends.
func handOver(ctx context.Context, t *testing.T, stream *materialize.Stream, w *watch, views []*feature.View) {
	t.Helper()
	now := 0
	use := func(views ...*feature.View) {
		if err := stream.Use(context.WithoutCancel(ctx), views); err != nil {
			t.Error(err)
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.turns:
		}
		before := views[now]
		now = 1 - now
		use(before, views[now])
		if err := w.scorer.Swap(serve.Models{Champion: constant(t, views[now], drumbeat.ModelVersion(now)+1)}); err != nil {
			t.Error(err)
		}
		use(views[now])
	}
}
