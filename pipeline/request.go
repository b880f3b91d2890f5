package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"drumbeat"
)

// Limits of a request: an id is a word in an address, parameters are what a
// person could type.
const (
	MaxIDBytes     = 200
	MaxParamsBytes = 64 << 10
)

// Request asks for a run.
type Request struct {
	// ID names the run: asked for again it is the same run, with other
	// parameters drumbeat.ErrConflict. "" lets the reason name it.
	ID     string
	Fleet  drumbeat.FleetName
	Reason Reason
	Who    string
	// Params is a JSON object for the steps; nil is the empty one.
	Params json.RawMessage
	// Cooldown is the least time, by the fleet's clock, between the starts of
	// two automatic runs of a graph and fleet that did not fail (M4).
	Cooldown time.Duration
}

// Start answers a request without running anything, and says whether the run
// is to be run: give it to Continue then. It is
//
//   - the run of the request's id, begun again if it had failed: the results
//     that there are stand;
//   - else the run that the same reason started, unless it failed: what a
//     person asks for under an id of its own is not looked for;
//   - else a new one. While another run of the graph and fleet is under way,
//     that is drumbeat.ErrConflict; within the cooldown, drumbeat.ErrLimit.
func (r *Runner) Start(ctx context.Context, g *Graph, q Request) (run Run, unfinished bool, err error) {
	run, err = r.start(ctx, g, &q)
	if err != nil {
		return Run{}, false, fmt.Errorf("start %s of %s for %s: %w", g.Name, q.Fleet, &q.Reason, err)
	}
	return run, run.State == Running, nil
}

func (r *Runner) start(ctx context.Context, g *Graph, q *Request) (Run, error) {
	if err := errors.Join(g.check(), q.check()); err != nil {
		return Run{}, err
	}
	params, err := canonical(q.Params)
	if err != nil {
		return Run{}, err
	}
	q.Params = params
	r.asking.Lock()
	defer r.asking.Unlock()
	if q.ID != "" {
		run, err := r.byID(ctx, g, q)
		if !errors.Is(err, drumbeat.ErrNotFound) {
			return run, err
		}
	}
	if q.ID == "" || q.Reason.Automatic() {
		current, err := r.store.List(ctx, Query{
			Graph: g.Name, Fleet: q.Fleet, Key: q.Reason.Key(), Current: true, Limit: 1,
		})
		if err != nil {
			return Run{}, err
		}
		if len(current) > 0 {
			return r.store.Run(ctx, current[0].ID)
		}
	}
	return r.insert(ctx, g, q)
}

// byID returns the run of the request's id, and begins it again if it failed.
func (r *Runner) byID(ctx context.Context, g *Graph, q *Request) (Run, error) {
	run, err := r.store.Run(ctx, q.ID)
	if err != nil {
		return Run{}, err
	}
	if run.Graph != g.Name || run.Fleet != q.Fleet || !bytes.Equal(run.Params, q.Params) {
		return Run{}, fmt.Errorf("run %s is %s of %s with %s, and another was asked for under its id with %s: %w",
			run.ID, run.Graph, run.Fleet, run.Params, q.Params, drumbeat.ErrConflict)
	}
	if run.State != Failed {
		return run, nil
	}
	if err := r.free(ctx, g, q); err != nil {
		return Run{}, err
	}
	run.State, run.Ended = Running, never()
	for i := range run.Steps {
		if s := &run.Steps[i]; s.State == Failed {
			s.State, s.Attempts = Running, 0
			if err := r.store.SaveStep(ctx, run.ID, s); err != nil {
				return Run{}, err
			}
		}
	}
	return run, r.store.Update(ctx, &run)
}

