package lake

import (
	"context"
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/delta"
)

// expiry is a table whose rows grow old.
type expiry struct {
	table *table
	name  string        // in the fleet file
	keep  time.Duration // 0 is for ever
	need  time.Duration // at least so long
	// may says whether a file that is old enough may go; nil: any.
	may func(*delta.File) (bool, error)
}

// expiring is no table's name: the entry of Lake.swept that is about expire.
const expiring = "retention"

// expire removes the files whose newest row arrived longer ago than the fleet
// file's retention. Progress stays, so nothing comes again. Log entries,
// machines, watermarks, labels, findings and reports stay for ever: they are
// few, and what they say holds for good.
func (m *maintenance) expire(ctx context.Context, golds []*table) error {
	l, keep := m.lake, m.lake.fleet.Retention
	if m.opt.FleetNow <= 0 || !m.due(expiring, m.opt.Keep) {
		return nil
	}
	matured := l.fleet.Label.Horizon + l.fleet.Label.ReportingLag
	silver := m.opt.Need + l.fleet.Memory()
	all := []expiry{
		{table: l.deadLetters, name: "dead_letters", keep: keep.DeadLetters},
		{table: l.bronze, name: "bronze", keep: keep.Bronze, may: l.isRefined},
		{table: l.asides, name: "silver", keep: keep.Silver, need: silver},
		{table: l.readings, name: "silver", keep: keep.Silver, need: silver, may: m.isOutlived(ctx, silver)},
		{table: l.predictions, name: "predictions", keep: keep.Predictions, need: matured},
	}
	for _, t := range golds {
		all = append(all, expiry{table: t, name: "gold", keep: keep.Gold, need: matured})
	}
	noted := map[string]bool{}
	for _, e := range all {
		if e.keep == 0 {
			continue
		}
		if e.keep < e.need {
			short := e.keep
			e.keep = e.need
			if !noted[e.name] {
				noted[e.name] = true
				m.done.Notes = append(m.done.Notes, fmt.Sprintf("the fleet file keeps %s for %.3g days; it is kept for %.3g, "+
					"which views and labels need", e.name, days(short), days(e.need)))
			}
		}
		if err := m.expireTable(ctx, &e); err != nil {
			return err
		}
	}
	l.swept[expiring] = l.now()
	return nil
}

func days(d time.Duration) float64 { return d.Hours() / 24 }

func (m *maintenance) expireTable(ctx context.Context, e *expiry) error {
	snapshot, err := e.table.Refresh(ctx)
	if err != nil {
		return err
	}
	schema := snapshot.Schema()
	arrival := schema[schema.Index("arrival_time")]
	before := m.opt.FleetNow.Add(-e.keep)
	var old []*delta.File
	var rows int64
	for _, f := range snapshot.Files() {
		_, most, ok := f.Range(arrival)
		if !ok || most >= int64(before) {
			continue
		}
		if e.may != nil {
			may, err := e.may(f)
			if err != nil {
				return fmt.Errorf("look for old rows of table %s: %w", e.table.Name(), err)
			}
			if !may {
				continue
			}
		}
		old = append(old, f)
		rows += max(f.Rows(), 0)
	}
	if len(old) == 0 {
		return nil
	}
	removed, err := e.table.Remove(ctx, old)
	if removed {
		m.done.Expired += rows
	}
	return err
}

// isRefined says whether silver has all that a file of bronze holds.
func (l *Lake) isRefined(f *delta.File) (bool, error) {
	r := reachOf(f, l.bronze.Snapshot().Schema())
	if !r.exact {
		return false, nil
	}
	epoch, silver := l.Epoch(), l.SilverProgress()
	for _, x := range r.spans {
		if x.epoch > epoch || x.epoch == epoch && x.last >= silver[x.partition] {
			return false, nil
		}
	}
	return true, nil
}

// isOutlived says whether every machine in a file of readings was heard of
// again, by more than need, since its rows there: the last readings of a
// machine, however long it has been silent, are what a restart goes on from.
func (m *maintenance) isOutlived(ctx context.Context, need time.Duration) func(*delta.File) (bool, error) {
	var spans map[drumbeat.MachineID]Span // read once, when there is something to remove
	return func(f *delta.File) (bool, error) {
		if spans == nil {
			var err error
			if spans, err = m.lake.Spans(ctx, nil); err != nil {
				return false, err
			}
		}
		snapshot := m.lake.readings.Snapshot()
		var texts names
		scan := delta.ScanOptions{Columns: []string{"machine", "event_time", "arrival_time"}, Files: []*delta.File{f}}
		for batch, err := range snapshot.Scan(ctx, scan) {
			if err != nil {
				return false, err
			}
			for i := range batch.N {
				s := spans[drumbeat.MachineID(texts.of(batch.Columns[0].Bytes[i]))]
				cut := min(s.Last, s.Arrival).Add(-need)
				if drumbeat.Time(batch.Columns[1].Ints[i]) >= cut || drumbeat.Time(batch.Columns[2].Ints[i]) >= cut {
					return false, nil
				}
			}
		}
		return true, nil
	}
}
