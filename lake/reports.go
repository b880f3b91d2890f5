package lake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"drumbeat"
	"drumbeat/delta"
)

// Report is what was found out about a fleet at some time, such as the drift
// of a day.
type Report struct {
	Kind   string // drift, recall, …
	Key    string // unique among its kind: the day, the run
	MadeAt drumbeat.Time
	Text   []byte // JSON
}

// maxReport bounds a report's text: some hundreds of features with figures by
// day stay far below.
const maxReport = 16 << 20

func reportCodec() codec[Report] {
	return codec[Report]{columns: []column[Report]{
		few("kind", func(row *Report) *string { return &row.Kind }),
		free("key", func(row *Report) *string { return &row.Key }),
		instant("made_at", func(row *Report) *drumbeat.Time { return &row.MadeAt }),
		{
			Field: delta.Field{Name: "text", Type: delta.String},
			text:  func(row *Report) []byte { return row.Text },
			read:  func(row *Report, c *delta.Column, i int, _ *names) { row.Text = bytes.Clone(c.Bytes[i]) },
		},
	}}
}

// AppendReport writes a report, unless there is one of its kind and key: the
// first stands, whatever it says.
func (l *Lake) AppendReport(ctx context.Context, r Report) error {
	switch {
	case r.Kind == "" || r.Key == "":
		return fmt.Errorf("append to reports: kind %q, key %q: want both: %w", r.Kind, r.Key, drumbeat.ErrInvalid)
	case len(r.Text) > maxReport:
		return fmt.Errorf("append to reports: %s %s has %d bytes, at most %d: %w", r.Kind, r.Key, len(r.Text), maxReport, drumbeat.ErrLimit)
	case !json.Valid(r.Text):
		return fmt.Errorf("append to reports: %s %s is no JSON text: %w", r.Kind, r.Key, drumbeat.ErrInvalid)
	}
	name := append(binary.AppendUvarint(nil, uint64(len(r.Kind))), r.Kind+r.Key...)
	hash := sha256.Sum256(name)
	app := l.reports.verb + "/" + hex.EncodeToString(hash[:16])
	commit := delta.Commit{Txns: map[string]delta.Txn{app: {From: delta.NoTxn, To: 1}}}
	if err := l.reports.Append(ctx, []*delta.Batch{reportCodec().encode([]Report{r}, all(1))}, commit); err != nil {
		return fmt.Errorf("append to reports: %w", err)
	}
	return nil
}

// Reports returns the reports of a kind, or of all kinds if it is "", the last
// written first: at most limit of them, or all if it is 0.
func (l *Lake) Reports(ctx context.Context, kind string, limit int) ([]Report, error) {
	snapshot, err := l.reports.Refresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("read reports: %w", err)
	}
	files := snapshot.Files()
	var out []Report
	for k := len(files) - 1; k >= 0 && (limit <= 0 || len(out) < limit); k-- {
		var rows []Report
		var texts names
		for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Files: files[k : k+1]}) {
			if err != nil {
				return nil, fmt.Errorf("read reports: %w", err)
			}
			rows = reportCodec().decode(batch, rows, &texts)
		}
		for i := len(rows) - 1; i >= 0 && (limit <= 0 || len(out) < limit); i-- {
			if kind == "" || rows[i].Kind == kind {
				out = append(out, rows[i])
			}
		}
	}
	return out, nil
}
