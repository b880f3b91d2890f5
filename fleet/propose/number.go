package propose

import (
	"math"
	"strconv"
	"strings"
)

// number is a cell that was read as one.
type number struct {
	value    float64
	decimals int  // digits behind the point, of the text
	comma    bool // the point is a comma
}

// parseNumber reads 12, -3.50, 1e-3 and 12,5. It allocates nothing for the
// usual texts, of which there are millions.
func parseNumber(cell []byte) (number, bool) {
	i, negative := 0, false
	if len(cell) > 0 && (cell[0] == '-' || cell[0] == '+') {
		i, negative = 1, cell[0] == '-'
	}
	var mantissa uint64
	digits, point, comma := 0, -1, false
	for ; i < len(cell); i++ {
		c := cell[i]
		switch {
		case c-'0' <= 9:
			digits++
			if digits <= 18 {
				mantissa = mantissa*10 + uint64(c-'0')
			}
		case (c == '.' || c == ',') && point < 0:
			point, comma = digits, c == ','
		case (c == 'e' || c == 'E') && digits > 0 && !comma:
			return slowNumber(cell)
		default:
			return number{}, false
		}
	}
	if digits == 0 {
		return number{}, false
	}
	n := number{comma: comma}
	if point >= 0 {
		n.decimals = digits - point
	}
	if digits > 18 {
		text := string(cell)
		if comma {
			text = strings.Replace(text, ",", ".", 1)
		}
		value, err := strconv.ParseFloat(text, 64)
		n.value = value
		return n, err == nil && !math.IsInf(value, 0)
	}
	n.value = float64(mantissa)
	if n.decimals > 0 {
		n.value /= powersOfTen[n.decimals]
	}
	if negative {
		n.value = -n.value
	}
	return n, true
}

//nolint:gochecknoglobals // a constant table
var powersOfTen = [...]float64{
	1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
}

// slowNumber reads a number with an exponent.
func slowNumber(cell []byte) (number, bool) {
	text := string(cell)
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsInf(value, 0) || math.IsNaN(value) {
		return number{}, false
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	shift, err := strconv.Atoi(exponent)
	if err != nil {
		return number{}, false
	}
	decimals := -shift
	if at := strings.IndexByte(mantissa, '.'); at >= 0 {
		decimals += len(mantissa) - at - 1
	}
	return number{value: value, decimals: max(0, decimals)}, true
}

// isMissing says whether a cell holds no value, as the import judges it.
func isMissing(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 2, 3, 4, 8, 9: // the lengths of what follows
		if c := cell[len(cell)-1]; c-'0' <= 9 {
			return false
		}
		switch strings.ToLower(strings.TrimLeft(string(cell), "+-")) {
		case "na", "n/a", "nan", "null", "none", "inf", "infinity":
			return true
		}
	}
	return false
}
