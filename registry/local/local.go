// Package local is a registry in this process: SQLite for versions, aliases
// and the ledger, an object store for the models' files, each under the hash
// of its content. The layout is in docs/format/registry.md.
package local

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/registry"
	"drumbeat/sqlitefile"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Registry is a registry.Registry.
type Registry struct {
	db    *sql.DB
	blobs objstore.Store
	now   func() time.Time
}

// Open opens the registry in the SQLite file at path, creating it if there is
// none, with files in blobs. now is the wall clock. One connection writes and
// reads: a registry is asked a few times a minute.
func Open(ctx context.Context, path string, blobs objstore.Store, now func() time.Time) (*Registry, error) {
	db, err := sqlitefile.Open(ctx, path, sqlitefile.Options{Migrations: migrations})
	if err != nil {
		return nil, fmt.Errorf("open registry %s: %w", path, err)
	}
	return &Registry{db: db, blobs: blobs, now: now}, nil
}

// Close releases the database.
func (r *Registry) Close() error { return r.db.Close() }

// key is where a file lies in the object store.
func key(hash string) string { return "models/" + hash }

// Register is part of registry.Versions. Files are stored first: a crash in
// between leaves blobs that no version names, and nothing else.
func (r *Registry) Register(ctx context.Context, in registry.Registration) (registry.Version, error) {
	verb := fmt.Sprintf("register a model of %s", in.Manifest.Fleet)
	manifest, err := check(&in)
	if err != nil {
		return registry.Version{}, fmt.Errorf("%s: %w", verb, err)
	}
	v := registry.Version{
		Manifest: in.Manifest, Run: in.Run, Who: in.Who, WhenFleet: in.WhenFleet, WhenWall: drumbeat.At(r.now()),
	}
	for _, name := range slices.Sorted(maps.Keys(in.Files)) {
		file, err := r.store(ctx, name, in.Files[name])
		if err != nil {
			return registry.Version{}, fmt.Errorf("%s: %w", verb, err)
		}
		v.Files = append(v.Files, file)
	}
	number, err := r.insert(ctx, &v, manifest)
	if err != nil {
		return registry.Version{}, fmt.Errorf("%s: %w", verb, err)
	}
	// Read back what stands: a run registered before keeps its own times.
	return r.Version(ctx, in.Manifest.Fleet, number)
}

// check judges a registration and returns its manifest's text.
func check(in *registry.Registration) ([]byte, error) {
	if err := in.Manifest.Check(); err != nil {
		return nil, err
	}
	if in.Who == "" {
		return nil, fmt.Errorf("say who: %w", drumbeat.ErrInvalid)
	}
	if len(in.Files) == 0 {
		return nil, fmt.Errorf("there are no files: %w", drumbeat.ErrInvalid)
	}
	if len(in.Files) > registry.MaxFiles || len(in.Run) > registry.MaxTextBytes || len(in.Who) > registry.MaxTextBytes {
		return nil, fmt.Errorf("%d files, or a name too long: %w", len(in.Files), drumbeat.ErrLimit)
	}
	for name, body := range in.Files {
		if name == "" || strings.ContainsAny(name, "/\\\x00") || len(name) > 255 {
			return nil, fmt.Errorf("file %.80q: want a plain file name: %w", name, drumbeat.ErrInvalid)
		}
		if len(body) > registry.MaxFileBytes {
			return nil, fmt.Errorf("file %s: %d bytes, at most %d: %w",
				name, len(body), registry.MaxFileBytes, drumbeat.ErrLimit)
		}
	}
	manifest, err := json.Marshal(in.Manifest)
	if err != nil {
		return nil, fmt.Errorf("write manifest: %w: %w", err, drumbeat.ErrInvalid)
	}
	if len(manifest) > registry.MaxManifestBytes {
		return nil, fmt.Errorf("write manifest: %d bytes, at most %d: %w",
			len(manifest), registry.MaxManifestBytes, drumbeat.ErrLimit)
	}
	return manifest, nil
}

// store puts a file under its hash. One that is there already must be the same:
// a damaged blob is found here and not when the model is wanted.
func (r *Registry) store(ctx context.Context, name string, body []byte) (registry.File, error) {
	sum := sha256.Sum256(body)
	file := registry.File{Name: name, Bytes: int64(len(body)), SHA256: hex.EncodeToString(sum[:])}
	err := r.blobs.Create(ctx, key(file.SHA256), body)
	if errors.Is(err, drumbeat.ErrConflict) {
		stored, err := r.blobs.Read(ctx, key(file.SHA256))
		if err != nil {
			return file, fmt.Errorf("store file %s: %w", name, err)
		}
		if !bytes.Equal(stored, body) {
			return file, fmt.Errorf("store file %s: %s holds something else, it was damaged: %w",
				name, key(file.SHA256), drumbeat.ErrInvalid)
		}
		return file, nil
	}
	if err != nil {
		return file, fmt.Errorf("store file %s: %w", name, err)
	}
	return file, nil
}

// insert gives a version its number, or finds the one that its run has.
func (r *Registry) insert(ctx context.Context, v *registry.Version, manifest []byte) (drumbeat.ModelVersion, error) {
	content := contentHash(manifest, v.Files)
	var number drumbeat.ModelVersion
	err := r.within(ctx, func(tx *sql.Tx) error {
		fleet := string(v.Manifest.Fleet)
		if v.Run != "" {
			var before string
			err := tx.QueryRowContext(ctx, `SELECT number, content FROM version WHERE fleet = ? AND run = ?`,
				fleet, v.Run).Scan(&number, &before)
			switch {
			case err == nil && before == content:
				return nil
			case err == nil:
				return fmt.Errorf("run %s made version %d of other content: %w", v.Run, number, drumbeat.ErrConflict)
			case !errors.Is(err, sql.ErrNoRows):
				return fmt.Errorf("look for run %s: %w", v.Run, err)
			}
		}
		err := tx.QueryRowContext(ctx, `
			INSERT INTO version (fleet, number, manifest, run, content, who, when_fleet, when_wall)
			SELECT ?1, 1 + COALESCE(MAX(number), 0), ?2, ?3, ?4, ?5, ?6, ?7 FROM version WHERE fleet = ?1
			RETURNING number`,
			fleet, string(manifest), v.Run, content, v.Who, int64(v.WhenFleet), int64(v.WhenWall)).Scan(&number)
		if err != nil {
			return fmt.Errorf("write version: %w", err)
		}
		for _, f := range v.Files {
			if _, err := tx.ExecContext(ctx, `INSERT INTO file (fleet, number, name, bytes, sha256) VALUES (?, ?, ?, ?, ?)`,
				fleet, number, f.Name, f.Bytes, f.SHA256); err != nil {
				return fmt.Errorf("write file %s: %w", f.Name, err)
			}
		}
		return nil
	})
	return number, err
}

func contentHash(manifest []byte, files []registry.File) string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%d\n%s\n", len(manifest), manifest)
	for _, f := range files {
		fmt.Fprintf(sum, "%q %d %s\n", f.Name, f.Bytes, f.SHA256)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// within runs fn in one transaction.
func (r *Registry) within(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := r.db.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}
