// Package xgboost fits tree ensembles with libxgboost, called in this process
// without cgo. It is the home of purego.
//
// The library comes out of the wheel xgboost-cpu. Its two folders must stay
// beside each other: xgboost/lib/libxgboost.so finds its OpenMP runtime in
// xgboost_cpu.libs by a relative path.
package xgboost

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"drumbeat"

	"github.com/ebitengine/purego"
)

// Wheel is the release that the project is tested with.
const Wheel = "xgboost-cpu==3.2.0"

// major is the version whose C API this package speaks and whose files
// package model reads.
const major = 3

// file is the library's name where it lies bare.
const file = "libxgboost.so"

// Library is a loaded libxgboost. It is safe for concurrent use, but fits
// share the processor's cores. It stays loaded until the process ends.
type Library struct {
	path    string
	version string
	api     api
}

// Path returns where the library was found.
func (l *Library) Path() string { return l.path }

// Version returns the library's version, such as 3.2.0.
func (l *Library) Version() string { return l.version }

// Places are where Find looks, in this order. Empty ones are passed over.
type Places struct {
	Explicit   string // the file that the person named; nothing else is tried then
	Executable string // the folder of the running binary
	Cache      string // the folder into which the wheel was unpacked
}

// Find opens the first library there is: the one named, else beside the
// binary, in the cache, or where the system's loader looks. The error says
// where it looked and how to get one.
func Find(places Places) (*Library, error) {
	if places.Explicit != "" {
		return Open(places.Explicit)
	}
	var looked []string
	for _, dir := range []string{places.Executable, places.Cache} {
		if dir == "" {
			continue
		}
		for _, path := range []string{filepath.Join(dir, "xgboost", "lib", file), filepath.Join(dir, file)} {
			looked = append(looked, path)
			if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return Open(path)
		}
	}
	l, err := open(file)
	if err == nil {
		return l, nil
	}
	looked = append(looked, "the system's library path")
	into := places.Cache
	if into == "" {
		into = "a folder"
	}
	return nil, fmt.Errorf("find %s: not in %s: unpack its wheel into %s "+
		"(pip download --no-deps --dest . %s, then unzip), or name the file in the configuration: %w",
		file, strings.Join(looked, ", "), into, Wheel, drumbeat.ErrNotFound)
}

// Open loads the library at path.
//
// XGBoost's OpenMP threads spin while they wait, which takes the processor
// from everything else. OMP_WAIT_POLICY=passive stops that; it is set here,
// unless the environment says otherwise, because the runtime reads it once, as
// it is loaded.
func Open(path string) (*Library, error) {
	if _, err := os.Stat(path); err != nil {
		kind := drumbeat.ErrInvalid
		if errors.Is(err, fs.ErrNotExist) {
			kind = drumbeat.ErrNotFound
		}
		return nil, fmt.Errorf("open %s: %w: %w", file, err, kind)
	}
	l, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return l, nil
}

func open(path string) (*Library, error) {
	const policy = "OMP_WAIT_POLICY"
	if _, set := os.LookupEnv(policy); !set {
		if err := os.Setenv(policy, "passive"); err != nil {
			return nil, fmt.Errorf("set %s: %w", policy, err)
		}
	}
	// The loader's error is per thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, drumbeat.ErrInvalid)
	}
	l := &Library{path: path}
	if err := l.api.bind(handle); err != nil {
		return nil, fmt.Errorf("%w: want %s: %w", err, Wheel, drumbeat.ErrInvalid)
	}
	var v [3]int32
	l.api.version(&v[0], &v[1], &v[2])
	l.version = fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2])
	if v[0] != major {
		return nil, fmt.Errorf("version %s: want %d.x, such as %s: %w",
			l.version, major, Wheel, drumbeat.ErrInvalid)
	}
	// Warnings go to standard error, which is not the library's to write to.
	if l.api.globalConfig(`{"verbosity":0}`) != 0 {
		return nil, l.fault("set verbosity")
	}
	return l, nil
}

// fault makes an error of what the last call on this thread said. Its first
// line is the sentence; a stack trace follows.
func (l *Library) fault(verb string) error {
	text, _, _ := strings.Cut(strings.TrimSpace(l.api.lastError()), "\n")
	if _, after, found := strings.Cut(text, "] "); found && strings.HasPrefix(text, "[") {
		text = after
	}
	return fmt.Errorf("%s: xgboost: %s: %w", verb, text, drumbeat.ErrInvalid)
}
