package fleet

import (
	"math/big"
)

// unit converts a payload's value to a sensor's unit: value · factor + offset,
// exactly (V2).
type unit struct {
	plain          bool // factor 1 and offset 0
	decimals       int
	factor, offset big.Int // with as many decimals as places
	places         int
}

// Limits of a conversion's constants, and of the values that it takes: beyond
// these exponents a value is out of range, or too small to move a rounding.
const (
	maxUnitDigits = 30
	maxExponent   = 2000
)

// unitOf returns the sensor's conversion. Its constants were checked by Load.
func unitOf(s *Sensor) unit {
	u := unit{decimals: s.Decimals}
	factor, offset := constant(s.Factor, "1"), constant(s.Offset, "0")
	u.plain = factor == decimal{digits: "1", point: 1} && offset.digits == ""
	u.places = max(0, len(factor.digits)-factor.point, len(offset.digits)-offset.point)
	u.factor.Set(integer(factor, u.places))
	u.offset.Set(integer(offset, u.places))
	return u
}

func constant(text, def string) decimal {
	if !isNumber(text) {
		text = def
	}
	return parseDecimal(text)
}

// integer returns d · 10^places, which must be whole.
func integer(d decimal, places int) *big.Int {
	out := new(big.Int)
	if d.digits == "" {
		return out
	}
	out.SetString(d.digits, 10)
	out.Mul(out, power(d.point-len(d.digits)+places))
	if d.negative {
		out.Neg(out)
	}
	return out
}

func power(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

// scale converts a number by isNumber's grammar and scales it, rounded half to
// even once, at the end.
func (u *unit) scale(text []byte) int64 {
	if u.plain {
		x, _ := scale(text, u.decimals)
		return x
	}
	d := parseDecimal(text)
	if d.point > maxExponent {
		return saturated(d.negative != (u.factor.Sign() < 0))
	}
	if d.point < -maxExponent || len(d.digits) > 2*maxExponent {
		d = shorten(d)
	}
	// value · factor + offset over ten to `below`, times ten to the decimals.
	below := max(0, len(d.digits)-d.point)
	sum := integer(d, below)
	sum.Mul(sum, &u.factor)
	sum.Add(sum, new(big.Int).Mul(&u.offset, power(below)))
	return round(sum, u.decimals-below-u.places)
}

// shorten replaces what is too small to matter by a digit that rounds alike:
// a remainder that is not zero.
func shorten(d decimal) decimal {
	if d.point < -maxExponent {
		return decimal{negative: d.negative, digits: "1", point: -maxExponent}
	}
	d.digits = d.digits[:2*maxExponent] + "1"
	return d
}

// round returns n · 10^exponent, rounded half to even.
func round(n *big.Int, exponent int) int64 {
	negative := n.Sign() < 0
	n.Abs(n)
	if exponent >= 0 {
		n.Mul(n, power(exponent))
	} else {
		divisor, rest := power(-exponent), new(big.Int)
		n.QuoRem(n, divisor, rest)
		half := rest.Lsh(rest, 1).Cmp(divisor)
		if half > 0 || half == 0 && n.Bit(0) == 1 {
			n.Add(n, big.NewInt(1))
		}
	}
	if !n.IsInt64() || n.Int64() > maxScaled {
		return saturated(negative)
	}
	return signed(n.Uint64(), negative)
}
