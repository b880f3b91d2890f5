package local_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/objstore/fs"
	"drumbeat/objstore/memory"
	"drumbeat/registry"
	"drumbeat/registry/local"
	"drumbeat/registry/registrytest"
)

func wall() time.Time { return time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC) }

func openAt(t *testing.T, path string, blobs objstore.Store) *local.Registry {
	t.Helper()
	r, err := local.Open(t.Context(), path, blobs, wall)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRegistryInMemory(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registry.Registry {
		return openAt(t, filepath.Join(t.TempDir(), "registry.db"), memory.New(wall))
	})
}

func TestRegistryInAFolder(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registry.Registry {
		dir := t.TempDir()
		blobs, err := fs.Open(filepath.Join(dir, "files"))
		if err != nil {
			t.Fatal(err)
		}
		return openAt(t, filepath.Join(dir, "a b?c%d.db"), blobs)
	})
}

func TestARegistryIsTheSameAfterItIsOpenedAgain(t *testing.T) {
	path, blobs := filepath.Join(t.TempDir(), "registry.db"), memory.New(wall)
	r := openAt(t, path, blobs)
	v, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees"))
	if err != nil {
		t.Fatal(err)
	}
	row, err := registry.PromoteFirst(t.Context(), r, &v, "train", 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = openAt(t, path, blobs)
	defer r.Close()
	got, alias, err := registry.Champion(t.Context(), r, "laundry")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got); diff != "" {
		t.Errorf("champion (-before +after):\n%s", diff)
	}
	ledger, err := r.Ledger(t.Context(), "laundry", 0)
	if err != nil || alias.Seq != row.Seq || !cmp.Equal(ledger, []registry.LedgerRow{row}) {
		t.Errorf("after reopening: alias %+v, ledger %+v, %v, want %+v", alias, ledger, err, row)
	}
}

func TestAlteredFilesAreRefused(t *testing.T) {
	path, blobs := filepath.Join(t.TempDir(), "registry.db"), memory.New(wall)
	r := openAt(t, path, blobs)
	defer r.Close()
	v, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees"))
	if err != nil {
		t.Fatal(err)
	}
	key := "models/" + v.Files[1].SHA256
	if err := blobs.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), &v, "model.ubj"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a file that is gone: got %v, want not found", err)
	}
	if err := blobs.Create(t.Context(), key, []byte("Trees")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(t.Context(), &v, "model.ubj"); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("an altered file: got %v, want it refused", err)
	}
	if _, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees")); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("registering over an altered file: got %v, want it refused", err)
	}
}

// broken is a store whose n-th creation fails.
type broken struct {
	objstore.Store
	left int
}

func (b *broken) Create(ctx context.Context, key string, body []byte) error {
	if b.left == 0 {
		return errors.New("disk full")
	}
	b.left--
	return b.Store.Create(ctx, key, body)
}

func TestAVersionIsWholeOrNotThere(t *testing.T) {
	for left := range 2 {
		store := &broken{Store: memory.New(wall), left: left}
		r := openAt(t, filepath.Join(t.TempDir(), "registry.db"), store)
		if _, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees")); err == nil {
			t.Fatalf("with %d files written: registered", left)
		}
		if list, err := r.List(t.Context(), "laundry"); err != nil || len(list) != 0 {
			t.Errorf("with %d files written: got %v, %v, want no version", left, list, err)
		}
		store.left = 9
		v, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees"))
		if err != nil || v.Number != 1 {
			t.Errorf("tried again: got version %d, %v, want 1", v.Number, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// edit changes the database behind the registry's back.
func edit(t *testing.T, path, statement string) error {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

func TestHistoryCannotBeRewritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	r := openAt(t, path, memory.New(wall))
	v, err := r.Register(t.Context(), registrytest.Registration("laundry", "trees"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.PromoteFirst(t.Context(), r, &v, "train", 1); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{"ledger", "version", "file"} {
		for _, statement := range []string{"DELETE FROM " + table, "UPDATE " + table + " SET fleet = 'x'"} {
			if err := edit(t, path, statement); err == nil || !strings.Contains(err.Error(), "never changes") &&
				!strings.Contains(err.Error(), "only appended to") {
				t.Errorf("%s: got %v, want it refused", statement, err)
			}
		}
	}
}

func TestANewerFormatIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.db")
	if err := openAt(t, path, memory.New(wall)).Close(); err != nil {
		t.Fatal(err)
	}
	if err := edit(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	_, err := local.Open(t.Context(), path, memory.New(wall), wall)
	if !errors.Is(err, drumbeat.ErrNewer) {
		t.Errorf("got %v, want it refused as newer", err)
	}
}
