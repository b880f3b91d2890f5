package alert

import (
	"sync"

	"drumbeat"
)

// ChangeKind says what happened to an alert.
type ChangeKind string

// The changes.
const (
	Opened  ChangeKind = "opened"
	Updated ChangeKind = "updated"
	Closed  ChangeKind = "closed"
)

// Change is what happened to an alert, after it was made durable.
type Change struct {
	Kind  ChangeKind
	Alert drumbeat.Alert
	// Missed says that changes before this one were lost to this subscriber,
	// who should list the alerts again.
	Missed bool
}

// hub hands changes to whoever listens, and waits for nobody.
type hub struct {
	mu          sync.Mutex
	subscribers map[*subscriber]struct{}
	closed      bool
}

type subscriber struct {
	changes chan Change
	missed  bool
}

// Subscribe returns a channel of changes from now on, which holds as many as
// buffer (at least 1) for a slow reader; what does not fit is lost, and the
// next change says so. stop ends it and closes the channel, as Close does.
func (s *Store) Subscribe(buffer int) (changes <-chan Change, stop func()) {
	sub := &subscriber{changes: make(chan Change, max(buffer, 1))}
	h := &s.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		close(sub.changes)
		return sub.changes, func() {}
	}
	h.subscribers[sub] = struct{}{}
	return sub.changes, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if _, ok := h.subscribers[sub]; ok {
			delete(h.subscribers, sub)
			close(sub.changes)
		}
	}
}

// publish returns how many subscribers had no room.
func (h *hub) publish(change Change) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	lost := 0
	for sub := range h.subscribers {
		change.Missed = sub.missed
		select {
		case sub.changes <- change:
			sub.missed = false
		default:
			sub.missed = true
			lost++
		}
	}
	return lost
}

func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for sub := range h.subscribers {
		delete(h.subscribers, sub)
		close(sub.changes)
	}
}

// queue collects predictions for the next commit.
type queue struct {
	mu   sync.Mutex
	jobs []*job
}

// job is one caller's predictions. done and err belong to the store's lock.
type job struct {
	predictions []*drumbeat.Prediction
	done        bool
	err         error
}

func (q *queue) add(predictions []*drumbeat.Prediction) *job {
	j := &job{predictions: predictions}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.jobs = append(q.jobs, j)
	return j
}

func (q *queue) take() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	jobs := q.jobs
	q.jobs = nil
	return jobs
}
