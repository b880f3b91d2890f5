package topic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"drumbeat"
)

const (
	// sessionTimeout is how long a member may be silent before the others take
	// its partitions: a pause of a process, a short outage of its network.
	sessionTimeout = 15 * time.Second
	// rebalanceTimeout is how long a member may take to commit what it holds
	// of partitions that it must give up.
	rebalanceTimeout = time.Minute
	// lookEvery is how often a member that waits for records asks whether it
	// could take its partitions over.
	lookEvery = 500 * time.Millisecond
	// noticeEvery is how often a group looks for added partitions.
	noticeEvery = 30 * time.Second
)

// Share is how a member of a consumer group takes over partitions and gives
// them up. Its functions are called while Poll waits or between two polls,
// from another goroutine. Neither may call the reader.
type Share struct {
	Group string
	// Take returns the offsets at which partitions are to be read: where the
	// table ends that was made of them, which no other member can be behind.
	Take func(ctx context.Context, partitions []int32) (map[int32]int64, error)
	// Give commits what was made of partitions that others read from now on.
	// Of partitions that were lost already (the member was silent for too
	// long) others may have committed more.
	Give func(ctx context.Context, partitions []int32)
	// Session is how long a member may be silent before others take what it
	// reads, 15 s if 0; Rebalance how long it may take to commit what it must
	// give up, 1 min if 0.
	Session, Rebalance time.Duration
}

// GroupReader reads the partitions that its consumer group gives it.
type GroupReader struct {
	*KafkaReader
	share   Share
	taken   map[int32]kgo.Offset // where partitions that it has begin
	trouble chan error           // why a partition could not be taken; one is enough
}

var _ Reader = (*GroupReader)(nil)

// NewGroupReader joins a consumer group. Partitions move between members one
// by one (cooperative-sticky); the group's own offsets are not used.
func NewGroupReader(ctx context.Context, cfg Config, of Topic, share Share) (*GroupReader, error) {
	share.Session, share.Rebalance = cmp.Or(share.Session, sessionTimeout), cmp.Or(share.Rebalance, rebalanceTimeout)
	g := &GroupReader{KafkaReader: newReader(cfg, of), share: share, taken: map[int32]kgo.Offset{}, trouble: make(chan error, 1)}
	client, err := dial(ctx, cfg, append(consuming(),
		kgo.ConsumerGroup(share.Group), kgo.ConsumeTopics(of.Name), kgo.DisableAutoCommit(),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(share.Session), kgo.RebalanceTimeout(share.Rebalance), kgo.MetadataMaxAge(noticeEvery),
		kgo.OnPartitionsAssigned(g.assigned), kgo.OnPartitionsRevoked(g.revoked), kgo.OnPartitionsLost(g.revoked),
		kgo.AdjustFetchOffsetsFn(g.adjust),
	)...)
	if err != nil {
		return nil, err
	}
	g.client = client
	return g, nil
}

// Poll implements [Reader]. What it returned last is done with: partitions may
// move from here on until there is more.
func (g *GroupReader) Poll(ctx context.Context) ([]Record, error) {
	g.client.AllowRebalance()
	for ctx.Err() == nil {
		select {
		case err := <-g.trouble:
			g.failed = err
		default:
		}
		wait, cancel := context.WithTimeout(ctx, lookEvery)
		records, err := g.KafkaReader.Poll(wait)
		cancel()
		if len(records) > 0 || err != nil {
			return records, err
		}
		g.client.AllowRebalance()
	}
	return nil, nil
}

// Close leaves the group: what it reads is given up first.
func (g *GroupReader) Close() { g.client.CloseAllowingRebalance() }

// assigned takes partitions over, before their first record is read.
func (g *GroupReader) assigned(ctx context.Context, _ *kgo.Client, added map[string][]int32) {
	partitions := added[g.topic.Name]
	if len(partitions) == 0 {
		return
	}
	if err := g.take(ctx, partitions); err != nil && ctx.Err() == nil {
		g.fail(fmt.Errorf("take over partitions %v of topic %s: %w", partitions, g.topic.Name, err))
	}
}

func (g *GroupReader) take(ctx context.Context, partitions []int32) error {
	if most := slices.Max(partitions); most >= g.topic.Partitions {
		return fmt.Errorf("it has a partition %d, and had %d when this process began: an epoch ends with that (T2); start again: %w",
			most, g.topic.Partitions, drumbeat.ErrConflict)
	}
	offsets, err := g.share.Take(ctx, partitions)
	if err != nil {
		return err
	}
	if err := g.locate(ctx, offsets); err != nil {
		return err
	}
	for _, partition := range partitions {
		g.taken[partition] = kgo.NewOffset().At(g.next[partition])
	}
	return nil
}

// errNotTaken keeps the client from reading what could not be taken over.
var errNotTaken = errors.New("not taken over")

// adjust puts the table's offsets in the place of the group's.
func (g *GroupReader) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for partition := range maps.Keys(offsets[g.topic.Name]) {
		at, taken := g.taken[partition]
		if !taken {
			return nil, errNotTaken
		}
		offsets[g.topic.Name][partition] = at
	}
	return offsets, nil
}

func (g *GroupReader) revoked(ctx context.Context, _ *kgo.Client, gone map[string][]int32) {
	partitions := gone[g.topic.Name]
	if len(partitions) == 0 {
		return
	}
	g.share.Give(ctx, partitions)
	for _, partition := range partitions {
		delete(g.taken, partition)
		delete(g.next, partition)
		delete(g.high, partition)
	}
}

func (g *GroupReader) fail(err error) {
	select {
	case g.trouble <- err:
	default:
	}
}
