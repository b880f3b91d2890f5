package web

import (
	"net/http"

	"drumbeat"
)

// Quality is what became of what arrived.
type Quality struct {
	Days []QualityDay // oldest first; the page shows the last 30
	// Silent are the machines that should report and do not (A3).
	Silent []Silent
}

// QualityDay is one UTC day of arrival. Every item has exactly one fate (T8).
type QualityDay struct {
	Day      drumbeat.Time // its start
	Machines int           // heard of

	Kept, Late, Duplicate, Future, Rejected, Undecodable, UnknownMachine int64

	Flags []SensorFlags // one for each of the fleet's Sensors, in their order
}

// SensorFlags is how often a sensor's values of a day were flagged (V1, T3).
// A reading can be flagged more than once.
type SensorFlags struct {
	Values                    int64 // kept
	Clipped, Nulled, Conflict int64
	Stuck, Jump               int64
	Missing                   int64 // readings kept without this sensor
}

// Silent is a machine that is not watched.
type Silent struct {
	Machine  drumbeat.MachineID
	Since    drumbeat.Time // when it counted as silent
	LastSeen drumbeat.Time // its newest reading, NoTime without one
}

func (b *board) qualityPage(w http.ResponseWriter, r *http.Request) error { return nil }
