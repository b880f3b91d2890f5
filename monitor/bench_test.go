package monitor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/monitor"
)

// season is 100 machines for 118 days with a reading every 15 minutes, each
// scored by a champion and by a challenger: what a daily report reads.
func laundrySeason() *season {
	w := newSeason(118 * 24)
	w.fleet.Label.Horizon, w.fleet.Cadence = 7*day, 15*time.Minute
	for step := range 118 * 96 {
		hour := float64(step) / 4
		for m := range 100 {
			machine := drumbeat.MachineID(fmt.Sprint("W-", m))
			if (step+m*77)%4000 == 0 {
				w.fail(machine, hour)
			}
			risk := float64((step/96+m*31)%50) / 60
			c := *w.predict(machine, hour, risk)
			c.Model, c.Role = 3, drumbeat.RoleChallenger
			w.predictions = append(w.predictions, c)
		}
	}
	return w
}

// BenchmarkMonitor says what the measures of a season cost, its reading aside.
func BenchmarkMonitor(b *testing.B) {
	w := laundrySeason()
	truth := w.truth()
	scan := func(_ context.Context, from, until drumbeat.Time, fn func([]drumbeat.Prediction) error) error {
		first, last := 0, len(w.predictions)
		for first < last && from != drumbeat.NoTime && w.predictions[first].AsOf < from {
			first++
		}
		for first < last && until != drumbeat.NoTime && w.predictions[last-1].AsOf >= until {
			last--
		}
		return fn(w.predictions[first:last])
	}
	b.Run("live", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := monitor.Live(b.Context(), monitor.LiveInput{Fleet: w.fleet, Truth: truth, Scores: scan, Champion: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(r.Rows), "rows")
		}
	})
	b.Run("shadow", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			r, err := monitor.Shadow(b.Context(), monitor.ShadowInput{
				Fleet: w.fleet, Truth: truth, Scores: scan, Champion: 1, Challenger: 3, Since: drumbeat.NoTime,
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(r.Rows.Compared), "rows")
		}
	})
}
