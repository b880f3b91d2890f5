package fleets_test

import (
	"io/fs"
	"os"
	"testing"

	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
)

func TestEveryReadyFolderLoads(t *testing.T) {
	folders, err := fs.ReadDir(fleets.FS(), ".")
	if err != nil {
		t.Fatal(err)
	}
	if len(folders) != 3 {
		t.Errorf("got %d folders, want 3", len(folders))
	}
	for _, folder := range folders {
		t.Run(folder.Name(), func(t *testing.T) {
			f, err := fleet.Load(fleets.FS(), folder.Name())
			if err != nil {
				t.Fatal(err)
			}
			if string(f.Name) != folder.Name() {
				t.Errorf("got the fleet %s in the folder %s", f.Name, folder.Name())
			}
			v, err := feature.LoadView(fleets.FS(), folder.Name(), f)
			if err != nil {
				t.Fatal(err)
			}
			if len(v.Features) < 25 {
				t.Errorf("got %d features, want at least 25", len(v.Features))
			}
		})
	}
}

func TestAFleetThatSharesNothingWithTheReadyOnesNeedsNoCode(t *testing.T) {
	folder := os.DirFS("../e2e/testdata/hard-disks")
	f, err := fleet.Load(folder, ".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := feature.LoadView(folder, ".", f); err != nil {
		t.Fatal(err)
	}
}
