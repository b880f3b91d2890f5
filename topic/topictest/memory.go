package topictest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"drumbeat"
	"drumbeat/topic"
)

// Memory is a broker in memory, for the tests of other rooms. It is safe for
// concurrent use.
type Memory struct {
	mu      sync.Mutex
	topics  map[string]*log
	commits map[string]map[string]map[int32]int64 // by group, topic, partition
	newest  map[string]int                        // transactional writer, by id
	changed chan struct{}                         // closed when anything is written
	fail    func(records []topic.Record) error
}

type log struct {
	topic      topic.Topic
	createTime bool
	partitions [][]topic.Record
}

// NewMemory returns an empty broker.
func NewMemory() *Memory {
	return &Memory{
		topics:  make(map[string]*log),
		commits: make(map[string]map[string]map[int32]int64),
		newest:  make(map[string]int),
		changed: make(chan struct{}),
	}
}

// FailWrites lets a function refuse what is about to be written; nil lets all
// pass.
func (m *Memory) FailWrites(fail func(records []topic.Record) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = fail
}

// Broker returns m as the tests of a broker need it.
func (m *Memory) Broker() Broker {
	return Broker{
		Ensure:    func(_ context.Context, spec topic.Spec) (topic.Topic, error) { return m.Ensure(spec) },
		Writer:    func(context.Context) (topic.Writer, error) { return m.Writer(), nil },
		TxnWriter: func(_ context.Context, id string) (TxnWriter, error) { return m.TxnWriter(id), nil },
		Reader:    func(_ context.Context, from topic.From) (topic.Reader, error) { return m.Reader(from) },
		Ends:      func(_ context.Context, name string) (map[int32]int64, error) { return m.Ends(name) },
		Committed: func(_ context.Context, group, name string) (map[int32]int64, error) {
			return m.Committed(group, name), nil
		},
	}
}

// Ensure makes a topic unless it exists.
func (m *Memory) Ensure(spec topic.Spec) (topic.Topic, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if spec.Name == "" || spec.Partitions < 1 {
		return topic.Topic{}, fmt.Errorf("make topic %q: %w", spec.Name, drumbeat.ErrInvalid)
	}
	if l, ok := m.topics[spec.Name]; ok {
		if l.createTime != spec.CreateTime {
			return topic.Topic{}, fmt.Errorf("make topic %s: it exists with other timestamps: %w", spec.Name, drumbeat.ErrConflict)
		}
		return l.topic, nil
	}
	l := &log{
		topic:      topic.Topic{Name: spec.Name, ID: fmt.Sprintf("%032x", len(m.topics)+1), Partitions: spec.Partitions},
		createTime: spec.CreateTime,
		partitions: make([][]topic.Record, spec.Partitions),
	}
	m.topics[spec.Name] = l
	return l.topic, nil
}

// Ends returns the offset after the last record of each partition.
func (m *Memory) Ends(name string) (map[int32]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.topics[name]
	if !ok {
		return nil, fmt.Errorf("find the end of topic %s: %w", name, drumbeat.ErrNotFound)
	}
	ends := make(map[int32]int64)
	for p := range l.topic.Partitions {
		ends[p] = int64(len(l.partitions[p]))
	}
	return ends, nil
}

// Committed returns the offsets of a group in a topic.
func (m *Memory) Committed(group, name string) map[int32]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.commits[group][name])
}

// Records returns everything that a topic holds, partition by partition.
func (m *Memory) Records(name string) []topic.Record {
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.topics[name]
	if !ok {
		return nil
	}
	return slices.Concat(l.partitions...)
}

