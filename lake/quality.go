package lake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/delta"
)

// QualityDay is how good the data of one day was, in UTC, by arrival.
type QualityDay struct {
	Day      drumbeat.Time            `json:"day"`      // its beginning
	Items    map[string]int64         `json:"items"`    // by fate (T8)
	Machines int                      `json:"machines"` // that had an item kept or put aside
	Sensors  map[string]SensorQuality `json:"sensors"`
}

// SensorQuality counts the values of one sensor in the kept readings of a day.
// A value may have several flags (V1).
type SensorQuality struct {
	Values    int64 `json:"values"` // kept, whatever their flags
	Clipped   int64 `json:"clipped"`
	Nulled    int64 `json:"nulled"`
	Conflicts int64 `json:"conflicts"`
	Stuck     int64 `json:"stuck"`
	Jumps     int64 `json:"jumps"`
	// Missing is how many kept readings did not have the sensor: it said
	// nothing, or what it said was known already.
	Missing int64 `json:"missing"`
}

// Quality returns the days with items that arrived in [from, until), in order;
// at 0 or below neither bounds. It reads the columns that it counts, of the
// files that have such days.
func (l *Lake) Quality(ctx context.Context, from, until drumbeat.Time) ([]QualityDay, error) {
	q := qualities{from: from, until: until, days: map[drumbeat.Time]*dayCounts{}, sensors: len(l.fleet.Sensors)}
	readings := []string{"arrival_time", "machine"}
	for i := range l.fleet.Sensors {
		readings = append(readings, l.fleet.Sensors[i].Name, l.fleet.Sensors[i].Name+"_flags")
	}
	kept := drumbeat.FateKept.String()
	for _, part := range []struct {
		table   *table
		columns []string
		count   func(*delta.Batch)
	}{
		{l.readings, readings, func(b *delta.Batch) { q.fates(nil, kept); q.machines(b); q.values(b) }},
		{l.entries, []string{"arrival_time", "machine"}, func(b *delta.Batch) { q.fates(nil, kept); q.machines(b) }},
		{l.machines, []string{"arrival_time"}, func(*delta.Batch) { q.fates(nil, kept) }},
		{l.watermarks, []string{"arrival_time"}, func(*delta.Batch) { q.fates(nil, kept) }},
		{
			l.asides,
			[]string{"arrival_time", "machine", "fate"},
			func(b *delta.Batch) { q.fates(b.Columns[2].Bytes, ""); q.machines(b) },
		},
		{
			l.deadLetters,
			[]string{"arrival_time", "fate"},
			func(b *delta.Batch) { q.fates(b.Columns[1].Bytes, "") },
		},
	} {
		if err := q.scan(ctx, part.table, part.columns, part.count); err != nil {
			return nil, fmt.Errorf("count the quality of days: %w", err)
		}
	}
	return q.result(l), nil
}

// qualities counts by day of arrival. The first column of every batch is the
// arrival time.
type qualities struct {
	from, until drumbeat.Time
	sensors     int
	days        map[drumbeat.Time]*dayCounts
	rows        []*dayCounts // the day of each row of the batch, nil if it is not wanted
}

type dayCounts struct {
	items    map[string]int64
	machines map[string]bool
	// By sensor and flags, of rows that have a value and of those that have
	// none.
	valued, void [][flagSets]int64
}

// flagSets is how many sets of flags there may be: Flag has five bits in use.
const flagSets = 32

// scan visits a table's batches that have rows of the wanted days.
func (q *qualities) scan(ctx context.Context, t *table, columns []string, count func(*delta.Batch)) error {
	snapshot, err := t.Refresh(ctx)
	if err != nil {
		return err
	}
	schema := snapshot.Schema()
	arrival := schema[schema.Index("arrival_time")]
	skip := func(f *delta.File) bool { return outside(f, arrival, q.from, q.until) }
	for batch, err := range snapshot.Scan(ctx, delta.ScanOptions{Columns: columns, Skip: skip}) {
		if err != nil {
			return err
		}
		if q.place(&batch.Columns[0]) {
			count(batch)
		}
	}
	return nil
}

