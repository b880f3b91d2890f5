package lake

import (
	"context"
	"fmt"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/delta"
)

// ScoreScan narrows a scan of scores. The zero value is everything.
type ScoreScan struct {
	// From and Until bound as_of, [From, Until); at 0 or below they do not.
	From, Until drumbeat.Time
	Versions    []drumbeat.ModelVersion // nil for all
}

// scoreColumns are what measures need of a prediction.
func scoreColumns() []string {
	return []string{
		"machine", "as_of", "epoch", "partition", "offset", "index", "arrival_time", "reading_id", "model_version",
		"role", "purpose", "probability", "threshold", "alarm", "running",
	}
}

// ScanScores gives fn predictions without their reasons: of each only Machine,
// AsOf, Position, ArrivalTime, ReadingID, Model, Role, Purpose, Probability,
// Threshold, Alarm and Running are read. They come in the order in which they
// were written, in chunks valid until fn returns.
func (l *Lake) ScanScores(ctx context.Context, opt ScoreScan, fn func(scores []drumbeat.Prediction) error) error {
	snapshot, err := l.predictions.Refresh(ctx)
	if err != nil {
		return fmt.Errorf("scan scores: %w", err)
	}
	c := predictionCodec().pick(scoreColumns()...)
	asOf, version := c.field("as_of"), c.field("model_version")
	skip := func(f *delta.File) bool {
		least, most, ok := f.Range(version)
		if ok && opt.Versions != nil && !slices.ContainsFunc(opt.Versions, func(v drumbeat.ModelVersion) bool {
			return int64(v) >= least && int64(v) <= most
		}) {
			return true
		}
		return outside(f, asOf, opt.From, opt.Until)
	}
	var rows []drumbeat.Prediction
	var texts names
	for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Columns: c.names(), Skip: skip}) {
		if err != nil {
			return fmt.Errorf("scan scores: %w", err)
		}
		rows = c.decode(batch, rows[:0], &texts)
		rows = slices.DeleteFunc(rows, func(p drumbeat.Prediction) bool {
			return !within(p.AsOf, opt.From, opt.Until) || opt.Versions != nil && !slices.Contains(opt.Versions, p.Model)
		})
		if len(rows) == 0 {
			continue
		}
		if err := fn(rows); err != nil {
			return err
		}
	}
	return nil
}

// within says whether t is in [from, until), neither of which bounds at 0 or
// below.
func within(t, from, until drumbeat.Time) bool {
	return (from <= 0 || t >= from) && (until <= 0 || t < until)
}

// outside says whether a file's statistics rule out that its field has a time
// in [from, until).
func outside(f *delta.File, field delta.Field, from, until drumbeat.Time) bool {
	if until <= 0 {
		until = math.MaxInt64
	}
	least, most, ok := f.Range(field)
	return ok && (from > 0 && most < int64(from) || least >= int64(until))
}
