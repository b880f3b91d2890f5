package lake

import (
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/delta"
)

// Counts is how much the lake holds, for evidence (T8).
type Counts struct {
	Rows        map[string]int64 `json:"rows"`         // by table
	Aside       map[string]int64 `json:"aside"`        // by fate
	DeadLetters map[string]int64 `json:"dead_letters"` // by fate
	Reasons     map[string]int64 `json:"reasons"`      // dead letters by reason
	Clipped     map[string]int64 `json:"clipped"`      // values of kept readings by sensor (V1)
	Nulled      map[string]int64 `json:"nulled"`       // values of kept readings by sensor (V1)
	Conflicts   map[string]int64 `json:"conflicts"`    // values of kept readings by sensor (T3)
	Stuck       map[string]int64 `json:"stuck"`        // values of kept readings by sensor (V1)
	Jumps       map[string]int64 `json:"jumps"`        // values of kept readings by sensor (V1)
}

// maxReasons bounds the reasons that are counted apart; what comes beyond them
// is counted as "other".
const maxReasons = 1000

// Counts counts rows by table, and fates, reasons and flags. It reads the
// columns that it counts, and nothing else.
func (l *Lake) Counts(ctx context.Context) (Counts, error) {
	c := Counts{
		Rows: map[string]int64{}, Clipped: map[string]int64{}, Nulled: map[string]int64{}, Conflicts: map[string]int64{},
		Stuck: map[string]int64{}, Jumps: map[string]int64{},
	}
	for name, t := range map[string]*table{
		"bronze": l.bronze, "dead_letters": l.deadLetters, "silver_readings": l.readings, "silver_entries": l.entries,
		"silver_machines": l.machines, "silver_watermarks": l.watermarks, "silver_aside": l.asides,
		"lost": l.lost, "labels": l.labels, "predictions": l.predictions, "findings": l.findings, "reports": l.reports,
	} {
		snapshot, err := t.Refresh(ctx)
		if err != nil {
			return c, fmt.Errorf("count rows: %w", err)
		}
		c.Rows[name] = snapshot.Rows()
	}
	var err error
	if c.Aside, err = countTexts(ctx, l.asides.Snapshot(), "fate"); err != nil {
		return c, err
	}
	if c.DeadLetters, err = countTexts(ctx, l.deadLetters.Snapshot(), "fate"); err != nil {
		return c, err
	}
	if c.Reasons, err = countTexts(ctx, l.deadLetters.Snapshot(), "reason"); err != nil {
		return c, err
	}
	return c, l.countFlags(ctx, &c)
}

// countTexts counts a column's values.
func countTexts(ctx context.Context, s *delta.Snapshot, column string) (map[string]int64, error) {
	counts := map[string]int64{}
	for batch, err := range s.Scan(ctx, delta.ScanOptions{Columns: []string{column}}) {
		if err != nil {
			return counts, fmt.Errorf("count %s: %w", column, err)
		}
		for _, text := range batch.Columns[0].Bytes {
			if _, known := counts[string(text)]; !known && len(counts) >= maxReasons {
				text = []byte("other")
			}
			counts[string(text)]++
		}
	}
	return counts, nil
}

// countFlags counts what was done to the values of readings.
func (l *Lake) countFlags(ctx context.Context, c *Counts) error {
	columns := make([]string, len(l.fleet.Sensors))
	for i := range l.fleet.Sensors {
		columns[i] = l.fleet.Sensors[i].Name + "_flags"
	}
	if len(columns) == 0 {
		return nil
	}
	for batch, err := range l.readings.Snapshot().Scan(ctx, delta.ScanOptions{Columns: columns}) {
		if err != nil {
			return fmt.Errorf("count flags: %w", err)
		}
		for i := range columns {
			var seen [256]int64
			for _, flags := range batch.Columns[i].Ints {
				seen[flags&0xff]++
			}
			sensor := l.fleet.Sensors[i].Name
			for flags, n := range seen {
				if flag := drumbeat.Flag(flags); n > 0 {
					addFlag(c.Clipped, sensor, flag&drumbeat.FlagClipped, n)
					addFlag(c.Nulled, sensor, flag&drumbeat.FlagNulled, n)
					addFlag(c.Conflicts, sensor, flag&drumbeat.FlagConflict, n)
					addFlag(c.Stuck, sensor, flag&drumbeat.FlagStuck, n)
					addFlag(c.Jumps, sensor, flag&drumbeat.FlagJump, n)
				}
			}
		}
	}
	return nil
}

func addFlag(counts map[string]int64, sensor string, flag drumbeat.Flag, n int64) {
	if flag != 0 {
		counts[sensor] += n
	}
}
