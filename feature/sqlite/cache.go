package sqlite

import (
	"sync"
	"sync/atomic"

	"drumbeat"
	"drumbeat/feature"
)

// cache holds the records that were last written or read. Where it is full, a
// hand goes round and drops the first record that was not used since its last
// visit.
type cache struct {
	limit int

	mu    sync.RWMutex
	views map[drumbeat.Hash]map[drumbeat.MachineID]*cached
	ring  []*cached
	hand  int
	bytes int
}

type cached struct {
	hash   drumbeat.Hash
	record feature.Record
	slot   int // in the ring
	used   atomic.Bool
}

func newCache(limit int) *cache {
	return &cache{limit: limit, views: map[drumbeat.Hash]map[drumbeat.MachineID]*cached{}}
}

// size counts a record's own bytes and what it takes to hold it.
func size(r *feature.Record) int { return len(r.Advance) + 8*len(r.Vector.Values) + 400 }

// read fills out for the machines that it holds and returns the indices of
// the others.
func (c *cache) read(hash drumbeat.Hash, machines []drumbeat.MachineID, out []feature.Record) (missed []int) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	view := c.views[hash]
	for i, id := range machines {
		e := view[id]
		if e == nil {
			missed = append(missed, i)
			continue
		}
		if !e.used.Load() {
			e.used.Store(true)
		}
		out[i] = e.record
	}
	return missed
}

// holds says whether the cache has a record at position or beyond.
func (c *cache) holds(hash drumbeat.Hash, id drumbeat.MachineID, position drumbeat.Position) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	e := c.views[hash][id]
	return e != nil && !feature.Beyond(position, e.record.Vector.Position)
}

// put adds or replaces a record, unless it has one that is as far.
func (c *cache) put(hash drumbeat.Hash, record feature.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	view := c.views[hash]
	if view == nil {
		view = map[drumbeat.MachineID]*cached{}
		c.views[hash] = view
	}
	id := record.Vector.Machine
	e := view[id]
	switch {
	case e == nil:
		e = &cached{hash: hash, slot: len(c.ring)}
		view[id] = e
		c.ring = append(c.ring, e)
	case !feature.Beyond(record.Vector.Position, e.record.Vector.Position):
		return
	default:
		c.bytes -= size(&e.record)
	}
	e.record = record
	c.bytes += size(&record)
	for c.bytes > c.limit && len(c.ring) > 1 {
		c.evict(e)
	}
}

// evict drops one record, but never keep, which has just come.
func (c *cache) evict(keep *cached) {
	for {
		if c.hand >= len(c.ring) {
			c.hand = 0
		}
		e := c.ring[c.hand]
		if e == keep || e.used.Swap(false) {
			c.hand++
			continue
		}
		last := c.ring[len(c.ring)-1]
		c.ring[e.slot], last.slot = last, e.slot
		c.ring = c.ring[:len(c.ring)-1]
		c.bytes -= size(&e.record)
		delete(c.views[e.hash], e.record.Vector.Machine)
		return
	}
}
