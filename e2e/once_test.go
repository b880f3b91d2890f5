//go:build real

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"drumbeat/objstore/s3test"
)

// fragile builds drumbeat with its failpoints.
var fragile = sync.OnceValues(func() (string, error) {
	path, err := binary()
	if err != nil {
		return "", err
	}
	return build(path+"-failpoint", "failpoint")
})

// failpoints returns the name of every place where the source can be killed.
func failpoints(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || d.Name() == ".git") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || f.Sel.Name != "Here" || len(call.Args) != 1 {
				return true
			}
			if of, ok := f.X.(*ast.Ident); !ok || of.Name != "failpoint" {
				return true
			}
			literal, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				t.Errorf("%s: a failpoint's name is no literal", path)
				return true
			}
			name, err := strconv.Unquote(literal.Value)
			if err != nil || slices.Contains(names, name) {
				t.Errorf("%s: failpoint %s: want a name that stands once: %v", path, literal.Value, err)
			}
			names = append(names, name)
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// playing is the command that plays a small laundry from the simulator to gold.
func playing(ctx context.Context, t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	path, err := fragile()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(ctx, path, "quickstart", "--once", "--json", "--until", "materialize",
		"--machines", "5", "--days", "35", "--dir", dir)
}

// playBroken plays, and says whether the play ended by an error of its own, and
// with which words: a kill or a hang fails the test.
func playBroken(t *testing.T, dir string) (broken bool, words string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := playing(ctx, t, dir)
	var said strings.Builder
	cmd.Stderr = &said
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && (!ok || exit.ExitCode() < 0) {
		t.Fatalf("%v\n%s", err, said.String())
	}
	return err != nil, said.String()
}

// playOnce plays a small laundry from the simulator through topic, bronze and
// silver to gold. Each step compares what it holds with what the simulator
// sent, fate by fate, and fails on any difference. kill ends it from outside
// after a while; 0 lets it end by itself.
func playOnce(t *testing.T, dir, failpoint string, kill time.Duration) (killed bool, report quickstart) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := playing(ctx, t, dir)
	cmd.Env = append(os.Environ(), "DRUMBEAT_FAILPOINT="+failpoint)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if kill > 0 {
		timer := time.AfterFunc(kill, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL && ctx.Err() == nil {
			return true, report
		}
	}
	if err != nil {
		t.Fatalf("failpoint %q: %v\n%s\n%s", failpoint, err, stderr.String(), stdout.String())
	}
	if err := json.Unmarshal([]byte(stdout.String()), &report); err != nil {
		t.Fatal(err)
	}
	return false, report
}

// sums returns what a report says of the items: sent, in bronze, dead, and the
// fates (T8).
func sums(t *testing.T, report *quickstart) string {
	t.Helper()
	produced := decode[struct {
		Items   int64 `json:"items"`
		Records int64 `json:"records"`
		InTopic int64 `json:"records_in_topic"`
	}](t, report.step(t, "produce").Evidence)
	ingested := decode[struct {
		Bronze int64            `json:"bronze_rows"`
		Dead   map[string]int64 `json:"dead_letters"`
		Added  int64            `json:"rows_added_by_the_replay"`
	}](t, report.step(t, "ingest").Evidence)
	refined := decode[struct {
		Items  int64            `json:"items"`
		ByFate map[string]int64 `json:"items_by_fate"`
	}](t, report.step(t, "refine").Evidence)
	dead, fates := int64(0), int64(0)
	for _, n := range ingested.Dead {
		dead += n
	}
	for _, n := range refined.ByFate {
		fates += n
	}
	if produced.Items != ingested.Bronze+dead || ingested.Added != 0 || refined.Items != produced.Items || fates != produced.Items {
		t.Errorf("T8: %d items sent, %d in bronze and %d dead letters, %d rows added by a replay, %d items with %d fates",
			produced.Items, ingested.Bronze, dead, ingested.Added, refined.Items, fates)
	}
	return fmt.Sprintf("items %d, bronze %d, dead %v, fates %v", produced.Items, ingested.Bronze, ingested.Dead, refined.ByFate)
}

// elsewhere are the failpoints that this test's way does not pass, by the
// package whose tests, built with the tag failpoint, kill there.
var elsewhere = map[string]string{
	"delta.checkpoint": "delta", "delta.checkpoint_stored": "delta", "delta.hint_deleted": "delta", "delta.hint_stored": "delta",
	"delta.vacuumed": "delta", "delta.log_cleaned": "delta",
	"topic.once_sent": "topic/embedded", "topic.txn_sent": "topic/embedded", "topic.txn_staged": "topic/embedded", "topic.txn_committed": "topic/embedded",
}

// onS3 makes a data folder whose lake is in a bucket.
func onS3(t *testing.T, endpoint, prefix string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	t.Setenv("DRUMBEAT_TEST_KEY", s3test.AccessKey)
	t.Setenv("DRUMBEAT_TEST_SECRET", s3test.SecretKey)
	text := fmt.Sprintf("objects:\n  s3: {endpoint: '%s', bucket: %s, prefix: %s, path_style: true, access_key_env: DRUMBEAT_TEST_KEY, secret_key_env: DRUMBEAT_TEST_SECRET}\n",
		endpoint, s3test.Bucket, prefix)
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestKilledAtEachStepOfACommitNothingIsLostOrDoubled(t *testing.T) {
	_, whole := playOnce(t, filepath.Join(t.TempDir(), "data"), "", 0)
	want := sums(t, &whole)
	t.Logf("undisturbed: %s", want)
	endpoint := s3test.Start(t)
	for _, name := range failpoints(t) {
		if by := elsewhere[name]; by != "" {
			t.Logf("%-32s killed by the tests of %s", name, by)
			continue
		}
		dir, kills := filepath.Join(t.TempDir(), "data"), 0
		if strings.HasPrefix(name, "s3.") {
			dir = onS3(t, endpoint, name)
		}
		// Killed at the first pass, gone on with, killed at the fifth, gone on with.
		for _, pass := range []string{":1", ":5"} {
			if killed, _ := playOnce(t, dir, name+pass, 0); killed {
				kills++
			}
		}
		killed, report := playOnce(t, dir, "", 0)
		if killed {
			t.Fatalf("%s: killed without a failpoint", name)
		}
		if got := sums(t, &report); got != want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		if kills == 0 {
			t.Errorf("%s is never passed: name the test that does in elsewhere", name)
		}
		t.Logf("%-32s killed %d times: lost 0, doubled 0", name, kills)
	}
}

func TestKilledAtRandomNothingIsLostOrDoubled(t *testing.T) {
	_, whole := playOnce(t, filepath.Join(t.TempDir(), "data"), "", 0)
	want := sums(t, &whole)
	length := 20 * time.Second
	if text := os.Getenv("DRUMBEAT_SOAK"); text != "" {
		var err error
		if length, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d for %s", seed, length)
	began := time.Now()
	kills, ended := 0, 0
	for time.Since(began) < length {
		dir := filepath.Join(t.TempDir(), "data")
		for {
			longest := 100 + random.IntN(1500)
			killed, report := playOnce(t, dir, "", time.Duration(longest)*time.Millisecond)
			if killed {
				kills++
				continue
			}
			if got := sums(t, &report); got != want {
				t.Errorf("after %d kills:\n got %s\nwant %s", kills, got, want)
			}
			ended++
			break
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills in %d folders: lost 0, doubled 0 (%s)", kills, ended, want)
	if kills == 0 {
		t.Error("nothing was killed")
	}
}