// write appends all records or none.
func (m *Memory) write(records []topic.Record) error {
	for i := range records {
		if len(records[i].Value) > topic.MaxRecordBytes {
			return fmt.Errorf("write a record of %d bytes: %w", len(records[i].Value), drumbeat.ErrLimit)
		}
		if _, ok := m.topics[records[i].Topic]; !ok {
			return fmt.Errorf("write to topic %s: %w", records[i].Topic, drumbeat.ErrNotFound)
		}
	}
	if m.fail != nil {
		if err := m.fail(records); err != nil {
			return err
		}
	}
	for i := range records {
		r := &records[i]
		l := m.topics[r.Topic]
		r.Partition = topic.PartitionOf(r.Key, l.topic.Partitions)
		r.Offset = int64(len(l.partitions[r.Partition]))
		kept := *r
		kept.Time, kept.Epoch = kept.Time.Cut(), l.topic.Epoch
		kept.Value, kept.Headers = slices.Clone(kept.Value), maps.Clone(kept.Headers)
		l.partitions[r.Partition] = append(l.partitions[r.Partition], kept)
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

// Writer returns a writer.
func (m *Memory) Writer() topic.Writer { return memoryWriter{m} }

type memoryWriter struct{ m *Memory }

func (w memoryWriter) Write(ctx context.Context, records []topic.Record) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return w.m.write(records)
}

func (memoryWriter) Close() {}

// TxnWriter returns a transactional writer and fences the others of its id.
func (m *Memory) TxnWriter(id string) TxnWriter {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.newest[id]++
	return &memoryTxn{m: m, id: id, number: m.newest[id]}
}

type memoryTxn struct {
	m      *Memory
	id     string
	number int
}

func (w *memoryTxn) WriteTxn(ctx context.Context, records []topic.Record, commit topic.Commit) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	if w.number != w.m.newest[w.id] {
		return fmt.Errorf("write in transaction %s: another process took over: %w", w.id, drumbeat.ErrConflict)
	}
	if err := w.m.write(records); err != nil {
		return err
	}
	if len(commit.Offsets) == 0 {
		return nil
	}
	group := w.m.commits[commit.Group]
	if group == nil {
		group = make(map[string]map[int32]int64)
		w.m.commits[commit.Group] = group
	}
	if group[commit.Topic.Name] == nil {
		group[commit.Topic.Name] = make(map[int32]int64)
	}
	maps.Copy(group[commit.Topic.Name], commit.Offsets)
	return nil
}

func (*memoryTxn) Close() {}

// Reader returns a reader.
func (m *Memory) Reader(from topic.From) (topic.Reader, error) {
	if len(from.Offsets) == 0 {
		return nil, fmt.Errorf("read topic %s: no partition asked for: %w", from.Topic.Name, drumbeat.ErrInvalid)
	}
	for p, offset := range from.Offsets {
		if offset < 0 {
			return nil, fmt.Errorf("read topic %s: offset %d of partition %d: %w", from.Topic.Name, offset, p, drumbeat.ErrInvalid)
		}
	}
	return &memoryReader{m: m, name: from.Topic.Name, next: maps.Clone(from.Offsets)}, nil
}

type memoryReader struct {
	m    *Memory
	name string
	next map[int32]int64
}

func (r *memoryReader) Poll(ctx context.Context) ([]topic.Record, error) {
	for ctx.Err() == nil {
		records, changed, err := r.take()
		if len(records) > 0 || err != nil {
			return records, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
	return nil, nil
}

// take returns what there is, or what to wait for.
func (r *memoryReader) take() ([]topic.Record, <-chan struct{}, error) {
	const most = 1000
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	l, ok := r.m.topics[r.name]
	if !ok {
		return nil, nil, fmt.Errorf("read topic %s: %w", r.name, drumbeat.ErrNotFound)
	}
	var records []topic.Record
	for _, p := range slices.Sorted(maps.Keys(r.next)) {
		if int(p) >= len(l.partitions) || r.next[p] > int64(len(l.partitions[p])) {
			return nil, nil, fmt.Errorf("read topic %s, partition %d: it does not hold offset %d: %w",
				r.name, p, r.next[p], drumbeat.ErrNotFound)
		}
		rest := l.partitions[p][r.next[p]:]
		rest = rest[:min(len(rest), most-len(records))]
		records = append(records, rest...)
		r.next[p] += int64(len(rest))
	}
	return records, r.m.changed, nil
}

func (r *memoryReader) Drained(partition int32) bool {
	r.m.mu.Lock()
	defer r.m.mu.Unlock()
	l := r.m.topics[r.name]
	return l != nil && int(partition) < len(l.partitions) && r.next[partition] >= int64(len(l.partitions[partition]))
}

func (*memoryReader) Lost() []topic.Lost { return nil }

func (*memoryReader) Close() {}
