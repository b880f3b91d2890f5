package pipeline_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/pipeline"
)

func TestAReasonStartsOneRunHoweverManyAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, g := w.runner(), w.graph(fine)
	var wait sync.WaitGroup
	ids := make([]string, 16)
	for i := range ids {
		wait.Go(func() {
			run, err := r.Run(t.Context(), g, drift("vibration", begin))
			if err != nil {
				t.Error(err)
			}
			ids[i] = run.ID
		})
	}
	wait.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Errorf("runs %s and %s", ids[0], id)
		}
	}
	if diff := cmp.Diff([]string{"label", "register", "train"}, w.begunOnce()); diff != "" || len(w.runs(t)) != 1 {
		t.Errorf("%d runs, steps begun once: %s", len(w.runs(t)), diff)
	}
	again := w.finished(t, g, drift("vibration", begin))
	if again.ID != ids[0] {
		t.Errorf("asked a day later: run %s, want %s", again.ID, ids[0])
	}
}

func TestAnIDNamesOneRunWithItsParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.graph(fine)
	q := byPerson("nightly-7")
	q.Params = json.RawMessage(`{"horizon": "7d", "seed": 1}`)
	first := w.finished(t, g, q)
	q.Params = json.RawMessage(`{"seed":1,"horizon":"7d"}`)
	if again := w.finished(t, g, q); !cmp.Equal(again, first) {
		t.Error(cmp.Diff(first, again))
	}
	for name, change := range map[string]func(*pipeline.Request, *pipeline.Graph){
		"other parameters": func(q *pipeline.Request, _ *pipeline.Graph) { q.Params = json.RawMessage(`{"horizon":"7d","seed":2}`) },
		"no parameters":    func(q *pipeline.Request, _ *pipeline.Graph) { q.Params = nil },
		"another fleet":    func(q *pipeline.Request, _ *pipeline.Graph) { q.Fleet = "dryers" },
		"another graph":    func(_ *pipeline.Request, g *pipeline.Graph) { g.Name = "label" },
	} {
		q, g := q, *g
		change(&q, &g)
		if _, err := w.runner().Run(t.Context(), &g, q); !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), "nightly-7") {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	if len(w.begunOnce()) != 3 {
		t.Errorf("steps were begun %v times", w.begun)
	}
	q.ID = "nightly-8" // a person's own id is a run of its own, whatever its reason
	if other := w.finished(t, g, q); other.ID != "nightly-8" {
		t.Errorf("got run %s", other.ID)
	}
	auto := drift("vibration", begin) // an automatic reason is one run under any id
	auto.ID = "dag-1"
	w.finished(t, g, auto)
	auto.ID = "dag-2"
	if run := w.finished(t, g, auto); run.ID != "dag-1" {
		t.Errorf("the same drift under another id made run %s", run.ID)
	}
}

func TestACooldownHoldsAutomaticRunsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.graph(fine)
	ask := func(q pipeline.Request) (pipeline.Run, error) {
		q.Cooldown = 7 * day
		return w.runner().Run(t.Context(), g, q)
	}
	if _, err := ask(drift("vibration", begin)); err != nil {
		t.Fatal(err)
	}
	w.now = begin.Add(7*day - time.Hour)
	_, err := ask(drift("power", w.now))
	if !errors.Is(err, drumbeat.ErrLimit) || !strings.Contains(err.Error(), "until "+begin.Add(7*day).String()) {
		t.Errorf("within the cooldown: got %v, want ErrLimit and until when", err)
	}
	if run, err := ask(drift("vibration", begin)); err != nil || run.State != pipeline.Done {
		t.Errorf("the same reason is answered at any time: got %v", err)
	}
	if _, err := ask(byPerson("by-hand")); err != nil {
		t.Errorf("a person may ask at any time: %v", err)
	}
	other := drift("power", w.now)
	other.Fleet = "dryers"
	if _, err := ask(other); err != nil {
		t.Errorf("another fleet has a cooldown of its own: %v", err)
	}
	w.now = begin.Add(-day)
	if _, err := ask(drift("power", w.now)); !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("a clock that fell: got %v, want ErrLimit", err)
	}
	w.now = begin.Add(7 * day)
	if _, err := ask(drift("power", w.now)); err != nil {
		t.Errorf("at its end: %v", err)
	}
}

func TestAFailedRunMayBeAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	broken := w.graph(func(step string) error {
		if step == "train" {
			return fmt.Errorf("fit: no library: %w", drumbeat.ErrInvalid)
		}
		return nil
	})
	q := drift("vibration", begin)
	q.Cooldown = 7 * day
	failed, err := w.runner().Run(t.Context(), broken, q)
	if !errors.Is(err, drumbeat.ErrInvalid) || failed.State != pipeline.Failed || !strings.Contains(failed.Error, "step train: fit: no library") {
		t.Fatalf("got %s %q, %v", failed.State, failed.Error, err)
	}
	anew := w.finished(t, w.graph(fine), q)
	if anew.ID == failed.ID || w.begun["label"] != 2 {
		t.Errorf("asked for its reason: run %s after %s, label begun %d times, want a new run", anew.ID, failed.ID, w.begun["label"])
	}

	q = byPerson("by-hand")
	if _, err := w.runner().Run(t.Context(), broken, q); err == nil {
		t.Fatal("it did not fail")
	}
	label := w.begun["label"]
	run := w.finished(t, w.graph(fine), q)
	if run.ID != "by-hand" || w.begun["label"] != label || run.Error != "" {
		t.Errorf("asked for by its id: run %s %q, label begun again: %v; want it to go on", run.ID, run.Error, w.begun["label"] != label)
	}
}

func TestOneRunOfAGraphAndFleetAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r, g := w.runner(), w.graph(fine)
	run, unfinished, err := r.Start(t.Context(), g, byPerson("first"))
	if err != nil || !unfinished {
		t.Fatal(unfinished, err)
	}
	_, err = r.Run(t.Context(), g, byPerson("second"))
	if !errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), "run first, asked for by kim") {
		t.Errorf("got %v, want ErrConflict and whose run it is", err)
	}
	elsewhere := byPerson("third")
	elsewhere.Fleet = "dryers"
	w.finished(t, g, elsewhere)
	if _, err := r.Continue(t.Context(), g, run.ID); err != nil {
		t.Fatal(err)
	}
	w.finished(t, g, byPerson("second"))
}

func TestTriesPauseLongerEachTimeAndEndWhereTheyCannotHelp(t *testing.T) {
	t.Parallel()
	flaky := errors.New("the store is away")
	for name, tc := range map[string]struct {
		failure error
		fails   int
		want    []time.Duration
		state   pipeline.State
	}{
		"twice":                         {flaky, 2, []time.Duration{time.Second, 2 * time.Second}, pipeline.Done},
		"more often than it is tried":   {flaky, 9, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, pipeline.Failed},
		"an input that no try can mend": {drumbeat.ErrInvalid, 1, nil, pipeline.Failed},
		"a conflict may pass":           {drumbeat.ErrConflict, 1, []time.Duration{time.Second}, pipeline.Done},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			left := tc.fails
			g := w.graph(func(step string) error {
				if step == "train" && left > 0 {
					left--
					return tc.failure
				}
				return nil
			})
			g.Steps[1].Retries = 3
			run, err := w.runner().Run(t.Context(), g, byPerson("x"))
			if run.State != tc.state || (err == nil) != (tc.state == pipeline.Done) {
				t.Errorf("run is %s, %v, want %s", run.State, err, tc.state)
			}
			if diff := cmp.Diff(tc.want, w.pauses); diff != "" {
				t.Errorf("pauses: %s", diff)
			}
			if got := run.Steps[1].Attempts; got != len(tc.want)+1 {
				t.Errorf("%d attempts, want %d", got, len(tc.want)+1)
			}
		})
	}
}

func TestAProgramThatIsAskedToEndLeavesTheRunToBeResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for range 10 { // more often than a step may kill
		ctx, cancel := context.WithCancel(t.Context())
		g := w.graph(func(step string) error {
			if step == "train" {
				cancel()
				return ctx.Err()
			}
			return nil
		})
		run, err := w.runner().Run(ctx, g, drift("vibration", begin))
		if !errors.Is(err, context.Canceled) || run.State != pipeline.Running {
			t.Fatalf("run is %s, %v", run.State, err)
		}
	}
	if err := w.runner().Resume(t.Context(), *w.graph(fine)); err != nil {
		t.Fatal(err)
	}
	w.finished(t, w.graph(fine), drift("vibration", begin))
	if w.begun["label"] != 1 {
		t.Errorf("label was begun %d times", w.begun["label"])
	}
}

func TestAStepThatKillsEveryProcessIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := 1; ; n++ {
		l := &life{left: 1 << 20}
		g := w.graph(func(step string) error {
			if step == "train" {
				l.left = 0
				return errKilled
			}
			return nil
		})
		if _, _, err := w.runner().Start(t.Context(), g, byPerson("x")); err != nil {
			t.Fatal(err)
		}
		ended, err := w.over(mortal{w.store, l}).Continue(t.Context(), g, "x")
		if errors.Is(err, errKilled) {
			if n > 6 {
				t.Fatalf("begun %d times", n)
			}
			continue
		}
		if ended.State != pipeline.Failed || !strings.Contains(ended.Error, "no process lived to its end") || n != 7 {
			t.Errorf("after %d processes: %s %q, %v", n, ended.State, ended.Error, err)
		}
		return
	}
}

func TestResumeLeavesGraphsThatItWasNotGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.graph(fine)
	if _, _, err := w.runner().Start(t.Context(), g, byPerson("x")); err != nil {
		t.Fatal(err)
	}
	other := *g
	other.Name = "monitor"
	if err := w.runner().Resume(t.Context(), other); err != nil || w.runs(t)[0].State != pipeline.Running {
		t.Errorf("run is %s, %v", w.runs(t)[0].State, err)
	}
	run, err := w.runner().Abandon(t.Context(), "x", "nobody wants it")
	if err != nil || run.State != pipeline.Failed || !strings.Contains(w.runs(t)[0].Error, "nobody wants it") {
		t.Errorf("abandoned: %s %q, %v", run.State, run.Error, err)
	}
	w.finished(t, g, byPerson("x"))
	if run, err := w.runner().Abandon(t.Context(), "x", "too late"); err != nil || run.State != pipeline.Done {
		t.Errorf("abandoned once done: %s, %v, want it to stay", run.State, err)
	}
}

func TestPeopleHearWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := &pipeline.Graph{Name: "fit", Steps: []pipeline.Step{{Name: "fit", Run: func(_ context.Context, c *pipeline.Context) (any, error) {
		c.Progress("rounds", 7, 10)
		return nil, nil
	}}}}
	if _, err := w.runner().Run(t.Context(), g, byPerson("x")); err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Event{
		{State: pipeline.Running},
		{Step: "fit", State: pipeline.Running, Attempt: 1},
		{Step: "fit", State: pipeline.Running, Stage: "rounds", Done: 7, Total: 10},
		{Step: "fit", State: pipeline.Done, Attempt: 1},
		{State: pipeline.Done},
	}
	for i := range want {
		want[i].Run, want[i].Graph, want[i].Fleet = "x", "fit", "laundry"
	}
	if diff := cmp.Diff(want, w.events); diff != "" {
		t.Error(diff)
	}
}

func TestImpossibleRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*pipeline.Request, *pipeline.Graph){
		"no fleet":              func(q *pipeline.Request, _ *pipeline.Graph) { q.Fleet = "" },
		"no kind of reason":     func(q *pipeline.Request, _ *pipeline.Graph) { q.Reason.Kind = "whim" },
		"an id with a slash":    func(q *pipeline.Request, _ *pipeline.Graph) { q.ID = "../x" },
		"an id too long":        func(q *pipeline.Request, _ *pipeline.Graph) { q.ID = strings.Repeat("x", pipeline.MaxIDBytes+1) },
		"parameters in a list":  func(q *pipeline.Request, _ *pipeline.Graph) { q.Params = json.RawMessage(`[1]`) },
		"null parameters":       func(q *pipeline.Request, _ *pipeline.Graph) { q.Params = json.RawMessage(`null`) },
		"two objects":           func(q *pipeline.Request, _ *pipeline.Graph) { q.Params = json.RawMessage(`{} {}`) },
		"a graph without steps": func(_ *pipeline.Request, g *pipeline.Graph) { g.Steps = nil },
		"a graph without name":  func(_ *pipeline.Request, g *pipeline.Graph) { g.Name = "" },
		"two steps of one name": func(_ *pipeline.Request, g *pipeline.Graph) { g.Steps[1].Name = "label" },
	} {
		q, g := byPerson("x"), w.graph(fine)
		change(&q, g)
		if _, err := w.runner().Run(t.Context(), g, q); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v, want ErrInvalid", name, err)
		}
	}
	var into struct{ Horizon string }
	strict := &pipeline.Graph{Name: "strict", Steps: []pipeline.Step{{Name: "a", Run: func(_ context.Context, c *pipeline.Context) (any, error) {
		return nil, c.Params(&into)
	}}}}
	q := byPerson("typo")
	q.Params = json.RawMessage(`{"horizont":"7d"}`)
	if _, err := w.runner().Run(t.Context(), strict, q); !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), "horizont") {
		t.Errorf("a parameter that no step knows: got %v", err)
	}
}
