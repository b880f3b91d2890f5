package delta_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"

	"github.com/google/go-cmp/cmp"
)

// columns is a schema with every type, with and without nulls, plain and in a
// dictionary.
var columns = delta.Schema{
	{Name: "offset", Type: delta.Int64, Stats: true},
	{Name: "index", Type: delta.Int32, Dictionary: true, Stats: true},
	{Name: "machine", Type: delta.String, Dictionary: true, Stats: true},
	{Name: "at", Type: delta.Timestamp, Stats: true},
	{Name: "value", Type: delta.Decimal, Precision: 18, Scale: 3, Nullable: true, Stats: true},
	{Name: "small", Type: delta.Decimal, Precision: 5, Scale: 2, Nullable: true, Stats: true},
	{Name: "mean", Type: delta.Float64, Nullable: true, Stats: true},
	{Name: "score", Type: delta.Float64},
	{Name: "running", Type: delta.Bool, Nullable: true, Stats: true},
	{Name: "payload", Type: delta.Binary, Nullable: true},
	{Name: "note", Type: delta.String, Nullable: true, Stats: true},
	{Name: "flag", Type: delta.Int64, Dictionary: true, Nullable: true},
	{Name: "level", Type: delta.Float64, Dictionary: true, Nullable: true},
	{Name: "day", Type: delta.Date, Nullable: true, Stats: true},
	{Name: "month", Type: delta.Date, Dictionary: true},
}

// rows returns n rows, the first of them numbered from.
func rows(from, n int) *delta.Batch {
	b := &delta.Batch{N: n, Columns: make([]delta.Column, len(columns))}
	for c, f := range columns {
		column := &b.Columns[c]
		for i := range n {
			row := from + i
			null := f.Nullable && (row+c)%5 == 0
			if null && column.Null == nil {
				column.Null = make([]bool, n)
			}
			if null {
				column.Null[i] = true
			}
			switch f.Type {
			case delta.Float64:
				v := float64(row%97) / 8
				if null {
					v = math.NaN()
				}
				column.Floats = append(column.Floats, v)
			case delta.String, delta.Binary:
				v := fmt.Appendf(nil, "W-%03d", row%(7+c))
				if null {
					v = nil
				}
				column.Bytes = append(column.Bytes, v)
			case delta.Int32, delta.Int64, delta.Bool, delta.Timestamp, delta.Decimal, delta.Date:
				v := int64(row)
				switch {
				case null:
					v = 0
				case f.Precision == 5:
					v = int64(row) % 100_000
				case f.Type == delta.Bool:
					v = int64(row) % 2
				case f.Type == delta.Timestamp:
					v = 1_767_225_600_000_000 + int64(row)*900_000_001
				}
				column.Ints = append(column.Ints, v)
			}
		}
	}
	return b
}

func open(t testing.TB, store delta.Store) *delta.Table {
	t.Helper()
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// collect reads a whole snapshot into one batch.
func collect(t testing.TB, s *delta.Snapshot, opt delta.ScanOptions) *delta.Batch {
	t.Helper()
	fields := len(s.Schema())
	if opt.Columns != nil {
		fields = len(opt.Columns)
	}
	all := &delta.Batch{Columns: make([]delta.Column, fields)}
	for batch, err := range s.Scan(t.Context(), opt) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range batch.Columns {
			from, to := &batch.Columns[i], &all.Columns[i]
			to.Ints = append(to.Ints, from.Ints...)
			to.Floats = append(to.Floats, from.Floats...)
			for _, v := range from.Bytes {
				to.Bytes = append(to.Bytes, bytes.Clone(v))
			}
			if from.Null != nil && to.Null == nil {
				to.Null = make([]bool, all.N)
			}
			if to.Null != nil {
				if from.Null != nil {
					to.Null = append(to.Null, from.Null...)
				} else {
					to.Null = append(to.Null, make([]bool, batch.N)...)
				}
			}
		}
		all.N += batch.N
	}
	return all
}

