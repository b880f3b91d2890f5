package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"drumbeat/fleets"
)

func TestAFolderOfOneFleetIsBroughtToTheNewLayout(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range fleetFileNames {
		text, err := fs.ReadFile(fleets.FS(), "laundry/"+name)
		if err != nil {
			t.Fatal(err)
		}
		write(filepath.Join("fleet", name), text)
	}
	write("alerts.sqlite-wal", []byte("kept"))
	write(headFile, []byte(`{"format":1,"fleet":"laundry","sim":{"seed":7,"machines":3,"start":"2026-03-02T00:00:00Z","days":35}}`))

	// A crash in the middle left one file moved and the head as it was.
	home := filepath.Join(dir, fleetsDir, "laundry")
	if err := os.MkdirAll(home, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "fleet", "fleet.yaml"), filepath.Join(home, "fleet.yaml")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // opened again it is what it is
		f, err := openFolder(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(f.head.Fleets) != 1 || f.head.Fleets[0].Name != "laundry" || f.head.Fleets[0].Sim.Seed != 7 || f.head.Format != folderFormat {
			t.Errorf("head: %+v", f.head)
		}
		for _, name := range append([]string{"alerts.sqlite-wal"}, fleetFileNames...) {
			if _, err := os.Stat(filepath.Join(home, name)); err != nil {
				t.Error(err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
