package feature

import (
	"math"
	"math/bits"
)

// int128 is a signed integer of 128 bits in two's complement. W5 keeps every
// sum below 10^38, which is within its 1.7·10^38.
type int128 struct {
	hi int64
	lo uint64
}

func (a *int128) add(x int64) {
	lo, carry := bits.Add64(a.lo, uint64(x), 0) //nolint:gosec // two's complement
	a.lo = lo
	a.hi += x>>63 + int64(carry) //nolint:gosec // 0 or 1
}

func (a *int128) sub(x int64) {
	lo, borrow := bits.Sub64(a.lo, uint64(x), 0) //nolint:gosec // two's complement
	a.lo = lo
	a.hi -= x>>63 + int64(borrow) //nolint:gosec // 0 or 1
}

// addSquare adds x².
func (a *int128) addSquare(x int64) {
	hi, lo := bits.Mul64(magnitude(x), magnitude(x))
	var carry uint64
	a.lo, carry = bits.Add64(a.lo, lo, 0)
	a.hi += int64(hi) + int64(carry) //nolint:gosec // hi < 2^62
}

// subSquare subtracts x².
func (a *int128) subSquare(x int64) {
	hi, lo := bits.Mul64(magnitude(x), magnitude(x))
	var borrow uint64
	a.lo, borrow = bits.Sub64(a.lo, lo, 0)
	a.hi -= int64(hi) + int64(borrow) //nolint:gosec // hi < 2^62
}

// magnitude returns |x|, right for the least int64 too.
func magnitude(x int64) uint64 {
	sign := x >> 63
	return uint64((x ^ sign) - sign) //nolint:gosec // never negative as unsigned
}

// timesLess returns n·a - s², the numerator of a sample variance (W4): a is a
// sum of squares, |s| < 2^64 by W5, n > 0.
func (a int128) timesLess(n int64, s int128) int128 {
	hi, lo := bits.Mul64(a.lo, uint64(n)) //nolint:gosec // n > 0
	hi += uint64(a.hi) * uint64(n)        //nolint:gosec // a >= 0
	if s.hi < 0 {
		s = s.negated()
	}
	squareHi, squareLo := bits.Mul64(s.lo, s.lo)
	lo, borrow := bits.Sub64(lo, squareLo, 0)
	hi, _ = bits.Sub64(hi, squareHi, borrow)
	return int128{hi: int64(hi), lo: lo} //nolint:gosec // two's complement
}

func (a int128) negated() int128 {
	lo, borrow := bits.Sub64(0, a.lo, 0)
	return int128{hi: -a.hi - int64(borrow), lo: lo} //nolint:gosec // 0 or 1
}

// float returns a as the nearest double, ties to even: double(·) of W4.
func (a int128) float() float64 {
	if a.hi == int64(a.lo)>>63 { //nolint:gosec // the sign of an int64
		return float64(int64(a.lo)) //nolint:gosec // it fits
	}
	negative := a.hi < 0
	if negative {
		a = a.negated()
	}
	hi, lo := uint64(a.hi), a.lo //nolint:gosec // a magnitude
	if hi == 0 {
		f := float64(lo)
		if negative {
			return -f
		}
		return f
	}
	// The upper 64 significant bits, with whatever is below them folded into
	// the last: 64 bits round to 53 as all of them would.
	shift := bits.LeadingZeros64(hi)
	top := hi<<shift | lo>>1>>(63-shift)
	if lo<<shift != 0 {
		top |= 1
	}
	f := math.Ldexp(float64(top), 64-shift)
	if negative {
		return -f
	}
	return f
}
