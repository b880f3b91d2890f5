// Package sim is a laundry that wears out: machines that work by shift and
// weekday, parts that go bad over days or weeks and show it in the sensors,
// people who repair and write logs late, and everything that networks and
// electronics do to readings on their way.
//
// It is deterministic: one seed plays the same records to the bit (on one
// processor architecture). It knows what it sent, so a pipeline's counts can
// be held against [Sim.Counts], and it knows what will break
// ([Sim.NextFailure]).
//
// It is honest: some defects give hours of notice, some hardly show, some heal
// by service, and load, weather, drift and badly laid loads look like wear.
// Its physics are never eased to please a figure.
package sim

import (
	"fmt"
	"math"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/topic"
)

// Config says what to simulate.
type Config struct {
	Fleet    *fleet.Fleet // must declare the six laundry sensors, and the logs failure and maintenance
	Topic    string       // the records' topic
	Seed     uint64
	Machines int           // 100 if 0, at most 20,000
	Start    drumbeat.Time // nothing arrives before it
	Shifts   []Shift       // what sensors say otherwise from a time on
	// Past is what the topic holds already of an earlier run with this
	// configuration; nil for none.
	Past *Past
}

const (
	defaultMachines = 100
	maxMachines     = 20_000
	// ghosts is how many machines send that nobody told us of.
	ghosts = 2
)

// settings is a Config made ready.
type settings struct {
	Config
	scales  [sensorCount]float64 // 10^decimals
	at      [sensorCount]int     // index in the fleet's sensors
	logs    map[string]*fleet.Log
	lateMax drumbeat.Time // T4
	shifts  []shift
}

// Sim is a running simulation. It is not safe for concurrent use.
type Sim struct {
	cfg      settings
	machines []*machine
	byID     map[drumbeat.MachineID]*machine
	order    []int32 // a heap of machines by when they next do something
	keys     []drumbeat.Time
	now      drumbeat.Time
	began    bool
	seq      int64 // of the next item
	counts   Counts
	repairs  []Repair
	out      encoder
	tap      func(*machine, *message) // sees every message; nil for nobody
}

// New builds the machines and lets them age until the start.
func New(cfg Config) (*Sim, error) {
	ready, err := prepare(cfg)
	if err != nil {
		return nil, fmt.Errorf("simulate fleet: %w", err)
	}
	s := &Sim{
		cfg:    *ready,
		byID:   make(map[drumbeat.MachineID]*machine, ready.Machines),
		now:    ready.Start,
		counts: newCounts(),
		out:    encoder{cfg: ready, headers: make(map[string]string, 3)},
	}
	for i := range ready.Machines + ghosts {
		m := newMachine(&s.cfg, i, i >= ready.Machines)
		s.machines = append(s.machines, m)
		if !m.ghost {
			s.byID[m.id] = m
		}
		if cfg.Past != nil {
			m.partition = topic.PartitionOf(string(m.id), cfg.Past.Partitions)
		}
	}
	if cfg.Past != nil {
		s.repairs = cfg.Past.sorted()
	}
	s.arrange()
	return s, nil
}

func prepare(cfg Config) (*settings, error) {
	if cfg.Machines == 0 {
		cfg.Machines = defaultMachines
	}
	if cfg.Fleet == nil || cfg.Machines < 1 || cfg.Machines > maxMachines {
		return nil, fmt.Errorf("want a fleet and 1 to %d machines, got %d: %w",
			maxMachines, cfg.Machines, drumbeat.ErrInvalid)
	}
	if cfg.Past != nil && cfg.Past.Partitions < 1 {
		return nil, fmt.Errorf("a past of %d partitions: %w", cfg.Past.Partitions, drumbeat.ErrInvalid)
	}
	ready := &settings{
		Config: cfg, logs: make(map[string]*fleet.Log),
		lateMax: drumbeat.Time(cfg.Fleet.Lateness.Microseconds()),
	}
	for i, name := range sensorNames {
		ready.at[i] = cfg.Fleet.SensorIndex(name)
		if ready.at[i] < 0 {
			return nil, fmt.Errorf("the fleet file declares no sensor %s, which laundry machines have: %w",
				name, drumbeat.ErrInvalid)
		}
		ready.scales[i] = math.Pow10(cfg.Fleet.Sensors[ready.at[i]].Decimals)
	}
	for _, sh := range cfg.Shifts {
		moved, err := ready.newShift(sh)
		if err != nil {
			return nil, err
		}
		ready.shifts = append(ready.shifts, moved)
	}
	for _, name := range []string{logFailure, logMaintenance} {
		if ready.logs[name] = cfg.Fleet.LogNamed(name); ready.logs[name] == nil {
			return nil, fmt.Errorf("the fleet file declares no log %s, which laundries keep: %w", name, drumbeat.ErrInvalid)
		}
	}
	return ready, nil
}

