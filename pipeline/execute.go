package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"drumbeat"
)

const (
	// firstPause is the wait before a step is tried again; it doubles with
	// each try. Shorter would meet the same trouble, longer than the last
	// would look like a hang.
	firstPause = time.Second
	lastPause  = time.Minute
	// maxKills is how many processes may die in a step before it is taken to
	// be what kills them.
	maxKills = 5
	// maxResultBytes bounds a step's result: a model of 2,000 deep trees in
	// base64 twice over.
	maxResultBytes = 64 << 20
)

// Run starts what a request asks for and runs it to its end. A run that
// another call is at, or that is done, comes back as it stands. If a step
// failed for good, the run comes back with the error.
func (r *Runner) Run(ctx context.Context, g *Graph, q Request) (Run, error) {
	run, unfinished, err := r.Start(ctx, g, q)
	if err != nil || !unfinished {
		return run, err
	}
	return r.Continue(ctx, g, run.ID)
}

// Resume continues the runs of these graphs that have not ended, one after the
// other: what the last process left. Call it once when the program starts.
func (r *Runner) Resume(ctx context.Context, graphs ...Graph) error {
	left, err := r.store.List(ctx, Query{State: Running})
	if err != nil {
		return fmt.Errorf("resume runs: %w", err)
	}
	var faults []error
	for i := range left {
		run := &left[len(left)-1-i] // the oldest first
		k := slices.IndexFunc(graphs, func(g Graph) bool { return g.Name == run.Graph })
		if k < 0 {
			continue
		}
		r.opt.Log.InfoContext(ctx, "resuming a run", "run", run.ID, "graph", run.Graph, "fleet", run.Fleet)
		if _, err := r.Continue(ctx, &graphs[k], run.ID); err != nil {
			faults = append(faults, err)
		}
	}
	return errors.Join(faults...)
}

// Abandon ends a run that was cut off and that nobody wants to be resumed, as
// failed for the reason given. One that a call is at is drumbeat.ErrConflict.
func (r *Runner) Abandon(ctx context.Context, id, why string) (Run, error) {
	if !r.claim(id) {
		return Run{}, fmt.Errorf("abandon run %s: it is under way: %w", id, drumbeat.ErrConflict)
	}
	defer r.release(id)
	run, err := r.store.Run(ctx, id)
	if err != nil || run.State != Running {
		return run, err
	}
	run.State, run.Ended, run.Error = Failed, r.moment(run.Fleet), "abandoned: "+why
	if err := r.store.Update(ctx, &run); err != nil {
		return Run{}, fmt.Errorf("abandon run %s: %w", id, err)
	}
	r.report(&run, Event{State: run.State, Error: run.Error})
	return run, nil
}

// Continue runs what is left of a run, from its first step without a result.
// A run that another call is at, or that has ended, comes back as it stands.
// When ctx ends, the run stays to be resumed.
func (r *Runner) Continue(ctx context.Context, g *Graph, id string) (Run, error) {
	if !r.claim(id) {
		return r.store.Run(ctx, id)
	}
	defer r.release(id)
	run, err := r.store.Run(ctx, id)
	if err != nil || run.State != Running {
		return run, err
	}
	failure, err := r.execute(ctx, g, &run)
	if err == nil {
		err = r.end(ctx, &run, failure)
	}
	if err != nil {
		return run, fmt.Errorf("run %s (%s of %s): %w", run.ID, run.Graph, run.Fleet, err)
	}
	return run, nil
}

// claim takes a run for a call, unless another call has it.
func (r *Runner) claim(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.active[id] {
		return false
	}
	r.active[id] = true
	return true
}

func (r *Runner) release(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.active, id)
}

// execute runs the steps that have no result. failure is a step's, and ends
// the run; err is the store's or the context's, and leaves it to be resumed.
func (r *Runner) execute(ctx context.Context, g *Graph, run *Run) (failure, err error) {
	if err := g.check(); err != nil {
		return fmt.Errorf("this program cannot go on with it: %w", err), nil
	}
	if run.Graph != g.Name {
		return nil, fmt.Errorf("it was given graph %s: %w", g.Name, drumbeat.ErrInvalid)
	}
	run.Started = r.moment(run.Fleet)
	if err := r.store.Update(ctx, run); err != nil {
		return nil, err
	}
	r.report(run, Event{State: Running})
	for i := range g.Steps {
		name := g.Steps[i].Name
		s := run.step(name)
		if s == nil {
			run.Steps = append(run.Steps, StepRun{Name: name, Started: never(), Ended: never()})
			s = &run.Steps[len(run.Steps)-1]
		}
		s.Index = i
		if s.State == Done {
			continue
		}
		if failure, err := r.runStep(ctx, &g.Steps[i], run, s); failure != nil || err != nil {
			return failure, err
		}
	}
	return nil, nil
}

