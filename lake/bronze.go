package lake

import (
	"bytes"
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/delta"
)

// The type texts of items that are no log entries; an entry's is its log.
const (
	typeReading   = "reading"
	typeMachine   = "machine"
	typeWatermark = "watermark"
)

// DeadLetter is a record, or an item of one, that has no place in bronze: its
// fate is undecodable or unknown machine (T8).
type DeadLetter struct {
	Position    drumbeat.Position
	Type        string // the record's type header
	Key         string // the record's key, which need not be text
	ArrivalTime drumbeat.Time
	Fate        drumbeat.Fate
	Reason      string
	Raw         []byte // which need not be text
	RedriveOf   *drumbeat.Position
	Headers     string // as drumbeat.Item has them
}

func bronzeCodec() codec[drumbeat.Item] {
	type item = drumbeat.Item
	c := codec[item]{columns: position(itemPosition)}
	return c.with(
		column[item]{
			Field: delta.Field{Name: "type", Type: delta.String, Dictionary: true},
			text:  func(row *item) []byte { return view(typeOf(row)) },
			read:  func(row *item, c *delta.Column, i int, names *names) { setType(row, names.of(c.Bytes[i])) },
		},
		machine(func(row *item) *drumbeat.MachineID { return &row.Machine }),
		instant("event_time", func(row *item) *drumbeat.Time { return &row.EventTime }),
		instant("arrival_time", func(row *item) *drumbeat.Time { return &row.ArrivalTime }),
		column[item]{
			Field: delta.Field{Name: "payload", Type: delta.String},
			text:  func(row *item) []byte { return row.Raw },
			read:  func(row *item, c *delta.Column, i int, _ *names) { row.Raw = c.Bytes[i] },
		},
		redriveOf(func(row *item) **drumbeat.Position { return &row.RedriveOf }),
		// Later columns than the first format's: null in its rows.
		maybe("key", delta.Binary, func(row *item) *string { return &row.Key }),
		maybe("headers", delta.String, func(row *item) *string { return &row.Headers }),
	)
}

func typeOf(item *drumbeat.Item) string {
	switch item.Kind {
	case drumbeat.KindReading:
		return typeReading
	case drumbeat.KindMachine:
		return typeMachine
	case drumbeat.KindWatermark:
		return typeWatermark
	case drumbeat.KindEntry:
	}
	return item.Entry.Log
}

func setType(item *drumbeat.Item, text string) {
	switch text {
	case typeReading:
		item.Kind = drumbeat.KindReading
	case typeMachine:
		item.Kind = drumbeat.KindMachine
	case typeWatermark:
		item.Kind = drumbeat.KindWatermark
	default:
		item.Kind, item.Entry.Log = drumbeat.KindEntry, text
	}
}

// redriveOf is a nullable column of a position's text.
func redriveOf[T any](at func(*T) **drumbeat.Position) column[T] {
	return column[T]{
		Field: delta.Field{Name: "redrive_of", Type: delta.String, Nullable: true},
		text: func(row *T) []byte {
			if p := *at(row); p != nil {
				return []byte(p.String())
			}
			return nil
		},
		null: func(row *T) bool { return *at(row) == nil },
		read: func(row *T, c *delta.Column, i int, _ *names) {
			if p, err := drumbeat.ParsePosition(string(c.Bytes[i])); err == nil {
				*at(row) = &p
			}
		},
	}
}

func deadCodec() codec[DeadLetter] {
	c := codec[DeadLetter]{columns: position(func(row *DeadLetter) *drumbeat.Position { return &row.Position })}
	return c.with(
		few("type", func(row *DeadLetter) *string { return &row.Type }),
		column[DeadLetter]{
			Field: delta.Field{Name: "key", Type: delta.Binary},
			text:  func(row *DeadLetter) []byte { return view(row.Key) },
			read:  func(row *DeadLetter, c *delta.Column, i int, _ *names) { row.Key = string(c.Bytes[i]) },
		},
		instant("arrival_time", func(row *DeadLetter) *drumbeat.Time { return &row.ArrivalTime }),
		fate(func(row *DeadLetter) *drumbeat.Fate { return &row.Fate }),
		few("reason", func(row *DeadLetter) *string { return &row.Reason }),
		column[DeadLetter]{
			Field: delta.Field{Name: "payload", Type: delta.Binary},
			text:  func(row *DeadLetter) []byte { return row.Raw },
			read:  func(row *DeadLetter, c *delta.Column, i int, _ *names) { row.Raw = bytes.Clone(c.Bytes[i]) },
		},
		redriveOf(func(row *DeadLetter) **drumbeat.Position { return &row.RedriveOf }),
		maybe("headers", delta.String, func(row *DeadLetter) *string { return &row.Headers }),
	)
}

