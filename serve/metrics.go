package serve

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the API counts.
type metrics struct {
	latency     *prometheus.HistogramVec
	predictions *prometheus.CounterVec
	dropped     *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) *metrics {
	m := &metrics{
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "drumbeat_http_request_seconds", Help: "Time to answer a request of the API.",
			Buckets: []float64{.0001, .0002, .0004, .0008, .0016, .0032, .0064, .0128, .05, .2, 1, 5, 30, 180, 900},
		}, []string{"fleet", "operation", "status"}),
		predictions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "drumbeat_http_predictions_total", Help: "Predictions answered, by fleet, purpose and alarm.",
		}, []string{"fleet", "purpose", "alarm"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "drumbeat_http_predictions_dropped_total",
			Help: "Live predictions at or below the threshold that were answered but not kept (S4).",
		}, []string{"fleet"}),
	}
	registry.MustRegister(m.latency, m.predictions, m.dropped)
	return m
}
