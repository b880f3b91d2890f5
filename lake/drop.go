package lake

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"drumbeat"
)

// dropMark is the blob that says that a gold table is being dropped: it comes
// before anything is deleted, and goes last. A table whose drop did not come
// to its end would not be readable.
const dropMark = "_dropped"

// drop drops a gold table that no live model uses, or ends a drop that was
// begun, and says whether it did.
func (m *maintenance) drop(ctx context.Context, name string) (bool, error) {
	l := m.lake
	mark := l.key(name) + "/" + dropMark
	_, err := l.store.Read(ctx, mark)
	begun := err == nil
	if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
		return false, fmt.Errorf("drop table %s: %w", name, err)
	}
	if !begun {
		if m.opt.LiveHashes == nil || slices.Contains(m.opt.LiveHashes, drumbeat.Hash(path.Base(name))) {
			return false, nil
		}
		written, err := l.lastWritten(ctx, name)
		if err != nil || l.now().Sub(written) < m.opt.KeepGold {
			return false, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.golds[name]; g != nil {
		g.dropped.Store(true)
	}
	delete(l.golds, name)
	delete(l.strangers, name)
	if !begun {
		if err := l.store.Create(ctx, mark, []byte("{}")); err != nil && !errors.Is(err, drumbeat.ErrConflict) {
			return false, fmt.Errorf("drop table %s: %w", name, err)
		}
	}
	return true, l.finishDrop(ctx, name)
}

// finishDrop deletes what is left of a table if it was marked as dropped. The
// caller holds l.mu.
func (l *Lake) finishDrop(ctx context.Context, name string) error {
	mark := l.key(name) + "/" + dropMark
	if _, err := l.store.Read(ctx, mark); err != nil {
		if errors.Is(err, drumbeat.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("drop table %s: %w", name, err)
	}
	var keys []string
	for entry, err := range l.store.List(ctx, l.key(name)+"/", "") {
		if err != nil {
			return fmt.Errorf("drop table %s: %w", name, err)
		}
		if entry.Key != mark {
			keys = append(keys, entry.Key)
		}
	}
	for _, key := range append(keys, mark) {
		if err := l.store.Delete(ctx, key); err != nil {
			return fmt.Errorf("drop table %s: %w", name, err)
		}
	}
	return nil
}

// lastWritten returns when a table's log was last added to; the zero time if
// it has none.
func (l *Lake) lastWritten(ctx context.Context, name string) (time.Time, error) {
	var last time.Time
	for entry, err := range l.store.List(ctx, l.key(name)+"/_delta_log/", "") {
		if err != nil {
			return last, fmt.Errorf("look at table %s: %w", name, err)
		}
		if entry.Modified.After(last) {
			last = entry.Modified
		}
	}
	return last, nil
}

// key returns where a table lies in the store.
func (l *Lake) key(name string) string { return string(l.fleet.Name) + "/" + name }
