package delta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// conversion says how a file's values become a Column's.
type conversion uint8

const (
	direct      conversion = iota // as we write them
	fromInt32                     // INT32 into 64 bits
	fromInt96                     // Spark's old timestamps
	fromFixed                     // decimals in big-endian bytes
	fromMillis                    // timestamps in milliseconds
	fromFloat32                   // FLOAT
)

// converter says how to read a column of another writer, whose physical types
// may differ from ours, or that it cannot be read.
func converter(field Field, have parquet.Type) (conversion, error) {
	kind := have.Kind()
	switch field.Type {
	case Int32, Date:
		if kind == parquet.Int32 {
			return fromInt32, nil
		}
	case Int64:
		if kind == parquet.Int64 {
			return direct, nil
		}
	case Timestamp:
		if kind == parquet.Int96 {
			return fromInt96, nil
		}
		if kind == parquet.Int64 {
			return timeUnit(field, have.LogicalType())
		}
	case Decimal:
		switch kind { //nolint:exhaustive // decimals come in these
		case parquet.Int64:
			return direct, nil
		case parquet.Int32:
			return fromInt32, nil
		case parquet.FixedLenByteArray:
			return fromFixed, nil
		}
	case Float64:
		if kind == parquet.Double {
			return direct, nil
		}
		if kind == parquet.Float {
			return fromFloat32, nil
		}
	case Bool:
		if kind == parquet.Boolean {
			return direct, nil
		}
	case String, Binary:
		if kind == parquet.ByteArray {
			return direct, nil
		}
	}
	return direct, fmt.Errorf("column %s is stored as %s, want %s", field.Name, have, field)
}

func timeUnit(field Field, logical *format.LogicalType) (conversion, error) {
	if logical != nil {
		if stamp, ok := logical.Value.(*format.TimestampType); ok {
			switch stamp.Unit.Value.(type) {
			case *format.MilliSeconds:
				return fromMillis, nil
			case *format.NanoSeconds:
				return direct, fmt.Errorf("column %s is stored in nanoseconds, want microseconds", field.Name)
			}
		}
	}
	return direct, nil
}

// columnReader reads one column of a file, page by page, into columns.
type columnReader struct {
	field    Field
	convert  conversion
	optional bool

	pages  parquet.Pages
	rows   int    // of the page
	row    int    // next one in the page
	levels []byte // definition levels of the page, nil if no row is null

	// The page's values that are not null, in the slice that fits the field.
	value  int // next one
	ints   []int64
	floats []float64
	bools  []byte
	text   [][]byte

	// Scratch space that pages are converted in, and the values of the
	// dictionary that scratch was made from.
	intSpace  []int64
	textSpace [][]byte
	dict      parquet.Dictionary
	dictInts  []int64
	dictFloat []float64
	dictText  [][]byte
	floatRoom []float64
}

// open begins another row group.
func (c *columnReader) open(chunk parquet.ColumnChunk) error {
	if err := c.close(); err != nil {
		return err
	}
	c.pages = chunk.Pages()
	c.rows, c.row, c.value, c.dict = 0, 0, 0, nil
	return nil
}

func (c *columnReader) close() (err error) {
	defer recovered(&err)
	if c.pages == nil {
		return nil
	}
	pages := c.pages
	c.pages = nil
	return pages.Close()
}

// absent fills a column that the file does not have.
func (c *columnReader) absent(column *Column, n int) {
	c.reset(column, n)
	column.Null = resize(column.Null, n)
	for i := range column.Null {
		column.Null[i] = true
	}
	for i := range column.Floats {
		column.Floats[i] = math.NaN()
	}
	clear(column.Ints)
	clear(column.Bytes)
}

// reset gives a column n places.
func (c *columnReader) reset(column *Column, n int) {
	switch c.field.Type {
	case Float64:
		column.Floats = resize(column.Floats, n)
	case String, Binary:
		column.Bytes = resize(column.Bytes, n)
	case Int32, Int64, Bool, Timestamp, Decimal, Date:
		column.Ints = resize(column.Ints, n)
	}
}

func resize[T any](s []T, n int) []T { return slices.Grow(s[:0], n)[:n] }

