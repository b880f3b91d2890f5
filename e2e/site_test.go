//go:build real

package e2e_test

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// run starts `drumbeat run` in a data folder and returns what stops it; the end
// of the test does so too. Commands find it by its control file.
func run(t *testing.T, dir string) (stop func()) {
	t.Helper()
	return runWith(t, dir)
}

// runWith is run with more flags.
func runWith(t *testing.T, dir string, flags ...string) (stop func()) {
	t.Helper()
	args := append([]string{"run", "--data", dir, "--listen", "127.0.0.1:0"}, flags...)
	cmd := command(context.WithoutCancel(t.Context()), t, args...)
	log := filepath.Join(t.TempDir(), "run.log")
	out, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = sync.OnceFunc(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			text, _ := os.ReadFile(log)
			t.Errorf("drumbeat run ended with %v\n%s", err, text)
		}
		if _, err := os.Stat(filepath.Join(dir, "control.json")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the control file is still there: %v", err)
		}
	})
	t.Cleanup(stop)
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(time.Minute)
	for {
		if _, err := os.Stat(filepath.Join(dir, "control.json")); err == nil {
			return stop
		}
		select {
		case err := <-ended:
			ended <- err
			text, _ := os.ReadFile(log)
			t.Fatalf("drumbeat run ended before it answered: %v\n%s", err, text)
		case <-deadline:
			t.Fatal("drumbeat run did not answer within a minute")
		case <-ticker.C:
		}
	}
}

// small makes a data folder with a small simulated laundry and its first
// champion.
func small(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	drumbeat(t, "quickstart", "--once", "--until", "train", "--machines", "40", "--days", "60", "--dir", dir)
	return dir
}

// modelList is what `drumbeat models --json` says.
type modelList struct {
	Champion int            `json:"champion"`
	Aliases  map[string]int `json:"aliases"`
	Versions []struct {
		Version  int `json:"version"`
		Manifest struct {
			Hash     string   `json:"view_hash"`
			Features []string `json:"features"`
		} `json:"manifest"`
		Files []struct {
			Name   string `json:"name"`
			SHA256 string `json:"sha256"`
		} `json:"files"`
	} `json:"versions"`
	Ledger []struct {
		Alias string `json:"alias"`
		From  int    `json:"from"`
		To    int    `json:"to"`
		Why   string `json:"why"`
	} `json:"ledger"`
}

func TestTwoFleetsInOneProcessAnswerTheSameCommands(t *testing.T) {
	dir := small(t)
	proposed := filepath.Join(t.TempDir(), "proposed")
	drumbeat(t, "init", "--from", azure(t), "--out", proposed, "--name", "milling")
	drumbeat(t, "import", "--fleet", proposed, "--from", azure(t), "--data", dir)
	drumbeat(t, "train", "--fleet", "milling", "--data", dir, "--promote-first")
	run(t, dir)

	for _, fleet := range []string{"laundry", "milling"} {
		models := decode[modelList](t, drumbeat(t, "models", "--data", dir, "--fleet", fleet, "--json"))
		if models.Champion != 1 || len(models.Ledger) != 1 {
			t.Errorf("%s: champion %d with %d ledger rows, want version 1 and one row", fleet, models.Champion, len(models.Ledger))
		}
		monitored := decode[struct {
			State string `json:"state"`
		}](t, drumbeat(t, "monitor", "--data", dir, "--fleet", fleet, "--run", "by-hand-"+fleet, "--json"))
		if monitored.State != "done" {
			t.Errorf("%s: monitoring is %s, want done", fleet, monitored.State)
		}
	}
	// Version 1 of the milling fleet was tested until the end of its file, so
	// nothing has come after its data: that is said.
	if text := refused(t, "evaluate", "--data", dir, "--fleet", "milling"); !strings.Contains(text, "holds no time") {
		t.Errorf("evaluate: %s, want that nothing came after", text)
	}
	later := decode[struct {
		Steps []struct {
			Result struct {
				LiveRows int    `json:"live_rows"`
				Sentence string `json:"sentence"`
			} `json:"result"`
		} `json:"steps"`
	}](t, drumbeat(t, "evaluate", "--data", dir, "--fleet", "milling", "--from", "2015-10-01T00:00:00Z", "--until", "2015-12-01T00:00:00Z", "--json"))
	if len(later.Steps) != 1 || later.Steps[0].Result.LiveRows == 0 || !strings.Contains(later.Steps[0].Result.Sentence, "alerts right") {
		t.Errorf("evaluate: %+v, want measures with their price", later)
	}
	status := decode[struct {
		Running bool `json:"running"`
		Fleets  []struct {
			Fleet string `json:"fleet"`
		} `json:"fleets"`
	}](t, said(t, "status", "--data", dir, "--json"))
	if !status.Running || len(status.Fleets) != 2 {
		t.Errorf("status: %+v, want two fleets that run", status)
	}
	// Without a fleet's name a command says which there are.
	if text := refused(t, "models", "--data", dir); !strings.Contains(text, "laundry") || !strings.Contains(text, "milling") {
		t.Errorf("models without --fleet: %s, want both names", text)
	}
	// The run of the same id is the same run; another's parameters are refused.
	again := decode[struct {
		Run string `json:"run"`
	}](t, drumbeat(t, "monitor", "--data", dir, "--fleet", "milling", "--run", "by-hand-milling", "--json"))
	if again.Run != "by-hand-milling" {
		t.Errorf("asked again: run %s", again.Run)
	}
}

