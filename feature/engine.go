package feature

import (
	"slices"
	"time"

	"drumbeat"
)

// Engine turns the accepted items of machines, each machine's in the order of
// their positions, into vectors (P1, P4). It keeps of each machine what the
// longest window and the allowed lateness ask for; see [Engine.Retention].
// It is not safe for concurrent use: use one a partition.
type Engine struct {
	plan     *plan
	view     *View
	machines map[drumbeat.MachineID]*machine
	recent   *machine // whose item came last
	past     *past
	slab     []float64
}

// machine is a state and what stands beside it.
type machine struct {
	state
	id     drumbeat.MachineID
	logs   []logbook
	newest origin
}

// origin says which item made the newest vector.
type origin struct {
	position drumbeat.Position
	arrival  drumbeat.Time
	madeBy   drumbeat.Cause
}

// NewEngine returns an engine for a view that LoadView or NewView made.
func NewEngine(v *View) *Engine {
	return &Engine{plan: v.plan, view: v, machines: map[drumbeat.MachineID]*machine{}, past: v.plan.newPast()}
}

// View returns the engine's view.
func (e *Engine) View() *View { return e.view }

// Retention returns how far back from a machine's newest reading Load must
// begin for Apply to go on to the bit: the longest window and twice the
// allowed lateness (a redriven reading's arrival time may be that old). If
// the fleet has running:, the last reading before that is needed too, for it
// says whether the machine should have reported from there on (W7).
func (e *Engine) Retention() time.Duration { return millis(e.plan.retention) }

// Apply takes an accepted item, beyond all that its machine has had, and
// appends the vectors that it makes to dst (P4):
//
//   - a reading at or after the newest event time t0 makes its own row;
//   - an older one makes its own row as of its event time, and a correction
//     of the newest vector, both under its position;
//   - an entry of a log that the view uses, and a machine record that changes
//     a static attribute that the view uses, make a correction, even if no
//     value differs: what comes after t0 may.
//
// A vector's Values belong to the caller.
func (e *Engine) Apply(item *drumbeat.Item, dst []drumbeat.Vector) []drumbeat.Vector {
	m := e.machine(item.Machine)
	older, changed := e.absorb(m, item)
	if !changed || m.at == never {
		return dst
	}
	if older >= 0 {
		dst = append(dst, m.vector(e.plan, e.past.snapshot(e.plan, &m.state, older), origin{
			position: item.Position, arrival: item.ArrivalTime, madeBy: drumbeat.CauseReading,
		}, e.values()))
	}
	snap := m.snapshot(e.plan)
	return append(dst, m.vector(e.plan, &snap, m.newest, e.values()))
}

// Load takes an accepted item as Apply does, without making vectors. It
// rebuilds an engine from silver; see Retention for how much it needs. Log
// entries and machine records are needed from the beginning.
func (e *Engine) Load(item *drumbeat.Item) { e.absorb(e.machine(item.Machine), item) }

// LoadFirst tells the event time of a machine's first reading, which Load may
// not see (W7).
func (e *Engine) LoadFirst(id drumbeat.MachineID, first drumbeat.Time) {
	m, t := e.machine(id), first.Milliseconds()
	if m.first == never || t < m.first {
		m.first = t
	}
}

// Newest returns a machine's newest vector, as Apply last made it; false if
// it has had no reading.
func (e *Engine) Newest(id drumbeat.MachineID) (drumbeat.Vector, bool) {
	m := e.machines[id]
	if m == nil || m.at == never {
		return drumbeat.Vector{}, false
	}
	return e.newest(m), true
}

// newest computes a machine's newest vector into values of its own: whoever
// keeps it holds back no slab.
func (e *Engine) newest(m *machine) drumbeat.Vector {
	snap := m.snapshot(e.plan)
	return m.vector(e.plan, &snap, m.newest, make([]float64, len(e.plan.steps)))
}

// Machines returns the machines that have had a reading, sorted.
func (e *Engine) Machines() []drumbeat.MachineID {
	ids := make([]drumbeat.MachineID, 0, len(e.machines))
	for id, m := range e.machines {
		if m.at != never {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (e *Engine) machine(id drumbeat.MachineID) *machine {
	if e.recent != nil && e.recent.id == id {
		return e.recent
	}
	m := e.machines[id]
	if m == nil {
		m = &machine{id: id, logs: make([]logbook, len(e.plan.logs))}
		e.plan.reset(&m.state)
		e.machines[id] = m
	}
	e.recent = m
	return m
}

// absorb adds an item to its machine. It says whether the newest vector is
// made anew, and which row was inserted, -1 if none was.
func (e *Engine) absorb(m *machine, item *drumbeat.Item) (older int, changed bool) {
	older = -1
	source := origin{position: item.Position, arrival: item.ArrivalTime, madeBy: drumbeat.CauseCorrection}
	switch item.Kind {
	case drumbeat.KindReading:
		t := item.EventTime.Milliseconds()
		if m.at == never || t >= m.at {
			source.madeBy = drumbeat.CauseReading
			m.append(e.plan, t, item)
		} else {
			older = m.insert(e.plan, t, item)
		}
		changed = true
	case drumbeat.KindEntry:
		changed = m.enterLog(e.plan, item)
	case drumbeat.KindMachine:
		changed = m.loadStatic(e.plan, item)
	case drumbeat.KindWatermark: // says nothing about features
	}
	if changed {
		m.newest = source
	}
	return older, changed
}

// slabVectors is how many vectors' values are allocated at once: one
// allocation for a batch of readings, and little held back by a vector that
// somebody keeps.
const slabVectors = 64

func (e *Engine) values() []float64 {
	n := len(e.plan.steps)
	if len(e.slab) < n {
		e.slab = make([]float64, slabVectors*n)
	}
	values := e.slab[:n:n]
	e.slab = e.slab[n:]
	return values
}

func (m *machine) vector(p *plan, s *snapshot, from origin, values []float64) drumbeat.Vector {
	v := p.evaluate(s, values)
	v.Machine, v.Position, v.ArrivalTime, v.MadeBy = m.id, from.position, from.arrival, from.madeBy
	return v
}
