// Package fs keeps blobs as files in a folder. A blob is written to a
// temporary file, synced, and linked to its name: link(2) refuses a name that
// exists, so of several processes exactly one creates a key. The folder is
// synced before Create returns.
package fs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"drumbeat"
	"drumbeat/failpoint"
	"drumbeat/objstore"
)

// tempFolder holds files that are being written. Keys cannot begin with a
// dot, so no blob is in it.
const tempFolder = ".tmp"

// abandoned is the age at which a temporary file is taken for a crashed
// process's: no write of one blob lasts so long, and none of them is in use.
const abandoned = time.Hour

const (
	folderMode = 0o750
	fileMode   = 0o640
)

// Store is an objstore.Store in a folder.
type Store struct {
	root *os.Root
	name string
}

// Open opens the folder, making it if it does not exist. The store never
// leaves it, whatever links it holds.
func Open(folder string) (*Store, error) {
	if err := os.MkdirAll(folder, folderMode); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{root: root, name: folder}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", folder, err), root.Close())
	}
	return s, nil
}

// Close releases the folder. Open objects stay readable.
func (s *Store) Close() error {
	if err := s.root.Close(); err != nil {
		return fmt.Errorf("close store %s: %w", s.name, err)
	}
	return nil
}

// prepare makes the folder for temporary files and empties it of what
// crashed processes left.
func (s *Store) prepare() error {
	if err := s.root.MkdirAll(tempFolder, folderMode); err != nil {
		return err
	}
	left, err := fs.ReadDir(s.root.FS(), tempFolder)
	if err != nil {
		return err
	}
	for _, file := range left {
		about, err := file.Info()
		if err == nil && time.Since(about.ModTime()) > abandoned {
			err = s.root.Remove(path.Join(tempFolder, file.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Create stores body under a new key.
func (s *Store) Create(ctx context.Context, key string, body []byte) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("create blob: %w", err)
	}
	err := s.create(key, body)
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("create blob %s: it exists: %w", key, drumbeat.ErrConflict)
	case err != nil:
		return fmt.Errorf("create blob %s in %s: %w", key, s.name, err)
	}
	return nil
}

func (s *Store) create(key string, body []byte) (err error) {
	temp := path.Join(tempFolder, rand.Text())
	failpoint.Here("fs.begin")
	if err := s.write(temp, body); err != nil {
		return errors.Join(err, s.remove(temp))
	}
	failpoint.Here("fs.written")
	defer func() { err = errors.Join(err, s.remove(temp)) }()
	err = s.root.Link(temp, key)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(path.Dir(key)); err != nil {
			return err
		}
		err = s.root.Link(temp, key)
	}
	if err != nil {
		return err
	}
	failpoint.Here("fs.linked")
	return s.sync(path.Dir(key))
}

func (s *Store) write(name string, body []byte) error {
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(body)
	failpoint.Here("fs.unsynced")
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makeFolder makes a folder and its parents, each durable in its own parent.
func (s *Store) makeFolder(name string) error {
	err := s.root.Mkdir(name, folderMode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.makeFolder(path.Dir(name)); err != nil {
			return err
		}
		err = s.root.Mkdir(name, folderMode)
	}
	// Somebody else may have made it a moment ago, and not yet synced it.
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return s.sync(path.Dir(name))
}

func (s *Store) sync(folder string) error {
	dir, err := s.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (s *Store) remove(name string) error {
	if err := s.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Read returns a whole blob.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	if err := objstore.Check(ctx, key); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	body, err := s.root.ReadFile(key)
	if err != nil {
		return nil, s.missing(key, err)
	}
	return body, nil
}

// Open gives access to parts of a blob.
func (s *Store) Open(ctx context.Context, key string) (objstore.Object, error) {
	if err := objstore.Check(ctx, key); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	file, err := s.root.Open(key)
	if err != nil {
		return nil, s.missing(key, err)
	}
	about, err := file.Stat()
	if err == nil && about.IsDir() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, errors.Join(s.missing(key, err), file.Close())
	}
	return object{file, about.Size()}, nil
}

// missing gives an error of reading a key its kind.
func (s *Store) missing(key string, err error) error {
	if about, statErr := s.root.Stat(key); errors.Is(err, fs.ErrNotExist) || statErr == nil && about.IsDir() {
		return fmt.Errorf("read blob %s in %s: %w", key, s.name, drumbeat.ErrNotFound)
	}
	return fmt.Errorf("read blob %s in %s: %w", key, s.name, err)
}

// Delete removes a blob.
func (s *Store) Delete(ctx context.Context, key string) error {
	if err := objstore.Check(ctx, key); err != nil {
		return fmt.Errorf("delete blob: %w", err)
	}
	if about, err := s.root.Lstat(key); err == nil && about.IsDir() {
		return nil // a folder is no blob
	}
	if err := s.remove(key); err != nil {
		return fmt.Errorf("delete blob %s in %s: %w", key, s.name, err)
	}
	return nil
}

type object struct {
	*os.File
	size int64
}

// Size returns the blob's length in bytes.
func (o object) Size() int64 { return o.size }
