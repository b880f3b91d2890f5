package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"drumbeat"
	"drumbeat/objstore"
)

// Read returns a whole blob.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	if err := objstore.Check(ctx, key); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	var body []byte
	err := retry(ctx, func(ctx context.Context) error {
		object, err := s.client.GetObject(ctx, s.bucket, s.prefix+key, minio.GetObjectOptions{})
		if err != nil {
			return err
		}
		body, err = io.ReadAll(object)
		return errors.Join(err, object.Close())
	})
	if err != nil {
		return nil, s.readError(key, err)
	}
	return body, nil
}

// Open gives access to parts of a blob.
func (s *Store) Open(ctx context.Context, key string) (objstore.Object, error) {
	if err := objstore.Check(ctx, key); err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	var found minio.ObjectInfo
	err := retry(ctx, func(ctx context.Context) (err error) {
		found, err = s.client.StatObject(ctx, s.bucket, s.prefix+key, minio.StatObjectOptions{})
		return err
	})
	if err != nil {
		return nil, s.readError(key, err)
	}
	return &object{ctx: ctx, store: s, key: key, size: found.Size}, nil
}

func (s *Store) readError(key string, err error) error {
	if isCode(err, http.StatusNotFound) {
		return fmt.Errorf("read blob %s in %s: there is none: %w", key, s.name, drumbeat.ErrNotFound)
	}
	return fmt.Errorf("read blob %s in %s: %w", key, s.name, explain(err))
}

// object is a blob of which parts are asked for, each with a request.
type object struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt takes none, and the object lives in the call that opened it
	store *Store
	key   string
	size  int64
}

// Size returns the blob's size in bytes.
func (o *object) Size() int64 { return o.size }

// Close ends nothing: no connection is held.
func (o *object) Close() error { return nil }

// ReadAt reads a part.
func (o *object) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read blob %s at %d: %w", o.key, at, drumbeat.ErrInvalid)
	}
	if at >= o.size {
		return 0, io.EOF
	}
	want := int64(len(p))
	if want == 0 {
		return 0, nil
	}
	end := min(at+want, o.size)
	n := 0
	err := retry(o.ctx, func(ctx context.Context) error {
		var opt minio.GetObjectOptions
		if err := opt.SetRange(at, end-1); err != nil {
			return err
		}
		part, err := o.store.client.GetObject(ctx, o.store.bucket, o.store.prefix+o.key, opt)
		if err != nil {
			return err
		}
		n, err = io.ReadFull(part, p[:end-at])
		return errors.Join(err, part.Close())
	})
	switch {
	case err != nil:
		return n, o.store.readError(o.key, err)
	case end-at < want:
		return n, io.EOF
	}
	return n, nil
}

// List yields what is stored under keys that begin with prefix.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objstore.Entry, error] {
	return func(yield func(objstore.Entry, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(objstore.Entry{}, fmt.Errorf("list blobs: %w", err))
			return
		}
		last := after
		for try := 1; ; try++ {
			more, err := s.list(ctx, prefix, &last, yield)
			if !more || err == nil {
				return
			}
			if try == attempts || !passes(err) {
				yield(objstore.Entry{}, fmt.Errorf("list blobs under %q in %s: %w", prefix, s.name, explain(err)))
				return
			}
			if err := pause(ctx, try); err != nil {
				yield(objstore.Entry{}, fmt.Errorf("list blobs under %q in %s: %w", prefix, s.name, err))
				return
			}
		}
	}
}

// list yields what follows *last, which it moves on, until an error; more is
// false when no more is wanted.
func (s *Store) list(ctx context.Context, prefix string, last *string, yield func(objstore.Entry, error) bool) (more bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // the client's lister ends
	opt := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true}
	if *last != "" {
		opt.StartAfter = s.prefix + *last
	}
	for found := range s.client.ListObjects(ctx, s.bucket, opt) {
		if found.Err != nil {
			return true, found.Err
		}
		key := strings.TrimPrefix(found.Key, s.prefix)
		if strings.HasSuffix(key, "/") || objstore.CheckKey(key) != nil || key <= *last {
			continue // another program's, or a folder's mark
		}
		*last = key
		if !yield(objstore.Entry{Key: key, Size: found.Size, Modified: found.LastModified}, nil) {
			return false, nil
		}
	}
	return true, nil
}
