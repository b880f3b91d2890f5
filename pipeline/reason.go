package pipeline

import (
	"fmt"

	"drumbeat"
)

// Kind says what sort of thing a reason is.
type Kind string

// The kinds of reason (M4). All but a person's are automatic.
const (
	DataDrift    Kind = "data_drift"
	ConceptDrift Kind = "concept_drift"
	Schedule     Kind = "schedule"
	Person       Kind = "person"
)

// Reason is why a run was asked for.
type Reason struct {
	Kind    Kind   `json:"kind"`
	Subject string `json:"subject,omitempty"` // what drifted, or who asks for what
	// Since is when it began, by the fleet's clock: the drift, the period of
	// the schedule, the person's asking.
	Since  drumbeat.Time `json:"since"`
	Detail string        `json:"detail,omitempty"` // for people
}

// Key is equal for reasons that are the same: of one kind and subject, since
// the same time. The detail may grow with the days that a drift lasts.
func (r *Reason) Key() string {
	return fmt.Sprintf("%s of %q since %s", r.Kind, r.Subject, r.Since)
}

// Automatic says whether no person stands behind the reason.
func (r *Reason) Automatic() bool { return r.Kind != Person }

// String says the reason in words.
func (r *Reason) String() string {
	text := string(r.Kind)
	if r.Subject != "" {
		text += " of " + r.Subject
	}
	if r.Since != drumbeat.NoTime {
		text += " since " + r.Since.String()
	}
	return text
}

func (k Kind) check() error {
	switch k {
	case DataDrift, ConceptDrift, Schedule, Person:
		return nil
	}
	return fmt.Errorf("reason: its kind is %q, want %s, %s, %s or %s: %w",
		k, DataDrift, ConceptDrift, Schedule, Person, drumbeat.ErrInvalid)
}
