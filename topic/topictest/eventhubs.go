package topictest

import (
	"fmt"
	"testing"

	"drumbeat/topic"
)

// RunEventHubs holds a broker to what is needed of one without transactions,
// as Azure Event Hubs is: what is written with the offsets that it was made
// from stands there once, wherever the writer was killed.
func RunEventHubs(t *testing.T, cfg topic.Config) {
	t.Helper()
	cfg.EventHubs, cfg.Compression = true, topic.NoCompression
	for name, written := range map[string]int{"before it wrote": 0, "while it wrote": 7, "before it committed": 20} {
		t.Run("a writer killed "+name, func(t *testing.T) { testKilledWriter(t, cfg, written) })
	}
}

func testKilledWriter(t *testing.T, cfg topic.Config, written int) {
	f := newFixture(t, Kafka(cfg))
	source, err := f.Ensure(t.Context(), topic.Spec{Name: freshName(t), Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	outputs := f.records(30, "reading")
	for i := range outputs {
		outputs[i].Headers = map[string]string{topic.HeaderID: fmt.Sprint("reading ", i)}
	}
	commit := func(records []topic.Record, upTo int64) {
		t.Helper()
		w, err := topic.NewTxnWriter(t.Context(), cfg, "stream")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if err := w.WriteTxn(t.Context(), records, topic.Commit{Group: source.Name, Topic: source, Offsets: map[int32]int64{0: upTo}}); err != nil {
			t.Fatal(err)
		}
	}
	commit(outputs[:10], 10)
	f.mustWrite(t, outputs[10:10+written]) // and is killed
	again := append([]topic.Record(nil), outputs[10:]...)
	commit(again, 30)
	seen := map[string]bool{}
	offsets := map[int32]map[int64]string{}
	for _, r := range f.read(t, f.topic.Start(), 30) {
		seen[string(r.Value)] = true
		if offsets[r.Partition] == nil {
			offsets[r.Partition] = map[int64]string{}
		}
		offsets[r.Partition][r.Offset] = string(r.Value)
	}
	for i := range again {
		if got := offsets[again[i].Partition][again[i].Offset]; got != string(again[i].Value) {
			t.Errorf("record %d is said to be where %q stands", 10+i, got)
		}
	}
	ends, err := f.Ends(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, end := range ends {
		total += end
	}
	if len(seen) != 30 || total != 30 {
		t.Errorf("%d different records among %d, want 30 among 30", len(seen), total)
	}
	committed, err := f.Committed(t.Context(), source.Name, source.Name)
	if err != nil || committed[0] != 30 {
		t.Errorf("committed %v, %v, want 30", committed, err)
	}
}
