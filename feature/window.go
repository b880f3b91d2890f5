package feature

import "drumbeat"

// edge is the left edge of a window (t - W, t] and what is counted in it.
type edge struct {
	tail int   // the first row inside
	n    int64 // readings inside (W5)
	on   int64 // milliseconds inside during which the machine should report (W7)
	left bool  // whether it should have reported at the edge itself
}

// sums is what a track knows of its values: integers, so that adding and
// taking away leaves nothing behind (V2).
type sums struct {
	n      int64
	s1, s2 int128
	rise   int128 // of increase: over the consecutive pairs inside
	first  point  // kept if the track is chained
}

type point struct{ t, x int64 }

// rise returns what a counter gained from one value to the next: a fall is a
// reset (V4).
func rise(from, to int64) int64 {
	if to >= from {
		return to - from
	}
	return to
}

func (s *sums) add(tr *track, x int64) {
	s.n++
	s.s1.add(x)
	if tr.squares {
		s.s2.addSquare(x)
	}
}

func (s *sums) remove(tr *track, x int64) {
	s.n--
	s.s1.sub(x)
	if tr.squares {
		s.s2.subSquare(x)
	}
}

// deque holds the values that are still the extremum of some window that
// ends now: each is beaten by nothing later. items[head:] are in the order of
// time, so every window's extremum is its first one inside.
type deque struct {
	items []point
	head  int
}

// covers says whether x hides an earlier y for ever.
func (d *extrema) covers(x, y int64) bool {
	if d.most {
		return x >= y
	}
	return x <= y
}

// push adds a value later than all others.
func (q *deque) push(d *extrema, v point, cursors []int) {
	n := len(q.items)
	for n > q.head && d.covers(v.x, q.items[n-1].x) {
		n--
	}
	if n == q.head && q.head > 0 {
		n, q.head = 0, 0
	}
	if n == cap(q.items) && q.head > n/2 {
		copy(q.items, q.items[q.head:n])
		n -= q.head
		for i := range cursors {
			cursors[i] = max(0, cursors[i]-q.head)
		}
		q.head = 0
	}
	q.items = append(q.items[:n], v)
	for i := range cursors {
		cursors[i] = min(cursors[i], n)
	}
}

// insert adds a value anywhere.
func (q *deque) insert(d *extrema, v point) {
	at := len(q.items)
	for at > q.head && q.items[at-1].t > v.t {
		at--
	}
	if at < len(q.items) && d.covers(q.items[at].x, v.x) {
		return
	}
	from := at
	for from > q.head && d.covers(v.x, q.items[from-1].x) {
		from--
	}
	if from < at {
		q.items[from] = v
		q.items = append(q.items[:from+1], q.items[at:]...)
		return
	}
	q.items = append(q.items, point{})
	copy(q.items[at+1:], q.items[at:])
	q.items[at] = v
}

// series is the event times of a log's standing entries of one kind, sorted.
// A record keeps some of them only, each with its rank among all; ranks is
// nil where times are all there are.
type series struct {
	times []int64
	ranks []int64
}

// after returns the index of the first time after t.
func (s *series) after(t int64) int {
	low, high := 0, len(s.times)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if s.times[middle] > t {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// span returns how many events lie in (from, to], with the first and the
// last of them.
func (s *series) span(from, to int64) (n, first, last int64) {
	low, high := s.after(from), s.after(to)
	if low >= high {
		return 0, 0, 0
	}
	n = int64(high - low)
	if s.ranks != nil {
		n = s.ranks[high-1] - s.ranks[low] + 1
	}
	return n, s.times[low], s.times[high-1]
}

// last returns the last event at or before t, or never.
func (s *series) last(t int64) int64 {
	if i := s.after(t); i > 0 {
		return s.times[i-1]
	}
	return never
}

func (s *series) add(t int64) {
	i := s.after(t)
	s.times = append(s.times, 0)
	copy(s.times[i+1:], s.times[i:])
	s.times[i] = t
}

func (s *series) remove(t int64) {
	if i := s.after(t) - 1; i >= 0 && s.times[i] == t {
		s.times = append(s.times[:i], s.times[i+1:]...)
	}
}

// version is a machine's static features from the time they were loaded on
// (V5).
type version struct {
	from     int64
	position drumbeat.Position
	values   []float64
}

// static returns the versions' values as of t: the last one loaded by then,
// else the first, else nil.
func static(versions []version, t int64) []float64 {
	if len(versions) == 0 {
		return nil
	}
	found := versions[0].values
	for i := 1; i < len(versions) && versions[i].from <= t; i++ {
		found = versions[i].values
	}
	return found
}
