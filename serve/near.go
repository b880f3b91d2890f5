package serve

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"drumbeat"
)

// NotKnown says that a machine does not exist, and which ones come nearest.
type NotKnown struct {
	Machine drumbeat.MachineID
	Nearest []drumbeat.MachineID
}

// Error names the machine and its nearest ones.
func (n *NotKnown) Error() string {
	if len(n.Nearest) == 0 {
		return fmt.Sprintf("machine %q: %v", n.Machine, drumbeat.ErrNotFound)
	}
	return fmt.Sprintf("machine %q: %v; nearest: %s", n.Machine, drumbeat.ErrNotFound, joined(n.Nearest))
}

// Is makes it a drumbeat.ErrNotFound.
func (n *NotKnown) Is(target error) bool { return target == drumbeat.ErrNotFound }

const (
	maxNearest = 3
	// maxID is the longest id that is compared: the work is quadratic in it.
	maxID = 64
)

// notKnown finds the known machines nearest to id.
func notKnown(id drumbeat.MachineID, known []Known) *NotKnown {
	return &NotKnown{Machine: id, Nearest: nearest(id, func(yield func(drumbeat.MachineID) bool) {
		for i := range known {
			if !yield(known[i].ID) {
				return
			}
		}
	})}
}

// nearest finds the known names that differ from name by the fewest typing
// mistakes, at most half of its length.
func nearest[S ~string](name S, known iter.Seq[S]) []S {
	if len(name) > maxID {
		return nil
	}
	type near struct {
		name     S
		distance int
	}
	var list []near
	for other := range known {
		if len(other) > maxID {
			continue
		}
		if d := distance(string(name), string(other)); d <= max(1, len(name)/2) {
			list = append(list, near{other, d})
		}
	}
	slices.SortStableFunc(list, func(x, y near) int { return cmp.Compare(x.distance, y.distance) })
	var names []S
	for _, each := range list[:min(maxNearest, len(list))] {
		names = append(names, each.name)
	}
	return names
}

// distance is the number of bytes to put in, take out or change to turn x
// into y (Levenshtein).
func distance(x, y string) int {
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(x) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(y) {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
