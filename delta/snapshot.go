package delta

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"drumbeat"
)

// tagOrder keeps, through compactions and checkpoints, where a file's rows
// stand among the table's: the version and place of the commit that first
// added them.
const tagOrder = "drumbeat.order"

// NoTxn is the version of an application that has never committed.
const NoTxn int64 = -1

// File is one data file of a table.
type File struct {
	Path     string // relative to the table
	Size     int64
	Modified time.Time
	Tags     map[string]string
	// Partition is the value of each partition column, "" for null.
	Partition map[string]string

	order order
	raw   string // statistics, as the log holds them
	once  sync.Once
	stats statistics

	verified atomic.Bool // its bytes are those that were written
}

// order is where a file's rows stand.
type order struct{ version, index int64 }

func (o order) compare(p order) int {
	if o.version != p.version {
		return int(max(-1, min(1, o.version-p.version)))
	}
	return int(max(-1, min(1, o.index-p.index)))
}

// Rows returns the number of rows, -1 if the log does not say.
func (f *File) Rows() int64 {
	f.parse()
	return f.stats.NumRecords
}

// Range returns the least and greatest value of an integer, timestamp column
// as a Column holds them; ok is false if the log does not say.
func (f *File) Range(field Field) (least, greatest int64, ok bool) {
	if field.Partition {
		return f.partitionBounds(field)
	}
	f.parse()
	return f.stats.bounds(field)
}

func (f *File) parse() {
	f.once.Do(func() {
		f.stats.NumRecords = -1
		if f.raw != "" && json.Unmarshal([]byte(f.raw), &f.stats) != nil {
			f.stats = statistics{NumRecords: -1} // statistics only spare work
		}
	})
}

// tombstone is a file that was removed and may still be read by others.
type tombstone struct {
	path    string
	removed int64 // milliseconds
}

// Snapshot is a table at one version. It never changes.
type Snapshot struct {
	table    *Table
	version  int64
	protocol *protocol
	meta     *metaData
	schema   Schema
	foreign  string // why we must not write, if so
	files    []*File
	txns     map[string]txn
	removed  []tombstone
}

// Version returns the version, counted from 0.
func (s *Snapshot) Version() int64 { return s.version }

// Schema returns the table's columns. Callers must not change it.
func (s *Snapshot) Schema() Schema { return s.schema }

// Files returns the data files in the order of their rows. Callers must not
// change the slice.
func (s *Snapshot) Files() []*File { return s.files }

// has says whether a file is part of the table.
func (s *Snapshot) has(path string) bool {
	return slices.ContainsFunc(s.files, func(f *File) bool { return f.Path == path })
}

// Rows returns the number of rows, -1 if the log does not say.
func (s *Snapshot) Rows() int64 {
	var rows int64
	for _, f := range s.files {
		n := f.Rows()
		if n < 0 {
			return -1
		}
		rows += n
	}
	return rows
}

// Txn returns the version that an application last committed, NoTxn if none.
func (s *Snapshot) Txn(app string) int64 {
	if t, known := s.txns[app]; known {
		return t.Version
	}
	return NoTxn
}

// Txns returns the version of every application that ever committed.
func (s *Snapshot) Txns() map[string]int64 {
	out := make(map[string]int64, len(s.txns))
	for app, t := range s.txns {
		out[app] = t.Version
	}
	return out
}

// apply returns the snapshot after one more commit. Snapshots share what they
// have in common: of files, only the newest snapshot's end is written to.
func (s *Snapshot) apply(version int64, actions []action) (*Snapshot, error) {
	next := *s
	next.version = version
	gone := map[string]int64{}
	var added []*add
	copied := false
	for i := range actions {
		a := &actions[i]
		switch {
		case a.Protocol != nil:
			next.protocol = a.Protocol
		case a.MetaData != nil:
			if err := next.setMetaData(a.MetaData); err != nil {
				return nil, fmt.Errorf("apply version %d: %w", version, err)
			}
		case a.Txn != nil:
			if !copied {
				next.txns, copied = maps.Clone(s.txns), true
				if next.txns == nil {
					next.txns = map[string]txn{}
				}
			}
			next.txns[a.Txn.AppID] = *a.Txn
			if a.Txn.Version == NoTxn { // restored to before its first
				delete(next.txns, a.Txn.AppID)
			}
		case a.Add != nil:
			added = append(added, a.Add)
		case a.Remove != nil:
			name, err := fileName(a.Remove.Path)
			if err != nil {
				return nil, fmt.Errorf("apply version %d: %w", version, err)
			}
			gone[name] = a.Remove.DeletionTimestamp
		}
	}
	if next.protocol == nil || next.meta == nil {
		return nil, fmt.Errorf("apply version %d: the log begins without protocol and metaData; "+
			"restore its first files from a backup: %w", version, drumbeat.ErrInvalid)
	}
	if err := next.change(version, added, gone); err != nil {
		return nil, fmt.Errorf("apply version %d: %w", version, err)
	}
	return &next, nil
}

