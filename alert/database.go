package alert

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"

	"drumbeat"
	"drumbeat/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// readers is how many pages may read at once; SQLite's readers do not wait
// for the writer.
const readers = 4

// open opens the database file twice: one connection that writes, and some
// that only read.
func open(ctx context.Context, path string) (write, read *sql.DB, err error) {
	if write, err = sqlitefile.Open(ctx, path, sqlitefile.Options{Migrations: migrations}); err != nil {
		return nil, nil, err
	}
	if read, err = sqlitefile.Readers(path, readers); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
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
