package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
)

// folderFormat is the version of a data folder's layout
// (docs/format/folder.md).
const folderFormat = 1

// folder is a data folder: one fleet's data and the files that describe it.
// One process at a time holds it.
type folder struct {
	dir  string
	lock *os.File
	head folderHead
	def  *fleet.Fleet
	view *feature.View
}

// folderHead is drumbeat.json, which says what the folder is.
type folderHead struct {
	Format int                `json:"format"`
	Fleet  drumbeat.FleetName `json:"fleet"`
	// Sim is how the folder's fleet is simulated, nil if it is real.
	Sim *simHead `json:"sim,omitempty"`
}

// simHead is what a simulator needs to go on.
type simHead struct {
	Seed     uint64        `json:"seed"`
	Machines int           `json:"machines"`
	Start    drumbeat.Time `json:"start"`
	Days     int           `json:"days"` // of history before live play
}

// The names inside a data folder.
const (
	headFile  = "drumbeat.json"
	lockFile  = "lock"
	fleetDir  = "fleet"
	brokerDir = "broker"
	objectDir = "objects"
)

// openFolder opens a data folder for this process alone. With create, one that
// does not exist is made with that head and a copy of the fleet's files.
func openFolder(dir string, create *newFolder) (*folder, error) {
	if create != nil {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	f := &folder{dir: dir, lock: lock}
	if err := f.load(create); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return f, nil
}

// newFolder says how a missing folder is made.
type newFolder struct {
	files fs.FS // fleet.yaml and features.yaml
	sim   *simHead
}

func (f *folder) load(create *newFolder) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	text, err := root.ReadFile(headFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create != nil:
		return f.make(root, create)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open data folder %s: there is no %s in it; `drumbeat quickstart` or `drumbeat import` makes one: %w",
			f.dir, headFile, drumbeat.ErrNotFound)
	case err != nil:
		return fmt.Errorf("open data folder %s: %w", f.dir, err)
	}
	if err := json.Unmarshal(text, &f.head); err != nil {
		return fmt.Errorf("read %s: %w", filepath.Join(f.dir, headFile), err)
	}
	if f.head.Format > folderFormat {
		return fmt.Errorf("open data folder %s: it has format %d, this program knows up to %d: %w",
			f.dir, f.head.Format, folderFormat, drumbeat.ErrNewer)
	}
	return f.define(root.FS())
}

// make writes the fleet's files and then the head: a folder with a head is
// whole.
func (f *folder) make(root *os.Root, create *newFolder) error {
	if err := root.MkdirAll(fleetDir, 0o750); err != nil {
		return fmt.Errorf("make data folder %s: %w", f.dir, err)
	}
	for _, name := range []string{"fleet.yaml", "features.yaml"} {
		text, err := fs.ReadFile(create.files, name)
		if err != nil {
			return fmt.Errorf("read the fleet's %s: %w", name, err)
		}
		if err := root.WriteFile(filepath.Join(fleetDir, name), text, 0o640); err != nil {
			return fmt.Errorf("copy the fleet's %s: %w", name, err)
		}
	}
	if err := f.define(root.FS()); err != nil {
		return err
	}
	f.head = folderHead{Format: folderFormat, Fleet: f.def.Name, Sim: create.sim}
	text, err := json.MarshalIndent(f.head, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", headFile, err)
	}
	if err := root.WriteFile(headFile+".new", append(text, '\n'), 0o640); err != nil {
		return fmt.Errorf("write %s: %w", headFile, err)
	}
	if err := root.Rename(headFile+".new", headFile); err != nil {
		return fmt.Errorf("write %s: %w", headFile, err)
	}
	return nil
}

// define loads the fleet and its view from the folder's own copy.
func (f *folder) define(files fs.FS) error {
	def, err := fleet.Load(files, fleetDir)
	if err != nil {
		return err
	}
	view, err := feature.LoadView(files, fleetDir, def)
	if err != nil {
		return err
	}
	f.def, f.view = def, view
	return nil
}

// path returns where something stands in the folder.
func (f *folder) path(name string) string { return filepath.Join(f.dir, name) }

// Close lets another process have the folder.
func (f *folder) Close() error { return f.lock.Close() }

// lockFolder makes sure that no other process works in the folder.
func lockFolder(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // the person chose dir
	if err != nil {
		return nil, fmt.Errorf("open data folder %s: %w", dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(
			fmt.Errorf("open data folder %s: another drumbeat works in it; stop that one first: %w", dir, drumbeat.ErrConflict),
			file.Close())
	}
	return file, nil
}

// fleetFiles returns a fleet folder's files: a folder on disk, or else a ready
// fleet of that name.
func fleetFiles(path string) (fs.FS, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return os.DirFS(path), nil
	}
	name := filepath.Base(path)
	files, err := fs.Sub(fleets.FS(), name)
	if err == nil {
		if _, err = fs.Stat(files, "fleet.yaml"); err == nil {
			return files, nil
		}
	}
	known, _ := fs.ReadDir(fleets.FS(), ".") // an embedded folder is readable
	names := make([]string, 0, len(known))
	for _, entry := range known {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return nil, fmt.Errorf("open fleet %q: no such folder, and no ready fleet of that name; ready are %q: %w",
		path, names, drumbeat.ErrNotFound)
}
