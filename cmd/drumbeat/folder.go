package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/sim"
)

// folderFormat is the version of a data folder's layout
// (docs/format/folder.md).
const folderFormat = 2

// folder is a data folder: the data of a site's fleets and the files that
// describe them. One process at a time holds it.
type folder struct {
	dir  string
	lock *os.File
	head folderHead
}

// folderHead is drumbeat.json, which says what the folder is.
type folderHead struct {
	Format int         `json:"format"`
	Fleets []fleetHead `json:"fleets"`
}

// fleetHead is one fleet of a folder.
type fleetHead struct {
	Name drumbeat.FleetName `json:"name"`
	// Sim is how the fleet is simulated, nil if it is real.
	Sim *simHead `json:"sim,omitempty"`
}

// simHead is what a simulator needs to go on.
type simHead struct {
	Seed     uint64        `json:"seed"`
	Machines int           `json:"machines"`
	Start    drumbeat.Time `json:"start"`
	Days     int           `json:"days"` // of history before live play
	Shifts   []sim.Shift   `json:"shifts,omitempty"`
}

// The names inside a data folder.
const (
	headFile    = "drumbeat.json"
	lockFile    = "lock"
	fleetsDir   = "fleets"
	brokerDir   = "broker"
	objectDir   = "objects"
	controlFile = "control.json"
)

// fleetFileNames are the files that define a fleet.
var fleetFileNames = []string{fleet.FileName, feature.ViewFile}

// errBusy says that another process holds the folder.
var errBusy = fmt.Errorf("another drumbeat works in it; stop that one first: %w", drumbeat.ErrConflict)

// openFolder opens a data folder for this process alone. With create, one that
// does not exist is made.
func openFolder(dir string, create bool) (*folder, error) {
	if create {
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

// load reads the head. Without the lock nothing is written.
func (f *folder) load(create bool) error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	text, err := root.ReadFile(headFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		f.head = folderHead{Format: folderFormat, Fleets: []fleetHead{}}
		return f.save()
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("open data folder %s: there is no %s in it; `drumbeat quickstart` or `drumbeat import` makes one: %w",
			f.dir, headFile, drumbeat.ErrNotFound)
	case err != nil:
		return fmt.Errorf("open data folder %s: %w", f.dir, err)
	}
	var form struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &form); err != nil {
		return fmt.Errorf("read %s: %w", f.path(headFile), err)
	}
	switch {
	case form.Format > folderFormat:
		return fmt.Errorf("open data folder %s: it has format %d, this program knows up to %d: %w",
			f.dir, form.Format, folderFormat, drumbeat.ErrNewer)
	case form.Format < folderFormat && f.lock == nil:
		return fmt.Errorf("open data folder %s: it has format %d, which `drumbeat run` brings to %d: %w",
			f.dir, form.Format, folderFormat, drumbeat.ErrInvalid)
	case form.Format < folderFormat:
		return f.upgrade(root, text)
	}
	if err := json.Unmarshal(text, &f.head); err != nil {
		return fmt.Errorf("read %s: %w", f.path(headFile), err)
	}
	return nil
}

// upgrade moves the one fleet of a folder of format 1 to where format 2 has
// it. What was moved before a crash stays moved; the head comes last.
func (f *folder) upgrade(root *os.Root, text []byte) error {
	var old struct {
		Fleet drumbeat.FleetName `json:"fleet"`
		Sim   *simHead           `json:"sim"`
	}
	if err := json.Unmarshal(text, &old); err != nil || old.Fleet == "" {
		return errors.Join(fmt.Errorf("read %s: it names no fleet: %w", f.path(headFile), drumbeat.ErrInvalid), err)
	}
	home := path.Join(fleetsDir, string(old.Fleet))
	if err := root.MkdirAll(home, 0o750); err != nil {
		return fmt.Errorf("bring data folder %s to format %d: %w", f.dir, folderFormat, err)
	}
	moves := map[string]string{}
	for _, name := range fleetFileNames {
		moves[path.Join("fleet", name)] = name
	}
	for _, name := range []string{onlineFile, alertsFile} {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			moves[name+suffix] = name + suffix
		}
	}
	for from, to := range moves {
		if err := root.Rename(from, path.Join(home, to)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("bring data folder %s to format %d: %w", f.dir, folderFormat, err)
		}
	}
	f.head = folderHead{Format: folderFormat, Fleets: []fleetHead{{Name: old.Fleet, Sim: old.Sim}}}
	return f.save()
}

