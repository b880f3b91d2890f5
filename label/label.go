// Package label says what was true: which rows were followed by a failure,
// which were not, and which nobody can know (L1 to L3); how alerts open and
// close (A1); and how good a model was, by row and by event, with intervals
// (M1).
//
// A [Truth] is built from logs and findings and labels any (machine, time). A
// [Watch] is the alert rule of one machine, a pure state machine: package
// alert drives it live, [Events] drives it over history, so an alert means the
// same in both. [Scores] measures rows.
//
// Two readings of the rules are settled here. A row with an intervention
// strictly before the first failure is unknown (L2), though the failure
// follows; a finding "repaired" still makes it positive (L3). And a machine
// that is down, or has failed for good, has no row to label: that comes first.
package label

import (
	"drumbeat"
)

// The logs that labels and alerts are made of (T7).
const (
	FailureLog     = "failure"
	MaintenanceLog = "maintenance"
)

// Value is a row's label, as the lake keeps it.
type Value int8

// The labels.
const (
	Unknown  Value = -1 // out of training and of every denominator, but counted (L2)
	Negative Value = 0
	Positive Value = 1
)

// String returns the label's name.
func (v Value) String() string {
	switch v {
	case Negative:
		return "negative"
	case Positive:
		return "positive"
	case Unknown:
	}
	return "unknown"
}

// Source is the rule, the log or the finding that decided a label (L3).
type Source uint8

// The sources, the first that applies decides.
const (
	SourceTerminal     Source = iota // after a terminal failure: unknown
	SourceDown                       // between a failure and its repair: unknown
	SourceFailureLog                 // a failure of the log in (t, t + H]: positive
	SourceFailed                     // a finding "it failed" in (t, t + H]: positive
	SourceRepaired                   // a finding "repaired" within H after: positive
	SourceIntervention               // maintenance hid what would have happened: unknown
	SourceSensorWrong                // a finding "sensor is wrong": unknown
	SourceNotInspected               // a finding "not inspected": unknown
	SourceNothingWrong               // a finding "nothing wrong", and the log is complete: negative
	SourceSilence                    // the log is complete and says nothing: negative
	SourceIncomplete                 // the log is not complete to t + H: unknown
)

// String returns the source's name, as the label table holds it.
func (s Source) String() string {
	return [...]string{
		"terminal", "down", "failure_log", "it_failed", "repaired", "intervention",
		"sensor_wrong", "not_inspected", "nothing_wrong", "silence", "incomplete",
	}[s]
}

// Verdict is a row's label and where it comes from. Equal verdicts compare
// equal.
type Verdict struct {
	Value  Value
	Source Source
	Ref    string // the entry's or the finding's id, "" for a rule
}

// Event is a failure, or a fault found and repaired, of one machine.
type Event struct {
	Machine drumbeat.MachineID `json:"machine"`
	At      drumbeat.Time      `json:"at"`
	Source  Source             `json:"-"`
	Ref     string             `json:"ref"`            // the entry's or the finding's id
	Mode    string             `json:"mode,omitempty"` // the failure's type, "+" between several
}
