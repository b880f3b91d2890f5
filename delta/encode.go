package delta

import (
	"bytes"
	"fmt"
	"math"
	"runtime/debug"
	"unicode/utf8"

	"drumbeat"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
)

const (
	// rowGroupRows is Parquet's usual size: large enough to scan quickly, small
	// enough to skip what is not wanted.
	rowGroupRows = 1 << 20
	// rowGroupBytes bounds a row group of wide rows.
	rowGroupBytes = 128 << 20
	// pageBytes is the size at which a page is closed: the unit that readers
	// decompress.
	pageBytes = 256 << 10
	// minPageBytes keeps small batches from pages of a few rows.
	minPageBytes = 4 << 10
	// writeRows is how many values are handed to a column at once: they stay
	// in the nearest cache.
	writeRows = 512
	// MaxRows bounds one batch: a file of it is built in memory.
	MaxRows = 8 << 20
)

// node returns a field's Parquet type and encoding.
func (f Field) node() parquet.Node {
	var node parquet.Node
	var encoded func(parquet.Node) parquet.Node
	delta := func(n parquet.Node) parquet.Node { return parquet.Encoded(n, &parquet.DeltaBinaryPacked) }
	plain := func(n parquet.Node) parquet.Node { return parquet.Encoded(n, &parquet.Plain) }
	switch f.Type {
	case Int32:
		node, encoded = parquet.Int(32), delta
	case Date:
		node, encoded = parquet.Date(), delta
	case Int64:
		node, encoded = parquet.Int(64), delta
	case Timestamp:
		node, encoded = parquet.Timestamp(parquet.Microsecond), delta
	case Decimal:
		physical := parquet.Int64Type
		if f.narrow() {
			physical = parquet.Int32Type
		}
		node, encoded = parquet.Decimal(f.Scale, f.Precision, physical), delta
	case Float64:
		node, encoded = parquet.Leaf(parquet.DoubleType), plain
	case Bool:
		node, encoded = parquet.Leaf(parquet.BooleanType), plain
	case String:
		node, encoded = parquet.String(), plain
	case Binary:
		node, encoded = parquet.Leaf(parquet.ByteArrayType), plain
	}
	if f.Dictionary && f.Type != Bool {
		node = parquet.Encoded(node, &parquet.RLEDictionary)
	} else {
		node = encoded(node)
	}
	if f.Nullable {
		node = parquet.Optional(node)
	}
	return node
}

// narrow says whether a decimal is stored in 32 bits, as Parquet has it for up
// to nine digits.
func (f Field) narrow() bool { return f.Type == Decimal && f.Precision < 10 }

// encodeFile writes a batch as a Parquet file. The codec's encoders, of some
// megabytes each, are used again by later files.
func encodeFile(schema Schema, batch *Batch, codec *zstd.Codec) (body []byte, err error) {
	defer func() {
		// A fault of the engine costs this append, not the process.
		if r := recover(); r != nil {
			err = fmt.Errorf("encode %d rows: the Parquet engine failed: %v\n%s", batch.N, r, debug.Stack())
		}
	}()
	if err := batch.check(schema); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	group := parquet.Group{}
	for _, field := range schema {
		group[field.Name] = field.node()
	}
	root := &ordered{Group: group, schema: schema}
	writer := parquet.NewGenericWriter[any](&out, &parquet.WriterConfig{
		CreatedBy:          "Drumbeat",
		Schema:             parquet.NewSchema("table", root),
		Compression:        codec,
		PageBufferSize:     min(pageBytes, max(minPageBytes, 32*batch.N)), // it is set aside for each column
		DataPageVersion:    2,
		DataPageStatistics: true,
		MaxRowsPerRowGroup: rowGroupRows,
	})
	columns := writer.ColumnWriters()
	values := make([]parquet.Value, 0, writeRows)
	step := batch.groupRows(schema)
	for start := 0; start < batch.N; start += step {
		end := min(start+step, batch.N)
		for i, field := range schema {
			if values, err = writeColumn(columns[i], field, &batch.Columns[i], start, end, values); err != nil {
				return nil, fmt.Errorf("encode column %s: %w", field.Name, err)
			}
		}
		if err := writer.Flush(); err != nil {
			return nil, fmt.Errorf("encode %d rows: %w", batch.N, err)
		}
	}
	if err := writer.Close(); err != nil {
		return nil, fmt.Errorf("encode %d rows: %w", batch.N, err)
	}
	return out.Bytes(), nil
}

// groupRows returns how many rows make a row group.
func (b *Batch) groupRows(schema Schema) int {
	var size int64
	for i, field := range schema {
		size += 8 * int64(b.N)
		if field.Type == String || field.Type == Binary {
			for _, v := range b.Columns[i].Bytes[:b.N] {
				size += int64(len(v))
			}
		}
	}
	rows := int64(rowGroupRows)
	if perRow := size / int64(b.N); perRow > 0 {
		rows = min(rows, rowGroupBytes/perRow)
	}
	return int(max(rows, 1))
}