func (s *Snapshot) setMetaData(m *metaData) error {
	if err := m.check(); err != nil {
		return err
	}
	schema, foreign, err := decodeSchema(m.SchemaString)
	if err != nil {
		return err
	}
	if err := schema.markPartitions(m.PartitionColumns); err != nil {
		return err
	}
	// What the log does not hold (dictionaries, statistics) is kept by name.
	for i := range schema {
		if at := s.schema.Index(schema[i].Name); at >= 0 {
			schema[i].Dictionary, schema[i].Stats = s.schema[at].Dictionary, s.schema[at].Stats
		}
	}
	s.meta, s.schema, s.foreign = m, schema, foreign
	return nil
}

// change removes and adds files.
func (s *Snapshot) change(version int64, added []*add, gone map[string]int64) error {
	if len(gone) > 0 {
		s.drop(gone)
	}
	s.revive(added)
	sorted := true
	find := s.finder(len(added))
	for i, a := range added {
		name, err := fileName(a.Path)
		if err != nil {
			return err
		}
		if _, out := gone[name]; out {
			return fmt.Errorf("file %s is added and removed at once: %w", name, drumbeat.ErrInvalid)
		}
		file := &File{Path: name, Size: a.Size, Modified: time.UnixMilli(a.ModificationTime), Tags: a.Tags, raw: a.Stats}
		if len(s.meta.PartitionColumns) > 0 {
			file.Partition = make(map[string]string, len(a.PartitionValues))
			for name, value := range a.PartitionValues {
				file.Partition[name] = ""
				if value != nil {
					file.Partition[name] = *value
				}
			}
			if err := s.schema.values(name, file.Partition); err != nil {
				return err
			}
		}
		file.order = order{version: version, index: int64(i)}
		ours := false
		if before, ok := parseOrder(a.Tags[tagOrder]); ok {
			// We name a file once, so what this version is first to add is new.
			ours = before.version == version
			file.order = before
		}
		at := -1
		if !ours {
			at = find(name)
		}
		if at >= 0 {
			// The same file again only says something new about it.
			file.order = s.files[at].order
			s.files = slices.Clone(s.files)
			s.files[at] = file
			continue
		}
		if n := len(s.files); n > 0 && s.files[n-1].order.compare(file.order) > 0 {
			sorted = false
		}
		s.files = append(s.files, file)
	}
	if !sorted {
		s.files = slices.Clone(s.files)
		slices.SortStableFunc(s.files, func(a, b *File) int { return a.order.compare(b.order) })
	}
	return nil
}

// revive forgets that files were removed which are there again.
func (s *Snapshot) revive(added []*add) {
	if len(s.removed) == 0 || len(added) == 0 {
		return
	}
	back := make(map[string]bool, len(added))
	for _, a := range added {
		if name, err := fileName(a.Path); err == nil {
			back[name] = true
		}
	}
	if slices.ContainsFunc(s.removed, func(x tombstone) bool { return back[x.path] }) {
		s.removed = slices.DeleteFunc(slices.Clone(s.removed), func(x tombstone) bool { return back[x.path] })
	}
}

// finder returns a function that returns the index of a file, -1 if there is
// none; it sees what is added meanwhile.
func (s *Snapshot) finder(lookups int) func(path string) int {
	const few = 4
	if lookups <= few {
		return func(path string) int {
			return slices.IndexFunc(s.files, func(f *File) bool { return f.Path == path })
		}
	}
	index, known := make(map[string]int, len(s.files)+lookups), 0
	return func(path string) int {
		for ; known < len(s.files); known++ {
			index[s.files[known].Path] = known
		}
		if at, found := index[path]; found {
			return at
		}
		return -1
	}
}

// drop removes files and remembers them.
func (s *Snapshot) drop(gone map[string]int64) {
	s.files = slices.DeleteFunc(slices.Clone(s.files), func(f *File) bool {
		_, out := gone[f.Path]
		return out
	})
	newest := slices.Max(slices.Collect(maps.Values(gone)))
	s.removed = slices.DeleteFunc(slices.Clone(s.removed), func(x tombstone) bool { return x.removed < newest-keepTombstones })
	for _, name := range slices.Sorted(maps.Keys(gone)) {
		s.removed = append(s.removed, tombstone{path: name, removed: gone[name]})
	}
}

func parseOrder(text string) (order, bool) {
	first, second, ok := strings.Cut(text, ".")
	if !ok {
		return order{}, false
	}
	version, err1 := strconv.ParseInt(first, 10, 64)
	index, err2 := strconv.ParseInt(second, 10, 64)
	return order{version: version, index: index}, err1 == nil && err2 == nil && version >= 0 && index >= 0
}

func (o order) String() string { return fmt.Sprintf("%d.%d", o.version, o.index) }
