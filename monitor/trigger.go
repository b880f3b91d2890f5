package monitor

import (
	"time"

	"drumbeat"
)

// The kinds of trigger (M4).
const (
	DataDrift = "data_drift" // the subject is a sensor
)

// Trigger is a reason to train again (M4).
type Trigger struct {
	Kind     string        `json:"kind"`
	Subject  string        `json:"subject"`
	Since    drumbeat.Time `json:"since"`
	Sentence string        `json:"sentence"`
}

// Key stays the same as long as the reason does, so that it starts one
// retraining only.
func (t *Trigger) Key() string {
	return t.Kind + ":" + t.Subject + ":" + t.Since.Std().Format(time.DateOnly)
}
