package lake_test

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
)

// benchReadings returns n readings as a fleet of 100 machines sends them, over
// four partitions.
func benchReadings(n int) ([]drumbeat.Item, lake.Progress) {
	s := newStream(9, 4)
	items := make([]drumbeat.Item, n)
	values, flags := make([]int64, 6*n), make([]drumbeat.Flag, 6*n)
	for i := range items {
		partition := int32(i % 4)
		at := start.Add(time.Duration(i/100) * 15 * time.Minute)
		items[i] = drumbeat.Item{
			Machine: drumbeat.MachineID(fmt.Sprintf("W-%03d", i%100)), EventTime: at, ArrivalTime: at + 1000,
			Position: drumbeat.Position{Partition: partition, Offset: s.next[partition]},
			Values:   values[6*i : 6*i+6], Flags: flags[6*i : 6*i+6],
		}
		for k := range 5 {
			items[i].Values[k] = 5000 + s.random.Int64N(2000)
		}
		items[i].Raw = fmt.Appendf(nil, `{"machine_id":"W-%03d","timestamp":"%s","temperature_c":%d.%02d,"vibration_hz":%d.%03d,`+
			`"pressure_bar":%d.%03d,"power_kw":%d.%03d,"runtime_hours":%d.25,"error_code_count":0}`, i%100, at,
			items[i].Values[0]/100, items[i].Values[0]%100, items[i].Values[1]/1000, items[i].Values[1]%1000,
			items[i].Values[2]/1000, items[i].Values[2]%1000, items[i].Values[3]/1000, items[i].Values[3]%1000, i/400)
		s.next[partition]++
	}
	return items, s.next
}

const benchRows = 200_000

func rate(b *testing.B, before time.Duration) {
	b.ReportMetric(float64(b.N)*benchRows/(spent(b)-before).Seconds(), "rows/cpu-s")
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

// spent returns the processor time of this process so far. On a machine that
// others use too it tells more than the clock on the wall.
func spent(b *testing.B) time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		b.Fatal(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

func BenchmarkAppendSilver(b *testing.B) {
	items, next := benchReadings(benchRows)
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		b.StopTimer()
		l := open(b, memory.New(time.Now))
		b.StartTimer()
		if err := l.AppendSilver(b.Context(), lake.Silver{Items: items}, next); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}

func BenchmarkScanSilver(b *testing.B) {
	items, next := benchReadings(benchRows)
	l := open(b, memory.New(time.Now))
	if err := l.AppendSilver(b.Context(), lake.Silver{Items: items}, next); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		n := 0
		err := l.ScanSilver(b.Context(), lake.ScanOptions{Partition: lake.AllPartitions}, func(items []drumbeat.Item) error {
			n += len(items)
			return nil
		})
		if err != nil || n != benchRows {
			b.Fatal(n, err)
		}
	}
	rate(b, before)
}

// BenchmarkScanSilverOfManyAppends scans what a live run leaves: hundreds of
// small files, each of all partitions.
func BenchmarkScanSilverOfManyAppends(b *testing.B) {
	items, _ := benchReadings(benchRows)
	l := open(b, memory.New(time.Now))
	const files = 400
	for k := range files {
		part := items[k*benchRows/files : (k+1)*benchRows/files]
		next := lake.Progress{}
		for i := range part {
			next[part[i].Position.Partition] = part[i].Position.Offset + 1
		}
		if err := l.AppendSilver(b.Context(), lake.Silver{Items: part}, next); err != nil {
			b.Fatal(err)
		}
	}
	before := spent(b)
	for b.Loop() {
		err := l.ScanSilver(b.Context(), lake.ScanOptions{Partition: lake.AllPartitions}, func([]drumbeat.Item) error { return nil })
		if err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}

func BenchmarkAppendBronze(b *testing.B) {
	items, next := benchReadings(benchRows)
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		b.StopTimer()
		l := open(b, memory.New(time.Now))
		b.StartTimer()
		if err := l.AppendBronze(b.Context(), items, nil, next); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}

func BenchmarkScanBronze(b *testing.B) {
	items, next := benchReadings(benchRows)
	l := open(b, memory.New(time.Now))
	if err := l.AppendBronze(b.Context(), items, nil, next); err != nil {
		b.Fatal(err)
	}
	before := spent(b)
	for b.Loop() {
		if _, err := l.ScanBronze(b.Context(), nil, func([]drumbeat.Item) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}

func benchGold() ([]drumbeat.Vector, []string, lake.Progress) {
	items, next := benchReadings(benchRows)
	var names []string
	for i := range 35 {
		names = append(names, fmt.Sprintf("feature_%02d", i))
	}
	return vectors(items, 35), names, next
}

func BenchmarkAppendGold(b *testing.B) {
	rows, names, next := benchGold()
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		b.StopTimer()
		g, err := open(b, memory.New(time.Now)).Gold(b.Context(), "v", "h", names)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := g.Append(b.Context(), rows, next); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}

func BenchmarkScanGold(b *testing.B) {
	rows, names, next := benchGold()
	g, err := open(b, memory.New(time.Now)).Gold(b.Context(), "v", "h", names)
	if err != nil {
		b.Fatal(err)
	}
	if err := g.Append(b.Context(), rows, next); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	before := spent(b)
	for b.Loop() {
		if err := g.Scan(b.Context(), lake.GoldScan{}, func(*lake.GoldChunk) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	rate(b, before)
}
