package pipeline

import (
	"context"
	"encoding/json"
	"fmt"

	"drumbeat"
)

// State says how far a run, or a step of it, has come.
type State string

// The states. What is done never changes again; what failed may be asked for
// again.
const (
	Running State = "running" // begun and not ended, also after a crash
	Done    State = "done"
	Failed  State = "failed"
)

// Moment is a time by both clocks (T6).
type Moment struct {
	Fleet drumbeat.Time `json:"fleet"`
	Wall  drumbeat.Time `json:"wall"`
}

// never is the moment of what has not happened.
func never() Moment { return Moment{drumbeat.NoTime, drumbeat.NoTime} }

// Run is one run of a graph for one fleet.
type Run struct {
	ID     string             `json:"run"`
	Graph  string             `json:"graph"`
	Fleet  drumbeat.FleetName `json:"fleet"`
	Reason Reason             `json:"reason"`
	Who    string             `json:"who"`
	Params json.RawMessage    `json:"params"` // an object, canonical
	State  State              `json:"state"`
	Error  string             `json:"error,omitempty"` // a sentence, of a failed run

	Requested Moment `json:"requested"`
	Started   Moment `json:"started"` // its first step, of the last start
	Ended     Moment `json:"ended"`

	Steps []StepRun `json:"steps"` // those that have begun, in order
}

// StepRun is what became of a step in a run.
type StepRun struct {
	Name string `json:"name"`
	// Index is the step's place in its graph, from 0.
	Index int   `json:"index"`
	State State `json:"state"`
	// Attempts counts the times that it was begun, also by a process that
	// was killed.
	Attempts int             `json:"attempts"`
	Started  Moment          `json:"started"`
	Ended    Moment          `json:"ended"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    string          `json:"error,omitempty"` // the last one's
}

// Result decodes the result of a step that is done.
func (r *Run) Result(step string, into any) error {
	s := r.step(step)
	if s == nil || s.State != Done {
		return fmt.Errorf("read the result of step %s of run %s: it has none: %w", step, r.ID, drumbeat.ErrNotFound)
	}
	if err := json.Unmarshal(s.Result, into); err != nil {
		return fmt.Errorf("read the result of step %s of run %s: %w: %w", step, r.ID, err, drumbeat.ErrInvalid)
	}
	return nil
}

func (r *Run) step(name string) *StepRun {
	for i := range r.Steps {
		if r.Steps[i].Name == name {
			return &r.Steps[i]
		}
	}
	return nil
}

// Query narrows a list of runs. The zero value is every run.
type Query struct {
	Graph     string
	Fleet     drumbeat.FleetName
	Key       string // of the reason
	Automatic bool   // only those that no person asked for
	Current   bool   // only those that have not failed
	State     State
	Limit     int // 0 is 100
}

// Store keeps runs. A call that returned is durable; one that failed, or was
// cut off, has happened as a whole or not at all. Implementations are safe for
// concurrent use.
type Store interface {
	// Insert adds a run without steps. An id that is taken, or a second
	// running run of a graph and fleet, is drumbeat.ErrConflict.
	Insert(ctx context.Context, run *Run) error
	// Update writes a run's state, error and moments; its steps stay. One
	// that is done is drumbeat.ErrConflict.
	Update(ctx context.Context, run *Run) error
	// SaveStep adds a step or replaces it. One that is done is
	// drumbeat.ErrConflict: a result never changes.
	SaveStep(ctx context.Context, run string, step *StepRun) error
	// Run returns a run with its steps in order, drumbeat.ErrNotFound if
	// there is none.
	Run(ctx context.Context, id string) (Run, error)
	// List returns runs, those last asked for first, with their steps but
	// without results.
	List(ctx context.Context, q Query) ([]Run, error)
}
