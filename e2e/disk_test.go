//go:build real

package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// smallDisk mounts a disk of so many KiB, which needs root, and returns the
// folder and what makes it larger.
func smallDisk(t *testing.T, kib int) (dir string, grow func(kib int)) {
	t.Helper()
	dir = t.TempDir()
	mount := func(args ...string) {
		t.Helper()
		if text, err := exec.CommandContext(t.Context(), "mount", args...).CombinedOutput(); err != nil {
			t.Fatalf("mount %q, which needs root: %v\n%s", args, err, text)
		}
	}
	mount("-t", "tmpfs", "-o", fmt.Sprintf("size=%dk", kib), "tmpfs", dir)
	t.Cleanup(func() {
		if text, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, text)
		}
	})
	return dir, func(kib int) { t.Helper(); mount("-o", fmt.Sprintf("remount,size=%dk", kib), dir) }
}

// TestAFullDiskLosesAndDoublesNothing plays the way from the topic to gold on
// a disk that is full again and again, and grows a little each time.
func TestAFullDiskLosesAndDoublesNothing(t *testing.T) {
	_, whole := playOnce(t, filepath.Join(t.TempDir(), "data"), "", 0)
	want := sums(t, &whole)
	disk, grow := smallDisk(t, 400)
	dir := filepath.Join(disk, "data")
	full := 0
	for kib := 400; ; kib += kib / 8 {
		grow(kib)
		broken, words := playBroken(t, dir)
		if !broken {
			break
		}
		if !strings.Contains(words, "no space left on device") && !strings.Contains(words, "disk is full") {
			t.Errorf("%d KiB: it does not say that the disk is full:\n%s", kib, words)
		}
		full++
		if kib > 1<<20 {
			t.Fatalf("%d KiB are not enough:\n%s", kib, words)
		}
	}
	if full < 5 {
		t.Errorf("the disk was full %d times only", full)
	}
	grow(1 << 20)
	again := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(again, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	_, report := playOnce(t, again, "", 0)
	if got := sums(t, &report); got != want {
		t.Errorf("full %d times:\n got %s\nwant %s", full, got, want)
	}
	t.Logf("full %d times: lost 0, doubled 0 (%s)", full, want)
}
