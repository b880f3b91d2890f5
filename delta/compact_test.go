package delta_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

// clock is a wall clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func openAt(t testing.TB, store delta.Store, c *clock) *delta.Table {
	t.Helper()
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{Now: c.now, CheckpointEvery: 10})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func compact(t testing.TB, table *delta.Table) delta.Compacted {
	t.Helper()
	done, err := table.Compact(t.Context(), delta.CompactOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func keys(t testing.TB, store delta.Store) []string {
	t.Helper()
	var out []string
	for entry, err := range store.List(t.Context(), "t/", "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, entry.Key)
	}
	return out
}

func TestCompactedRowsAreTheSameInTheSameOrder(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table := openAt(t, store, c)
	n := 0
	for i := range 20 {
		batch := rows(n, 1+i%4)
		batch.Tags = map[string]string{"first": strconv.Itoa(n)}
		appendRows(t, table, batch)
		n += batch.N
	}
	before := table.Snapshot()
	tags := func(files []*delta.File) map[string]string {
		return map[string]string{"first": files[0].Tags["first"], "files": strconv.Itoa(len(files))}
	}
	done, err := table.Compact(t.Context(), delta.CompactOptions{Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(delta.Compacted{Removed: 20, Added: 1}, done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	appendRows(t, table, rows(n, 3))
	for _, s := range []*delta.Snapshot{table.Snapshot(), openAt(t, store, c).Snapshot()} {
		files := s.Files()
		if len(files) != 2 || files[0].Tags["first"] != "0" || files[0].Tags["files"] != "20" || files[0].Tags["drumbeat.crc32c"] == "" ||
			files[0].Rows() != int64(n) {
			t.Errorf("%d files, the first of %d rows with tags %v", len(files), files[0].Rows(), files[0].Tags)
		}
		least, most, ok := files[0].Range(columns[0])
		if !ok || least != 0 || most != int64(n-1) {
			t.Errorf("statistics say %d to %d, %t", least, most, ok)
		}
		want, got := rows(0, n+3), collect(t, s, delta.ScanOptions{})
		for i := range columns {
			if !sameColumn(&want.Columns[i], &got.Columns[i]) {
				t.Errorf("column %s is not what was written", columns[i].Name)
			}
		}
	}
	// Who reads the older version is not disturbed.
	if diff := cmp.Diff(upTo(n), offsets(t, before)); diff != "" {
		t.Errorf("the older version (-want +got):\n%s", diff)
	}
	commit := string(get(t, store, "t/_delta_log/00000000000000000021.json"))
	if strings.Count(commit, `"remove"`) != 20 || strings.Count(commit, `"dataChange":false`) != 21 || strings.Contains(commit, `"dataChange":true`) ||
		strings.Count(commit, fmt.Sprintf(`"deletionTimestamp":%d`, c.now().UnixMilli())) != 20 {
		t.Errorf("the commit is\n%s", commit)
	}
	version := table.Snapshot().Version()
	if done := compact(t, table); done != (delta.Compacted{}) || table.Snapshot().Version() != version {
		t.Errorf("compacting again did %+v", done)
	}
}

func TestADayOfCommitsLeavesAFewFilesAndWritesEachRowAFewTimes(t *testing.T) {
	c := newClock()
	counter := &countingStore{Store: memory.New(c.now)}
	table := openAt(t, counter, c)
	const commits = 600
	most, stored := 0, int64(0)
	for i := range commits {
		appendRows(t, table, rows(60*i, 60))
		c.move(5 * time.Second)
		if i%12 == 11 {
			before := counter.bytes
			_, err := table.Compact(t.Context(), delta.CompactOptions{FullBytes: 256 << 10})
			if err != nil {
				t.Fatal(err)
			}
			stored += counter.bytes - before
		}
		small := 0
		for _, f := range table.Snapshot().Files() {
			if f.Size < 256<<10 {
				small++
			}
		}
		most = max(most, small)
	}
	if most > 40 {
		t.Errorf("%d small files at once", most)
	}
	if diff := cmp.Diff(upTo(60*commits), offsets(t, openAt(t, counter, c).Snapshot())); diff != "" {
		t.Error("rows were lost, doubled or moved")
	}
	var size int64
	for _, f := range table.Snapshot().Files() {
		size += f.Size
	}
	t.Logf("at most %d small files; compactions stored %.1f times the table", most, float64(stored)/float64(size))
	if stored > 12*size {
		t.Errorf("compactions stored %d bytes for a table of %d", stored, size)
	}
}

// countingStore counts the bytes that are stored.
type countingStore struct {
	objstore.Store
	bytes int64
}

func TestAppendsAndCompactionsSideBySideLoseAndDoubleNothing(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table, other := openAt(t, store, c), openAt(t, store, c)
	const writers, each = 3, 60
	var appending, compacting sync.WaitGroup
	for w := range writers {
		appending.Go(func() {
			for i := range each {
				if err := []*delta.Table{table, other}[w%2].Append(t.Context(), []*delta.Batch{rows(w*each+i, 1)}, delta.Commit{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	for _, handle := range []*delta.Table{table, other} {
		compacting.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := handle.Compact(t.Context(), delta.CompactOptions{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	appending.Wait()
	close(stop)
	compacting.Wait()
	compact(t, table)
	s := openAt(t, store, c).Snapshot()
	got := offsets(t, s)
	for w := range writers {
		own := slices.DeleteFunc(slices.Clone(got), func(v int64) bool { return v/each != int64(w) })
		if !slices.IsSorted(own) {
			t.Errorf("rows of writer %d are in the order %v", w, own)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(upTo(writers*each), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(s.Files()); n > 24 {
		t.Errorf("%d files", n)
	}
}

func TestVacuumDeletesWhatNobodyReadsAnyMore(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table := openAt(t, store, c)
	for i := range 9 {
		appendRows(t, table, rows(i, 1))
	}
	old := table.Snapshot()
	put(t, store, "t/part-of-a-crash.parquet", []byte("left"))
	compact(t, table)
	vacuum := func(want int) {
		t.Helper()
		n, err := table.Vacuum(t.Context(), time.Hour)
		if err != nil || n != want {
			t.Errorf("vacuum deleted %d files, %v; want %d", n, err, want)
		}
	}
	vacuum(0)
	c.move(59 * time.Minute)
	vacuum(0)
	if diff := cmp.Diff(upTo(9), offsets(t, old)); diff != "" {
		t.Errorf("the older version (-want +got):\n%s", diff)
	}
	c.move(time.Minute)
	vacuum(9)
	for _, err := range old.Scan(t.Context(), delta.ScanOptions{}) {
		refused(t, err, drumbeat.ErrConflict, "scan again")
	}
	c.move(22 * time.Hour)
	vacuum(0)
	c.move(time.Hour)
	vacuum(1) // what no version names, a day old
	vacuum(0)
	if diff := cmp.Diff(upTo(9), offsets(t, openAt(t, store, c).Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := table.Vacuum(t.Context(), time.Minute); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a vacuum that spares no reader: %v", err)
	}
}

func TestVacuumSparesTheFilesOfAnAppendThatSleeps(t *testing.T) {
	c := newClock()
	store := &sleepyStore{Store: memory.New(c.now)}
	table := openAt(t, store, c)
	store.sleep = func() { // between the data file and its commit
		store.sleep = nil
		c.move(48 * time.Hour)
		if n, err := table.Vacuum(t.Context(), time.Hour); n != 0 || err != nil {
			t.Errorf("vacuum deleted %d files, %v", n, err)
		}
	}
	appendRows(t, table, rows(0, 3))
	if diff := cmp.Diff(upTo(3), offsets(t, table.Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestACleanedLogIsReadByNewAndByOldHands(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table, sleeper, reader := openAt(t, store, c), openAt(t, store, c), openAt(t, store, c)
	for i := range 100 {
		appendRows(t, table, rows(i, 1))
		c.move(time.Minute)
	}
	n, err := table.CleanLog(t.Context(), time.Hour)
	// An hour ago version 40 was the newest: what is before its checkpoint goes.
	if err != nil || n != 40+3 {
		t.Errorf("%d files deleted, %v", n, err)
	}
	for v := range int64(101) {
		s, err := table.At(t.Context(), v)
		if v < 40 {
			refused(t, err, drumbeat.ErrNotFound, "no longer kept", "40")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(upTo(int(v)), offsets(t, s)); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", v, diff)
		}
	}
	if n, err := table.CleanLog(t.Context(), time.Hour); n != 0 || err != nil {
		t.Errorf("again: %d files deleted, %v", n, err)
	}
	// Who slept through it must not take the gap for the end of the log.
	appendRows(t, sleeper, rows(100, 1))
	if _, err := reader.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range []*delta.Snapshot{sleeper.Snapshot(), reader.Snapshot(), openAt(t, store, c).Snapshot()} {
		if diff := cmp.Diff(upTo(101), offsets(t, s)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestADamagedCheckpointKeepsTheLogThatItWouldReplace(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table := openAt(t, store, c)
	for i := range 15 {
		appendRows(t, table, rows(i, 1))
		c.move(time.Hour)
	}
	key := "t/_delta_log/00000000000000000010.checkpoint.parquet"
	body := get(t, store, key)
	put(t, store, key, body[:len(body)/2])
	before := keys(t, store)
	if _, err := table.CleanLog(t.Context(), time.Hour); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff(before, keys(t, store)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRemovedFilesTakeTheirRowsAlong(t *testing.T) {
	c := newClock()
	store := memory.New(c.now)
	table := openAt(t, store, c)
	for i := range 6 {
		appendRows(t, table, rows(i, 1))
	}
	files := table.Snapshot().Files()
	if ok, err := table.Remove(t.Context(), []*delta.File{files[0], files[3]}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := table.Remove(t.Context(), files[:2]); ok || err != nil {
		t.Errorf("a file that has gone: %t, %v", ok, err)
	}
	if diff := cmp.Diff([]int64{1, 2, 4, 5}, offsets(t, openAt(t, store, c).Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func (s *countingStore) Create(ctx context.Context, key string, body []byte) error {
	s.bytes += int64(len(body))
	return s.Store.Create(ctx, key, body)
}

// sleepyStore runs a function before the first commit after the table's own.
type sleepyStore struct {
	objstore.Store
	sleep func()
}

func (s *sleepyStore) Create(ctx context.Context, key string, body []byte) error {
	err := s.Store.Create(ctx, key, body)
	if s.sleep != nil && strings.HasSuffix(key, ".zstd.parquet") {
		s.sleep()
	}
	return err
}