// save writes the head: what it names is whole by then.
func (f *folder) save() error {
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", headFile, err)
	}
	defer func() { _ = root.Close() }() // what was written is closed by then
	return writeJSON(root, headFile, f.head, 0o640)
}

// writeJSON replaces a file whole.
func writeJSON(root *os.Root, name string, value any, mode fs.FileMode) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err == nil {
		err = root.WriteFile(name+".new", append(text, '\n'), mode)
	}
	if err == nil {
		err = root.Rename(name+".new", name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// add makes a fleet's folder with a copy of its files, and then names it in
// the head. One that is there already stays as it is.
func (f *folder) add(of fleetHead, files fs.FS) error {
	if slices.ContainsFunc(f.head.Fleets, func(h fleetHead) bool { return h.Name == of.Name }) {
		return nil
	}
	root, err := os.OpenRoot(f.dir)
	if err != nil {
		return fmt.Errorf("add fleet %s: %w", of.Name, err)
	}
	defer func() { _ = root.Close() }() // what was written is closed by then
	home := path.Join(fleetsDir, string(of.Name))
	if err := root.MkdirAll(home, 0o750); err != nil {
		return fmt.Errorf("add fleet %s: %w", of.Name, err)
	}
	for _, name := range fleetFileNames {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return fmt.Errorf("read the fleet's %s: %w", name, err)
		}
		if err := root.WriteFile(path.Join(home, name), text, 0o640); err != nil {
			return fmt.Errorf("copy the fleet's %s: %w", name, err)
		}
	}
	f.head.Fleets = append(f.head.Fleets, of)
	return f.save()
}

// path returns where something stands in the folder.
func (f *folder) path(names ...string) string {
	return filepath.Join(append([]string{f.dir}, names...)...)
}

// Close lets another process have the folder.
func (f *folder) Close() error {
	if f.lock == nil {
		return nil // it was open beside another process
	}
	return f.lock.Close()
}

// lockFolder makes sure that no other process works in the folder.
func lockFolder(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // the person chose dir
	if err != nil {
		return nil, fmt.Errorf("open data folder %s: %w", dir, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("open data folder %s: %w", dir, errBusy), file.Close())
	}
	return file, nil
}

// fleetNamed returns the fleet that --fleet means: a name; or a fleet folder,
// and then the hash of its view, with which the data must agree.
func fleetNamed(fleetOrFolder string) (drumbeat.FleetName, drumbeat.Hash, error) {
	if fleetOrFolder == "" {
		return "", "", nil
	}
	if _, err := os.Stat(filepath.Join(fleetOrFolder, fleet.FileName)); err != nil {
		return drumbeat.FleetName(filepath.Base(fleetOrFolder)), "", nil //nolint:nilerr // no folder: a name
	}
	view, err := loadView(os.DirFS(fleetOrFolder))
	if err != nil {
		return "", "", err
	}
	return view.Fleet.Name, view.Hash, nil
}

// fleetAmong returns the place of the named fleet among those of the folder;
// no name is the only fleet.
func (f *folder) fleetAmong(names []drumbeat.FleetName, name drumbeat.FleetName) (int, error) {
	if name == "" && len(names) == 1 {
		return 0, nil
	}
	if at := slices.Index(names, name); at >= 0 {
		return at, nil
	}
	var list []string
	for _, n := range names {
		list = append(list, string(n))
	}
	known := strings.Join(list, ", ")
	switch {
	case len(names) == 0:
		return 0, fmt.Errorf("data folder %s holds no fleet yet; `drumbeat import` brings one: %w", f.dir, drumbeat.ErrNotFound)
	case name == "":
		return 0, fmt.Errorf("data folder %s holds the fleets %s: say which with --fleet: %w", f.dir, known, drumbeat.ErrInvalid)
	}
	return 0, fmt.Errorf("data folder %s holds no fleet %q, only %s: %w", f.dir, name, known, drumbeat.ErrNotFound)
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

// folderPath returns where something stands in a data folder that is not open.
func folderPath(dir, name string) string { return filepath.Join(dir, name) }
