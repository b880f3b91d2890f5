//go:build failpoint

package delta_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"drumbeat/objstore/fs"

	"github.com/google/go-cmp/cmp"
)

const childTable = "DRUMBEAT_TEST_TABLE"

// TestChildLooksAfterATable is what the other test starts and kills.
func TestChildLooksAfterATable(t *testing.T) {
	dir := os.Getenv(childTable)
	if dir == "" {
		return
	}
	store, err := fs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := lookAfter(t, store, &clock{at: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

func TestATableKilledAtEachStepOfMaintenanceLosesAndDoublesNothing(t *testing.T) {
	for _, name := range []string{
		"delta.commit", "delta.committed", "delta.checkpoint", "delta.checkpoint_stored", "delta.hint_deleted",
		"delta.hint_stored", "delta.vacuumed", "delta.log_cleaned",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			child := func(failpoint string) error {
				cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildLooksAfterATable$")
				cmd.Env = append(os.Environ(), childTable+"="+dir, "DRUMBEAT_FAILPOINT="+failpoint)
				return cmd.Run()
			}
			for _, pass := range []string{":1", ":3"} {
				if err := child(name + pass); err == nil && pass == ":1" || err != nil && err.Error() != "signal: killed" {
					t.Fatalf("want a child that is killed at %s%s, got %v", name, pass, err)
				}
			}
			if err := child(""); err != nil {
				t.Fatal(err)
			}
			store, err := fs.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if diff := cmp.Diff(upTo(11), offsets(t, openAt(t, store, newClock()).Snapshot())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
