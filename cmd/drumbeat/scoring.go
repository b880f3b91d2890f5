package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/ingest"
	"drumbeat/materialize"
	"drumbeat/registry"
	"drumbeat/serve"
	"drumbeat/topic"
)

const (
	// typeEntry is the type header of a log entry that passes through the
	// predictions topic, so that alerts close at its position (A1).
	typeEntry = "entry"
	// streamGroupName begins the name of the consumer group under which the
	// stream commits.
	streamGroupName = "drumbeat-stream"
	// usualDays is how much history says what is usual for a machine.
	usualDays = 30
	// aliasEvery is how often a moved alias is looked for.
	aliasEvery = 500 * time.Millisecond
)

// streamGroup is the consumer group of the stream: one an epoch, because
// offsets of another epoch's topic say nothing (T2).
func (d *depot) streamGroup() string {
	if d.telemetry.Epoch == 0 {
		return streamGroupName
	}
	return fmt.Sprintf("%s-%d", streamGroupName, d.telemetry.Epoch)
}

// hasChampion says whether a model was made champion.
func (d *daemon) hasChampion(ctx context.Context) (bool, error) {
	_, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// openStream rebuilds the stream's state and brings the online store up to it.
// Without a model it keeps the fleet's own view.
func (d *daemon) openStream(ctx context.Context) error {
	committed, err := topic.Committed(ctx, d.kafka, d.streamGroup(), d.telemetry.Name)
	if err != nil {
		return err
	}
	if len(committed) == 0 {
		committed = nil
	}
	if err := d.openTxn(ctx); err != nil {
		return err
	}
	d.closers = append(d.closers, func() error { d.txn.Close(); return nil })
	d.scorer = serve.NewScorer(d.def)
	views, err := d.liveViews(ctx)
	if err != nil {
		return err
	}
	d.stream, err = materialize.NewStream(ctx, materialize.StreamConfig{
		Fleet: d.def, Views: views, Lake: d.lake, Online: d.online, Open: d.reader(d.telemetry),
		Committed: committed, Sink: d.sink, Log: d.log,
	})
	return err
}

// sink scores a batch of the stream and writes predictions, and the log
// entries that alerts must know, in one transaction with the offsets.
func (d *daemon) sink(ctx context.Context, batch materialize.Batch) error {
	records := make([]topic.Record, 0, len(batch.Outputs))
	models := d.scorer.Models() // one snapshot a batch; nil without a champion
	var said []drumbeat.Prediction
	for i := range batch.Outputs {
		out := &batch.Outputs[i]
		if out.Entry != nil {
			record, err := d.entryRecord(out.Entry)
			if err != nil {
				return err
			}
			records = append(records, record)
			continue
		}
		if models == nil {
			continue // no model, no prediction: the vector is online all the same
		}
		said = models.Predict(out.View.Hash, out.Vector, said[:0])
		models.Learn(out.View.Hash, out.Vector)
		for j := range said {
			p := &said[j]
			record, err := d.predictionRecord(p)
			if err != nil {
				return err
			}
			record.Headers = d.identity("%s/%s/%d/%d/%s", p.Position, p.Hash, p.AsOf, p.Model, p.Role)
			records = append(records, record)
		}
	}
	if len(batch.Next) > 0 {
		commit := topic.Commit{Group: d.streamGroup(), Topic: d.telemetry, Offsets: batch.Next}
		if err := d.commitOutputs(ctx, records, commit); err != nil {
			return fmt.Errorf("commit %d predictions: %w", len(records), err)
		}
	}
	published, foretold := map[int32]int64{}, map[int32]int64{}
	for i := range records {
		r := &records[i]
		published[r.Partition] = r.Offset + 1
		if r.Type == ingest.TypePrediction {
			foretold[r.Partition] = r.Offset + 1
		}
	}
	d.published.reach(published)
	d.foretold.reach(foretold)
	d.publishedAt.Store(&batch.Now)
	d.scored.reach(batch.Next)
	return nil
}

func (d *daemon) openTxn(ctx context.Context) error {
	txn, err := topic.NewTxnWriter(ctx, d.kafka, "drumbeat-stream-"+string(d.def.Name)+d.incarnation())
	if err != nil {
		return err
	}
	d.txn = txn
	return nil
}

// outage is how long a broker may be away before the process ends.
const outage = 2 * time.Minute

// commitOutputs writes records and offsets together. What became of a
// transaction whose answer was lost is asked: a new writer settles it, and the
// group's offsets say whether it was.
func (d *daemon) commitOutputs(ctx context.Context, records []topic.Record, commit topic.Commit) error {
	ctx, cancel := context.WithTimeout(ctx, outage)
	defer cancel()
	err := d.txn.WriteTxn(ctx, records, commit)
	for wait := time.Second; err != nil && !errors.Is(err, drumbeat.ErrConflict) && ctx.Err() == nil; wait = min(2*wait, 8*time.Second) {
		d.log.ErrorContext(ctx, "predictions not committed, trying again", "fleet", d.def.Name, "error", err)
		pause(ctx, wait)
		d.txn.Close()
		if err = d.openTxn(ctx); err != nil {
			continue
		}
		var committed, ends map[int32]int64
		if committed, err = topic.Committed(ctx, d.kafka, commit.Group, commit.Topic.Name); err != nil {
			continue
		}
		if !reachedAll(committed, commit.Offsets) {
			err = d.txn.WriteTxn(ctx, records, commit)
			continue
		}
		if ends, err = topic.Ends(ctx, d.kafka, d.predictions.Name); err == nil {
			for i := range records { // where exactly they stand, nobody said: not behind the end
				records[i].Partition = topic.PartitionOf(records[i].Key, d.predictions.Partitions)
				records[i].Offset = ends[records[i].Partition] - 1
			}
			return nil
		}
	}
	return err
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// identity is the header that names an output of the stream, where a broker
// without transactions may be told it twice.
func (d *daemon) identity(format string, of ...any) map[string]string {
	if !d.kafka.EventHubs {
		return nil
	}
	return map[string]string{topic.HeaderID: fmt.Sprintf(format, of...)}
}

func (d *daemon) entryRecord(item *drumbeat.Item) (topic.Record, error) {
	text, err := json.Marshal(recordOf(item))
	if err != nil {
		return topic.Record{}, fmt.Errorf("encode log entry at %s: %w", item.Position, err)
	}
	return topic.Record{
		Topic: d.predictions.Name, Key: string(item.Machine), Type: typeEntry, Value: text, Time: item.ArrivalTime,
		Headers: d.identity("%s", item.Position),
	}, nil
}

func (d *daemon) predictionRecord(p *drumbeat.Prediction) (topic.Record, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return topic.Record{}, fmt.Errorf("encode prediction of %s at %s: %w", p.Machine, p.Position, err)
	}
	return topic.Record{
		Topic: d.predictions.Name, Key: string(p.Machine), Type: ingest.TypePrediction, Value: text, Time: p.ArrivalTime,
	}, nil
}

// publish writes live predictions of the API for the alert store.
func (d *daemon) publish(ctx context.Context, predictions []drumbeat.Prediction) error {
	records := make([]topic.Record, 0, len(predictions))
	for i := range predictions {
		record, err := d.predictionRecord(&predictions[i])
		if err != nil {
			return err
		}
		records = append(records, record)
	}
	return d.writer.Write(ctx, records)
}
