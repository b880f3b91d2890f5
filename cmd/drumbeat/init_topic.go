package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"drumbeat"
	"drumbeat/fleet/propose"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
)

// proposeTopic proposes a fleet from the records of a topic, which lies at a
// Kafka broker or at that of a data folder.
func (c *initCommand) proposeTopic(
	ctx context.Context, p *process, name string, opts propose.Options,
) (proposal *propose.Proposal, err error) {
	var kafka topic.Config
	switch {
	case c.Brokers != "" && c.Data == "":
		kafka.Brokers = strings.Split(c.Brokers, ",")
	case c.Data != "" && c.Brokers == "":
		var closer func() error
		if kafka, closer, err = brokerOf(ctx, p, c.Data); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, closer()) }()
	default:
		return nil, fmt.Errorf("--from %s: say where the topic is, with --data or with --brokers: %w", c.From, drumbeat.ErrInvalid)
	}
	ends, err := topic.Ends(ctx, kafka, name)
	if err != nil {
		return nil, err
	}
	return propose.FromRecords(ctx, recordsOf(ctx, kafka, name, ends), opts)
}

// brokerOf reaches the broker of a data folder: that of its site file, of the
// daemon that has the folder, or one that is started for as long as it is read.
func brokerOf(ctx context.Context, p *process, dir string) (topic.Config, func() error, error) {
	open := func() error { return nil }
	file, err := loadSite(dir)
	if err != nil {
		return topic.Config{}, nil, err
	}
	if file.kafka != nil {
		return file.kafka.Config, open, nil
	}
	f, err := openFolder(dir, false)
	if errors.Is(err, errBusy) {
		c, err := readControl(dir, err)
		return topic.Config{Brokers: []string{c.Kafka}}, open, err
	}
	if err != nil {
		return topic.Config{}, nil, err
	}
	broker, err := embedded.Start(ctx, f.path(brokerDir), "", p.log)
	if err != nil {
		return topic.Config{}, nil, errors.Join(fmt.Errorf("start the embedded broker: %w", err), f.Close())
	}
	return broker.Config(), func() error { return errors.Join(broker.Close(), f.Close()) }, nil
}

// recordsOf ranges over what a topic held when its ends were read.
func recordsOf(ctx context.Context, kafka topic.Config, name string, ends map[int32]int64) iter.Seq2[propose.Record, error] {
	return func(yield func(propose.Record, error) bool) {
		of := topic.Topic{Name: name, Partitions: int32(len(ends))} //nolint:gosec // some thousands at most
		reader, err := topic.NewReader(ctx, kafka, topic.From{Topic: of, Offsets: of.Start()})
		if err != nil {
			yield(propose.Record{}, err)
			return
		}
		defer reader.Close()
		next := map[int32]int64{}
		for !readAll(next, ends, reader.Drained) {
			records, err := reader.Poll(ctx)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(propose.Record{}, fmt.Errorf("read topic %s: %w", name, err))
				return
			}
			for i := range records {
				r := &records[i]
				next[r.Partition] = r.Offset + 1
				if r.Offset < ends[r.Partition] && !yield(propose.Record{Type: r.Type, Payload: r.Value}, nil) {
					return
				}
			}
		}
	}
}

// readAll says whether every partition was read to its end; the last offsets
// of one may hold nothing to read.
func readAll(next, ends map[int32]int64, drained func(int32) bool) bool {
	for partition, end := range ends {
		if next[partition] < end && !drained(partition) {
			return false
		}
	}
	return true
}
