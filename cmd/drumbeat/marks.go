package main

import (
	"context"
	"maps"
	"sync"
)

// marks is how far a loop has come, by partition, for others to wait on. It is
// safe for concurrent use.
type marks struct {
	mu      sync.Mutex
	at      map[int32]int64
	changed chan struct{} // closed at the next change
}

func newMarks() *marks { return &marks{at: map[int32]int64{}, changed: make(chan struct{})} }

// reach says that everything below these offsets is done. A mark never falls.
func (m *marks) reach(next map[int32]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for partition, offset := range next {
		m.at[partition] = max(m.at[partition], offset)
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// now returns the marks.
func (m *marks) now() map[int32]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.at)
}

// wait returns once every partition has come as far as ends, or ctx ends.
func (m *marks) wait(ctx context.Context, ends map[int32]int64) error {
	for {
		m.mu.Lock()
		changed, there := m.changed, true
		for partition, end := range ends {
			there = there && m.at[partition] >= end
		}
		m.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
