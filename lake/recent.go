package lake

import (
	"context"
	"fmt"
	"time"

	"drumbeat"
)

// Span is where and when a machine was heard of.
type Span struct {
	Partition int32         // of its last reading
	First     drumbeat.Time // least event_time of its readings
	Last      drumbeat.Time // greatest event_time of its readings
	Arrival   drumbeat.Time // greatest arrival_time of its readings
}

// Spans returns the span of every machine that has readings in silver below
// to; a nil to is all of silver.
func (l *Lake) Spans(ctx context.Context, to Progress) (map[drumbeat.MachineID]Span, error) {
	m, err := l.newMerger(ctx, ScanOptions{To: to, Partition: AllPartitions})
	if err != nil {
		return nil, fmt.Errorf("scan silver: %w", err)
	}
	scan := m.readings
	scan.codec = l.readingRows.pick("epoch", "partition", "offset", "machine", "event_time", "arrival_time")
	scan.codec.begin = nil // no values are read
	out := map[drumbeat.MachineID]Span{}
	for rows, err := range scan.rows(ctx) {
		if err != nil {
			return nil, fmt.Errorf("scan silver: %w", err)
		}
		for i := range rows {
			row := &rows[i]
			s, seen := out[row.Machine]
			if !seen {
				s = Span{First: row.EventTime, Last: row.EventTime, Arrival: row.ArrivalTime}
			}
			s.Partition = row.Position.Partition
			s.First, s.Last = min(s.First, row.EventTime), max(s.Last, row.EventTime)
			s.Arrival = max(s.Arrival, row.ArrivalTime)
			out[row.Machine] = s
		}
	}
	return out, nil
}

// FirstReadings returns the least event_time of every machine's readings in
// silver below to (W7); a nil to is all of silver.
func (l *Lake) FirstReadings(ctx context.Context, to Progress) (map[drumbeat.MachineID]drumbeat.Time, error) {
	spans, err := l.Spans(ctx, to)
	if err != nil {
		return nil, err
	}
	first := make(map[drumbeat.MachineID]drumbeat.Time, len(spans))
	for machine, span := range spans {
		first[machine] = span.First
	}
	return first, nil
}

// ScanRecent is ScanSilver with only the recent readings of each machine:
// those later than its own last event_time or last arrival_time (the earlier
// of them), less horizon. Entries, machines and watermarks all come.
func (l *Lake) ScanRecent(
	ctx context.Context, opt ScanOptions, horizon time.Duration, fn func(items []drumbeat.Item) error,
) error {
	if opt.To == nil {
		opt.To = l.SilverProgress() // both scans must see the same
	}
	spans, err := l.Spans(ctx, opt.To)
	if err != nil {
		return err
	}
	cuts := make(map[drumbeat.MachineID]drumbeat.Time, len(spans))
	least := drumbeat.Time(0)
	for machine, span := range spans {
		if opt.Partition != AllPartitions && span.Partition != opt.Partition {
			continue
		}
		cut := min(span.Last, span.Arrival).Add(-horizon)
		if len(cuts) == 0 || cut < least {
			least = cut
		}
		cuts[machine] = cut
	}
	opt.Since = max(opt.Since, least)
	return l.scanSilver(ctx, opt, func(item *drumbeat.Item) bool { return item.EventTime > cuts[item.Machine] }, fn)
}
