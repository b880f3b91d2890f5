package lake

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/failpoint"
	"drumbeat/fleet"
)

// Aside is an item of bronze that is not in silver: its fate is future, late,
// duplicate or rejected (T8).
type Aside struct {
	Position    drumbeat.Position
	Machine     drumbeat.MachineID
	EventTime   drumbeat.Time
	ArrivalTime drumbeat.Time
	Fate        drumbeat.Fate
	Reason      string
}

// Silver is what refine made of a stretch of bronze: what was kept, and what
// was put aside, both in the order of positions within each partition.
type Silver struct {
	Items []drumbeat.Item
	Aside []Aside
}

// decimalDigits is the width of every value: what an int64 can hold.
const decimalDigits = delta.MaxPrecision

// itemColumns is what the silver tables have in common.
func itemColumns(kind drumbeat.Kind) codec[drumbeat.Item] {
	type item = drumbeat.Item
	begin := func(rows []item) {
		for i := range rows {
			rows[i].Kind = kind
		}
	}
	return codec[item]{columns: position(itemPosition), begin: begin}.with(
		machine(func(row *item) *drumbeat.MachineID { return &row.Machine }),
		instant("event_time", func(row *item) *drumbeat.Time { return &row.EventTime }),
		instant("arrival_time", func(row *item) *drumbeat.Time { return &row.ArrivalTime }),
	)
}

// readingCodec is the readings table: a value and its flags for each sensor.
func readingCodec(f *fleet.Fleet) (codec[drumbeat.Item], error) {
	type item = drumbeat.Item
	c := itemColumns(drumbeat.KindReading)
	n := len(f.Sensors)
	c.begin = func(rows []item) {
		values, flags := make([]int64, n*len(rows)), make([]drumbeat.Flag, n*len(rows))
		for i := range rows {
			rows[i].Values = values[i*n : (i+1)*n : (i+1)*n]
			rows[i].Flags = flags[i*n : (i+1)*n : (i+1)*n]
		}
	}
	var own []string
	for s := range f.Sensors {
		name := f.Sensors[s].Name
		own = append(own, name, name+"_flags")
		value := whole(
			delta.Field{Name: name, Type: delta.Decimal, Precision: decimalDigits, Scale: f.Sensors[s].Decimals, Nullable: true},
			func(row *item) int64 { return row.Values[s] }, nil)
		value.null = func(row *item) bool { return row.Values[s] == drumbeat.Missing }
		value.read = func(row *item, c *delta.Column, i int, _ *names) {
			row.Values[s] = c.Ints[i]
			if c.Null != nil && c.Null[i] {
				row.Values[s] = drumbeat.Missing
			}
		}
		c = c.with(value, whole(
			delta.Field{Name: name + "_flags", Type: delta.Int32, Nullable: true, Dictionary: true},
			func(row *item) int64 {
				if row.Flags == nil {
					return 0
				}
				return int64(row.Flags[s])
			},
			func(row *item, v int64) { row.Flags[s] = drumbeat.Flag(v) })) //nolint:gosec // written from a Flag
	}
	return c, checkNames("sensor", own, itemColumns(drumbeat.KindReading).names()...)
}

// entryCodec is the table of log entries, of all logs (T7).
func entryCodec() codec[drumbeat.Item] {
	type item = drumbeat.Item
	return itemColumns(drumbeat.KindEntry).with(
		few("log", func(row *item) *string { return &row.Entry.Log }),
		free("id", func(row *item) *string { return &row.Entry.ID }),
		whole(delta.Field{Name: "revision", Type: delta.Int64},
			func(row *item) int64 { return row.Entry.Revision },
			func(row *item, v int64) { row.Entry.Revision = v }),
		truth("withdrawn", func(row *item) *bool { return &row.Entry.Withdrawn }),
		few("type", func(row *item) *string { return &row.Entry.Type }),
		free("detail", func(row *item) *string { return &row.Entry.Detail }),
	)
}

// machineCodec is the table of machines, a column an attribute (V5).
func machineCodec(f *fleet.Fleet) (codec[drumbeat.Item], error) {
	type item = drumbeat.Item
	c := itemColumns(drumbeat.KindMachine)
	n := len(f.Static)
	mark := c.begin
	c.begin = func(rows []item) {
		mark(rows)
		for i := range rows {
			rows[i].Static = make([]string, n)
		}
	}
	var own []string
	for s := range f.Static {
		own = append(own, f.Static[s].Name)
		c = c.with(column[item]{
			Field: delta.Field{Name: f.Static[s].Name, Type: delta.String, Nullable: true, Dictionary: true},
			text:  func(row *item) []byte { return valid(attribute(row, s)) },
			null:  func(row *item) bool { return attribute(row, s) == "" },
			read: func(row *item, c *delta.Column, i int, names *names) {
				row.Static[s] = names.of(c.Bytes[i])
			},
		})
	}
	return c, checkNames("attribute", own, itemColumns(drumbeat.KindMachine).names()...)
}

// watermarkCodec is the table of what logs say of their completeness (L2).
func watermarkCodec() codec[drumbeat.Item] {
	type item = drumbeat.Item
	return itemColumns(drumbeat.KindWatermark).with(
		few("log", func(row *item) *string { return &row.Watermark.Log }),
		instant("complete_to", func(row *item) *drumbeat.Time { return &row.Watermark.CompleteTo }),
	)
}

