package delta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"drumbeat"
)

// Restored is what a restoration did.
type Restored struct {
	From    int64 `json:"from_version"` // the newest before it
	To      int64 `json:"to_version"`   // whose state stands now
	Made    int64 `json:"new_version"`
	Removed int   `json:"files_removed"`
	Added   int   `json:"files_added"`
}

// Restore makes a new version that has the rows, columns and progress of
// applications (txn actions) of an older one: whoever writes the table goes on
// from there. Files that Vacuum deleted cannot be restored: then nothing is
// done. Versions between stay as they are.
func (t *Table) Restore(ctx context.Context, version int64) (Restored, error) {
	done := Restored{To: version}
	target, err := t.At(ctx, version)
	if err == nil {
		err = t.restore(ctx, target, &done)
	}
	if err != nil {
		return done, fmt.Errorf("restore table %s to version %d: %w", t.Name(), version, err)
	}
	return done, nil
}

func (t *Table) restore(ctx context.Context, target *Snapshot, done *Restored) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for range t.tries {
		if err := t.refresh(ctx); err != nil {
			return err
		}
		now := t.current.Load()
		if err := now.writable(); err != nil {
			return err
		}
		actions, err := t.restoration(ctx, now, target, done)
		if err != nil {
			return err
		}
		err = t.commit(ctx, now, actions)
		if err == nil {
			done.From, done.Made = now.version, now.version+1
			t.checkpointIfDue(ctx)
			return nil
		}
		if !errors.Is(err, drumbeat.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("others were first %d times: %w", t.tries, drumbeat.ErrConflict)
}

// restoration returns the actions that lead from one snapshot to another.
func (t *Table) restoration(ctx context.Context, now, target *Snapshot, done *Restored) ([]action, error) {
	if !slices.Equal(now.meta.PartitionColumns, target.meta.PartitionColumns) {
		return nil, fmt.Errorf("the table was partitioned otherwise then: %w", drumbeat.ErrInvalid)
	}
	info := t.info("RESTORE")
	info.Info.OperationParameters["version"] = strconv.FormatInt(target.version, 10)
	actions := []action{info}
	if now.meta.SchemaString != target.meta.SchemaString {
		actions = append(actions, action{MetaData: target.meta})
	}
	apps := maps.Clone(now.txns)
	if apps == nil {
		apps = map[string]txn{}
	}
	maps.Copy(apps, target.txns)
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		if at := target.Txn(app); at != now.Txn(app) {
			actions = append(actions, action{Txn: &txn{AppID: app, Version: at, LastUpdated: t.now().UnixMilli()}})
		}
	}
	wanted, standing := pathsOf(target), pathsOf(now)
	done.Removed, done.Added = 0, 0
	for _, f := range now.files {
		if !wanted[f.Path] {
			actions = append(actions, action{Remove: &remove{Path: escapePath(f.Path), DeletionTimestamp: t.now().UnixMilli(), DataChange: true}})
			done.Removed++
		}
	}
	var gone []string
	for _, f := range target.files {
		if standing[f.Path] {
			continue
		}
		if err := t.exists(ctx, f); errors.Is(err, drumbeat.ErrNotFound) {
			gone = append(gone, f.Path)
		} else if err != nil {
			return nil, err
		}
		actions = append(actions, action{Add: f.addition(true)})
		done.Added++
	}
	if len(gone) > 0 {
		return nil, fmt.Errorf("%d of its files were deleted since (%s): clean-up went beyond it; choose a newer version: %w",
			len(gone), strings.Join(gone[:min(len(gone), 3)], ", "), drumbeat.ErrNotFound)
	}
	return actions, nil
}

func pathsOf(s *Snapshot) map[string]bool {
	paths := make(map[string]bool, len(s.files))
	for _, f := range s.files {
		paths[f.Path] = true
	}
	return paths
}

// exists sees that a file is in the store.
func (t *Table) exists(ctx context.Context, f *File) error {
	object, err := t.store.Open(ctx, t.prefix+f.Path)
	if err != nil {
		return err
	}
	return object.Close()
}

// addition returns the action that adds a file as it is known.
func (f *File) addition(dataChange bool) *add {
	tags := maps.Clone(f.Tags)
	if tags == nil {
		tags = map[string]string{}
	}
	tags[tagOrder] = f.order.String()
	return &add{
		Path: escapePath(f.Path), PartitionValues: f.values(), Size: f.Size,
		ModificationTime: f.Modified.UnixMilli(), DataChange: dataChange, Tags: tags, Stats: f.raw,
	}
}
