package topic

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kgo"

	"drumbeat"
)

const (
	// maxPoll bounds what one Poll returns.
	maxPoll = 8192
	// maxFetchBytes bounds what a fetch brings, compressed, and
	// maxPartitionBytes the share of one partition, so that none starves.
	maxFetchBytes     = 16 << 20
	maxPartitionBytes = 2 << 20
	// maxKnownKeys bounds the keys whose text is kept from poll to poll.
	maxKnownKeys = 1 << 16
)

// KafkaReader reads committed records from explicit offsets, without a
// consumer group: how far it has come is its caller's to keep, in the same
// commit as what was made of the records.
type KafkaReader struct {
	cfg     Config
	topic   Topic
	client  *kgo.Client
	records []Record
	keys    map[string]string
	next    map[int32]int64 // after the last record returned, by partition
	high    map[int32]int64 // where the partition ended when last asked
	failed  error           // found beside records, told by the next Poll
}

var _ Reader = (*KafkaReader)(nil)

// NewReader connects a reader. An offset that the topic no longer holds is an
// error of Poll, never a silent jump.
func NewReader(ctx context.Context, cfg Config, from From) (*KafkaReader, error) {
	if len(from.Offsets) == 0 {
		return nil, fmt.Errorf("read topic %s: no partition asked for: %w", from.Topic.Name, drumbeat.ErrInvalid)
	}
	starts := make(map[int32]kgo.Offset, len(from.Offsets))
	for partition, offset := range maps.All(from.Offsets) {
		if offset < 0 {
			return nil, fmt.Errorf("read topic %s: offset %d of partition %d: %w",
				from.Topic.Name, offset, partition, drumbeat.ErrInvalid)
		}
		starts[partition] = kgo.NewOffset().At(offset)
	}
	client, err := dial(ctx, cfg,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{from.Topic.Name: starts}),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(maxFetchBytes),
		kgo.FetchMaxPartitionBytes(maxPartitionBytes),
	)
	if err != nil {
		return nil, err
	}
	ends, err := Ends(ctx, cfg, from.Topic.Name)
	if err != nil {
		client.Close()
		return nil, err
	}
	return &KafkaReader{
		cfg: cfg, topic: from.Topic, client: client, keys: make(map[string]string),
		next: maps.Clone(from.Offsets), high: ends,
	}, nil
}

// Poll implements [Reader].
func (r *KafkaReader) Poll(ctx context.Context) ([]Record, error) {
	if r.failed != nil {
		return nil, r.failed
	}
	if ctx.Err() != nil {
		return nil, nil //nolint:nilerr // that ctx ended is no error
	}
	fetches := r.client.PollRecords(ctx, maxPoll)
	r.records = r.records[:0]
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		r.high[p.Partition] = max(r.high[p.Partition], p.HighWatermark)
		p.EachRecord(r.add)
	})
	fetches.EachError(func(_ string, partition int32, err error) {
		if r.failed != nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return
		}
		r.failed = explain(r.cfg, fmt.Sprintf("read topic %s, partition %d", r.topic.Name, partition), err)
	})
	if len(r.records) == 0 {
		return nil, r.failed
	}
	return r.records, nil
}

// Drained implements [Reader]. In a topic that transactions write, a partition
// that ends in markers never seems drained.
func (r *KafkaReader) Drained(partition int32) bool { return r.next[partition] >= r.high[partition] }

// Close disconnects.
func (r *KafkaReader) Close() { r.client.Close() }

// add appends a record, using again what the slot of an earlier poll held.
func (r *KafkaReader) add(k *kgo.Record) {
	var headers map[string]string
	if n := len(r.records); n < cap(r.records) {
		headers = r.records[:n+1][n].Headers
		clear(headers)
	}
	rec := Record{
		Topic:     r.topic.Name,
		Key:       r.key(k.Key),
		Value:     k.Value,
		Time:      drumbeat.At(k.Timestamp),
		Partition: k.Partition,
		Offset:    k.Offset,
		Epoch:     r.topic.Epoch,
		Headers:   headers,
	}
	for _, h := range k.Headers {
		if h.Key == typeHeader {
			rec.Type = r.key(h.Value)
			continue
		}
		if rec.Headers == nil {
			rec.Headers = make(map[string]string, 2)
		}
		rec.Headers[h.Key] = string(h.Value)
	}
	r.records = append(r.records, rec)
	r.next[k.Partition] = k.Offset + 1
}

// key returns the text of a key without making it anew: a fleet's keys are
// few and come again and again.
func (r *KafkaReader) key(text []byte) string {
	if known, ok := r.keys[string(text)]; ok {
		return known
	}
	if len(r.keys) >= maxKnownKeys {
		clear(r.keys)
	}
	key := string(text)
	r.keys[key] = key
	return key
}
