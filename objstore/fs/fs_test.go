package fs_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/objstore/fs"
	"drumbeat/objstore/objstoretest"
)

func open(t *testing.T, folder string) *fs.Store {
	t.Helper()
	store, err := fs.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func TestStore(t *testing.T) {
	objstoretest.Run(t, func(t *testing.T) objstore.Store {
		return open(t, filepath.Join(t.TempDir(), "new", "folder"))
	})
}

func TestTwoStoresOnOneFolderShareTheirBlobs(t *testing.T) {
	folder := t.TempDir()
	one, two := open(t, folder), open(t, folder)
	if err := one.Create(t.Context(), "a/b", []byte("1")); err != nil {
		t.Fatal(err)
	}
	if err := two.Create(t.Context(), "a/b", []byte("2")); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("create in the second store: %v, want a conflict", err)
	}
	if got, err := two.Read(t.Context(), "a/b"); err != nil || string(got) != "1" {
		t.Fatalf("read %q, %v", got, err)
	}
}

func TestNothingIsLeftInTheFolderForTemporaryFiles(t *testing.T) {
	folder := t.TempDir()
	store := open(t, folder)
	for range 2 { // the second is a conflict
		_ = store.Create(t.Context(), "a/b", []byte("1"))
	}
	left, err := os.ReadDir(filepath.Join(folder, ".tmp"))
	if err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestOpenRemovesWhatACrashedProcessLeft(t *testing.T) {
	folder := t.TempDir()
	open(t, folder)
	old, recent := filepath.Join(folder, ".tmp", "old"), filepath.Join(folder, ".tmp", "recent")
	for _, name := range []string{old, recent} {
		if err := os.WriteFile(name, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	past := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(old, past, past); err != nil {
		t.Fatal(err)
	}
	store := open(t, folder)
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old temporary file is still there: %v", err)
	}
	if _, err := os.Stat(recent); err != nil {
		t.Errorf("a file that may be in use is gone: %v", err)
	}
	for entry, err := range store.List(t.Context(), "", "") {
		t.Errorf("a temporary file is listed: %v, %v", entry, err)
	}
}

func TestALinkOutOfTheFolderIsNotFollowed(t *testing.T) {
	outside, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("s"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "out")); err != nil {
		t.Fatal(err)
	}
	store := open(t, folder)
	if body, err := store.Read(t.Context(), "out/secret"); err == nil {
		t.Errorf("read %q from outside", body)
	}
	if err := store.Create(t.Context(), "out/new", nil); err == nil {
		t.Error("created a blob outside")
	}
}

func TestOpenOnAFileSaysWhat(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.Open(file); err == nil {
		t.Error("opened a file as a folder")
	}
}

// raceFolder names the folder in which a second process, this test binary
// again, races the first.
const raceFolder = "DRUMBEAT_TEST_RACE"

const raceKeys = 200

// raceAlone creates every key that nobody else has, and returns those that it
// won.
func raceAlone(t *testing.T, folder, who string) map[string]bool {
	t.Helper()
	won := map[string]bool{}
	store := open(t, folder)
	for k := range raceKeys {
		key := fmt.Sprintf("log/%020d.json", k)
		switch err := store.Create(t.Context(), key, []byte(who)); {
		case err == nil:
			won[key] = true
		case !errors.Is(err, drumbeat.ErrConflict):
			t.Error(err)
		}
	}
	return won
}

func TestChildRaces(t *testing.T) {
	folder := os.Getenv(raceFolder)
	if folder == "" {
		return // started by nobody
	}
	for key := range raceAlone(t, folder, "child") {
		fmt.Println("won", key)
	}
}

func TestOfTwoProcessesOneWinsEachKey(t *testing.T) {
	folder := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildRaces$")
	cmd.Env = append(os.Environ(), raceFolder+"="+folder)
	var said strings.Builder
	cmd.Stdout = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	won := raceAlone(t, folder, "parent")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	theirs := strings.Count(said.String(), "won ")
	if len(won)+theirs != raceKeys {
		t.Errorf("%d and %d keys were won of %d", len(won), theirs, raceKeys)
	}
	store := open(t, folder)
	for k := range raceKeys {
		key := fmt.Sprintf("log/%020d.json", k)
		body, err := store.Read(t.Context(), key)
		if err != nil || (string(body) == "parent") != won[key] {
			t.Fatalf("%s holds %q, %v; won by the parent: %v", key, body, err, won[key])
		}
	}
}

func TestOfSixteenWritersOneWins(t *testing.T) {
	folder := t.TempDir()
	var stores []objstore.Store
	for range 16 {
		stores = append(stores, open(t, folder))
	}
	objstoretest.Race(t, stores, 200, 2000)
	objstoretest.Race(t, stores[:6], 3, 6<<20)
}
