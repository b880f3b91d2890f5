package sim

import (
	"fmt"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/topic"
)

// Failure is a breakdown that happened.
type Failure struct {
	Machine  drumbeat.MachineID `json:"machine"`
	Time     drumbeat.Time      `json:"time"`
	Mode     string             `json:"mode"`
	Repaired drumbeat.Time      `json:"repaired"` // NoTime while down
}

// Failures returns all breakdowns so far, by time.
func (s *Sim) Failures() []Failure {
	var all []Failure
	for _, m := range s.machines {
		all = append(all, m.failures...)
	}
	slices.SortStableFunc(all, func(a, b Failure) int {
		switch {
		case a.Time < b.Time:
			return -1
		case a.Time > b.Time:
			return 1
		}
		return 0
	})
	return all
}

// Machines lists the machines that were introduced, in order.
func (s *Sim) Machines() []drumbeat.MachineID {
	ids := make([]drumbeat.MachineID, 0, s.cfg.Machines)
	for _, m := range s.machines[:s.cfg.Machines] {
		ids = append(ids, m.id)
	}
	return ids
}

// ahead is how far NextFailure looks: most machines fail before.
const ahead = 120 * day

// NextFailure returns when and how the machine will break if nobody comes
// before, as it will really happen: a copy of the machine runs ahead. NoTime
// says that it will not within 120 days.
func (s *Sim) NextFailure(machine drumbeat.MachineID) (drumbeat.Time, string, error) {
	m, ok := s.byID[machine]
	if !ok {
		return drumbeat.NoTime, "", fmt.Errorf("look ahead at machine %s: %w", machine, drumbeat.ErrNotFound)
	}
	future := m.core
	for until := s.now + ahead; future.next <= until; {
		if h := future.step(s.cfg.Seed, &m.build, s.cfg.Fleet.Cadence); h.failure != drumbeat.NoTime {
			return h.failure, modes[h.mode], nil
		}
	}
	return drumbeat.NoTime, "", nil
}

// State is what an engineer with X-ray eyes would see of a machine.
type State struct {
	Mode    string  // of the part that is worst
	Damage  float64 // of that part: 0 is sound, 1 is failed
	Down    bool
	Running bool
}

// Inspect looks into a machine as it is now.
func (s *Sim) Inspect(machine drumbeat.MachineID) (State, error) {
	m, ok := s.byID[machine]
	if !ok {
		return State{}, fmt.Errorf("inspect machine %s: %w", machine, drumbeat.ErrNotFound)
	}
	worst, damage := m.worst()
	if m.down {
		worst, damage = m.failed, 1
	}
	return State{Mode: modes[worst], Damage: min(damage, 1), Down: m.down, Running: m.running}, nil
}

// Repair is a technician's work on a machine.
type Repair struct {
	Machine drumbeat.MachineID
	At      drumbeat.Time
	By      string
	seq     int64 // of its maintenance entry, orders those of one time
}

// Repair lets a technician look at the machine and mend what is found: every
// defect that has begun. The next Play that reaches the time writes the
// maintenance entry, of type unscheduled and with the header "by". A time
// already played becomes the present.
func (s *Sim) Repair(machine drumbeat.MachineID, at drumbeat.Time, by string) error {
	if _, ok := s.byID[machine]; !ok {
		return fmt.Errorf("repair machine %s: %w", machine, drumbeat.ErrNotFound)
	}
	if by == "" {
		by = "technician"
	}
	at = max(at, s.now).Cut()
	if at < s.now {
		at += drumbeat.Time(time.Millisecond / time.Microsecond)
	}
	r := Repair{Machine: machine, At: at, By: by}
	i := len(s.repairs)
	for i > 0 && s.repairs[i-1].At > at {
		i--
	}
	s.repairs = slices.Insert(s.repairs, i, r)
	return nil
}

// repair does what Repair announced.
func (s *Sim) repair(r Repair, emit func(topic.Record) error) error {
	m := s.byID[r.Machine]
	if m == nil {
		return fmt.Errorf("repair machine %s, as the topic tells: the fleet of this seed has none: %w",
			r.Machine, drumbeat.ErrInvalid)
	}
	if m.down {
		m.repaired(r.At)
	}
	found, worst := m.fix(&m.build)
	m.senses.calibrate()
	e := entry{
		log: logMaintenance, at: r.At, typ: "unscheduled", by: r.By,
		id: fmt.Sprintf("technician-%d", s.seq),
	}
	if found {
		e.detail = parts[worst]
	}
	return s.send(m, &message{kind: kindEntry, arrival: r.At, entry: &e}, emit)
}
