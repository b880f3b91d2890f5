package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/ingest"
	"drumbeat/materialize"
	"drumbeat/refine"
	"drumbeat/topic"
)

// drain brings what a topic held before partitions were added to bronze, in
// the old epoch, and returns where that ends: from there on a machine may be
// in another partition (T2).
func (d *depot) drain(ctx context.Context, before topic.Topic) (map[int32]int64, error) {
	ends, err := topic.Ends(ctx, d.kafka, before.Name)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(ends, func(partition int32, _ int64) bool { return partition >= before.Partitions })
	if ends, err = d.oldEnds(ctx, before, ends); err != nil {
		return nil, err
	}
	open := func(ctx context.Context, from map[int32]int64) (topic.Reader, error) {
		reader, err := d.reader(before)(ctx, from)
		return &boundedReader{Reader: reader, ends: ends}, err
	}
	in, err := ingest.New(ctx, ingest.Config{Fleet: d.def, Lake: d.lake, Topic: before, Open: open, Log: d.log})
	if err != nil {
		return nil, err
	}
	return ends, in.Drain(ctx, ends)
}

// oldEnds finds where the old partitions end that others were added to: before
// the first record whose machine was elsewhere then, or where nothing follows.
func (d *depot) oldEnds(ctx context.Context, before topic.Topic, ends map[int32]int64) (map[int32]int64, error) {
	next := before.Start()
	for partition, offset := range d.lake.BronzeProgress() {
		next[partition] = max(next[partition], offset)
	}
	if reachedAll(next, ends) {
		return ends, nil
	}
	reader, err := d.reader(before)(ctx, next)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	for !reachedAll(next, ends) {
		records, err := reader.Poll(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, fmt.Errorf("read topic %s: %w", before.Name, err)
		}
		for i := range records {
			r := &records[i]
			if r.Offset < ends[r.Partition] && topic.PartitionOf(r.Key, before.Partitions) != r.Partition {
				ends[r.Partition] = r.Offset
			}
			next[r.Partition] = r.Offset + 1
		}
	}
	return ends, nil
}

// boundedReader reads up to ends.
type boundedReader struct {
	topic.Reader
	ends map[int32]int64
}

// Poll implements [topic.Reader].
func (r *boundedReader) Poll(ctx context.Context) ([]topic.Record, error) {
	records, err := r.Reader.Poll(ctx)
	beyond := func(record topic.Record) bool { return record.Offset >= r.ends[record.Partition] }
	return slices.DeleteFunc(records, beyond), err
}

// beginEpoch brings the lake to the epoch of the topic: what it holds of the
// epoch before goes to silver and gold first (T2).
func (d *daemon) beginEpoch(ctx context.Context) error {
	d.lake.SetHome(func(machine drumbeat.MachineID) int32 {
		return topic.PartitionOf(string(machine), d.telemetry.Partitions)
	})
	if d.telemetry.Epoch <= d.lake.Epoch() {
		return nil
	}
	refiner, err := refine.New(ctx, d.def, d.lake, d.log)
	if err != nil {
		return err
	}
	if _, err := refiner.Run(ctx); err != nil {
		return fmt.Errorf("refine what the epoch before left: %w", err)
	}
	backfill, err := materialize.NewBackfill(ctx, d.lake, d.view)
	if err != nil {
		return err
	}
	if _, err := backfill.Run(ctx); err != nil {
		return fmt.Errorf("materialize what the epoch before left: %w", err)
	}
	if err := d.lake.UseEpoch(d.telemetry.Epoch); err != nil {
		return err
	}
	return d.lake.AppendBronze(ctx, nil, nil, d.telemetry.Start())
}
