package feature_test

import (
	"math"
	"math/big"
	"testing"

	"drumbeat/feature"

	"pgregory.net/rapid"
)

// nearest is the double nearest to x, by another way.
func nearest(x *big.Int) float64 {
	f, _ := new(big.Float).SetPrec(200).SetInt(x).Float64()
	return f
}

func TestSumsOf128BitsEqualThoseOfBigIntegers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(
			rapid.Int64Range(-999_999_999_999_999_999, 999_999_999_999_999_999), rapid.Int64Range(-3, 3),
		), 1, 9).Draw(rt, "values") // n·|x| < 10^19, as W5 has it
		kept := rapid.IntRange(0, len(values)-1).Draw(rt, "kept")
		var got feature.Sums128
		sum, squares := new(big.Int), new(big.Int)
		for _, x := range values {
			got.Add(x)
		}
		for _, x := range values[:kept] {
			got.Sub(x)
		}
		for _, x := range values[kept:] {
			b := big.NewInt(x)
			sum.Add(sum, b)
			squares.Add(squares, new(big.Int).Mul(b, b))
		}
		gotSum, gotSquares := got.Big()
		if gotSum.Cmp(sum) != 0 || gotSquares.Cmp(squares) != 0 {
			rt.Fatalf("got %s and %s, want %s and %s", gotSum, gotSquares, sum, squares)
		}
		n := int64(len(values) - kept)
		want := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(n), squares), new(big.Int).Mul(sum, sum))
		if v := got.Variance(n); v.Cmp(want) != 0 {
			rt.Fatalf("n·Σx² - (Σx)²: got %s, want %s", v, want)
		}
	})
}

func TestADoubleOf128BitsIsTheNearestTiesToEven(t *testing.T) {
	check := func(fail func(string, ...any), hi int64, lo uint64) {
		got, exact := feature.Float128(hi, lo)
		if want := nearest(exact); math.Float64bits(got) != math.Float64bits(want) {
			fail("double of %s: got %v, want %v", exact, got, want)
		}
	}
	for _, hi := range []int64{0, -1, 1, -2, 1 << 20, 1<<53 + 1, 1 << 62, math.MaxInt64, math.MinInt64} {
		for _, lo := range []uint64{
			0, 1, 1 << 10, 1<<10 - 1, 1<<10 + 1, 1 << 11, 3 << 10, 1 << 53, 1<<53 + 1, 1 << 63, 1<<63 + 1<<10, math.MaxUint64,
		} {
			check(t.Errorf, hi, lo)
		}
	}
	rapid.Check(t, func(rt *rapid.T) {
		// Few set bits make ties, all the others do not.
		bit := rapid.OneOf(rapid.Uint64(), rapid.Custom(func(rt *rapid.T) uint64 {
			x := uint64(0)
			for range rapid.IntRange(0, 4).Draw(rt, "bits") {
				x ^= 1 << rapid.IntRange(0, 63).Draw(rt, "bit")
			}
			return x
		}))
		check(rt.Fatalf, int64(bit.Draw(rt, "hi")), bit.Draw(rt, "lo"))
	})
}
