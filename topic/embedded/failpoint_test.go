//go:build failpoint

package embedded_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"drumbeat/topic"
)

// killedAt runs a child that is killed at a failpoint, and returns what it
// said.
func killedAt(t *testing.T, dir, way, failpoint string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childWay+"="+way, "DRUMBEAT_FAILPOINT="+failpoint)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, t.Output()
	if err := cmd.Run(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("want a child that is killed at %s, got %v", failpoint, err)
	}
	return said.String()
}

func TestTransactionsKilledAtEachStepAreWhole(t *testing.T) {
	for _, name := range []string{"topic.txn_sent", "topic.txn_staged", "topic.txn_committed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			acknowledged := map[string]bool{}
			for _, pass := range []string{":1", ":7"} {
				for line := range strings.Lines(killedAt(t, dir, "transactions", name+pass)) {
					acknowledged[strings.TrimSpace(line)] = true
				}
			}
			wholeTransactions(t, dir, acknowledged)
		})
	}
}

func TestAWriterWithoutTransactionsKilledBetweenItsStepsDoublesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, pass := range []string{":1", ":7", ":3"} {
		killedAt(t, dir, "once", "topic.once_sent"+pass)
	}
	const all = 40
	b := open(t, dir)
	if err := writeOnce(t.Context(), b, all); err != nil {
		t.Fatal(err)
	}
	ends, err := topic.Ends(t.Context(), b.Config(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, end := range ends {
		total += int(end)
	}
	seen := map[string]bool{}
	for _, r := range readAll(t, b.Config(), topic.Topic{Name: "laundry", Partitions: 3}, total) {
		seen[string(r.Value)] = true
	}
	if total != 10*all || len(seen) != 10*all {
		t.Errorf("%d records, %d different ones, want %d", total, len(seen), 10*all)
	}
}
