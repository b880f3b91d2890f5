//go:build real

package e2e_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// The names of the steps that a quickstart must have taken.
var steps = []string{
	"produce", "ingest", "refine", "materialize", "train", "serve", "alert", "finding",
	"drift", "retrain", "shadow", "gate", "promote", "rollback",
}

func TestQuickstartTakesEveryStepAndGoesOnInABrowser(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	report := decode[quickstart](t, drumbeat(t, "quickstart", "--once", "--json", "--dir", dir))
	if !report.OK || len(report.Steps) != len(steps) {
		t.Fatalf("report: ok %v with %d steps, want %d", report.OK, len(report.Steps), len(steps))
	}
	for i, s := range report.Steps {
		t.Logf("%-12s %6.2f s", s.Name, s.Seconds)
		if s.Name != steps[i] || !s.OK || len(s.Faults) > 0 || len(s.Evidence) < 2 {
			t.Errorf("step %d: %s ok=%v faults=%q, want %s with evidence", i, s.Name, s.OK, s.Faults, steps[i])
		}
	}
	checkTraining(t, report.Steps[4].Evidence)
	live := decode[struct {
		HoursLeft   float64 `json:"hours_left"`
		Probability float64 `json:"probability"`
		Opened      int     `json:"alerts_opened_by_then"`
		Needless    int     `json:"needless_by_then"`
	}](t, report.Steps[6].Evidence)
	if live.HoursLeft <= 0 || live.HoursLeft > 7*24 || live.Probability <= 0.45 || live.Needless >= live.Opened {
		t.Errorf("alert: %+v, want one above the threshold for a machine that breaks within the horizon", live)
	}
	checkLoop(t, &report)
	goOn(t, dir)
}

// checkLoop holds the steps of the monitoring loop to what they are for; the
// steps themselves compare with the simulator.
func checkLoop(t *testing.T, r *quickstart) {
	t.Helper()
	drift := decode[struct {
		Flagged  []string `json:"flagged_sensors"`
		Features []struct {
			MadeOf []string `json:"made_of"`
		} `json:"flagged_features"`
	}](t, r.step(t, "drift").Evidence)
	if len(drift.Flagged) != 1 || drift.Flagged[0] != "vibration_hz" || len(drift.Features) == 0 {
		t.Errorf("drift: %+v, want vibration_hz and features made of it", drift)
	}
	type gate struct {
		Passed bool `json:"passed"`
		Rows   []struct {
			Name string `json:"name"`
			OK   bool   `json:"ok"`
		} `json:"rows"`
	}
	gates := decode[struct {
		Honest   gate `json:"challenger"`
		Shuffled gate `json:"control_of_shuffled_labels"`
		Always   gate `json:"control_that_always_alarms"`
	}](t, r.step(t, "gate").Evidence)
	if len(gates.Honest.Rows) < 5 || gates.Shuffled.Passed || gates.Always.Passed {
		t.Errorf("gate: %+v, want a table, and both controls refused", gates)
	}
	for _, name := range []string{"promote", "rollback"} {
		moved := decode[struct {
			Seconds  float64 `json:"seconds_until_serving_followed"`
			Requests int     `json:"requests_meanwhile"`
			Failed   int     `json:"requests_failed"`
		}](t, r.step(t, name).Evidence)
		t.Logf("%s: %+v", name, moved)
		if moved.Failed != 0 || moved.Requests == 0 {
			t.Errorf("%s: %+v, want requests and no failed one", name, moved)
		}
	}
}

// checkTraining holds the report to what an honest one cannot violate.
func checkTraining(t *testing.T, evidence json.RawMessage) {
	t.Helper()
	r := decode[struct {
		Report struct {
			BaseRate float64    `json:"base_rate"`
			PRAUC    float64    `json:"pr_auc"`
			Interval [2]float64 `json:"pr_auc_interval"`
			Single   struct {
				PRAUC float64 `json:"pr_auc"`
			} `json:"best_single_feature"`
			ShuffledROC float64 `json:"shuffled_roc_auc"`
		} `json:"report"`
	}](t, evidence).Report
	t.Logf("PR-AUC %.3f %.3f, base rate %.3f, best single feature %.3f, shuffled ROC %.3f",
		r.PRAUC, r.Interval, r.BaseRate, r.Single.PRAUC, r.ShuffledROC)
	if !(r.BaseRate < r.PRAUC && r.Interval[0] < r.PRAUC && r.PRAUC < r.Interval[1]) {
		t.Errorf("PR-AUC %.3f with interval %.3f and base rate %.3f: out of order", r.PRAUC, r.Interval, r.BaseRate)
	}
	if r.Single.PRAUC > 0.7*r.PRAUC {
		t.Errorf("the best single feature reaches %.3f, more than 0.7 of the model's %.3f", r.Single.PRAUC, r.PRAUC)
	}
	if r.ShuffledROC < 0.4 || r.ShuffledROC > 0.6 {
		t.Errorf("shuffled labels reach a ROC-AUC of %.3f, want about 0.5", r.ShuffledROC)
	}
}

func TestKilledWhileItIngestsNothingIsLostOrDoubled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"quickstart", "--once", "--json", "--until", "materialize", "--machines", "30", "--days", "60", "--dir", dir}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for range 8 {
		cmd := command(t.Context(), t, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if killAfter(t, cmd, time.Duration(random.IntN(1500))*time.Millisecond) {
			killed++
		}
	}
	if killed < 3 {
		t.Fatalf("only %d of 8 runs were killed before their end", killed)
	}
	// The evidence compares every count with the simulator's own.
	report := decode[quickstart](t, drumbeat(t, args...))
	for _, s := range report.Steps {
		if !s.OK {
			t.Errorf("after %d kills, step %s: %q", killed, s.Name, s.Faults)
		}
	}
	if len(report.Steps) != 4 {
		t.Errorf("got %d steps, want 4", len(report.Steps))
	}
}

// killAfter sends SIGKILL after a time and says whether the process was still
// running.
func killAfter(t *testing.T, cmd *exec.Cmd, after time.Duration) bool {
	t.Helper()
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // it may have ended by itself
	defer timer.Stop()
	var ended *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return ended != nil && !ended.Exited()
}
