package propose

import (
	"context"
	"hash/maphash"
	"math"
	"slices"

	"drumbeat"
)

// profile is a table read to its end. Its size does not grow with the rows,
// but for the entries of logs, of which maxEntries are kept.
type profile struct {
	*sheet
	read       int // rows
	unreadable int // rows that are none, or name no machine or no time
	future     int // rows that the import would set aside (T5), and that count for nothing else
	stats      []stat
	machines   map[string]*track
	order      []*track // as they were met
	first      drumbeat.Time
	last       drumbeat.Time
	duplicates int // neighbouring rows of one machine and time that add no value
	conflicts  int // that say otherwise
	backwards  int // rows that do not follow the machine's row before
	steps      int // rows that have one before
	entries    []entry
	failed     *failures // when machines failed, to see what knows of it
	after      int       // rows within the horizon after a failure
	before     int       // within the horizon before one
	afterLast  int       // rows after the last failure of all
}

// entry is one row of a log.
type entry struct {
	machine string
	time    drumbeat.Time
	typ     string
}

// Limits of what is kept of a table.
const (
	maxMachines = 100_000
	maxEntries  = 2_000_000
	keptValues  = 2000 // of a column, to know its quantiles
	keptGaps    = 64   // of a machine
)

// stat is what all rows say of a column.
type stat struct {
	filled, numbers, bad int
	badText              string // one that is no number
	min, max             float64
	decimals             int
	zeros, negatives     int
	hash                 uint64 // of all values in order: equal for copies
	texts                map[string]int
	over                 bool // more than maxDistinct texts
	sample               reservoir
	silent               reservoir // values before a long gap
	rises, falls, resets int       // steps of a machine
	moves                int       // steps that changed the value
	met, metAfter        int       // values that are there: all, after a failure
	odd, oddBefore       int       // values other than 0: all, before a failure
	resetAtFailure       int       // rises over a failure
}

// scan reads the table to its end. What was measured after latest is counted
// alone, unless that is NoTime.
func scan(ctx context.Context, s *sheet, failed *failures, latest drumbeat.Time) (*profile, error) {
	p, fallback, err := scanOnce(ctx, s, failed, latest)
	if err == nil && fallback > p.read/100 && s.time >= 0 && s.cols[s.time].format.other != "" {
		s.cols[s.time].format = s.cols[s.time].format.otherWay()
		s.cols[s.time].proven = true
		p, _, err = scanOnce(ctx, s, failed, latest)
	}
	return p, err
}

// scanOnce also counts the times that only the other order of day and month
// reads.
func scanOnce(ctx context.Context, s *sheet, failed *failures, latest drumbeat.Time) (p *profile, otherWay int, err error) {
	p = newProfile(s, failed)
	times := columnTimes{sheet: s}
	if s.time >= 0 {
		times.begin()
	}
	seed := maphash.MakeSeed()
	values := make([]float64, len(s.cols))
	kind := s.typeColumn()
	for cells, err := range s.rows(ctx) {
		if err != nil {
			return nil, 0, err
		}
		p.read++
		if len(cells) != len(s.cols) || s.machine >= 0 && len(cells[s.machine]) == 0 {
			p.unreadable++
			continue
		}
		t := drumbeat.NoTime
		if s.time >= 0 {
			var ok bool
			if t, ok = times.read(cells[s.time]); !ok {
				p.unreadable++
				continue
			}
			if latest != drumbeat.NoTime && t > latest {
				p.future++
				continue
			}
		}
		for i, cell := range cells {
			values[i] = p.cell(i, cell, seed)
		}
		if s.machine < 0 {
			continue
		}
		m, err := p.track(cells[s.machine])
		if err != nil {
			return nil, 0, err
		}
		if s.time >= 0 {
			p.row(m, t, values)
			p.keep(m, t, kind, cells)
		}
	}
	return p, times.otherWay, nil
}

