package label

import "drumbeat"

// Counted says which rows measures by row count (S3): of one machine and
// as_of, the one of the highest position that was made before the next as_of.
// The rows of each machine come in the order of positions; machines may
// interleave. A row of an older as_of than one before it was made too late.
func Counted(machines []drumbeat.MachineID, asOf []drumbeat.Time) []bool {
	counted := make([]bool, len(asOf))
	last := make(map[drumbeat.MachineID]int, 64) // the newest row of each machine
	for i, machine := range machines {
		before, ok := last[machine]
		switch {
		case ok && asOf[i] < asOf[before]:
			continue
		case ok && asOf[i] == asOf[before]:
			counted[before] = false
		}
		counted[i] = true
		last[machine] = i
	}
	return counted
}
