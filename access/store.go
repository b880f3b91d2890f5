package access

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"
)

//go:embed migrations/*.sql
var migrations embed.FS

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
