package topic

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"drumbeat/failpoint"
)

const (
	// txnTimeout is how long a transaction may take before it is given up: less
	// than the broker waits (brokerTxnTimeout), so that we know of it first.
	txnTimeout       = 45 * time.Second
	brokerTxnTimeout = time.Minute
)

// TxnWriter writes records and the offsets of what they were made from in one
// Kafka transaction: readers see both or neither. It is not safe for
// concurrent use.
type TxnWriter struct {
	cfg    Config
	id     string
	client *kgo.Client
	once   *once // in the place of transactions, nil with them
}

// Commit is how far a group has come in a topic: the next offset to read, by
// partition.
type Commit struct {
	Group   string
	Topic   Topic
	Offsets map[int32]int64
}

// NewTxnWriter connects a transactional writer and fences every other one of
// the same id. Beside the embedded broker, which dies with its only writer,
// the id must differ from start to start (embedded.Broker says why).
func NewTxnWriter(ctx context.Context, cfg Config, id string) (*TxnWriter, error) {
	w := &TxnWriter{cfg: cfg, id: id}
	opts := producing(cfg)
	if cfg.EventHubs {
		w.once = &once{cfg: cfg}
	} else {
		opts = append(opts, kgo.TransactionalID(id), kgo.TransactionTimeout(brokerTxnTimeout))
	}
	client, err := dial(ctx, cfg, opts...)
	if err != nil {
		return nil, err
	}
	if w.once == nil {
		// It asks for its id now, not at the first write: that settles what
		// another writer left open.
		if _, _, err := client.ProducerID(ctx); err != nil {
			client.Close()
			return nil, explain(cfg, "begin transactions of "+id, err)
		}
	}
	w.client = client
	return w, nil
}

// WriteTxn writes the records and commits the offsets, both or neither. Once
// begun it no longer follows ctx, because a cancelled commit is neither done
// nor undone. After an error, close the writer, make a new one, which settles
// what was open, and read with [Committed] how far the group has come. An
// error of kind conflict says that another writer of this id took over.
func (w *TxnWriter) WriteTxn(ctx context.Context, records []Record, commit Commit) error {
	doing := fmt.Sprintf("write %d records in transaction %s", len(records), w.id)
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), txnTimeout)
	defer cancel()
	// A producer with an id never forgets a record on its way by itself.
	defer context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			w.client.Close()
		}
	})()
	if len(records) == 0 {
		return explain(w.cfg, doing, commitAlone(ctx, w.client, commit.Group, commit.offsets()))
	}
	if w.once != nil {
		return explain(w.cfg, doing, w.once.write(ctx, w.client, records, commit))
	}
	if err := w.client.BeginTransaction(); err != nil {
		return explain(w.cfg, doing, err)
	}
	err := send(ctx, w.client, records)()
	failpoint.Here("topic.txn_sent")
	if err == nil && len(commit.Offsets) > 0 {
		err = w.stage(ctx, commit)
	}
	if err == nil {
		failpoint.Here("topic.txn_staged")
		err = w.client.EndTransaction(ctx, kgo.TryCommit)
	}
	if err == nil {
		failpoint.Here("topic.txn_committed")
		return nil
	}
	undo := errors.Join(w.client.AbortBufferedRecords(ctx), w.client.EndTransaction(ctx, kgo.TryAbort))
	return explain(w.cfg, doing, errors.Join(err, undo))
}

// Close disconnects; an open transaction is aborted by the broker.
func (w *TxnWriter) Close() { w.client.Close() }

// commitAlone commits offsets without records: one request, which is atomic
// without a transaction.
func commitAlone(ctx context.Context, client *kgo.Client, group string, offsets kadm.Offsets) error {
	if len(offsets) == 0 {
		return nil
	}
	return retry(ctx, func() error { return kadm.NewClient(client).CommitAllOffsets(ctx, group, offsets) })
}

func (c *Commit) offsets() kadm.Offsets {
	offsets := make(kadm.Offsets)
	for partition, offset := range c.Offsets {
		offsets.AddOffset(c.Topic.Name, partition, offset, -1)
	}
	return offsets
}

// stage adds the offsets to the transaction.
func (w *TxnWriter) stage(ctx context.Context, commit Commit) error {
	id, epoch, err := w.client.ProducerID(ctx)
	if err != nil {
		return err
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = w.id, id, epoch, commit.Group
	if err := retry(ctx, func() error {
		resp, err := add.RequestWith(ctx, w.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	}); err != nil {
		return fmt.Errorf("add group %s: %w", commit.Group, err)
	}
	req := kmsg.NewPtrTxnOffsetCommitRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = w.id, id, epoch, commit.Group
	req.Generation = -1
	topic := kmsg.NewTxnOffsetCommitRequestTopic()
	topic.Topic = commit.Topic.Name // brokers until Kafka 4.0 know it by this
	if _, err := hex.Decode(topic.TopicID[:], []byte(commit.Topic.ID)); err != nil {
		return fmt.Errorf("topic id %q: %w", commit.Topic.ID, err)
	}
	for partition, offset := range commit.Offsets {
		p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset, p.LeaderEpoch = partition, offset, -1
		topic.Partitions = append(topic.Partitions, p)
	}
	req.Topics = append(req.Topics, topic)
	return retry(ctx, func() error {
		resp, err := req.RequestWith(ctx, w.client)
		if err != nil {
			return err
		}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("offset of partition %d: %w", p.Partition, err)
				}
			}
		}
		return nil
	})
}

// retry repeats what the broker refuses for a moment: while it still ends the
// transaction before, or while a coordinator moves or starts for the first
// time, and what does not reach it.
func retry(ctx context.Context, do func() error) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		err := do()
		_, away := errors.AsType[*net.OpError](err)
		if err == nil || !away && !kerr.IsRetriable(err) && !errors.Is(err, kerr.ConcurrentTransactions) {
			return err
		}
		timer.Reset(20 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}
