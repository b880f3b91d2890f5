package local

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"drumbeat"
	"drumbeat/registry"
)

// Alias is part of registry.Aliases.
func (r *Registry) Alias(
	ctx context.Context, fleet drumbeat.FleetName, name drumbeat.Role,
) (registry.Alias, error) {
	alias := registry.Alias{Fleet: fleet, Name: name}
	err := r.db.QueryRowContext(ctx, `SELECT number, seq FROM alias WHERE fleet = ? AND name = ?`,
		string(fleet), string(name)).Scan(&alias.Version, &alias.Seq)
	if errors.Is(err, sql.ErrNoRows) {
		return registry.Alias{}, fmt.Errorf("read %s of %s: there is none: %w", name, fleet, drumbeat.ErrNotFound)
	}
	if err != nil {
		return registry.Alias{}, fmt.Errorf("read %s of %s: %w", name, fleet, err)
	}
	return alias, nil
}

// Move is part of registry.Aliases.
func (r *Registry) Move(ctx context.Context, m registry.Move) (registry.LedgerRow, error) {
	if err := m.Check(); err != nil {
		return registry.LedgerRow{}, err
	}
	row := registry.LedgerRow{
		Fleet: m.Fleet, Alias: m.Alias, From: m.From, To: m.To, Who: m.Who, Why: m.Why, Proof: m.Proof,
		WhenFleet: m.WhenFleet, WhenWall: drumbeat.At(r.now()),
	}
	err := r.within(ctx, func(tx *sql.Tx) error { return move(ctx, tx, &row) })
	if err != nil {
		return registry.LedgerRow{}, fmt.Errorf("move %s of %s to version %d: %w", m.Alias, m.Fleet, m.To, err)
	}
	return row, nil
}

func move(ctx context.Context, tx *sql.Tx, row *registry.LedgerRow) error {
	fleet, alias := string(row.Fleet), string(row.Alias)
	var at drumbeat.ModelVersion
	err := tx.QueryRowContext(ctx, `SELECT number FROM alias WHERE fleet = ? AND name = ?`, fleet, alias).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("read alias: %w", err)
	}
	if at != row.From {
		return fmt.Errorf("it stands at version %d, not at %d (0 is none): look again: %w", at, row.From, drumbeat.ErrConflict)
	}
	if row.To != 0 {
		var known bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM version WHERE fleet = ? AND number = ?)`,
			fleet, int64(row.To)).Scan(&known); err != nil {
			return fmt.Errorf("look for the version: %w", err)
		}
		if !known {
			return fmt.Errorf("there is no such version: %w", drumbeat.ErrNotFound)
		}
	}
	if err := tx.QueryRowContext(ctx, `
		INSERT INTO ledger (fleet, alias, from_no, to_no, who, why, proof, when_fleet, when_wall)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING seq`,
		fleet, alias, int64(row.From), int64(row.To), row.Who, row.Why, row.Proof,
		int64(row.WhenFleet), int64(row.WhenWall)).Scan(&row.Seq); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	if row.To == 0 {
		_, err = tx.ExecContext(ctx, `DELETE FROM alias WHERE fleet = ? AND name = ?`, fleet, alias)
	} else {
		_, err = tx.ExecContext(ctx, `
			INSERT INTO alias (fleet, name, number, seq) VALUES (?, ?, ?, ?)
			ON CONFLICT (fleet, name) DO UPDATE SET number = excluded.number, seq = excluded.seq`,
			fleet, alias, int64(row.To), row.Seq)
	}
	if err != nil {
		return fmt.Errorf("write alias: %w", err)
	}
	return nil
}

// Ledger is part of registry.Aliases.
func (r *Registry) Ledger(
	ctx context.Context, fleet drumbeat.FleetName, after int64,
) ([]registry.LedgerRow, error) {
	var found []registry.LedgerRow
	err := r.each(ctx, func(rows *sql.Rows) error {
		found = append(found, registry.LedgerRow{Fleet: fleet})
		last := &found[len(found)-1]
		return rows.Scan(&last.Seq, &last.Alias, &last.From, &last.To, &last.Who, &last.Why, &last.Proof,
			&last.WhenFleet, &last.WhenWall)
	}, `SELECT seq, alias, from_no, to_no, who, why, proof, when_fleet, when_wall
		FROM ledger WHERE fleet = ? AND seq > ? ORDER BY seq`, string(fleet), after)
	if err != nil {
		return nil, fmt.Errorf("read ledger of %s: %w", fleet, err)
	}
	return found, nil
}
