// Package objstoretest holds stores to the contract of objstore.Store, and
// breaks them on purpose for the tests of what is built on them.
package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"drumbeat"
	"drumbeat/objstore"

	"github.com/google/go-cmp/cmp"
)

// Run tests a store; open returns an empty one each time.
func Run(t *testing.T, open func(t *testing.T) objstore.Store) {
	tests := []struct {
		name string
		run  func(t *testing.T, store objstore.Store)
	}{
		{"what is created is read back whole and in parts", reads},
		{"a blob is never replaced", neverReplaced},
		{"one of many creators wins", oneWins},
		{"a listing is sorted by key, within a prefix and after a key", lists},
		{"a deleted blob is gone and its key can be used again", deletes},
		{"a missing blob is not found", missing},
		{"a bad key is refused", badKeys},
		{"a folder is no blob", folders},
		{"an ended context ends every call", ended},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open(t))
		})
	}
}

func create(t *testing.T, store objstore.Store, keys ...string) {
	t.Helper()
	for _, key := range keys {
		if err := store.Create(t.Context(), key, []byte("body of "+key)); err != nil {
			t.Fatal(err)
		}
	}
}

func reads(t *testing.T, store objstore.Store) {
	random := rand.NewChaCha8([32]byte{1})
	for i, size := range []int{0, 1, 4096, 1<<20 + 7} {
		want := make([]byte, size)
		_, _ = random.Read(want) // never fails, by its contract
		key := fmt.Sprintf("a/b/%d.bin", i)
		if err := store.Create(t.Context(), key, want); err != nil {
			t.Fatal(err)
		}
		clear(want[:min(size, 1)]) // the store must not keep the caller's slice
		got, err := store.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != size || size > 1 && !bytes.Equal(got[1:], want[1:]) {
			t.Fatalf("read back %d bytes that differ from the %d written", len(got), size)
		}
		object, err := store.Open(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if object.Size() != int64(size) {
			t.Errorf("size is %d, want %d", object.Size(), size)
		}
		part := make([]byte, size/2)
		if n, err := object.ReadAt(part, int64(size-len(part))); n != len(part) || err != nil && !errors.Is(err, io.EOF) {
			t.Errorf("read a part: %d bytes, %v", n, err)
		}
		if !bytes.Equal(part, got[size-len(part):]) {
			t.Error("a part differs from the whole")
		}
		if n, err := object.ReadAt(make([]byte, 1), int64(size)); n != 0 || !errors.Is(err, io.EOF) {
			t.Errorf("read past the end: %d bytes, %v; want io.EOF", n, err)
		}
		if err := object.Close(); err != nil {
			t.Error(err)
		}
	}
}

func neverReplaced(t *testing.T, store objstore.Store) {
	create(t, store, "log/1.json")
	if err := store.Create(t.Context(), "log/1.json", []byte("another")); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("second create: %v, want a conflict", err)
	}
	got, err := store.Read(t.Context(), "log/1.json")
	if err != nil || string(got) != "body of log/1.json" {
		t.Fatalf("the blob is %q, %v", got, err)
	}
}

func oneWins(t *testing.T, store objstore.Store) {
	const writers, keys = 8, 20
	winners := make([]atomic.Int32, keys)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for k := range keys {
				err := store.Create(t.Context(), fmt.Sprintf("deep/er/%d", k), fmt.Append(nil, w))
				switch {
				case err == nil:
					winners[k].Add(1)
				case !errors.Is(err, drumbeat.ErrConflict):
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	for k := range keys {
		if n := winners[k].Load(); n != 1 {
			t.Errorf("key %d has %d winners", k, n)
		}
	}
}

func lists(t *testing.T, store objstore.Store) {
	create(t, store, "t/log/2", "t/log/10", "t/log/1", "t/log-x", "t/log.y", "t/log/1.tmp", "u", "t/z/a/b", "t0")
	for _, test := range []struct {
		prefix, after string
		want          []string
	}{
		{"", "", []string{"t/log-x", "t/log.y", "t/log/1", "t/log/1.tmp", "t/log/10", "t/log/2", "t/z/a/b", "t0", "u"}},
		{"t/log/", "", []string{"t/log/1", "t/log/1.tmp", "t/log/10", "t/log/2"}},
		{"t/log/", "t/log/1.tmp", []string{"t/log/10", "t/log/2"}},
		{"t/log", "t/log.", []string{"t/log.y", "t/log/1", "t/log/1.tmp", "t/log/10", "t/log/2"}},
		{"t/log/1", "", []string{"t/log/1", "t/log/1.tmp", "t/log/10"}},
		{"", "t/log/2", []string{"t/z/a/b", "t0", "u"}},
		{"t/z", "", []string{"t/z/a/b"}},
		{"nothing/here", "", nil},
		{"t/log/", "t/zz", nil},
	} {
		var got []string
		for entry, err := range store.List(t.Context(), test.prefix, test.after) {
			if err != nil {
				t.Fatal(err)
			}
			if want := int64(len("body of " + entry.Key)); entry.Size != want {
				t.Errorf("%s has size %d, want %d", entry.Key, entry.Size, want)
			}
			if entry.Modified.IsZero() {
				t.Errorf("%s has no time", entry.Key)
			}
			got = append(got, entry.Key)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("list %q after %q (-want +got):\n%s", test.prefix, test.after, diff)
		}
	}
	for _, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Error(err)
		}
		break // a listing may be left early
	}
}

