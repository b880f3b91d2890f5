// Package sqlitefile opens the SQLite files that Drumbeat keeps: one set of
// pragmas, embedded goose migrations, and no file that a newer program wrote.
//
// A commit is on disk before it returns: journal mode WAL, synchronous FULL.
// One process may have a file open.
package sqlitefile

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"drumbeat"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver named sqlite
)

// Options say what differs between files.
type Options struct {
	// Migrations holds the goose migrations, in its folder "migrations".
	Migrations fs.FS
	// OrElse says what else may be done about a file of a newer form than to
	// use the newer program, such as "remove the file and let it be rebuilt".
	OrElse string
}

// Open opens or creates the file at path and brings its form up to date. The
// handle has one connection, whose transactions begin as writers. A file of a
// newer form is refused with drumbeat.ErrNewer. An error does not name the
// file: the caller knows what it is to people.
func Open(ctx context.Context, path string, opt Options) (*sql.DB, error) {
	db, err := connect(path, url.Values{"_txlock": {"immediate"}}, 1)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, db, opt); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Readers opens connections that only read the file at path, which Open has
// opened: SQLite's readers do not wait for its writer.
func Readers(path string, connections int) (*sql.DB, error) {
	return connect(path, url.Values{"_pragma": {"query_only(ON)"}}, connections)
}

// connect opens path without any of its characters meaning something in the
// driver's URI.
func connect(path string, query url.Values, connections int) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	query["_pragma"] = append([]string{
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)",
	}, query["_pragma"]...)
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// migrate brings the file to this program's form, and refuses a newer one.
func migrate(ctx context.Context, db *sql.DB, opt Options) error {
	folder, err := fs.Sub(opt.Migrations, "migrations")
	if err != nil {
		return fmt.Errorf("read its migrations: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, folder, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read its migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read its format version: %w", err)
	}
	if have > want {
		orElse := ""
		if opt.OrElse != "" {
			orElse = ", or " + opt.OrElse
		}
		return fmt.Errorf("its format is version %d, this program knows versions up to %d: use a newer program%s: %w",
			have, want, orElse, drumbeat.ErrNewer)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("bring it to format version %d: %w", want, err)
	}
	return nil
}
