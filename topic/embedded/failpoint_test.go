//go:build failpoint

package embedded_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestTransactionsKilledAtEachStepAreWhole(t *testing.T) {
	for _, name := range []string{"topic.txn_sent", "topic.txn_staged", "topic.txn_committed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			acknowledged := map[string]bool{}
			for _, pass := range []string{":1", ":7"} {
				cmd := exec.CommandContext(t.Context(), os.Args[0])
				cmd.Env = append(os.Environ(), childDir+"="+dir, childWay+"=transactions", "DRUMBEAT_FAILPOINT="+name+pass)
				var said bytes.Buffer
				cmd.Stdout, cmd.Stderr = &said, t.Output()
				if err := cmd.Run(); err == nil || err.Error() != "signal: killed" {
					t.Fatalf("want a child that is killed at %s%s, got %v", name, pass, err)
				}
				for line := range strings.Lines(said.String()) {
					acknowledged[strings.TrimSpace(line)] = true
				}
			}
			wholeTransactions(t, dir, acknowledged)
		})
	}
}
