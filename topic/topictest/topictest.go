// Package topictest holds the contract of a topic as tests, which every
// broker must pass, and a broker in memory for the tests of other rooms.
package topictest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drumbeat"
	"drumbeat/topic"
)

// Broker is what a test does with a broker, whichever it is.
type Broker struct {
	Ensure    func(ctx context.Context, spec topic.Spec) (topic.Topic, error)
	Writer    func(ctx context.Context) (topic.Writer, error)
	TxnWriter func(ctx context.Context, id string) (TxnWriter, error)
	Reader    func(ctx context.Context, from topic.From) (topic.Reader, error)
	Ends      func(ctx context.Context, name string) (map[int32]int64, error)
	Committed func(ctx context.Context, group, name string) (map[int32]int64, error)
}

// TxnWriter is a transactional writer; see [topic.TxnWriter].
type TxnWriter interface {
	WriteTxn(ctx context.Context, records []topic.Record, commit topic.Commit) error
	Close()
}

// Kafka returns a broker reached over the Kafka protocol.
func Kafka(cfg topic.Config) Broker {
	epochs := topic.NewEpochs(nil)
	return Broker{
		Ensure: func(ctx context.Context, spec topic.Spec) (topic.Topic, error) {
			return topic.Ensure(ctx, cfg, spec, epochs)
		},
		Writer:    func(ctx context.Context) (topic.Writer, error) { return topic.NewWriter(ctx, cfg) },
		TxnWriter: func(ctx context.Context, id string) (TxnWriter, error) { return topic.NewTxnWriter(ctx, cfg, id) },
		Reader: func(ctx context.Context, from topic.From) (topic.Reader, error) {
			return topic.NewReader(ctx, cfg, from)
		},
		Ends: func(ctx context.Context, name string) (map[int32]int64, error) { return topic.Ends(ctx, cfg, name) },
		Committed: func(ctx context.Context, group, name string) (map[int32]int64, error) {
			return topic.Committed(ctx, cfg, group, name)
		},
	}
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// Run holds a broker to the contract. Topics are made by names of their own,
// so that a broker that is not empty serves as well.
func Run(t *testing.T, b Broker) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"records come back as they were written", testRoundTrip},
		{"a key's records stay in the partition that Kafka's clients choose, in order", testKeys},
		{"a reader begins at its offsets and reads no other partition", testOffsets},
		{"a reader waits for what comes later", testWait},
		{"an offset that the topic does not hold is an error", testOutOfRange},
		{"many writers at once lose nothing", testConcurrent},
		{"ends count what is readable, and a reader that has read it says so", testEnds},
		{"a record over the limit is refused and nothing is written", testLimit},
		{"a topic that does not exist is an error", testUnknownTopic},
		{"making a topic again changes nothing", testEnsureAgain},
		{"a topic needs a name and partitions", testEnsureInvalid},
		{"a transaction writes records and offsets", testTransaction},
		{"a failed transaction leaves nothing", testAborted},
		{"a newer transactional writer takes over", testFenced},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newFixture(t, b)) })
	}
}

// fixture is a topic of a test.
type fixture struct {
	Broker
	topic topic.Topic
	write topic.Writer
}

func newFixture(t *testing.T, b Broker) *fixture {
	t.Helper()
	made, err := b.Ensure(t.Context(), topic.Spec{Name: freshName(t), Partitions: 3, CreateTime: true})
	if err != nil {
		t.Fatal(err)
	}
	w, err := b.Writer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return &fixture{Broker: b, topic: made, write: w}
}

// freshName returns a name that no topic has yet.
func freshName(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("test-%d-%s", time.Now().UnixNano(), strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r
		}
		return -1
	}, t.Name()[strings.LastIndex(t.Name(), "/")+1:]))
}

func (f *fixture) records(n int, values string) []topic.Record {
	records := make([]topic.Record, n)
	for i := range records {
		records[i] = topic.Record{
			Topic: f.topic.Name, Key: fmt.Sprintf("W-%03d", i%7), Value: fmt.Appendf(nil, "%s %d", values, i),
			Time: drumbeat.Time(i) * 1000,
		}
	}
	return records
}