// insert begins a new run, if it may be.
func (r *Runner) insert(ctx context.Context, g *Graph, q *Request) (Run, error) {
	if err := r.free(ctx, g, q); err != nil {
		return Run{}, err
	}
	if err := r.cool(ctx, g, q); err != nil {
		return Run{}, err
	}
	if q.ID == "" {
		failed, err := r.store.List(ctx, Query{Graph: g.Name, Fleet: q.Fleet, Key: q.Reason.Key(), State: Failed, Limit: maxFailed})
		if err != nil {
			return Run{}, err
		}
		q.ID = idOf(g, q, len(failed))
	}
	run := Run{
		ID: q.ID, Graph: g.Name, Fleet: q.Fleet, Reason: q.Reason, Who: q.Who, Params: q.Params,
		State: Running, Requested: r.moment(q.Fleet), Started: never(), Ended: never(),
	}
	return run, r.store.Insert(ctx, &run)
}

// maxFailed bounds the runs that one reason may have made in vain. Their
// number names the next one; more would be a loop that nobody looks at.
const maxFailed = 10_000

// idOf names a run by its reason: the same one again after a crash.
func idOf(g *Graph, q *Request, failed int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n%d", g.Name, q.Fleet, q.Reason.Key(), failed))
	return g.Name + "-" + hex.EncodeToString(sum[:8])
}

// free refuses a start while another run of the graph and fleet is under way.
func (r *Runner) free(ctx context.Context, g *Graph, q *Request) error {
	running, err := r.store.List(ctx, Query{Graph: g.Name, Fleet: q.Fleet, State: Running, Limit: 1})
	if err != nil || len(running) == 0 {
		return err
	}
	run := &running[0]
	return fmt.Errorf("run %s, asked for by %s at %s, has not ended: wait for it, or ask for it by its id if it was cut off: %w",
		run.ID, run.Who, run.Requested.Wall, drumbeat.ErrConflict)
}

// cool refuses an automatic start too soon after the last one.
func (r *Runner) cool(ctx context.Context, g *Graph, q *Request) error {
	if !q.Reason.Automatic() || q.Cooldown <= 0 {
		return nil
	}
	runs, err := r.store.List(ctx, Query{Graph: g.Name, Fleet: q.Fleet, Automatic: true, Current: true})
	if err != nil {
		return err
	}
	last := drumbeat.NoTime
	for i := range runs {
		last = max(last, runs[i].Started.Fleet)
	}
	if last == drumbeat.NoTime {
		return nil
	}
	if until := last.Add(q.Cooldown); r.opt.FleetNow(q.Fleet) < until {
		return fmt.Errorf("the last automatic run started at %s: the cooldown lasts until %s; a person may ask at any time: %w",
			last, until, drumbeat.ErrLimit)
	}
	return nil
}

func (q *Request) check() error {
	if q.Fleet == "" {
		return fmt.Errorf("request: it names no fleet: %w", drumbeat.ErrInvalid)
	}
	odd := func(c rune) bool { return c == '/' || unicode.IsSpace(c) || !unicode.IsPrint(c) }
	if len(q.ID) > MaxIDBytes || strings.ContainsFunc(q.ID, odd) {
		return fmt.Errorf("request: run id %.40q must have at most %d bytes, no slash and no space: %w",
			q.ID, MaxIDBytes, drumbeat.ErrInvalid)
	}
	return q.Reason.Kind.check()
}

// canonical writes a JSON object without spaces and with its keys in order, so
// that equal parameters are equal bytes.
func canonical(params json.RawMessage) (json.RawMessage, error) {
	if len(params) > MaxParamsBytes {
		return nil, fmt.Errorf("parameters: %d bytes, at most %d: %w", len(params), MaxParamsBytes, drumbeat.ErrLimit)
	}
	object := map[string]any{}
	if len(params) > 0 {
		d := json.NewDecoder(bytes.NewReader(params))
		d.UseNumber() // a number keeps its digits
		if err := d.Decode(&object); err != nil {
			return nil, fmt.Errorf("parameters: want a JSON object: %w: %w", err, drumbeat.ErrInvalid)
		}
		if d.More() || object == nil {
			return nil, fmt.Errorf("parameters: want one JSON object: %w", drumbeat.ErrInvalid)
		}
	}
	return json.Marshal(object)
}
