package feature

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"drumbeat"
)

// The bits of a packed vector's flags.
const (
	vectorCorrection = 1 << iota
	vectorWarmingUp
	vectorOverflow
	vectorRunning
)

// vectorSize returns the bytes of a packed vector of n values: fixed fields,
// so that one is as quick to read as to copy.
func vectorSize(n int) int { return 1 + 1 + 8 + 8 + 4 + 4 + 8 + 4 + 8 + 4 + 8*n + crc32.Size }

// AppendVector packs all of v but its machine, which is the key that a store
// keeps it under; docs/format/online.md describes the bytes.
func AppendVector(dst []byte, v *drumbeat.Vector) []byte {
	from := len(dst)
	flags := byte(0)
	for bit, set := range map[byte]bool{
		vectorCorrection: v.MadeBy == drumbeat.CauseCorrection, vectorWarmingUp: v.WarmingUp,
		vectorOverflow: v.Overflow, vectorRunning: v.Running,
	} {
		if set {
			flags |= bit
		}
	}
	dst = append(dst, recordVersion, flags)
	put := binary.LittleEndian
	dst = put.AppendUint64(dst, uint64(v.AsOf))               //nolint:gosec // bits
	dst = put.AppendUint64(dst, uint64(v.ArrivalTime))        //nolint:gosec // bits
	dst = put.AppendUint32(dst, uint32(v.Position.Epoch))     //nolint:gosec // bits
	dst = put.AppendUint32(dst, uint32(v.Position.Partition)) //nolint:gosec // bits
	dst = put.AppendUint64(dst, uint64(v.Position.Offset))    //nolint:gosec // bits
	dst = put.AppendUint32(dst, uint32(v.Position.Index))     //nolint:gosec // bits
	dst = put.AppendUint64(dst, math.Float64bits(v.Coverage)) //
	dst = put.AppendUint32(dst, uint32(len(v.Values)))        //nolint:gosec // at most MaxFeatures
	dst = appendFloats(dst, v.Values)
	return put.AppendUint32(dst, crc32.Checksum(dst[from:], castagnoli()))
}

// DecodeVector unpacks what AppendVector packed, for a machine.
func DecodeVector(id drumbeat.MachineID, packed []byte) (drumbeat.Vector, error) {
	body, err := opened("the vector of "+string(id), packed)
	if err != nil {
		return drumbeat.Vector{}, err
	}
	get := binary.LittleEndian
	fixed := vectorSize(0) - 1 - crc32.Size
	if len(body) < fixed || uint64(len(body)-fixed) != 8*uint64(get.Uint32(body[fixed-4:])) { //nolint:gosec // lengths
		return drumbeat.Vector{}, fmt.Errorf("read the vector of %s: it has the wrong length: %w", id, drumbeat.ErrInvalid)
	}
	flags := body[0]
	v := drumbeat.Vector{
		Machine:     id,
		AsOf:        drumbeat.Time(get.Uint64(body[1:])), //nolint:gosec // bits
		ArrivalTime: drumbeat.Time(get.Uint64(body[9:])), //nolint:gosec // bits
		Position: drumbeat.Position{
			Epoch:     int32(get.Uint32(body[17:])), //nolint:gosec // bits
			Partition: int32(get.Uint32(body[21:])), //nolint:gosec // bits
			Offset:    int64(get.Uint64(body[25:])), //nolint:gosec // bits
			Index:     int32(get.Uint32(body[33:])), //nolint:gosec // bits
		},
		Coverage:  math.Float64frombits(get.Uint64(body[37:])),
		WarmingUp: flags&vectorWarmingUp != 0, Overflow: flags&vectorOverflow != 0, Running: flags&vectorRunning != 0,
		Values: make([]float64, (len(body)-fixed)/8),
	}
	if flags&vectorCorrection != 0 {
		v.MadeBy = drumbeat.CauseCorrection
	}
	u := unpacker{in: body[fixed:]}
	u.floats(v.Values)
	return v, nil
}

func appendFloats(dst []byte, values []float64) []byte {
	for _, x := range values {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(x))
	}
	return dst
}
