package feature

import "math/big"

// Sums128 adds and takes away values and squares in 128 bits: what tests
// compare with math/big.
type Sums128 struct{ Sum, Squares int128 }

// Add adds x and x².
func (s *Sums128) Add(x int64) {
	s.Sum.add(x)
	s.Squares.addSquare(x)
}

// Sub takes x and x² away.
func (s *Sums128) Sub(x int64) {
	s.Sum.sub(x)
	s.Squares.subSquare(x)
}

// Variance returns n·Σx² - (Σx)².
func (s *Sums128) Variance(n int64) *big.Int { return s.Squares.timesLess(n, s.Sum).big() }

// Big returns both sums.
func (s *Sums128) Big() (sum, squares *big.Int) { return s.Sum.big(), s.Squares.big() }

func (a int128) big() *big.Int {
	out := new(big.Int).Lsh(big.NewInt(a.hi), 64)
	return out.Add(out, new(big.Int).SetUint64(a.lo))
}

// Float128 returns the double nearest to hi·2^64 + lo.
func Float128(hi int64, lo uint64) (float64, *big.Int) {
	a := int128{hi, lo}
	return a.float(), a.big()
}

// Sealed makes a packed part of a body: its version before, its checksum
// behind it, so that a fuzzer gets past both.
func Sealed(body []byte) []byte { return sealed(append([]byte{recordVersion}, body...)) }

// WorstRecord returns the bound on a record of the view.
func WorstRecord(v *View) int { return v.plan.worstRecord() }
