// Package sqlite is the embedded online store: a SQLite file, and in front of
// it a cache in memory from which the records of working machines are read
// without touching the file.
//
// A write is one transaction, on disk before Write returns. One process may
// have the file open.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers bounds the connections that read what the cache does not hold.
const readers = 4

// Store is a feature.Online in a SQLite file.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB
	cache *cache

	// commit is held for writing from before a commit until the cache holds
	// what was committed, and for reading while a record goes from the file
	// to the cache: so the cache never goes back to an older record.
	commit sync.RWMutex
	views  map[drumbeat.Hash]int64 // under commit
	closed atomic.Bool
}

// DefaultCache bounds the records in memory: 20,000 machines of 5 KB twice
// over.
const DefaultCache = 256 << 20

// Open opens or creates the store at path. A file that a newer version wrote
// is refused with drumbeat.ErrNewer.
func Open(ctx context.Context, path string) (*Store, error) {
	return OpenCached(ctx, path, DefaultCache)
}

// OpenCached is Open with a cache of at most cacheBytes; the record that was
// last written or read stays in it, whatever its size.
func OpenCached(ctx context.Context, path string, cacheBytes int) (*Store, error) {
	s, err := open(ctx, path, cacheBytes)
	if err != nil {
		return nil, fmt.Errorf("open online store %s: %w", path, err)
	}
	return s, nil
}

func open(ctx context.Context, path string, cacheBytes int) (*Store, error) {
	write, err := sqlitefile.Open(ctx, path, sqlitefile.Options{
		Migrations: migrations, OrElse: "remove the file and let it be rebuilt",
	})
	if err != nil {
		return nil, err
	}
	read, err := sqlitefile.Readers(path, readers)
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	s := &Store{write: write, read: read, cache: newCache(cacheBytes), views: map[drumbeat.Hash]int64{}}
	if err := s.loadViews(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) loadViews(ctx context.Context) error {
	rows, err := s.read.QueryContext(ctx, `SELECT id, hash FROM views`)
	if err != nil {
		return fmt.Errorf("read its views: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var hash drumbeat.Hash
		if err := rows.Scan(&id, &hash); err != nil {
			return fmt.Errorf("read its views: %w", err)
		}
		s.views[hash] = id
	}
	return rows.Err()
}

// Read implements feature.Online.
func (s *Store) Read(
	ctx context.Context, hash drumbeat.Hash, machines []drumbeat.MachineID, withAdvance bool,
) ([]feature.Record, error) {
	if s.closed.Load() {
		return nil, feature.ErrClosed
	}
	out := make([]feature.Record, len(machines))
	missed := s.cache.read(hash, machines, out)
	for _, i := range missed {
		if err := s.fetch(ctx, hash, machines[i], &out[i]); err != nil {
			return nil, fmt.Errorf("read the record of %s: %w", machines[i], err)
		}
	}
	for i := range out {
		out[i].Vector.Machine = machines[i]
		if !withAdvance {
			out[i].Advance = nil
		}
	}
	return out, nil
}

// fetch takes a record from the file into the cache; it leaves out as it is
// if there is none.
func (s *Store) fetch(ctx context.Context, hash drumbeat.Hash, id drumbeat.MachineID, out *feature.Record) error {
	s.commit.RLock()
	defer s.commit.RUnlock()
	view, ok := s.views[hash]
	if !ok {
		return nil
	}
	var vector, advance []byte
	err := s.read.QueryRowContext(ctx,
		`SELECT vector, advance FROM records WHERE view = ? AND machine = ?`, view, string(id)).Scan(&vector, &advance)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	v, err := feature.DecodeVector(id, vector)
	if err != nil {
		return err
	}
	*out = feature.Record{Vector: v, Advance: advance}
	s.cache.put(hash, *out)
	return nil
}

// Machines implements feature.Online.
func (s *Store) Machines(ctx context.Context, hash drumbeat.Hash) ([]drumbeat.MachineID, error) {
	if s.closed.Load() {
		return nil, feature.ErrClosed
	}
	rows, err := s.read.QueryContext(ctx,
		`SELECT machine FROM records JOIN views ON views.id = records.view WHERE hash = ? ORDER BY machine`, string(hash))
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	defer rows.Close()
	var out []drumbeat.MachineID
	for rows.Next() {
		var id drumbeat.MachineID
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("list machines: %w", err)
		}
		out = append(out, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	return out, nil
}

// Close implements feature.Online. A second Close does nothing.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	return errors.Join(s.read.Close(), s.write.Close())
}