func deletes(t *testing.T, store objstore.Store) {
	create(t, store, "a/1", "a/2")
	for range 2 {
		if err := store.Delete(t.Context(), "a/1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Read(t.Context(), "a/1"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("read a deleted blob: %v", err)
	}
	create(t, store, "a/1")
}

func missing(t *testing.T, store objstore.Store) {
	if _, err := store.Read(t.Context(), "no/such"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("read: %v, want not found", err)
	}
	if _, err := store.Open(t.Context(), "no/such"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("open: %v, want not found", err)
	}
}

func badKeys(t *testing.T, store objstore.Store) {
	for _, key := range []string{"", ".", "/a", "a/", "a//b", "../a", "a/../b", ".hidden", "a/.b", `a\b`, "a\x00", strings.Repeat("k", 2000)} {
		if err := store.Create(t.Context(), key, nil); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("create %.20q: %v, want invalid", key, err)
		}
		if _, err := store.Read(t.Context(), key); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("read %.20q: %v, want invalid", key, err)
		}
		if _, err := store.Open(t.Context(), key); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("open %.20q: %v, want invalid", key, err)
		}
		if err := store.Delete(t.Context(), key); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("delete %.20q: %v, want invalid", key, err)
		}
	}
	for entry, err := range store.List(t.Context(), "", "") {
		t.Errorf("the store holds %v, %v", entry, err)
	}
	for entry, err := range store.List(t.Context(), "../", "") {
		t.Errorf("above the store stands %v, %v", entry, err)
	}
}

func folders(t *testing.T, store objstore.Store) {
	create(t, store, "a/b")
	if _, err := store.Read(t.Context(), "a"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("read: %v, want not found", err)
	}
	if _, err := store.Open(t.Context(), "a"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("open: %v, want not found", err)
	}
	if err := store.Delete(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if _, err := store.Read(t.Context(), "a/b"); err != nil {
		t.Error(err)
	}
}

func ended(t *testing.T, store objstore.Store) {
	create(t, store, "a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, readErr := store.Read(ctx, "a")
	_, openErr := store.Open(ctx, "a")
	errs := []error{store.Create(ctx, "b", nil), readErr, openErr, store.Delete(ctx, "a")}
	for _, err := range store.List(ctx, "", "") {
		errs = append(errs, err)
	}
	if len(errs) != 5 {
		t.Errorf("the listing gave %d errors, want 1", len(errs)-4)
	}
	for i, err := range errs {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v, want canceled", i, err)
		}
	}
}

// Race lets several stores over the same blobs create the same keys at the
// same moment, with bodies of their own of the given size, and sees that of
// each key one creator wins and its body is what is there.
func Race(t *testing.T, stores []objstore.Store, keys, size int) {
	t.Helper()
	letters := []byte("abcdefghijklmnopqrstuvwxyz")
	for k := range keys {
		key := fmt.Sprintf("race-%d/%020d.json", size, k)
		start := make(chan struct{})
		var winners atomic.Int32
		var winner atomic.Int64
		var group sync.WaitGroup
		for w, store := range stores {
			group.Go(func() {
				body := bytes.Repeat(letters[w:w+1], size)
				<-start
				switch err := store.Create(t.Context(), key, body); {
				case err == nil:
					winners.Add(1)
					winner.Store(int64(w))
				case !errors.Is(err, drumbeat.ErrConflict):
					t.Errorf("writer %d: %v", w, err)
				}
			})
		}
		close(start)
		group.Wait()
		body, err := stores[0].Read(t.Context(), key)
		if err != nil || winners.Load() != 1 || len(body) != size || body[0] != letters[winner.Load()] || body[size-1] != body[0] {
			t.Fatalf("key %s: %d winners, %d bytes read, %v; want one winner and its body", key, winners.Load(), len(body), err)
		}
	}
}
