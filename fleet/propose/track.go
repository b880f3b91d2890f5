package propose

import (
	"fmt"
	"math"
	"slices"
	"time"

	"drumbeat"
)

// track is one machine's rows.
type track struct {
	id          string
	rows        int
	first, last drumbeat.Time
	prev        drumbeat.Time
	strays      int       // rows in a row that did not follow the one before
	values      []float64 // of the row before
	gaps        reservoir
	longest     gap
	days        daySet
	failed      []drumbeat.Time
}

// gap is a time without a row.
type gap struct {
	from, to drumbeat.Time
}

func (g gap) length() time.Duration { return g.to.Sub(g.from) }

// failures are the times at which machines failed, sorted.
type failures struct {
	of      map[string][]drumbeat.Time
	horizon time.Duration
	last    drumbeat.Time // of all, NoTime without one
}

// near says whether t lies within the horizon after a failure, or before one.
func (f *failures) near(times []drumbeat.Time, t drumbeat.Time) (after, before bool) {
	next, _ := slices.BinarySearch(times, t+1) // the first later than t
	after = next > 0 && t.Sub(times[next-1]) <= f.horizon
	before = next < len(times) && times[next].Sub(t) <= f.horizon
	return after, before
}

// track returns the machine's track.
func (p *profile) track(id []byte) (*track, error) {
	if m, ok := p.machines[string(id)]; ok {
		return m, nil
	}
	if len(p.order) >= maxMachines {
		return nil, fmt.Errorf("read %s: its column %q, taken for the machine, has more than %d values: %w",
			p.name, p.cols[p.machine].name, maxMachines, drumbeat.ErrLimit)
	}
	m := &track{id: string(id), first: drumbeat.NoTime, last: drumbeat.NoTime, prev: drumbeat.NoTime}
	if p.failed != nil {
		m.failed = p.failed.of[m.id]
	}
	p.machines[m.id] = m
	p.order = append(p.order, m)
	return m, nil
}

// dayOf returns the number of the day since 1970, to the past.
func dayOf(t drumbeat.Time) int64 {
	const day = int64(24 * time.Hour / time.Microsecond)
	number := int64(t) / day
	if int64(t) < number*day {
		number--
	}
	return number
}

// daySet is a set of days, a bit each.
type daySet struct {
	base  int64 // the day of the first bit, over 64
	words []uint64
	count int
}

// add adds a day. Days of centuries apart are faults, and do not take room.
func (s *daySet) add(day int64) {
	const most = 2000
	word := day >> 6
	if len(s.words) == 0 {
		s.base = word
	}
	if word-s.base >= most || s.base-word >= most {
		return
	}
	for word < s.base {
		s.base--
		s.words = slices.Insert(s.words, 0, 0)
	}
	for word-s.base >= int64(len(s.words)) {
		s.words = append(s.words, 0)
	}
	if bit := uint64(1) << (day & 63); s.words[word-s.base]&bit == 0 {
		s.words[word-s.base] |= bit
		s.count++
	}
}

// row compares a machine's row with the one before.
func (p *profile) row(m *track, t drumbeat.Time, values []float64) {
	m.rows++
	if p.first == drumbeat.NoTime || t < p.first {
		p.first = t
	}
	p.last = max(p.last, t)
	if m.first == drumbeat.NoTime {
		m.first, m.last = t, t
	}
	m.days.add(dayOf(t))
	m.first, m.last = min(m.first, t), max(m.last, t)
	if p.role != roleTelemetry {
		return
	}
	p.leaks(m, t, values)
	if m.prev == drumbeat.NoTime {
		m.values = slices.Clone(values)
		m.prev = t
		return
	}
	p.steps++
	const lost = 3 // so many strays are a new place in the file
	switch {
	case t == m.prev:
		p.merge(m, values)
		return
	case (t < m.prev) == p.falling:
		p.step(m, t, values)
	default:
		p.backwards++
		if m.strays++; m.strays < lost {
			return
		}
	}
	copy(m.values, values)
	m.prev, m.strays = t, 0
}

// merge adds a row to the one before, which has the same time: it brings
// further values, or none, or others.
func (p *profile) merge(m *track, values []float64) {
	adds, differs := false, false
	for i, x := range values {
		switch {
		case math.IsNaN(x):
		case math.IsNaN(m.values[i]):
			adds = true
			m.values[i] = x
		case x != m.values[i]:
			differs = true
		}
	}
	switch {
	case differs:
		p.conflicts++
	case !adds:
		p.duplicates++
	}
}

// step compares two rows of a machine that follow one another. Files in
// falling order are read the other way round.
func (p *profile) step(m *track, t drumbeat.Time, values []float64) {
	earlier, later := m.values, values
	g := gap{m.prev, t}
	if p.falling {
		earlier, later, g = values, m.values, gap{t, m.prev}
	}
	m.gaps.add(float64(g.length()), keptGaps)
	if g.length() > m.longest.length() {
		m.longest = g
	}
	failed := false
	if len(m.failed) > 0 {
		at, _ := slices.BinarySearch(m.failed, g.from+1)
		failed = at < len(m.failed) && m.failed[at] <= g.to
	}
	long := p.gap > 0 && g.length() > 3*p.gap
	for i := range later {
		a, b, st := earlier[i], later[i], &p.stats[i]
		if long && a == a {
			st.silent.add(a, keptValues)
		}
		switch {
		case b > a:
			st.moves++
			st.rises++
			if failed {
				st.resetAtFailure++
			}
		case b < a:
			st.moves++
			st.falls++
			if b <= a/10 && a > 0 {
				st.resets++
			}
		}
	}
}

// leaks counts what each column says around failures.
func (p *profile) leaks(m *track, t drumbeat.Time, values []float64) {
	if p.failed == nil {
		return
	}
	if t > p.failed.last {
		p.afterLast++
	}
	after, before := p.failed.near(m.failed, t)
	if after {
		p.after++
	}
	if before {
		p.before++
	}
	for i, x := range values {
		if math.IsNaN(x) {
			continue
		}
		st := &p.stats[i]
		st.met++
		if after {
			st.metAfter++
		}
		if x != 0 {
			st.odd++
			if before {
				st.oddBefore++
			}
		}
	}
}
