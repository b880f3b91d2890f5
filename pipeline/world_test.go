package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/pipeline"
	"drumbeat/pipeline/local"
)

const day = 24 * time.Hour

var begin = drumbeat.At(time.Date(2026, 3, 1, 6, 0, 0, 0, time.UTC))

// world is a fleet's clock, a store, and what the steps of its graph did.
type world struct {
	store pipeline.Store

	mu      sync.Mutex
	now     drumbeat.Time
	pauses  []time.Duration
	events  []pipeline.Event
	begun   map[string]int             // by step
	effects map[string]map[string]bool // by step, then run id: done twice is done once
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{now: begin, begun: map[string]int{}, effects: map[string]map[string]bool{}}
	w.store = openStore(t, filepath.Join(t.TempDir(), "runs.sqlite"))
	return w
}

func openStore(t *testing.T, path string) *local.Store {
	t.Helper()
	s, err := local.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *world) runner() *pipeline.Runner { return w.over(w.store) }

// over is a runner, as a process has one, over a store.
func (w *world) over(s pipeline.Store) *pipeline.Runner {
	return pipeline.New(s, pipeline.Options{
		Now:      func() time.Time { return time.Unix(1_800_000_000, 0) },
		FleetNow: func(drumbeat.FleetName) drumbeat.Time { return w.now },
		Wait: func(_ context.Context, d time.Duration) error {
			w.pauses = append(w.pauses, d)
			return nil
		},
		Progress: func(e pipeline.Event) { w.events = append(w.events, e) },
	})
}

// did notes the effect of a step, under the run's id as every effect must be.
func (w *world) did(step, run string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.effects[step] == nil {
		w.effects[step] = map[string]bool{}
	}
	w.effects[step][run] = true
}

func (w *world) beganStep(step string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun[step]++
}

// graph counts: label says 1, and each later step adds 1 to what the one
// before it said. fault may fail a step, before and after its effect.
func (w *world) graph(fault func(step string) error) *pipeline.Graph {
	g := &pipeline.Graph{Name: "retrain"}
	names := []string{"label", "train", "register"}
	for i, name := range names {
		g.Steps = append(g.Steps, pipeline.Step{Name: name, Run: func(_ context.Context, c *pipeline.Context) (any, error) {
			w.beganStep(name)
			sum := 0
			if i > 0 {
				if err := c.Result(names[i-1], &sum); err != nil {
					return nil, err
				}
			}
			if err := fault(name); err != nil {
				return nil, err
			}
			w.did(name, c.Run.ID)
			return sum + 1, fault(name)
		}})
	}
	return g
}

func fine(string) error { return nil }

func drift(sensor string, since drumbeat.Time) pipeline.Request {
	return pipeline.Request{
		Fleet: "laundry", Who: "monitor",
		Reason: pipeline.Reason{Kind: pipeline.DataDrift, Subject: sensor, Since: since},
	}
}

func byPerson(id string) pipeline.Request {
	return pipeline.Request{
		ID: id, Fleet: "laundry", Who: "kim", Reason: pipeline.Reason{Kind: pipeline.Person, Since: begin},
	}
}

// finished runs a request that must end well.
func (w *world) finished(t *testing.T, g *pipeline.Graph, q pipeline.Request) pipeline.Run {
	t.Helper()
	run, err := w.runner().Run(t.Context(), g, q)
	if err != nil {
		t.Fatal(err)
	}
	var sum int
	if err := run.Result("register", &sum); err != nil || sum != 3 || run.State != pipeline.Done {
		t.Fatalf("run %s is %s with result %d, %v", run.ID, run.State, sum, err)
	}
	return run
}

func (w *world) runs(t *testing.T) []pipeline.Run {
	t.Helper()
	runs, err := w.store.List(t.Context(), pipeline.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return runs
}

// errKilled is what everything of a dead process returns.
var errKilled = errors.New("the process is dead")

// life is a process that dies at some point and stays dead.
type life struct{ left int }

func (l *life) spend(what string) error {
	if l.left--; l.left < 0 {
		return fmt.Errorf("%s: %w", what, errKilled)
	}
	return nil
}

// mortal is a store whose process may die before and after each call.
type mortal struct {
	pipeline.Store
	life *life
}

func (m mortal) around(call func() error) error {
	if err := m.life.spend("before a call"); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return m.life.spend("after a call")
}

func (m mortal) Insert(ctx context.Context, run *pipeline.Run) error {
	return m.around(func() error { return m.Store.Insert(ctx, run) })
}

func (m mortal) Update(ctx context.Context, run *pipeline.Run) error {
	return m.around(func() error { return m.Store.Update(ctx, run) })
}

func (m mortal) SaveStep(ctx context.Context, run string, step *pipeline.StepRun) error {
	return m.around(func() error { return m.Store.SaveStep(ctx, run, step) })
}

func (m mortal) Run(ctx context.Context, id string) (run pipeline.Run, err error) {
	err = m.around(func() error { run, err = m.Store.Run(ctx, id); return err })
	return run, err
}

func (m mortal) List(ctx context.Context, q pipeline.Query) (runs []pipeline.Run, err error) {
	err = m.around(func() error { runs, err = m.Store.List(ctx, q); return err })
	return runs, err
}

// results lists the steps that have a result.
func (w *world) results(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, run := range w.runs(t) {
		for _, s := range run.Steps {
			if s.State == pipeline.Done {
				out[s.Name] = true
			}
		}
	}
	return out
}

func (w *world) begunOnce() []string {
	var once []string
	for _, name := range slices.Sorted(maps.Keys(w.begun)) {
		if w.begun[name] == 1 {
			once = append(once, name)
		}
	}
	return once
}
