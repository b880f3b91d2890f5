package main

import (
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/sim"
)

// unequal reports a count that is not what it must be.
func unequal(what string, got, want int64) []string {
	if got == want {
		return nil
	}
	return []string{fmt.Sprintf("%s: got %d, want %d", what, got, want)}
}

// unequalFates compares counts by fate with those that the simulator knows.
func unequalFates(got map[string]int64, sent *sim.Counts, fates ...drumbeat.Fate) []string {
	var faults []string
	for _, fate := range fates {
		faults = append(faults, unequal(fate.String()+" items", got[fate.String()], sent.Fates[fate])...)
	}
	return faults
}

// unequalMaps compares counts by name; an absent name counts nothing.
func unequalMaps(what string, got, want map[string]int64) []string {
	names := map[string]bool{}
	for name := range got {
		names[name] = true
	}
	for name := range want {
		names[name] = true
	}
	var faults []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		faults = append(faults, unequal(what+" "+name, got[name], want[name])...)
	}
	return faults
}

func sum(byPartition map[int32]int64) int64 {
	var total int64
	for _, n := range byPartition {
		total += n
	}
	return total
}

// evidenceOf returns what an earlier step of that kind of evidence showed.
func evidenceOf[T any](q *quickstart) (T, bool) {
	for i := range q.report.Steps {
		if e, ok := q.report.Steps[i].Evidence.(T); ok {
			return e, true
		}
	}
	var none T
	return none, false
}
