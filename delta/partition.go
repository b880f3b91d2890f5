package delta

import (
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"drumbeat"
)

// nullFolder is the folder of a null partition value, as Hive has it.
const nullFolder = "__HIVE_DEFAULT_PARTITION__"

// partitionTime is how timestamps stand as partition values.
const partitionTime = "2006-01-02 15:04:05.999999"

// partitionText writes a row's value of a partition column as actions hold it:
// "" is null.
func (f Field) partitionText(c *Column, row int) (string, error) {
	if c.Null != nil && c.Null[row] {
		return "", nil
	}
	switch f.Type {
	case String:
		return string(c.Bytes[row]), nil
	case Int32, Int64:
		return strconv.FormatInt(c.Ints[row], 10), nil
	case Bool:
		return strconv.FormatBool(c.Ints[row] != 0), nil
	case Decimal:
		return decimalText(c.Ints[row], f.Scale), nil
	case Date:
		if text := dateText(c.Ints[row]); text != "" {
			return text, nil
		}
	case Timestamp:
		if at := time.UnixMicro(c.Ints[row]).UTC(); at.Year() >= 0 && at.Year() <= 9999 {
			return at.Format(partitionTime), nil
		}
	case Float64, Binary:
	}
	return "", fmt.Errorf("column %s: %d cannot be a partition's value: %w", f.Name, c.Ints[row], drumbeat.ErrInvalid)
}

// partitionValue is what a file's rows have in a partition column.
type partitionValue struct {
	null bool
	n    int64
	text []byte
}

// parsePartition reads a partition value out of an action.
func (f Field) parsePartition(text string) (partitionValue, error) {
	if text == "" {
		if !f.Nullable {
			return partitionValue{}, fmt.Errorf("a null in partition column %s: %w", f.Name, drumbeat.ErrInvalid)
		}
		return partitionValue{null: true}, nil
	}
	v := partitionValue{text: []byte(text)}
	var err error
	switch f.Type {
	case String:
	case Int32, Int64:
		v.n, err = strconv.ParseInt(text, 10, 64)
	case Bool:
		var truth bool
		if truth, err = strconv.ParseBool(text); truth {
			v.n = 1
		}
	case Decimal:
		v.n, err = parseDecimal(text, f.Scale)
	case Date:
		var at time.Time
		at, err = time.Parse(time.DateOnly, text)
		v.n = at.Unix() / secondsADay
	case Timestamp:
		var at time.Time
		if at, err = time.Parse(partitionTime, text); err != nil {
			at, err = time.Parse(time.RFC3339Nano, text) // as the protocol has it since 2023
		}
		v.n = at.UnixMicro()
	case Float64, Binary:
		err = fmt.Errorf("of type %s", f)
	}
	if err != nil {
		return v, fmt.Errorf("partition column %s: %.60q: %w: %w", f.Name, text, err, drumbeat.ErrInvalid)
	}
	return v, nil
}

// parseDecimal reads a decimal with at most scale digits behind its point.
func parseDecimal(text string, scale int) (int64, error) {
	whole, rest, _ := strings.Cut(text, ".")
	if len(rest) > scale {
		if strings.Trim(rest[scale:], "0") != "" {
			return 0, fmt.Errorf("more than %d decimals", scale)
		}
		rest = rest[:scale]
	}
	return strconv.ParseInt(whole+rest+strings.Repeat("0", scale-len(rest)), 10, 64)
}

// fill gives n rows of a column the value.
func (v *partitionValue) fill(c *Column, f Field, n int) {
	c.Null = nil
	if v.null {
		c.Null = make([]bool, n)
		for i := range c.Null {
			c.Null[i] = true
		}
	}
	switch f.Type {
	case String, Binary:
		c.Bytes = resize(c.Bytes, n)
		for i := range c.Bytes {
			c.Bytes[i] = v.text
		}
	case Float64:
		c.Floats = resize(c.Floats, n)
		for i := range c.Floats {
			c.Floats[i] = math.NaN()
		}
	case Int32, Int64, Bool, Timestamp, Decimal, Date:
		c.Ints = resize(c.Ints, n)
		for i := range c.Ints {
			c.Ints[i] = v.n
		}
	}
}

