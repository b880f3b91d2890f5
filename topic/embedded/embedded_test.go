package embedded_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/objstore/memory"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
	"drumbeat/topic/topictest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func open(t *testing.T, dir string) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(t.Context(), dir, "", quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, b) })
	return b
}

func closed(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

func TestEmbeddedKeepsTheContract(t *testing.T) {
	t.Parallel()
	b := topictest.Kafka(open(t, t.TempDir()).Config())
	topictest.Run(t, b)
}

// filled starts a broker with a topic of n records and committed offsets.
func filled(t *testing.T, dir string, store objstore.Store, n int) (*embedded.Broker, topic.Topic, []topic.Record) {
	t.Helper()
	b := open(t, dir)
	epochs := topic.NewEpochs(store)
	made, err := topic.Ensure(t.Context(), b.Config(), topic.Spec{Name: "laundry", Partitions: 2, CreateTime: true}, epochs)
	if err != nil {
		t.Fatal(err)
	}
	w, err := topic.NewTxnWriter(t.Context(), b.Config(), b.Incarnation())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	records := make([]topic.Record, n)
	for i := range records {
		records[i] = topic.Record{Topic: made.Name, Key: string(rune('a' + i%5)), Value: []byte{byte(i)}, Time: drumbeat.Time(i) * 1000}
	}
	if err := w.WriteTxn(t.Context(), records, topic.Commit{Group: "g", Topic: made, Offsets: map[int32]int64{0: 3, 1: 4}}); err != nil {
		t.Fatal(err)
	}
	return b, made, records
}

func TestAReopenedFolderHoldsRecordsOffsetsAndEpoch(t *testing.T) {
	t.Parallel()
	dir, store := t.TempDir(), memory.New(time.Now)
	first, made, want := filled(t, dir, store, 100)
	closed(t, first)
	closed(t, first) // again

	second := open(t, dir)
	if first.Incarnation() == second.Incarnation() {
		t.Error("both starts have the same incarnation")
	}
	epochs := topic.NewEpochs(store)
	again, err := topic.Ensure(t.Context(), second.Config(), topic.Spec{Name: "laundry", Partitions: 2, CreateTime: true}, epochs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, again); diff != "" {
		t.Errorf("the topic (-before +after):\n%s", diff)
	}
	got, err := topic.Committed(t.Context(), second.Config(), "g", "laundry")
	if err != nil || !maps.Equal(got, map[int32]int64{0: 3, 1: 4}) {
		t.Errorf("committed offsets %v, %v", got, err)
	}
	if read := readAll(t, second.Config(), again, len(want)); len(read) != len(want) {
		t.Errorf("%d records, want %d", len(read), len(want))
	}
}

// readAll reads at least n records from the start.
func readAll(t *testing.T, cfg topic.Config, from topic.Topic, n int) []topic.Record {
	t.Helper()
	r, err := topic.NewReader(t.Context(), cfg, topic.From{Topic: from, Offsets: from.Start()})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []topic.Record
	for len(all) < n {
		records, err := r.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, rec := range records {
			rec.Value = append([]byte(nil), rec.Value...)
			all = append(all, rec)
		}
	}
	return all
}

func TestAFolderServesOneProcessAndOneMachineOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir)
	if _, err := embedded.Start(t.Context(), dir, "", quiet()); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a second start in the folder: got %v", err)
	}
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:9092", "nonsense"} {
		if _, err := embedded.Start(t.Context(), t.TempDir(), addr, quiet()); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("listen on %q: got %v", addr, err)
		}
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := t.TempDir()
	if _, err := embedded.Start(t.Context(), other, taken.Addr().String(), quiet()); err == nil {
		t.Error("two listen on one port")
	}
	open(t, other) // the failed start let go of the folder
}

func TestADamagedFolderIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b, _, _ := filled(t, dir, memory.New(time.Now), 10)
	closed(t, b)
	if err := os.WriteFile(filepath.Join(dir, "topics.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), dir, "", quiet()); err == nil {
		t.Error("a broker started without its topics")
	}
}