func (f *fixture) mustWrite(t *testing.T, records []topic.Record) {
	t.Helper()
	if err := f.write.Write(t.Context(), records); err != nil {
		t.Fatal(err)
	}
}

// read returns n records from the offsets.
func (f *fixture) read(t *testing.T, offsets map[int32]int64, n int) []topic.Record {
	t.Helper()
	r, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: offsets})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return poll(t, r, n)
}

func poll(t *testing.T, r topic.Reader, n int) []topic.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []topic.Record
	for len(all) < n {
		records, err := r.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			t.Fatalf("%d records came, want %d", len(all), n)
		}
		for _, rec := range records { // valid until the next poll only
			rec.Value = slices.Clone(rec.Value)
			rec.Headers = maps.Clone(rec.Headers)
			all = append(all, rec)
		}
	}
	return all
}

// ordered sorts records by partition and offset.
func ordered(records []topic.Record) []topic.Record {
	return slices.SortedFunc(slices.Values(records), func(a, b topic.Record) int {
		return drumbeat.Position{Partition: a.Partition, Offset: a.Offset}.Compare(
			drumbeat.Position{Partition: b.Partition, Offset: b.Offset})
	})
}

func testRoundTrip(t *testing.T, f *fixture) {
	want := []topic.Record{
		{Key: "a", Value: []byte(`{"x":1}`), Time: 1_000_000},
		{Key: "a", Value: []byte{0, 0xff}, Type: "failure", Time: drumbeat.At(time.Date(2199, 12, 31, 0, 0, 0, 1e6, time.UTC))},
		{Key: "b", Value: []byte("x"), Type: "maintenance", Headers: map[string]string{"seq": "7", "by": "ada"}},
		{Key: "", Value: []byte("no key")},
		{Key: strings.Repeat("k", 255), Value: slices.Repeat([]byte("0123456789abcdef"), topic.MaxRecordBytes/16)},
	}
	for i := range want {
		want[i].Topic = f.topic.Name
	}
	f.mustWrite(t, want)
	for i := range want {
		want[i].Epoch = f.topic.Epoch
	}
	got := f.read(t, f.topic.Start(), len(want))
	if diff := cmp.Diff(ordered(want), ordered(got), cmpopts.EquateEmpty(), cmp.Comparer(bytes.Equal)); diff != "" {
		t.Fatalf("-written +read:\n%.2000s", diff)
	}
}

func testKeys(t *testing.T, f *fixture) {
	records := f.records(500, "key")
	f.mustWrite(t, records[:200])
	f.mustWrite(t, records[200:])
	got := f.read(t, f.topic.Start(), len(records))
	last := map[int32]int64{0: -1, 1: -1, 2: -1}
	values := map[string][]string{}
	for _, r := range got {
		if want := topic.PartitionOf(r.Key, f.topic.Partitions); r.Partition != want {
			t.Fatalf("key %s is in partition %d, want %d", r.Key, r.Partition, want)
		}
		if r.Offset <= last[r.Partition] {
			t.Fatalf("offset %d of partition %d came after %d", r.Offset, r.Partition, last[r.Partition])
		}
		last[r.Partition] = r.Offset
		values[r.Key] = append(values[r.Key], string(r.Value))
	}
	for _, r := range records {
		if len(values[r.Key]) == 0 || values[r.Key][0] != string(r.Value) {
			t.Fatalf("key %s: %.200q stands where %q was written", r.Key, values[r.Key], r.Value)
		}
		values[r.Key] = values[r.Key][1:]
	}
}

func testOffsets(t *testing.T, f *fixture) {
	records := f.records(300, "offset")
	f.mustWrite(t, records)
	var want []topic.Record
	for _, r := range records {
		if r.Partition == 1 && r.Offset >= 5 {
			r.Epoch = f.topic.Epoch
			want = append(want, r)
		}
	}
	got := f.read(t, map[int32]int64{1: 5}, len(want))
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || len(want) == 0 {
		t.Fatalf("%d records, -want +got:\n%s", len(want), diff)
	}
}

