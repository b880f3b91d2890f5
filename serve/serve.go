// Package serve answers: how likely is a failure of this machine, and why.
//
// A [Scorer] turns a fleet's vectors into predictions with the champion, and
// with the shadows beside it, for the stream and for requests alike. A [Board]
// is the state of every machine of a fleet. An [API] is the one HTTP interface
// over the fleets of a site, with their alerts and findings; other rooms'
// operations join it by [Add]. What lies in rooms beside this one (the topic,
// the alert store) comes in as functions of a [Site].
package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/fleet"
)

// Site is what an API works on, for one fleet. The functions must be safe for
// concurrent use.
type Site struct {
	Fleet  *fleet.Fleet
	Online feature.Online
	Clock  drumbeat.Clock // fleet_now (T6)
	Scorer *Scorer        // its champion says which view is read (P5)

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
	// Ready says why the fleet's requests cannot be answered yet, nil when they
	// can.
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

// API is the HTTP interface over several fleets.
type API struct {
	desks    []*desk
	opt      Options
	metrics  *metrics
	requests *access.Limiter
	// pending are operations that Mount will register; nil from then on.
	pending []func(huma.API)
	mounted bool
}

// New makes the HTTP interface of some fleets, at least one and none twice.
func New(sites []Site, opt Options) (*API, error) {
	if len(sites) == 0 {
		return nil, fmt.Errorf("make the API: no fleet is given: %w", drumbeat.ErrInvalid)
	}
	if opt.Rate == 0 {
		opt.Rate = requestRate
	}
	a := &API{
		opt: opt, metrics: newMetrics(opt.Registry),
		requests: access.NewLimiter(float64(opt.Rate), float64(opt.Rate), opt.Now),
	}
	for i := range sites {
		if a.find(sites[i].Fleet.Name) != nil {
			return nil, fmt.Errorf("make the API: fleet %s is given twice: %w", sites[i].Fleet.Name, drumbeat.ErrInvalid)
		}
		a.desks = append(a.desks, newDesk(sites[i], a))
	}
	a.addPredict()
	a.addMachines()
	a.addAlerts()
	a.addModels()
	a.addFleets()
	return a, nil
}

const (
	requestRate = 5000
	// requestTime is how long an answer may take before it is given up, if the
	// operation does not say otherwise: the slowest part, a durable write, takes
	// milliseconds.
	requestTime = 10 * time.Second
	// maxBody fits a reading of some hundred sensors, or a thousand ids.
	maxBody = 64 << 10
	// queueLength holds the quiet live predictions of a few seconds of
	// requests. Beyond it they are dropped and counted (S4).
	queueLength = 8192
	// publishBatch is how many of them are written at once.
	publishBatch = 512
)

// Mount adds the API's routes to a router, once.
func (a *API) Mount(rt *access.Router) {
	api := huma.NewAPI(a.openAPI(), adapter{rt})
	for _, register := range a.pending {
		register(api)
	}
	a.pending, a.mounted = nil, true
	a.addHealth(rt, api)
}

// Board returns the board of a fleet, nil for one that the API does not have.
func (a *API) Board(name drumbeat.FleetName) *Board {
	if d := a.find(name); d != nil {
		return d.board
	}
	return nil
}

// Run writes the quiet live predictions of every fleet until ctx ends, and
// then those that still wait.
func (a *API) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, d := range a.desks {
		all.Go(func() { d.writeQuiet(ctx) })
	}
	all.Wait()
	return nil
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
