package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"drumbeat"
)

// each runs a query and calls fn on each of its rows.
func each(ctx context.Context, db *sql.DB, fn func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

const alertColumns = `SELECT id, machine, mode, opened_at, opened_position, last_above, peak, latest, model,
	closed_at, outcome, finding FROM alert `

func upsertAlert(ctx context.Context, tx *sql.Tx, a *drumbeat.Alert) error {
	latest, err := json.Marshal(&a.Latest)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		INSERT INTO alert (id, machine, mode, opened_at, opened_position, last_above, peak, latest, model,
			closed_at, outcome, finding)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET last_above = excluded.last_above, peak = excluded.peak,
			latest = excluded.latest, closed_at = excluded.closed_at, outcome = excluded.outcome,
			finding = excluded.finding`,
		a.ID, string(a.Machine), a.Mode, int64(a.OpenedAt), a.OpenedPos.String(), int64(a.LastAbove), a.Peak,
		string(latest), int64(a.Model), nullable(a.ClosedAt), string(a.Outcome), a.FindingID)
	return err
}

func (s *Store) alerts(ctx context.Context, query string, args ...any) ([]drumbeat.Alert, error) {
	var found []drumbeat.Alert
	err := each(ctx, s.read, func(rows *sql.Rows) error {
		a := drumbeat.Alert{Fleet: s.fleet.Name}
		var position, latest string
		var closed sql.NullInt64
		if err := rows.Scan(&a.ID, &a.Machine, &a.Mode, &a.OpenedAt, &position, &a.LastAbove, &a.Peak, &latest,
			&a.Model, &closed, &a.Outcome, &a.FindingID); err != nil {
			return err
		}
		a.ClosedAt = timeOf(closed)
		var err error
		if a.OpenedPos, err = drumbeat.ParsePosition(position); err != nil {
			return fmt.Errorf("alert %s: %w", a.ID, err)
		}
		if err := json.Unmarshal([]byte(latest), &a.Latest); err != nil {
			return fmt.Errorf("alert %s: %w: %w", a.ID, err, drumbeat.ErrInvalid)
		}
		found = append(found, a)
		return nil
	}, query, args...)
	return found, err
}

const findingColumns = `SELECT seq, id, machine, alert, outcome, mode, part, note, who, when_fleet, when_wall, from_time
	FROM finding `

func insertFinding(ctx context.Context, tx *sql.Tx, f *drumbeat.Finding) error {
	_, err := tx.ExecContext(ctx, `
		INSERT INTO finding (id, machine, alert, outcome, mode, part, note, who, when_fleet, when_wall, from_time)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		f.ID, string(f.Machine), f.Alert, string(f.Outcome), f.Mode, f.Part, f.Note, f.Who,
		int64(f.WhenFleet), int64(f.WhenWall), nullable(f.From))
	return err
}

func (s *Store) findings(ctx context.Context, query string, args ...any) ([]Answered, error) {
	var found []Answered
	err := each(ctx, s.read, func(rows *sql.Rows) error {
		row := Answered{Finding: drumbeat.Finding{Fleet: s.fleet.Name}}
		var from sql.NullInt64
		if err := rows.Scan(&row.Seq, &row.ID, &row.Machine, &row.Alert, &row.Outcome, &row.Mode, &row.Part, &row.Note,
			&row.Who, &row.WhenFleet, &row.WhenWall, &from); err != nil {
			return err
		}
		row.From = timeOf(from)
		found = append(found, row)
		return nil
	}, query, args...)
	return found, err
}
