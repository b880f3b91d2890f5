// Package objstore keeps immutable blobs under slash-separated keys, with the
// one promise that everything above it rests on: of all that try to create a
// key, exactly one succeeds.
//
// Package objstore/fs keeps blobs in a folder, objstore/memory in memory.
// Package objstore/objstoretest holds every store to the contract.
package objstore

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strings"
	"time"

	"drumbeat"
)

// MaxKeyBytes bounds a key: S3's own limit, and less than a path may have.
const MaxKeyBytes = 1024

// Store keeps blobs. Implementations are safe for concurrent use.
type Store interface {
	// Create stores body under a key that does not exist yet, whole or not at
	// all, and durably before it returns nil. A key that exists is left alone:
	// drumbeat.ErrConflict. After any other error the blob may or may not be
	// there; read it back, or try again.
	Create(ctx context.Context, key string, body []byte) error
	// Read returns a whole blob, drumbeat.ErrNotFound if there is none.
	Read(ctx context.Context, key string) ([]byte, error)
	// Open gives access to parts of a blob, drumbeat.ErrNotFound if there is
	// none. The caller closes the object.
	Open(ctx context.Context, key string) (Object, error)
	// List yields what is stored under keys that begin with prefix and are
	// greater than after, in ascending byte order. Blobs created or deleted
	// meanwhile may be seen or not. It stops after the first error.
	List(ctx context.Context, prefix, after string) iter.Seq2[Entry, error]
	// Delete removes a blob; that there is none is no error. A crash soon
	// afterwards may bring the blob back.
	Delete(ctx context.Context, key string) error
}

// Object is an open blob. It never changes.
type Object interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// Entry is one stored blob in a listing.
type Entry struct {
	Key      string
	Size     int64
	Modified time.Time
}

// Check says whether a call on a key may begin: its context has not ended, and
// the key can be stored.
func Check(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return CheckKey(key)
}

// CheckKey says whether a key can be stored anywhere: a relative slash path
// without empty, "." or ".." elements, whose elements do not begin with a dot.
func CheckKey(key string) error {
	if !fs.ValidPath(key) || key == "." || strings.HasPrefix(key, ".") || strings.Contains(key, "/.") ||
		strings.ContainsAny(key, "\\\x00") || len(key) > MaxKeyBytes {
		return fmt.Errorf("use key %.80q: want a relative path such as a/b.json, no dot in front, at most %d bytes: %w",
			key, MaxKeyBytes, drumbeat.ErrInvalid)
	}
	return nil
}
