// Package sqlite is the embedded online store: a SQLite file, and in front of
// it a cache in memory from which the records of working machines are read
// without touching the file.
//
// A write is one transaction, on disk before Write returns: the file is in
// WAL mode and synced at each commit. One process may have the file open.
package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"sync/atomic"

	"drumbeat"
	"drumbeat/feature"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
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
	write, err := database(path, "&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if err := migrate(ctx, write); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := database(path, "&_pragma=query_only(1)")
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	s := &Store{write: write, read: read, cache: newCache(cacheBytes), views: map[drumbeat.Hash]int64{}}
	if err := s.loadViews(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// database opens path without any of its characters meaning something in the
// driver's URI.
func database(path, options string) (*sql.DB, error) {
	const pragmas = "?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	return sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+pragmas+options)
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read its migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read its format version: %w", err)
	}
	if current > target {
		return fmt.Errorf("its format is version %d, this program knows %d: use the newer program, "+
			"or remove the file and let it be rebuilt: %w", current, target, drumbeat.ErrNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate to format version %d: %w", target, err)
	}
	return nil
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
