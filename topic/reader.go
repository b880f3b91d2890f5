package topic

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
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
	joining time.Time       // since when a group cannot be joined, zero if it can

	mu   sync.Mutex // guards what follows: a group takes partitions over beside its reader
	lost []Lost
}

var _ Reader = (*KafkaReader)(nil)

// NewReader connects a reader. Records that the topic no longer holds are told
// by Lost; an offset beyond its end is an error of Poll.
func NewReader(ctx context.Context, cfg Config, from From) (*KafkaReader, error) {
	if len(from.Offsets) == 0 {
		return nil, fmt.Errorf("read topic %s: no partition asked for: %w", from.Topic.Name, drumbeat.ErrInvalid)
	}
	for partition, offset := range from.Offsets {
		if offset < 0 {
			return nil, fmt.Errorf("read topic %s: offset %d of partition %d: %w",
				from.Topic.Name, offset, partition, drumbeat.ErrInvalid)
		}
	}
	r := newReader(cfg, from.Topic)
	if err := r.locate(ctx, from.Offsets); err != nil {
		return nil, err
	}
	starts := make(map[int32]kgo.Offset, len(r.next))
	for partition, offset := range r.next {
		starts[partition] = kgo.NewOffset().At(offset)
	}
	client, err := dial(ctx, cfg, append(consuming(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{from.Topic.Name: starts}))...)
	if err != nil {
		return nil, err
	}
	r.client = client
	return r, nil
}

func newReader(cfg Config, of Topic) *KafkaReader {
	return &KafkaReader{cfg: cfg, topic: of, keys: map[string]string{}, next: map[int32]int64{}, high: map[int32]int64{}}
}

func consuming() []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(maxFetchBytes),
		kgo.FetchMaxPartitionBytes(maxPartitionBytes),
	}
}

// locate moves partitions to offsets, or to where the topic begins if that is
// behind them: what lies between is lost.
func (r *KafkaReader) locate(ctx context.Context, offsets map[int32]int64) error {
	client, err := dial(ctx, r.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := endsOf(ctx, r.cfg, client, r.topic.Name)
	if err != nil {
		return err
	}
	starts, err := kadm.NewClient(client).ListStartOffsets(ctx, r.topic.Name)
	if err == nil {
		err = starts.Error()
	}
	if err != nil {
		return explain(r.cfg, "find the start of topic "+r.topic.Name, err)
	}
	for _, partition := range slices.Sorted(maps.Keys(offsets)) {
		offset := offsets[partition]
		if start, known := starts.Lookup(r.topic.Name, partition); known && start.Offset > offset {
			r.mu.Lock()
			r.lost = append(r.lost, Lost{Partition: partition, From: offset, Until: start.Offset})
			r.mu.Unlock()
			offset = start.Offset
		}
		r.next[partition], r.high[partition] = offset, ends[partition]
	}
	return nil
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
		if errors.Is(err, kerr.OffsetOutOfRange) && r.skip(ctx, partition) || r.bears(err) {
			return
		}
		r.failed = explain(r.cfg, fmt.Sprintf("read topic %s, partition %d", r.topic.Name, partition), err)
	})
	if len(r.records) == 0 {
		return nil, r.failed
	}
	r.joining = time.Time{}
	return r.records, nil
}

// bears says whether an error is a broker's absence that the client is trying
// to outlast: a group that cannot be joined just now.
func (r *KafkaReader) bears(err error) bool {
	if _, ok := errors.AsType[*kgo.ErrGroupSession](err); !ok {
		return false
	}
	if r.joining.IsZero() {
		r.joining = time.Now()
	}
	return time.Since(r.joining) < deliveryTimeout
}

// skip goes on where a partition begins now, if what comes next is gone.
func (r *KafkaReader) skip(ctx context.Context, partition int32) bool {
	gone := r.next[partition]
	err := r.locate(ctx, map[int32]int64{partition: gone})
	if err != nil || r.next[partition] == gone {
		return false
	}
	r.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
		r.topic.Name: {partition: {Epoch: -1, Offset: r.next[partition]}},
	})
	return true
}

// Lost implements [Reader].
func (r *KafkaReader) Lost() []Lost {
	r.mu.Lock()
	defer r.mu.Unlock()
	lost := r.lost
	r.lost = nil
	return lost
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
