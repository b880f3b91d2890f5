package delta

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// statText bounds strings in statistics, as other writers do: prefixes select
// files well enough.
const statText = 32

// measuredColumns is how many columns a table may have for all of them to get
// statistics; a wider one gets those that its fields ask for. Some readers
// (deltalake 1.6) take a column without bounds, beside others that have them,
// for one that holds nothing, and find no row when they filter by it.
const measuredColumns = 100

// statTime is how statistics hold timestamps: milliseconds in UTC.
const statTime = "2006-01-02T15:04:05.000Z"

// statistics is an add action's stats.
type statistics struct {
	NumRecords int64                      `json:"numRecords"`
	MinValues  map[string]json.RawMessage `json:"minValues,omitempty"`
	MaxValues  map[string]json.RawMessage `json:"maxValues,omitempty"`
	NullCount  map[string]json.RawMessage `json:"nullCount,omitempty"`
}

// measure returns the statistics of a batch.
func measure(schema Schema, batch *Batch) (string, error) {
	stats := statistics{
		NumRecords: int64(batch.N),
		MinValues:  map[string]json.RawMessage{},
		MaxValues:  map[string]json.RawMessage{},
		NullCount:  map[string]json.RawMessage{},
	}
	for i, field := range schema {
		if !field.Stats && len(schema) > measuredColumns {
			continue
		}
		column := &batch.Columns[i]
		least, greatest, nulls := "", "", 0
		switch field.Type {
		case Float64:
			least, greatest, nulls = measureFloats(column, batch.N, field.Nullable)
		case String:
			least, greatest, nulls = measureStrings(column, batch.N)
		case Int32, Int64, Timestamp, Decimal, Date:
			least, greatest, nulls = measureInts(field, column, batch.N)
		case Bool:
			least, greatest, nulls = measureBools(column, batch.N)
		case Binary: // no order worth keeping
			nulls = countNulls(column, batch.N)
		}
		stats.NullCount[field.Name] = json.RawMessage(strconv.Itoa(nulls))
		if least != "" {
			stats.MinValues[field.Name] = json.RawMessage(least)
		}
		if greatest != "" {
			stats.MaxValues[field.Name] = json.RawMessage(greatest)
		}
	}
	text, err := json.Marshal(&stats)
	return string(text), err
}

func countNulls(column *Column, n int) int {
	nulls := 0
	if column.Null != nil {
		for _, null := range column.Null[:n] {
			if null {
				nulls++
			}
		}
	}
	return nulls
}

func measureInts(field Field, column *Column, n int) (least, greatest string, nulls int) {
	lo, hi := int64(math.MaxInt64), int64(math.MinInt64)
	for i, v := range column.Ints[:n] {
		if column.Null != nil && column.Null[i] {
			nulls++
			continue
		}
		lo, hi = min(lo, v), max(hi, v)
	}
	if nulls == n {
		return "", "", nulls
	}
	return statInt(field, lo, false), statInt(field, hi, true), nulls
}

// statInt writes a bound. Timestamps have milliseconds only, so an upper one
// is rounded up: a bound may be wide, never narrow.
func statInt(field Field, v int64, upper bool) string {
	switch field.Type {
	case Timestamp:
		if rest := v % 1000; upper && rest != 0 {
			v -= rest
			if rest > 0 {
				v += 1000
			}
		}
		at := time.UnixMicro(v).UTC()
		if at.Year() < 0 || at.Year() > 9999 {
			return "" // RFC 3339 cannot say it
		}
		return strconv.Quote(at.Format(statTime))
	case Decimal:
		return decimalText(v, field.Scale)
	case Date:
		if text := dateText(v); text != "" {
			return strconv.Quote(text)
		}
		return ""
	case Int32, Int64, Float64, Bool, String, Binary:
	}
	return strconv.FormatInt(v, 10)
}

// dateText writes a day, "" if four digits do not hold its year.
func dateText(days int64) string {
	at := time.Unix(days*secondsADay, 0).UTC()
	if at.Year() < 0 || at.Year() > 9999 {
		return ""
	}
	return at.Format(time.DateOnly)
}

