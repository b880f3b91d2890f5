package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
)

// Damage is something that is not as it was written.
type Damage struct {
	Key  string `json:"key"` // in the store
	What string `json:"what"`
}

// Verified is what a verification saw.
type Verified struct {
	Table       string   `json:"table"`
	Version     int64    `json:"version"`
	Commits     int      `json:"commits"`
	Checkpoints int      `json:"checkpoints"`
	Files       int      `json:"files"`
	Bytes       int64    `json:"bytes"`
	Rows        int64    `json:"rows"`
	Damages     []Damage `json:"damages,omitempty"`
}

// Verify reads everything that the newest version rests on and holds it to
// what was written: the checksum of each commit, checkpoint and file; that
// checkpoints say what the commits before them say; the rows, sizes and
// statistics of each file. Files of other programs have no checksum: there a
// changed value is not seen. The error says that the store could not be read.
func (t *Table) Verify(ctx context.Context) (Verified, error) {
	v := verification{table: t, out: Verified{Table: t.Name()}}
	if err := v.run(ctx); err != nil {
		return v.out, fmt.Errorf("verify table %s: %w", t.Name(), err)
	}
	return v.out, nil
}

type verification struct {
	table *Table
	out   Verified
}

// damage notes an error about a key, unless the store itself failed.
func (v *verification) damage(key string, err error) error {
	known := errors.Is(err, drumbeat.ErrInvalid) || errors.Is(err, drumbeat.ErrNotFound) ||
		errors.Is(err, drumbeat.ErrNewer) || errors.Is(err, drumbeat.ErrLimit)
	if !known {
		return err
	}
	v.out.Damages = append(v.out.Damages, Damage{Key: key, What: err.Error()})
	return nil
}

func (v *verification) run(ctx context.Context) error {
	l, err := v.table.list(ctx, 0)
	if err != nil {
		return err
	}
	snapshot, err := v.log(ctx, l)
	if err != nil || snapshot == nil {
		return err
	}
	v.out.Version = snapshot.version
	for _, f := range snapshot.files {
		if err := v.file(ctx, snapshot, f); err != nil {
			return err
		}
	}
	return nil
}

// log replays the log and holds each checkpoint to it.
func (v *verification) log(ctx context.Context, l listing) (*Snapshot, error) {
	t := v.table
	hint, err := v.hint(ctx, l)
	if err != nil {
		return nil, err
	}
	checkpoints := map[int64]*Snapshot{}
	for _, version := range l.checkpoints {
		key := t.checkpointKey(version)
		s, err := t.readCheckpoint(ctx, version, hint)
		if err != nil {
			if err := v.damage(key, err); err != nil {
				return nil, err
			}
			continue
		}
		v.out.Checkpoints++
		checkpoints[version] = s
	}
	var s *Snapshot
	if len(l.commits) == 0 || l.commits[0] > 0 { // what stood before was cleaned away
		for _, version := range l.checkpoints {
			if s = checkpoints[version]; s != nil {
				break
			}
		}
	}
	return v.replay(ctx, l, s, checkpoints)
}

func (v *verification) replay(ctx context.Context, l listing, s *Snapshot, checkpoints map[int64]*Snapshot) (*Snapshot, error) {
	t := v.table
	for _, version := range l.commits {
		if s != nil && version <= s.version {
			continue
		}
		key := t.commitKey(version)
		if s == nil && version > 0 || s != nil && version != s.version+1 {
			next := int64(0)
			if s != nil {
				next = s.version + 1
			}
			return s, v.damage(t.commitKey(next), fmt.Errorf("version %d is missing: %w", next, drumbeat.ErrNotFound))
		}
		body, err := t.store.Read(ctx, key)
		if err == nil {
			var next *Snapshot
			if next, err = t.applyCommit(s, version, body); err == nil {
				s = next
			}
		}
		if err != nil {
			return s, v.damage(key, err)
		}
		v.out.Commits++
		if c := checkpoints[version]; c != nil {
			if difference := s.differs(c); difference != "" {
				err := fmt.Errorf("%s, unlike the commits before it: %w", difference, drumbeat.ErrInvalid)
				return s, v.damage(t.checkpointKey(version), err)
			}
		}
	}
	if s == nil {
		return nil, v.damage(t.prefix+logFolder, fmt.Errorf("there is no table: %w", drumbeat.ErrNotFound))
	}
	return s, nil
}

