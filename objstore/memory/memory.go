// Package memory keeps blobs in memory, for tests and for trying things out.
// Nothing outlives the process.
package memory

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/objstore"
)

// Store is an objstore.Store in memory.
type Store struct {
	mu    sync.RWMutex
	blobs map[string]blob
	now   func() time.Time
}

type blob struct {
	body     []byte
	modified time.Time
}

// New returns an empty store whose blobs are as old as now says.
func New(now func() time.Time) *Store {
	return &Store{blobs: map[string]blob{}, now: now}
}

// Create stores body under a new key.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("create blob: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.blobs[key]; there {
		return fmt.Errorf("create blob %s: it exists: %w", key, drumbeat.ErrConflict)
	}
	s.blobs[key] = blob{body: bytes.Clone(body), modified: s.now()}
	return nil
}

// Read returns a whole blob.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	b, err := s.find(ctx, key)
	return bytes.Clone(b.body), err
}

// Open gives access to parts of a blob.
func (s *Store) Open(ctx context.Context, key string) (objstore.Object, error) {
	b, err := s.find(ctx, key)
	if err != nil {
		return nil, err
	}
	return object{bytes.NewReader(b.body)}, nil
}

// List yields the blobs under a prefix, in order.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objstore.Entry, error] {
	return func(yield func(objstore.Entry, error) bool) {
		s.mu.RLock()
		entries := make([]objstore.Entry, 0, len(s.blobs))
		for key, b := range s.blobs {
			if strings.HasPrefix(key, prefix) && key > after {
				entries = append(entries, objstore.Entry{Key: key, Size: int64(len(b.body)), Modified: b.modified})
			}
		}
		s.mu.RUnlock()
		slices.SortFunc(entries, func(a, b objstore.Entry) int { return strings.Compare(a.Key, b.Key) })
		for _, entry := range entries {
			if err := ctx.Err(); err != nil {
				yield(objstore.Entry{}, fmt.Errorf("list blobs under %s: %w", prefix, err))
				return
			}
			if !yield(entry, nil) {
				return
			}
		}
	}
}

// Delete removes a blob.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blobs, key)
	return nil
}

func (s *Store) find(ctx context.Context, key string) (blob, error) {
	if err := objstore.Check(ctx, key); err != nil {
		return blob{}, fmt.Errorf("read blob: %w", err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, there := s.blobs[key]
	if !there {
		return blob{}, fmt.Errorf("read blob %s: %w", key, drumbeat.ErrNotFound)
	}
	return b, nil
}

type object struct{ *bytes.Reader }

func (object) Close() error { return nil }