// runStep tries a step until it has a result or has failed for good.
func (r *Runner) runStep(ctx context.Context, step *Step, run *Run, s *StepRun) (failure, err error) {
	pause := firstPause
	for tries := 0; ; tries++ {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if s.Attempts >= step.Retries+1+maxKills {
			failure = fmt.Errorf("it was begun %d times and no process lived to its end: %w", s.Attempts, drumbeat.ErrLimit)
			return r.failed(ctx, run, s, failure)
		}
		s.State, s.Started, s.Ended, s.Error = Running, r.moment(run.Fleet), never(), ""
		s.Attempts++
		if err := r.store.SaveStep(ctx, run.ID, s); err != nil {
			return nil, err
		}
		r.report(run, Event{Step: s.Name, State: Running, Attempt: s.Attempts})
		result, failure := r.try(ctx, step, run)
		if failure == nil {
			return nil, r.done(ctx, run, s, result)
		}
		if ctx.Err() != nil {
			s.Attempts-- // it was asked to end, nothing killed it
			return nil, errors.Join(ctx.Err(), r.store.SaveStep(context.WithoutCancel(ctx), run.ID, s))
		}
		if tries >= step.Retries || lasting(failure) {
			return r.failed(ctx, run, s, failure)
		}
		r.opt.Log.WarnContext(ctx, "trying a step again", "run", run.ID, "step", s.Name, "pause", pause, "error", failure)
		if err := r.opt.Wait(ctx, pause); err != nil {
			return nil, err
		}
		pause = min(2*pause, lastPause)
	}
}

// try runs a step once and writes its result as JSON.
func (r *Runner) try(ctx context.Context, step *Step, run *Run) (json.RawMessage, error) {
	log := r.opt.Log.With("run", run.ID, "step", step.Name)
	value, err := step.Run(ctx, &Context{Run: run, Log: log, runner: r, step: step.Name})
	if err != nil {
		return nil, err
	}
	result, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("write its result: %w: %w", err, drumbeat.ErrInvalid)
	}
	if len(result) > maxResultBytes {
		return nil, fmt.Errorf("write its result: %d bytes, at most %d: %w", len(result), maxResultBytes, drumbeat.ErrLimit)
	}
	return result, nil
}

// lasting says whether a further try would meet the same error.
func lasting(err error) bool {
	for _, kind := range []error{drumbeat.ErrInvalid, drumbeat.ErrNotFound, drumbeat.ErrNewer, drumbeat.ErrLimit} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// done makes a step's result durable.
func (r *Runner) done(ctx context.Context, run *Run, s *StepRun, result json.RawMessage) error {
	s.State, s.Ended, s.Result = Done, r.moment(run.Fleet), result
	// The work is done: that it was asked to end meanwhile takes nothing away.
	if err := r.store.SaveStep(context.WithoutCancel(ctx), run.ID, s); err != nil {
		return err
	}
	r.report(run, Event{Step: s.Name, State: Done, Attempt: s.Attempts})
	return nil
}

// failed notes that a step has failed for good.
func (r *Runner) failed(ctx context.Context, run *Run, s *StepRun, failure error) (error, error) {
	s.State, s.Ended, s.Error = Failed, r.moment(run.Fleet), failure.Error()
	if err := r.store.SaveStep(ctx, run.ID, s); err != nil {
		return nil, errors.Join(failure, err)
	}
	r.report(run, Event{Step: s.Name, State: Failed, Attempt: s.Attempts, Error: s.Error})
	return fmt.Errorf("step %s: %w", s.Name, failure), nil
}

// end closes a run, and returns why it failed.
func (r *Runner) end(ctx context.Context, run *Run, failure error) error {
	run.State, run.Ended, run.Error = Done, r.moment(run.Fleet), ""
	if failure != nil {
		run.State, run.Error = Failed, failure.Error()
	}
	if err := r.store.Update(context.WithoutCancel(ctx), run); err != nil {
		run.State = Running
		return errors.Join(failure, err)
	}
	r.report(run, Event{State: run.State, Error: run.Error})
	return failure
}
