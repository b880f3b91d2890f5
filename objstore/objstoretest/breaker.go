package objstoretest

import (
	"context"
	"errors"
	"iter"
	"sync"

	"drumbeat/objstore"
)

// ErrBroken is what a Breaker's calls return once it is broken.
var ErrBroken = errors.New("broken on purpose")

// Moment says when, around the call that breaks a store, it breaks.
type Moment uint8

// The moments at which a Breaker breaks.
const (
	Before Moment = iota // the call does nothing
	After                // the call does its work, but its answer is lost
)

// Breaker is a store that breaks at its n-th call: that call and, if it is a
// crash, all later ones return ErrBroken. What was written before stays in
// the store beneath, as after the death of a process.
type Breaker struct {
	objstore.Store

	// At is the call that breaks, counted from 1; 0 never breaks.
	At     int
	Moment Moment
	// Once lets later calls succeed: an error, not a crash.
	Once bool
	// WritesOnly counts only Create and Delete.
	WritesOnly bool

	mu    sync.Mutex
	calls int
}

// Calls returns how many calls were counted.
func (b *Breaker) Calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls
}

// Broke says whether the call to break was reached.
func (b *Breaker) Broke() bool { return b.At > 0 && b.Calls() >= b.At }

// next counts a call and says whether it does its work and whether it fails.
func (b *Breaker) next(write bool) (work, fail bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if write || !b.WritesOnly {
		b.calls++
	} else if b.At == 0 || b.calls < b.At || b.Once {
		return true, false
	}
	switch {
	case b.At == 0 || b.calls < b.At || b.calls > b.At && b.Once:
		return true, false
	case b.calls == b.At && (write || !b.WritesOnly):
		return b.Moment == After, true
	}
	return false, true
}

// Create stores a blob, unless the store is broken.
func (b *Breaker) Create(ctx context.Context, key string, body []byte) error {
	work, fail := b.next(true)
	var err error
	if work {
		err = b.Store.Create(ctx, key, body)
	}
	if fail {
		return ErrBroken
	}
	return err
}

// Delete removes a blob, unless the store is broken.
func (b *Breaker) Delete(ctx context.Context, key string) error {
	work, fail := b.next(true)
	var err error
	if work {
		err = b.Store.Delete(ctx, key)
	}
	if fail {
		return ErrBroken
	}
	return err
}

// Read reads a blob, unless the store is broken.
func (b *Breaker) Read(ctx context.Context, key string) ([]byte, error) {
	if _, fail := b.next(false); fail {
		return nil, ErrBroken
	}
	return b.Store.Read(ctx, key)
}

// Open opens a blob, unless the store is broken.
func (b *Breaker) Open(ctx context.Context, key string) (objstore.Object, error) {
	if _, fail := b.next(false); fail {
		return nil, ErrBroken
	}
	return b.Store.Open(ctx, key)
}

// List lists blobs, unless the store is broken.
func (b *Breaker) List(ctx context.Context, prefix, after string) iter.Seq2[objstore.Entry, error] {
	if _, fail := b.next(false); fail {
		return func(yield func(objstore.Entry, error) bool) { yield(objstore.Entry{}, ErrBroken) }
	}
	return b.Store.List(ctx, prefix, after)
}
