package feature

import (
	"drumbeat"
)

// state is what is known of one machine as of its newest reading: its rows
// and, for every window that ends there, the sums over it. The same code
// moves a whole state and one that was unpacked from a record.
type state struct {
	rows     rows
	at       int64 // t0, the newest event time, or never
	first    int64 // the event time of the machine's first reading, or never
	edges    []edge
	sums     []sums
	lasts    []point // of each cell: the last value, at never if there is none
	deques   []deque
	cursors  []int // of each extreme: its first item inside the window
	tops     []int64
	series   []series
	versions []version
	fresh    []int64 // a row of scratch
}

func (p *plan) newState() *state {
	s := &state{}
	p.reset(s)
	return s
}

// reset empties s and fits it to the plan, keeping its memory.
func (p *plan) reset(s *state) {
	s.rows = rows{data: s.rows.data[:0], stride: p.stride, meta: p.meta}
	s.at, s.first = never, never
	s.edges = zeroed(s.edges, len(p.windows))
	s.sums = zeroed(s.sums, len(p.tracks))
	s.lasts = zeroed(s.lasts, len(p.cells))
	for i := range s.lasts {
		s.lasts[i].t = never
	}
	if len(s.deques) != len(p.deques) {
		s.deques = make([]deque, len(p.deques))
	}
	for i := range s.deques {
		s.deques[i] = deque{items: s.deques[i].items[:0]}
	}
	s.cursors = zeroed(s.cursors, len(p.extremes))
	s.tops = zeroed(s.tops, len(p.extremes))
	if len(s.series) != len(p.series) {
		s.series = make([]series, len(p.series))
	}
	for i := range s.series {
		s.series[i].times, s.series[i].ranks = s.series[i].times[:0], s.series[i].ranks[:0]
	}
	s.versions = s.versions[:0]
	s.fresh = zeroed(s.fresh, p.stride)
}

func zeroed[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// append adds a reading at or after the newest one.
func (s *state) append(p *plan, t int64, item *drumbeat.Item) {
	if s.at == never || t > s.at {
		s.room()
		if s.at != never {
			s.move(p, t)
		}
		s.rows.push(t)
		for w := range s.edges {
			s.edges[w].n++
		}
		if s.rows.len() == 1 {
			for w := range s.edges {
				s.edges[w].tail = s.rows.head
			}
		}
		s.at = t
		if s.first == never || t < s.first {
			s.first = t
		}
	}
	p.fill(s.rows.row(s.rows.end-1), s.fresh, item)
	s.enter(p, t)
	s.rows.prune(t - p.retention)
}

// room keeps the edges on their rows while these make place for another.
func (s *state) room() {
	if moved := s.rows.room(); moved > 0 {
		for w := range s.edges {
			s.edges[w].tail -= moved
		}
	}
}

// move takes every window from (at - W, at] to (t - W, t], without a reading
// at t.
func (s *state) move(p *plan, t int64) {
	on := s.rows.on(s.rows.end - 1)
	for w := range p.windows {
		win, e := &p.windows[w], &s.edges[w]
		if on {
			e.on += t - s.at
		}
		from, left := s.at-win.length, t-win.length
		for e.tail < s.rows.end && s.rows.time(e.tail) <= left {
			row := s.rows.row(e.tail)
			if e.left {
				e.on -= row[0] - from
			}
			from, e.left = row[0], row[1]&rowOn != 0
			e.n--
			s.leave(p, win, row, e.tail)
			e.tail++
		}
		if e.left {
			e.on -= left - from
		}
	}
	for x := range p.extremes {
		d := p.extremes[x].deque
		q, left := &s.deques[d], t-p.windows[p.extremes[x].window].length
		c := max(s.cursors[x], q.head)
		for c < len(q.items) && q.items[c].t <= left {
			c++
		}
		s.cursors[x] = c
		if x == p.deques[d].to-1 {
			q.head = c
		}
	}
}

// leave takes a row out of a window's tracks.
func (s *state) leave(p *plan, win *window, row []int64, i int) {
	for k := win.from; k < win.to; k++ {
		tr := &p.tracks[k]
		c := &p.cells[tr.cell]
		x := c.value(row)
		if x == drumbeat.Missing {
			continue
		}
		sum := &s.sums[k]
		sum.remove(tr, x)
		if tr.chained && sum.n > 0 {
			sum.first = s.next(c, i+1)
			sum.rise.sub(rise(x, sum.first.x))
		}
	}
}

// next returns the cell's first value at row i or after, previous the last
// one at row i or before that is later than t; at never if there is none.
func (s *state) next(c *cell, i int) point {
	for ; i < s.rows.end; i++ {
		row := s.rows.row(i)
		if x := c.value(row); x != drumbeat.Missing {
			return point{row[0], x}
		}
	}
	return point{t: never}
}

func (s *state) previous(c *cell, i int, t int64) point {
	for ; i >= s.rows.head; i-- {
		row := s.rows.row(i)
		if row[0] <= t {
			break
		}
		if x := c.value(row); x != drumbeat.Missing {
			return point{row[0], x}
		}
	}
	return point{t: never}
}

// enter adds the fresh values, which stand at t, the newest time.
func (s *state) enter(p *plan, t int64) {
	for i := range p.cells {
		c := &p.cells[i]
		x := c.value(s.fresh)
		if x == drumbeat.Missing {
			continue
		}
		for _, k := range c.tracks {
			tr, sum := &p.tracks[k], &s.sums[k]
			if tr.chained {
				if sum.n > 0 {
					sum.rise.add(rise(s.lasts[i].x, x))
				} else {
					sum.first = point{t, x}
				}
			}
			sum.add(tr, x)
		}
		s.lasts[i] = point{t, x}
		for _, d := range c.deques {
			if d >= 0 {
				q := &p.deques[d]
				s.deques[d].push(q, point{t, x}, s.cursors[q.from:q.to])
			}
		}
	}
}

// snapshot returns what evaluation needs, as of the newest reading.
func (s *state) snapshot(p *plan) snapshot {
	for x := range p.extremes {
		s.tops[x] = drumbeat.Missing
		if q := &s.deques[p.extremes[x].deque]; s.cursors[x] < len(q.items) {
			s.tops[x] = q.items[s.cursors[x]].x
		}
	}
	return snapshot{
		t: s.at, first: s.first, running: s.rows.on(s.rows.end - 1),
		edges: s.edges, sums: s.sums, lasts: s.lasts, tops: s.tops,
		series: s.series, static: static(s.versions, s.at),
	}
}
