package delta

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/failpoint"
)

const (
	// orphanAge is the age from which a file that no version names is taken
	// for what a crash left: no commit of another process is under way so long.
	orphanAge = 24 * time.Hour
	// staleAfter is how long a table is believed to be where it was last seen
	// without a look at its newest checkpoint. Who has not looked for longer
	// may have slept through a clean-up of the log, and would take its gap for
	// the log's end.
	staleAfter = 10 * time.Minute
	// MinKeep is the least age at which removed files and old commits may go.
	MinKeep = 3 * staleAfter
)

// Vacuum deletes the files that were removed from the table at least keep
// ago, when no reader of an older version is at work any more, and those that
// no version ever named once they are a day old. It returns how many.
func (t *Table) Vacuum(ctx context.Context, keep time.Duration) (int, error) {
	deleted, err := t.vacuum(ctx, keep)
	if err != nil {
		return deleted, fmt.Errorf("vacuum table %s: %w", t.Name(), err)
	}
	return deleted, nil
}

func (t *Table) vacuum(ctx context.Context, keep time.Duration) (int, error) {
	if err := checkKeep(keep); err != nil {
		return 0, err
	}
	// The listing first: what is committed meanwhile is in the snapshot.
	type blob struct {
		name     string
		modified time.Time
	}
	var blobs []blob
	for entry, err := range t.store.List(ctx, t.prefix, "") {
		if err != nil {
			return 0, err
		}
		name := entry.Key[len(t.prefix):]
		if !strings.HasPrefix(name, "_") { // the log, and what is not ours
			blobs = append(blobs, blob{name, entry.Modified})
		}
	}
	snapshot, err := t.Refresh(ctx)
	if err != nil {
		return 0, err
	}
	if err := snapshot.writable(); err != nil {
		return 0, err
	}
	live := map[string]bool{}
	for _, f := range snapshot.files {
		live[f.Path] = true
	}
	removed := map[string]int64{}
	for _, x := range snapshot.removed {
		removed[x.path] = x.removed
	}
	now, deleted := t.now(), 0
	for _, b := range blobs {
		at, known := removed[b.name]
		old := now.Sub(b.modified) >= max(orphanAge, keep)
		if known {
			old = now.Sub(time.UnixMilli(at)) >= keep
		}
		if live[b.name] || !old || t.isWriting(b.name) {
			continue
		}
		if err := t.store.Delete(ctx, t.prefix+b.name); err != nil {
			return deleted, err
		}
		failpoint.Here("delta.vacuumed")
		deleted++
	}
	t.forget(now.Add(-keep).UnixMilli())
	return deleted, nil
}

// forget drops the tombstones of files that Vacuum has deleted.
func (t *Table) forget(before int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	next := *t.current.Load()
	next.removed = slices.DeleteFunc(slices.Clone(next.removed), func(x tombstone) bool { return x.removed <= before })
	t.current.Store(&next)
}

// CleanLog deletes the commits and checkpoints that nobody needs who reads a
// version of the last keep. What stands before the newest checkpoint that is
// older than that goes; the checkpoint is read first. It returns how many
// files it deleted.
func (t *Table) CleanLog(ctx context.Context, keep time.Duration) (int, error) {
	deleted, err := t.cleanLog(ctx, keep)
	if err != nil {
		return deleted, fmt.Errorf("clean log of table %s: %w", t.Name(), err)
	}
	return deleted, nil
}

func (t *Table) cleanLog(ctx context.Context, keep time.Duration) (int, error) {
	if err := checkKeep(keep); err != nil {
		return 0, err
	}
	old := t.now().Add(-keep)
	l, err := t.list(ctx, 0)
	if err != nil {
		return 0, err
	}
	// The newest version that was written before then.
	newest := int64(-1)
	for i, version := range l.commits {
		if l.written[i].After(old) {
			break
		}
		newest = version
	}
	first, found := int64(0), false
	for _, version := range l.checkpoints {
		if version <= newest {
			first, found = version, true
		}
	}
	if !found || len(l.commits) == 0 || l.commits[0] >= first && l.checkpoints[0] >= first {
		return 0, nil
	}
	hint, err := t.hint(ctx)
	if err != nil {
		return 0, err
	}
	if _, err := t.readCheckpoint(ctx, first, hint); err != nil {
		return 0, err
	}
	// Ascending, so that what is left after a crash has no gap.
	deleted := 0
	for _, part := range []struct {
		versions []int64
		key      func(int64) string
	}{{l.checkpoints, t.checkpointKey}, {l.commits, t.commitKey}} {
		for _, version := range part.versions {
			if version >= first {
				break
			}
			if err := t.store.Delete(ctx, part.key(version)); err != nil {
				return deleted, err
			}
			failpoint.Here("delta.log_cleaned")
			deleted++
		}
	}
	return deleted, nil
}

func checkKeep(keep time.Duration) error {
	if keep < MinKeep {
		return fmt.Errorf("keep %s: readers need at least %s: %w", keep, MinKeep, drumbeat.ErrInvalid)
	}
	return nil
}

// Checkpoint writes a checkpoint of the newest version, unless it has one.
func (t *Table) Checkpoint(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return fmt.Errorf("checkpoint table %s: %w", t.Name(), err)
	}
	if err := t.writeCheckpoint(ctx, t.current.Load()); err != nil {
		return fmt.Errorf("checkpoint table %s: %w", t.Name(), err)
	}
	return nil
}

// isWriting says whether a commit under way may name a file.
func (t *Table) isWriting(name string) bool {
	t.writingMu.Lock()
	defer t.writingMu.Unlock()
	return t.writing[name]
}

// writes marks a file as one that a commit will name.
func (t *Table) writes(name string) {
	t.writingMu.Lock()
	defer t.writingMu.Unlock()
	t.writing[name] = true
}

// wrote ends what writes began.
func (t *Table) wrote(adds []*add) {
	t.writingMu.Lock()
	defer t.writingMu.Unlock()
	for _, a := range adds {
		if a != nil {
			delete(t.writing, a.Path)
		}
	}
}