// sameColumn compares columns to the bit, but for NaN's.
func sameColumn(a, b *delta.Column) bool {
	return slices.Equal(a.Ints, b.Ints) && slices.Equal(a.Null, b.Null) && slices.EqualFunc(a.Bytes, b.Bytes, bytes.Equal) &&
		slices.EqualFunc(a.Floats, b.Floats, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) || x != x && y != y })
}

// offsets reads the column that numbers the rows.
func offsets(t testing.TB, s *delta.Snapshot) []int64 {
	t.Helper()
	return collect(t, s, delta.ScanOptions{Columns: []string{"offset"}}).Columns[0].Ints
}

// upTo returns 0 to n-1.
func upTo(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i)
	}
	return out
}

func appendRows(t testing.TB, table *delta.Table, batches ...*delta.Batch) {
	t.Helper()
	if err := table.Append(t.Context(), batches, delta.Commit{}); err != nil {
		t.Fatal(err)
	}
}

func TestRowsAreReadBackAsTheyWereWritten(t *testing.T) {
	table := open(t, memory.New(time.Now))
	for _, n := range []int{1, 5, 4097, 9000} {
		want := rows(n, n)
		version := table.Snapshot().Version()
		appendRows(t, table, want)
		if got := table.Snapshot().Version(); got != version+1 {
			t.Errorf("version is %d, want %d", got, version+1)
		}
		files := table.Snapshot().Files()
		last := files[len(files)-1]
		got := collect(t, table.Snapshot(), delta.ScanOptions{Skip: func(f *delta.File) bool { return f != last }})
		for c := range columns {
			if !sameColumn(&want.Columns[c], &got.Columns[c]) { // a diff of all would take minutes
				t.Fatalf("%d rows: column %s is not what was written", n, columns[c].Name)
			}
		}
	}
}

func TestAScanReadsTheColumnsAskedForInTheirOrder(t *testing.T) {
	table := open(t, memory.New(time.Now))
	appendRows(t, table, rows(0, 100), rows(100, 50))
	all := rows(0, 150)
	got := collect(t, table.Snapshot(), delta.ScanOptions{Columns: []string{"note", "offset"}})
	want := &delta.Batch{N: 150, Columns: []delta.Column{all.Columns[10], all.Columns[0]}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, err := range table.Snapshot().Scan(t.Context(), delta.ScanOptions{Columns: []string{"nothing"}}) {
		if !errors.Is(err, drumbeat.ErrNotFound) {
			t.Errorf("a column that is not there: %v", err)
		}
	}
}

func TestStatisticsBoundEveryFile(t *testing.T) {
	store := memory.New(time.Now)
	table := open(t, store)
	appendRows(t, table, rows(0, 10), rows(10, 10), rows(20, 10))
	check := func(table *delta.Table) {
		t.Helper()
		for i, f := range table.Snapshot().Files() {
			if f.Rows() != 10 {
				t.Errorf("file %d has %d rows", i, f.Rows())
			}
			least, greatest, ok := f.Range(columns[0])
			if !ok || least != int64(10*i) || greatest != int64(10*i+9) {
				t.Errorf("file %d has offsets %d to %d, %t", i, least, greatest, ok)
			}
			first, last := rows(10*i, 10).Columns[3].Ints[0], rows(10*i, 10).Columns[3].Ints[9]
			least, greatest, ok = f.Range(columns[3])
			// Statistics have milliseconds: wide by at most one on each side, never narrow.
			if !ok || least > first || greatest < last || least < first-1000 || greatest > last+2000 {
				t.Errorf("file %d has times %d to %d, %t; want %d to %d", i, least, greatest, ok, first, last)
			}
		}
		if n := table.Snapshot().Rows(); n != 30 {
			t.Errorf("%d rows in the log", n)
		}
	}
	check(table)
	check(open(t, store))
}

func TestAnOlderVersionIsReadAsItWas(t *testing.T) {
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	for v := range 11 {
		appendRows(t, table, rows(v, 1))
	}
	for v := range int64(12) {
		s, err := table.At(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(upTo(int(v)), append([]int64{}, offsets(t, s)...)); diff != "" {
			t.Errorf("version %d (-want +got):\n%s", v, diff)
		}
	}
	if _, err := table.At(t.Context(), 12); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a version that is not there: %v", err)
	}
	if _, err := table.At(t.Context(), -1); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("version -1: %v", err)
	}
}

