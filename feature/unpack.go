package feature

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"drumbeat"
)

// unpacker reads what keeper wrote. After a fault it reads zeros.
type unpacker struct {
	in    []byte
	fault string
}

func (u *unpacker) fail(what string) {
	if u.fault == "" {
		u.fault = what
	}
	u.in = nil
}

func (u *unpacker) int() int64 {
	x, n := binary.Varint(u.in)
	if n <= 0 {
		u.fail("cut short")
		return 0
	}
	u.in = u.in[n:]
	return x
}

func (u *unpacker) word() uint64 {
	x, n := binary.Uvarint(u.in)
	if n <= 0 {
		u.fail("cut short")
		return 0
	}
	u.in = u.in[n:]
	return x
}

// uint reads a number that is not negative and at most most.
func (u *unpacker) uint(most int64) int64 {
	x := u.word()
	if x > uint64(most) { //nolint:gosec // most >= 0
		u.fail("a number out of bounds")
		return 0
	}
	return int64(x) //nolint:gosec // <= most
}

func (u *unpacker) bool() bool { return u.byte() != 0 }

func (u *unpacker) byte() byte {
	if len(u.in) == 0 {
		u.fail("cut short")
		return 0
	}
	b := u.in[0]
	u.in = u.in[1:]
	return b
}

func (u *unpacker) wide() int128 {
	hi := u.int()
	return int128{hi: hi, lo: u.word()}
}

// floats fills values; every NaN becomes the one that stands for null.
func (u *unpacker) floats(values []float64) {
	if len(u.in) < 8*len(values) {
		u.fail("cut short")
		return
	}
	for i := range values {
		values[i] = finite(math.Float64frombits(binary.LittleEndian.Uint64(u.in[8*i:])))
	}
	u.in = u.in[8*len(values):]
}

// opened checks a packed record's version and sum and returns its body.
func opened(what string, packed []byte) ([]byte, error) {
	const least = 1 + crc32.Size
	if len(packed) < least {
		return nil, fmt.Errorf("read %s: %d bytes are too few: %w", what, len(packed), drumbeat.ErrInvalid)
	}
	if packed[0] > recordVersion {
		return nil, fmt.Errorf("read %s: format %d, this program knows %d: %w",
			what, packed[0], recordVersion, drumbeat.ErrNewer)
	}
	body := packed[:len(packed)-crc32.Size]
	if crc32.Checksum(body, castagnoli()) != binary.LittleEndian.Uint32(packed[len(body):]) || packed[0] == 0 {
		return nil, fmt.Errorf("read %s: its bytes were damaged: %w", what, drumbeat.ErrInvalid)
	}
	return body[1:], nil
}

// maxTime bounds the times of a record: beyond every time.Time that text can
// say, and far from overflow.
const maxTime = math.MaxInt64 / 1000 / 4

// reach reads where a record stands and how far it can be moved.
func (u *unpacker) reach() (at, first, until int64) {
	at = u.int()
	if at > maxTime || at < -maxTime {
		u.fail("a time out of bounds")
		at = 0
	}
	first = at - u.uint(2*maxTime)
	return at, first, at + u.uint(maxTime)
}

// unpack fills s, which must be reset, from a body that reach has begun.
func (p *plan) unpack(u *unpacker, s *state) {
	for _, n := range p.shape() {
		if u.uint(math.MaxInt32) != int64(n) {
			u.fail("it was made for another view")
			return
		}
	}
	for w := range s.edges {
		s.edges[w] = edge{n: u.uint(math.MaxInt32), on: u.uint(2 * maxTime), left: u.bool()}
	}
	for i := range s.sums {
		sum, tr := &s.sums[i], &p.tracks[i]
		sum.n, sum.s1 = u.uint(math.MaxInt32), u.wide()
		if tr.squares {
			sum.s2 = u.wide()
		}
		if tr.chained {
			sum.rise = u.wide()
		}
	}
	for i := range s.lasts {
		if u.bool() {
			s.lasts[i] = point{t: s.at - u.uint(2*maxTime), x: u.int()}
		}
	}
	p.unpackRows(u, s)
	for i := range s.series {
		unpackSeries(u, s.at, &s.series[i])
	}
	p.unpackVersions(u, s)
	if u.fault == "" && len(u.in) > 0 {
		u.fail("bytes after the end")
	}
	if u.fault == "" {
		p.revive(s)
	}
}

func (p *plan) unpackRows(u *unpacker, s *state) {
	const most = 1 << 20
	n := int(u.uint(most))
	if n > len(u.in) {
		u.fail("cut short")
		return
	}
	if need := (n + 2) * p.stride; cap(s.rows.data) < need {
		s.rows.data = make([]int64, 0, need)
	}
	before := s.fresh[1+p.meta:] // scratch, of the same length
	clear(before)
	t := s.at - p.longest
	for range n {
		step := u.int()
		if step < -maxTime || step > maxTime || s.rows.end > 0 && step <= 0 {
			u.fail("rows out of order")
			return
		}
		t += step
		s.rows.room()
		s.rows.push(t)
		row := s.rows.row(s.rows.end - 1)
		for j := range p.meta {
			row[1+j] = int64(u.word()) //nolint:gosec // bits
		}
		if len(u.in) < (len(before)+7)/8 {
			u.fail("cut short")
			return
		}
		present := u.in[:(len(before)+7)/8]
		u.in = u.in[len(present):]
		for c := range before {
			if present[c/8]&(1<<(c%8)) != 0 {
				before[c] += u.int()
				row[1+p.meta+c] = before[c]
			}
		}
	}
	if u.fault == "" && (n == 0 || t != s.at) {
		u.fail("its newest row is missing")
	}
}

func unpackSeries(u *unpacker, at int64, s *series) {
	n := u.uint(int64(len(u.in)))
	for j := range n {
		t, rank := at+u.int(), u.uint(math.MaxInt32)
		if t > 2*maxTime || t < -2*maxTime ||
			j > 0 && (t < s.times[j-1] || rank <= s.ranks[j-1]) {
			u.fail("events out of order")
			return
		}
		s.times, s.ranks = append(s.times, t), append(s.ranks, rank)
	}
}

func (p *plan) unpackVersions(u *unpacker, s *state) {
	for range u.uint(1 + maxLoads) {
		v := version{from: s.at + u.int(), values: make([]float64, len(p.static))}
		u.floats(v.values)
		s.versions = append(s.versions, v)
	}
}

// revive makes what follows from the rows: where windows begin, their first
// values and the candidates for their extremes.
func (p *plan) revive(s *state) {
	for w := range p.windows {
		s.edges[w].tail = s.rows.search(s.at - p.windows[w].length + 1)
	}
	for i := range p.tracks {
		if tr := &p.tracks[i]; tr.chained && s.sums[i].n > 0 {
			s.sums[i].first = s.next(&p.cells[tr.cell], s.edges[tr.window].tail)
		}
	}
	for d := range p.deques {
		of := &p.deques[d]
		for i := s.rows.search(s.at - of.longest + 1); i < s.rows.end; i++ {
			row := s.rows.row(i)
			if x := p.cells[of.cell].value(row); x != drumbeat.Missing {
				s.deques[d].push(of, point{row[0], x}, nil)
			}
		}
		s.aim(p, d)
	}
}
