package embedded_test

import (
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
)

// BenchmarkProduce writes readings of a hundred machines, and reads them back.
func BenchmarkProduce(b *testing.B) {
	ctx := b.Context()
	broker, err := embedded.Start(ctx, b.TempDir(), "", slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	epochs := topic.NewEpochs(nil)
	made, err := topic.Ensure(ctx, broker.Config(), topic.Spec{Name: "laundry", Partitions: 4, CreateTime: true}, epochs)
	if err != nil {
		b.Fatal(err)
	}
	writer, err := topic.NewWriter(ctx, broker.Config())
	if err != nil {
		b.Fatal(err)
	}
	defer writer.Close()
	const chunk = 10_000
	for b.Loop() {
		const n = 900_000
		records := make([]topic.Record, 0, chunk)
		wait := func() error { return nil }
		start := time.Now()
		arena := make([]byte, 0, chunk*300)
		for i := range n {
			from := len(arena)
			t := drumbeat.Time(int64(i/100) * 900_000_000)
			arena = fmt.Appendf(arena, `{"machine_id":"W-%03d","timestamp":"%s","temperature_c":%.2f,"vibration_hz":%.3f,"pressure_bar":%.3f,"power_kw":%.3f,"runtime_hours":%.2f,"error_code_count":0}`,
				i%100, t, float64(i*7919%9000)/100, float64(i*104729%99999)/1000, float64(i*31%9999)/1000, float64(i*17%9999)/1000, float64(i)/100)
			records = append(records, topic.Record{
				Topic: made.Name, Key: fmt.Sprintf("W-%03d", i%100), Time: t, Value: arena[from:],
				Headers: map[string]string{"seq": strconv.Itoa(i)},
			})
			if len(records) == chunk {
				if err := wait(); err != nil {
					b.Fatal(err)
				}
				wait = writer.Send(ctx, records)
				records = make([]topic.Record, 0, chunk)
				arena = make([]byte, 0, chunk*300)
			}
		}
		if err := wait(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(n/time.Since(start).Seconds(), "written/s")
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
		start = time.Now()
		reader, err := topic.NewReader(ctx, broker.Config(), topic.From{Topic: made, Offsets: made.Start()})
		if err != nil {
			b.Fatal(err)
		}
		got := 0
		for got < n {
			rs, err := reader.Poll(ctx)
			if err != nil {
				b.Fatal(err)
			}
			got += len(rs)
		}
		b.ReportMetric(n/time.Since(start).Seconds(), "read/s")
		reader.Close()
	}
}
