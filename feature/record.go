package feature

import (
	"encoding/binary"
	"hash/crc32"
	"slices"

	"drumbeat"
)

// recordVersion is the version of both packed formats; docs/format/online.md
// describes them.
const recordVersion = 1

// Bounds of what a record keeps besides readings. Where more happens within
// the horizon, the record's reach is cut short instead: it turns stale sooner.
const (
	maxEvents = 64 // of a series, leaving one window or still to come
	maxLoads  = 8  // of static attributes, still to come
)

// Record packs a machine's newest vector and what is needed to move it on
// (S1); false if the machine has had no reading.
func (e *Engine) Record(id drumbeat.MachineID) (Record, bool) {
	m := e.machines[id]
	if m == nil || m.at == never {
		return Record{}, false
	}
	k := keeper{plan: e.plan, state: &m.state, until: m.at + e.plan.horizon}
	return Record{Vector: e.newest(m), Advance: k.pack()}, true
}

// keeper chooses which part of a state a record keeps: all that a window
// ending in (at, until] can lose, and the next value that it then begins with.
type keeper struct {
	plan  *plan
	state *state
	until int64
	rows  []int
	out   []byte
}

// maxLeaving is how many readings a record keeps of what leaves each window
// longer than the horizon, and of the horizon itself: four a cadence, as W5
// has it. The windows within the horizon lose nothing else than its readings,
// so they share them.
func (p *plan) maxLeaving() int { return int((4*p.horizon + p.cadence - 1) / p.cadence) }

// within is how many windows are no longer than the horizon.
func (p *plan) within() int {
	n := 0
	for n < len(p.windows) && p.windows[n].length <= p.horizon {
		n++
	}
	return n
}

func (k *keeper) pack() []byte {
	k.limit()
	k.choose()
	p, s := k.plan, k.state
	k.out = make([]byte, 0, 256+len(k.rows)*(4+2*len(p.sensors)))
	k.out = append(k.out, recordVersion)
	k.int(s.at)
	k.uint(s.at - s.first)
	k.uint(k.until - s.at)
	for _, n := range p.shape() {
		k.uint(int64(n))
	}
	for w := range s.edges {
		k.uint(s.edges[w].n)
		k.uint(s.edges[w].on)
		k.bool(s.edges[w].left)
	}
	for i := range s.sums {
		k.sums(&p.tracks[i], &s.sums[i])
	}
	for _, last := range s.lasts {
		k.bool(last.t != never)
		if last.t != never {
			k.uint(s.at - last.t)
			k.int(last.x)
		}
	}
	k.packRows()
	for i := range s.series {
		k.series(i)
	}
	k.versions()
	return sealed(k.out)
}

