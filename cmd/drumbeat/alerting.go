package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/ingest"
	"drumbeat/topic"
)

// followPredictions hands the predictions topic to the alert store, which
// keeps how far it has come, until ctx ends.
func (d *daemon) followPredictions(ctx context.Context) error {
	from := map[int32]int64{}
	for place, offset := range d.alerts.Progress() {
		if place.Epoch == d.predictions.Epoch {
			from[place.Partition] = offset
		}
	}
	reader, err := d.reader(d.predictions)(ctx, from)
	if err != nil {
		return err
	}
	defer reader.Close()
	for ctx.Err() == nil {
		records, err := reader.Poll(ctx)
		if err != nil {
			return fmt.Errorf("read predictions: %w", err)
		}
		if len(records) == 0 {
			continue
		}
		if err := d.applyPredictions(context.WithoutCancel(ctx), records); err != nil {
			return err
		}
	}
	return nil
}

// applyPredictions gives the records to the alert store, partition by
// partition, and tells it what time it is once nothing older is on its way.
func (d *daemon) applyPredictions(ctx context.Context, records []topic.Record) error {
	batches := map[int32]*alert.Batch{}
	for i := range records {
		r := &records[i]
		b := batches[r.Partition]
		if b == nil {
			b = &alert.Batch{Place: alert.Place{Epoch: r.Epoch, Partition: r.Partition}, Now: drumbeat.NoTime}
			batches[r.Partition] = b
		}
		event := alert.Event{Offset: r.Offset}
		var err error
		switch r.Type {
		case ingest.TypePrediction:
			event.Prediction = new(drumbeat.Prediction)
			err = json.Unmarshal(r.Value, event.Prediction)
		case typeEntry:
			var entry entryRecord
			err = json.Unmarshal(r.Value, &entry)
			event.Entry = entry.item()
		}
		if err != nil {
			return fmt.Errorf("read %s/%d/%d: only drumbeat writes this topic: %w", r.Topic, r.Partition, r.Offset, err)
		}
		b.Events = append(b.Events, event)
		b.Next = r.Offset + 1
	}
	next := map[int32]int64{}
	for partition, b := range batches {
		if err := d.alerts.Apply(ctx, b); err != nil {
			return fmt.Errorf("apply %d predictions of partition %d: %w", len(b.Events), partition, err)
		}
		next[partition] = b.Next
	}
	d.alerted.reach(next)
	return d.tickAlerts(ctx)
}

// tickAlerts moves the alert store's clock, if everything that was published
// up to that time has been applied (T6).
func (d *daemon) tickAlerts(ctx context.Context) error {
	now := d.publishedAt.Load()
	applied := d.alerted.now()
	for partition, offset := range d.published.now() {
		if applied[partition] < offset {
			return nil
		}
	}
	if now == nil || *now == drumbeat.NoTime {
		return nil
	}
	return d.alerts.Tick(ctx, *now)
}

// answer stores a finding with both clocks and tells a simulator of a repair.
func (d *daemon) answer(ctx context.Context, f drumbeat.Finding) (drumbeat.Finding, error) {
	f.ID = rand.Text()
	f.WhenFleet = d.stream.Clock().Now()
	f.WhenWall = drumbeat.At(wallNow())
	kept, err := d.alerts.Answer(ctx, f)
	if err != nil {
		return kept, err
	}
	if kept.Outcome == drumbeat.OutcomeRepaired && d.sim() != nil {
		select {
		case d.repairs <- kept:
		case <-ctx.Done():
		}
	}
	return kept, nil
}

// carryFindings copies new findings to the ground-truth table, which knows
// those that it has by their ids.
func (d *daemon) carryFindings(ctx context.Context) error {
	for {
		rows, err := d.alerts.FindingsAfter(ctx, d.carried)
		if err != nil {
			return fmt.Errorf("read findings: %w", err)
		}
		if len(rows) == 0 {
			return nil
		}
		findings := make([]drumbeat.Finding, len(rows))
		for i := range rows {
			findings[i] = rows[i].Finding
		}
		if err := d.lake.AppendFindings(ctx, findings); err != nil {
			return fmt.Errorf("append %d findings to the ground truth: %w", len(findings), err)
		}
		d.carried = rows[len(rows)-1].Seq
	}
}
