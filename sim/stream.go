package sim

import "math"

// stream is a small random source whose whole state is one number: it is
// cloned by copying it, and its values do not change with the toolchain. It is
// splitmix64 (Steele, Lea and Flood, 2014).
type stream struct{ state uint64 }

// newStream starts the stream of one purpose of one machine. No two share
// anything, so what happens to one machine never changes another.
func newStream(seed uint64, machine, purpose int) stream {
	s := stream{state: seed}
	s.state = s.next() ^ uint64(machine)*0x9e3779b97f4a7c15 //nolint:gosec // mixing bits
	s.state = s.next() ^ uint64(purpose)*0xd1342543de82ef95 //nolint:gosec // mixing bits
	s.next()
	return s
}

func (s *stream) next() uint64 {
	s.state += 0x9e3779b97f4a7c15
	return mix(s.state)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// float returns a number in [0, 1).
func (s *stream) float() float64 { return float64(s.next()>>11) / (1 << 53) }

// chance is true with probability p.
func (s *stream) chance(p float64) bool { return s.float() < p }

// between returns a number in [lo, hi).
func (s *stream) between(lo, hi float64) float64 { return lo + (hi-lo)*s.float() }

// below returns a whole number in [0, n).
func (s *stream) below(n int) int { return int(s.float() * float64(n)) }

// gauss returns a number of mean 0 and deviation 1, never beyond 3.5: the sum
// of four uniform parts of one draw.
func (s *stream) gauss() float64 { return bell(s.next()) }

func bell(z uint64) float64 {
	sum := z&0xffff + z>>16&0xffff + z>>32&0xffff + z>>48
	return (float64(sum)/65535 - 2) * 1.7320508075688772
}

// exp returns a waiting time of this mean.
func (s *stream) exp(mean float64) float64 { return -mean * math.Log(1-s.float()) }

// poisson returns a small count of this mean.
func (s *stream) poisson(mean float64) int64 {
	limit, product := math.Exp(-mean), s.float()
	n := int64(0)
	for ; product > limit && n < 50; n++ {
		product *= s.float()
	}
	return n
}

// weather is noise that machines of a place share: a fixed function of seed,
// place, day and purpose, smooth over about three days.
func weather(seed uint64, place int, day int64, purpose uint64) float64 {
	at := func(d int64) float64 {
		z := mix(seed ^ mix(uint64(place)+purpose<<20) ^ mix(uint64(d)*0x9e3779b97f4a7c15)) //nolint:gosec // mixing bits
		return bell(z)
	}
	return (at(day) + 0.8*at(day-1) + 0.5*at(day-2)) / 1.375
}
