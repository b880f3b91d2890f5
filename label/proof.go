package label

import (
	"math"
	"sort"
)

// McNemar returns the exact two-sided p of McNemar's test: how likely it is
// that of the failures that only one of two models caught, the shares differ
// as much or more, if each model were as likely to be that one (McNemar 1947;
// the exact form is the binomial test with one half). 1 without such failures.
func McNemar(onlyFirst, onlySecond int) float64 {
	n, least := onlyFirst+onlySecond, min(onlyFirst, onlySecond)
	var tail float64
	for i := range least + 1 {
		tail += math.Exp(logChoose(n, i) - float64(n)*math.Ln2)
	}
	return min(2*tail, 1)
}

// Fisher returns the one-sided p of Fisher's exact test: how likely it is that
// of right + wrong drawn at random from all four counts as many are right, or
// more (the tail of the hypergeometric distribution; Fisher 1922).
func Fisher(right, wrong, restRight, restWrong int) float64 {
	drawn, allRight := right+wrong, right+restRight
	all := drawn + restRight + restWrong
	var tail float64
	for k := right; k <= min(drawn, allRight); k++ {
		if drawn-k <= all-allRight {
			tail += math.Exp(logChoose(allRight, k) + logChoose(all-allRight, drawn-k) - logChoose(all, drawn))
		}
	}
	return min(tail, 1)
}

func logChoose(n, k int) float64 {
	gamma := func(x int) float64 {
		v, _ := math.Lgamma(float64(x) + 1)
		return v
	}
	return gamma(n) - gamma(k) - gamma(n-k)
}

// maxNeeded bounds what FailuresNeeded answers: no fleet waits for more.
const maxNeeded = 1 << 30

// FailuresNeeded returns how many more failures without a miss bring a recall
// of caught of n to a target: its point, or the lower end of Wilson's interval
// (with no miss at all some 380 for 0.99). false if no number of them does.
func FailuresNeeded(caught, n int, target float64, lowerBound bool) (int, bool) {
	reached := func(more int) bool {
		i := Wilson(caught+more, n+more)
		if lowerBound {
			return i.Low >= target
		}
		return i.Value >= target
	}
	more := sort.Search(maxNeeded, reached)
	return more, more < maxNeeded
}
