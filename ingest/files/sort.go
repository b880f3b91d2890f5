package files

import (
	"cmp"
	"context"
	"slices"

	"drumbeat"
)

// sort returns the source's entries in T7's order, and the least arrival time
// among them. What fits into memory is sorted there; a larger file that is in
// order already is streamed; any other is cut into sorted runs on disk.
func (f *Files) sort(ctx context.Context, s *source) (in next, earliest drumbeat.Time, err error) {
	in, err = f.stream(ctx, s)
	if err != nil {
		return nil, 0, err
	}
	var c chunk
	full, err := c.fill(in, f.opts.Memory)
	if err != nil {
		return nil, 0, err
	}
	if !full {
		c.sort()
		f.total += len(c.all)
		return c.entries(), c.earliest, nil
	}
	if c.sorted {
		n, earliest, err := f.ordered(ctx, s)
		if err != nil {
			return nil, 0, err
		}
		if n > 0 {
			f.total += n
			in, err := f.stream(ctx, s)
			return in, earliest, err
		}
	}
	in, earliest, n, err := f.scratch.sort(s, &c, in, f.opts.Memory)
	f.total += n
	return in, earliest, err
}

// ordered reads the whole file, counts its rows and finds the least arrival
// time; n is 0 if they are not in order.
func (f *Files) ordered(ctx context.Context, s *source) (n int, earliest drumbeat.Time, err error) {
	in, err := f.stream(ctx, s)
	if err != nil {
		return 0, 0, err
	}
	last := drumbeat.NoTime
	earliest = drumbeat.NoTime
	for {
		one, err := in()
		switch {
		case err != nil:
			return 0, 0, err
		case one == nil:
			return n, earliest, nil
		case one.arrival < last || one.future:
			return 0, 0, nil // the file is closed by Files.Close
		}
		last = one.arrival
		if earliest == drumbeat.NoTime {
			earliest = last
		}
		n++
	}
}

// chunk is entries in memory.
type chunk struct {
	all      []entry
	arena    []byte
	sorted   bool
	earliest drumbeat.Time
}

// fill takes entries until they take limit bytes; full says that there may be
// more.
func (c *chunk) fill(in next, limit int) (full bool, err error) {
	const overhead = 200 // bytes of an entry beside its payload
	c.all, c.sorted, c.earliest = c.all[:0], true, drumbeat.NoTime
	for size := 0; size < limit; {
		one, err := in()
		if err != nil || one == nil {
			return false, err
		}
		kept := *one
		kept.payload = c.keep(one.payload)
		if one.fault != nil {
			kept.payload = nil
		}
		size += overhead + len(kept.payload) + len(kept.text)
		if n := len(c.all); n > 0 && kept.before(&c.all[n-1]) {
			c.sorted = false
		}
		if kept.arrival != drumbeat.NoTime && !kept.future && (c.earliest == drumbeat.NoTime || kept.arrival < c.earliest) {
			c.earliest = kept.arrival
		}
		c.all = append(c.all, kept)
	}
	return true, nil
}

func (c *chunk) keep(payload []byte) []byte {
	const block = 1 << 20
	if len(c.arena)+len(payload) > cap(c.arena) {
		c.arena = make([]byte, 0, max(block, len(payload)))
	}
	at := len(c.arena)
	c.arena = append(c.arena, payload...)
	return slices.Clip(c.arena[at:])
}

func (c *chunk) sort() {
	if c.sorted {
		return
	}
	order := func(a, b entry) int {
		switch {
		case a.future != b.future && a.future:
			return 1
		case a.future != b.future:
			return -1
		}
		return cmp.Or(cmp.Compare(a.arrival, b.arrival), cmp.Compare(a.line, b.line))
	}
	slices.SortFunc(c.all, order)
}

func (c *chunk) entries() next {
	at := 0
	return func() (*entry, error) {
		if at == len(c.all) {
			return nil, nil
		}
		at++
		return &c.all[at-1], nil
	}
}

// merge returns the entries of sorted inputs in one order.
func merge(inputs []next, before func(a, b *entry) bool) next {
	m := &merger{before: before}
	started := false
	return func() (*entry, error) {
		if !started {
			started = true
			for _, in := range inputs {
				one, err := in()
				if err != nil {
					return nil, err
				}
				if one != nil {
					m.heads = append(m.heads, head{one, in})
				}
			}
			for i := len(m.heads)/2 - 1; i >= 0; i-- {
				m.down(i)
			}
		} else if err := m.advance(); err != nil {
			return nil, err
		}
		if len(m.heads) == 0 {
			return nil, nil
		}
		return m.heads[0].entry, nil
	}
}

// merger is a binary heap of the first entries of several inputs.
type merger struct {
	before func(a, b *entry) bool
	heads  []head
}

type head struct {
	entry *entry
	in    next
}

// advance moves the first input on. Its entry was valid until now.
func (m *merger) advance() error {
	if len(m.heads) == 0 {
		return nil
	}
	one, err := m.heads[0].in()
	if err != nil {
		return err
	}
	if one == nil {
		last := len(m.heads) - 1
		m.heads[0], m.heads = m.heads[last], m.heads[:last]
	} else {
		m.heads[0].entry = one
	}
	m.down(0)
	return nil
}

// down restores the heap below i.
func (m *merger) down(i int) {
	for {
		first := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(m.heads); child++ {
			if m.before(m.heads[child].entry, m.heads[first].entry) {
				first = child
			}
		}
		if first == i {
			return
		}
		m.heads[i], m.heads[first] = m.heads[first], m.heads[i]
		i = first
	}
}
