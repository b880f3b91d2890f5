// Package pipeline runs graphs of steps: once for each reason, to the end,
// whatever kills the process in between.
//
// A [Graph] is steps in order. [Runner.Run] answers a [Request]: it starts a
// run, or returns the one that the same run id or the same [Reason] started.
// The result of a step is durable before the next one begins, and a run that
// was cut off goes on at the first step without one ([Runner.Resume]). So a
// step whose effect reaches beyond its result must do it under the run's id:
// between the effect and the result the process may die, and the step is then
// begun again.
//
// [Due] and [Runner.Scheduled] say when a graph's time has come. Package
// pipeline/local keeps runs in SQLite.
package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"drumbeat"
)

// Graph is what a run does: steps, each after the one before it.
type Graph struct {
	Name  string // such as "retrain"
	Steps []Step
}

// Step is one stage of a graph.
type Step struct {
	Name string
	// Run does the work. What it returns is kept as JSON; later steps read it
	// with [Context.Result].
	Run func(ctx context.Context, c *Context) (result any, err error)
	// Retries is how often a step that failed is tried again. An error that
	// the same input meets again (invalid, not found, newer, over a limit) is
	// not retried.
	Retries int
}

// check refuses a graph that could not be run or resumed.
func (g *Graph) check() error {
	seen := map[string]bool{}
	for i := range g.Steps {
		s := &g.Steps[i]
		if s.Name == "" || s.Run == nil || seen[s.Name] {
			return fmt.Errorf("graph %s: step %d needs a name of its own and something to run: %w",
				g.Name, i+1, drumbeat.ErrInvalid)
		}
		seen[s.Name] = true
	}
	if g.Name == "" || len(g.Steps) == 0 {
		return fmt.Errorf("graph %q: it needs a name and at least one step: %w", g.Name, drumbeat.ErrInvalid)
	}
	return nil
}

// Options are what a Runner takes from its caller.
type Options struct {
	Log *slog.Logger
	Now func() time.Time // the wall clock
	// FleetNow is the fleet's clock: cooldowns and schedules are its (T6).
	FleetNow func(drumbeat.FleetName) drumbeat.Time
	// Wait pauses between tries of a step, until the context ends at most;
	// nil for a timer.
	Wait func(context.Context, time.Duration) error
	// Progress is told what is happening, by one goroutine at a time; it
	// should return soon. Nil to be silent.
	Progress func(Event)
}

// Event is news of a run, for people.
type Event struct {
	Run     string             `json:"run"`
	Graph   string             `json:"graph"`
	Fleet   drumbeat.FleetName `json:"fleet"`
	Step    string             `json:"step,omitempty"` // "" for the run itself
	State   State              `json:"state"`
	Attempt int                `json:"attempt,omitempty"`
	Error   string             `json:"error,omitempty"`
	// Stage, Done and Total are what a running step says of itself.
	Stage string `json:"stage,omitempty"`
	Done  int    `json:"done,omitempty"`
	Total int    `json:"total,omitempty"`
}

// Runner runs graphs and keeps their runs in a store, which it shares with no
// other runner. It is safe for concurrent use.
type Runner struct {
	store Store
	opt   Options

	asking sync.Mutex // held from looking for a run until there is one
	mu     sync.Mutex
	active map[string]bool // under mu: the runs that this process is at
	tell   sync.Mutex      // held while Progress is told
}

// New returns a runner over a store.
func New(store Store, opt Options) *Runner {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	if opt.Wait == nil {
		opt.Wait = wait
	}
	return &Runner{store: store, opt: opt, active: map[string]bool{}}
}

// wait pauses for d, or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// moment is now by both clocks.
func (r *Runner) moment(fleet drumbeat.FleetName) Moment {
	return Moment{Fleet: r.opt.FleetNow(fleet), Wall: drumbeat.At(r.opt.Now())}
}

// report tells Progress, and nobody else meanwhile.
func (r *Runner) report(run *Run, e Event) {
	if r.opt.Progress == nil {
		return
	}
	e.Run, e.Graph, e.Fleet = run.ID, run.Graph, run.Fleet
	r.tell.Lock()
	defer r.tell.Unlock()
	r.opt.Progress(e)
}