// hint holds _last_checkpoint to the checkpoint that it names.
func (v *verification) hint(ctx context.Context, l listing) (lastCheckpoint, error) {
	t := v.table
	key := t.lastCheckpointKey()
	var hint lastCheckpoint
	body, err := t.store.Read(ctx, key)
	switch {
	case errors.Is(err, drumbeat.ErrNotFound) && len(l.checkpoints) == 0:
		return hint, nil
	case errors.Is(err, drumbeat.ErrNotFound):
		return hint, v.damage(key, fmt.Errorf("it is missing beside %d checkpoints; the next one writes it: %w", len(l.checkpoints), err))
	case err != nil:
		return hint, err
	}
	if err := json.Unmarshal(body, &hint); err != nil {
		return lastCheckpoint{}, v.damage(key, fmt.Errorf("it is damaged (%w): %w", err, drumbeat.ErrInvalid))
	}
	if err := hint.checkOwn(body); err != nil {
		return lastCheckpoint{}, v.damage(key, err)
	}
	if !slices.Contains(l.checkpoints, hint.Version) {
		return lastCheckpoint{}, v.damage(t.checkpointKey(hint.Version), fmt.Errorf("%s names it: %w", key, drumbeat.ErrNotFound))
	}
	return hint, v.size(ctx, hint, key)
}

// size holds the hint's count of actions to the checkpoint.
func (v *verification) size(ctx context.Context, hint lastCheckpoint, key string) error {
	body, err := v.table.store.Read(ctx, v.table.checkpointKey(hint.Version))
	if err != nil {
		return nil //nolint:nilerr // who reads the checkpoint says so
	}
	actions, err := decodeCheckpoint(key, body)
	if err == nil && int64(len(actions)) != hint.Size {
		return v.damage(key, fmt.Errorf("it says that the checkpoint of version %d has %d actions, which has %d: %w",
			hint.Version, hint.Size, len(actions), drumbeat.ErrInvalid))
	}
	return nil
}

// differs says how another snapshot of the same version differs, "" if it does
// not. Tombstones may be fewer there.
func (s *Snapshot) differs(o *Snapshot) string {
	switch {
	case s.meta.SchemaString != o.meta.SchemaString || s.meta.ID != o.meta.ID:
		return "it has other columns"
	case !maps.Equal(s.Txns(), o.Txns()):
		return "it has another progress of applications"
	case len(s.files) != len(o.files):
		return fmt.Sprintf("it has %d files, not %d", len(o.files), len(s.files))
	}
	theirs := make(map[string]*File, len(o.files)) // other programs keep no order
	for _, f := range o.files {
		theirs[f.Path] = f
	}
	for _, f := range s.files {
		g := theirs[f.Path]
		if g == nil {
			return "it lacks file " + f.Path
		}
		// The place in the order is a tag of checkpoints only where it was none before.
		tags, others := maps.Clone(f.Tags), maps.Clone(g.Tags)
		delete(tags, tagOrder)
		delete(others, tagOrder)
		// Other programs write the statistics of their files again in their own way.
		stats := f.raw == g.raw || f.Tags[tagChecksum] == ""
		if f.Size != g.Size || !stats || !maps.Equal(f.Partition, g.Partition) || !maps.Equal(tags, others) {
			return "it says other things of file " + f.Path
		}
	}
	return ""
}

// file reads a file whole.
func (v *verification) file(ctx context.Context, s *Snapshot, f *File) error {
	key := v.table.prefix + f.Path
	fresh := *s
	fresh.files = []*File{{
		Path: f.Path, Size: f.Size, Modified: f.Modified, Tags: f.Tags, Partition: f.Partition, order: f.order, raw: f.raw,
	}} // whose checksum is taken again
	g := gathering{schema: s.schema, batch: &Batch{Columns: make([]Column, len(s.schema))}}
	for batch, err := range fresh.Scan(ctx, ScanOptions{}) {
		if err != nil {
			return v.damage(key, err)
		}
		g.add(batch)
	}
	v.out.Files++
	v.out.Bytes += f.Size
	v.out.Rows += int64(g.batch.N)
	if want := f.Rows(); want >= 0 && want != int64(g.batch.N) {
		return v.damage(key, fmt.Errorf("it has %d rows, and the log says %d: %w", g.batch.N, want, drumbeat.ErrInvalid))
	}
	if f.Tags[tagChecksum] == "" {
		return nil
	}
	stats, err := f.measureAgain(s.schema, g.batch)
	if err != nil {
		return err
	}
	if stats != f.raw {
		return v.damage(key, fmt.Errorf("its statistics are %.200s, and the log says %.200s: %w", stats, f.raw, drumbeat.ErrInvalid))
	}
	return nil
}

// measureAgain takes a file's statistics of the columns that it had when it
// was written: those that the log's statistics count nulls of.
func (f *File) measureAgain(schema Schema, batch *Batch) (string, error) {
	f.parse()
	var had Schema
	out := &Batch{N: batch.N}
	for i, field := range schema {
		if _, counted := f.stats.NullCount[field.Name]; counted {
			had = append(had, field)
			out.Columns = append(out.Columns, batch.Columns[i])
		}
	}
	for i := range had {
		had[i].Stats = true
	}
	return measure(had, out)
}
