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
