package topic

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"drumbeat"
)

// Spec says how a topic is made.
type Spec struct {
	Name       string
	Partitions int32 // only if the topic is made now
	// CreateTime lets writers choose timestamps, without bound and for ever
	// kept, as simulation and import need. Otherwise the broker stamps
	// arrival itself (T1).
	CreateTime bool
	// Grown may be nil: then partitions that were added are an error.
	Grown Grown
}

// Ensure makes the topic unless it exists, sees that its settings are the ones
// that T1 asks for, and tells its epoch. An existing topic keeps its number of
// partitions: changing that is a drained migration (T2).
func Ensure(ctx context.Context, cfg Config, spec Spec, epochs *Epochs) (Topic, error) {
	doing := "make topic " + spec.Name
	if spec.Name == "" || spec.Partitions < 1 {
		return Topic{}, fmt.Errorf("%s: want a name and at least one partition, got %d: %w",
			doing, spec.Partitions, drumbeat.ErrInvalid)
	}
	client, err := dial(ctx, cfg)
	if err != nil {
		return Topic{}, err
	}
	defer client.Close()
	admin := kadm.NewClient(client)

	found, err := find(ctx, client, spec.Name)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		if err = create(ctx, cfg, admin, spec); err == nil {
			found, err = await(ctx, client, spec.Name)
		}
	}
	if err == nil {
		err = check(ctx, cfg, admin, spec)
	}
	if err != nil {
		return Topic{}, explain(cfg, doing, err)
	}
	return epochs.Observe(ctx, found, spec.Grown)
}

// find asks the broker itself: the client's memory may be older than a topic
// made a moment ago.
func find(ctx context.Context, client *kgo.Client, name string) (Topic, error) {
	req := kmsg.NewPtrMetadataRequest()
	asked := kmsg.NewMetadataRequestTopic()
	asked.Topic = &name
	req.Topics = append(req.Topics, asked)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return Topic{}, err
	}
	for _, t := range resp.Topics {
		if t.Topic == nil || *t.Topic != name {
			continue
		}
		return Topic{
			Name:       name,
			ID:         idText(t.TopicID),
			Partitions: int32(len(t.Partitions)), //nolint:gosec // the protocol numbers them in 32 bits
		}, kerr.ErrorForCode(t.ErrorCode)
	}
	return Topic{}, kerr.UnknownTopicOrPartition
}

// idText is a topic's id, "" where a broker has none: then a topic that was
// made anew is known by its partitions only, and by offsets that it lacks.
func idText(id [16]byte) string {
	if id == [16]byte{} {
		return ""
	}
	return hex.EncodeToString(id[:])
}

// await finds a topic just made: a cluster's brokers learn of it one by one.
func await(ctx context.Context, client *kgo.Client, name string) (Topic, error) {
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		found, err := find(ctx, client, name)
		if !errors.Is(err, kerr.UnknownTopicOrPartition) && !errors.Is(err, kerr.LeaderNotAvailable) {
			return found, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return Topic{}, err
		}
	}
}

const (
	timestampType = "message.timestamp.type"
	timestampMax  = "message.timestamp.after.max.ms"
	timestampMin  = "message.timestamp.before.max.ms"
	retention     = "retention.ms"
)

// create makes the topic. Brokers before 3.6 do not know the bounds on
// timestamps by these names, and have none by default.
func create(ctx context.Context, cfg Config, admin *kadm.Client, spec Spec) error {
	text := func(s string) *string { return &s }
	settings := map[string]*string{
		timestampType:       text("LogAppendTime"),
		"max.message.bytes": text(strconv.Itoa(2 * MaxRecordBytes)),
	}
	if spec.CreateTime {
		forever := text(strconv.FormatInt(math.MaxInt64, 10))
		settings[timestampType] = text("CreateTime")
		settings[retention] = text("-1")
		settings["retention.bytes"] = text("-1")
		settings[timestampMax] = forever
		settings[timestampMin] = forever
	}
	if cfg.EventHubs {
		settings = nil
	}
	_, err := admin.CreateTopic(ctx, spec.Partitions, -1, settings, spec.Name)
	if errors.Is(err, kerr.InvalidConfig) && spec.CreateTime {
		delete(settings, timestampMax)
		delete(settings, timestampMin)
		_, err = admin.CreateTopic(ctx, spec.Partitions, -1, settings, spec.Name)
	}
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return nil // somebody else was first
	}
	return err
}

// check compares an existing topic's settings with what spec needs.
func check(ctx context.Context, cfg Config, admin *kadm.Client, spec Spec) error {
	if cfg.EventHubs {
		return nil // how long it keeps records, and how it stamps them, is set in its portal
	}
	configs, err := admin.DescribeTopicConfigs(ctx, spec.Name)
	if err != nil {
		return err
	}
	config, err := configs.On(spec.Name, nil)
	if err != nil {
		return err
	}
	if config.Err != nil {
		return config.Err
	}
	has := make(map[string]string, len(config.Configs))
	for _, c := range config.Configs {
		has[c.Key] = c.MaybeValue()
	}
	want := map[string]string{timestampType: "LogAppendTime"}
	if spec.CreateTime {
		want = map[string]string{
			timestampType: "CreateTime",
			retention:     "-1",
			timestampMax:  strconv.FormatInt(math.MaxInt64, 10),
		}
	}
	for _, key := range []string{timestampType, retention, timestampMax} {
		value, needed := want[key]
		if got, known := has[key]; needed && known && got != value {
			return fmt.Errorf("it exists with %s=%s, but needs %s; "+
				"set it with kafka-configs --alter --topic %s --add-config %s=%s: %w",
				key, got, value, spec.Name, key, value, drumbeat.ErrConflict)
		}
	}
	return nil
}

// Ends returns the offset after the last readable record of each partition.
// In a topic that transactions write, the last offsets may be markers, which
// no reader sees.
func Ends(ctx context.Context, cfg Config, name string) (map[int32]int64, error) {
	client, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	return endsOf(ctx, cfg, client, name)
}

// endsOf is Ends with a client that is there.
func endsOf(ctx context.Context, cfg Config, client *kgo.Client, name string) (map[int32]int64, error) {
	doing := "find the end of topic " + name
	listed, err := kadm.NewClient(client).ListCommittedOffsets(ctx, name)
	if err == nil {
		err = listed.Error()
	}
	if err != nil {
		return nil, explain(cfg, doing, err)
	}
	ends := make(map[int32]int64)
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	if len(ends) == 0 {
		return nil, explain(cfg, doing, kerr.UnknownTopicOrPartition)
	}
	return ends, nil
}

// Committed returns the offsets that a group has committed in a topic. A
// partition without one is absent.
func Committed(ctx context.Context, cfg Config, group, name string) (map[int32]int64, error) {
	doing := fmt.Sprintf("read the offsets of group %s in topic %s", group, name)
	client, err := dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	var offsets kadm.OffsetResponses
	err = retry(ctx, func() (err error) {
		if offsets, err = kadm.NewClient(client).FetchOffsets(ctx, group); err == nil {
			err = offsets.Error()
		}
		return err
	})
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, explain(cfg, doing, err)
	}
	committed := make(map[int32]int64)
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic == name && o.At >= 0 {
			committed[o.Partition] = o.At
		}
	})
	return committed, nil
}
