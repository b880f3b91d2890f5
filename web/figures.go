package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Figures are written for people: thousands apart, no more digits than they
// need, a dash for what is unknown.

const (
	unknown   = "–"
	thinSpace = "\u202f"
)

// number writes a whole number, of whichever type, with its thousands apart.
func number(n any) string {
	digits := fmt.Sprint(n)
	sign := ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		sign, digits = "−", rest
	}
	var out strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			out.WriteByte(',')
		}
		out.WriteRune(d)
	}
	return sign + out.String()
}

// decimals writes a figure with at most so many digits behind the point.
func decimals(x float64, digits int) string {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return unknown
	}
	if math.Abs(x) >= 1e15 { // beyond it whole numbers are not exact anyway
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
	text := strconv.FormatFloat(x, 'f', digits, 64)
	whole, part, _ := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	text = number(whole)
	if part != "" {
		text += "." + part
	}
	if x < 0 && strings.Trim(text, "0.,") != "" {
		text = "−" + text
	}
	return text
}

// figure writes a figure with about three digits that say something.
func figure(x float64) string {
	switch a := math.Abs(x); {
	case a == 0:
		return "0"
	case a >= 99.5:
		return decimals(x, 0)
	case a >= 9.95:
		return decimals(x, 1)
	case a >= 0.0995:
		return decimals(x, 2)
	case a >= 0.00095:
		return decimals(x, 3)
	case a > 0:
		return "<0.001"
	}
	return unknown
}

// signed writes a figure with its sign, also a plus.
func signed(x float64) string {
	if math.Abs(x) < 0.00095 {
		return "about 0"
	}
	if x > 0 {
		return "+" + figure(x)
	}
	return figure(x)
}

// effect writes an effect size: its sign and two digits.
func effect(x float64) string {
	text := decimals(x, 2)
	if x > 0 && text != unknown {
		return "+" + text
	}
	return text
}

// plain writes a figure that somebody chose, with the digits that it has.
func plain(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }

// share writes a measured proportion: 0 and 100 % only where they are exact.
func share(p float64) string {
	switch {
	case math.IsNaN(p) || math.IsInf(p, 0):
		return unknown
	case p <= 0:
		return "0" + thinSpace + "%"
	case p >= 1:
		return "100" + thinSpace + "%"
	case p < 0.0005:
		return "<0.1" + thinSpace + "%"
	case p > 0.9995:
		return ">99.9" + thinSpace + "%"
	case p < 0.0095 || p > 0.9905:
		return decimals(p*100, 1) + thinSpace + "%"
	}
	return decimals(p*100, 0) + thinSpace + "%"
}

// rate is the proportion k of n, NaN of nothing.
func rate(k, n int64) float64 {
	if n == 0 {
		return math.NaN()
	}
	return float64(k) / float64(n)
}

// Value is K of N as a proportion.
func (s Share) Value() float64 { return rate(int64(s.K), int64(s.N)) }

// Text is the proportion in per cent.
func (s Share) Text() string { return share(s.Value()) }

// Evidence says what it rests on, with the interval.
func (s Share) Evidence() string {
	if s.N == 0 {
		return "nothing to judge it by yet"
	}
	text := number(s.K) + " of " + number(s.N)
	if math.IsNaN(s.Low) || math.IsNaN(s.High) {
		return text
	}
	return text + "; likely " + strings.TrimSuffix(share(s.Low), thinSpace+"%") + " to " + share(s.High)
}

// Text is the figure alone.
func (e Estimate) Text() string { return figure(e.Value) }

// Range is the interval, "" where none is known.
func (e Estimate) Range() string {
	if math.IsNaN(e.Value) || math.IsNaN(e.Low) || math.IsNaN(e.High) {
		return ""
	}
	return "likely " + figure(e.Low) + " to " + figure(e.High)
}

// lasted writes how long something took.
func lasted(seconds float64) string {
	switch {
	case math.IsNaN(seconds) || seconds < 0:
		return unknown
	case seconds < 0.05:
		return "<0.1 s"
	case seconds < 9.95:
		return decimals(seconds, 1) + " s"
	case seconds < 120:
		return decimals(seconds, 0) + " s"
	case seconds < 7200:
		return decimals(seconds/60, 0) + " min"
	}
	return decimals(seconds/3600, 1) + " h"
}

// ahead writes a lead time in hours.
func ahead(hours float64) string {
	if math.IsNaN(hours) || hours < 0 || hours > 1e6 {
		return unknown
	}
	return length(time.Duration(hours * float64(time.Hour)))
}

// pluralOf chooses a word by a count of whichever type.
func pluralOf(n any, one, many string) string {
	if fmt.Sprint(n) == "1" {
		return one
	}
	return many
}