// Now returns the time up to which everything was played.
func (s *Sim) Now() drumbeat.Time { return s.now }

// Play sends everything that arrives until then, in order of arrival, so in
// order within each partition too. The record and all that it holds are emit's
// only until it returns. Records that the past holds already are counted, not
// sent again. After an error of emit the simulation has lost a record: begin
// anew from the topic's past.
func (s *Sim) Play(until drumbeat.Time, emit func(topic.Record) error) error {
	if !s.began {
		s.began = true
		if err := s.introduce(emit); err != nil {
			return err
		}
	}
	for {
		first := s.order[0]
		key := s.keys[first]
		if len(s.repairs) > 0 && s.repairs[0].At < key && s.repairs[0].At <= until {
			if err := s.repair(s.repairs[0], emit); err != nil {
				return err
			}
			s.repairs = s.repairs[1:]
			continue
		}
		if key > until {
			break
		}
		m := s.machines[first]
		if len(m.pending.heap) > 0 && m.pending.heap[0].arrival == key {
			if err := s.send(m, &m.pending.heap[0], emit); err != nil {
				return err
			}
			m.pending.drop()
		} else {
			m.tick(&s.cfg)
		}
		s.keys[first] = m.due()
		s.sink(0)
	}
	s.now = max(s.now, until)
	return nil
}

// due is when the machine next does something.
func (m *machine) due() drumbeat.Time {
	if len(m.pending.heap) > 0 {
		return min(m.next, m.pending.heap[0].arrival)
	}
	return m.next
}

// introduce sends what is known of each machine.
func (s *Sim) introduce(emit func(topic.Record) error) error {
	for _, m := range s.machines {
		if m.ghost {
			continue
		}
		if err := s.send(m, &message{kind: kindMachine, arrival: s.cfg.Start}, emit); err != nil {
			return err
		}
	}
	return nil
}

// send counts a message and, unless the topic has it, emits it.
func (s *Sim) send(m *machine, msg *message, emit func(topic.Record) error) error {
	seq := s.seq
	s.seq += int64(msg.items())
	s.counts.add(&s.cfg, m, msg)
	if s.tap != nil {
		s.tap(m, msg)
		return emit(topic.Record{})
	}
	if s.cfg.Past.holds(m.partition, seq) {
		return nil
	}
	return emit(s.out.record(m, msg, seq))
}

func (msg *message) items() int {
	if len(msg.more) > 0 && msg.broken == whole {
		return len(msg.more)
	}
	return 1
}

// arrange makes the heap.
func (s *Sim) arrange() {
	s.order = make([]int32, len(s.machines))
	s.keys = make([]drumbeat.Time, len(s.machines))
	for i, m := range s.machines {
		s.order[i], s.keys[i] = int32(i), m.due()
	}
	for i := len(s.order)/2 - 1; i >= 0; i-- {
		s.sink(i)
	}
}

func (s *Sim) before(a, b int32) bool {
	return s.keys[a] < s.keys[b] || s.keys[a] == s.keys[b] && a < b
}

// sink moves the i-th machine of the heap to its place.
func (s *Sim) sink(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(s.order); child++ {
			if s.before(s.order[child], s.order[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		s.order[i], s.order[least] = s.order[least], s.order[i]
		i = least
	}
}
