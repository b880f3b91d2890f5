package materialize

import (
	"context"
	"fmt"
	"log/slog"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// Output is one thing that the stream made, in the order of its partition: a
// vector, or a log entry that alerts must know of.
type Output struct {
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
type Sink func(ctx context.Context, batch Batch) error

// StreamConfig is what a Stream needs.
type StreamConfig struct {
	Fleet  *fleet.Fleet
	View   *feature.View
	Lake   *lake.Lake
	Online feature.Online
	Open   func(ctx context.Context, from map[int32]int64) (topic.Reader, error)
	// Committed is up to where the sink has made outputs durable; nil at the
	// first start: nothing of history is sent to the sink.
	Committed map[int32]int64
	Sink      Sink
	Log       *slog.Logger
}

// Stream keeps the online store fresh and feeds the sink, from the topic. It
// keeps no state on disk: at start it rebuilds what it needs from silver.
type Stream struct {
	cfg     StreamConfig
	decoder *fleet.Decoder
	judges  map[int32]*fleet.Judge
	engines *engines
	from    map[int32]int64 // where reading starts
	emit    map[int32]int64 // outputs below this offset were committed before
	clock   *DataClock
	scratch []drumbeat.Item
}

// NewStream rebuilds judges and windows from silver, and brings the online
// store up to that state.
func NewStream(ctx context.Context, cfg StreamConfig) (*Stream, error) {
	s := &Stream{
		cfg: cfg, decoder: fleet.NewDecoder(cfg.Fleet), judges: map[int32]*fleet.Judge{},
		engines: newEngines(cfg.View), clock: NewDataClock(), emit: cfg.Committed,
	}
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
	if err := s.engines.load(ctx, cfg.Lake, s.from, s.restore); err != nil {
		return nil, fmt.Errorf("rebuild the stream's state: %w", err)
	}
	return s, s.sync(ctx)
}

func (s *Stream) judge(partition int32) *fleet.Judge {
	judge := s.judges[partition]
	if judge == nil {
		judge = fleet.NewJudge(s.cfg.Fleet)
		s.judges[partition] = judge
	}
	return judge
}

func (s *Stream) restore(item *drumbeat.Item) {
	s.judge(item.Position.Partition).Restore(item)
	s.clock.Consume(item.Position.Partition, item.ArrivalTime)
}

// sync writes every machine's newest record to the online store, which keeps
// what it has where that is newer (P4).
func (s *Stream) sync(ctx context.Context) error {
	for _, partition := range s.engines.partitions() {
		engine := s.engines.all[partition]
		var records []feature.Record
		for _, machine := range engine.Machines() {
			if record, ok := engine.Record(machine); ok {
				records = append(records, record)
			}
		}
		if _, err := s.cfg.Online.Write(ctx, s.cfg.View.Hash, records); err != nil {
			return fmt.Errorf("sync %d machines to the online store: %w", len(records), err)
		}
	}
	return nil
}

// Clock returns the fleet's clock as of what the stream has consumed (T6).
func (s *Stream) Clock() drumbeat.Clock { return s.clock }

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
	batch := Batch{Next: map[int32]int64{}}
	touched := map[drumbeat.MachineID]int32{}
	for i := range records {
		s.take(&records[i], &batch, touched)
	}
	changed := make([]feature.Record, 0, len(touched))
	for machine, partition := range touched {
		if record, ok := s.engines.at(partition).Record(machine); ok {
			changed = append(changed, record)
		}
	}
	if _, err := s.cfg.Online.Write(ctx, s.cfg.View.Hash, changed); err != nil {
		return fmt.Errorf("write %d machines to the online store: %w", len(changed), err)
	}
	for partition := range s.judges {
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

// take judges one record's items and applies those that are kept.
func (s *Stream) take(record *topic.Record, batch *Batch, touched map[drumbeat.MachineID]int32) {
	s.clock.Consume(record.Partition, record.Time)
	live := record.Offset >= s.emit[record.Partition]
	if live {
		batch.Next[record.Partition] = record.Offset + 1
	}
	items, err := s.decoder.Decode(record.Type, record.Value, s.scratch[:0])
	if err != nil {
		return // ingest keeps it as a dead letter, with the reason
	}
	s.scratch = items
	judge, engine := s.judge(record.Partition), s.engines.at(record.Partition)
	for i := range items {
		item := &items[i]
		item.ArrivalTime = record.Time
		item.Position = drumbeat.Position{
			Epoch: record.Epoch, Partition: record.Partition, Offset: record.Offset,
			Index: int32(i),
		}
		if item.Kind == drumbeat.KindMachine {
			item.EventTime = record.Time
		}
		if item.Kind != drumbeat.KindMachine && item.Kind != drumbeat.KindWatermark && !judge.Known(item.Machine) {
			continue // a dead letter as well
		}
		if fate, _ := judge.Judge(item); fate != drumbeat.FateKept {
			continue
		}
		vectors := engine.Apply(item, nil)
		if len(vectors) > 0 {
			touched[item.Machine] = record.Partition
		}
		if !live {
			continue
		}
		if item.Kind == drumbeat.KindEntry {
			entry := *item
			batch.Outputs = append(batch.Outputs, Output{Entry: &entry})
		}
		for j := range vectors {
			batch.Outputs = append(batch.Outputs, Output{Vector: &vectors[j]})
		}
	}
}