func testWait(t *testing.T, f *fixture) {
	r, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: f.topic.Start()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if got, err := r.Poll(ctx); len(got) != 0 || err != nil {
		t.Fatalf("an empty topic: got %d records, %v", len(got), err)
	}
	written := make(chan error, 1)
	go func() { written <- f.write.Write(t.Context(), f.records(1, "later")) }()
	if got := poll(t, r, 1); string(got[0].Value) != "later 0" {
		t.Fatalf("got %q", got[0].Value)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
}

func testOutOfRange(t *testing.T, f *fixture) {
	f.mustWrite(t, f.records(30, "range"))
	r, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: map[int32]int64{0: 1000}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if got, err := r.Poll(ctx); len(got) != 0 || !errors.Is(err, drumbeat.ErrNotFound) {
		t.Fatalf("got %d records, %v", len(got), err)
	}
	for _, bad := range []map[int32]int64{nil, {0: -1}} {
		if _, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: bad}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("offsets %v: got %v", bad, err)
		}
	}
}

func testConcurrent(t *testing.T, f *fixture) {
	const writers, each = 8, 50
	var wait sync.WaitGroup
	for w := range writers {
		wait.Go(func() {
			if err := f.write.Write(t.Context(), f.records(each, fmt.Sprintf("writer %d", w))); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	seen := map[string]int{}
	for _, r := range f.read(t, f.topic.Start(), writers*each) {
		seen[string(r.Value)]++
	}
	if len(seen) != writers*each {
		t.Fatalf("%d different records, want %d", len(seen), writers*each)
	}
}

func testEnds(t *testing.T, f *fixture) {
	records := f.records(100, "end")
	f.mustWrite(t, records)
	want := map[int32]int64{0: 0, 1: 0, 2: 0}
	for _, r := range records {
		want[r.Partition] = max(want[r.Partition], r.Offset+1)
	}
	r, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: f.topic.Start()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for p := range f.topic.Partitions {
		if got := r.Drained(p); got != (want[p] == 0) {
			t.Errorf("before reading, partition %d that ends at %d is drained: %v", p, want[p], got)
		}
	}
	poll(t, r, len(records))
	for p := range f.topic.Partitions {
		if !r.Drained(p) {
			t.Errorf("after reading, partition %d is not drained", p)
		}
	}
	got, err := f.Ends(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
}

func testLimit(t *testing.T, f *fixture) {
	records := f.records(3, "limit")
	records[1].Value = make([]byte, topic.MaxRecordBytes+1)
	if err := f.write.Write(t.Context(), records); !errors.Is(err, drumbeat.ErrLimit) {
		t.Fatalf("got %v", err)
	}
	ends, err := f.Ends(t.Context(), f.topic.Name)
	if diff := cmp.Diff(map[int32]int64{0: 0, 1: 0, 2: 0}, ends); diff != "" || err != nil {
		t.Fatalf("%v, -want +got:\n%s", err, diff)
	}
}

func testUnknownTopic(t *testing.T, f *fixture) {
	records := f.records(1, "nowhere")
	records[0].Topic += "-nowhere"
	if err := f.write.Write(t.Context(), records); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("write: got %v", err)
	}
	if _, err := f.Ends(t.Context(), records[0].Topic); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("ends: got %v", err)
	}
}

func testEnsureAgain(t *testing.T, f *fixture) {
	again, err := f.Ensure(t.Context(), topic.Spec{Name: f.topic.Name, Partitions: 3, CreateTime: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(f.topic, again); diff != "" {
		t.Errorf("-first +second:\n%s", diff)
	}
	more, err := f.Ensure(t.Context(), topic.Spec{Name: f.topic.Name, Partitions: 9, CreateTime: true})
	if err != nil || more.Partitions != 3 {
		t.Errorf("asked for 9 partitions of 3: got %+v, %v", more, err)
	}
	if _, err = f.Ensure(t.Context(), topic.Spec{Name: f.topic.Name, Partitions: 3}); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("asked that the broker stamp the time: got %v", err)
	}
}

func testEnsureInvalid(t *testing.T, f *fixture) {
	for _, spec := range []topic.Spec{{Partitions: 1}, {Name: "x"}, {Name: "x", Partitions: -1}} {
		if _, err := f.Ensure(t.Context(), spec); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%+v: got %v", spec, err)
		}
	}
}