// split divides a batch into one for each combination of partition values, in
// the order in which they first come. Rows keep their order. The parts have
// the stored columns only.
func (s Schema) split(b *Batch) ([]part, error) {
	if len(s.partitions()) == 0 {
		return []part{{batch: b}}, nil
	}
	if err := b.check(s); err != nil {
		return nil, err
	}
	index := map[string]int{}
	var parts []part
	var rows [][]int
	for row := range b.N {
		values := map[string]string{}
		var key strings.Builder
		for i, f := range s {
			if !f.Partition {
				continue
			}
			text, err := f.partitionText(&b.Columns[i], row)
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", row, err)
			}
			values[f.Name] = text
			fmt.Fprintf(&key, "%d:%s", len(text), text)
		}
		at, known := index[key.String()]
		if !known {
			at = len(parts)
			index[key.String()] = at
			parts = append(parts, part{values: values})
			rows = append(rows, nil)
		}
		rows[at] = append(rows[at], row)
	}
	for at := range parts {
		parts[at].batch = s.pick(b, rows[at])
	}
	return parts, nil
}

// part is the rows of one file.
type part struct {
	values map[string]string // of partition columns
	batch  *Batch            // the stored columns
}

// pick returns the given rows of the stored columns.
func (s Schema) pick(b *Batch, rows []int) *Batch {
	out := &Batch{N: len(rows), Tags: b.Tags}
	for i, f := range s {
		if f.Partition {
			continue
		}
		from := &b.Columns[i]
		to := Column{Ints: choose(from.Ints, rows), Floats: choose(from.Floats, rows), Bytes: choose(from.Bytes, rows), Null: choose(from.Null, rows)}
		out.Columns = append(out.Columns, to)
	}
	return out
}

func choose[T any](all []T, rows []int) []T {
	if all == nil {
		return nil
	}
	out := make([]T, len(rows))
	for i, row := range rows {
		out[i] = all[row]
	}
	return out
}

// folder returns where files of partition values lie, with a slash behind it,
// "" without partitions: day=2026-03-02/. Only for people: what counts stands
// in the log.
func (s Schema) folder(values map[string]string) string {
	var out strings.Builder
	for _, name := range s.partitions() {
		value := values[name]
		if value == "" {
			value = nullFolder
		}
		out.WriteString(safePart(name) + "=" + safePart(value) + "/")
	}
	return out.String()
}

// maxFolder bounds a folder's name: stores bound a key.
const maxFolder = 100

// safePart writes a text so that every store takes it in a key.
func safePart(text string) string {
	text = strings.NewReplacer("%", "_", "+", "_", "\\", "_").Replace(url.QueryEscape(text))
	return text[:min(len(text), maxFolder)]
}

// values holds the partition values of a file to the schema.
func (s Schema) values(path string, values map[string]string) error {
	for _, f := range s {
		if !f.Partition {
			continue
		}
		text, said := values[f.Name]
		if !said {
			return fmt.Errorf("file %s: it has no value of partition column %s: %w", path, f.Name, drumbeat.ErrInvalid)
		}
		if _, err := f.parsePartition(text); err != nil {
			return fmt.Errorf("file %s: %w", path, err)
		}
	}
	return nil
}

// samePartition says whether two files have the same partition values.
func samePartition(a, b *File) bool {
	if len(a.Partition) != len(b.Partition) {
		return false
	}
	for name, value := range a.Partition {
		if other, known := b.Partition[name]; !known || other != value {
			return false
		}
	}
	return true
}

// partitionBounds is a partition column's range in a file.
func (f *File) partitionBounds(field Field) (least, greatest int64, ok bool) {
	v, err := field.parsePartition(f.Partition[field.Name])
	if err != nil || v.null || field.Type == String || field.Type == Bool {
		return 0, 0, false
	}
	return v.n, v.n, true
}

// markPartitions says which columns of a schema a table is partitioned by.
func (s Schema) markPartitions(names []string) error {
	for _, name := range names {
		at := s.Index(name)
		if at < 0 {
			return fmt.Errorf("the table is partitioned by %s, which is no column: %w", name, drumbeat.ErrInvalid)
		}
		s[at].Partition = true
	}
	return s.check()
}
