// Package local keeps the runs of pipelines in a SQLite file. The layout is in
// docs/format/runs.md.
package local

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"drumbeat"
	"drumbeat/pipeline"
	"drumbeat/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a pipeline.Store.
type Store struct{ db *sql.DB }

// Open opens the runs in the SQLite file at path, creating it if there is
// none. A file that a newer version wrote is refused with drumbeat.ErrNewer.
func Open(ctx context.Context, path string) (*Store, error) {
	db, err := sqlitefile.Open(ctx, path, sqlitefile.Options{Migrations: migrations})
	if err != nil {
		return nil, fmt.Errorf("open runs %s: %w", path, err)
	}
	return &Store{db: db}, nil
}

// Close releases the file.
func (s *Store) Close() error { return s.db.Close() }

// Insert is part of pipeline.Store.
func (s *Store) Insert(ctx context.Context, run *pipeline.Run) error {
	result, err := s.db.ExecContext(ctx, `
		INSERT INTO runs (id, graph, fleet, reason_kind, reason_subject, reason_since, reason_detail, reason_key,
			automatic, who, params, state, error, requested_fleet, requested_wall,
			started_fleet, started_wall, ended_fleet, ended_wall)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		run.ID, run.Graph, run.Fleet, run.Reason.Kind, run.Reason.Subject, nullable(run.Reason.Since),
		run.Reason.Detail, run.Reason.Key(), run.Reason.Automatic(), run.Who, string(run.Params), run.State, run.Error,
		nullable(run.Requested.Fleet), nullable(run.Requested.Wall), nullable(run.Started.Fleet),
		nullable(run.Started.Wall), nullable(run.Ended.Fleet), nullable(run.Ended.Wall))
	return oneRow(result, err, "add run "+run.ID, drumbeat.ErrConflict)
}

// Update is part of pipeline.Store.
func (s *Store) Update(ctx context.Context, run *pipeline.Run) error {
	result, err := s.db.ExecContext(ctx, `
		UPDATE runs SET state = ?, error = ?, started_fleet = ?, started_wall = ?, ended_fleet = ?, ended_wall = ?
		WHERE id = ? AND state <> 'done'`,
		run.State, run.Error, nullable(run.Started.Fleet), nullable(run.Started.Wall),
		nullable(run.Ended.Fleet), nullable(run.Ended.Wall), run.ID)
	return oneRow(result, err, "update run "+run.ID, drumbeat.ErrConflict)
}

// SaveStep is part of pipeline.Store.
func (s *Store) SaveStep(ctx context.Context, run string, step *pipeline.StepRun) error {
	var text sql.NullString
	if step.State == pipeline.Done {
		text = sql.NullString{String: string(step.Result), Valid: true}
	}
	result, err := s.db.ExecContext(ctx, `
		INSERT INTO steps (run, name, place, state, attempts, started_fleet, started_wall, ended_fleet, ended_wall, result, error)
		SELECT seq, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM runs WHERE id = ?
		ON CONFLICT (run, name) DO UPDATE SET place = excluded.place, state = excluded.state,
			attempts = excluded.attempts, started_fleet = excluded.started_fleet, started_wall = excluded.started_wall,
			ended_fleet = excluded.ended_fleet, ended_wall = excluded.ended_wall, result = excluded.result,
			error = excluded.error
		WHERE steps.state <> 'done'`,
		step.Name, step.Index, step.State, step.Attempts, nullable(step.Started.Fleet), nullable(step.Started.Wall),
		nullable(step.Ended.Fleet), nullable(step.Ended.Wall), text, step.Error, run)
	return oneRow(result, err, "save step "+step.Name+" of run "+run, drumbeat.ErrConflict)
}

// oneRow makes an error of a statement that changed nothing.
func oneRow(result sql.Result, err error, verb string, kind error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("%s: another stands there, or it is done: %w", verb, kind)
}

const columns = `id, graph, fleet, reason_kind, reason_subject, reason_since, reason_detail, who, params, state, error,
	requested_fleet, requested_wall, started_fleet, started_wall, ended_fleet, ended_wall`

// Run is part of pipeline.Store.
func (s *Store) Run(ctx context.Context, id string) (pipeline.Run, error) {
	run, err := scanRun(s.db.QueryRowContext(ctx, `SELECT `+columns+` FROM runs WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		err = drumbeat.ErrNotFound
	}
	if err == nil {
		run.Steps, err = s.steps(ctx, id, true)
	}
	if err != nil {
		return pipeline.Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	return run, nil
}

// defaultLimit bounds a list that asks for no limit.
const defaultLimit = 100

// List is part of pipeline.Store.
func (s *Store) List(ctx context.Context, q pipeline.Query) ([]pipeline.Run, error) {
	runs, err := s.list(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	return runs, nil
}

func (s *Store) list(ctx context.Context, q pipeline.Query) (runs []pipeline.Run, err error) {
	var where []string
	var args []any
	only := func(holds bool, condition string, values ...any) {
		if holds {
			where, args = append(where, condition), append(args, values...)
		}
	}
	only(q.Graph != "", "graph = ?", q.Graph)
	only(q.Fleet != "", "fleet = ?", q.Fleet)
	only(q.Key != "", "reason_key = ?", q.Key)
	only(q.State != "", "state = ?", q.State)
	only(q.Automatic, "automatic = 1")
	only(q.Current, "state <> 'failed'")
	if q.Limit <= 0 {
		q.Limit = defaultLimit
	}
	query := `SELECT ` + columns + ` FROM runs`
	if len(where) > 0 {
		query += ` WHERE ` + strings.Join(where, " AND ")
	}
	runs, err = s.runs(ctx, query+` ORDER BY seq DESC LIMIT ?`, append(args, q.Limit))
	if err != nil {
		return nil, err
	}
	for i := range runs { // now that the one connection is free again
		if runs[i].Steps, err = s.steps(ctx, runs[i].ID, false); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// runs reads runs without their steps.
func (s *Store) runs(ctx context.Context, query string, args []any) (runs []pipeline.Run, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		run, err := scanRun(rows)
		if err != nil {
			return nil, err
		}
		runs = append(runs, run)
	}
	return runs, rows.Err()
}

// row is a *sql.Row or *sql.Rows.
type row interface{ Scan(into ...any) error }

func scanRun(from row) (pipeline.Run, error) {
	var run pipeline.Run
	var since sql.NullInt64
	var params string
	var requested, started, ended moment
	err := from.Scan(&run.ID, &run.Graph, &run.Fleet, &run.Reason.Kind, &run.Reason.Subject, &since,
		&run.Reason.Detail, &run.Who, &params, &run.State, &run.Error, &requested.fleet, &requested.wall,
		&started.fleet, &started.wall, &ended.fleet, &ended.wall)
	run.Reason.Since, run.Params = timeOf(since), json.RawMessage(params)
	run.Requested, run.Started, run.Ended = requested.of(), started.of(), ended.of()
	return run, err
}

func (s *Store) steps(ctx context.Context, id string, results bool) (steps []pipeline.StepRun, err error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT name, place, steps.state, attempts, steps.started_fleet, steps.started_wall, steps.ended_fleet,
			steps.ended_wall, CASE WHEN ? THEN result END, steps.error
		FROM steps JOIN runs ON runs.seq = steps.run WHERE runs.id = ? ORDER BY place, name`, results, id)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var step pipeline.StepRun
		var started, ended moment
		var result sql.NullString
		if err := rows.Scan(&step.Name, &step.Index, &step.State, &step.Attempts, &started.fleet, &started.wall,
			&ended.fleet, &ended.wall, &result, &step.Error); err != nil {
			return nil, err
		}
		step.Started, step.Ended = started.of(), ended.of()
		if result.Valid {
			step.Result = json.RawMessage(result.String)
		}
		steps = append(steps, step)
	}
	return steps, rows.Err()
}

// moment is a pipeline.Moment in two columns.
type moment struct{ fleet, wall sql.NullInt64 }

func (m moment) of() pipeline.Moment {
	return pipeline.Moment{Fleet: timeOf(m.fleet), Wall: timeOf(m.wall)}
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