func newProfile(s *sheet, failed *failures) *profile {
	p := &profile{
		sheet: s, machines: map[string]*track{}, failed: failed, first: drumbeat.NoTime, last: drumbeat.NoTime,
		stats: make([]stat, len(s.cols)),
	}
	for i := range p.stats {
		p.stats[i] = stat{min: math.Inf(1), max: math.Inf(-1)}
		if s.role != roleTelemetry || s.cols[i].kind == kindText {
			p.stats[i].texts = map[string]int{}
		}
	}
	return p
}

// columnTimes reads a sheet's times, and looks for proof of the order of day
// and month.
type columnTimes struct {
	sheet     *sheet
	as, other clock
	ambiguous bool // day and month may be confused
	unproven  bool
	otherWay  int
}

func (c *columnTimes) begin() {
	column := &c.sheet.cols[c.sheet.time]
	c.as.format, c.other.format = column.format, column.format.otherWay()
	c.ambiguous = column.format.other != ""
	c.unproven = c.ambiguous && !column.proven
}

func (c *columnTimes) read(cell []byte) (drumbeat.Time, bool) {
	t, ok := c.as.read(cell)
	switch {
	case !ok && c.ambiguous:
		if _, reads := c.other.read(cell); reads {
			c.otherWay++
		}
	case ok && c.unproven:
		_, c.unproven = c.other.read(cell)
		c.sheet.cols[c.sheet.time].proven = !c.unproven
	}
	return t, ok
}

// cell counts a cell and returns its number, or what stands for its text; NaN
// if it is missing.
func (p *profile) cell(i int, cell []byte, seed maphash.Seed) float64 {
	st := &p.stats[i]
	if i == p.machine || i == p.time {
		return math.NaN()
	}
	value := math.NaN()
	if !isMissing(cell) {
		st.filled++
		n, ok := parseNumber(cell)
		switch {
		case p.cols[i].kind == kindText || p.cols[i].kind == kindTime:
			value = float64(maphash.Bytes(seed, cell) >> 12)
		case ok:
			value = n.value
			st.number(n)
		default:
			if st.bad++; st.badText == "" {
				st.badText = clip(string(cell))
			}
		}
		if st.texts != nil {
			st.text(cell)
		}
	}
	st.hash = (st.hash ^ math.Float64bits(value)) * 0x100000001b3
	return value
}

func (s *stat) number(n number) {
	s.numbers++
	s.min, s.max = min(s.min, n.value), max(s.max, n.value)
	s.decimals = max(s.decimals, n.decimals)
	switch {
	case n.value == 0:
		s.zeros++
	case n.value < 0:
		s.negatives++
	}
	s.sample.add(n.value, keptValues)
}

func (s *stat) text(cell []byte) {
	if n, known := s.texts[string(cell)]; known {
		s.texts[string(cell)] = n + 1
		return
	}
	if s.over = s.over || len(s.texts) >= maxDistinct; !s.over {
		s.texts[string(cell)] = 1
	}
}

// keep keeps a log's row.
func (p *profile) keep(m *track, t drumbeat.Time, kind int, cells [][]byte) {
	if p.role != roleLog || len(p.entries) >= maxEntries {
		return
	}
	e := entry{machine: m.id, time: t}
	if kind >= 0 {
		e.typ = string(cells[kind])
	}
	p.entries = append(p.entries, e)
}

// reservoir is an even sample of values, the same for the same values.
type reservoir struct {
	seen  uint64
	state uint64
	kept  []float64
}

func (r *reservoir) add(x float64, most int) {
	r.seen++
	if len(r.kept) < most {
		r.kept = append(r.kept, x)
		return
	}
	r.state = r.state*6364136223846793005 + 1442695040888963407  // Knuth's MMIX generator
	if at := (r.state >> 33) * r.seen >> 31; at < uint64(most) { //nolint:gosec // most is a small constant
		r.kept[at] = x
	}
}

// quantile returns the value below which that share of the sample lies, NaN
// if there is none.
func (r *reservoir) quantile(share float64) float64 {
	if len(r.kept) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(r.kept))
	return sorted[int(math.Round(share*float64(len(sorted)-1)))]
}
