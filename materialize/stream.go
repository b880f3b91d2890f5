package materialize

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// Output is one thing that the stream made, in the order of its partition: a
// vector of one of the views, or a log entry that alerts must know of. An
// entry comes once, before the vectors that it made.
type Output struct {
	View   *feature.View // of the vector
	Vector *drumbeat.Vector
	Entry  *drumbeat.Item
}

// Batch is what one poll of the topic made, with the offsets that it reaches.
type Batch struct {
	Outputs []Output
	Next    map[int32]int64
	// Now is fleet_now after the batch (T6).
	Now drumbeat.Time
}

// Sink takes batches. When it returns nil the batch is durable with its
// offsets, in one transaction (docs/adr/0005); until then it may come again.
// It must not call Use.
type Sink func(ctx context.Context, batch Batch) error

// OpenReader opens a reader of the topic at the given offsets; partitions
// without an offset start at their beginning.
type OpenReader func(ctx context.Context, from map[int32]int64) (topic.Reader, error)

// StreamConfig is what a Stream needs.
type StreamConfig struct {
	Fleet  *fleet.Fleet
	Views  []*feature.View // of the models that are live; see Use
	Lake   *lake.Lake
	Online feature.Online
	Open   OpenReader
	// Committed is up to where the sink has made outputs durable; nil at the
	// first start: nothing of history is sent to the sink.
	Committed map[int32]int64
	Sink      Sink
	Log       *slog.Logger
}

// Stream keeps the online store fresh and feeds the sink, from the topic, for
// every view that a live model reads (P5). It keeps no state on disk: at start
// it rebuilds what it needs from silver. Use may be called while Run runs.
type Stream struct {
	cfg   StreamConfig
	from  map[int32]int64 // where reading starts
	emit  map[int32]int64 // outputs below this offset were committed before
	clock *DataClock

	using sync.Mutex // one change of the views at a time
	mu    sync.Mutex // held while a batch is applied: between two the views may change
	state *state
}

