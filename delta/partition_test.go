package delta_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

// byDay is a schema partitioned by columns of several types, not the last
// ones.
var byDay = delta.Schema{
	{Name: "day", Type: delta.Date, Partition: true},
	{Name: "site", Type: delta.String, Nullable: true, Partition: true},
	{Name: "offset", Type: delta.Int64},
	{Name: "hot", Type: delta.Bool, Nullable: true, Partition: true},
	{Name: "note", Type: delta.String, Nullable: true},
	{Name: "at", Type: delta.Timestamp, Nullable: true, Partition: true},
	{Name: "rate", Type: delta.Decimal, Precision: 9, Scale: 3, Nullable: true, Partition: true},
	{Name: "seen", Type: delta.Date, Nullable: true},
}

// sites are texts that a path cannot hold as they are; the first is null.
var sites = []string{"", "north", "a/b", "a b", "100%", "ü=&?#:", "..", ".hidden", `back\slash`, "a+b", "quote\"", "__HIVE_DEFAULT_PARTITION__", strings.Repeat("long", 60)}

func dayRows(from, n int) *delta.Batch {
	b := &delta.Batch{N: n, Columns: make([]delta.Column, len(byDay))}
	for c := range b.Columns {
		b.Columns[c].Null = make([]bool, n)
	}
	for i := range n {
		row := from + i
		set := func(c int, v int64, null bool) {
			b.Columns[c].Ints = append(b.Columns[c].Ints, v)
			b.Columns[c].Null[i] = null
		}
		kind := row % len(sites) // one combination of values each
		site := sites[kind]
		set(0, 20_500+int64(kind%3), false)
		b.Columns[1].Bytes = append(b.Columns[1].Bytes, []byte(site))
		b.Columns[1].Null[i] = site == ""
		set(2, int64(row), false)
		set(3, int64(kind%2), kind == 5)
		b.Columns[4].Bytes = append(b.Columns[4].Bytes, fmt.Append(nil, "row ", row))
		set(5, 1_767_225_600_000_000+int64(kind%2)*1_500_001, kind == 7)
		set(6, 1500+int64(kind%2), kind == 9) // deltalake 1.6 garbles a negative decimal here
		set(7, int64(row)-5, row%4 == 0)
	}
	return b
}

// lines writes rows as texts, sorted by their offsets.
func lines(t *testing.T, s *delta.Snapshot, opt delta.ScanOptions) []string {
	t.Helper()
	all := collect(t, s, opt)
	out := make([]string, all.N)
	for i := range out {
		var row []string
		for c, f := range s.Schema() {
			column := &all.Columns[c]
			switch {
			case column.Null != nil && column.Null[i]:
				row = append(row, f.Name+"=null")
			case f.Type == delta.String:
				row = append(row, fmt.Sprintf("%s=%q", f.Name, column.Bytes[i]))
			default:
				row = append(row, fmt.Sprintf("%s=%d", f.Name, column.Ints[i]))
			}
		}
		out[i] = fmt.Sprintf("%06d ", all.Columns[2].Ints[i]) + strings.Join(row, " ")
	}
	slices.Sort(out)
	return out
}

func TestAPartitionedTableHoldsItsRowsThroughEverything(t *testing.T) {
	t.Parallel()
	plain := slices.Clone(byDay)
	for i := range plain {
		plain[i].Partition = false
	}
	reference, err := delta.Create(t.Context(), memory.New(time.Now), "t", plain, delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(time.Now)
	table, err := delta.Create(t.Context(), store, "t", byDay, delta.Options{CheckpointEvery: 4})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 10 {
		appendRows(t, table, dayRows(k*60, 60))
		appendRows(t, reference, dayRows(k*60, 60))
	}
	want := lines(t, reference.Snapshot(), delta.ScanOptions{})
	check := func(when string, table *delta.Table) {
		t.Helper()
		if diff := cmp.Diff(want, lines(t, table.Snapshot(), delta.ScanOptions{})); diff != "" {
			t.Fatalf("%s (-want +got):\n%.2000s", when, diff)
		}
	}
	check("as written", table)
	opened, err := delta.Open(t.Context(), store, "t", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	check("opened from a checkpoint", opened)
	before := len(table.Snapshot().Files())
	done, err := table.Compact(t.Context(), delta.CompactOptions{})
	if err != nil || done.Removed == 0 || len(table.Snapshot().Files()) >= before {
		t.Fatalf("%+v, %v", done, err)
	}
	check("compacted", table)
	for _, f := range table.Snapshot().Files() {
		if got := collect(t, table.Snapshot(), delta.ScanOptions{Files: []*delta.File{f}, Columns: []string{"site"}}); got.N == 0 {
			t.Errorf("file %s is empty", f.Path)
		}
	}
	if verified, err := table.Verify(t.Context()); err != nil || len(verified.Damages) > 0 || verified.Rows != 600 {
		t.Errorf("%+v, %v", verified, err)
	}
}

func TestPartitionsAreSkippedByTheirValues(t *testing.T) {
	t.Parallel()
	table, err := delta.Create(t.Context(), memory.New(time.Now), "t", byDay, delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	appendRows(t, table, dayRows(0, 90))
	got := collect(t, table.Snapshot(), delta.ScanOptions{Columns: []string{"day"}, Skip: func(f *delta.File) bool {
		least, most, ok := f.Range(byDay[0])
		return ok && (least > 20_501 || most < 20_501)
	}})
	if got.N == 0 || got.N == 90 || slices.Min(got.Columns[0].Ints) != 20_501 || slices.Max(got.Columns[0].Ints) != 20_501 {
		t.Errorf("%d rows of days %v", got.N, got.Columns[0].Ints)
	}
}

func TestPartitionValuesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	for _, add := range []string{
		`"partitionValues":{}`,
		`"partitionValues":{"day":"yesterday"}`,
		`"partitionValues":{"day":null}`,
		`"partitionValues":{"day":"2026-13-01"}`,
	} {
		store := memory.New(time.Now)
		if _, err := delta.Create(t.Context(), store, "t", byDay[:3:3], delta.Options{}); err != nil {
			t.Fatal(err)
		}
		put(t, store, secondCommit, []byte(`{"add":{"path":"a.parquet",`+add+`,"size":1,"modificationTime":1,"dataChange":true}}`))
		if _, err := delta.Open(t.Context(), store, "t", delta.Options{}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v", add, err)
		}
	}
	for _, schema := range []delta.Schema{
		{{Name: "day", Type: delta.Date, Partition: true}},
		{{Name: "mean", Type: delta.Float64, Partition: true}, {Name: "n", Type: delta.Int64}},
	} {
		if _, err := delta.Create(t.Context(), memory.New(time.Now), "t", schema, delta.Options{}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%v: got %v", schema, err)
		}
	}
}
