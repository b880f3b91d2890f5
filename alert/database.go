package alert

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"drumbeat"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver named sqlite
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many pages may read at once; SQLite's readers do not wait
// for the writer.
const readers = 4

// open opens the database file twice: one connection that writes, and some
// that only read.
func open(ctx context.Context, path string) (write, read *sql.DB, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	pragmas := []string{"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(ON)"}
	if write, err = connect(absolute, pragmas, 1); err != nil {
		return nil, nil, err
	}
	if err := migrate(ctx, write); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	if read, err = connect(absolute, append(pragmas, "query_only(ON)"), readers); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

func connect(path string, pragmas []string, connections int) (*sql.DB, error) {
	query := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// migrate brings the database to this program's form, and refuses a newer one.
func migrate(ctx context.Context, db *sql.DB) error {
	folder, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read format version: %w", err)
	}
	if have > want {
		return fmt.Errorf("its format is version %d, this program reads %d: use a newer program: %w",
			have, want, drumbeat.ErrNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring format up to date: %w", err)
	}
	return nil
}

// claim notes whose alerts these are, or refuses a file of another fleet, and
// returns the fleet's clock.
func claim(ctx context.Context, db *sql.DB, fleet drumbeat.FleetName) (drumbeat.Time, error) {
	if _, err := db.ExecContext(ctx, `INSERT INTO fleet (one, name) VALUES (1, ?) ON CONFLICT DO NOTHING`,
		string(fleet)); err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	var name string
	var now sql.NullInt64
	if err := db.QueryRowContext(ctx, `SELECT name, now FROM fleet`).Scan(&name, &now); err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	if name != string(fleet) {
		return 0, fmt.Errorf("it holds alerts of %s, not of %s: %w", name, fleet, drumbeat.ErrInvalid)
	}
	return timeOf(now), nil
}

func timeOf(n sql.NullInt64) drumbeat.Time {
	if !n.Valid {
		return drumbeat.NoTime
	}
	return drumbeat.Time(n.Int64)
}

func nullable(t drumbeat.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: int64(t), Valid: t != drumbeat.NoTime}
}