// place finds the day of each row, and says whether any is wanted.
func (q *qualities) place(arrivals *delta.Column) (wanted bool) {
	const day = drumbeat.Time(24 * time.Hour / time.Microsecond)
	q.rows = q.rows[:0]
	var last *dayCounts // rows come nearly in order of arrival
	begin, end := drumbeat.Time(0), drumbeat.Time(0)
	for i, v := range arrivals.Ints {
		at := drumbeat.Time(v)
		if arrivals.Null != nil && arrivals.Null[i] || !within(at, q.from, q.until) {
			q.rows = append(q.rows, nil)
			continue
		}
		if last == nil || at < begin || at >= end {
			begin = at - (at%day+day)%day
			end = begin + day
			if last = q.days[begin]; last == nil {
				last = &dayCounts{
					items: map[string]int64{}, machines: map[string]bool{},
					valued: make([][flagSets]int64, q.sensors), void: make([][flagSets]int64, q.sensors),
				}
				q.days[begin] = last
			}
		}
		q.rows = append(q.rows, last)
		wanted = true
	}
	return wanted
}

// fates counts rows by the text of their fate, or all as one fate.
func (q *qualities) fates(texts [][]byte, all string) {
	for i, day := range q.rows {
		switch {
		case day == nil:
		case texts == nil:
			day.items[all]++
		default:
			day.items[string(texts[i])]++
		}
	}
}

// machines collects who was heard of: the second column.
func (q *qualities) machines(b *delta.Batch) {
	for i, day := range q.rows {
		if day != nil && !day.machines[string(b.Columns[1].Bytes[i])] {
			day.machines[string(b.Columns[1].Bytes[i])] = true
		}
	}
}

// values counts each sensor's values by their flags: a pair of columns each,
// from the third on.
func (q *qualities) values(b *delta.Batch) {
	for s := range q.sensors {
		values, flags := &b.Columns[2+2*s], &b.Columns[3+2*s]
		for i, day := range q.rows {
			switch {
			case day == nil:
			case values.Null != nil && values.Null[i]:
				day.void[s][flags.Ints[i]&(flagSets-1)]++
			default:
				day.valued[s][flags.Ints[i]&(flagSets-1)]++
			}
		}
	}
}

func (q *qualities) result(l *Lake) []QualityDay {
	out := make([]QualityDay, 0, len(q.days))
	for day, counts := range q.days {
		d := QualityDay{Day: day, Items: maps.Clone(counts.items), Machines: len(counts.machines), Sensors: map[string]SensorQuality{}}
		for s := range l.fleet.Sensors {
			d.Sensors[l.fleet.Sensors[s].Name] = counts.sensor(s)
		}
		out = append(out, d)
	}
	slices.SortFunc(out, func(a, b QualityDay) int { return cmp.Compare(a.Day, b.Day) })
	return out
}

// sensor sums up what was counted of a sensor.
func (d *dayCounts) sensor(s int) SensorQuality {
	var out SensorQuality
	for set := range flagSets {
		flags := drumbeat.Flag(set)
		valued, void := d.valued[s][set], d.void[s][set]
		out.Values += valued
		if flags&(drumbeat.FlagNulled|drumbeat.FlagConflict) == 0 {
			out.Missing += void
		}
		for _, c := range []struct {
			flag  drumbeat.Flag
			count *int64
		}{
			{drumbeat.FlagClipped, &out.Clipped},
			{drumbeat.FlagNulled, &out.Nulled},
			{drumbeat.FlagConflict, &out.Conflicts},
			{drumbeat.FlagStuck, &out.Stuck},
			{drumbeat.FlagJump, &out.Jumps},
		} {
			if flags&c.flag != 0 {
				*c.count += valued + void
			}
		}
	}
	return out
}
