package topic

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"drumbeat"
	"drumbeat/failpoint"
)

const (
	// linger waits a little for company: without it each Write of a few
	// records is an fsync of its own, with more a live reading waits.
	linger = 5 * time.Millisecond
	// maxBufferedBytes bounds what waits for the broker: some 30 batches.
	// Less would let the broker run dry, more only costs memory.
	maxBufferedBytes = 32 << 20
	// maxBatchBytes holds one record of the largest size with its overhead.
	maxBatchBytes = MaxRecordBytes + 64<<10
	// maxHeaderBytes leaves room for keys and headers in such a batch.
	maxHeaderBytes = 16 << 10
)

// typeHeader is the header that tells log entries from readings (T2).
const typeHeader = "type"

// KafkaWriter writes with acknowledgement by all replicas, idempotently, so
// its own retries never double or reorder a partition. Records with equal keys
// go to the partition that every Kafka client would choose.
type KafkaWriter struct {
	cfg    Config
	client *kgo.Client
}

var _ Writer = (*KafkaWriter)(nil)

func producing(cfg Config) []kgo.Opt {
	return []kgo.Opt{
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		kgo.ProducerBatchCompression(cfg.Compression.codec(), kgo.NoCompression()),
		kgo.ProducerLinger(linger),
		kgo.ProducerBatchMaxBytes(maxBatchBytes),
		kgo.MaxBufferedBytes(maxBufferedBytes),
		kgo.MaxBufferedRecords(200_000),
	}
}

func (c Compression) codec() kgo.CompressionCodec {
	switch c {
	case LZ4:
		return kgo.Lz4Compression()
	case Snappy:
		return kgo.SnappyCompression()
	case Gzip:
		return kgo.GzipCompression()
	case NoCompression:
		return kgo.NoCompression()
	case Zstd:
	}
	return kgo.ZstdCompression().WithLevel(1)
}

// NewWriter connects a writer. One serves the whole process.
func NewWriter(ctx context.Context, cfg Config) (*KafkaWriter, error) {
	client, err := dial(ctx, cfg, append(producing(cfg), kgo.AllowIdempotentProduceCancellation())...)
	if err != nil {
		return nil, err
	}
	return &KafkaWriter{cfg: cfg, client: client}, nil
}

// Write implements [Writer]. It gives up when ctx ends or after two minutes;
// what was on its way then may still be written, and again if the caller
// repeats it, which readers tell by content (T3).
func (w *KafkaWriter) Write(ctx context.Context, records []Record) error {
	return w.Send(ctx, records)()
}

// Send begins a Write and returns a function that ends it: a caller that
// makes the next records meanwhile keeps both itself and the broker busy. The
// records and their values must not change until then. Sends of one goroutine
// keep their order.
func (w *KafkaWriter) Send(ctx context.Context, records []Record) (wait func() error) {
	ctx, cancel := context.WithTimeout(ctx, deliveryTimeout)
	end := send(ctx, w.client, records)
	return func() error {
		defer cancel()
		return explain(w.cfg, "write to the topic", end())
	}
}

// Close disconnects. Writes under way end with an error.
func (w *KafkaWriter) Close() { w.client.Close() }

// send produces records; the function it returns waits until the fate of each
// is known.
func send(ctx context.Context, client *kgo.Client, records []Record) func() error {
	for i := range records {
		if err := records[i].check(); err != nil {
			return func() error { return err }
		}
	}
	sent := encode(records)
	failpoint.Here("topic.send")
	var (
		wait  sync.WaitGroup
		first atomic.Pointer[error]
	)
	done := func(_ *kgo.Record, err error) {
		if err != nil {
			first.CompareAndSwap(nil, &err)
		}
		wait.Done()
	}
	wait.Add(len(sent))
	for i := range sent {
		client.Produce(ctx, &sent[i], done)
	}
	return func() error {
		wait.Wait()
		failpoint.Here("topic.sent")
		if err := first.Load(); err != nil {
			return *err
		}
		for i := range sent {
			records[i].Partition, records[i].Offset = sent[i].Partition, sent[i].Offset
		}
		return nil
	}
}

func (r *Record) check() error {
	size := len(r.Key) + len(r.Type)
	for name, value := range r.Headers {
		size += len(name) + len(value) + 8
	}
	if len(r.Value) > MaxRecordBytes || size > maxHeaderBytes {
		return fmt.Errorf("a record of %d bytes with %d of key and headers, at most %d and %d: %w",
			len(r.Value), size, MaxRecordBytes, maxHeaderBytes, drumbeat.ErrLimit)
	}
	return nil
}

// encode makes all client records in a few allocations.
func encode(records []Record) []kgo.Record {
	keys, headers := 0, 0
	for i := range records {
		keys += len(records[i].Key)
		headers += len(records[i].Headers) + 1
	}
	var (
		sent    = make([]kgo.Record, len(records))
		arena   = make([]byte, 0, keys)
		entries = make([]kgo.RecordHeader, 0, headers)
	)
	for i := range records {
		r, s := &records[i], &sent[i]
		s.Topic, s.Value, s.Timestamp = r.Topic, r.Value, r.Time.Std()
		start := len(arena)
		arena = append(arena, r.Key...)
		s.Key = arena[start:len(arena):len(arena)]
		from := len(entries)
		if r.Type != "" {
			entries = append(entries, kgo.RecordHeader{Key: typeHeader, Value: []byte(r.Type)})
		}
		for name, value := range r.Headers {
			entries = append(entries, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		s.Headers = entries[from:len(entries):len(entries)]
		slices.SortFunc(s.Headers, func(a, b kgo.RecordHeader) int { return compareText(a.Key, b.Key) })
	}
	return sent
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}
