package sim_test

import (
	"testing"

	"drumbeat"
	"drumbeat/sim"
	"drumbeat/topic"
)

// BenchmarkPlay plays thirty days of a hundred machines.
func BenchmarkPlay(b *testing.B) {
	cfg := laundry(b, 1, 100)
	items := int64(0)
	for b.Loop() {
		s, err := sim.New(cfg)
		if err != nil {
			b.Fatal(err)
		}
		var bytes int
		if err := s.Play(cfg.Start.Add(30*day), func(r topic.Record) error {
			bytes += len(r.Value)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		items += s.Counts().Readings[drumbeat.FateKept]
	}
	b.ReportMetric(float64(items)/b.Elapsed().Seconds(), "readings/s")
}
