package local

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"drumbeat"
	"drumbeat/registry"
)

const versionColumns = `SELECT number, manifest, run, who, when_fleet, when_wall FROM version `

// Version is part of registry.Versions.
func (r *Registry) Version(
	ctx context.Context, fleet drumbeat.FleetName, number drumbeat.ModelVersion,
) (registry.Version, error) {
	found, err := r.versions(ctx, fleet, versionColumns+`WHERE fleet = ? AND number = ?`, string(fleet), int64(number))
	if err != nil {
		return registry.Version{}, fmt.Errorf("read version %d of %s: %w", number, fleet, err)
	}
	if len(found) == 0 {
		return registry.Version{}, fmt.Errorf("read version %d of %s: there is none: %w", number, fleet, drumbeat.ErrNotFound)
	}
	return found[0], nil
}

// List is part of registry.Versions.
func (r *Registry) List(ctx context.Context, fleet drumbeat.FleetName) ([]registry.Version, error) {
	found, err := r.versions(ctx, fleet, versionColumns+`WHERE fleet = ? ORDER BY number`, string(fleet))
	if err != nil {
		return nil, fmt.Errorf("list versions of %s: %w", fleet, err)
	}
	return found, nil
}

func (r *Registry) versions(
	ctx context.Context, fleet drumbeat.FleetName, query string, args ...any,
) ([]registry.Version, error) {
	var found []registry.Version
	err := r.each(ctx, func(rows *sql.Rows) error {
		var v registry.Version
		var manifest string
		if err := rows.Scan(&v.Number, &manifest, &v.Run, &v.Who, &v.WhenFleet, &v.WhenWall); err != nil {
			return err
		}
		var err error
		if v.Manifest, err = registry.DecodeManifest([]byte(manifest)); err != nil {
			return fmt.Errorf("version %d: %w", v.Number, err)
		}
		found = append(found, v)
		return nil
	}, query, args...)
	for i := range found {
		if err == nil {
			found[i].Files, err = r.files(ctx, fleet, found[i].Number)
		}
	}
	return found, err
}

func (r *Registry) files(
	ctx context.Context, fleet drumbeat.FleetName, number drumbeat.ModelVersion,
) ([]registry.File, error) {
	var files []registry.File
	err := r.each(ctx, func(rows *sql.Rows) error {
		var f registry.File
		if err := rows.Scan(&f.Name, &f.Bytes, &f.SHA256); err != nil {
			return err
		}
		files = append(files, f)
		return nil
	}, `SELECT name, bytes, sha256 FROM file WHERE fleet = ? AND number = ? ORDER BY name`, string(fleet), int64(number))
	return files, err
}

// each runs a query and calls fn on each of its rows.
func (r *Registry) each(ctx context.Context, fn func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := r.db.QueryContext(ctx, query, args...)
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

// Read is part of registry.Versions.
func (r *Registry) Read(ctx context.Context, v *registry.Version, name string) ([]byte, error) {
	verb := fmt.Sprintf("read %s of version %d of %s", name, v.Number, v.Manifest.Fleet)
	for _, f := range v.Files {
		if f.Name != name {
			continue
		}
		body, err := r.blobs.Read(ctx, key(f.SHA256))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", verb, err)
		}
		if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != f.SHA256 {
			return nil, fmt.Errorf("%s: its content is not what was registered, it was altered or damaged: %w",
				verb, drumbeat.ErrInvalid)
		}
		return body, nil
	}
	return nil, fmt.Errorf("%s: there is no such file: %w", verb, drumbeat.ErrNotFound)
}
