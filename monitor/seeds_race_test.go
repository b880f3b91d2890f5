//go:build race

package monitor_test

// Under the race detector a few stand for all.
const (
	simulatedSeeds = 1
	shiftedSeeds   = 1
)
