package fleet

import (
	"slices"
	"time"

	"drumbeat"
)

// accepted is what was accepted of one machine's readings lately: by event
// time, in its order, one value a sensor or drumbeat.Missing (T3).
type accepted struct {
	times  []drumbeat.Time
	values []int64 // of times[i]: values[i*sensors : (i+1)*sensors]
	head   int     // times before it are forgotten
	newest drumbeat.Time
	any    bool // newest holds
}

// forgot says whether t lies before what is remembered.
func (a *accepted) forgot(t drumbeat.Time, memory time.Duration) bool {
	return a.any && t < a.newest.Add(-memory)
}

// find returns the index of t, or where it would stand.
func (a *accepted) find(t drumbeat.Time) (int, bool) {
	n := len(a.times)
	if n == a.head || t > a.times[n-1] {
		return n, false
	}
	i, found := slices.BinarySearch(a.times[a.head:], t)
	return a.head + i, found
}

// sift makes missing what the item says again, flags what differs from what
// was accepted before, and counts both: what is left is new.
func (a *accepted) sift(item *drumbeat.Item) (news, conflicts int) {
	at, found := a.find(item.EventTime)
	n := len(item.Values)
	for i, v := range item.Values {
		if v == drumbeat.Missing {
			continue
		}
		if !found || a.values[at*n+i] == drumbeat.Missing {
			news++
			continue
		}
		// The flags stand beside the value that was accepted first.
		item.Flags[i] &^= drumbeat.FlagClipped
		if v != a.values[at*n+i] {
			item.Flags[i] |= drumbeat.FlagConflict
			conflicts++
		}
		item.Values[i] = drumbeat.Missing
	}
	return news, conflicts
}

// add remembers the item's values, each unless one was accepted before, and
// forgets what is out of reach.
func (a *accepted) add(item *drumbeat.Item, memory time.Duration) {
	if a.forgot(item.EventTime, memory) {
		return
	}
	at, found := a.find(item.EventTime)
	n := len(item.Values)
	switch {
	case !found && at == len(a.times):
		a.times = append(a.times, item.EventTime)
		a.values = append(a.values, item.Values...)
	case !found:
		a.times = slices.Insert(a.times, at, item.EventTime)
		a.values = slices.Insert(a.values, at*n, item.Values...)
	default:
		for i, v := range item.Values {
			if held := &a.values[at*n+i]; *held == drumbeat.Missing {
				*held = v
			}
		}
	}
	if !a.any || item.ArrivalTime > a.newest {
		a.newest, a.any = item.ArrivalTime, true
	}
	a.forget(n, memory)
}

// mark flags the values that the item brought anew, and that were added, by
// what is remembered of the times before it (V1): stuck, if so many in a row
// are equal, and jump, if it is too far from the one before. Missing values
// stand in no row.
func (a *accepted) mark(item *drumbeat.Item, sensors []Sensor) {
	at, _ := a.find(item.EventTime)
	n := len(sensors)
	for i := range sensors {
		s, v := &sensors[i], item.Values[i]
		if v == drumbeat.Missing || s.StuckAfter == 0 && s.MaxJump == 0 {
			continue
		}
		row := 1
		for k := at - 1; k >= a.head; k-- {
			before := a.values[k*n+i]
			if before == drumbeat.Missing {
				continue
			}
			if row == 1 && s.MaxJump > 0 && (v-before > s.MaxJump || before-v > s.MaxJump) {
				item.Flags[i] |= drumbeat.FlagJump
			}
			if before != v || s.StuckAfter == 0 {
				break
			}
			if row++; row >= s.StuckAfter {
				item.Flags[i] |= drumbeat.FlagStuck
				break
			}
		}
	}
}

// forget drops what is out of reach; it moves the rest down when more than
// half the space is idle, so that its cost is shared out.
func (a *accepted) forget(sensors int, memory time.Duration) {
	const few = 16
	for a.head < len(a.times) && a.forgot(a.times[a.head], memory) {
		a.head++
	}
	if a.head < few || a.head*2 < len(a.times) {
		return
	}
	left := copy(a.times, a.times[a.head:])
	copy(a.values, a.values[a.head*sensors:])
	a.times, a.values, a.head = a.times[:left], a.values[:left*sensors], 0
}
