package feature

import "drumbeat"

// insert adds a reading older than the newest one, either a new row or new
// values of a row that is there (T3), and returns its row.
func (s *state) insert(p *plan, t int64, item *drumbeat.Item) int {
	s.room()
	i := s.rows.search(t)
	before := i > s.rows.head && s.rows.on(i-1)
	if s.rows.time(i) == t {
		before = s.rows.on(i)
	} else {
		s.rows.insert(i, t)
		for w := range s.edges {
			if e := &s.edges[w]; t > s.at-p.windows[w].length {
				e.n++
			} else {
				e.tail++
			}
		}
		s.first = min(s.first, t)
	}
	p.fill(s.rows.row(i), s.fresh, item)
	if now := s.rows.on(i); now != before {
		s.running(p, i, now)
	}
	s.join(p, i)
	return i
}

// running tells the windows that row i changed whether the machine should
// have reported from there to the next row (W7).
func (s *state) running(p *plan, i int, now bool) {
	from, to := s.rows.time(i), s.rows.time(i+1)
	for w := range s.edges {
		e, left := &s.edges[w], s.at-p.windows[w].length
		if to <= left {
			continue
		}
		if from <= left {
			e.left = now
		}
		change := to - max(from, left)
		if !now {
			change = -change
		}
		e.on += change
	}
}

// join adds the fresh values of row i, which is not the newest, to every
// window that holds it.
func (s *state) join(p *plan, i int) {
	t := s.rows.time(i)
	for c := range p.cells {
		x := p.cells[c].value(s.fresh)
		if x == drumbeat.Missing {
			continue
		}
		s.joinSums(p, c, i, point{t, x})
		if t > s.lasts[c].t {
			s.lasts[c] = point{t, x}
		}
		for _, d := range p.cells[c].deques {
			if d < 0 || t <= s.at-p.deques[d].longest {
				continue
			}
			s.deques[d].insert(&p.deques[d], point{t, x})
			s.aim(p, d)
		}
	}
}

func (s *state) joinSums(p *plan, c, i int, v point) {
	before, after := point{t: never}, point{t: never}
	if p.cells[c].chained {
		before = s.previous(&p.cells[c], i-1, s.at-p.longest)
		after = s.next(&p.cells[c], i+1)
	}
	for _, k := range p.cells[c].tracks {
		tr := &p.tracks[k]
		left := s.at - p.windows[tr.window].length
		if v.t <= left {
			continue
		}
		sum := &s.sums[k]
		sum.add(tr, v.x)
		if !tr.chained {
			continue
		}
		inside := before.t != never && before.t > left
		if inside {
			sum.rise.add(rise(before.x, v.x))
		} else {
			sum.first = v
		}
		if after.t != never {
			sum.rise.add(rise(v.x, after.x))
			if inside {
				sum.rise.sub(rise(before.x, after.x))
			}
		}
	}
}

// aim sets the cursors of a deque anew after an insertion in its middle.
func (s *state) aim(p *plan, d int) {
	q := &s.deques[d]
	for x := p.deques[d].from; x < p.deques[d].to; x++ {
		left, c := s.at-p.windows[p.extremes[x].window].length, q.head
		for c < len(q.items) && q.items[c].t <= left {
			c++
		}
		s.cursors[x] = c
	}
}
