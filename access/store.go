package access

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"time"

	"drumbeat"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

//go:embed migrations/*.sql
var migrations embed.FS

// openDatabase opens and migrates the SQLite file at path.
func openDatabase(ctx context.Context, path string) (*sql.DB, error) {
	// FULL: what the record says happened is on disk before anybody hears of it.
	query := url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(1)",
	}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Opaque: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		return nil, closing(db, err)
	}
	return db, nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read format version: %w", err)
	}
	if current > target {
		return fmt.Errorf("its format is version %d, this program knows %d: %w", current, target, drumbeat.ErrNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

// closing closes db because of err, and returns both faults.
func closing(db *sql.DB, err error) error { return errors.Join(err, db.Close()) }

// micros is how a time is stored.
func micros(t time.Time) int64 { return t.UnixMicro() }

// load fills the maps and the record's head from the tables, and forgets what
// has expired.
func (a *Access) load(ctx context.Context) error {
	now := micros(a.now())
	for _, query := range []string{
		`DELETE FROM sessions WHERE expires_at <= ?`,
		`DELETE FROM links WHERE expires_at <= ?`,
	} {
		if _, err := a.db.ExecContext(ctx, query, now); err != nil {
			return err
		}
	}
	if err := a.loadTokens(ctx, now); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	if err := a.loadSessions(ctx); err != nil {
		return fmt.Errorf("sessions: %w", err)
	}
	return a.loadHead(ctx)
}

func (a *Access) loadTokens(ctx context.Context, now int64) (err error) {
	rows, err := a.db.QueryContext(ctx, `SELECT id, hash, name, role, created_at, expires_at
		FROM tokens WHERE revoked_at IS NULL AND expires_at > ?`, now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var token Token
		var hash []byte
		var role string
		var created, expires int64
		if err := rows.Scan(&token.ID, &hash, &token.Name, &role, &created, &expires); err != nil {
			return err
		}
		if token.Role, err = ParseRole(role); err != nil {
			return err
		}
		token.CreatedAt, token.ExpiresAt = time.UnixMicro(created), time.UnixMicro(expires)
		a.tokens[digest(hash)] = &token
	}
	return rows.Err()
}

func (a *Access) loadSessions(ctx context.Context) (err error) {
	rows, err := a.db.QueryContext(ctx, `SELECT hash, name, role, token, expires_at FROM sessions`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var s session
		var hash []byte
		var role string
		var expires int64
		if err := rows.Scan(&hash, &s.person.Name, &role, &s.token, &expires); err != nil {
			return err
		}
		if s.person.Role, err = ParseRole(role); err != nil {
			return err
		}
		s.expires = time.UnixMicro(expires)
		a.sessions[digest(hash)] = &s
	}
	return rows.Err()
}
