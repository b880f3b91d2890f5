package feature

import (
	"slices"
	"sort"
	"time"

	"drumbeat"
)

// never is the time of what has not happened, in milliseconds.
const never = drumbeat.Missing

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func instant(ms int64) drumbeat.Time { return drumbeat.Time(ms * 1000) }

// rows holds a machine's readings in the order of their event times, one row
// each of plan.stride words: the time, the meta words, the values. The rows
// are data[head:end], counted in rows.
type rows struct {
	data   []int64
	stride int
	meta   int // meta words in a row
	head   int
	end    int
}

// The bits of a row's first meta word.
const (
	rowOn    = 1 << iota // the reading satisfies running: (W7)
	rowKnown             // the sensor that running: asks for is known
)

func (r *rows) row(i int) []int64 { return r.data[i*r.stride : (i+1)*r.stride] }

func (r *rows) time(i int) int64 { return r.data[i*r.stride] }

func (r *rows) on(i int) bool { return r.data[i*r.stride+1]&rowOn != 0 }

func (r *rows) len() int { return r.end - r.head }

// search returns the first row whose time is at least t, or end.
func (r *rows) search(t int64) int {
	return r.head + sort.Search(r.end-r.head, func(i int) bool { return r.time(r.head+i) >= t })
}

// room makes place for one more row and returns by how much the rows moved
// towards the front.
func (r *rows) room() (moved int) {
	need := (r.end + 1) * r.stride
	if need <= cap(r.data) {
		r.data = r.data[:max(len(r.data), need)]
		return 0
	}
	if r.head > 0 && r.head >= r.len()/4 {
		moved = r.head
		copy(r.data, r.data[r.head*r.stride:r.end*r.stride])
		r.head, r.end = 0, r.end-moved
		return moved
	}
	r.data = slices.Grow(r.data[:r.end*r.stride], max(r.stride*16, len(r.data)/4))
	r.data = r.data[:need]
	return 0
}

// insert opens an empty row before row i: a time, no flags, nothing known.
func (r *rows) insert(i int, t int64) {
	r.end++
	copy(r.data[(i+1)*r.stride:r.end*r.stride], r.data[i*r.stride:(r.end-1)*r.stride])
	r.clear(i, t)
}

func (r *rows) push(t int64) {
	r.end++
	r.clear(r.end-1, t)
}

func (r *rows) clear(i int, t int64) {
	row := r.row(i)
	row[0] = t
	clear(row[1 : 1+r.meta])
	for j := 1 + r.meta; j < len(row); j++ {
		row[j] = drumbeat.Missing
	}
}

// prune forgets the rows before the last one that is not after t; that one
// says whether the machine was running then (W7).
func (r *rows) prune(t int64) {
	for r.head+1 < r.end && r.time(r.head+1) <= t {
		r.head++
	}
}

// fill adds an item's values to a row: what the row knows stands (T3, S2).
// It writes what it added to fresh, a row of its own.
func (p *plan) fill(row, fresh []int64, item *drumbeat.Item) {
	copy(fresh, row[:1+p.meta])
	for column, sensor := range p.sensors {
		at := 1 + p.meta + column
		fresh[at] = drumbeat.Missing
		if sensor >= len(item.Values) || item.Values[sensor] == drumbeat.Missing || row[at] != drumbeat.Missing {
			continue
		}
		row[at], fresh[at] = item.Values[sensor], item.Values[sensor]
		if sensor < len(item.Flags) && item.Flags[sensor] != 0 {
			word, shift := p.shift(column)
			row[word] |= flagBits(item.Flags[sensor]) << shift
			fresh[word] = row[word]
		}
	}
	if c := p.running; c == nil {
		row[1] |= rowOn
	} else if row[1]&rowKnown == 0 && c.Sensor < len(item.Values) && item.Values[c.Sensor] != drumbeat.Missing {
		row[1] |= rowKnown
		if c.Holds(item.Values) {
			row[1] |= rowOn
		}
	}
	fresh[1] = row[1]
}

func flagBits(f drumbeat.Flag) int64 {
	bits := int64(0)
	if f&drumbeat.FlagClipped != 0 {
		bits |= bitClipped
	}
	if f&drumbeat.FlagStuck != 0 {
		bits |= bitStuck
	}
	if f&drumbeat.FlagJump != 0 {
		bits |= bitJump
	}
	return bits
}
