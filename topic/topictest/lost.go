package topictest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"drumbeat/topic"
)

// RunLost holds a broker's readers to what they must do when records are gone
// before they are read: tell which, and go on behind them.
func RunLost(t *testing.T, cfg topic.Config) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	f := newFixture(t, Kafka(cfg))
	records := f.records(60, "lost")
	f.mustWrite(t, records)
	cut := map[int32]int64{0: 2, 1: 5}
	gone := kadm.Offsets{}
	for partition, offset := range cut {
		gone.AddOffset(f.topic.Name, partition, offset, -1)
	}
	if deleted, err := kadm.NewClient(client).DeleteRecords(t.Context(), gone); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	r, err := f.Reader(t.Context(), topic.From{Topic: f.topic, Offsets: map[int32]int64{0: 0, 1: 3, 2: 1}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	left := 0
	for i := range records {
		if at := max(cut[records[i].Partition], map[int32]int64{2: 1}[records[i].Partition]); records[i].Offset >= at {
			left++
		}
	}
	got := poll(t, r, left)
	for _, record := range got {
		if record.Offset < cut[record.Partition] {
			t.Errorf("record %d/%d came, which is gone", record.Partition, record.Offset)
		}
	}
	lost := r.Lost()
	slices.SortFunc(lost, func(a, b topic.Lost) int { return int(a.Partition - b.Partition) })
	if diff := cmp.Diff([]topic.Lost{{Partition: 0, From: 0, Until: 2}, {Partition: 1, From: 3, Until: 5}}, lost); diff != "" {
		t.Errorf("lost (-want +got):\n%s", diff)
	}
	if again := r.Lost(); len(again) > 0 {
		t.Errorf("told again: %v", again)
	}
}
