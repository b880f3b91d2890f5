//go:build real

package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// exported returns a table's rows as lines of CSV, sorted: partitions may
// interleave otherwise.
func exported(t *testing.T, dir, table string) string {
	t.Helper()
	lines := strings.SplitAfter(string(drumbeat(t, "lake", "export", "--data", dir, table, "--to", "-", "--format", "csv")), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// madeAt returns when a table's first version was made.
func madeAt(t *testing.T, dir, table string) string {
	t.Helper()
	history := decode[[]struct {
		Version int64     `json:"version"`
		At      time.Time `json:"at"`
	}](t, drumbeat(t, "lake", "history", "--data", dir, "--json", "--limit", "1000", table))
	if len(history) < 2 || history[len(history)-1].Version != 0 {
		t.Fatalf("history of %s: %+v", table, history)
	}
	return history[len(history)-1].At.Format(time.RFC3339Nano)
}

func TestATableIsRestoredAndMadeAgainTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	drumbeat(t, "quickstart", "--once", "--until", "materialize", "--machines", "5", "--days", "35", "--dir", dir)
	tables := []string{"bronze", "dead_letters", "silver/readings", "silver/aside", "silver/entries", "silver/machines"}
	before := map[string]string{}
	for _, table := range tables {
		before[table] = exported(t, dir, table)
	}
	for _, group := range []string{"silver", "bronze"} {
		first := map[string]string{"silver": "silver/readings", "bronze": "bronze"}[group]
		drumbeat(t, "lake", "restore", "--data", dir, group, "--at", madeAt(t, dir, first))
		if rows := strings.Count(exported(t, dir, first), "\n"); rows != 1 {
			t.Errorf("%s has %d lines after it was restored to its beginning", first, rows)
		}
		drumbeat(t, "refine", "--data", dir) // through the topic, bronze and silver
		for _, table := range tables {
			if after := exported(t, dir, table); after != before[table] {
				t.Errorf("%s restored and made again: table %s differs (%d bytes, %d before)", group, table, len(after), len(before[table]))
			}
		}
	}
	if text := refused(t, "lake", "restore", "--data", dir, "silver"); !strings.Contains(text, "--version or --at") {
		t.Errorf("restore to nothing: %s", text)
	}
	drumbeat(t, "lake", "compact", "--data", dir)
	drumbeat(t, "lake", "vacuum", "--data", dir, "--keep", "30m")
	if text := refused(t, "lake", "vacuum", "--data", dir, "--keep", "1m"); !strings.Contains(text, "readers need at least") {
		t.Errorf("vacuum below the least: %s", text)
	}
	run(t, dir)
	if text := refused(t, "lake", "restore", "--data", dir, "silver", "--version", "0"); !strings.Contains(text, "another drumbeat works in it") {
		t.Errorf("restore beside a daemon: %s", text)
	}
	if got := exported(t, dir, "silver/machines"); got != before["silver/machines"] {
		t.Error("a table reads otherwise beside a daemon")
	}
}

func TestVerifyNamesWhatIsDamaged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	drumbeat(t, "quickstart", "--once", "--until", "refine", "--machines", "5", "--days", "35", "--dir", dir)
	drumbeat(t, "lake", "verify", "--data", dir)
	files, err := filepath.Glob(filepath.Join(dir, "objects", "laundry", "silver", "readings", "*.parquet"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	body, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(body)
	flipped[len(flipped)/2] ^= 4
	if err := os.WriteFile(files[0], flipped, 0o600); err != nil {
		t.Fatal(err)
	}
	if text := refused(t, "lake", "verify", "--data", dir); !strings.Contains(text, filepath.Base(files[0])) || !strings.Contains(text, "checksum") {
		t.Errorf("a flipped bit: %s", text)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	if text := refused(t, "lake", "verify", "--data", dir, "silver/readings"); !strings.Contains(text, filepath.Base(files[0])) || !strings.Contains(text, "not in the store") {
		t.Errorf("a missing file: %s", text)
	}
}
