//go:build real

package s3_test

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/s3test"
)

var columns = delta.Schema{{Name: "writer", Type: delta.Int64}, {Name: "n", Type: delta.Int64, Stats: true}}

// Four writers commit to one table through a server of which every fifth
// answer is a fault: refused, lost before or after the deed, wrong, or slow.
func TestATableBehindAFaultyServerLosesAndDoublesNothing(t *testing.T) {
	const writers, rows = 4, 25
	proxy := newProxy(t, s3test.Start(t))
	first := under(t, proxy.url, "faulty")
	if _, err := delta.Create(t.Context(), first, "t", columns, delta.Options{}); err != nil {
		t.Fatal(err)
	}
	proxy.odds.Store(20)
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			if err := commitAll(t, proxy.url, w, rows); err != nil {
				t.Errorf("writer %d: %v", w, err)
			}
		})
	}
	group.Wait()
	proxy.odds.Store(0)
	table, err := delta.Open(t.Context(), first, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	next := make([]int64, writers) // each writer's rows come in order, once
	for batch, err := range table.Snapshot().Scan(t.Context(), delta.ScanOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.N {
			w, n := batch.Columns[0].Ints[i], batch.Columns[1].Ints[i]
			if n != next[w] {
				t.Fatalf("writer %d: row %d where %d was due", w, n, next[w])
			}
			next[w]++
		}
	}
	for w, n := range next {
		if n != rows {
			t.Errorf("writer %d: %d rows of %d", w, n, rows)
		}
	}
	t.Logf("%d rows of %d writers in %d versions under %d faults: lost 0, doubled 0",
		writers*rows, writers, table.Snapshot().Version()+1, proxy.faults.Load())
}

// commitAll commits rows one by one, each with its progress, and goes on after
// errors by what the table says.
func commitAll(t *testing.T, endpoint string, writer, rows int) error {
	store := under(t, endpoint, "faulty")
	app := fmt.Sprint("writer-", writer)
	var table *delta.Table
	for range 50 {
		var err error
		if table, err = delta.Open(t.Context(), store, "t", delta.Options{Log: slog.New(slog.DiscardHandler)}); err != nil {
			continue
		}
		for err == nil {
			at := table.Snapshot().Txn(app)
			n := max(at, 0)
			if n == int64(rows) {
				return nil
			}
			batch := &delta.Batch{N: 1, Columns: []delta.Column{{Ints: []int64{int64(writer)}}, {Ints: []int64{n}}}}
			err = table.Append(t.Context(), []*delta.Batch{batch}, delta.Commit{Txns: map[string]delta.Txn{app: {From: at, To: n + 1}}})
			if errors.Is(err, drumbeat.ErrConflict) {
				_, err = table.Refresh(t.Context())
			}
		}
	}
	return errors.New("gave up after 50 errors")
}