// read fills a column with the next n rows.
func (c *columnReader) read(column *Column, n int) error {
	c.reset(column, n)
	nulls := column.Null[:0]
	if c.field.Nullable {
		nulls = resize(column.Null, n)
		clear(nulls)
	}
	found := false
	for done := 0; done < n; {
		if c.row == c.rows {
			if err := c.page(); err != nil {
				return err
			}
			continue
		}
		take := min(n-done, c.rows-c.row)
		if c.levels == nil {
			c.copy(column, done, c.value, take)
			c.value += take
		} else {
			var err error
			if found, err = c.spread(column, nulls, done, take, found); err != nil {
				return err
			}
		}
		c.row += take
		done += take
	}
	column.Null = nil
	if found {
		column.Null = nulls
	}
	return nil
}

// copy puts values [from, from+n) of the page at place at of the column.
func (c *columnReader) copy(column *Column, at, from, n int) {
	switch c.field.Type {
	case Float64:
		copy(column.Floats[at:], c.floats[from:from+n])
	case String, Binary:
		copy(column.Bytes[at:], c.text[from:from+n])
	case Bool:
		for i := range n {
			column.Ints[at+i] = int64(c.bools[(from+i)/8]>>((from+i)%8)) & 1
		}
	case Int32, Int64, Timestamp, Decimal, Date:
		copy(column.Ints[at:], c.ints[from:from+n])
	}
}

// spread puts n rows, of which some are null, at place at of the column.
func (c *columnReader) spread(column *Column, nulls []bool, at, n int, found bool) (bool, error) {
	levels := c.levels[c.row : c.row+n]
	for i := 0; i < n; {
		run := i
		for run < n && levels[run] != 0 {
			run++
		}
		if run > i {
			c.copy(column, at+i, c.value, run-i)
			c.value += run - i
			i = run
			continue
		}
		if !c.field.Nullable {
			return found, errors.New("a null where none may be")
		}
		found = true
		nulls[at+i] = true
		switch c.field.Type {
		case Float64:
			column.Floats[at+i] = math.NaN()
		case String, Binary:
			column.Bytes[at+i] = nil
		case Int32, Int64, Bool, Timestamp, Decimal, Date:
			column.Ints[at+i] = 0
		}
		i++
	}
	return found, nil
}

// page reads the next page.
func (c *columnReader) page() error {
	if c.pages == nil {
		return errors.New("no pages")
	}
	page, err := c.pages.ReadPage()
	if errors.Is(err, io.EOF) {
		return errors.New("it ends before its last row")
	}
	if err != nil {
		return err
	}
	c.rows, c.row, c.value, c.levels = int(page.NumRows()), 0, 0, nil
	values := c.rows
	if c.optional {
		levels := page.DefinitionLevels()
		if len(levels) != c.rows {
			return fmt.Errorf("a page of %d rows has %d levels", c.rows, len(levels))
		}
		values = 0
		for _, level := range levels {
			values += int(min(level, 1))
		}
		if values < c.rows {
			c.levels = levels
		}
	}
	have, err := c.decode(page)
	if err == nil && have < values {
		err = fmt.Errorf("a page of %d values has %d", values, have)
	}
	return err
}

// fixed returns big-endian two's-complement bytes as a number.
func fixed(b []byte) (int64, bool) {
	var v int64
	if len(b) > 0 && b[0]&0x80 != 0 {
		v = -1
	}
	for i, x := range b {
		if len(b)-i > 8 {
			if x != byte(v) {
				return 0, false
			}
			continue
		}
		v = v<<8 | int64(x)
	}
	return v, true
}

// julianEpoch is the Julian day of 1970-01-01.
const julianEpoch = 2440588

// int96Micros converts Spark's old timestamps: nanoseconds of the day, Julian
// day.
func int96Micros(words [3]uint32) int64 {
	var b [12]byte
	for i, w := range words {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
	nanos := int64(binary.LittleEndian.Uint64(b[:8])) //nolint:gosec // of a day
	return (int64(words[2])-julianEpoch)*86_400_000_000 + nanos/1000
}
