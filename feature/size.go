package feature

import (
	"encoding/binary"
	"math"
)

// worstRecord returns an upper bound of the bytes that a record's two parts
// take together, whatever a machine does (S1). It is computed when the view
// is made, so that no record is refused later.
func (p *plan) worstRecord() int {
	const varint, wide, crc = binary.MaxVarintLen64, 2 * binary.MaxVarintLen64, 4
	size := vectorSize(len(p.view.Features)) + 1 + crc + (3+len(p.shape()))*varint
	size += len(p.windows) * (2*varint + 1)
	rows := 1 + len(p.extremes)
	for i := range p.tracks {
		size += varint + 3*wide
		if p.tracks[i].chained {
			rows++
		}
	}
	size += len(p.cells) * (1 + 2*varint)
	rows += min(1, p.within())*max(p.within(), p.maxLeaving()) + (len(p.windows)-p.within())*p.maxLeaving()
	size += varint + rows*p.worstRow()
	for i := range p.series {
		kept := len(p.series[i].windows)*(maxEvents+1) + maxEvents + 1
		size += varint + kept*2*varint
	}
	return size + varint + (1+maxLoads)*(varint+8*len(p.static))
}

// worstRow bounds a packed row: values lie within their sensor's bounds.
func (p *plan) worstRow() int {
	size := varintSize(2*p.longest) + (len(p.sensors)+7)/8
	left := len(p.sensors)
	for range p.meta {
		size += (bitsOfRow + bitsPerValue*min(left, valuesPerRow) + 6) / 7
		left -= valuesPerRow
	}
	for _, i := range p.sensors {
		s := &p.view.Fleet.Sensors[i]
		size += varintSize(2 * max(s.Max-s.Min, s.Max, -s.Min))
	}
	return size
}

// varintSize returns how many bytes a zigzag varint of up to ±x takes; x is
// at most 4·10^18.
func varintSize(x int64) int {
	return (int(math.Ceil(math.Log2(float64(x)+2))) + 1 + 6) / 7
}
