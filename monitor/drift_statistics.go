package monitor

import (
	"math"
	"slices"
)

// moments returns the mean and the sample standard deviation, which is NaN
// below two values.
func moments(x []float64) (mean, sd float64) {
	for _, v := range x {
		mean += v
	}
	mean /= float64(len(x))
	squares := 0.0
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	if len(x) < 2 {
		return mean, math.NaN()
	}
	return mean, math.Sqrt(squares / float64(len(x)-1))
}

// trimmedMean is the mean without the tenth part at each end, one value at
// least once there are three; it sorts x.
func trimmedMean(x []float64) float64 {
	slices.Sort(x)
	if cut := max(1, len(x)/trimmed); len(x) >= 3 {
		x = x[cut : len(x)-cut]
	}
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum / float64(len(x))
}

// median returns the middle of x, NaN of nothing.
func median(x []float64) float64 {
	if len(x) == 0 {
		return math.NaN()
	}
	s := slices.Sorted(slices.Values(x))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// studentT returns the quantile of Student's t that leaves as much outside as
// a normal leaves beyond sigma, by the expansion of Cornish and Fisher
// (Abramowitz and Stegun 26.7.5): within 3 % for sigma up to 3 and 4 degrees
// of freedom or more.
func studentT(sigma, freedom float64) float64 {
	p := func(n int) float64 { return math.Pow(sigma, float64(n)) }
	return sigma + (p(3)+sigma)/(4*freedom) +
		(5*p(5)+16*p(3)+3*sigma)/(96*freedom*freedom) +
		(3*p(7)+19*p(5)+17*p(3)-15*sigma)/(384*freedom*freedom*freedom)
}
