package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"drumbeat"
)

// diskUse is what a data folder takes on disk, in bytes.
type diskUse struct {
	Total int64            `json:"total"`
	Parts map[string]int64 `json:"parts"` // broker, lake, models, databases, other
	Lakes map[string]int64 `json:"lakes"` // by fleet
	Free  int64            `json:"free"`  // of the file system, for this process
	Files int              `json:"files"`
	// LastDay is the size of what was written within the last day of wall
	// time: what a day takes, before old files are cleaned up.
	LastDay int64 `json:"last_day"`
}

// folderUse is what a look at every file of a data folder found.
type folderUse struct {
	diskUse
	size        int64 // of the file system
	freeFiles   uint64
	newest      fs.FileInfo
	newestPath  string
	foreign     []string // files of another owner
	exposed     []string // databases and secrets that everybody may read
	unreachable []string // what could not be read
}

// useOf looks at every file of a data folder once; those of another user than
// uid are foreign.
func useOf(dir string, fleets []drumbeat.FleetName, uid int) (*folderUse, error) {
	u := &folderUse{diskUse: diskUse{Parts: map[string]int64{}, Lakes: map[string]int64{}}}
	yesterday := wallNow().Add(-24 * time.Hour)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // cleaned up meanwhile
		case errors.Is(err, fs.ErrPermission):
			u.unreachable = append(u.unreachable, path)
			return nil
		case err != nil:
			return err
		}
		rest, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		u.count(filepath.ToSlash(rest), info, fleets, yesterday)
		if stat, known := info.Sys().(*syscall.Stat_t); known && int(stat.Uid) != uid && len(u.foreign) < maxShown {
			u.foreign = append(u.foreign, rest)
		}
		return nil
	})
	if err == nil {
		err = u.measure(dir)
	}
	if err != nil {
		return u, fmt.Errorf("measure data folder: %w", err)
	}
	return u, nil
}

// measure asks the file system what is left.
func (u *folderUse) measure(dir string) error {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return err
	}
	block := int64(stat.Bsize)          //nolint:unconvert // its type differs between systems
	u.Free = int64(stat.Bavail) * block //nolint:gosec // no disk has 2^63 bytes
	u.size = int64(stat.Blocks) * block //nolint:gosec // the same
	u.freeFiles = stat.Ffree
	if stat.Files == 0 { // the system does not count them
		u.freeFiles = math.MaxUint64
	}
	return nil
}

// count adds one file.
func (u *folderUse) count(path string, info fs.FileInfo, fleets []drumbeat.FleetName, yesterday time.Time) {
	u.Files++
	u.Total += info.Size()
	if info.ModTime().After(yesterday) {
		u.LastDay += info.Size()
	}
	if u.newest == nil || info.ModTime().After(u.newest.ModTime()) {
		u.newest, u.newestPath = info, path
	}
	first, rest, _ := strings.Cut(path, "/")
	part := "other"
	switch {
	case first == brokerDir:
		part = "broker"
	case first == objectDir:
		second, _, _ := strings.Cut(rest, "/")
		part = "models"
		if slices.Contains(fleets, drumbeat.FleetName(second)) {
			part = "lake"
			u.Lakes[second] += info.Size()
		}
	case strings.Contains(path, ".sqlite"):
		part = "databases"
	}
	u.Parts[part] += info.Size()
	secret := path == controlFile || strings.Contains(path, ".sqlite")
	if secret && info.Mode().Perm()&0o007 != 0 && len(u.exposed) < maxShown {
		u.exposed = append(u.exposed, path)
	}
}

// maxShown bounds the names that a sentence lists.
const maxShown = 10

// some writes the first names of a list, and how many more there are.
func some[S ~string](list []S) string {
	words := make([]string, 0, maxShown+1)
	for _, word := range list[:min(len(list), maxShown)] {
		words = append(words, string(word))
	}
	if more := len(list) - maxShown; more > 0 {
		words = append(words, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(words, ", ")
}
