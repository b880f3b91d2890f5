package delta_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

// clocked is a table whose wall clock moves a minute a commit.
func clocked(t *testing.T) (*delta.Table, delta.Store, func(minutes int) time.Time) {
	t.Helper()
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	now := start
	clock := func() time.Time { return now }
	store := memory.New(clock)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{Now: clock, CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 10 {
		now = now.Add(time.Minute)
		txn := map[string]delta.Txn{"app": {From: int64(k) - 1, To: int64(k)}}
		if err := table.Append(t.Context(), []*delta.Batch{rows(k*3, 3)}, delta.Commit{Txns: txn}); err != nil {
			t.Fatal(err)
		}
	}
	return table, store, func(minutes int) time.Time { return start.Add(time.Duration(minutes) * time.Minute) }
}

func TestATableIsReadAsItWasAtATime(t *testing.T) {
	t.Parallel()
	table, _, at := clocked(t)
	for minutes, rows := range map[int]int{0: 0, 1: 3, 5: 15, 10: 30, 99: 30} {
		snapshot, err := table.AtTime(t.Context(), at(minutes).Add(30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if got := offsets(t, snapshot); !slices.Equal(got, upTo(rows)) {
			t.Errorf("after %d minutes: %v", minutes, got)
		}
	}
	if _, err := table.AtTime(t.Context(), at(0).Add(-time.Second)); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("before the table was made: %v", err)
	}
	history, err := table.History(t.Context())
	if err != nil || len(history) != 11 {
		t.Fatalf("%d versions, %v", len(history), err)
	}
	want := delta.Version{
		Version: 3, At: at(3), Operation: "WRITE", Parameters: map[string]string{}, Engine: "Drumbeat/2", Added: 1, Rows: 3, Bytes: history[3].Bytes, Txns: map[string]int64{"app": 2},
	}
	if diff := cmp.Diff(want, history[3]); diff != "" || history[3].Bytes == 0 || history[0].Operation != "CREATE TABLE" || !history[0].Columns {
		t.Errorf("version 3 (-want +got):\n%s", diff)
	}
}

func TestARestoredTableHasRowsAndProgressOfThen(t *testing.T) {
	t.Parallel()
	table, store, _ := clocked(t)
	done, err := table.Restore(t.Context(), 4)
	if err != nil || done != (delta.Restored{From: 10, To: 4, Made: 11, Removed: 6}) {
		t.Fatalf("%+v, %v", done, err)
	}
	again, err := delta.Open(t.Context(), store, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]*delta.Snapshot{"here": table.Snapshot(), "opened anew": again.Snapshot()} {
		if diff := cmp.Diff(upTo(12), offsets(t, s)); diff != "" || s.Txn("app") != 3 {
			t.Errorf("%s: progress %d, rows (-want +got):\n%s", name, s.Txn("app"), diff)
		}
	}
	// Its writer goes on from there, another that remembers more is refused.
	if err := table.Append(t.Context(), []*delta.Batch{rows(30, 3)}, delta.Commit{Txns: map[string]delta.Txn{"app": {From: 9, To: 10}}}); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a writer of before: %v", err)
	}
	if err := table.Append(t.Context(), []*delta.Batch{rows(12, 3)}, delta.Commit{Txns: map[string]delta.Txn{"app": {From: 3, To: 4}}}); err != nil {
		t.Fatal(err)
	}
	// And back: the files are still there.
	if _, err := table.Restore(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if got := offsets(t, table.Snapshot()); !slices.Equal(got, upTo(30)) || table.Snapshot().Txn("app") != 9 {
		t.Errorf("restored again: progress %d, %v", table.Snapshot().Txn("app"), got)
	}
	if verified, err := table.Verify(t.Context()); err != nil || len(verified.Damages) > 0 {
		t.Errorf("%+v, %v", verified, err)
	}
}

func TestWhatCleanUpDeletedCannotBeRestored(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	store := memory.New(clock)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 9 {
		appendRows(t, table, rows(k*3, 3))
	}
	if _, err := table.Compact(t.Context(), delta.CompactOptions{}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * delta.MinKeep)
	if n, err := table.Vacuum(t.Context(), delta.MinKeep); err != nil || n == 0 {
		t.Fatal(n, err)
	}
	before := table.Snapshot().Version()
	if _, err := table.Restore(t.Context(), 5); !errors.Is(err, drumbeat.ErrNotFound) || table.Snapshot().Version() != before {
		t.Errorf("version %d, %v", table.Snapshot().Version(), err)
	}
	if _, err := table.Restore(t.Context(), 99); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a version that does not exist: %v", err)
	}
}

func TestVerifyFindsEachFlippedBitAndMissingFile(t *testing.T) {
	t.Parallel()
	_, store, _ := clocked(t)
	verify := func(store delta.Store) delta.Verified {
		t.Helper()
		table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{})
		if err != nil {
			// What cannot even be opened is found, too.
			return delta.Verified{Damages: []delta.Damage{{Key: "t", What: err.Error()}}}
		}
		v, err := table.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := verify(store); len(v.Damages) > 0 || v.Commits != 11 || v.Checkpoints != 2 || v.Rows != 30 || v.Files != 10 {
		t.Fatalf("a sound table: %+v", v)
	}
	keys := map[string][]byte{}
	for entry, err := range store.List(t.Context(), "t/", "") {
		if err != nil {
			t.Fatal(err)
		}
		keys[entry.Key] = get(t, store, entry.Key)
	}
	copied := func(but string, body []byte) delta.Store {
		damaged := memory.New(time.Now)
		for key, text := range keys {
			if key == but {
				text = body
			}
			if text != nil {
				put(t, damaged, key, text)
			}
		}
		return damaged
	}
	flips := 0
	for key, body := range keys {
		step := 1
		if len(body) > 400 { // each byte of the small, every so many of the large
			step = len(body)/31 + 1
		}
		for at := 0; at < len(body); at += step {
			flipped := slices.Clone(body)
			flipped[at] ^= 1 << (at % 8)
			flips++
			if v := verify(copied(key, flipped)); len(v.Damages) == 0 {
				t.Errorf("%s: bit %d of byte %d flipped, and nothing was found: %q", key, at%8, at, flipped[max(0, at-20):min(len(body), at+20)])
			}
		}
		// What a later checkpoint stands for may have been cleaned away, and a
		// newest commit that is gone looks as if it had never been.
		needed := key != "t/_delta_log/00000000000000000010.json" && (!strings.HasPrefix(key, "t/_delta_log/0") || key > "t/_delta_log/00000000000000000004.k")
		if v := verify(copied(key, nil)); len(v.Damages) == 0 && needed {
			t.Errorf("%s is missing, and nothing was found", key)
		}
	}
	t.Logf("%d bits flipped in %d files, each found", flips, len(keys))
}
