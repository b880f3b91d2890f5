package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"drumbeat"
	"drumbeat/delta"
)

func predictionCodec() codec[drumbeat.Prediction] {
	type p = drumbeat.Prediction
	return codec[p]{columns: []column[p]{
		machine(func(row *p) *drumbeat.MachineID { return &row.Machine }),
		instant("as_of", func(row *p) *drumbeat.Time { return &row.AsOf }),
	}}.with(position(func(row *p) *drumbeat.Position { return &row.Position })...).with(
		few("fleet", func(row *p) *drumbeat.FleetName { return &row.Fleet }),
		free("reading_id", func(row *p) *string { return &row.ReadingID }),
		instant("arrival_time", func(row *p) *drumbeat.Time { return &row.ArrivalTime }),
		few("view_hash", func(row *p) *drumbeat.Hash { return &row.Hash }),
		whole(delta.Field{Name: "model_version", Type: delta.Int64, Dictionary: true, Stats: true},
			func(row *p) int64 { return int64(row.Model) },
			func(row *p, v int64) { row.Model = drumbeat.ModelVersion(v) }),
		few("role", func(row *p) *drumbeat.Role { return &row.Role }),
		few("purpose", func(row *p) *drumbeat.Purpose { return &row.Purpose }),
		few("horizon", func(row *p) *string { return &row.Horizon }),
		few("failure_mode", func(row *p) *string { return &row.Mode }),
		double("margin", func(row *p) *float64 { return &row.Margin }),
		double("probability", func(row *p) *float64 { return &row.Probability }),
		double("threshold", func(row *p) *float64 { return &row.Threshold }),
		truth("alarm", func(row *p) *bool { return &row.Alarm }),
		document("flags", func(row *p) *[]string { return &row.Flags }),
		document("reasons", func(row *p) *[]drumbeat.Reason { return &row.Reasons }),
		// Tables that are older than this column have nulls there: false.
		nullable(truth("running", func(row *p) *bool { return &row.Running })),
	)
}

// document is a nullable column of a list as JSON text, null if it is empty.
func document[T, E any](name string, at func(*T) *[]E) column[T] {
	return column[T]{
		Field: delta.Field{Name: name, Type: delta.String, Nullable: true},
		text: func(row *T) []byte {
			text, err := json.Marshal(*at(row))
			if err != nil { // a number that JSON cannot say: the list is lost, the row is not
				return []byte("[]")
			}
			return text
		},
		null: func(row *T) bool { return len(*at(row)) == 0 },
		read: func(row *T, c *delta.Column, i int, _ *names) {
			if len(c.Bytes[i]) == 0 || json.Unmarshal(c.Bytes[i], at(row)) != nil {
				*at(row) = nil
			}
		},
	}
}

// AppendPredictions writes predictions together with progress over an epoch of
// the topic
// that they were read from. A batch begins where the last one ended, or at
// PredictionProgress, and is written whole. If it is in the table already,
// nothing is written; if the table stands elsewhere, because an earlier call
// failed after all but its answer was done, or another process writes, then
// drumbeat.ErrConflict: read again from PredictionProgress.
func (l *Lake) AppendPredictions(ctx context.Context, predictions []drumbeat.Prediction, epoch int32, next Progress) error {
	l.predicting.Lock()
	defer l.predicting.Unlock()
	if l.predicted == nil || l.predictedEpoch != epoch {
		l.predicted, l.predictedEpoch = l.predictions.at(epoch), epoch
	}
	commit := delta.Commit{Txns: map[string]delta.Txn{}}
	for partition, offset := range next {
		from, begun := l.predicted[partition]
		if !begun {
			from = delta.NoTxn
		}
		if offset > from {
			commit.Txns[l.predictions.app(epoch, partition)] = delta.Txn{From: from, To: offset}
		}
	}
	if len(commit.Txns) == 0 {
		if len(next) == 0 && len(predictions) > 0 {
			return fmt.Errorf("append to predictions: %d rows without progress: %w", len(predictions), drumbeat.ErrInvalid)
		}
		return nil
	}
	batch := predictionCodec().encode(predictions, all(len(predictions)))
	if err := l.predictions.Append(ctx, []*delta.Batch{batch}, commit); err != nil {
		// What really happened decides where the next batch begins.
		_, refreshErr := l.predictions.Refresh(ctx)
		return fmt.Errorf("append to predictions: %w", errors.Join(err, refreshErr))
	}
	for partition, offset := range next {
		l.predicted[partition] = max(l.predicted[partition], offset)
	}
	return nil
}