// check holds a batch to its schema.
func (b *Batch) check(schema Schema) error {
	if len(b.Columns) != len(schema) {
		return fmt.Errorf("encode rows: %d columns, want %d: %w", len(b.Columns), len(schema), drumbeat.ErrInvalid)
	}
	if b.N > MaxRows {
		return fmt.Errorf("encode rows: %d in one batch, at most %d: %w", b.N, MaxRows, drumbeat.ErrLimit)
	}
	for i, field := range schema {
		column := &b.Columns[i]
		n := len(column.Ints)
		switch field.Type {
		case Float64:
			n = len(column.Floats)
		case String, Binary:
			n = len(column.Bytes)
		case Int32, Int64, Bool, Timestamp, Decimal, Date:
		}
		if n < b.N || column.Null != nil && len(column.Null) < b.N {
			return fmt.Errorf("encode column %s: it has %d values, want %d: %w", field.Name, n, b.N, drumbeat.ErrInvalid)
		}
		if column.Null != nil && !field.Nullable && countNulls(column, b.N) > 0 {
			return fmt.Errorf("encode column %s: a null where none may be: %w", field.Name, drumbeat.ErrInvalid)
		}
		if least, greatest := field.limits(); n > 0 && least < greatest {
			for row, v := range column.Ints[:b.N] {
				if (v < least || v > greatest) && (column.Null == nil || !column.Null[row]) {
					return fmt.Errorf("encode column %s: row %d: %d does not fit %s: %w", field.Name, row, v, field, drumbeat.ErrInvalid)
				}
			}
		}
		if field.Type == String {
			for row, v := range column.Bytes[:b.N] {
				if !utf8.Valid(v) {
					return fmt.Errorf("encode column %s: row %d is no UTF-8 text: %.40q: %w", field.Name, row, v, drumbeat.ErrInvalid)
				}
			}
		}
	}
	return nil
}

// limits returns the least and greatest integer that fits the type; the same
// number twice if all do.
func (f Field) limits() (least, greatest int64) {
	switch f.Type {
	case Int32, Date:
		return math.MinInt32, math.MaxInt32
	case Decimal:
		greatest = 1
		for range f.Precision {
			greatest *= 10
		}
		return 1 - greatest, greatest - 1
	case Int64, Float64, Bool, String, Timestamp, Binary:
	}
	return 0, 0
}

// writeColumn writes rows [start, end) of a column. It returns the scratch
// space, to be used again.
func writeColumn(
	writer *parquet.ColumnWriter, field Field, column *Column, start, end int, values []parquet.Value,
) ([]parquet.Value, error) {
	for ; start < end; start += writeRows {
		upTo := min(start+writeRows, end)
		values = appendValues(values[:0], field, column, start, upTo)
		if field.Nullable {
			mark(values, field, column, start)
		}
		if _, err := writer.WriteRowValues(values); err != nil {
			return values, err
		}
	}
	return values, nil
}

func appendValues(values []parquet.Value, field Field, column *Column, start, end int) []parquet.Value {
	if field.Type == Int32 || field.Type == Date || field.narrow() {
		for _, v := range column.Ints[start:end] {
			values = append(values, parquet.Int32Value(int32(v))) //nolint:gosec // checked before
		}
		return values
	}
	switch field.Type {
	case Int32, Int64, Timestamp, Decimal, Date:
		for _, v := range column.Ints[start:end] {
			values = append(values, parquet.Int64Value(v))
		}
	case Bool:
		for _, v := range column.Ints[start:end] {
			values = append(values, parquet.BooleanValue(v != 0))
		}
	case Float64:
		for _, v := range column.Floats[start:end] {
			values = append(values, parquet.DoubleValue(v))
		}
	case String, Binary:
		for _, v := range column.Bytes[start:end] {
			values = append(values, parquet.ByteArrayValue(v))
		}
	}
	return values
}

// mark gives the values of a nullable column, from row start on, their levels.
func mark(values []parquet.Value, field Field, column *Column, start int) {
	for i := range values {
		values[i].SetDefinitionLevel(1)
	}
	if column.Null != nil {
		for i, null := range column.Null[start : start+len(values)] {
			if null {
				values[i] = parquet.NullValue()
			}
		}
	}
	if field.Type == Float64 {
		for i, v := range column.Floats[start : start+len(values)] {
			if v != v {
				values[i] = parquet.NullValue()
			}
		}
	}
}

// ordered is a group whose columns stand in the schema's order: the engine
// sorts them by name otherwise.
type ordered struct {
	parquet.Group
	schema Schema
}

// Fields returns the columns in the schema's order.
func (o *ordered) Fields() []parquet.Field {
	byName := map[string]parquet.Field{}
	for _, field := range o.Group.Fields() {
		byName[field.Name()] = field
	}
	fields := make([]parquet.Field, len(o.schema))
	for i, field := range o.schema {
		fields[i] = byName[field.Name]
	}
	return fields
}

// damaged says that a file cannot be read, and what to do.
func damaged(what string, cause error) error {
	return fmt.Errorf("read %s: it is damaged (%w); restore it from a backup: %w", what, cause, drumbeat.ErrInvalid)
}

// rescue turns a panic of the Parquet engine on bad bytes into an error.
func rescue(what string, err *error) {
	if r := recover(); r != nil {
		*err = damaged(what, fmt.Errorf("%v", r))
	}
}
