package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/model"
	"drumbeat/registry"
	"drumbeat/serve"
	"drumbeat/topic"
)

const (
	// typeEntry is the type header of a log entry that passes through the
	// predictions topic, so that alerts close at its position (A1).
	typeEntry = "entry"
	// streamGroup is the consumer group under which the stream commits.
	streamGroup = "drumbeat-stream"
	// usualDays is how much history says what is usual for a machine.
	usualDays = 30
	// aliasEvery is how often a moved alias is looked for.
	aliasEvery = 500 * time.Millisecond
)

// loadModels puts in service what the aliases name; nothing, if there is no
// champion yet.
func (d *daemon) loadModels(ctx context.Context) error {
	known, err := d.hasChampion(ctx)
	if err != nil || !known {
		return err
	}
	return d.loadChampion(ctx)
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
func (d *daemon) openStream(ctx context.Context) error {
	committed, err := topic.Committed(ctx, d.kafka, streamGroup, d.telemetry.Name)
	if err != nil {
		return err
	}
	if len(committed) == 0 {
		committed = nil
	}
	// An id of its own at every start: see embedded.Broker.
	d.txn, err = topic.NewTxnWriter(ctx, d.kafka, "drumbeat-stream-"+string(d.def.Name)+"-"+d.broker.Incarnation())
	if err != nil {
		return err
	}
	d.closers = append(d.closers, func() error { d.txn.Close(); return nil })
	d.scorer = serve.NewScorer(d.def)
	d.stream, err = materialize.NewStream(ctx, materialize.StreamConfig{
		Fleet: d.def, Views: []*feature.View{d.view}, Lake: d.lake, Online: d.online, Open: d.reader(d.telemetry),
		Committed: committed, Sink: d.sink, Log: d.log,
	})
	return err
}

// loadChampion puts the champion in service.
func (d *daemon) loadChampion(ctx context.Context) error {
	version, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	if err != nil {
		return fmt.Errorf("find the champion: %w", err)
	}
	return d.putInService(ctx, &version)
}

func (d *daemon) putInService(ctx context.Context, version *registry.Version) error {
	if version.Manifest.Hash != d.view.Hash {
		return fmt.Errorf("champion %d was trained on view hash %.12s, the view now has %.12s; "+
			"train a new model, or put the old features.yaml back: %w",
			version.Number, version.Manifest.Hash, d.view.Hash, drumbeat.ErrConflict)
	}
	files := map[string][]byte{}
	for _, file := range version.Files {
		content, err := d.registry.Read(ctx, version, file.Name)
		if err != nil {
			return fmt.Errorf("read champion %d: %w", version.Number, err)
		}
		files[file.Name] = content
	}
	m, err := model.Decode(files)
	if err != nil {
		return fmt.Errorf("load champion %d: %w", version.Number, err)
	}
	if d.usual == nil {
		if d.usual, err = d.learnUsual(ctx); err != nil {
			return err
		}
	}
	return d.scorer.Swap(serve.Models{
		Champion: &serve.Live{Version: version.Number, View: d.view, Model: m},
		Usual:    map[drumbeat.Hash]*serve.Usual{d.view.Hash: d.usual},
	})
}

// learnUsual reads from gold what is usual for each machine: a row an hour of
// the last weeks.
func (d *daemon) learnUsual(ctx context.Context) (*serve.Usual, error) {
	usual := serve.NewUsual(d.view)
	now := d.stream.Clock().Now()
	if now == drumbeat.NoTime {
		return usual, nil
	}
	hour := map[drumbeat.MachineID]int64{}
	values := make([]float64, len(d.view.Features))
	err := d.backfill.Gold().Scan(ctx, lake.GoldScan{From: now.Add(-usualDays * 24 * time.Hour), Until: drumbeat.NoTime},
		func(c *lake.GoldChunk) error {
			for i := range c.Len() {
				h := c.AsOf[i].Milliseconds() / time.Hour.Milliseconds()
				if hour[c.Machine[i]] == h || c.MadeBy[i] != drumbeat.CauseReading {
					continue
				}
				hour[c.Machine[i]] = h
				for j := range values {
					values[j] = c.Features[j][i]
				}
				usual.Add(c.Machine[i], values)
			}
			return nil
		})
	if err != nil {
		return nil, fmt.Errorf("learn what is usual: %w", err)
	}
	return usual, nil
}

// followAliases swaps models when the alias moves, until ctx ends.
func (d *daemon) followAliases(ctx context.Context) error {
	alias, err := d.registry.Alias(ctx, d.def.Name, drumbeat.RoleChampion)
	if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
		return err
	}
	ticker := time.NewTicker(aliasEvery)
	defer ticker.Stop()
	return registry.Follow(ctx, d.registry, alias, ticker.C,
		func(to registry.Alias) error {
			champion := d.scorer.Champion()
			if to.Version == 0 || champion != nil && to.Version == champion.Version {
				return nil
			}
			version, err := d.registry.Version(ctx, d.def.Name, to.Version)
			if err == nil {
				err = d.putInService(ctx, &version)
			}
			if err != nil {
				d.log.ErrorContext(ctx, "new champion not put in service, the last one keeps serving", "error", err)
			}
			return nil
		},
		func(err error) { d.log.WarnContext(ctx, "registry not readable, trying again", "error", err) })
}

// sink scores a batch of the stream and writes predictions, and the log
// entries that alerts must know, in one transaction with the offsets.
func (d *daemon) sink(ctx context.Context, batch materialize.Batch) error {
	records, models := make([]topic.Record, 0, len(batch.Outputs)), d.scorer.Models()
	var err error
	for i := range batch.Outputs {
		if records, err = d.appendRecords(records, models, &batch.Outputs[i]); err != nil {
			return err
		}
	}
	if len(batch.Next) > 0 {
		commit := topic.Commit{Group: streamGroup, Topic: d.telemetry, Offsets: batch.Next}
		if err := d.txn.WriteTxn(ctx, records, commit); err != nil {
			return fmt.Errorf("commit %d predictions: %w", len(records), err)
		}
	}
	published := map[int32]int64{}
	for i := range records {
		published[records[i].Partition] = records[i].Offset + 1
	}
	d.published.reach(published)
	d.publishedAt.Store(&batch.Now)
	d.scored.reach(batch.Next)
	return nil
}

// appendRecords appends the records of an output: an entry, or what the models
// say of a vector, nothing where there is no model yet.
func (d *daemon) appendRecords(
	records []topic.Record, models *serve.Models, out *materialize.Output,
) ([]topic.Record, error) {
	if out.Entry != nil {
		text, err := json.Marshal(recordOf(out.Entry))
		if err != nil {
			return nil, fmt.Errorf("encode log entry at %s: %w", out.Entry.Position, err)
		}
		return append(records, topic.Record{
			Topic: d.predictions.Name, Key: string(out.Entry.Machine), Type: typeEntry, Value: text, Time: out.Entry.ArrivalTime,
		}), nil
	}
	if models == nil {
		return records, nil // no model, no prediction: the vector is online all the same
	}
	predictions := models.Predict(out.View.Hash, out.Vector, nil)
	models.Learn(out.View.Hash, out.Vector)
	for i := range predictions {
		record, err := d.predictionRecord(&predictions[i])
		if err != nil {
			return nil, err
		}
		records = append(records, *record)
	}
	return records, nil
}

func (d *daemon) predictionRecord(p *drumbeat.Prediction) (*topic.Record, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode prediction of %s at %s: %w", p.Machine, p.Position, err)
	}
	return &topic.Record{
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
		records = append(records, *record)
	}
	return d.writer.Write(ctx, records)
}
