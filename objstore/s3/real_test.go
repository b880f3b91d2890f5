//go:build real

package s3_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/objstore/objstoretest"
	"drumbeat/objstore/s3"
	"drumbeat/objstore/s3test"
)

var prefixes atomic.Int64

// at opens a store under a prefix of its own.
func at(t *testing.T, endpoint string) *s3.Store {
	t.Helper()
	return under(t, endpoint, fmt.Sprintf("p%d/deep", prefixes.Add(1)))
}

func under(t *testing.T, endpoint, prefix string) *s3.Store {
	t.Helper()
	store, err := s3.Open(t.Context(), config(endpoint, prefix))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func config(endpoint, prefix string) s3.Config {
	return s3.Config{
		Endpoint: endpoint, Bucket: s3test.Bucket, Prefix: prefix, PathStyle: true,
		AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey,
	}
}

func TestStore(t *testing.T) {
	endpoint := s3test.Start(t)
	t.Run("versitygw", func(t *testing.T) {
		objstoretest.Run(t, func(t *testing.T) objstore.Store { return at(t, endpoint) })
	})
}

func TestOfSixteenWritersThroughTwoServersOneWins(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, s3test.Bucket), 0o750); err != nil {
		t.Fatal(err)
	}
	ends := []string{s3test.StartOn(t, folder), s3test.StartOn(t, folder)}
	var stores []objstore.Store
	for i := range 16 {
		stores = append(stores, under(t, ends[i%2], "race"))
	}
	objstoretest.Race(t, stores, 200, 2000)
	objstoretest.Race(t, stores[:6], 3, 6<<20)
}

func TestWhatIsWrongIsSaidInASentence(t *testing.T) {
	endpoint := s3test.Start(t)
	for _, test := range []struct {
		name   string
		change func(*s3.Config)
		want   string
		kind   error
	}{
		{"a bucket that is not there", func(c *s3.Config) { c.Bucket = "nowhere" }, "make it first", drumbeat.ErrNotFound},
		{"a wrong key", func(c *s3.Config) { c.SecretKey = "wrong-secret" }, "refuses this access key", nil},
		{"half a key", func(c *s3.Config) { c.SecretKey = "" }, "or neither", drumbeat.ErrInvalid},
		{"no bucket", func(c *s3.Config) { c.Bucket = "" }, "no bucket", drumbeat.ErrInvalid},
		{"an endpoint with a path", func(c *s3.Config) { c.Endpoint += "/x" }, "endpoint: want", drumbeat.ErrInvalid},
	} {
		cfg := config(endpoint, "")
		test.change(&cfg)
		_, err := s3.Open(t.Context(), cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) || test.kind != nil && !errors.Is(err, test.kind) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "wrong-secret") {
			t.Errorf("%s: the error tells the secret", test.name)
		}
	}
}

func TestAnAnswerThatIsLostIsReadBack(t *testing.T) {
	proxy := newProxy(t, s3test.Start(t))
	store := at(t, proxy.url)
	for _, fault := range []struct {
		name string
		mode mode
		want error
	}{
		{"500 before", fail500, nil},
		{"503 before", fail503, nil},
		{"reset before", resetBefore, nil},
		{"reset after it was stored", resetAfter, nil},
		{"500 after it was stored", fail500After, nil},
	} {
		proxy.next(http.MethodPut, fault.mode)
		key := "k/" + strings.ReplaceAll(fault.name, " ", "-")
		body := []byte("body of " + key)
		if err := store.Create(t.Context(), key, body); !errors.Is(err, fault.want) {
			t.Errorf("%s: create: %v", fault.name, err)
		}
		if got, err := store.Read(t.Context(), key); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%s: read %q, %v", fault.name, got, err)
		}
		// Even with the same bytes a second create is not the first.
		proxy.next(http.MethodPut, fault.mode)
		if err := store.Create(t.Context(), key, body); !errors.Is(err, drumbeat.ErrConflict) {
			t.Errorf("%s: create again: %v, want a conflict", fault.name, err)
		}
	}
	if proxy.faults.Load() < 8 {
		t.Errorf("only %d faults were made", proxy.faults.Load())
	}
}

func TestAServerThatStaysAwayIsAnError(t *testing.T) {
	proxy := newProxy(t, s3test.Start(t))
	store := at(t, proxy.url)
	proxy.always.Store(int32(fail503))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Create(ctx, "a", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	if _, err := store.Read(t.Context(), "a"); err == nil || errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("read: %v, want an error that is not \"not found\"", err)
	}
}
