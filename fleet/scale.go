package fleet

import (
	"fmt"
	"math"
	"strings"

	"drumbeat"
)

// What a value beyond maxScaled becomes: it is out of every sensor's range,
// and neither end is drumbeat.Missing.
const (
	tooLarge int64 = math.MaxInt64
	tooSmall int64 = math.MinInt64 + 1
)

// pow10 holds the powers of ten that an int64 can.
//
//nolint:gochecknoglobals // a constant table
var pow10 = [19]uint64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// isNumber says whether text is a number by JSON's grammar.
func isNumber[T ~string | ~[]byte](text T) bool {
	i := 0
	if i < len(text) && text[i] == '-' {
		i++
	}
	whole := digits(text, i)
	if whole == i || whole > i+1 && text[i] == '0' {
		return false
	}
	i = whole
	if i < len(text) && text[i] == '.' {
		end := digits(text, i+1)
		if end == i+1 {
			return false
		}
		i = end
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		i++
		if i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		end := digits(text, i)
		if end == i {
			return false
		}
		i = end
	}
	return i == len(text)
}

// digits returns the index after the digits that begin at i.
func digits[T ~string | ~[]byte](text T, i int) int {
	for i < len(text) && text[i]-'0' <= 9 {
		i++
	}
	return i
}

// scale returns the number times ten to the decimals, rounded half to even on
// its exact text (V2), and whether nothing was rounded. The text must be a
// number by isNumber. What needs more than 18 digits saturates.
func scale[T ~string | ~[]byte](text T, decimals int) (x int64, exact bool) {
	const sure = 18 // that many digits cannot overflow
	i, negative := 0, false
	if text[0] == '-' {
		i, negative = 1, true
	}
	if len(text)-i > sure+1 {
		return scaleLong(text, decimals)
	}
	var m uint64
	point := -1
	for ; i < len(text); i++ {
		switch c := text[i]; {
		case c == '.':
			point = i
		case c-'0' <= 9:
			m = m*10 + uint64(c-'0')
		default:
			return scaleLong(text, decimals)
		}
	}
	fraction := 0
	if point >= 0 {
		fraction = len(text) - point - 1
	}
	exact = true
	if fraction <= decimals {
		up := decimals - fraction
		if m > maxScaled/pow10[up] {
			return saturated(negative), false
		}
		m *= pow10[up]
	} else {
		unit := pow10[fraction-decimals]
		q, r := m/unit, m%unit
		exact = r == 0
		if r > unit/2 || r == unit/2 && q&1 == 1 {
			q++
		}
		m = q
	}
	if m > maxScaled {
		return saturated(negative), false
	}
	return signed(m, negative), exact
}

// scaleLong is scale for numbers of any length and exponent.
func scaleLong[T ~string | ~[]byte](text T, decimals int) (x int64, exact bool) {
	d := parseDecimal(text)
	if len(d.digits) == 0 {
		return 0, true
	}
	keep := d.point + decimals // so many digits stand before the rounding place
	if keep > 18 {
		return saturated(d.negative), false
	}
	if keep < 0 {
		return 0, false
	}
	var m uint64
	for i := range keep {
		m *= 10
		if i < len(d.digits) {
			m += uint64(d.digits[i] - '0')
		}
	}
	exact = keep >= len(d.digits)
	if !exact {
		next, rest := d.digits[keep], d.digits[keep+1:]
		if next > '5' || next == '5' && (strings.Trim(rest, "0") != "" || m&1 == 1) {
			m++
		}
	}
	if m > maxScaled {
		return saturated(d.negative), false
	}
	return signed(m, d.negative), exact
}

// decimal is ±0.digits · 10^point: digits begins and ends with another digit
// than 0, and is empty for zero.
type decimal struct {
	negative bool
	digits   string
	point    int
}

