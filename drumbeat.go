// Package drumbeat is the vocabulary of the system: the few words that its
// rooms exchange. It computes nothing beyond ordering and text forms, and it
// imports the standard library only.
//
// The rules behind each word are in docs/semantics.md; comments cite them by
// number (T2, V3, …).
package drumbeat

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// MachineID names one machine of a fleet, as its telemetry does.
type MachineID string

// FleetName names a fleet: a class of machines with the same sensors (V1).
type FleetName string

// Hash is the definition hash of a view: equal hashes mean equal bits (P5).
type Hash string

// ModelVersion numbers the registered versions of a fleet's model from 1.
type ModelVersion int

// Time is a UTC instant in microseconds since 1970, of millisecond precision
// once it has been cleaned (T1).
type Time int64

// NoTime is the time of something that has not happened.
const NoTime Time = math.MinInt64

// At converts a wall-clock instant, cut to the millisecond (T1).
func At(t time.Time) Time { return Time(t.UnixMilli() * 1000) }

// Cut returns t cut to the millisecond, towards the past (T1). NoTime stays.
func (t Time) Cut() Time {
	if t == NoTime {
		return t
	}
	ms := int64(t) / 1000
	if int64(t)%1000 < 0 {
		ms--
	}
	return Time(ms * 1000)
}

// Add returns t moved by d, which is cut to microseconds.
func (t Time) Add(d time.Duration) Time { return t + Time(d/time.Microsecond) }

// Sub returns the time from u to t.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t-u) * time.Microsecond }

// Milliseconds returns t in milliseconds since 1970.
func (t Time) Milliseconds() int64 { return int64(t.Cut()) / 1000 }

// Std returns t as a time.Time in UTC.
func (t Time) Std() time.Time { return time.UnixMicro(int64(t)).UTC() }

// String writes t in RFC 3339 with milliseconds, or "never" for NoTime.
func (t Time) String() string {
	if t == NoTime {
		return "never"
	}
	return t.Std().Format("2006-01-02T15:04:05.000Z07:00")
}

// MarshalJSON writes t as an RFC 3339 string, NoTime as null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t == NoTime {
		return []byte("null"), nil
	}
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads an RFC 3339 string or null.
func (t *Time) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*t = NoTime
		return nil
	}
	unquoted, err := strconv.Unquote(string(text))
	if err != nil {
		return fmt.Errorf("read time %s: want a quoted RFC 3339 time: %w", text, ErrInvalid)
	}
	parsed, err := time.Parse(time.RFC3339Nano, unquoted)
	if err != nil {
		return fmt.Errorf("read time %s: want RFC 3339 such as 2026-01-31T06:00:00Z: %w", text, ErrInvalid)
	}
	*t = At(parsed)
	return nil
}

// Position is where an item stands in its topic (T2). Knowledge grows with
// it; positions of one machine compare within one partition only.
type Position struct {
	Epoch     int32 `json:"epoch"`
	Partition int32 `json:"partition"`
	Offset    int64 `json:"offset"`
	Index     int32 `json:"index"`
}

// Compare orders positions by epoch, partition, offset and index.
func (p Position) Compare(q Position) int {
	return cmp.Or(
		cmp.Compare(p.Epoch, q.Epoch),
		cmp.Compare(p.Partition, q.Partition),
		cmp.Compare(p.Offset, q.Offset),
		cmp.Compare(p.Index, q.Index),
	)
}

// String writes p as epoch/partition/offset/index.
func (p Position) String() string {
	return fmt.Sprintf("%d/%d/%d/%d", p.Epoch, p.Partition, p.Offset, p.Index)
}

// ParsePosition reads what Position.String writes.
func ParsePosition(text string) (Position, error) {
	parts := strings.Split(text, "/")
	var n [4]int64
	if len(parts) != len(n) {
		return Position{}, fmt.Errorf("read position %q: want epoch/partition/offset/index: %w", text, ErrInvalid)
	}
	for i, part := range parts {
		bits := 32
		if i == 2 {
			bits = 64
		}
		v, err := strconv.ParseInt(part, 10, bits)
		if err != nil || v < 0 {
			return Position{}, fmt.Errorf("read position %q: part %d must be a whole number: %w", text, i+1, ErrInvalid)
		}
		n[i] = v
	}
	//nolint:gosec // ParseInt was given the bits of each
	return Position{Epoch: int32(n[0]), Partition: int32(n[1]), Offset: n[2], Index: int32(n[3])}, nil
}
