// Package access says who may do what, and remembers who did what.
//
// A person or a program proves who it is by a bearer token, or by a session
// that a one-time link or a token opened. Every secret is 256 random bits,
// shown once and kept only as its SHA-256. Every route of a [Router] states
// its least [Role]. What people did stands in an append-only record whose
// entries are chained by hash ([Access.Verify]).
//
// Times here are wall-clock times (T6).
package access

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/sqlitefile"
)

// Options are what an Access takes from its caller.
type Options struct {
	Log    *slog.Logger
	Now    func() time.Time // the wall clock
	Random io.Reader        // crypto/rand.Reader outside tests
}

// Person is who stands behind a request.
type Person struct {
	Name string
	Role Role
}

// Access keeps tokens, sessions and the record of acts. It is safe for
// concurrent use. One process at a time opens a file.
type Access struct {
	db       *sql.DB
	log      *slog.Logger
	now      func() time.Time
	random   io.Reader
	failures *Limiter // failed sign-ins, by address

	// mu guards what follows; the maps mirror their tables, so that a request
	// costs no query. Writers hold it across their transaction: the record's
	// entries then chain in the order in which they are committed.
	mu       sync.RWMutex
	tokens   map[digest]*Token
	sessions map[digest]*session
	head     Head
}

// digest is the SHA-256 of a secret.
type digest [sha256.Size]byte

// Open opens the access database at path, making it if there is none. A file
// written by a newer version is refused with drumbeat.ErrNewer.
func Open(ctx context.Context, path string, opt Options) (*Access, error) {
	db, err := sqlitefile.Open(ctx, path, sqlitefile.Options{Migrations: migrations})
	if err != nil {
		return nil, fmt.Errorf("open access database %s: %w", path, err)
	}
	a := &Access{
		db: db, log: opt.Log, now: opt.Now, random: opt.Random,
		failures: NewLimiter(failureRate, failureBurst, opt.Now),
		tokens:   map[digest]*Token{},
		sessions: map[digest]*session{},
	}
	if err := a.load(ctx); err != nil {
		return nil, closing(db, fmt.Errorf("read access database %s: %w", path, err))
	}
	return a, nil
}

// Close closes the database.
func (a *Access) Close() error {
	if err := a.db.Close(); err != nil {
		return fmt.Errorf("close access database: %w", err)
	}
	return nil
}

// newSecret makes 256 random bits as text, and their digest.
func (a *Access) newSecret(prefix string) (string, digest, error) {
	var raw [32]byte
	if _, err := io.ReadFull(a.random, raw[:]); err != nil {
		return "", digest{}, fmt.Errorf("draw a secret: %w", err)
	}
	secret := prefix + base64.RawURLEncoding.EncodeToString(raw[:])
	return secret, sha256.Sum256([]byte(secret)), nil
}

// checkPerson refuses names and roles that nobody can have.
func checkPerson(name string, role Role) error {
	if name == "" || len(name) > maxName {
		return fmt.Errorf("name %q: want 1 to %d bytes: %w", name, maxName, drumbeat.ErrInvalid)
	}
	if role < Viewer || role > Engineer {
		return fmt.Errorf("role %s: want viewer, technician or engineer: %w", role, drumbeat.ErrInvalid)
	}
	return nil
}

// maxName bounds a person's name, in bytes: enough for any real one, too
// little to fill the record with.
const maxName = 200
