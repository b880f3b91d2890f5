//go:build real

// Package e2e_test plays the whole way: the real binary, its files, its
// listener, as a person would use it.
package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// binary builds drumbeat once and returns its path.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "drumbeat-e2e-")
	if err != nil {
		return "", err
	}
	return build(filepath.Join(dir, "drumbeat"), "")
})

// build builds drumbeat with the tags at a path, which it returns.
func build(path, tags string) (string, error) {
	cmd := exec.Command("go", "build", "-tags", tags, "-o", path, "drumbeat/cmd/drumbeat")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build drumbeat with tags %q: %w\n%s", tags, err, text)
	}
	return path, nil
}

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// drumbeat runs a command to its end and returns its standard output.
func drumbeat(t *testing.T, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := command(ctx, t, args...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("drumbeat %q: %v\n%s\n%s", args, err, stderr.Bytes(), stdout.Bytes())
	}
	return stdout.Bytes()
}

func command(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	return exec.CommandContext(ctx, path, args...)
}

// decode reads a JSON document.
func decode[T any](t *testing.T, text []byte) T {
	t.Helper()
	var value T
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("read %.200s: %v", text, err)
	}
	return value
}

// step is one step of quickstart's report.
type step struct {
	Name     string          `json:"name"`
	OK       bool            `json:"ok"`
	Seconds  float64         `json:"seconds"`
	Evidence json.RawMessage `json:"evidence"`
	Faults   []string        `json:"faults"`
}

type quickstart struct {
	OK      bool    `json:"ok"`
	Seconds float64 `json:"seconds"`
	Steps   []step  `json:"steps"`
}

// step returns the named step of the report.
func (q *quickstart) step(t *testing.T, name string) *step {
	t.Helper()
	for i := range q.Steps {
		if q.Steps[i].Name == name {
			return &q.Steps[i]
		}
	}
	t.Fatalf("the report has no step %s", name)
	return nil
}
