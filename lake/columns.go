package lake

import (
	"slices"
	"strings"
	"unsafe"

	"drumbeat"
	"drumbeat/delta"
)

// column ties a column of a table to a part of T, in both directions. One of
// ints, floats and text is set, by the field's type.
type column[T any] struct {
	delta.Field
	ints   func(*T) int64
	floats func(*T) float64
	text   func(*T) []byte
	null   func(*T) bool // nil: never null

	// read takes row i of a batch's column.
	read func(row *T, c *delta.Column, i int, names *names)
}

// codec turns rows into batches and back, column by column.
type codec[T any] struct {
	columns []column[T]
	// begin prepares rows before their columns are read; may be nil.
	begin func(rows []T)
}

func (c codec[T]) schema() delta.Schema {
	schema := make(delta.Schema, len(c.columns))
	for i := range c.columns {
		schema[i] = c.columns[i].Field
	}
	return schema
}

// encode makes a batch of the rows with the given indexes.
func (c codec[T]) encode(rows []T, indexes []int32) *delta.Batch {
	batch := c.batch(len(indexes))
	for _, i := range indexes {
		c.add(batch, &rows[i])
	}
	return batch
}

// batch returns an empty batch with room for so many rows.
func (c codec[T]) batch(room int) *delta.Batch {
	batch := &delta.Batch{Columns: make([]delta.Column, len(c.columns))}
	for i := range c.columns {
		out := &batch.Columns[i]
		switch {
		case c.columns[i].ints != nil:
			out.Ints = make([]int64, 0, room)
		case c.columns[i].floats != nil:
			out.Floats = make([]float64, 0, room)
		default:
			out.Bytes = make([][]byte, 0, room)
		}
	}
	return batch
}

// add appends a row to a batch.
func (c codec[T]) add(batch *delta.Batch, row *T) {
	for i := range c.columns {
		c.columns[i].add(&batch.Columns[i], row, batch.N)
	}
	batch.N++
}

// add appends a row's part to a column that holds n.
func (c *column[T]) add(out *delta.Column, row *T, n int) {
	switch {
	case c.ints != nil:
		out.Ints = append(out.Ints, c.ints(row))
	case c.floats != nil:
		out.Floats = append(out.Floats, c.floats(row))
	default:
		out.Bytes = append(out.Bytes, c.text(row))
	}
	if c.null == nil {
		return
	}
	switch null := c.null(row); {
	case out.Null != nil:
		out.Null = append(out.Null, null)
	case null:
		out.Null = append(make([]bool, n, max(cap(out.Ints), cap(out.Floats), cap(out.Bytes))), true)
	}
}

// decode appends a batch's rows to rows.
func (c codec[T]) decode(batch *delta.Batch, rows []T, names *names) []T {
	first := len(rows)
	var zero T
	for range batch.N {
		rows = append(rows, zero)
	}
	if c.begin != nil {
		c.begin(rows[first:])
	}
	for k := range c.columns {
		read, data := c.columns[k].read, &batch.Columns[k]
		for i := range batch.N {
			read(&rows[first+i], data, i, names)
		}
	}
	return rows
}

// pick returns the codec of some columns.
func (c codec[T]) pick(names ...string) codec[T] {
	picked := codec[T]{begin: c.begin}
	for _, name := range names {
		for i := range c.columns {
			if c.columns[i].Name == name {
				picked.columns = append(picked.columns, c.columns[i])
			}
		}
	}
	return picked
}

// with returns the codec with more columns at its end.
func (c codec[T]) with(columns ...column[T]) codec[T] {
	c.columns = append(slices.Clip(c.columns), columns...)
	return c
}

// field returns the named column's field.
func (c codec[T]) field(name string) delta.Field {
	for i := range c.columns {
		if c.columns[i].Name == name {
			return c.columns[i].Field
		}
	}
	return delta.Field{}
}

func (c codec[T]) names() []string {
	return c.schema().Names()
}

// names keeps one copy of each text that returns often: machines, types,
// reasons. It forgets all when it holds many, so that it stays small.
type names struct{ known map[string]string }

// maxNames is more than the machines of a large fleet, and some tens of MB.
const maxNames = 200_000

func (n *names) of(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	if name, known := n.known[string(text)]; known {
		return name
	}
	if n.known == nil || len(n.known) >= maxNames {
		n.known = map[string]string{}
	}
	name := string(text)
	n.known[name] = name
	return name
}

// whole is a column of integers.
func whole[T any](field delta.Field, get func(*T) int64, set func(*T, int64)) column[T] {
	return column[T]{Field: field, ints: get, read: func(row *T, c *delta.Column, i int, _ *names) { set(row, c.Ints[i]) }}
}

