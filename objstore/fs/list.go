package fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"drumbeat/objstore"
)

// List yields the blobs under a prefix, in order.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objstore.Entry, error] {
	return func(yield func(objstore.Entry, error) bool) {
		w := walk{store: s, prefix: prefix, after: after, yield: yield}
		start := "."
		if slash := strings.LastIndexByte(prefix, '/'); slash > 0 {
			start = prefix[:slash]
		}
		if !fs.ValidPath(start) {
			return // no key begins like that
		}
		if _, err := w.folder(ctx, start); err != nil {
			yield(objstore.Entry{}, fmt.Errorf("list blobs under %s in %s: %w", prefix, s.name, err))
		}
	}
}

type walk struct {
	store         *Store
	prefix, after string
	yield         func(objstore.Entry, error) bool
}

// folder yields what is below a folder and says whether to go on.
func (w *walk) folder(ctx context.Context, name string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	entries, err := w.read(name)
	if err != nil {
		return false, err
	}
	for _, entry := range entries {
		key := path.Join(name, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if entry.IsDir() {
			below := key + "/"
			// All keys below share this beginning; skip what cannot match.
			if !strings.HasPrefix(below, w.prefix) && !strings.HasPrefix(w.prefix, below) ||
				below < w.after && !strings.HasPrefix(w.after, below) {
				continue
			}
			if more, err := w.folder(ctx, key); err != nil || !more {
				return false, err
			}
			continue
		}
		if !strings.HasPrefix(key, w.prefix) || key <= w.after {
			continue
		}
		about, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err != nil {
			return false, err
		}
		if !w.yield(objstore.Entry{Key: key, Size: about.Size(), Modified: about.ModTime()}, nil) {
			return false, nil
		}
	}
	return true, nil
}

// read lists a folder in the byte order of keys: a folder sorts as if its
// name ended in a slash, since its keys go on with one.
func (w *walk) read(name string) ([]fs.DirEntry, error) {
	dir, err := w.store.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	if err := errors.Join(err, dir.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(sortName(a), sortName(b)) })
	return entries, nil
}

func sortName(entry fs.DirEntry) string {
	if entry.IsDir() {
		return entry.Name() + "/"
	}
	return entry.Name()
}