// PredictionProgress returns what the predictions table holds of an epoch of
// their topic, as of the last commit that this Lake knows: where the next batch
// begins.
func (l *Lake) PredictionProgress(epoch int32) Progress {
	l.predicting.Lock()
	defer l.predicting.Unlock()
	l.predicted, l.predictedEpoch = l.predictions.at(epoch), epoch
	return maps.Clone(l.predicted)
}

// ScanPredictions gives fn every prediction in the order in which they were
// written, in chunks valid until fn returns.
func (l *Lake) ScanPredictions(ctx context.Context, fn func(predictions []drumbeat.Prediction) error) error {
	return scanAll(ctx, l.predictions, predictionCodec(), fn)
}

func findingCodec() codec[drumbeat.Finding] {
	type f = drumbeat.Finding
	return codec[f]{columns: []column[f]{
		free("id", func(row *f) *string { return &row.ID }),
		few("fleet", func(row *f) *drumbeat.FleetName { return &row.Fleet }),
		machine(func(row *f) *drumbeat.MachineID { return &row.Machine }),
		free("alert", func(row *f) *string { return &row.Alert }),
		few("outcome", func(row *f) *drumbeat.Outcome { return &row.Outcome }),
		few("failure_mode", func(row *f) *string { return &row.Mode }),
		free("part", func(row *f) *string { return &row.Part }),
		free("note", func(row *f) *string { return &row.Note }),
		few("who", func(row *f) *string { return &row.Who }),
		instant("when_fleet", func(row *f) *drumbeat.Time { return &row.WhenFleet }),
		instant("when_wall", func(row *f) *drumbeat.Time { return &row.WhenWall }),
		instant("from_time", func(row *f) *drumbeat.Time { return &row.From }),
	}}
}

// AppendFindings writes the findings whose ids the table does not hold yet: an
// id is written once, the first that comes stands.
func (l *Lake) AppendFindings(ctx context.Context, findings []drumbeat.Finding) error {
	for range attempts {
		snapshot, fresh, err := l.newFindings(ctx, findings)
		if err != nil {
			return fmt.Errorf("append to findings: %w", err)
		}
		if len(fresh) == 0 {
			return nil
		}
		batch := findingCodec().encode(findings, fresh)
		err = l.findings.Append(ctx, []*delta.Batch{batch}, delta.Commit{Base: snapshot})
		if err == nil {
			return nil
		}
		if !errors.Is(err, drumbeat.ErrConflict) {
			return fmt.Errorf("append to findings: %w", err)
		}
	}
	return fmt.Errorf("append to findings: another process writes them; stop all but one: %w", drumbeat.ErrConflict)
}

// newFindings returns the indexes of findings that the newest snapshot does
// not hold. Ids are read once and kept.
func (l *Lake) newFindings(ctx context.Context, findings []drumbeat.Finding) (*delta.Snapshot, []int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	snapshot, err := l.findings.Refresh(ctx)
	if err != nil {
		return nil, nil, err
	}
	if l.seen != snapshot.Version() {
		known := map[string]bool{}
		for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Columns: []string{"id"}}) {
			if err != nil {
				return nil, nil, err
			}
			for _, id := range batch.Columns[0].Bytes {
				known[string(id)] = true
			}
		}
		l.known, l.seen = known, snapshot.Version()
	}
	var fresh []int32
	batch := map[string]bool{}
	for i := range findings {
		id := findings[i].ID
		if id == "" {
			return nil, nil, fmt.Errorf("finding %d has no id: %w", i, drumbeat.ErrInvalid)
		}
		if !l.known[id] && !batch[id] {
			fresh = append(fresh, int32(i))
			batch[id] = true
		}
	}
	return snapshot, fresh, nil
}

// ScanFindings gives fn every finding in the order in which they were written,
// in chunks valid until fn returns.
func (l *Lake) ScanFindings(ctx context.Context, fn func(findings []drumbeat.Finding) error) error {
	return scanAll(ctx, l.findings, findingCodec(), fn)
}
