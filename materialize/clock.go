package materialize

import (
	"sync"

	"drumbeat"
)

// DataClock is a fleet's clock under `clock: data` (T6): fleet_now is the
// least, over the partitions not yet drained, of the greatest arrival_time
// consumed, and never falls. It is safe for concurrent use.
type DataClock struct {
	mu       sync.Mutex
	greatest map[int32]drumbeat.Time
	drained  map[int32]bool
	now      drumbeat.Time
}

// NewDataClock returns a clock that has seen nothing: its time is NoTime.
func NewDataClock() *DataClock {
	return &DataClock{greatest: map[int32]drumbeat.Time{}, drained: map[int32]bool{}, now: drumbeat.NoTime}
}

// Consume tells the clock of an item's arrival_time.
func (c *DataClock) Consume(partition int32, arrival drumbeat.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained[partition] = false
	if greatest, seen := c.greatest[partition]; !seen || arrival > greatest {
		c.greatest[partition] = arrival
	}
}

// Drained tells the clock that a partition has nothing more to consume for
// now: its last item no longer holds the others back.
func (c *DataClock) Drained(partition int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drained[partition] = true
}

// Now returns fleet_now.
func (c *DataClock) Now() drumbeat.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	least, newest := drumbeat.NoTime, drumbeat.NoTime
	for partition, greatest := range c.greatest {
		newest = max(newest, greatest)
		if !c.drained[partition] && (least == drumbeat.NoTime || greatest < least) {
			least = greatest
		}
	}
	if least == drumbeat.NoTime {
		least = newest // all are drained
	}
	c.now = max(c.now, least)
	return c.now
}
