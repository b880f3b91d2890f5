package topictest_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"drumbeat/topic"
	"drumbeat/topic/topictest"
)

func fake(t *testing.T) *kfake.Cluster {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster
}

func TestRecordsThatAreGoneAreTold(t *testing.T) {
	t.Parallel()
	topictest.RunLost(t, topic.Config{Brokers: fake(t).ListenAddrs()})
}

// TestRecordsThatGoWhileTheyAreReadAreTold holds the broker's answers back
// until retention has cut what was asked for.
func TestRecordsThatGoWhileTheyAreReadAreTold(t *testing.T) {
	t.Parallel()
	cluster := fake(t)
	cfg := topic.Config{Brokers: cluster.ListenAddrs()}
	made, err := topic.Ensure(t.Context(), cfg, topic.Spec{Name: "laundry", Partitions: 1, CreateTime: true}, topic.NewEpochs(nil))
	if err != nil {
		t.Fatal(err)
	}
	w, err := topic.NewWriter(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(n int) {
		t.Helper()
		for range n {
			if err := w.Write(t.Context(), []topic.Record{{Topic: made.Name, Key: "W-001", Value: []byte("x")}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	write(30)
	var open atomic.Bool
	cluster.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if open.Load() {
			return nil, nil, false
		}
		return req.ResponseKind(), nil, true // nothing yet
	})
	r, err := topic.NewReader(t.Context(), cfg, topic.From{Topic: made, Offsets: map[int32]int64{0: 10}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	gone := kadm.Offsets{}
	gone.AddOffset(made.Name, 0, 25, -1)
	if deleted, err := kadm.NewClient(client).DeleteRecords(t.Context(), gone); err != nil || deleted.Error() != nil {
		t.Fatal(err, deleted.Error())
	}
	open.Store(true)
	var first int64 = -1
	for end := time.Now().Add(30 * time.Second); first < 0; {
		records, err := r.Poll(t.Context())
		if err != nil || time.Now().After(end) {
			t.Fatalf("poll: %v", err)
		}
		if len(records) > 0 {
			first = records[0].Offset
		}
	}
	if lost := r.Lost(); first != 25 || len(lost) != 1 || lost[0] != (topic.Lost{From: 10, Until: 25}) {
		t.Errorf("first record %d, lost %v", first, lost)
	}
}
