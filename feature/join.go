package feature

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"drumbeat"
)

// SpineRow asks what was known of a machine at a time (P2).
type SpineRow struct {
	Machine drumbeat.MachineID
	Time    drumbeat.Time
}

// Joiner is a point-in-time join of a spine against vectors that stream by in
// any order (P2): each spine row takes the vector of greatest (as-of time,
// position) with t - ttl <= as-of <= t and arrival <= t + serve lag.
//
// It keeps at most one vector a spine row: of the vectors that one gap between
// neighbouring spine times lets in first, only the greatest can ever be taken,
// by any row, for it is allowed wherever the others are, and for longer. So
// memory follows the spine, not the vectors, and each vector costs a search.
type Joiner struct {
	ttl, lag time.Duration
	machines map[drumbeat.MachineID]*joined
	order    []place // of each spine row, in the spine's order
	recent   *joined
}

// joined is a machine's part of the spine.
type joined struct {
	id    drumbeat.MachineID
	slot  int // of times[0]; the others follow
	times []drumbeat.Time
	best  []candidate
}

type candidate struct {
	held     bool
	asOf     drumbeat.Time
	position drumbeat.Position
}

func (c *candidate) less(asOf drumbeat.Time, position drumbeat.Position) bool {
	return !c.held || asOf > c.asOf || asOf == c.asOf && position.Compare(c.position) > 0
}

type place struct {
	machine *joined
	index   int
}

// NewJoiner prepares a join by the view's ttl and serve lag. The spine may be
// in any order, with rows that are alike.
func (v *View) NewJoiner(spine []SpineRow) *Joiner {
	j := &Joiner{ttl: v.TTL, lag: v.ServeLag, machines: map[drumbeat.MachineID]*joined{}, order: make([]place, len(spine))}
	for _, row := range spine {
		m := j.machine(row.Machine)
		if m == nil {
			m = &joined{id: row.Machine}
			j.machines[row.Machine] = m
		}
		m.times = append(m.times, row.Time)
	}
	slot := 0
	for _, row := range spine {
		m := j.machine(row.Machine)
		if m.best != nil {
			continue
		}
		slices.Sort(m.times)
		m.times = slices.Compact(m.times)
		m.best = make([]candidate, len(m.times))
		m.slot = slot
		slot += len(m.times)
	}
	for i, row := range spine {
		m := j.machine(row.Machine)
		index, _ := slices.BinarySearch(m.times, row.Time)
		j.order[i] = place{machine: m, index: index}
	}
	return j
}

func (j *Joiner) machine(id drumbeat.MachineID) *joined {
	if j.recent == nil || j.recent.id != id {
		j.recent = j.machines[id]
	}
	return j.recent
}

// Slots returns how many slots Offer may hand out: one a distinct spine row.
func (j *Joiner) Slots() int {
	n := 0
	for _, m := range j.machines {
		n += len(m.times)
	}
	return n
}

// Offer shows the join a vector. If it returns a slot, from 0 to Slots()-1,
// the caller keeps the vector's values there in place of what the slot held;
// -1 says that no spine row will take it.
func (j *Joiner) Offer(id drumbeat.MachineID, asOf, arrival drumbeat.Time, position drumbeat.Position) int {
	m := j.machine(id)
	if m == nil {
		return -1
	}
	from := max(asOf, arrival.Add(-j.lag))
	i, _ := slices.BinarySearch(m.times, from)
	if i == len(m.times) || j.ttl > 0 && m.times[i].Sub(asOf) > j.ttl || !m.best[i].less(asOf, position) {
		return -1
	}
	m.best[i] = candidate{held: true, asOf: asOf, position: position}
	return m.slot + i
}

// Match is what a spine row takes.
type Match struct {
	Slot     int // -1 if nothing matches
	AsOf     drumbeat.Time
	Position drumbeat.Position
}

// Matches returns every spine row's match, in the spine's order. Call it once,
// after the last Offer.
func (j *Joiner) Matches() []Match {
	slots := make(map[*joined][]Match, len(j.machines))
	for _, m := range j.machines {
		slots[m] = j.matches(m)
	}
	out := make([]Match, len(j.order))
	for i, at := range j.order {
		out[i] = slots[at.machine][at.index]
	}
	return out
}

// matches goes through a machine's spine times with the greatest candidate so
// far.
func (j *Joiner) matches(m *joined) []Match {
	out := make([]Match, len(m.times))
	best := Match{Slot: -1}
	for i, t := range m.times {
		if c := &m.best[i]; c.held && (best.Slot < 0 || cmp.Or(
			cmp.Compare(c.asOf, best.AsOf), c.position.Compare(best.Position)) > 0) {
			best = Match{Slot: m.slot + i, AsOf: c.asOf, Position: c.position}
		}
		out[i] = Match{Slot: -1}
		if best.Slot >= 0 && (j.ttl == 0 || t.Sub(best.AsOf) <= j.ttl) {
			out[i] = best
		}
	}
	return out
}

// Join joins a spine with vectors (P2): one vector a spine row, in the
// spine's order. Where nothing matches, Values is nil. Two spine rows may
// share one vector's Values.
func (v *View) Join(spine []SpineRow, vectors iter.Seq[drumbeat.Vector]) []drumbeat.Vector {
	j := v.NewJoiner(spine)
	kept := make([]drumbeat.Vector, j.Slots())
	for vector := range vectors {
		if slot := j.Offer(vector.Machine, vector.AsOf, vector.ArrivalTime, vector.Position); slot >= 0 {
			kept[slot] = vector
		}
	}
	out := make([]drumbeat.Vector, len(spine))
	for i, match := range j.Matches() {
		if match.Slot >= 0 {
			out[i] = kept[match.Slot]
		} else {
			out[i] = drumbeat.Vector{Machine: spine[i].Machine, AsOf: drumbeat.NoTime, ArrivalTime: drumbeat.NoTime}
		}
	}
	return out
}