func TestAModelOfAnotherViewIsShadowedPromotedAndRolledBackWithoutARestart(t *testing.T) {
	dir := small(t)
	features := filepath.Join(dir, "fleets", "laundry", "features.yaml")
	text, err := os.ReadFile(features)
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, "  - {name: power_max_1d, of: power_kw, agg: max, window: 1d}\n"...)
	if err := os.WriteFile(features, text, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := run(t, dir)
	drumbeat(t, "backfill", "--data", dir)
	drumbeat(t, "train", "--data", dir, "--why", "a feature more")
	models := decode[modelList](t, drumbeat(t, "models", "--data", dir, "--json"))
	if models.Champion != 1 || models.Aliases["challenger"] != 2 || len(models.Versions) != 2 {
		t.Fatalf("models: %+v, want champion 1 and challenger 2", models)
	}
	old, next := models.Versions[0].Manifest, models.Versions[1].Manifest
	if old.Hash == next.Hash || !slices.Contains(next.Features, "power_max_1d") || slices.Contains(old.Features, "power_max_1d") {
		t.Errorf("views %s and %s: want the new one to have the new feature", old.Hash, next.Hash)
	}
	if text := refused(t, "models", "promote", "--data", dir, "2"); !strings.Contains(text, "failures") {
		t.Errorf("promotion without evidence: %s, want what is missing", text)
	}
	drumbeat(t, "models", "promote", "--data", dir, "2", "--override", "the test wants to see it serve")
	if got := decode[modelList](t, drumbeat(t, "models", "--data", dir, "--json")); got.Champion != 2 || got.Aliases["challenger"] != 0 {
		t.Errorf("after the promotion: %+v", got.Aliases)
	}
	for range 2 { // the same run rolls back once
		drumbeat(t, "models", "rollback", "--data", dir, "--why", "seen", "--run", "back")
	}
	got := decode[modelList](t, drumbeat(t, "models", "--data", dir, "--json"))
	if last := got.Ledger[len(got.Ledger)-1]; got.Champion != 1 || last.From != 2 || last.To != 1 {
		t.Errorf("after the rollback: champion %d, last row %+v", got.Champion, last)
	}
	stop()
	loseChampion(t, dir, &got)
}

// loseChampion deletes the champion's trees by hand: after a restart the last
// good champion serves, and the doctor says what is missing.
func loseChampion(t *testing.T, dir string, models *modelList) {
	t.Helper()
	for _, file := range models.Versions[0].Files {
		if file.Name == "model.ubj" {
			if err := os.Remove(filepath.Join(dir, "objects", "models", file.SHA256)); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, dir)
	text := string(said(t, "doctor", "--data", dir))
	if !strings.Contains(text, "version 2, the last good one, keeps serving") {
		t.Errorf("doctor does not say that version 2 keeps serving:\n%s", text)
	}
}

// said returns what a command prints, whatever its exit code.
func said(t *testing.T, args ...string) []byte {
	t.Helper()
	text, err := command(t.Context(), t, args...).Output()
	if ended := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ended) {
		t.Fatal(err)
	}
	return text
}

// refused runs a command that must fail, and returns what it said.
func refused(t *testing.T, args ...string) string {
	t.Helper()
	text, err := command(t.Context(), t, args...).CombinedOutput()
	if err == nil {
		t.Fatalf("drumbeat %q succeeded: %s", args, text)
	}
	return string(text)
}

func TestATrainingKilledAnywhereMakesOneModel(t *testing.T) {
	dir := small(t)
	args := []string{"train", "--data", dir, "--run", "next", "--why", "it is killed again and again", "--json"}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	killed := 0
	for range 6 {
		cmd := command(t.Context(), t, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if killAfter(t, cmd, time.Duration(300+random.IntN(2500))*time.Millisecond) {
			killed++
		}
	}
	made := decode[struct {
		Version int    `json:"version"`
		Run     string `json:"run"`
	}](t, drumbeat(t, args...))
	if made.Version != 2 || made.Run != "next" {
		t.Errorf("after %d kills: %+v, want version 2 of run next", killed, made)
	}
	models := decode[modelList](t, drumbeat(t, "models", "--data", dir, "--json"))
	if len(models.Versions) != 2 || models.Aliases["challenger"] != 2 || len(models.Ledger) != 2 {
		t.Errorf("after %d kills: %d versions, aliases %v, %d ledger rows; want 2, the challenger and 2",
			killed, len(models.Versions), models.Aliases, len(models.Ledger))
	}
}
