package local_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
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

// stopping is a registry whose process dies before the n-th move from now.
type stopping struct {
	registry.Registry
	left int
}

var errStopped = errors.New("the process was killed")

func (s *stopping) Move(ctx context.Context, m registry.Move) (registry.LedgerRow, error) {
	if s.left == 0 {
		return registry.LedgerRow{}, errStopped
	}
	s.left--
	return s.Registry.Move(ctx, m)
}

func TestACrashBetweenTheMovesOfAPromotionIsMended(t *testing.T) {
	promote := func(r registry.Aliases, version drumbeat.ModelVersion) error {
		_, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
			Fleet: "laundry", Version: version, Override: "a test", Who: "kim",
		})
		return err
	}
	mends := map[string]struct {
		call func(registry.Aliases) error
		want []string
	}{
		"the same promotion again": {func(r registry.Aliases) error { return promote(r, 2) }, []string{"challenger-2 3", "champion 2"}},
		"another promotion":        {func(r registry.Aliases) error { return promote(r, 3) }, []string{"champion 3"}},
		"a rollback": {func(r registry.Aliases) error {
			_, err := registry.Rollback(t.Context(), r, "laundry", "kim", "a test", 1)
			return err
		}, []string{"challenger-2 3", "champion 1"}},
	}
	for name, mend := range mends {
		for left := range 2 {
			r := openAt(t, filepath.Join(t.TempDir(), "registry.db"), memory.New(wall))
			t.Cleanup(func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			})
			for i, alias := range []drumbeat.Role{drumbeat.RoleChampion, drumbeat.RoleChallenger, "challenger-2"} {
				v, err := r.Register(t.Context(), registrytest.Registration("laundry", string(alias)))
				if err != nil || int(v.Number) != i+1 {
					t.Fatal(v.Number, err)
				}
				if _, err := r.Move(t.Context(), registry.Move{
					Fleet: "laundry", Alias: alias, To: v.Number, Who: "kim", Why: "a test", Proof: registry.NoGate,
				}); err != nil {
					t.Fatal(err)
				}
			}
			if err := promote(&stopping{r, left}, 2); !errors.Is(err, errStopped) {
				t.Fatalf("killed after %d moves: got %v", left, err)
			}
			serves := drumbeat.ModelVersion(left + 1) // the old one or the new one, never none
			if alias, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion); err != nil || alias.Version != serves {
				t.Errorf("killed after %d moves: champion is %+v, %v, want version %d", left, alias, err, serves)
			}
			if left == 0 {
				continue // nothing had happened
			}
			if err := mend.call(r); err != nil {
				t.Fatal(err)
			}
			standing, err := registry.Standing(t.Context(), r, "laundry")
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, alias := range standing {
				got = append(got, fmt.Sprintf("%s %d", alias.Name, alias.Version))
			}
			if diff := cmp.Diff(mend.want, got); diff != "" {
				t.Errorf("mended by %s (-want +got):\n%s", name, diff)
			}
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
