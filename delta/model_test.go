package delta_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"
)

// model is a table as simple as can be: the rows of each version, and how far
// the application has come.
type model struct {
	rows    []int64
	app     int64
	columns int
}

// machine drives handles of one table, as other processes would have them,
// beside the model.
type machine struct {
	t        *rapid.T
	ctx      context.Context //nolint:containedctx // of the test that it lives in
	store    delta.Store
	now      time.Time
	handles  []*delta.Table
	versions []model // by version
	next     int64   // the next row
}

// small is what the model's table holds; wide is the same with a column more.
var (
	small = delta.Schema{{Name: "offset", Type: delta.Int64}}
	wide  = delta.Schema{{Name: "offset", Type: delta.Int64}, {Name: "note", Type: delta.String, Nullable: true}}
)

func (m *machine) last() model { return m.versions[len(m.versions)-1] }

func (m *machine) open(schema delta.Schema) *delta.Table {
	m.t.Helper()
	table, err := delta.Create(m.ctx, m.store, "t", schema, delta.Options{
		Now: func() time.Time { return m.now }, CheckpointEvery: 5,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return table
}

// made adds the state after a handle's newest version, if there are new ones:
// each of them is the same state.
func (m *machine) made(table *delta.Table, state model) {
	m.t.Helper()
	newest, err := table.Refresh(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	for int64(len(m.versions)) <= newest.Version() {
		m.versions = append(m.versions, state)
	}
}

func (m *machine) handle() *delta.Table {
	return m.handles[rapid.IntRange(0, len(m.handles)-1).Draw(m.t, "handle")]
}

// appendRows appends through a handle that may not have seen the newest
// version: rows without an application go through, a step of the application
// only from where it stands.
func (m *machine) appendRows() {
	table := m.handle()
	n := rapid.IntRange(1, 4).Draw(m.t, "rows")
	schema := table.Snapshot().Schema()
	batch := &delta.Batch{N: n, Columns: make([]delta.Column, len(schema))}
	for i := range n {
		batch.Columns[0].Ints = append(batch.Columns[0].Ints, m.next+int64(i))
		if len(schema) > 1 {
			batch.Columns[1].Bytes = append(batch.Columns[1].Bytes, fmt.Append(nil, i))
		}
	}
	commit := delta.Commit{}
	now := m.last()
	withApp := rapid.Bool().Draw(m.t, "with the application")
	if withApp {
		from := now.app
		if rapid.IntRange(0, 4).Draw(m.t, "off") == 0 {
			from += int64(rapid.SampledFrom([]int{-2, 3}).Draw(m.t, "by"))
		}
		commit.Txns = map[string]delta.Txn{"app": {From: max(from, delta.NoTxn), To: max(from, delta.NoTxn) + 1}}
	}
	err := table.Append(m.ctx, []*delta.Batch{batch}, commit)
	stale := len(schema) != now.columns
	step, fits := commit.Txns["app"], true
	if withApp {
		fits = step.From == now.app
		if step.To <= now.app { // done before: nothing happens, whoever asks
			if err != nil && !errors.Is(err, drumbeat.ErrConflict) {
				m.t.Fatalf("a step that was made before: %v", err)
			}
			m.made(table, now)
			return
		}
	}
	switch {
	case err == nil && fits && !stale:
		state := model{rows: append(slices.Clone(now.rows), batch.Columns[0].Ints...), app: now.app, columns: now.columns}
		if withApp {
			state.app = step.To
		}
		m.next += int64(n)
		m.made(table, state)
	case errors.Is(err, drumbeat.ErrConflict) && (!fits || stale):
		m.made(table, now)
	default:
		m.t.Fatalf("append (application %+v of %d, %d of %d columns): %v", step, now.app, len(schema), now.columns, err)
	}
}

func (m *machine) compact() {
	table := m.handle()
	if _, err := table.Compact(m.ctx, delta.CompactOptions{FullRows: int64(rapid.IntRange(4, 60).Draw(m.t, "full"))}); err != nil {
		m.t.Fatal(err)
	}
	m.made(table, m.last())
}

func (m *machine) restore() {
	table := m.handle()
	version := int64(rapid.IntRange(0, len(m.versions)-1).Draw(m.t, "version"))
	if _, err := table.Restore(m.ctx, version); err != nil {
		if errors.Is(err, drumbeat.ErrNotFound) { // cleaned away
			return
		}
		m.t.Fatal(err)
	}
	m.made(table, m.versions[version])
}

// remove takes the first file out.
func (m *machine) remove() {
	table := m.handle()
	snapshot, err := table.Refresh(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	if len(snapshot.Files()) == 0 {
		return
	}
	first := snapshot.Files()[:1]
	removed, err := table.Remove(m.ctx, first)
	if err != nil || !removed {
		m.t.Fatal(removed, err)
	}
	state := m.last()
	state.rows = state.rows[first[0].Rows():]
	m.made(table, state)
}

func (m *machine) widen() {
	m.handles = append(m.handles[:min(len(m.handles), 3)], m.open(wide))
	state := m.last()
	state.columns = 2
	m.made(m.handles[len(m.handles)-1], state)
}

func (m *machine) reopen() {
	schema := small
	if m.last().columns == 2 {
		schema = wide
	}
	m.handles = append(m.handles[:min(len(m.handles), 3)], m.open(schema))
}

func (m *machine) clean() {
	m.now = m.now.Add(2 * delta.MinKeep)
	table := m.handle()
	if _, err := table.Vacuum(m.ctx, delta.MinKeep); err != nil {
		m.t.Fatal(err)
	}
	if _, err := table.CleanLog(m.ctx, delta.MinKeep); err != nil {
		m.t.Fatal(err)
	}
}

// check compares the newest version, and one older that is still kept.
func (m *machine) check() {
	m.t.Helper()
	table := m.handle()
	snapshot, err := table.Refresh(m.ctx)
	if err != nil {
		m.t.Fatal(err)
	}
	if snapshot.Version() != int64(len(m.versions)-1) {
		m.t.Fatalf("version %d, the model has %d", snapshot.Version(), len(m.versions)-1)
	}
	m.same(snapshot, m.last())
	version := rapid.IntRange(0, len(m.versions)-1).Draw(m.t, "then")
	then, err := table.At(m.ctx, int64(version))
	if err != nil {
		if errors.Is(err, drumbeat.ErrNotFound) {
			return
		}
		m.t.Fatal(err)
	}
	for _, f := range then.Files() {
		if _, err := m.store.Read(m.ctx, "t/"+f.Path); errors.Is(err, drumbeat.ErrNotFound) {
			return // vacuumed
		}
	}
	m.same(then, m.versions[version])
}

func (m *machine) same(s *delta.Snapshot, want model) {
	m.t.Helper()
	var got []int64
	for batch, err := range s.Scan(m.ctx, delta.ScanOptions{Columns: []string{"offset"}}) {
		if err != nil {
			m.t.Fatal(err)
		}
		got = append(got, batch.Columns[0].Ints[:batch.N]...)
	}
	if !slices.Equal(got, want.rows) || s.Txn("app") != want.app || len(s.Schema()) != want.columns || s.Rows() != int64(len(want.rows)) {
		m.t.Fatalf("version %d has rows %v, progress %d, %d columns; the model has %v, %d, %d",
			s.Version(), got, s.Txn("app"), len(s.Schema()), want.rows, want.app, want.columns)
	}
}

// TestTheLogDoesWhatAModelDoes drives several handles of one table with random
// operations, one at a time, and compares each version with a simple model.
func TestTheLogDoesWhatAModelDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{t: t, ctx: context.Background(), now: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)}
		m.store = memory.New(func() time.Time { return m.now })
		m.versions = []model{{app: delta.NoTxn, columns: 1}}
		m.handles = []*delta.Table{m.open(small), m.open(small)}
		t.Repeat(map[string]func(*rapid.T){
			"append":  func(*rapid.T) { m.appendRows() },
			"compact": func(*rapid.T) { m.compact() },
			"restore": func(*rapid.T) { m.restore() },
			"remove":  func(*rapid.T) { m.remove() },
			"widen":   func(*rapid.T) { m.widen() },
			"reopen":  func(*rapid.T) { m.reopen() },
			"clean":   func(*rapid.T) { m.clean() },
			"":        func(*rapid.T) { m.check() },
		})
	})
}

