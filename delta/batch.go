package delta

// Type is the type of a column. Each maps to one Delta type and one Parquet
// type.
type Type uint8

// The types of a column.
const (
	Int32     Type = iota // integer, INT32
	Int64                 // long, INT64
	Float64               // double, DOUBLE; NaN in Go is null on disk where the field is nullable
	Bool                  // boolean
	String                // string, BYTE_ARRAY (UTF8)
	Timestamp             // timestamp (UTC-adjusted), INT64 microseconds
	Decimal               // decimal(Precision, Scale), INT64 unscaled; Precision at most 18
	Binary                // binary, BYTE_ARRAY: bytes that need not be text
	Date                  // date, INT32 days since 1970-01-01
)

// Field is one column of a schema.
type Field struct {
	Name      string
	Type      Type
	Nullable  bool
	Precision int // of Decimal
	Scale     int // of Decimal
	// Dictionary asks for dictionary encoding: for columns of few values.
	Dictionary bool
	// Stats asks for min, max and null count in the log's add actions, also in
	// tables too wide for every column to have them.
	Stats bool
	// Partition says that each file holds one value of this column, which
	// stands in the log and not in the file. Every type but Binary and Float64
	// may be one; "" is null there, as the protocol has it.
	Partition bool
}

// Schema is the columns of a table, in order.
type Schema []Field

// Column holds the values of one field for a batch of rows. Which slice is
// in use follows from the field's type: Ints for Int32, Int64, Timestamp,
// Decimal, Date and Bool (0, 1); Floats for Float64; Bytes for String and Binary.
type Column struct {
	Ints   []int64
	Floats []float64
	Bytes  [][]byte
	// Null marks null rows; nil if there is none. A null row still holds a
	// place (of any value) in the value slice.
	Null []bool
}

// Batch is rows in columns, in the schema's order. All columns have N rows.
type Batch struct {
	N       int
	Columns []Column
	// Tags are kept beside the file that holds the batch, in the log.
	Tags map[string]string
}
