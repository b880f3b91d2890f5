package serve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

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
	return fmt.Sprintf("machine %q: %v; nearest: %s", n.Machine, drumbeat.ErrNotFound, n.nearest())
}

// Is makes it a drumbeat.ErrNotFound.
func (n *NotKnown) Is(target error) bool { return target == drumbeat.ErrNotFound }

func (n *NotKnown) nearest() string {
	names := make([]string, len(n.Nearest))
	for i, id := range n.Nearest {
		names[i] = string(id)
	}
	return strings.Join(names, ", ")
}

const (
	maxNearest = 3
	// maxID is the longest id that is compared: the work is quadratic in it.
	maxID = 64
)

// notKnown finds the known ids that differ from id by the fewest typing
// mistakes, at most half of its length.
func notKnown(id drumbeat.MachineID, known []Known) *NotKnown {
	n := &NotKnown{Machine: id}
	if len(id) > maxID {
		return n
	}
	type near struct {
		id       drumbeat.MachineID
		distance int
	}
	var list []near
	for i := range known {
		if len(known[i].ID) > maxID {
			continue
		}
		if d := distance(string(id), string(known[i].ID)); d <= max(1, len(id)/2) {
			list = append(list, near{known[i].ID, d})
		}
	}
	slices.SortStableFunc(list, func(x, y near) int { return cmp.Compare(x.distance, y.distance) })
	for _, each := range list[:min(maxNearest, len(list))] {
		n.Nearest = append(n.Nearest, each.id)
	}
	return n
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
