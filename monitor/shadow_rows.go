package monitor

import (
	"math"

	"drumbeat"
	"drumbeat/label"
)

// side is who scored a row.
type side int

const (
	championSide side = iota
	challengerSide
)

// pairing matches the rows of both by machine and as_of. Each side's rows of a
// machine come by rising as_of, so what is kept is only what one side is ahead.
type pairing struct {
	lanes map[drumbeat.MachineID]*pairLane
	found agreement
}

// pairLane is the rows of one machine that wait for the other side's.
type pairLane [2][]waiting

type waiting struct {
	asOf        drumbeat.Time
	probability float64
	above       bool
}

func (p *pairing) add(row *scored, from side) {
	lane := p.lanes[row.Machine]
	if lane == nil {
		lane = &pairLane{}
		p.lanes[row.Machine] = lane
	}
	lane[from] = append(lane[from], waiting{row.AsOf, row.Probability, row.above})
	lane.match(&p.found)
}

// match takes what can be told: while both sides wait, the older row is of one
// side alone, or both are of the same reading.
func (l *pairLane) match(found *agreement) {
	a, b := l[championSide], l[challengerSide]
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0].asOf < b[0].asOf:
			found.onlyChampion++
			a = a[1:]
		case a[0].asOf > b[0].asOf:
			found.onlyChallenger++
			b = b[1:]
		default:
			found.both(&a[0], &b[0])
			a, b = a[1:], b[1:]
		}
	}
	// Keep the room: what waits is moved to the front.
	l[championSide] = append(l[championSide][:0], a...)
	l[challengerSide] = append(l[challengerSide][:0], b...)
}

func (p *pairing) end() {
	for _, lane := range p.lanes {
		p.found.onlyChampion += len(lane[championSide])
		p.found.onlyChallenger += len(lane[challengerSide])
	}
	p.lanes = nil
}

// agreement is how alike the two score, in one pass.
type agreement struct {
	onlyChampion, onlyChallenger int
	alarms                       [2][2]int // by champion, challenger

	// Means, and sums of products of deviations from them (Welford 1962).
	n                        float64
	meanA, meanB, aa, bb, ab float64
	sumOfAbsoluteDifferences float64
}

func (s *agreement) both(a, b *waiting) {
	index := func(alarm bool) int {
		if alarm {
			return 1
		}
		return 0
	}
	s.alarms[index(a.above)][index(b.above)]++
	s.n++
	x, y := a.probability-s.meanA, b.probability-s.meanB
	s.meanA += x / s.n
	s.meanB += y / s.n
	s.aa += x * (a.probability - s.meanA)
	s.bb += y * (b.probability - s.meanB)
	s.ab += x * (b.probability - s.meanB)
	s.sumOfAbsoluteDifferences += math.Abs(a.probability - b.probability)
}

func (s *agreement) rows() RowsCompared {
	n := int(s.n)
	r := RowsCompared{
		Compared: n, OnlyChampion: s.onlyChampion, OnlyChallenger: s.onlyChallenger,
		BothAlarm: s.alarms[1][1], ChampionAlarm: s.alarms[1][0], ChallengerAlarm: s.alarms[0][1],
		NeitherAlarm: s.alarms[0][0],
		Agreement:    label.ProportionOf(s.alarms[1][1]+s.alarms[0][0], n),
		Correlation:  label.Number(math.NaN()),
	}
	r.MeanAbsoluteDifference = label.Number(s.sumOfAbsoluteDifferences / s.n) // NaN without a row
	if s.aa > 0 && s.bb > 0 {
		r.Correlation = label.Number(s.ab / math.Sqrt(s.aa*s.bb))
	}
	return r
}
