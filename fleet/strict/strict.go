// Package strict reads YAML files that people write by hand, and lets no
// mistake pass: unknown keys, wrong types, duplicates, values out of bounds.
// It goes on after each fault and reports them all, with line, column, path
// and the nearest known word.
//
// A reader asks a [Map] for the keys that it knows and closes it; a key that
// nobody asked for is unknown. So the code that reads a file is its grammar.
//
//	file, err := strict.Open(fsys, "fleet.yaml")
//	…
//	root := file.Root().Map()
//	name := root.Need("fleet").Text("")
//	cadence := root.Get("cadence").Duration(time.Hour, time.Second, strict.Day)
//	root.Close()
//	return file.Err()
package strict

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"drumbeat"

	"go.yaml.in/yaml/v3"
)

// Limits of a file. People write these files: a fleet of 200 sensors takes
// 30 KB, and no part of it nests deeper than 6.
const (
	MaxBytes  = 1 << 20
	MaxDepth  = 32
	MaxNodes  = 100_000 // aliases followed, so that they cannot multiply
	MaxFaults = 100     // more are counted, not listed
)

// File is one parsed file and the faults found in it. It is not safe for
// concurrent use.
type File struct {
	name    string
	root    *yaml.Node
	faults  Faults
	dropped int
	nodes   int
	alias   *yaml.Node // the outermost that is being resolved
}

// Open reads and parses the file at name in fsys. A file that is no YAML at
// all, or over a limit, is an error at once; it is of type Faults where a
// place in the file can be named.
func Open(fsys fs.FS, name string) (*File, error) {
	in, err := fsys.Open(name)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open %s: no such file: %w", name, drumbeat.ErrNotFound)
		}
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	defer in.Close()
	data, err := io.ReadAll(io.LimitReader(in, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return Parse(path.Base(name), data)
}

// Parse parses data, naming it name in faults.
func Parse(name string, data []byte) (*File, error) {
	f := &File{name: name}
	if len(data) > MaxBytes {
		return nil, fmt.Errorf("read %s: more than %d bytes: %w", name, MaxBytes, drumbeat.ErrLimit)
	}
	if !utf8.Valid(data) {
		return nil, f.syntax(invalidLine(data), "must be UTF-8 text")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var doc yaml.Node
	if err := decoder.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, f.syntax(1, "the file is empty")
		}
		return nil, f.syntaxError(err)
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return nil, f.syntax(second.Line, "a second document: one file holds one")
	} else if !errors.Is(err, io.EOF) {
		return nil, f.syntaxError(err)
	}
	root := f.resolve(doc.Content[0], "", nil)
	if root == nil {
		return nil, f.Err()
	}
	f.root = root
	return f, nil
}

// Root returns the document's value.
func (f *File) Root() Value { return Value{file: f, node: f.root} }

// Err returns the faults found so far as [Faults], in the order of the file,
// or nil.
func (f *File) Err() error {
	if len(f.faults) == 0 {
		return nil
	}
	f.faults.sort()
	all := f.faults
	if f.dropped > 0 {
		last := all[len(all)-1]
		last.Path, last.Message = "", fmt.Sprintf("%d more faults follow", f.dropped)
		all = append(slices.Clip(all), last)
	}
	return all
}

func (f *File) fault(node *yaml.Node, at, message string) {
	if len(f.faults) == MaxFaults {
		f.dropped++
		return
	}
	f.faults = append(f.faults, Fault{
		File: f.name, Line: node.Line, Column: node.Column, Path: at, Message: message,
	})
}

func (f *File) syntax(line int, message string) Faults {
	return Faults{{File: f.name, Line: line, Message: message}}
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(?s:(.*))$`)

// syntaxError turns the parser's error into a fault at the line it names.
func (f *File) syntaxError(err error) Faults {
	parts := yamlLine.FindStringSubmatch(err.Error())
	if parts == nil {
		return f.syntax(1, err.Error())
	}
	line, atoiErr := strconv.Atoi(parts[1])
	if atoiErr != nil {
		line = 1
	}
	return f.syntax(line, "not YAML: "+parts[2])
}

func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[size:]
	}
	return line
}

// resolve returns node with every alias replaced by what it stands for, or
// nil where a limit or a cycle forbids it. open holds the aliased nodes that
// are being resolved above.
func (f *File) resolve(node *yaml.Node, at string, open []*yaml.Node) *yaml.Node {
	f.nodes++
	if node.Kind == yaml.AliasNode && f.alias == nil {
		f.alias = node
		defer func() { f.alias = nil }()
	}
	switch {
	case f.nodes > MaxNodes:
		if f.nodes == MaxNodes+1 {
			f.fault(cmp.Or(f.alias, node), at, fmt.Sprintf("more than %d values, aliases followed", MaxNodes))
		}
		return nil
	case len(open) > MaxDepth:
		f.fault(node, at, fmt.Sprintf("nested deeper than %d", MaxDepth))
		return nil
	}
	place := node
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	if slices.Contains(open, node) {
		f.fault(place, at, "an alias that contains itself")
		return nil
	}
	if len(node.Content) == 0 && place == node {
		return node
	}
	out := *node
	out.Line, out.Column = place.Line, place.Column
	out.Content = make([]*yaml.Node, len(node.Content))
	open = append(slices.Clip(open), node)
	for i, child := range node.Content {
		if out.Content[i] = f.resolve(child, at, open); out.Content[i] == nil {
			return nil
		}
	}
	return &out
}
