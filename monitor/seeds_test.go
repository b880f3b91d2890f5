//go:build !race

package monitor_test

// How many laundries are simulated: make test plays these without the race
// detector, which makes them ten times slower.
const (
	simulatedSeeds = 20
	shiftedSeeds   = 6
)