// instant is a nullable column of times, NoTime being null.
func instant[T any](name string, at func(*T) *drumbeat.Time) column[T] {
	return column[T]{
		Field: delta.Field{Name: name, Type: delta.Timestamp, Nullable: true, Stats: true},
		ints:  func(row *T) int64 { return int64(*at(row)) },
		null:  func(row *T) bool { return *at(row) == drumbeat.NoTime },
		read: func(row *T, c *delta.Column, i int, _ *names) {
			*at(row) = drumbeat.Time(c.Ints[i])
			if c.Null != nil && c.Null[i] {
				*at(row) = drumbeat.NoTime
			}
		},
	}
}

// double is a column of doubles.
func double[T any](name string, at func(*T) *float64) column[T] {
	return column[T]{
		Field:  delta.Field{Name: name, Type: delta.Float64, Nullable: true},
		floats: func(row *T) float64 { return *at(row) },
		read:   func(row *T, c *delta.Column, i int, _ *names) { *at(row) = c.Floats[i] },
	}
}

// truth is a column of booleans.
func truth[T any](name string, at func(*T) *bool) column[T] {
	get := func(row *T) int64 {
		if *at(row) {
			return 1
		}
		return 0
	}
	return whole(delta.Field{Name: name, Type: delta.Bool}, get, func(row *T, v int64) { *at(row) = v != 0 })
}

// nullable is a column that was added to its table later: what is older holds
// nulls there, which read as zero.
func nullable[T any](c column[T]) column[T] {
	c.Nullable = true
	return c
}

// few is a column of text of which there are few different ones.
func few[T any, S ~string](name string, at func(*T) *S) column[T] {
	return column[T]{
		Field: delta.Field{Name: name, Type: delta.String, Dictionary: true},
		text:  func(row *T) []byte { return valid(string(*at(row))) },
		read:  func(row *T, c *delta.Column, i int, names *names) { *at(row) = S(names.of(c.Bytes[i])) },
	}
}

// maybe is a column of few different texts or, as Binary, bytes; "" is null.
func maybe[T any](name string, kind delta.Type, at func(*T) *string) column[T] {
	return column[T]{
		Field: delta.Field{Name: name, Type: kind, Nullable: true, Dictionary: true},
		text:  func(row *T) []byte { return view(*at(row)) },
		null:  func(row *T) bool { return *at(row) == "" },
		read:  func(row *T, c *delta.Column, i int, names *names) { *at(row) = names.of(c.Bytes[i]) },
	}
}

// free is a column of text of any kind.
func free[T any, S ~string](name string, at func(*T) *S) column[T] {
	return column[T]{
		Field: delta.Field{Name: name, Type: delta.String},
		text:  func(row *T) []byte { return valid(string(*at(row))) },
		read:  func(row *T, c *delta.Column, i int, _ *names) { *at(row) = S(c.Bytes[i]) },
	}
}

// valid returns text as bytes, with what is no UTF-8 replaced: other programs
// refuse a whole file for one such text. The bytes must not be changed.
func valid(text string) []byte {
	return view(strings.ToValidUTF8(text, "\uFFFD"))
}

// view returns the bytes of a text without a copy. They must not be changed.
func view(text string) []byte {
	return unsafe.Slice(unsafe.StringData(text), len(text)) //nolint:gosec // read only, and the text outlives the batch
}

// machine is the column of machines.
func machine[T any](at func(*T) *drumbeat.MachineID) column[T] {
	c := few("machine", at)
	c.Stats = true
	return c
}

// position is the four columns that say where an item stands (T2).
func position[T any](at func(*T) *drumbeat.Position) []column[T] {
	return []column[T]{
		whole(delta.Field{Name: "epoch", Type: delta.Int32, Dictionary: true, Stats: true},
			func(row *T) int64 { return int64(at(row).Epoch) },
			func(row *T, v int64) { at(row).Epoch = int32(v) }), //nolint:gosec // a 32-bit column
		whole(delta.Field{Name: "partition", Type: delta.Int32, Dictionary: true, Stats: true},
			func(row *T) int64 { return int64(at(row).Partition) },
			func(row *T, v int64) { at(row).Partition = int32(v) }), //nolint:gosec // a 32-bit column
		whole(delta.Field{Name: "offset", Type: delta.Int64, Stats: true},
			func(row *T) int64 { return at(row).Offset },
			func(row *T, v int64) { at(row).Offset = v }),
		whole(delta.Field{Name: "index", Type: delta.Int32},
			func(row *T) int64 { return int64(at(row).Index) },
			func(row *T, v int64) { at(row).Index = int32(v) }), //nolint:gosec // a 32-bit column
	}
}
