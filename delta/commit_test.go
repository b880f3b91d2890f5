package delta_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"

	"github.com/google/go-cmp/cmp"
)

// step is an application's next commit: rows [from, to).
func step(table *delta.Table, to int) ([]*delta.Batch, delta.Commit) {
	from := table.Snapshot().Txn("app")
	return []*delta.Batch{rows(int(max(from, 0)), to-int(max(from, 0)))},
		delta.Commit{Txns: map[string]delta.Txn{"app": {From: from, To: int64(to)}}}
}

func TestTheSameTransactionIsWrittenOnce(t *testing.T) {
	store := memory.New(time.Now)
	table, stale := open(t, store), open(t, store)
	batches, commit := step(table, 5)
	for range 2 {
		if err := table.Append(t.Context(), batches, commit); err != nil {
			t.Fatal(err)
		}
	}
	// A writer that has not seen it, and one that starts anew.
	for _, other := range []*delta.Table{stale, open(t, store)} {
		if err := other.Append(t.Context(), batches, commit); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(upTo(5), offsets(t, other.Snapshot())); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	other := delta.Commit{Txns: map[string]delta.Txn{"app": {From: 3, To: 9}}}
	if err := table.Append(t.Context(), batches, other); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a step from where the application does not stand: %v, want a conflict", err)
	}
	partly := delta.Commit{Txns: map[string]delta.Txn{"app": {From: delta.NoTxn, To: 5}, "new": {From: delta.NoTxn, To: 1}}}
	if err := table.Append(t.Context(), batches, partly); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a step that is half done: %v, want a conflict", err)
	}
	back := delta.Commit{Txns: map[string]delta.Txn{"app": {From: 5, To: 5}}}
	if err := table.Append(t.Context(), batches, back); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a step to where it stands: %v, want invalid", err)
	}
}

func TestAnAppendOfNothingCommitsNothingButTransactions(t *testing.T) {
	table := open(t, memory.New(time.Now))
	appendRows(t, table, rows(0, 0))
	if v := table.Snapshot().Version(); v != 0 {
		t.Errorf("version is %d", v)
	}
	commit := delta.Commit{Txns: map[string]delta.Txn{"app": {From: delta.NoTxn, To: 7}}}
	if err := table.Append(t.Context(), nil, commit); err != nil {
		t.Fatal(err)
	}
	if v := table.Snapshot().Txn("app"); v != 7 {
		t.Errorf("the application stands at %d", v)
	}
}

func TestConcurrentWritersLoseAndDoubleNothing(t *testing.T) {
	store := memory.New(time.Now)
	open(t, store)
	const writers, each = 6, 15
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			table, err := delta.Open(t.Context(), store, "t", delta.Options{CheckpointEvery: 7})
			for i := 0; i < each && err == nil; i++ {
				err = table.Append(t.Context(), []*delta.Batch{rows(w*each+i, 1)}, delta.Commit{})
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	table := open(t, store)
	got := offsets(t, table.Snapshot())
	for w := range writers { // each writer's rows keep their order
		own := slices.DeleteFunc(slices.Clone(got), func(v int64) bool { return v/each != int64(w) })
		if !slices.IsSorted(own) {
			t.Errorf("rows of writer %d are in the order %v", w, own)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(upTo(writers*each), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if v := table.Snapshot().Version(); v != writers*each {
		t.Errorf("version is %d, want %d", v, writers*each)
	}
}

func TestACommitOnABaseIsRefusedOnceTheTableHasMovedOn(t *testing.T) {
	store := memory.New(time.Now)
	table, other := open(t, store), open(t, store)
	base := table.Snapshot()
	appendRows(t, other, rows(0, 1))
	if err := table.Append(t.Context(), []*delta.Batch{rows(0, 1)}, delta.Commit{Base: base}); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("%v, want a conflict", err)
	}
	if err := table.Append(t.Context(), []*delta.Batch{rows(1, 1)}, delta.Commit{Base: table.Snapshot()}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(upTo(2), offsets(t, table.Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// appendAll brings an application to 6, in steps of two rows.
func appendAll(t *testing.T, store delta.Store) error {
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 2})
	for err == nil && table.Snapshot().Txn("app") < 6 {
		batches, commit := step(table, int(max(table.Snapshot().Txn("app"), 0))+2)
		err = table.Append(t.Context(), batches, commit)
	}
	return err
}

func TestACrashAtAnyCallLosesAndDoublesNothing(t *testing.T) {
	counter := &objstoretest.Breaker{Store: memory.New(time.Now)}
	if err := appendAll(t, counter); err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= counter.Calls(); n++ {
		for _, moment := range []objstoretest.Moment{objstoretest.Before, objstoretest.After} {
			store := memory.New(time.Now)
			breaker := &objstoretest.Breaker{Store: store, At: n, Moment: moment}
			if err := appendAll(t, breaker); err != nil && !errors.Is(err, objstoretest.ErrBroken) {
				t.Fatalf("call %d: %v", n, err)
			}
			if !breaker.Broke() {
				t.Fatalf("call %d was not reached", n)
			}
			if err := appendAll(t, store); err != nil {
				t.Fatalf("call %d: go on: %v", n, err)
			}
			if diff := cmp.Diff(upTo(6), offsets(t, open(t, store).Snapshot())); diff != "" {
				t.Fatalf("crash at call %d of %d, moment %d (-want +got):\n%s", n, counter.Calls(), moment, diff)
			}
		}
	}
}

func TestFilesOfOtherWritersKeepTheirPlaceThroughACheckpoint(t *testing.T) {
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	appendRows(t, table, rows(0, 2))
	appendRows(t, table, rows(2, 2))
	// Another program knows none of our tags.
	const key = "t/_delta_log/00000000000000000002.json"
	foreign := get(t, store, key)
	for _, tag := range []string{"drumbeat.order", "drumbeat.crc32c", "Drumbeat/2"} {
		foreign = bytes.ReplaceAll(foreign, []byte(tag), []byte("its.own"))
	}
	put(t, store, key, foreign)
	table, err = delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	appendRows(t, table, rows(4, 2))
	appendRows(t, table, rows(6, 2))
	appendRows(t, table, rows(8, 2))
	if err := store.Delete(t.Context(), firstCommit); err != nil { // read the checkpoint, not the log
		t.Fatal(err)
	}
	if diff := cmp.Diff(upTo(10), offsets(t, open(t, store).Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUpperBoundsOfTimesInTheLogAreRoundedUp(t *testing.T) {
	store := memory.New(time.Now)
	table := open(t, store)
	batch := rows(0, 2)
	for c := range columns {
		if columns[c].Name == "at" {
			batch.Columns[c].Ints = []int64{-1500, 1_767_225_600_000_001}
		}
	}
	appendRows(t, table, batch)
	commit := string(get(t, store, secondCommit))
	for _, want := range []string{`1969-12-31T23:59:59.998Z`, `2026-01-01T00:00:00.001Z`} {
		if !strings.Contains(commit, want) {
			t.Errorf("the commit does not hold %s: %s", want, commit)
		}
	}
}
