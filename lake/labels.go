package lake

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"drumbeat"
	"drumbeat/delta"
)

// The values of a label (L1, L2).
const (
	LabelUnknown  int8 = -1
	LabelNegative int8 = 0
	LabelPositive int8 = 1
)

// Label says what became of a machine within a horizon of a row (L1 to L3).
type Label struct {
	Machine  drumbeat.MachineID
	AsOf     drumbeat.Time
	Position drumbeat.Position // of the row that is labelled
	Horizon  string            // the fleet file's text, such as 7d
	Value    int8
	Source   string        // what decided it: failure log, a finding, …
	MadeAt   drumbeat.Time // on the fleet's clock (T6)
	Policy   string        // which policy was applied
}

func labelCodec() codec[Label] {
	return codec[Label]{columns: []column[Label]{
		machine(func(row *Label) *drumbeat.MachineID { return &row.Machine }),
		instant("as_of", func(row *Label) *drumbeat.Time { return &row.AsOf }),
	}}.with(position(func(row *Label) *drumbeat.Position { return &row.Position })...).with(
		few("horizon", func(row *Label) *string { return &row.Horizon }),
		whole(delta.Field{Name: "label", Type: delta.Int32, Dictionary: true},
			func(row *Label) int64 { return int64(row.Value) },
			func(row *Label, v int64) { row.Value = int8(v) }), //nolint:gosec // written from an int8
		few("source", func(row *Label) *string { return &row.Source }),
		instant("made_at", func(row *Label) *drumbeat.Time { return &row.MadeAt }),
		few("policy", func(row *Label) *string { return &row.Policy }),
	)
}

// AppendLabels writes labels. The very same labels again change nothing: a
// call that failed can be repeated as it was.
func (l *Lake) AppendLabels(ctx context.Context, labels []Label) error {
	if len(labels) == 0 {
		return nil
	}
	hash := sha256.New()
	var row []byte
	for i := range labels {
		row = labels[i].identity(row[:0])
		hash.Write(row) // never fails, by its contract
	}
	app := l.labels.verb + "/" + hex.EncodeToString(hash.Sum(nil)[:16])
	commit := delta.Commit{Txns: map[string]delta.Txn{app: {From: delta.NoTxn, To: 1}}}
	if err := l.labels.Append(ctx, []*delta.Batch{labelCodec().encode(labels, all(len(labels)))}, commit); err != nil {
		return fmt.Errorf("append to labels: %w", err)
	}
	return nil
}

// identity appends all that a label says, unambiguously.
func (x *Label) identity(out []byte) []byte {
	for _, n := range []int64{
		int64(x.AsOf), int64(x.Position.Epoch), int64(x.Position.Partition), x.Position.Offset,
		int64(x.Position.Index), int64(x.Value), int64(x.MadeAt),
	} {
		out = binary.AppendVarint(out, n)
	}
	for _, text := range []string{string(x.Machine), x.Horizon, x.Source, x.Policy} {
		out = binary.AppendUvarint(out, uint64(len(text)))
		out = append(out, text...)
	}
	return out
}

// ScanLabels gives fn every label in the order in which they were written, in
// chunks valid until fn returns.
func (l *Lake) ScanLabels(ctx context.Context, fn func(labels []Label) error) error {
	return scanAll(ctx, l.labels, labelCodec(), fn)
}

// all returns the indexes of n rows.
func all(n int) []int32 {
	indexes := make([]int32, n)
	for i := range indexes {
		indexes[i] = int32(i)
	}
	return indexes
}
