package topic_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/objstore/memory"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
)

func broker(t *testing.T) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(t.Context(), t.TempDir(), "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestKeysGoWhereKafkasOwnClientsSendThem(t *testing.T) {
	t.Parallel()
	// From Kafka's own UtilsTest, after the mask and the remainder.
	for key, want := range map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536} {
		if got := topic.PartitionOf(key, 1_000_003); got != want&0x7fffffff%1_000_003 {
			t.Errorf("key %q: partition %d, want %d", key, got, want&0x7fffffff%1_000_003)
		}
	}
	theirs := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	rapid.Check(t, func(t *rapid.T) {
		key, n := rapid.String().Draw(t, "key"), rapid.Int32Range(1, 5000).Draw(t, "n")
		if got, want := topic.PartitionOf(key, n), theirs.Partition(&kgo.Record{Key: []byte(key)}, int(n)); int(got) != want {
			t.Fatalf("key %q of %d: partition %d, want %d", key, n, got, want)
		}
	})
}

func TestTheEpochRisesWhenATopicIsMadeAnew(t *testing.T) {
	t.Parallel()
	b := broker(t)
	store := memory.New(time.Now)
	spec := topic.Spec{Name: "laundry", Partitions: 2, CreateTime: true, Grown: ended}
	ensure := func(want int32) topic.Topic {
		t.Helper()
		made, err := topic.Ensure(t.Context(), b.Config(), spec, topic.NewEpochs(store))
		if err != nil {
			t.Fatal(err)
		}
		if made.Epoch != want {
			t.Fatalf("epoch %d of %+v, want %d", made.Epoch, made, want)
		}
		return made
	}
	first := ensure(0)
	ensure(0)
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.DeleteTopic(t.Context(), spec.Name); err != nil {
		t.Fatal(err)
	}
	if second := ensure(1); second.ID == first.ID {
		t.Fatal("the new topic has the old one's id")
	}
	if responses, err := admin.CreatePartitions(t.Context(), 3, spec.Name); err != nil || responses.Error() != nil {
		t.Fatal(err, responses.Error())
	}
	if third := ensure(2); third.Partitions != 5 || len(third.Start()) != 5 {
		t.Fatalf("got %+v", third)
	}
	ensure(2)
}

func TestABrokerThatIsNotThereIsAClearError(t *testing.T) {
	t.Parallel()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg := topic.Config{Brokers: []string{free.Addr().String()}}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = topic.NewWriter(ctx, cfg)
	if err == nil || !strings.Contains(err.Error(), cfg.Brokers[0]) || !strings.Contains(err.Error(), "see that it runs") {
		t.Errorf("got %v", err)
	}
	if _, err := topic.NewWriter(ctx, topic.Config{}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("without an address: got %v", err)
	}
}

func TestAWriteEndsWithItsContextWhenTheBrokerIsGone(t *testing.T) {
	t.Parallel()
	b := broker(t)
	made, err := topic.Ensure(t.Context(), b.Config(), topic.Spec{Name: "laundry", Partitions: 1, CreateTime: true}, topic.NewEpochs(nil))
	if err != nil {
		t.Fatal(err)
	}
	w, err := topic.NewWriter(t.Context(), b.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	record := []topic.Record{{Topic: made.Name, Key: "a", Value: []byte("x")}}
	if err := w.Write(t.Context(), record); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := w.Write(ctx, record); err == nil {
		t.Error("a record was written to a broker that is closed")
	}
}

func TestATopicThatTheBrokerStampsHasItsOwnSettings(t *testing.T) {
	t.Parallel()
	b := broker(t)
	spec := topic.Spec{Name: "live", Partitions: 1}
	if _, err := topic.Ensure(t.Context(), b.Config(), spec, topic.NewEpochs(nil)); err != nil {
		t.Fatal(err)
	}
	spec.CreateTime = true
	_, err := topic.Ensure(t.Context(), b.Config(), spec, topic.NewEpochs(nil))
	if !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), "message.timestamp.type=CreateTime") {
		t.Errorf("got %v", err)
	}
}

func TestSimulatedTopicsAreKeptForEver(t *testing.T) {
	t.Parallel()
	b := broker(t)
	if _, err := topic.Ensure(t.Context(), b.Config(), topic.Spec{Name: "sim", Partitions: 1, CreateTime: true}, topic.NewEpochs(nil)); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	configs, err := kadm.NewClient(client).DescribeTopicConfigs(t.Context(), "sim")
	if err != nil {
		t.Fatal(err)
	}
	config, err := configs.On("sim", nil)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, c := range config.Configs {
		got[c.Key] = c.MaybeValue()
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"retention.ms": "-1", "retention.bytes": "-1", "message.timestamp.type": "CreateTime", "max.message.bytes": "2097152",
	} {
		if got[key] != want {
			t.Errorf("%s is %q, want %q (%s)", key, got[key], want, text)
		}
	}
}