// TestConcurrentOperationsKeepEachRowOnce lets many work on one table at the
// same time: appends of several applications, compactions, checkpoints,
// clean-up. Each row that was acknowledged is there once, each application's
// in its order.
func TestConcurrentOperationsKeepEachRowOnce(t *testing.T) {
	t.Parallel()
	store := memory.New(time.Now)
	const apps, each = 6, 25
	create := func() *delta.Table {
		table, err := delta.Create(t.Context(), store, "t", small, delta.Options{CheckpointEvery: 7, Attempts: 1000})
		if err != nil {
			t.Error(err)
		}
		return table
	}
	create()
	var writers, others sync.WaitGroup
	for app := range apps {
		writers.Go(func() {
			table, name := create(), fmt.Sprint("app ", app)
			for k := range int64(each) {
				batch := &delta.Batch{N: 1, Columns: []delta.Column{{Ints: []int64{int64(app)*1000 + k}}}}
				commit := delta.Commit{Txns: map[string]delta.Txn{name: {From: k - 1, To: k}}}
				for range 2 { // said twice, it is done once
					if err := table.Append(t.Context(), []*delta.Batch{batch}, commit); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	over := make(chan struct{})
	for range 2 {
		others.Go(func() {
			table := create()
			for {
				select {
				case <-over:
					return
				default:
				}
				if _, err := table.Compact(t.Context(), delta.CompactOptions{FullRows: 40}); err != nil {
					t.Error(err)
				}
				if err := table.Checkpoint(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(over)
	others.Wait()
	table, err := delta.Open(t.Context(), store, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	newest, count := map[int64]int64{}, map[int64]int{}
	for _, v := range offsets(t, table.Snapshot()) {
		if app := v / 1000; v < newest[app] {
			t.Errorf("row %d after %d", v, newest[app])
		} else {
			newest[app] = v
		}
		count[v]++
	}
	if len(count) != apps*each || slices.Max(slices.Collect(maps.Values(count))) != 1 {
		t.Errorf("%d different rows, want %d once each", len(count), apps*each)
	}
	if verified, err := table.Verify(t.Context()); err != nil || len(verified.Damages) > 0 {
		t.Errorf("%+v, %v", verified, err)
	}
}
