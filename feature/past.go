package feature

import "drumbeat"

// past is the scratch in which a snapshot of an earlier time is made: the own
// row of a reading that came out of order (P4).
type past struct{ snap snapshot }

func (p *plan) newPast() *past {
	return &past{snap: snapshot{
		edges: make([]edge, len(p.windows)), sums: make([]sums, len(p.tracks)),
		lasts: make([]point, len(p.cells)), tops: make([]int64, len(p.extremes)),
	}}
}

// snapshot makes the snapshot as of row i.
func (b *past) snapshot(p *plan, s *state, i int) *snapshot {
	t := s.rows.time(i)
	b.snap.t, b.snap.first, b.snap.running = t, s.first, s.rows.on(i)
	b.snap.series, b.snap.static = s.series, static(s.versions, t)
	for c := range p.cells {
		b.snap.lasts[c] = s.previous(&p.cells[c], i, t-p.longest)
	}
	for w := range p.windows {
		b.window(p, s, w, i)
	}
	for x, of := range p.extremes {
		b.snap.tops[x] = b.extreme(p, s, x, s.rows.search(t-p.windows[of.window].length+1), i)
	}
	return &b.snap
}

// window sums the rows from low to i, which are those inside. The window that
// ends now is the same but for what has come since and what had not left yet:
// where that is less, it is taken away from and added to the sums of now.
func (b *past) window(p *plan, s *state, w, i int) {
	win, t := &p.windows[w], s.rows.time(i)
	left := t - win.length
	low, tail := s.rows.search(left+1), s.edges[w].tail
	b.snap.edges[w].n = int64(i + 1 - low)
	if since := s.rows.end - 1 - i; tail > i || i+1-low <= since+tail-low {
		clear(b.snap.sums[win.from:win.to])
		b.add(p, s, win, low, i+1)
		b.snap.edges[w].on = s.rows.span(left, t)
	} else {
		copy(b.snap.sums[win.from:win.to], s.sums[win.from:win.to])
		b.remove(p, s, win, i+1, s.rows.end)
		b.add(p, s, win, low, tail)
		b.snap.edges[w].on = s.edges[w].on - s.rows.span(t, s.at) + s.rows.span(left, s.at-win.length)
	}
	for k := win.from; k < win.to; k++ {
		if p.tracks[k].chained {
			b.chain(s, &p.cells[p.tracks[k].cell], &b.snap.sums[k], low, i+1)
		}
	}
}

func (b *past) add(p *plan, s *state, win *window, from, to int) {
	for r := from; r < to; r++ {
		row := s.rows.row(r)
		for k := win.from; k < win.to; k++ {
			if x := p.cells[p.tracks[k].cell].value(row); x != drumbeat.Missing {
				b.snap.sums[k].add(&p.tracks[k], x)
			}
		}
	}
}

func (b *past) remove(p *plan, s *state, win *window, from, to int) {
	for r := from; r < to; r++ {
		row := s.rows.row(r)
		for k := win.from; k < win.to; k++ {
			if x := p.cells[p.tracks[k].cell].value(row); x != drumbeat.Missing {
				b.snap.sums[k].remove(&p.tracks[k], x)
			}
		}
	}
}

// chain finds the first value and the increase of the rows in [from, to).
func (b *past) chain(s *state, c *cell, sum *sums, from, to int) {
	sum.first, sum.rise = point{t: never}, int128{}
	before := int64(0)
	for r := from; r < to; r++ {
		row := s.rows.row(r)
		x := c.value(row)
		if x == drumbeat.Missing {
			continue
		}
		if sum.first.t == never {
			sum.first = point{row[0], x}
		} else {
			sum.rise.add(rise(before, x))
		}
		before = x
	}
}

// extreme returns the extremum of the rows from low to i, or Missing. If that
// of now is among them, only what had not left yet can beat it.
func (b *past) extreme(p *plan, s *state, x, low, i int) int64 {
	of := p.extremes[x]
	d, q := &p.deques[of.deque], &s.deques[of.deque]
	c, to, best := &p.cells[d.cell], i+1, drumbeat.Missing
	if s.cursors[x] < len(q.items) {
		if top := q.items[s.cursors[x]]; top.t <= s.rows.time(i) {
			best, to = top.x, s.edges[of.window].tail
		}
	}
	for r := low; r < to; r++ {
		if v := c.value(s.rows.row(r)); v != drumbeat.Missing && (best == drumbeat.Missing || d.covers(v, best)) {
			best = v
		}
	}
	return best
}

// span returns for how many milliseconds of (from, to] the machine should
// have reported (W7).
func (r *rows) span(from, to int64) int64 {
	i := r.search(from + 1)
	on, total := i > r.head && r.on(i-1), int64(0)
	for ; i < r.end && r.time(i) < to; i++ {
		if on {
			total += r.time(i) - from
		}
		from, on = r.time(i), r.on(i)
	}
	if on {
		total += to - from
	}
	return total
}