// parseDecimal reads a number by isNumber's grammar. Exponents beyond a
// billion saturate: no value comes near.
func parseDecimal[T ~string | ~[]byte](text T) decimal {
	const far = 1_000_000_000
	s := string(text)
	d := decimal{negative: s[0] == '-'}
	s = strings.TrimPrefix(s, "-")
	exponent := 0
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		down := s[e+1] == '-'
		for _, c := range strings.TrimLeft(s[e+1:], "+-") {
			exponent = min(exponent*10+int(c-'0'), far)
		}
		if down {
			exponent = -exponent
		}
		s = s[:e]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	d.point = len(whole) + exponent
	all := whole + fraction
	trimmed := strings.TrimLeft(all, "0")
	d.point -= len(all) - len(trimmed)
	d.digits = strings.TrimRight(trimmed, "0")
	return d
}

func saturated(negative bool) int64 {
	if negative {
		return tooSmall
	}
	return tooLarge
}

func signed(m uint64, negative bool) int64 {
	if negative {
		return -int64(m) //nolint:gosec // at most maxScaled
	}
	return int64(m) //nolint:gosec // at most maxScaled
}

// Scale returns the number times ten to the decimals, rounded half to even on
// its exact text (V2); false if it is no number by JSON's grammar. What needs
// more than 18 digits saturates.
func Scale(text string, decimals int) (int64, bool) {
	if !isNumber(text) {
		return 0, false
	}
	x, _ := scale(text, decimals)
	return x, true
}

// Scaled reads a decimal text in the sensor's own unit and scales it, as
// [Scale] does; what is beyond 18 digits is out of every range.
func (f *Fleet) Scaled(sensor int, text string) (int64, error) {
	s := &f.Sensors[sensor]
	x, ok := Scale(text, s.Decimals)
	if !ok {
		return 0, fmt.Errorf("read %s: must be a decimal number (got %q): %w", s.Name, clip(text), drumbeat.ErrInvalid)
	}
	return x, nil
}

// FormatValue writes a scaled value of the sensor as decimal text, with the
// sensor's decimals; drumbeat.Missing is "".
func (f *Fleet) FormatValue(sensor int, v int64) string {
	return string(f.AppendValue(nil, sensor, v))
}

// AppendValue is FormatValue that appends to dst.
func (f *Fleet) AppendValue(dst []byte, sensor int, v int64) []byte {
	if v == drumbeat.Missing {
		return dst
	}
	decimals := f.Sensors[sensor].Decimals
	m := uint64(v) //nolint:gosec // the sign is written apart
	if v < 0 {
		dst = append(dst, '-')
		m = -m
	}
	var buf [20]byte
	i := len(buf)
	for n := 0; n <= decimals || m > 0; n++ {
		i--
		buf[i] = byte('0' + m%10)
		m /= 10
	}
	point := len(buf) - decimals
	dst = append(dst, buf[i:point]...)
	if decimals > 0 {
		dst = append(dst, '.')
		dst = append(dst, buf[point:]...)
	}
	return dst
}

// CanonicalNumber brings what people, YAML and CSV write (+5, .5, 5., 007) to
// JSON's grammar, digit for digit; other texts come back as they are.
func CanonicalNumber(text string) string {
	if isNumber(text) {
		return text
	}
	sign, rest := "", text
	if strings.HasPrefix(text, "+") || strings.HasPrefix(text, "-") {
		sign, rest = strings.TrimPrefix(text[:1], "+"), text[1:]
	}
	end := digits(rest, 0)
	whole, tail := rest[:end], rest[end:]
	if strings.HasPrefix(tail, ".") && end+digits(tail, 1) > 1 && digits(tail, 1) == 1 {
		tail = tail[1:] // "5." and "5.e3"
	}
	whole = strings.TrimLeft(whole, "0")
	if whole == "" && (end > 0 || strings.HasPrefix(tail, ".")) {
		whole = "0"
	}
	if out := sign + whole + tail; isNumber(out) && rest[0] != '-' {
		return out
	}
	return text
}