// fate is a column of fates by name (T8).
func fate[T any](at func(*T) *drumbeat.Fate) column[T] {
	return column[T]{
		Field: delta.Field{Name: "fate", Type: delta.String, Dictionary: true},
		text:  func(row *T) []byte { return view(at(row).String()) },
		read: func(row *T, c *delta.Column, i int, _ *names) {
			for f, name := range drumbeat.Fates {
				if name == string(c.Bytes[i]) {
					*at(row) = drumbeat.Fate(f)
				}
			}
		},
	}
}

// AppendBronze writes dead letters, then items together with progress. Both
// come in the order of positions within each partition, all items of a record
// in one call. What stands below the tables' own progress is there already
// and is skipped, so a call that failed can be repeated, with more besides.
func (l *Lake) AppendBronze(ctx context.Context, items []drumbeat.Item, dead []DeadLetter, next Progress) error {
	epoch := epochOf(l.Epoch(), dead, func(d *DeadLetter) *drumbeat.Position { return &d.Position })
	epoch = epochOf(epoch, items, itemPosition)
	err := l.begin(epoch)
	if err == nil {
		letters := placed[DeadLetter]{
			table: l.deadLetters, codec: deadCodec(),
			at: func(d *DeadLetter) *drumbeat.Position { return &d.Position },
		}
		err = letters.write(ctx, dead, epoch, next)
	}
	if err == nil {
		rows := placed[drumbeat.Item]{table: l.bronze, codec: l.bronzeRows, at: itemPosition, always: true}
		err = rows.write(ctx, items, epoch, next)
	}
	if err != nil {
		return fmt.Errorf("append to bronze: %w", err)
	}
	return nil
}

func itemPosition(item *drumbeat.Item) *drumbeat.Position { return &item.Position }

// BronzeProgress returns what bronze holds of the standing epoch, as of the
// last commit that this Lake knows.
func (l *Lake) BronzeProgress() Progress { return l.bronze.at(l.Epoch()) }

// RefreshBronze reads what others have committed to bronze and returns its
// progress.
func (l *Lake) RefreshBronze(ctx context.Context) (Progress, error) {
	if _, err := l.bronze.Refresh(ctx); err != nil {
		return nil, err
	}
	return l.BronzeProgress(), nil
}

// ScanBronze gives fn the items of the standing epoch at or after from, in the
// order of positions within each partition, in chunks of some ten thousand
// that never split a record. The slice of items is used again after fn
// returns; what items point to is not. It returns bronze's progress as of the
// scan, which counts the offsets of dead letters too.
func (l *Lake) ScanBronze(ctx context.Context, from Progress, fn func(items []drumbeat.Item) error) (Progress, error) {
	snapshot, err := l.bronze.Refresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("scan bronze: %w", err)
	}
	epoch := l.Epoch()
	if from == nil {
		from = Progress{}
	}
	scan := scanning[drumbeat.Item]{
		snapshot: snapshot, codec: l.bronzeRows, at: itemPosition,
		window: window{epoch: epoch, from: from, partition: AllPartitions},
		finish: ownBytes,
	}
	chunks := chunker{fn: fn}
	for rows, err := range scan.rows(ctx) {
		if err != nil {
			return nil, fmt.Errorf("scan bronze: %w", err)
		}
		if err := chunks.add(rows); err != nil {
			return nil, err
		}
	}
	if err := chunks.end(); err != nil {
		return nil, err
	}
	progress := l.bronze.progress(snapshot)[epoch]
	if progress == nil {
		progress = Progress{}
	}
	return progress, nil
}

// ownBytes gives rows bytes of their own for those that belong to the scan.
func ownBytes(rows []drumbeat.Item) {
	size := 0
	for i := range rows {
		size += len(rows[i].Raw)
	}
	own := make([]byte, 0, size)
	for i := range rows {
		from := len(own)
		own = append(own, rows[i].Raw...)
		rows[i].Raw = own[from:len(own):len(own)]
	}
}

// ScanDeadLetters gives fn every dead letter, in the order in which they were
// written, in chunks that are valid until fn returns.
func (l *Lake) ScanDeadLetters(ctx context.Context, fn func(dead []DeadLetter) error) error {
	return scanAll(ctx, l.deadLetters, deadCodec(), fn)
}
