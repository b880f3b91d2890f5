package feature

import (
	"fmt"
	"math"

	"drumbeat"
)

// Status says what became of the reading of a request (S1, S2).
type Status uint8

// What may become of a request's reading.
const (
	// StatusUsed says that the vector is as of the reading's time, with the
	// reading counted once.
	StatusUsed Status = iota
	// StatusOlder says that the reading is older than the record: the vector
	// is the stored one, as of its own time.
	StatusOlder
	// StatusStale says that the reading is beyond what the record can be
	// moved to: the vector is the stored one.
	StatusStale
)

// String returns the status in a word.
func (s Status) String() string {
	switch s {
	case StatusUsed:
		return "used"
	case StatusOlder:
		return "older"
	case StatusStale:
		return "stale"
	}
	return "unknown"
}

// Workspace is the memory that Advance works in. The zero value is ready; it
// serves one call at a time.
type Workspace struct {
	plan  *plan
	state *state
}

// Advance moves a record to the time of a request's reading, which fleet has
// cleaned like any other (S2). At the record's own time the values that it
// knows stand and absent ones are added; so a reading that the stream has
// seen is counted once. The vector keeps the record's position, and equals
// AsOf with the reading added, to the bit. rec is not changed.
func (v *View) Advance(rec *Record, item *drumbeat.Item, ws *Workspace) (drumbeat.Vector, Status, error) {
	if rec.Vector.Values == nil {
		return drumbeat.Vector{}, StatusStale, fmt.Errorf("advance the record of %s: it has had no reading: %w",
			item.Machine, drumbeat.ErrNotFound)
	}
	t := item.EventTime.Milliseconds()
	if t < rec.Vector.AsOf.Milliseconds() {
		return rec.Vector, StatusOlder, nil
	}
	body, err := opened("the record of "+string(item.Machine), rec.Advance)
	if err != nil {
		return drumbeat.Vector{}, StatusStale, err
	}
	u := &unpacker{in: body}
	at, first, until := u.reach()
	if t > until && u.fault == "" {
		return rec.Vector, StatusStale, nil
	}
	p := v.plan
	if ws.plan != p {
		ws.plan, ws.state = p, p.newState()
	} else {
		p.reset(ws.state)
	}
	s := ws.state
	s.at, s.first = at, first
	p.unpack(u, s)
	if u.fault == "" && at != rec.Vector.AsOf.Milliseconds() {
		u.fail("its parts are of different times")
	}
	if u.fault != "" {
		return drumbeat.Vector{}, StatusStale, fmt.Errorf("read the record of %s: %s: %w",
			item.Machine, u.fault, drumbeat.ErrInvalid)
	}
	s.append(p, t, item)
	snap := s.snapshot(p)
	out := p.evaluate(&snap, make([]float64, len(p.steps)))
	out.Machine, out.Position = rec.Vector.Machine, rec.Vector.Position
	out.ArrivalTime, out.MadeBy = item.ArrivalTime, drumbeat.CauseReading
	return out, StatusUsed, nil
}

// Nulls returns n null values: the vector of a machine without one, or of one
// that is OUTSIDE_MAX_AGE (P3).
func Nulls(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.NaN()
	}
	return values
}
