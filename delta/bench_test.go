package delta_test

import (
	"strconv"
	"testing"
	"time"

	"drumbeat/delta"
	"drumbeat/objstore/memory"
)

const benchRows = 200_000

func BenchmarkAppend(b *testing.B) {
	batch := rows(0, benchRows)
	for b.Loop() {
		appendRows(b, open(b, memory.New(time.Now)), batch)
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkScan(b *testing.B) {
	table := open(b, memory.New(time.Now))
	appendRows(b, table, rows(0, benchRows))
	for _, columns := range [][]string{nil, {"offset", "value"}} {
		b.Run(strconv.Itoa(len(columns))+" columns", func(b *testing.B) {
			for b.Loop() {
				n := 0
				for batch, err := range table.Snapshot().Scan(b.Context(), delta.ScanOptions{Columns: columns}) {
					if err != nil {
						b.Fatal(err)
					}
					n += batch.N
				}
				if n != benchRows {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkSmallAppend is a live run's commit: few rows, beside many files.
func BenchmarkSmallAppend(b *testing.B) {
	table := open(b, memory.New(time.Now))
	batch := rows(0, 100)
	for b.Loop() {
		appendRows(b, table, batch)
	}
}

func BenchmarkOpen(b *testing.B) {
	store := memory.New(time.Now)
	table := open(b, store)
	for i := range 1040 {
		appendRows(b, table, rows(i, 1))
	}
	for b.Loop() {
		open(b, store)
	}
}

// BenchmarkLongLog opens a table after seven hours of a commit every five
// seconds: as it is without maintenance, and with it.
func BenchmarkLongLog(b *testing.B) {
	const commits = 5_000
	for _, looked := range []bool{false, true} {
		b.Run(map[bool]string{false: "left alone", true: "maintained"}[looked], func(b *testing.B) {
			c := newClock()
			store := memory.New(c.now)
			table, err := delta.Create(b.Context(), store, "t", columns, delta.Options{Now: c.now})
			if err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			var early, late time.Duration
			for i := range commits {
				one := time.Now()
				appendRows(b, table, rows(i, 1))
				if took := time.Since(one); i < commits/10 {
					early += took
				} else if i >= commits-commits/10 {
					late += took
				}
				c.move(5 * time.Second)
				if looked && i%12 == 0 {
					compact(b, table)
				}
				if looked && i%180 == 0 {
					_, err := table.Vacuum(b.Context(), time.Hour)
					if err == nil {
						_, err = table.CleanLog(b.Context(), time.Hour)
					}
					if err != nil {
						b.Fatal(err)
					}
				}
			}
			b.Logf("%s a commit; %s of the first %d, %s of the last", time.Since(began)/commits, early/(commits/10), commits/10, late/(commits/10))
			for b.Loop() {
				open(b, store)
			}
		})
	}
}
