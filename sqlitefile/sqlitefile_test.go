package sqlitefile_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"drumbeat"
	"drumbeat/sqlitefile"
)

// first and second are the migrations of a program and of a later one.
var (
	first  = fstest.MapFS{"migrations/001_a.sql": {Data: []byte("-- +goose Up\nCREATE TABLE a (n INTEGER) STRICT;\n")}}
	second = fstest.MapFS{
		"migrations/001_a.sql": first["migrations/001_a.sql"],
		"migrations/002_b.sql": {Data: []byte("-- +goose Up\nALTER TABLE a ADD COLUMN m INTEGER;\n")},
	}
)

// awkward has what a URI would take for something else.
const awkward = "a? 100%#.sqlite"

func open(t *testing.T, path string, opt sqlitefile.Options) *sql.DB {
	t.Helper()
	db, err := sqlitefile.Open(t.Context(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestAFileIsBroughtUpToDateAndANewerOneIsRefusedUntouched(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), awkward)
	db := open(t, path, sqlitefile.Options{Migrations: first})
	if _, err := db.ExecContext(t.Context(), `INSERT INTO a (n) VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, path, sqlitefile.Options{Migrations: second})
	var n int
	if err := db.QueryRowContext(t.Context(), `SELECT n FROM a WHERE m IS NULL`).Scan(&n); err != nil || n != 7 {
		t.Errorf("after the second migration: got %d, %v, want 7", n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := read(t, path)
	_, err := sqlitefile.Open(t.Context(), path, sqlitefile.Options{Migrations: first, OrElse: "remove it"})
	want := "its format is version 2, this program knows versions up to 1: use a newer program, or remove it"
	if !errors.Is(err, drumbeat.ErrNewer) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if read(t, path) != before {
		t.Error("a refused file was changed")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryConnectionHasThePragmas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), awkward)
	write := open(t, path, sqlitefile.Options{Migrations: first})
	readers, err := sqlitefile.Readers(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = readers.Close() })
	for pragma, want := range map[string]string{
		"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000", "foreign_keys": "1",
	} {
		for name, db := range map[string]*sql.DB{"writer": write, "reader": readers} {
			var got string
			if err := db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s: %s is %s, %v, want %s", name, pragma, got, err, want)
			}
		}
	}
	if _, err := readers.ExecContext(t.Context(), `INSERT INTO a (n) VALUES (1)`); err == nil {
		t.Error("a reader wrote")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the file is not where it was asked for: %v", err)
	}
}

func TestAFileThatIsNoDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.sqlite")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database at all ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if db, err := sqlitefile.Open(t.Context(), path, sqlitefile.Options{Migrations: first}); err == nil {
		t.Error("opened", db.Close())
	}
}
