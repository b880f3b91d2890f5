package xgboost_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/train/xgboost"
)

func TestALibraryThatIsNowhereIsToldWithTheWayToGetIt(t *testing.T) {
	t.Parallel()
	cache := t.TempDir()
	l, err := xgboost.Find(xgboost.Places{Executable: t.TempDir(), Cache: cache})
	if err == nil {
		t.Logf("the system has %s %s", l.Path(), l.Version())
		return
	}
	for _, want := range []string{cache, "pip download", xgboost.Wheel} {
		if !errors.Is(err, drumbeat.ErrNotFound) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}

func TestANamedLibraryIsTheOnlyOneTried(t *testing.T) {
	t.Parallel()
	named := filepath.Join(t.TempDir(), "absent.so")
	_, err := xgboost.Find(xgboost.Places{Explicit: named})
	if !errors.Is(err, drumbeat.ErrNotFound) || !strings.Contains(err.Error(), named) {
		t.Errorf("got %v", err)
	}
}

func TestAFileThatIsNoLibraryIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "xgboost", "lib", "libxgboost.so")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("not a library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, places := range []xgboost.Places{{Explicit: path}, {Executable: dir}, {Cache: dir}} {
		_, err := xgboost.Find(places)
		if !errors.Is(err, drumbeat.ErrInvalid) || !strings.Contains(err.Error(), path) {
			t.Errorf("%+v: got %v", places, err)
		}
	}
}
