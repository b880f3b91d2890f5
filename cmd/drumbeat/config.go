package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleet/strict"
)

// configCommand is what can be done with fleet files before they are used.
type configCommand struct {
	Validate configValidateCommand `cmd:"" help:"Say every fault of fleet files, with line and column, and what their use would change."`
}

// configValidateCommand checks fleet folders.
type configValidateCommand struct {
	Paths []string `arg:"" optional:"" name:"path" help:"Fleet folders (fleet.yaml and features.yaml), or names of ready fleets." type:"path"`
	Data  string   `help:"Data folder: checks its own fleets too, and says what the given ones would change." type:"path"`
	JSON  bool     `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (configValidateCommand) Help() string {
	return `Reads the files strictly and tells every fault at once, as file:line:column, with the nearest known word. Of what is sound it
prints the definition hash: the same hash means the same values, to the bit. With --data, a given fleet is compared with the
data folder's own copy: which features are new, changed or gone, and what else moves the hash. A changed hash makes another gold
table and online record; the champion keeps needing the old one. Nothing is written, and a daemon may run.

Exit code: 0 no fault, 1 a fault, 2 a wrong call.

Examples:
  drumbeat config validate fleets/laundry
  drumbeat config validate my-fleet --data D
  drumbeat config validate --data D --json`
}

// validated is what was found of fleet folders.
type validated struct {
	OK      bool              `json:"ok"`
	Folders []validatedFolder `json:"folders"`
}

// validatedFolder is what was found of one.
type validatedFolder struct {
	Path     string             `json:"path"`
	OK       bool               `json:"ok"`
	Fleet    drumbeat.FleetName `json:"fleet,omitempty"`
	View     string             `json:"view,omitempty"`
	Hash     drumbeat.Hash      `json:"view_hash,omitempty"`
	Features int                `json:"features,omitempty"`
	Faults   []configFault      `json:"faults,omitempty"`
	// Unread says which file was not read because of another's faults.
	Unread  string      `json:"unread,omitempty"`
	Changes *viewChange `json:"changes,omitempty"` // against the data folder's copy, nil without one

	view *feature.View
}

// configFault is one fault of a file.
type configFault struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Path    string `json:"path,omitempty"` // such as sensors[2].max
	Message string `json:"message"`
}

// Run prints what was found.
func (c *configValidateCommand) Run(_ context.Context, p *process) error {
	v, err := c.validate()
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p.stdout, v)
	} else {
		for i := range v.Folders {
			v.Folders[i].print(p)
		}
	}
	if err == nil && !v.OK {
		err = errSaid
	}
	return err
}

func (c *configValidateCommand) validate() (*validated, error) {
	if len(c.Paths) == 0 && c.Data == "" {
		return nil, fmt.Errorf("check fleet files: name a fleet folder, or a data folder with --data: %w", drumbeat.ErrInvalid)
	}
	own, err := c.ownFolders()
	if err != nil {
		return nil, err
	}
	copies := map[drumbeat.FleetName]*feature.View{}
	v := &validated{OK: true, Folders: []validatedFolder{}}
	for _, path := range own {
		f := validateFolder(os.DirFS(path), path)
		if f.view != nil {
			copies[f.view.Fleet.Name] = f.view
		}
		v.add(&f)
	}
	for _, path := range c.Paths {
		files, err := fleetFiles(path)
		if err != nil {
			return nil, err
		}
		f := validateFolder(files, path)
		if f.view != nil && copies[f.view.Fleet.Name] != nil {
			f.Changes = changesOf(copies[f.view.Fleet.Name], f.view)
		}
		v.add(&f)
	}
	return v, nil
}

// ownFolders lists the fleets of the data folder.
func (c *configValidateCommand) ownFolders() ([]string, error) {
	if c.Data == "" {
		return nil, nil
	}
	home := filepath.Join(c.Data, fleetsDir)
	entries, err := os.ReadDir(home)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for the fleets of data folder %s: there are none; `drumbeat import` brings one: %w", c.Data, drumbeat.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("look for the fleets of data folder %s: %w", c.Data, err)
	}
	var paths []string
	for _, entry := range entries {
		if entry.IsDir() {
			paths = append(paths, filepath.Join(home, entry.Name()))
		}
	}
	return paths, nil
}

func (v *validated) add(f *validatedFolder) {
	v.Folders = append(v.Folders, *f)
	v.OK = v.OK && f.OK
}

// validateFolder reads both files of a fleet folder.
func validateFolder(files fs.FS, path string) validatedFolder {
	f := validatedFolder{Path: path}
	def, err := fleet.Load(files, ".")
	if err != nil {
		f.fault(err, fleet.FileName)
		f.Unread = feature.ViewFile + " is checked once " + fleet.FileName + " is sound"
		return f
	}
	f.Fleet = def.Name
	view, err := feature.LoadView(files, ".", def)
	if err != nil {
		f.fault(err, feature.ViewFile)
		return f
	}
	f.OK, f.view = true, view
	f.View, f.Hash, f.Features = view.Name, view.Hash, len(view.Features)
	return f
}

// fault notes what is wrong with a file.
func (f *validatedFolder) fault(err error, file string) {
	faults, told := errors.AsType[strict.Faults](err)
	if !told {
		f.Faults = append(f.Faults, configFault{File: filepath.Join(f.Path, file), Message: err.Error()})
		return
	}
	for _, fault := range faults {
		f.Faults = append(f.Faults, configFault{
			File: filepath.Join(f.Path, fault.File), Line: fault.Line, Column: fault.Column, Path: fault.Path, Message: fault.Message,
		})
	}
}

// print writes what was found of a folder: faults to standard error in the
// form that editors follow, the rest to standard output.
func (f *validatedFolder) print(p *process) {
	for _, fault := range f.Faults {
		p.say("%s", strict.Fault(fault))
	}
	if f.Unread != "" {
		p.say("%s: %s", f.Path, f.Unread)
	}
	if !f.OK {
		return
	}
	fmt.Fprintf(p.stdout, "%s: sound; fleet %s, view %s, %d features, hash %.12s\n", f.Path, f.Fleet, f.View, f.Features, f.Hash)
	if c := f.Changes; c != nil {
		fmt.Fprintf(p.stdout, "%s", c.text())
	}
}

// viewChange is what moves from one definition of a view to another (P5).
type viewChange struct {
	From     drumbeat.Hash `json:"from"`
	Same     bool          `json:"same"` // the hash: every value is the same, to the bit
	New      []string      `json:"new,omitempty"`
	Changed  []string      `json:"changed,omitempty"` // the feature, and why
	Gone     []string      `json:"gone,omitempty"`
	Settings []string      `json:"settings,omitempty"` // all else that the hash covers
}

func (c *viewChange) text() string {
	if c.Same {
		return fmt.Sprintf("  the same hash as the data folder's copy (%.12s)\n", c.From)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  another hash than the data folder's copy (%.12s); a new model must be trained on it\n", c.From)
	for _, part := range []struct {
		name string
		list []string
	}{{"new", c.New}, {"changed", c.Changed}, {"gone", c.Gone}, {"setting", c.Settings}} {
		for _, line := range part.list {
			fmt.Fprintf(&b, "  %-8s %s\n", part.name, line)
		}
	}
	return b.String()
}