// NewStream rebuilds judges and windows from silver, and brings the online
// store up to that state.
func NewStream(ctx context.Context, cfg StreamConfig) (*Stream, error) {
	if err := checkViews(cfg.Fleet, cfg.Views); err != nil {
		return nil, fmt.Errorf("open the stream: %w", err)
	}
	s := &Stream{cfg: cfg, clock: NewDataClock(), emit: cfg.Committed, state: newState(cfg.Fleet, cfg.Views)}
	silver := cfg.Lake.SilverProgress()
	if s.emit == nil {
		s.emit = silver
	}
	s.from = map[int32]int64{}
	for partition, offset := range silver {
		committed, known := s.emit[partition]
		if !known {
			committed = offset
		}
		s.from[partition] = min(offset, committed)
	}
	err := s.state.load(ctx, cfg.Lake, s.from, func(item *drumbeat.Item) {
		s.clock.Consume(cfg.Lake.Home(item.Machine, item.Position), item.ArrivalTime)
	})
	if err != nil {
		return nil, fmt.Errorf("rebuild the stream's state: %w", err)
	}
	for _, view := range s.state.views {
		if err := view.sync(ctx, cfg.Online); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// checkViews refuses a set of views that a stream cannot keep.
func checkViews(f *fleet.Fleet, views []*feature.View) error {
	if len(views) == 0 {
		return fmt.Errorf("no view is given: %w", drumbeat.ErrInvalid)
	}
	for i, view := range views {
		if view.Fleet != f {
			return fmt.Errorf("view %s was loaded with another fleet than the stream's %s: %w",
				view.Name, f.Name, drumbeat.ErrInvalid)
		}
		if slices.ContainsFunc(views[:i], func(v *feature.View) bool { return v.Hash == view.Hash }) {
			return fmt.Errorf("view %s of hash %.12s is given twice: %w", view.Name, view.Hash, drumbeat.ErrInvalid)
		}
	}
	return nil
}

// Clock returns the fleet's clock as of what the stream has consumed (T6).
func (s *Stream) Clock() drumbeat.Clock { return s.clock }

// Views returns the views that the stream keeps.
func (s *Stream) Views() []*feature.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	views := make([]*feature.View, len(s.state.views))
	for i, e := range s.state.views {
		views[i] = e.view
	}
	return views
}

// Use changes the set of views, also while Run runs: a view is known by its
// hash, one that stays keeps its windows, one that goes is forgotten (its
// records stay in the online store and grow old). The windows of a new one are
// rebuilt from silver, as at start, and from what the topic holds between there
// and the stream's own position; batches wait only for that last part. When
// Use returns nil the new view's records are online, and from the next batch
// on its vectors are those of a stream that had it from the beginning. An
// error changes nothing.
//
// A model of another view is put in service between two calls: first Use the
// views of both, then swap models, then Use what is left.
func (s *Stream) Use(ctx context.Context, views []*feature.View) error {
	if err := checkViews(s.cfg.Fleet, views); err != nil {
		return fmt.Errorf("change the stream's views: %w", err)
	}
	s.using.Lock()
	defer s.using.Unlock()
	s.mu.Lock()
	standing, start := slices.Clone(s.state.views), maps.Clone(s.state.next)
	s.mu.Unlock()

	kept, fresh := parted(standing, views)
	joining := newState(s.cfg.Fleet, fresh)
	if len(fresh) > 0 {
		if err := joining.load(ctx, s.cfg.Lake, least(s.cfg.Lake.SilverProgress(), start), nil); err != nil {
			return fmt.Errorf("rebuild the windows of %d new views: %w", len(fresh), err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(fresh) > 0 {
		if err := joining.replay(ctx, s.cfg.Open, s.state.next); err != nil {
			return fmt.Errorf("bring %d new views up to the stream: %w", len(fresh), err)
		}
	}
	for _, view := range joining.views {
		if err := view.sync(ctx, s.cfg.Online); err != nil {
			return err
		}
	}
	s.state.views = append(kept, joining.views...)
	return nil
}

// parted divides views into those that stand, with their engines, and those
// that are new.
func parted(standing []*engines, views []*feature.View) (kept []*engines, fresh []*feature.View) {
	for _, view := range views {
		at := slices.IndexFunc(standing, func(e *engines) bool { return e.view.Hash == view.Hash })
		if at < 0 {
			fresh = append(fresh, view)
			continue
		}
		kept = append(kept, standing[at])
	}
	return kept, fresh
}

// least is, by partition, the lower of two offsets; a partition that one of
// them does not name stands at 0.
func least(p, q map[int32]int64) map[int32]int64 {
	out := map[int32]int64{}
	for partition, offset := range p {
		if offset = min(offset, q[partition]); offset > 0 {
			out[partition] = offset
		}
	}
	return out
}

// Run reads the topic until ctx ends.
func (s *Stream) Run(ctx context.Context) error {
	reader, err := s.cfg.Open(ctx, s.from)
	if err != nil {
		return err
	}
	defer reader.Close()
	for ctx.Err() == nil {
		records, err := reader.Poll(ctx)
		if err != nil {
			return fmt.Errorf("read the topic: %w", err)
		}
		if len(records) == 0 {
			continue
		}
		// A batch that was begun is finished: a shutdown leaves nothing half done.
		if err := s.step(context.WithoutCancel(ctx), records, reader.Drained); err != nil {
			return err
		}
	}
	return nil
}

// step applies the records, writes the touched machines to the online store
// and hands the outputs to the sink.
func (s *Stream) step(ctx context.Context, records []topic.Record, drained func(int32) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := Batch{Next: map[int32]int64{}}
	touched := make([]map[drumbeat.MachineID]int32, len(s.state.views))
	for i := range touched {
		touched[i] = map[drumbeat.MachineID]int32{}
	}
	for i := range records {
		s.take(&records[i], &batch, touched)
	}
	for i, e := range s.state.views {
		changed := make([]feature.Record, 0, len(touched[i]))
		for machine, partition := range touched[i] {
			if record, ok := e.at(partition).Record(machine); ok {
				changed = append(changed, record)
			}
		}
		if _, err := s.cfg.Online.Write(ctx, e.view.Hash, changed); err != nil {
			return fmt.Errorf("write %d machines of view %s to the online store: %w", len(changed), e.view.Name, err)
		}
	}
	for partition := range s.state.judges {
		if drained(partition) {
			s.clock.Drained(partition)
		}
	}
	batch.Now = s.clock.Now()
	if err := s.cfg.Sink(ctx, batch); err != nil {
		return fmt.Errorf("hand over %d outputs: %w", len(batch.Outputs), err)
	}
	return nil
}

// take applies one record's items to every view; touched is by view.
func (s *Stream) take(record *topic.Record, batch *Batch, touched []map[drumbeat.MachineID]int32) {
	s.clock.Consume(record.Partition, record.Time)
	live := record.Offset >= s.emit[record.Partition]
	if live {
		batch.Next[record.Partition] = record.Offset + 1
	}
	items := s.state.kept(record)
	for i := range items {
		item := &items[i]
		if live && item.Kind == drumbeat.KindEntry {
			entry := *item
			batch.Outputs = append(batch.Outputs, Output{Entry: &entry})
		}
		for at, e := range s.state.views {
			vectors := e.at(record.Partition).Apply(item, nil)
			if len(vectors) > 0 {
				touched[at][item.Machine] = record.Partition
			}
			for j := range vectors {
				if live {
					batch.Outputs = append(batch.Outputs, Output{View: e.view, Vector: &vectors[j]})
				}
			}
		}
	}
}
