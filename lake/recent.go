package lake

import (
	"context"
	"fmt"
	"time"

	"drumbeat"
)

// Span is where and when a machine was heard of.
type Span struct {
	Partition int32         // of its last reading, in the standing epoch (Home)
	First     drumbeat.Time // least event_time of its readings
	Last      drumbeat.Time // greatest event_time of its readings
	Arrival   drumbeat.Time // greatest arrival_time of its readings
}

// Spans returns the span of every machine that has readings in silver below
// to; a nil to is all of silver.
func (l *Lake) Spans(ctx context.Context, to Progress) (map[drumbeat.MachineID]Span, error) {
	out := map[drumbeat.MachineID]Span{}
	err := l.scanTimes(ctx, to, func(row *drumbeat.Item) {
		s, seen := out[row.Machine]
		if !seen {
			s = Span{First: row.EventTime, Last: row.EventTime, Arrival: row.ArrivalTime}
		}
		s.Partition = l.Home(row.Machine, row.Position)
		s.First, s.Last = min(s.First, row.EventTime), max(s.Last, row.EventTime)
		s.Arrival = max(s.Arrival, row.ArrivalTime)
		out[row.Machine] = s
	})
	return out, err
}

// scanTimes visits every reading of silver below to, with its position and
// times but no values.
func (l *Lake) scanTimes(ctx context.Context, to Progress, visit func(*drumbeat.Item)) error {
	m, err := l.newMerger(ctx, ScanOptions{To: to, Partition: AllPartitions})
	if err != nil {
		return fmt.Errorf("scan silver: %w", err)
	}
	scan := m.readings
	scan.codec = l.readingRows.pick("epoch", "partition", "offset", "machine", "event_time", "arrival_time")
	scan.codec.begin = nil // no values are read
	for rows, err := range scan.rows(ctx) {
		if err != nil {
			return fmt.Errorf("scan silver: %w", err)
		}
		for i := range rows {
			visit(&rows[i])
		}
	}
	return nil
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
// of them), less horizon, and the last one before those, which says whether it
// was running then (W7). Entries, machines and watermarks all come.
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
	for machine, span := range spans {
		cuts[machine] = min(span.Last, span.Arrival).Add(-horizon)
	}
	before := make(map[drumbeat.MachineID]drumbeat.Time, len(spans))
	err = l.scanTimes(ctx, opt.To, func(row *drumbeat.Item) {
		if row.EventTime > cuts[row.Machine] {
			return
		}
		if last, seen := before[row.Machine]; !seen || row.EventTime > last {
			before[row.Machine] = row.EventTime
		}
	})
	if err != nil {
		return err
	}
	least := drumbeat.NoTime
	for machine, cut := range cuts {
		if last, seen := before[machine]; seen {
			cut = last - 1
			cuts[machine] = cut
		}
		if least == drumbeat.NoTime || cut < least {
			least = cut
		}
	}
	opt.Since = max(opt.Since, least)
	return l.scanSilver(ctx, opt, func(item *drumbeat.Item) bool { return item.EventTime > cuts[item.Machine] }, fn)
}
