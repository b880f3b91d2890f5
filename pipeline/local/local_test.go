package local_test

import (
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/pipeline"
	"drumbeat/pipeline/local"
)

func open(t *testing.T, path string) *local.Store {
	t.Helper()
	s, err := local.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func never() pipeline.Moment {
	return pipeline.Moment{Fleet: drumbeat.NoTime, Wall: drumbeat.NoTime}
}

func run(id, graph string, kind pipeline.Kind) *pipeline.Run {
	return &pipeline.Run{
		ID: id, Graph: graph, Fleet: "laundry", Who: "kim", Params: json.RawMessage(`{"a":1}`), State: pipeline.Running,
		Reason:    pipeline.Reason{Kind: kind, Subject: "vibration", Since: 5000, Detail: "4 sd"},
		Requested: pipeline.Moment{Fleet: 1000, Wall: 2000}, Started: never(), Ended: never(),
	}
}

func TestARunIsReadBackAsItWasWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.sqlite")
	s := open(t, path)
	r := run("r-1", "retrain", pipeline.DataDrift)
	if err := s.Insert(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	steps := []pipeline.StepRun{
		{Name: "label", State: pipeline.Done, Attempts: 1, Started: never(), Ended: pipeline.Moment{Fleet: 1, Wall: 2}, Result: json.RawMessage(`{"rows":[1,2]}`)},
		{Name: "fit", Index: 1, State: pipeline.Failed, Attempts: 3, Started: never(), Ended: never(), Error: "no library"},
	}
	for _, i := range []int{1, 0} {
		if err := s.SaveStep(t.Context(), "r-1", &steps[i]); err != nil {
			t.Fatal(err)
		}
	}
	r.State, r.Error, r.Started, r.Ended = pipeline.Failed, "step fit: no library", pipeline.Moment{Fleet: 3, Wall: 4}, pipeline.Moment{Fleet: 5, Wall: 6}
	if err := s.Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	r.Steps = steps
	got, err := s.Run(t.Context(), "r-1")
	if diff := cmp.Diff(*r, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	list, err := s.List(t.Context(), pipeline.Query{})
	r.Steps[0].Result = nil // a list has none
	if diff := cmp.Diff([]pipeline.Run{*r}, list); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := s.Run(t.Context(), "r-2"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("an unknown run: got %v, want ErrNotFound", err)
	}
}

func TestWhatIsDoneNeverChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.sqlite")
	s := open(t, path)
	r := run("r-1", "retrain", pipeline.Schedule)
	step := &pipeline.StepRun{Name: "label", State: pipeline.Done, Result: json.RawMessage(`1`), Started: never(), Ended: never()}
	if err := errors.Join(s.Insert(t.Context(), r), s.SaveStep(t.Context(), "r-1", step)); err != nil {
		t.Fatal(err)
	}
	r.State = pipeline.Done
	if err := s.Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"the run":           s.Update(t.Context(), r),
		"its step":          s.SaveStep(t.Context(), "r-1", step),
		"its id":            s.Insert(t.Context(), r),
		"a run that is not": s.Update(t.Context(), run("r-9", "retrain", pipeline.Schedule)),
	} {
		if !errors.Is(err, drumbeat.ErrConflict) {
			t.Errorf("%s: got %v, want ErrConflict", name, err)
		}
	}
	for _, statement := range []string{`UPDATE runs SET error = 'x'`, `UPDATE steps SET result = '2'`} {
		if err := edit(t, path, statement); err == nil || !strings.Contains(err.Error(), "never changes") {
			t.Errorf("%s: got %v, want it refused", statement, err)
		}
	}
}

func TestOneRunningRunOfAGraphAndFleet(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "runs.sqlite"))
	if err := s.Insert(t.Context(), run("r-1", "retrain", pipeline.Schedule)); err != nil {
		t.Fatal(err)
	}
	if err := s.Insert(t.Context(), run("r-2", "retrain", pipeline.Person)); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a second one: got %v, want ErrConflict", err)
	}
	if err := s.Insert(t.Context(), run("r-2", "monitor", pipeline.Person)); err != nil {
		t.Errorf("of another graph: %v", err)
	}
}

func TestAListIsNarrowed(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "runs.sqlite"))
	for _, r := range []*pipeline.Run{
		run("r-1", "retrain", pipeline.Person), run("r-2", "retrain", pipeline.Schedule), run("r-3", "monitor", pipeline.Schedule),
	} {
		if err := s.Insert(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		if r.ID == "r-1" {
			r.State = pipeline.Failed
			if err := s.Update(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
	}
	reason := run("", "", pipeline.Schedule).Reason
	for name, tc := range map[string]struct {
		q    pipeline.Query
		want []string
	}{
		"everything, the last first": {pipeline.Query{}, []string{"r-3", "r-2", "r-1"}},
		"a graph":                    {pipeline.Query{Graph: "retrain"}, []string{"r-2", "r-1"}},
		"a fleet without runs":       {pipeline.Query{Fleet: "dryers"}, nil},
		"a reason":                   {pipeline.Query{Key: reason.Key(), Fleet: "laundry"}, []string{"r-3", "r-2"}},
		"automatic":                  {pipeline.Query{Automatic: true, Graph: "retrain"}, []string{"r-2"}},
		"not failed":                 {pipeline.Query{Current: true}, []string{"r-3", "r-2"}},
		"failed":                     {pipeline.Query{State: pipeline.Failed}, []string{"r-1"}},
		"at most one":                {pipeline.Query{Limit: 1}, []string{"r-3"}},
	} {
		list, err := s.List(t.Context(), tc.q)
		var got []string
		for i := range list {
			got = append(got, list[i].ID)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
			t.Errorf("%s: %s %v", name, diff, err)
		}
	}
}

func TestANewerFileIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "runs.sqlite")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if err := edit(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := local.Open(t.Context(), path); !errors.Is(err, drumbeat.ErrNewer) || !strings.Contains(err.Error(), "use a newer program") {
		t.Errorf("got %v, want it refused as newer", err)
	}
}

// edit changes the file behind the store's back.
func edit(t *testing.T, path, statement string) error {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	return errors.Join(err, db.Close())
}
