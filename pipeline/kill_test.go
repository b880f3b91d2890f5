package pipeline_test

import (
	"errors"
	"maps"
	"testing"

	"drumbeat/pipeline"
)

// TestARunThatIsKilledAnywhereEndsAsIfItHadNot kills the process before and
// after every call of the store and every effect of a step, kills the one that
// takes over too, and lets the third live.
func TestARunThatIsKilledAnywhereEndsAsIfItHadNot(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]func(*testing.T, *pipeline.Runner, *pipeline.Graph) error{
		"resumed": func(t *testing.T, r *pipeline.Runner, g *pipeline.Graph) error {
			t.Helper()
			if err := r.Resume(t.Context(), *g); err != nil {
				return err
			}
			_, err := r.Run(t.Context(), g, drift("vibration", begin)) // if it died before there was a run
			return err
		},
		"asked for again": func(t *testing.T, r *pipeline.Runner, g *pipeline.Graph) error {
			t.Helper()
			_, err := r.Run(t.Context(), g, drift("vibration", begin))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			survived := false
			for n := 0; !survived; n++ {
				if n > 200 {
					t.Fatal("a run takes more than 200 calls")
				}
				survived = killed(t, n, again)
			}
		})
	}
}

// killed plays a run whose first process has n calls to live and reports
// whether it survived.
func killed(t *testing.T, n int, again func(*testing.T, *pipeline.Runner, *pipeline.Graph) error) bool {
	t.Helper()
	w := newWorld(t)
	stored := map[string]bool{}
	begunThen := map[string]int{}
	survived := false
	for i, lives := range []int{n, n/2 + 1, 1 << 20} {
		l := &life{left: lives}
		err := again(t, w.over(mortal{w.store, l}), w.graph(l.spend))
		if err != nil && !errors.Is(err, errKilled) || err != nil && i == 2 {
			t.Fatalf("killed after %d calls, process %d: %v", n, i, err)
		}
		survived = survived || i == 0 && err == nil
		for step := range stored {
			if w.begun[step] != begunThen[step] {
				t.Errorf("killed after %d calls: step %s was begun again though it had a result", n, step)
			}
		}
		stored, begunThen = w.results(t), maps.Clone(w.begun)
	}
	runs := w.runs(t)
	if len(runs) != 1 || runs[0].State != pipeline.Done || len(runs[0].Steps) != 3 {
		t.Fatalf("killed after %d calls: runs %+v", n, runs)
	}
	run := w.finished(t, w.graph(fine), drift("vibration", begin))
	for _, step := range []string{"label", "train", "register"} {
		if len(w.effects[step]) != 1 || !w.effects[step][run.ID] {
			t.Errorf("killed after %d calls: step %s has effects %v", n, step, w.effects[step])
		}
	}
	return survived
}
