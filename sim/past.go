package sim

import (
	"fmt"
	"slices"
	"strconv"

	"drumbeat"
	"drumbeat/topic"
)

// Past is what a topic holds of an earlier run. A simulation with the same
// seed that is given it plays that run again, silently where the topic has
// the record, and goes on: what the crash swallowed is sent, nothing twice.
type Past struct {
	Partitions int32
	// Latest is the greatest arrival time: play up to it first.
	Latest drumbeat.Time

	seqs    map[int32]int64 // of the last record, by partition
	repairs []Repair
}

// Observe takes in a record of the topic. Every record must be shown, in
// order within its partition.
func (p *Past) Observe(r *topic.Record) error {
	text, ok := r.Headers[headerSeq]
	if !ok {
		return nil // somebody else's, such as the API's
	}
	seq, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seq < 0 {
		return fmt.Errorf("read header %s of offset %d, partition %d: want a number, got %q: %w",
			headerSeq, r.Offset, r.Partition, text, drumbeat.ErrInvalid)
	}
	if p.seqs == nil {
		p.seqs = make(map[int32]int64)
	}
	if last, seen := p.seqs[r.Partition]; seen && seq <= last {
		return nil // written twice by a broker that crashed
	}
	p.seqs[r.Partition] = seq
	p.Latest = max(p.Latest, r.Time)
	if by, ok := r.Headers[headerBy]; ok {
		p.repairs = append(p.repairs, Repair{Machine: drumbeat.MachineID(r.Key), At: r.Time, By: by, seq: seq})
	}
	return nil
}

// holds says whether the topic has the record of that number.
func (p *Past) holds(partition int32, seq int64) bool {
	if p == nil {
		return false
	}
	last, ok := p.seqs[partition]
	return ok && seq <= last
}

// sorted returns the repairs in the order in which they happened.
func (p *Past) sorted() []Repair {
	all := slices.Clone(p.repairs)
	slices.SortFunc(all, func(a, b Repair) int { return int(a.seq - b.seq) })
	return all
}
