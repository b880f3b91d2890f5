package lake

import (
	"context"

	"drumbeat"
	"drumbeat/delta"
)

// Lost is records that a topic no longer held when they were to be read: a gap
// in what the lake knows.
type Lost struct {
	Position drumbeat.Position // of the first; its index is 0
	Until    int64             // the offset behind the last
	After    drumbeat.Time     // arrival_time of the newest item before them, NoTime if nobody knows
	Noticed  drumbeat.Time     // wall time
}

// Records returns how many records are lost; markers of transactions count.
func (l *Lost) Records() int64 { return l.Until - l.Position.Offset }

func lostCodec() codec[Lost] {
	return codec[Lost]{columns: position(lostPosition)}.with(
		whole(delta.Field{Name: "until", Type: delta.Int64},
			func(row *Lost) int64 { return row.Until }, func(row *Lost, v int64) { row.Until = v }),
		instant("after", func(row *Lost) *drumbeat.Time { return &row.After }),
		instant("noticed", func(row *Lost) *drumbeat.Time { return &row.Noticed }),
	)
}

func lostPosition(row *Lost) *drumbeat.Position { return &row.Position }

// AllLost returns every gap, in the order in which they were noticed.
func (l *Lake) AllLost(ctx context.Context) ([]Lost, error) {
	var all []Lost
	err := scanAll(ctx, l.lost, lostCodec(), func(rows []Lost) error {
		all = append(all, rows...)
		return nil
	})
	return all, err
}
