package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/topic"
)

// TypePrediction is the type header of a prediction in the predictions topic;
// its value is a drumbeat.Prediction as JSON (docs/format/predictions.md).
const TypePrediction = "prediction"

// Predictions copies an epoch of the predictions topic into its table until
// ctx ends, exactly once: offsets are committed with the rows.
func Predictions(ctx context.Context, l *lake.Lake, epoch int32, open OpenReader, flush time.Duration) error {
	next := l.PredictionProgress(epoch)
	if next == nil {
		next = lake.Progress{}
	}
	reader, err := open(ctx, next)
	if err != nil {
		return err
	}
	defer reader.Close()
	var held []drumbeat.Prediction
	var due time.Time
	for ctx.Err() == nil {
		wait, cancel := ctx, context.CancelFunc(func() {})
		if len(held) > 0 {
			wait, cancel = context.WithDeadline(ctx, due)
		}
		records, err := reader.Poll(wait)
		cancel()
		if err != nil {
			return fmt.Errorf("read predictions: %w", err)
		}
		if len(held) == 0 {
			due = time.Now().Add(flush)
		}
		if held, err = takePredictions(records, held, next); err != nil {
			return err
		}
		if len(held) < DefaultBatch && (len(held) == 0 || time.Now().Before(due)) {
			continue
		}
		if err := commitPredictions(context.WithoutCancel(ctx), l, held, epoch, next); err != nil {
			return err
		}
		held = held[:0]
	}
	return commitPredictions(context.WithoutCancel(ctx), l, held, epoch, next)
}

func takePredictions(records []topic.Record, held []drumbeat.Prediction, next lake.Progress) ([]drumbeat.Prediction, error) {
	for i := range records {
		r := &records[i]
		next[r.Partition] = r.Offset + 1
		if r.Type != TypePrediction {
			continue // a log entry that passed by, for the alerts
		}
		var p drumbeat.Prediction
		if err := json.Unmarshal(r.Value, &p); err != nil {
			return held, fmt.Errorf("read prediction at %s/%d/%d: only drumbeat writes this topic: %w",
				r.Topic, r.Partition, r.Offset, err)
		}
		held = append(held, p)
	}
	return held, nil
}

func commitPredictions(ctx context.Context, l *lake.Lake, held []drumbeat.Prediction, epoch int32, next lake.Progress) error {
	if len(held) == 0 {
		return nil
	}
	if err := l.AppendPredictions(ctx, held, epoch, maps.Clone(next)); err != nil {
		return fmt.Errorf("commit %d predictions: %w", len(held), err)
	}
	return nil
}
