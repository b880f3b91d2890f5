//go:build real

package train_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/objstore/memory"
	"drumbeat/pipeline"
	runs "drumbeat/pipeline/local"
	"drumbeat/registry"
	models "drumbeat/registry/local"
	"drumbeat/train"
)

// retraining is the graph of a retraining over a world that grows between any
// two of its steps. ended hears of each step that has done its work, before
// the pipeline does.
func retraining(t *testing.T, w *world, reg registry.Versions, opt train.Options, ended func(step string)) *pipeline.Graph {
	t.Helper()
	input := func(c *pipeline.Context) (train.Input, error) {
		var pin train.Pin
		if err := c.Result("pin", &pin); err != nil {
			return train.Input{}, err
		}
		return w.sources(t).Input(&pin)
	}
	pin := func() train.Pin { return w.sources(t).Pin(0) }
	var prepared train.Prepared
	var fitted train.Fitted
	steps := map[string]func(context.Context, *pipeline.Context) (any, error){
		"pin": func(context.Context, *pipeline.Context) (any, error) { return pin(), nil },
		"dataset": func(ctx context.Context, c *pipeline.Context) (any, error) {
			in, err := input(c)
			if err != nil {
				return nil, err
			}
			return train.Prepare(ctx, in, opt)
		},
		"fit": func(ctx context.Context, c *pipeline.Context) (any, error) {
			in, err := input(c)
			if err := errors.Join(err, c.Result("dataset", &prepared)); err != nil {
				return nil, err
			}
			return train.Fit(ctx, in, opt, &prepared)
		},
		"evaluate": func(ctx context.Context, c *pipeline.Context) (any, error) {
			in, err := input(c)
			if err := errors.Join(err, c.Result("dataset", &prepared), c.Result("fit", &fitted)); err != nil {
				return nil, err
			}
			result, err := train.Evaluate(ctx, in, opt, &prepared, &fitted)
			if err != nil {
				return nil, err
			}
			return result.Manifest, nil
		},
		"register": func(ctx context.Context, c *pipeline.Context) (any, error) {
			var manifest registry.Manifest
			if err := errors.Join(c.Result("fit", &fitted), c.Result("evaluate", &manifest)); err != nil {
				return nil, err
			}
			result, err := train.Restore(&fitted, &manifest)
			if err != nil {
				return nil, err
			}
			version, err := result.Register(ctx, reg, c.Run.ID, c.Run.Who, begin)
			return version.Number, err
		},
	}
	g := &pipeline.Graph{Name: "retrain"}
	for _, name := range []string{"pin", "dataset", "fit", "evaluate", "register"} {
		g.Steps = append(g.Steps, pipeline.Step{Name: name, Run: func(ctx context.Context, c *pipeline.Context) (any, error) {
			result, err := steps[name](ctx, c)
			w.grow()
			if err == nil {
				ended(name)
				err = ctx.Err()
			}
			return result, err
		}})
	}
	return g
}

// TestARetrainingKilledInEveryStepRegistersOneModel cuts every step off once,
// when its work is done and its result is not yet kept.
func TestARetrainingKilledInEveryStepRegistersOneModel(t *testing.T) {
	t.Parallel()
	w := played()
	reg, err := models.Open(t.Context(), filepath.Join(t.TempDir(), "registry.sqlite"), memory.New(time.Now), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	store, err := runs.Open(t.Context(), filepath.Join(t.TempDir(), "runs.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	opt := options(t)
	request := pipeline.Request{
		Fleet: "mill", Who: "monitor",
		Reason: pipeline.Reason{Kind: pipeline.DataDrift, Subject: "wear", Since: begin},
	}
	var want *train.Result
	dead := map[string]bool{}
	for process := 0; ; process++ {
		ctx, kill := context.WithCancel(t.Context())
		r := pipeline.New(store, pipeline.Options{
			Now: time.Now, FleetNow: func(drumbeat.FleetName) drumbeat.Time { return w.now },
		})
		g := retraining(t, w, reg, opt, func(step string) {
			if !dead[step] {
				dead[step] = true
				kill()
			}
		})
		run, err := r.Run(ctx, g, request)
		kill()
		if process == 0 { // the pin that stands is the next one
			pin := w.sources(t).Pin(0)
			if want, err = train.Run(t.Context(), pinned(t, w, &pin), opt); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if errors.Is(err, context.Canceled) && process < 5 {
			continue
		}
		if err != nil || run.State != pipeline.Done {
			t.Fatalf("process %d: run is %s, %v", process, run.State, err)
		}
		break
	}
	versions, err := reg.List(t.Context(), "mill")
	if err != nil || len(versions) != 1 {
		t.Fatalf("%d versions, %v, want 1", len(versions), err)
	}
	got := &train.Result{Model: want.Model, Manifest: versions[0].Manifest, Report: want.Report}
	same(t, want, got)
	files, err := want.Model.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range files {
		if stored, err := reg.Read(t.Context(), &versions[0], name); err != nil || string(stored) != string(body) {
			t.Errorf("%s differs from that of one run, %v", name, err)
		}
	}
}
