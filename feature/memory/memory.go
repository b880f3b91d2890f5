// Package memory is an online store in this process's memory: for tests, and
// for a site that would rather rebuild its records than keep them.
package memory

import (
	"context"
	"maps"
	"slices"
	"sync"

	"drumbeat"
	"drumbeat/feature"
)

// Store is a feature.Online whose records end with it. It keeps every record
// that it is given: its size follows the machines.
type Store struct {
	mu      sync.RWMutex
	records map[drumbeat.Hash]map[drumbeat.MachineID]feature.Record
	closed  bool
}

// New returns an empty store.
func New() *Store {
	return &Store{records: map[drumbeat.Hash]map[drumbeat.MachineID]feature.Record{}}
}

// Write implements feature.Online.
func (s *Store) Write(ctx context.Context, hash drumbeat.Hash, records []feature.Record) ([]bool, error) {
	if err := feature.CheckRecords(records); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, feature.ErrClosed
	}
	known := s.records[hash]
	if known == nil {
		known = map[drumbeat.MachineID]feature.Record{}
		s.records[hash] = known
	}
	applied := make([]bool, len(records))
	for i, r := range records {
		stored, ok := known[r.Vector.Machine]
		if applied[i] = !ok || feature.Beyond(r.Vector.Position, stored.Vector.Position); applied[i] {
			known[r.Vector.Machine] = r
		}
	}
	return applied, nil
}

// Read implements feature.Online.
func (s *Store) Read(
	ctx context.Context, hash drumbeat.Hash, machines []drumbeat.MachineID, withAdvance bool,
) ([]feature.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, feature.ErrClosed
	}
	known := s.records[hash]
	out := make([]feature.Record, len(machines))
	for i, id := range machines {
		out[i] = known[id]
		out[i].Vector.Machine = id
		if !withAdvance {
			out[i].Advance = nil
		}
	}
	return out, nil
}

// Machines implements feature.Online.
func (s *Store) Machines(ctx context.Context, hash drumbeat.Hash) ([]drumbeat.MachineID, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, feature.ErrClosed
	}
	return slices.Sorted(maps.Keys(s.records[hash])), nil
}

// Close implements feature.Online: the records are gone.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records, s.closed = nil, true
	return nil
}
