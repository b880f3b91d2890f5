package lake

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"unsafe"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/failpoint"
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
	headers := maybe("headers", delta.String, func(row *item) *string { return &row.Headers })
	headers.read = func(row *item, c *delta.Column, i int, _ *names) {
		// Often each record has its own: not worth remembering.
		row.Headers = unsafe.String(unsafe.SliceData(c.Bytes[i]), len(c.Bytes[i])) //nolint:gosec // valid as long as the payload is
	}
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
		headers,
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
			if len(c.Bytes[i]) == 0 {
				return // null, as nearly all are
			}
			if p, err := drumbeat.ParsePosition(string(c.Bytes[i])); err == nil {
				*at(row) = &p
			}
		},
	}
}

func deadCodec() codec[DeadLetter] {
	c := codec[DeadLetter]{columns: position(deadPosition)}
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

// Bronze gathers what is to be appended to bronze and the dead letters: items
// and letters come in the order of positions within each partition. What an
// item points to must stay as it is until it is appended.
type Bronze struct {
	lake  *Lake
	parts map[int32]*gathered[drumbeat.Item]
	items int
	Dead  []DeadLetter
	Lost  []Lost
}

// NewBronze returns an empty one.
func (l *Lake) NewBronze() *Bronze {
	return &Bronze{lake: l, parts: map[int32]*gathered[drumbeat.Item]{}}
}

// Add takes an item.
func (b *Bronze) Add(item *drumbeat.Item) error {
	part := b.parts[item.Position.Partition]
	if part == nil {
		part = gather(b.lake.bronzeRows, itemPosition)
		b.parts[item.Position.Partition] = part
	}
	if err := part.add(item); err != nil {
		return fmt.Errorf("append to bronze: item %w", err)
	}
	b.items++
	return nil
}

// Items returns how many items it holds.
func (b *Bronze) Items() int { return b.items }

// Append writes the dead letters and the gaps, then the items together with
// progress; all items of a record must be in it. What stands below the tables'
// own progress is there already and is skipped, so a call that failed can be
// repeated, with more besides.
func (b *Bronze) Append(ctx context.Context, next Progress) error {
	l := b.lake
	epoch := epochOf(l.Epoch(), b.Dead, deadPosition)
	epoch = epochOf(epoch, b.Lost, lostPosition)
	var parts []*gathered[drumbeat.Item]
	for _, partition := range slices.Sorted(maps.Keys(b.parts)) {
		parts = append(parts, b.parts[partition])
		epoch = b.parts[partition].epoch
	}
	err := l.begin(epoch)
	var letters []*gathered[DeadLetter]
	if err == nil {
		letters, err = gatherRows(deadCodec(), deadPosition, b.Dead)
	}
	if err == nil {
		err = placed[DeadLetter]{table: l.deadLetters}.write(ctx, letters, epoch, next)
	}
	failpoint.Here("lake.letters_written")
	var lost []*gathered[Lost]
	if err == nil {
		lost, err = gatherRows(lostCodec(), lostPosition, b.Lost)
	}
	if err == nil {
		err = placed[Lost]{table: l.lost}.write(ctx, lost, epoch, next)
	}
	if err == nil {
		err = placed[drumbeat.Item]{table: l.bronze, always: true}.write(ctx, parts, epoch, next)
	}
	if err != nil {
		return fmt.Errorf("append to bronze: %w", err)
	}
	return nil
}

// AppendBronze gathers items and dead letters and appends them.
func (l *Lake) AppendBronze(ctx context.Context, items []drumbeat.Item, dead []DeadLetter, next Progress) error {
	b := l.NewBronze()
	b.Dead = dead
	for i := range items {
		if err := b.Add(&items[i]); err != nil {
			return err
		}
	}
	return b.Append(ctx, next)
}

func deadPosition(row *DeadLetter) *drumbeat.Position { return &row.Position }

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
// order of positions within each partition, in chunks of at most some thousands
// that never split a record: all of an item but its key.
// Items and what they point to are valid until fn returns. It
// returns bronze's progress as of the scan, which counts the offsets of dead
// letters too.
func (l *Lake) ScanBronze(ctx context.Context, from Progress, fn func(items []drumbeat.Item) error) (Progress, error) {
	snapshot, err := l.bronze.Refresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("scan bronze: %w", err)
	}
	epoch := l.Epoch()
	if from = maps.Clone(from); from == nil { // the caller may move its own on meanwhile
		from = Progress{}
	}
	scan := scanning[drumbeat.Item]{
		snapshot: snapshot, at: itemPosition,
		codec:  l.bronzeRows.pick("epoch", "partition", "offset", "index", "type", "machine", "event_time", "arrival_time", "payload", "redrive_of", "headers"),
		window: window{epoch: epoch, from: from, partition: AllPartitions},
	}
	chunks := chunker{fn: fn}
	if err = ahead(ctx, scan.rows, ownBytes, chunks.add); err == nil {
		err = chunks.end()
	}
	if err != nil {
		return nil, err // fn's own, or the table's, which names it
	}
	progress := l.bronze.progress(snapshot)[epoch]
	if progress == nil {
		progress = Progress{}
	}
	return progress, nil
}

// ownBytes gives rows bytes of their own for those that belong to the scan, in
// a space that is used again.
func ownBytes(rows []drumbeat.Item, space []byte) []byte {
	size := 0
	for i := range rows {
		size += len(rows[i].Raw) + len(rows[i].Headers)
	}
	space = slices.Grow(space[:0], size)
	for i := range rows {
		row := &rows[i]
		from := len(space)
		space = append(space, row.Raw...)
		row.Raw = space[from:len(space):len(space)]
		from = len(space)
		space = append(space, row.Headers...)
		row.Headers = unsafe.String(unsafe.SliceData(space[from:]), len(row.Headers)) //nolint:gosec // as long as Raw
	}
	return space
}

// ScanDeadLetters gives fn every dead letter, in the order in which they were
// written, in chunks that are valid until fn returns.
func (l *Lake) ScanDeadLetters(ctx context.Context, fn func(dead []DeadLetter) error) error {
	return scanAll(ctx, l.deadLetters, deadCodec(), fn)
}

// Redriven returns which positions were redriven (T8): those that an item of
// bronze or a dead letter, of any epoch, names as its old one.
func (l *Lake) Redriven(ctx context.Context) (map[drumbeat.Position]bool, error) {
	known := map[drumbeat.Position]bool{}
	err := scanAll(ctx, l.bronze, l.bronzeRows.pick("redrive_of"), func(rows []drumbeat.Item) error {
		for i := range rows {
			if of := rows[i].RedriveOf; of != nil {
				known[*of] = true
			}
		}
		return nil
	})
	if err == nil {
		err = scanAll(ctx, l.deadLetters, deadCodec().pick("redrive_of"), func(rows []DeadLetter) error {
			for i := range rows {
				if of := rows[i].RedriveOf; of != nil {
					known[*of] = true
				}
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("find what was redriven: %w", err)
	}
	return known, nil
}