func asideCodec() codec[Aside] {
	c := codec[Aside]{columns: position(asidePosition)}
	return c.with(
		machine(func(row *Aside) *drumbeat.MachineID { return &row.Machine }),
		instant("event_time", func(row *Aside) *drumbeat.Time { return &row.EventTime }),
		instant("arrival_time", func(row *Aside) *drumbeat.Time { return &row.ArrivalTime }),
		fate(func(row *Aside) *drumbeat.Fate { return &row.Fate }),
		few("reason", func(row *Aside) *string { return &row.Reason }),
	)
}

func asidePosition(row *Aside) *drumbeat.Position { return &row.Position }

func attribute(row *drumbeat.Item, s int) string {
	if s < len(row.Static) {
		return row.Static[s]
	}
	return ""
}

// SilverPart gathers what refine made of a stretch of one partition of bronze,
// in the order of positions.
type SilverPart struct {
	sensors int
	kinds   [drumbeat.KindWatermark + 1]*gathered[drumbeat.Item]
	Aside   []Aside
}

// NewSilverPart returns an empty one, with room for some readings: as many as
// are expected.
func (l *Lake) NewSilverPart(room int) *SilverPart {
	p := &SilverPart{sensors: len(l.fleet.Sensors)}
	for kind, rows := range map[drumbeat.Kind]codec[drumbeat.Item]{
		drumbeat.KindReading: l.readingRows, drumbeat.KindEntry: l.entryRows,
		drumbeat.KindMachine: l.machineRows, drumbeat.KindWatermark: l.markRows,
	} {
		p.kinds[kind] = gather(rows, itemPosition)
	}
	p.kinds[drumbeat.KindReading].room = room
	return p
}

// Readings returns how many readings it holds.
func (p *SilverPart) Readings() int { return len(p.kinds[drumbeat.KindReading].offsets) }

// Keep takes an item that was kept.
func (p *SilverPart) Keep(item *drumbeat.Item) error {
	if item.Kind == drumbeat.KindReading && (len(item.Values) != p.sensors || item.Flags != nil && len(item.Flags) != p.sensors) {
		return fmt.Errorf("append to silver: reading at %s has %d values and %d flags, want %d: %w",
			item.Position, len(item.Values), len(item.Flags), p.sensors, drumbeat.ErrInvalid)
	}
	if err := p.kinds[item.Kind].add(item); err != nil {
		return fmt.Errorf("append to silver: item %w", err)
	}
	return nil
}

// AppendSilver gathers rows and appends them.
func (l *Lake) AppendSilver(ctx context.Context, s Silver, next Progress) error {
	parts := map[int32]*SilverPart{}
	of := func(partition int32) *SilverPart {
		if parts[partition] == nil {
			parts[partition] = l.NewSilverPart(0)
		}
		return parts[partition]
	}
	for i := range s.Items {
		if err := of(s.Items[i].Position.Partition).Keep(&s.Items[i]); err != nil {
			return err
		}
	}
	for i := range s.Aside {
		part := of(s.Aside[i].Position.Partition)
		part.Aside = append(part.Aside, s.Aside[i])
	}
	return l.AppendSilverParts(ctx, parts, next)
}

// AppendSilverParts writes what was put aside, then entries, machines and
// watermarks, each to its table, and last the readings together with progress:
// what silver holds is what stands below the readings' progress. What is in
// the tables already is skipped, so a call that failed can be repeated, with
// more besides.
func (l *Lake) AppendSilverParts(ctx context.Context, parts map[int32]*SilverPart, next Progress) error {
	if err := l.appendSilver(ctx, parts, next); err != nil {
		return fmt.Errorf("append to silver: %w", err)
	}
	return nil
}

func (l *Lake) appendSilver(ctx context.Context, parts map[int32]*SilverPart, next Progress) error {
	epoch := l.Epoch()
	var aside []Aside
	byKind := [drumbeat.KindWatermark + 1][]*gathered[drumbeat.Item]{}
	for _, partition := range slices.Sorted(maps.Keys(parts)) {
		part := parts[partition]
		aside = append(aside, part.Aside...)
		for kind, rows := range part.kinds {
			if len(rows.offsets) > 0 {
				byKind[kind] = append(byKind[kind], rows)
				epoch = rows.epoch
			}
		}
	}
	epoch = epochOf(epoch, aside, asidePosition)
	if err := l.begin(epoch); err != nil {
		return err
	}
	asides, err := gatherRows(asideCodec(), asidePosition, aside)
	if err != nil {
		return err
	}
	if err := (placed[Aside]{table: l.asides}).write(ctx, asides, epoch, next); err != nil {
		return err
	}
	failpoint.Here("lake.asides_written")
	for _, part := range []struct {
		kind  drumbeat.Kind
		table *table
	}{
		{drumbeat.KindEntry, l.entries},
		{drumbeat.KindMachine, l.machines},
		{drumbeat.KindWatermark, l.watermarks},
		{drumbeat.KindReading, l.readings},
	} {
		failpoint.Here("lake.silver_part")
		rows := placed[drumbeat.Item]{table: part.table, always: part.kind == drumbeat.KindReading}
		if err := rows.write(ctx, byKind[part.kind], epoch, next); err != nil {
			return err
		}
	}
	return nil
}

// SilverProgress returns what silver holds of the standing epoch, as of the
// last commit that this Lake knows.
func (l *Lake) SilverProgress() Progress { return l.readings.at(l.Epoch()) }