const secondsADay = 24 * 3600

// decimalText writes an unscaled decimal exactly.
func decimalText(v int64, scale int) string {
	digits := strconv.FormatInt(v, 10)
	if scale == 0 {
		return digits
	}
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	return sign + digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
}

func measureFloats(column *Column, n int, nullable bool) (least, greatest string, nulls int) {
	lo, hi, known := math.Inf(1), math.Inf(-1), true
	for i, v := range column.Floats[:n] {
		switch {
		case column.Null != nil && column.Null[i] || nullable && v != v:
			nulls++
		case v != v || math.IsInf(v, 0):
			known = false // JSON cannot say it
		default:
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	if nulls == n || !known {
		return "", "", nulls
	}
	return strconv.FormatFloat(lo, 'g', -1, 64), strconv.FormatFloat(hi, 'g', -1, 64), nulls
}

func measureStrings(column *Column, n int) (least, greatest string, nulls int) {
	var lo, hi []byte
	first := true
	for i, v := range column.Bytes[:n] {
		if column.Null != nil && column.Null[i] {
			nulls++
			continue
		}
		if first || string(v) < string(lo) {
			lo = v
		}
		if first || string(v) > string(hi) {
			hi = v
		}
		first = false
	}
	if first {
		return "", "", nulls
	}
	return quote(prefix(lo)), upperText(hi), nulls
}

// prefix cuts a text to the size that statistics hold, not within a character.
func prefix(text []byte) []byte {
	if len(text) <= statText {
		return text
	}
	cut := text[:statText]
	for len(cut) > 0 && !utf8.Valid(cut) {
		cut = cut[:len(cut)-1]
	}
	return cut
}

// lastRune is above every other in the order of UTF-8: a prefix that ends in it
// is above all that begins with the prefix.
const lastRune = "\U0010FFFF"

// upperText writes an upper bound of a text: a prefix alone would be below it.
func upperText(hi []byte) string {
	cut := prefix(hi)
	if len(cut) == len(hi) {
		return quote(hi)
	}
	if strings.HasPrefix(string(hi[len(cut):]), lastRune) {
		return "" // nothing short is above it
	}
	return quote([]byte(string(cut) + lastRune))
}

// measureBools writes bounds of booleans, false being less.
func measureBools(column *Column, n int) (least, greatest string, nulls int) {
	seen := map[bool]bool{}
	for i, v := range column.Ints[:n] {
		if column.Null != nil && column.Null[i] {
			nulls++
			continue
		}
		seen[v != 0] = true
	}
	if len(seen) == 0 {
		return "", "", nulls
	}
	return strconv.FormatBool(!seen[false]), strconv.FormatBool(seen[true]), nulls
}

func quote(text []byte) string {
	quoted, err := json.Marshal(string(text))
	if err != nil {
		return ""
	}
	return string(quoted)
}

// bounds reads one field's range out of statistics, ok only if both ends are
// known. Values are integers as a Column holds them.
func (s *statistics) bounds(field Field) (lo, hi int64, ok bool) {
	lo, lowOK := boundInt(field, s.MinValues[field.Name], false)
	hi, highOK := boundInt(field, s.MaxValues[field.Name], true)
	return lo, hi, lowOK && highOK && lo <= hi
}

func boundInt(field Field, text json.RawMessage, upper bool) (int64, bool) {
	switch field.Type {
	case Int32, Int64:
		v, err := strconv.ParseInt(string(text), 10, 64)
		return v, err == nil
	case Timestamp:
		var quoted string
		if json.Unmarshal(text, &quoted) != nil {
			return 0, false
		}
		at, err := time.Parse(time.RFC3339Nano, quoted)
		if err != nil {
			return 0, false
		}
		v := at.UnixMicro()
		if upper { // others cut to milliseconds
			v += 999
		}
		return v, true
	case Date:
		var quoted string
		if json.Unmarshal(text, &quoted) != nil {
			return 0, false
		}
		at, err := time.Parse(time.DateOnly, quoted)
		return at.Unix() / secondsADay, err == nil
	case Decimal, Float64, Bool, String, Binary:
	}
	return 0, false
}
