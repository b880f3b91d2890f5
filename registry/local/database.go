package local

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

// open opens the database file and brings its form up to date. One connection
// writes and reads: a registry is asked a few times a minute.
func open(ctx context.Context, path string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", path, err)
	}
	query := url.Values{
		"_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(5000)", "foreign_keys(ON)"},
		"_txlock": {"immediate"},
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", path, err)
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		return nil, errors.Join(fmt.Errorf("open registry %s: %w", path, err), db.Close())
	}
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
