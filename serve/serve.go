// Package serve answers: how likely is a failure of this machine, and why.
//
// A [Scorer] turns vectors into predictions with the champion, for the stream
// and for requests alike. A [Board] is the state of every machine. An [API] is
// the HTTP interface over both, with the alerts and the findings. What lies in
// rooms beside this one (the topic, the alert store) comes in as functions of
// a [Site].
package serve

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/fleet"
)

// Site is what an API works on. The functions must be safe for concurrent
// use.
type Site struct {
	Fleet  *fleet.Fleet
	View   *feature.View
	Online feature.Online
	Clock  drumbeat.Clock // fleet_now (T6)
	Scorer *Scorer

	// Machines lists every known machine with its static attributes in the
	// fleet's order, sorted by id.
	Machines func() []Known
	// Conditions returns what the alert store knows of machines. Those
	// without an open alert that are not down may be absent.
	Conditions func(ctx context.Context) (map[drumbeat.MachineID]Condition, error)

	// Record writes a reading, in the topic's wire format, under the
	// machine's key and returns where it stands once it is durable.
	Record func(ctx context.Context, m drumbeat.MachineID, payload []byte, arrival drumbeat.Time) (drumbeat.Position, error)
	// Publish writes live predictions for the alert store and returns once
	// they are durable.
	Publish func(ctx context.Context, predictions []drumbeat.Prediction) error

	// Alerts lists alerts, newest first.
	Alerts func(ctx context.Context, filter AlertFilter) ([]drumbeat.Alert, error)
	// Alert returns one alert, or drumbeat.ErrNotFound.
	Alert func(ctx context.Context, id string) (drumbeat.Alert, error)
	// Answer stores a finding and closes the alert that it names. It sets the
	// finding's id and its times. drumbeat.ErrConflict: the alert is closed.
	Answer func(ctx context.Context, f drumbeat.Finding) (drumbeat.Finding, error)
	// Manifest returns a version's manifest as JSON, nil if it has none.
	Manifest func(ctx context.Context, version drumbeat.ModelVersion) ([]byte, error)
	// Ready says why the site cannot answer yet, nil when it can.
	Ready func(ctx context.Context) error
}

// Known is a machine that exists, with its attributes in the fleet's order.
type Known struct {
	ID     drumbeat.MachineID
	Static []string
}

// Condition is what the alert store knows of a machine.
type Condition struct {
	Alert string // the open alert's id, "" without one
	Down  bool   // failed and not repaired (L2)
}

// AlertFilter picks alerts. The zero filter is every open alert.
type AlertFilter struct {
	Machine drumbeat.MachineID // "" is all
	Closed  bool               // the closed ones too
	Limit   int                // 1 to MaxAlerts
}

// MaxAlerts is how many alerts are listed at once.
const MaxAlerts = 1000

// Options are what an API takes from its caller beside the site.
type Options struct {
	Version string // of this program
	Log     *slog.Logger
	// Now is the wall clock: latencies, rate limits, and arrival times under
	// clock: wall.
	Now      func() time.Time
	Registry *prometheus.Registry
	Access   *access.Access
	// Rate is how many requests a second one person's token or session may
	// send: 5,000 if it is 0, more than any gateway needs, less than would
	// starve the others.
	Rate int
}

// API is the HTTP interface.
type API struct {
	site     Site
	board    *Board
	opt      Options
	metrics  *metrics
	requests *access.Limiter
	queue    chan drumbeat.Prediction
	cleaner  *cleaner
	advancer *advancer
}

// New makes the HTTP interface of a site.
func New(site Site, board *Board, opt Options) *API {
	if opt.Rate == 0 {
		opt.Rate = requestRate
	}
	return &API{
		site: site, board: board, opt: opt,
		metrics:  newMetrics(opt.Registry),
		requests: access.NewLimiter(float64(opt.Rate), float64(opt.Rate), opt.Now),
		queue:    make(chan drumbeat.Prediction, queueLength),
		cleaner:  newCleaner(site.Fleet),
		advancer: newAdvancer(site.View),
	}
}

const (
	requestRate = 5000
	// requestTime is how long an answer may take before it is given up: the
	// slowest part, a durable write, takes milliseconds.
	requestTime = 10 * time.Second
	// maxBody fits a reading of some hundred sensors, or a thousand ids.
	maxBody = 64 << 10
	// queueLength holds the quiet live predictions of a few seconds of
	// requests. Beyond it they are dropped and counted (S4).
	queueLength = 8192
	// publishBatch is how many of them are written at once.
	publishBatch = 512
)

// Mount adds the API's routes to a router.
func (a *API) Mount(rt *access.Router) {
	api := huma.NewAPI(a.openAPI(), adapter{rt})
	a.addPredict(api)
	a.addMachines(api)
	a.addAlerts(api)
	a.addModels(api)
	a.addHealth(rt, api)
}

// Run writes the quiet live predictions until ctx ends, and then those that
// still wait.
func (a *API) Run(ctx context.Context) error {
	batch := make([]drumbeat.Prediction, 0, publishBatch)
	for {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			return a.drain(ctx)
		case p := <-a.queue:
			batch = append(batch, p)
		}
		a.publish(ctx, a.fill(batch))
	}
}

// fill adds to batch what waits, without waiting for more.
func (a *API) fill(batch []drumbeat.Prediction) []drumbeat.Prediction {
	for len(batch) < publishBatch {
		select {
		case p := <-a.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// drain writes what waits at the end, within a time limit of its own.
func (a *API) drain(ctx context.Context) error {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	for {
		batch := a.fill(nil)
		if len(batch) == 0 {
			return nil
		}
		a.publish(last, batch)
	}
}

// publish writes quiet predictions; they may be lost, and are counted.
func (a *API) publish(ctx context.Context, batch []drumbeat.Prediction) {
	if err := a.site.Publish(ctx, batch); err != nil {
		a.metrics.dropped.Add(float64(len(batch)))
		a.opt.Log.WarnContext(ctx, "quiet predictions lost", "count", len(batch), "error", err)
	}
}

// Server makes an HTTP server for a handler, with the limits that keep a slow
// or greedy client from holding it up.
func Server(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// No WriteTimeout: server-sent events last. Routes bound themselves.
	}
}
