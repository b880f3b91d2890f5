package drumbeat

import (
	"math"
	"slices"
	"strings"
)

// Missing is the scaled value of a sensor that said nothing, null, NaN or an
// infinity (V3).
const Missing int64 = math.MinInt64

// Kind says what an item of a topic is. It travels in the record's "type"
// header; a record without one is a reading.
type Kind uint8

// The kinds of item that a fleet's topic carries (T2).
const (
	KindReading   Kind = iota // what sensors measured at one event time
	KindEntry                 // a line of a log: failure, maintenance, error, …
	KindMachine               // a machine and its static attributes (V5)
	KindWatermark             // a log is complete up to a time (L2)
)

// Flag says what was done to a value, or what it looked like (V1, T3).
type Flag uint8

// The flags of a value; several may hold at once.
const (
	FlagClipped  Flag = 1 << iota // out of range, set to the nearer bound
	FlagNulled                    // out of range, or not a number: made missing
	FlagConflict                  // differs from the accepted value, dropped (T3)
	FlagStuck                     // too many equal values in a row
	FlagJump                      // too far from the previous valid value
)

// Fate is what became of an item, exactly one each (T8).
type Fate uint8

// The fates in the order in which they apply: the first that fits holds.
const (
	FateUndecodable Fate = iota
	FateUnknownMachine
	FateFuture
	FateLate
	FateDuplicate
	FateRejected
	FateKept
)

// Fates names every fate, indexed by it.
var Fates = [...]string{ //nolint:gochecknoglobals // a constant table
	"undecodable", "unknown_machine", "future", "late", "duplicate", "rejected", "kept",
}

// String returns the fate's name.
func (f Fate) String() string { return Fates[f] }

// Item is one thing that a record said of one machine. Which of the parts
// after Kind are meaningful, Kind says.
type Item struct {
	Kind        Kind
	Machine     MachineID
	EventTime   Time
	ArrivalTime Time
	Position    Position

	// Values and Flags of a reading, in the order of the fleet's sensors.
	// A value is an integer scaled by ten to the sensor's decimals (V2), or
	// Missing.
	Values []int64
	Flags  []Flag

	Entry     Entry
	Static    []string // a machine's attributes in the fleet's order, "" is null
	Watermark Watermark

	// Raw is the item's own JSON text as it came: what bronze keeps.
	Raw []byte
	// Key and Headers are the record's, for bronze: its key, and its headers
	// but the type as the text of one JSON object, "" if there are none.
	Key     string
	Headers string
	// RedriveOf is where the item stood before a redrive (T8), and FirstArrival
	// when it arrived there, which T4 and T5 look at; 0 if nobody said.
	RedriveOf    *Position
	FirstArrival Time
}

// JudgedArrival is the arrival time that lateness and future are judged by
// (T4, T5, T8).
func (i *Item) JudgedArrival() Time {
	if i.RedriveOf != nil && i.FirstArrival != 0 {
		return i.FirstArrival
	}
	return i.ArrivalTime
}

// Entry is a line of a log (T7).
type Entry struct {
	Log       string // the log's name in the fleet file: failure, maintenance, …
	ID        string // the source's id, or a hash of log, machine, time and type
	Revision  int64
	Withdrawn bool   // this revision takes the entry back
	Type      string // failure_type, maintenance_type, …
	Detail    string // parts_replaced, …
}

// Watermark says that a log holds everything up to CompleteTo (L2).
type Watermark struct {
	Log        string
	CompleteTo Time
}

// Clone returns a copy of i that shares nothing that changes.
func (i *Item) Clone() Item {
	c := *i
	c.Values, c.Flags = slices.Clone(i.Values), slices.Clone(i.Flags)
	c.Static, c.Raw = slices.Clone(i.Static), slices.Clone(i.Raw)
	c.Headers = strings.Clone(i.Headers)
	return c
}
