package serve_test

import (
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/model"
	"drumbeat/serve"
)

// wood makes a model of 300 stumps over every feature.
func wood(t testing.TB, v *feature.View) *model.Model {
	random := rand.New(rand.NewPCG(1, 2))
	var splits []split
	for range 300 {
		splits = append(splits, split{
			v.Features[random.IntN(len(v.Features))].Name, random.Float32() * 100, -random.Float32() / 10, random.Float32() / 10,
		})
	}
	return forest(t, v, splits...)
}

func BenchmarkScore(b *testing.B) {
	v := laundry(b)
	s := scorer(b, v, wood(b, v))
	x := vector(v, map[string]float64{"vibration_now": 48, "errors_7d": 3})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Score(x, serve.Asked{Purpose: drumbeat.PurposeLive, Why: serve.WhyAlarm}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream scores a vector of the stream, without and with a shadow.
func BenchmarkStream(b *testing.B) {
	v := laundry(b)
	m := wood(b, v)
	for name, shadows := range map[string][]*serve.Live{
		"no shadow": nil, "one shadow": {{Version: 4, View: v, Model: m}},
	} {
		b.Run(name, func(b *testing.B) {
			s := serve.NewScorer(v.Fleet)
			if err := s.Swap(serve.Models{Champion: &serve.Live{Version: 3, View: v, Model: m}, Shadows: shadows}); err != nil {
				b.Fatal(err)
			}
			x := vector(v, map[string]float64{"vibration_now": 48, "errors_7d": 3})
			var said []drumbeat.Prediction
			b.ReportAllocs()
			for b.Loop() {
				said = s.Models().Predict(v.Hash, x, said[:0])
			}
		})
	}
}

func BenchmarkExplain(b *testing.B) {
	v := laundry(b)
	s := scorer(b, v, wood(b, v))
	x := vector(v, map[string]float64{"vibration_now": 48, "errors_7d": 3})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Explain(x); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkPredict asks over HTTP on loopback, one connection, and reports
// the median and the 99th percentile.
func BenchmarkPredict(b *testing.B) {
	for name, body := range map[string]string{
		"query":     `{"machine":"W-001"}`,
		"explained": `{"machine":"W-001","explain":true}`,
		"reading":   `{"machine":"W-001","record":false,"reading":` + reading(15*time.Minute, 48) + `}`,
	} {
		b.Run(name, func(b *testing.B) {
			s := newShopAt(b, 1e6)
			s.tick()
			if err := s.scorer.Swap(serve.Models{Champion: &serve.Live{Version: 3, View: s.view, Model: wood(b, s.view)}}); err != nil {
				b.Fatal(err)
			}
			server := httptest.NewServer(s.router)
			defer server.Close()
			var took []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				start := time.Now()
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, server.URL+"/v1/predict", strings.NewReader(body))
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+s.tokens[access.Viewer])
				r.Header.Set("Content-Type", "application/json")
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					b.Fatal(resp.Status, err)
				}
				resp.Body.Close()
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
		})
	}
}
