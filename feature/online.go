package feature

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"drumbeat"
)

// Record is what the online store keeps of a machine and view: the newest
// vector and, apart from it, what is needed to move it exactly to a later
// time (S1). Both stand under the vector's position.
type Record struct {
	Vector  drumbeat.Vector
	Advance []byte // packed; docs/format/online.md. Read only when asked for
}

// Online is an online store: the newest record of every machine, by
// definition hash. Implementations are safe for concurrent use, and
// onlinetest holds them to this contract.
type Online interface {
	// Write stores each record whose position is beyond the stored one of
	// its (hash, machine), atomically per record (P4), and reports which
	// were. Writing the same records again changes nothing. The store may
	// keep what it is given: callers must not change it afterwards.
	Write(ctx context.Context, hash drumbeat.Hash, records []Record) (applied []bool, err error)
	// Read returns one record a machine, in order; Vector.Values is nil for
	// a machine that the store does not know. Advance is filled only if
	// withAdvance. Callers must not change what they get.
	Read(ctx context.Context, hash drumbeat.Hash, machines []drumbeat.MachineID, withAdvance bool) ([]Record, error)
	// Machines lists the known machines of a hash, sorted.
	Machines(ctx context.Context, hash drumbeat.Hash) ([]drumbeat.MachineID, error)
	// Close releases the store. What Write acknowledged is durable by then,
	// or earlier where the implementation says so.
	Close() error
}

// Beyond says whether a record at p replaces one at q (P4): by epoch, then
// offset, then index. A machine lives in one partition of an epoch (T2), so
// the partition says nothing; equal positions replace nothing.
func Beyond(p, q drumbeat.Position) bool {
	return cmp.Or(
		cmp.Compare(p.Epoch, q.Epoch), cmp.Compare(p.Offset, q.Offset), cmp.Compare(p.Index, q.Index),
	) > 0
}

// MaxAdvance bounds the advance part of a record that a store takes: the
// greatest max_record_bytes that a view may declare.
const MaxAdvance = 16 << 20

// ErrClosed is what a store answers after Close.
var ErrClosed = errors.New("the online store is closed")

// CheckRecords refuses records that no store may keep: without a machine or
// values, or over a limit.
func CheckRecords(records []Record) error {
	for i := range records {
		r := &records[i]
		switch {
		case r.Vector.Machine == "":
			return fmt.Errorf("write record %d: it names no machine: %w", i, drumbeat.ErrInvalid)
		case r.Vector.Values == nil:
			return fmt.Errorf("write the record of %s: it has no values: %w", r.Vector.Machine, drumbeat.ErrInvalid)
		case len(r.Vector.Values) > MaxFeatures || len(r.Advance) > MaxAdvance:
			return fmt.Errorf("write the record of %s: %d values and %d bytes, at most %d and %d are kept: %w",
				r.Vector.Machine, len(r.Vector.Values), len(r.Advance), MaxFeatures, MaxAdvance, drumbeat.ErrLimit)
		}
	}
	return nil
}