func TestOpeningALongLogReadsItsEndOnly(t *testing.T) {
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{CheckpointEvery: 10})
	if err != nil {
		t.Fatal(err)
	}
	for v := range 104 {
		appendRows(t, table, rows(v, 1))
	}
	counter := &objstoretest.Breaker{Store: store}
	again, err := delta.Open(t.Context(), counter, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The hint, a listing, the checkpoint and four commits.
	if n := counter.Calls(); n != 7 {
		t.Errorf("%d calls to open, want 7", n)
	}
	if diff := cmp.Diff(upTo(104), offsets(t, again.Snapshot())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	before := counter.Calls()
	if _, err := again.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := counter.Calls() - before; n != 1 {
		t.Errorf("%d calls to see that nothing is new, want 1", n)
	}
}

func TestColumnsAreAddedAtTheEndAndReadAsNullBefore(t *testing.T) {
	store := memory.New(time.Now)
	narrow, err := delta.Create(t.Context(), store, "t", columns[:5], delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	few := rows(0, 3)
	few.Columns = few.Columns[:5]
	appendRows(t, narrow, few)
	wide, err := delta.Create(t.Context(), store, "t", columns[:7], delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	more := rows(3, 3)
	more.Columns = more.Columns[:7]
	appendRows(t, wide, more)
	got := collect(t, wide.Snapshot(), delta.ScanOptions{})
	want := []bool{true, true, true, false, false, false}
	for i := range want {
		want[i] = want[i] || rows(0, 6).Columns[6].Null[i]
	}
	if diff := cmp.Diff(want, got.Columns[6].Null); diff != "" {
		t.Errorf("the added column (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(upTo(6), got.Columns[0].Ints); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The writer that knows the old columns is told, and loses nothing.
	if err := narrow.Append(t.Context(), []*delta.Batch{few}, delta.Commit{}); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("append with the old columns: %v, want a conflict", err)
	}
	other := append(columns[:4:4], delta.Field{Name: "value", Type: delta.Float64, Nullable: true})
	if _, err := delta.Create(t.Context(), store, "t", other, delta.Options{}); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a column of another type: %v, want invalid", err)
	}
}

func TestRowsThatDoNotFitAreRefused(t *testing.T) {
	table := open(t, memory.New(time.Now))
	for name, spoil := range map[string]func(*delta.Batch){
		"too few values":        func(b *delta.Batch) { b.Columns[0].Ints = b.Columns[0].Ints[:1] },
		"too few columns":       func(b *delta.Batch) { b.Columns = b.Columns[1:] },
		"a null where none may": func(b *delta.Batch) { b.Columns[0].Null = []bool{true, false, false} },
		"33 bits in 32":         func(b *delta.Batch) { b.Columns[1].Ints[2] = 1 << 32 },
		"19 digits in 18":       func(b *delta.Batch) { b.Columns[4].Ints[1] = 1_000_000_000_000_000_000 },
		"no UTF-8":              func(b *delta.Batch) { b.Columns[2].Bytes[1] = []byte("\xff") },
	} {
		batch := rows(1, 3)
		spoil(batch)
		if err := table.Append(t.Context(), []*delta.Batch{batch}, delta.Commit{}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
	if v := table.Snapshot().Version(); v != 0 {
		t.Errorf("version is %d", v)
	}
}
