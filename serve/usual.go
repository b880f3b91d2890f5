package serve

import (
	"math"
	"sync"

	"drumbeat"
	"drumbeat/feature"
)

// Usual holds what is ordinary for each machine in the features of one view:
// the median of each over the vectors that it was shown, estimated in constant
// memory. It is safe for concurrent use.
type Usual struct {
	hash     drumbeat.Hash
	features int
	mu       sync.RWMutex
	machines map[drumbeat.MachineID][]median
}

// minUsual is how many values it takes before a median is called usual: three
// days of hourly rows.
const minUsual = 72

// NewUsual makes an empty Usual for the vectors of a view.
func NewUsual(v *feature.View) *Usual {
	return &Usual{hash: v.Hash, features: len(v.Features), machines: map[drumbeat.MachineID][]median{}}
}

// Add shows a machine's vector; values are in the view's order, NaN is
// skipped.
func (u *Usual) Add(m drumbeat.MachineID, values []float64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	medians := u.machines[m]
	if medians == nil {
		medians = make([]median, u.features)
		u.machines[m] = medians
	}
	for i, v := range values[:min(len(values), u.features)] {
		if !math.IsNaN(v) {
			medians[i].add(v)
		}
	}
}

// Of returns what is usual for a feature of a machine, false if too little
// has been seen.
func (u *Usual) Of(m drumbeat.MachineID, featureIndex int) (float64, bool) {
	if u == nil {
		return 0, false
	}
	u.mu.RLock()
	defer u.mu.RUnlock()
	medians := u.machines[m]
	if featureIndex >= len(medians) || medians[featureIndex].n < minUsual {
		return 0, false
	}
	return medians[featureIndex].value(), true
}

// median estimates the median of a stream with five markers (the P² algorithm
// of Jain and Chlamtac, 1985): their heights, and how many values lie at or
// below each.
type median struct {
	n      int32
	at     [5]int32
	height [5]float64
}

// add takes one value.
func (e *median) add(x float64) {
	if e.n < 5 {
		e.start(x)
		return
	}
	e.n++
	cell := 0
	switch {
	case x < e.height[0]:
		e.height[0] = x
	case x >= e.height[4]:
		e.height[4], cell = x, 3
	default:
		for x >= e.height[cell+1] {
			cell++
		}
	}
	for i := cell + 1; i < 5; i++ {
		e.at[i]++
	}
	for i := 1; i <= 3; i++ {
		e.settle(i)
	}
}

// start keeps the first five values in order.
func (e *median) start(x float64) {
	i := int(e.n)
	for ; i > 0 && e.height[i-1] > x; i-- {
		e.height[i] = e.height[i-1]
	}
	e.height[i] = x
	e.at[e.n] = e.n + 1
	e.n++
}

// settle moves marker i one step towards where it should stand.
func (e *median) settle(i int) {
	want := 1 + float64(e.n-1)*float64(i)/4
	gap := want - float64(e.at[i])
	var step int32
	switch {
	case gap >= 1 && e.at[i+1]-e.at[i] > 1:
		step = 1
	case gap <= -1 && e.at[i-1]-e.at[i] < -1:
		step = -1
	default:
		return
	}
	next := e.parabola(i, float64(step))
	if next <= e.height[i-1] || next >= e.height[i+1] {
		j := i + int(step)
		next = e.height[i] + float64(step)*(e.height[j]-e.height[i])/float64(e.at[j]-e.at[i])
	}
	e.height[i] = next
	e.at[i] += step
}

// parabola is the height of marker i moved by d along the parabola through it
// and its neighbours.
func (e *median) parabola(i int, d float64) float64 {
	left, here, right := float64(e.at[i-1]), float64(e.at[i]), float64(e.at[i+1])
	return e.height[i] + d/(right-left)*
		((here-left+d)*(e.height[i+1]-e.height[i])/(right-here)+
			(right-here-d)*(e.height[i]-e.height[i-1])/(here-left))
}

// value is the estimate.
func (e *median) value() float64 {
	if e.n < 5 {
		return e.height[e.n/2]
	}
	return e.height[2]
}