// sealed appends the checksum of packed.
func sealed(packed []byte) []byte {
	return binary.LittleEndian.AppendUint32(packed, crc32.Checksum(packed, castagnoli()))
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// shape is what the counts of a record must be for the plan to read it.
func (p *plan) shape() [6]int {
	return [6]int{len(p.windows), len(p.tracks), len(p.cells), len(p.sensors), len(p.series), len(p.static)}
}

// limit cuts the reach where more would leave than a record may hold.
func (k *keeper) limit() {
	p, s := k.plan, k.state
	within, most := p.within(), p.maxLeaving()
	for w := range p.windows {
		part := most
		if w < within {
			if s.rows.end-s.edges[within-1].tail <= most {
				continue // they share what there is
			}
			part = max(1, most/within)
		}
		if i := s.edges[w].tail + part; i < s.rows.end {
			k.until = min(k.until, s.rows.time(i)+p.windows[w].length-1)
		}
	}
	for i := range s.series {
		times := s.series[i].times
		for _, length := range p.series[i].windows {
			if j := s.series[i].after(s.at-length) + maxEvents; j < len(times) {
				k.until = min(k.until, times[j]+length-1)
			}
		}
		if j := s.series[i].after(s.at) + maxEvents; j < len(times) {
			k.until = min(k.until, times[j]-1)
		}
	}
	if j := k.version() + 1 + maxLoads; j < len(s.versions) {
		k.until = min(k.until, s.versions[j].from-1)
	}
	k.until = max(k.until, s.at)
}

// version returns the index of the static attributes in force.
func (k *keeper) version() int {
	i := 0
	for i+1 < len(k.state.versions) && k.state.versions[i+1].from <= k.state.at {
		i++
	}
	return i
}

// choose lists the rows to keep: those that leave a window in time, then for
// each window the rows that hold its first value and its extremum from then
// on, and the newest row.
func (k *keeper) choose() {
	p, s := k.plan, k.state
	left := make([]int, len(p.windows))
	for w := len(p.windows) - 1; w >= 0; w-- { // the longest first: nearly sorted
		i := s.edges[w].tail
		for ; i < s.rows.end && s.rows.time(i) <= k.until-p.windows[w].length; i++ {
			k.rows = append(k.rows, i)
		}
		left[w] = i
	}
	for i := range p.tracks {
		if tr := &p.tracks[i]; tr.chained {
			k.keep(s.next(&p.cells[tr.cell], left[tr.window]))
		}
	}
	for x, of := range p.extremes {
		q := &s.deques[of.deque]
		for i := s.cursors[x]; i < len(q.items); i++ {
			if q.items[i].t > k.until-p.windows[of.window].length {
				k.keep(q.items[i])
				break
			}
		}
	}
	k.rows = append(k.rows, s.rows.end-1)
	slices.Sort(k.rows)
	k.rows = slices.Compact(k.rows)
}

func (k *keeper) keep(v point) {
	if v.t != never {
		k.rows = append(k.rows, k.state.rows.search(v.t))
	}
}

func (k *keeper) sums(tr *track, s *sums) {
	k.uint(s.n)
	k.wide(s.s1)
	if tr.squares {
		k.wide(s.s2)
	}
	if tr.chained {
		k.wide(s.rise)
	}
}

// packRows writes the chosen rows: time, meta words, which columns are there,
// and each value as its distance from the column's last one.
func (k *keeper) packRows() {
	p, s := k.plan, k.state
	before := make([]int64, len(p.sensors))
	present := make([]byte, (len(p.sensors)+7)/8)
	k.uint(int64(len(k.rows)))
	t := s.at - p.longest
	for _, i := range k.rows {
		row := s.rows.row(i)
		k.int(row[0] - t)
		t = row[0]
		for _, word := range row[1 : 1+p.meta] {
			k.uint(word)
		}
		clear(present)
		values := row[1+p.meta:]
		for c, x := range values {
			if x != drumbeat.Missing {
				present[c/8] |= 1 << (c % 8)
			}
		}
		k.out = append(k.out, present...)
		for c, x := range values {
			if x != drumbeat.Missing {
				k.int(x - before[c])
				before[c] = x
			}
		}
	}
}

// series writes the times that may leave a window, the next one, and all
// from the newest that has happened on, each with its rank.
func (k *keeper) series(i int) {
	s, at := &k.state.series[i], k.state.at
	var kept []int
	for _, length := range k.plan.series[i].windows {
		from, to := s.after(at-length), s.after(k.until-length)
		for j := from; j <= to && j < len(s.times); j++ {
			kept = append(kept, j)
		}
	}
	for j := max(0, s.after(at)-1); j < s.after(k.until); j++ {
		kept = append(kept, j)
	}
	slices.Sort(kept)
	kept = slices.Compact(kept)
	k.uint(int64(len(kept)))
	for _, j := range kept {
		k.int(s.times[j] - at)
		k.uint(int64(j))
	}
}

// versions writes the static features in force and those still to come.
func (k *keeper) versions() {
	all := k.state.versions
	from := k.version()
	to := min(from+1, len(all))
	for to < len(all) && all[to].from <= k.until {
		to++
	}
	k.uint(int64(to - from))
	for _, v := range all[from:to] {
		k.int(v.from - k.state.at)
		k.out = appendFloats(k.out, v.values)
	}
}

func (k *keeper) int(x int64)  { k.out = binary.AppendVarint(k.out, x) }
func (k *keeper) uint(x int64) { k.out = binary.AppendUvarint(k.out, uint64(x)) } //nolint:gosec // read back the same way

func (k *keeper) bool(b bool) {
	if b {
		k.out = append(k.out, 1)
	} else {
		k.out = append(k.out, 0)
	}
}

func (k *keeper) wide(x int128) {
	k.int(x.hi)
	k.out = binary.AppendUvarint(k.out, x.lo)
}
