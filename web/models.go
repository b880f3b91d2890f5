package web

import (
	"context"
	"fmt"
	"net/http"

	"drumbeat"
)

// Models is a fleet's model versions and what became of them.
type Models struct {
	Versions []Version // in any order
	// Previous is the version that a rollback would bring back, 0 for none.
	Previous drumbeat.ModelVersion
	Ledger   []LedgerRow // newest first
	Runs     []Run       // newest first
	// NextRetrain is when the schedule asks for the next retraining, by the
	// fleet's clock; NoTime without a schedule.
	NextRetrain drumbeat.Time
}

// LedgerRow is one move of an alias.
type LedgerRow struct {
	Seq       int64
	Alias     drumbeat.Role
	From, To  drumbeat.ModelVersion // 0 is none
	Who, Why  string
	Proof     string // what it rests on, text or JSON
	WhenFleet drumbeat.Time
	WhenWall  drumbeat.Time
}

// RunState says how a run or a step stands.
type RunState string

// The states of a run and of its steps.
const (
	RunWaiting RunState = "waiting"
	RunRunning RunState = "running"
	RunDone    RunState = "done"
	RunFailed  RunState = "failed"
)

// Run is one run of the retraining pipeline.
type Run struct {
	ID        string
	Reason    string // in words
	Who       string
	State     RunState
	WhenFleet drumbeat.Time // asked for
	WhenWall  drumbeat.Time
	Steps     []RunStep
	Error     string                // a sentence, "" without one
	Version   drumbeat.ModelVersion // that it made, 0 for none yet
}

// RunStep is one step of a run.
type RunStep struct {
	Name    string
	State   RunState
	Seconds float64
}

// models asks the source; without an answer there are none.
func (b *board) models(ctx context.Context) (Models, error) {
	if b.source.Models == nil {
		return Models{NextRetrain: drumbeat.NoTime}, nil
	}
	m, err := b.source.Models(ctx)
	if err != nil {
		return Models{}, fmt.Errorf("list the models: %w", err)
	}
	return m, nil
}

func (b *board) modelsPage(w http.ResponseWriter, r *http.Request) error  { return nil }
func (b *board) versionPage(w http.ResponseWriter, r *http.Request) error { return nil }
