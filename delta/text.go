package delta

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"
)

// Text returns a row's value as text: decimals exactly, times as RFC 3339 in
// UTC, days as 2026-03-02, bytes in base64. Null is false.
func (f Field) Text(c *Column, row int) (string, bool) {
	if f.isNull(c, row) {
		return "", false
	}
	switch f.Type {
	case String:
		return string(c.Bytes[row]), true
	case Binary:
		return base64.StdEncoding.EncodeToString(c.Bytes[row]), true
	case Float64:
		return strconv.FormatFloat(c.Floats[row], 'g', -1, 64), true
	case Bool:
		return strconv.FormatBool(c.Ints[row] != 0), true
	case Decimal:
		return decimalText(c.Ints[row], f.Scale), true
	case Timestamp:
		return time.UnixMicro(c.Ints[row]).UTC().Format(time.RFC3339Nano), true
	case Date:
		return time.Unix(c.Ints[row]*secondsADay, 0).UTC().Format(time.DateOnly), true
	case Int32, Int64:
	}
	return strconv.FormatInt(c.Ints[row], 10), true
}

// JSON returns a row's value as JSON: numbers as numbers, decimals too, with
// all their digits; what JSON has no word for (null, NaN, infinities) is null.
func (f Field) JSON(c *Column, row int) json.RawMessage {
	text, known := f.Text(c, row)
	if !known || f.Type == Float64 && (math.IsInf(c.Floats[row], 0) || math.IsNaN(c.Floats[row])) {
		return json.RawMessage("null")
	}
	switch f.Type {
	case Int32, Int64, Float64, Bool, Decimal:
		return json.RawMessage(text)
	case String, Binary, Timestamp, Date:
	}
	quoted, err := json.Marshal(text)
	if err != nil { // a text always marshals
		return json.RawMessage("null")
	}
	return quoted
}

func (f Field) isNull(c *Column, row int) bool {
	return c.Null != nil && c.Null[row] || f.Type == Float64 && f.Nullable && math.IsNaN(c.Floats[row])
}
