// Package web is the page on which technicians see their machines: which one
// is about to fail, why, and what to answer; and on which engineers see the
// models behind it: how good they are, whether they still fit, and what serves
// next.
//
// It renders HTML on the server, follows new alerts by server-sent events, and
// loads nothing from elsewhere. What it shows of a fleet comes from the
// functions of a [Source]; the pages of a fleet live under /fleets/{fleet}/.
// Its scripts are fetched and bundled by make build and embedded; [New] says
// so when they are missing.
package web

import (
	"cmp"
	"context"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// Source is where the content of one fleet's pages comes from. The functions
// must be safe for concurrent use. Those from Models on may be nil: then their
// pages are empty and their actions are not offered.
type Source struct {
	Fleet Fleet
	// Now is the fleet's clock (T6); drumbeat.NoTime before the first item.
	Now func() drumbeat.Time
	// Machines returns every machine, in any order; the page does not change
	// the list.
	Machines func(ctx context.Context) ([]drumbeat.Machine, error)
	// Machine returns one machine with the reasons of its prediction, or
	// drumbeat.ErrNotFound.
	Machine func(ctx context.Context, id drumbeat.MachineID) (drumbeat.Machine, error)
	// Alerts lists alerts, newest first.
	Alerts func(ctx context.Context, filter AlertFilter) ([]drumbeat.Alert, error)
	// Alert returns one alert, or drumbeat.ErrNotFound.
	Alert func(ctx context.Context, id string) (drumbeat.Alert, error)
	// Finding returns a finding by id, or drumbeat.ErrNotFound.
	Finding func(ctx context.Context, id string) (drumbeat.Finding, error)
	// History returns what a sensor measured, in order of time.
	History func(ctx context.Context, q HistoryQuery) (History, error)
	// Answer stores a finding and closes the alert that it names. It sets the
	// finding's id and times. drumbeat.ErrConflict: somebody was first.
	Answer func(ctx context.Context, f drumbeat.Finding) (drumbeat.Finding, error)
	// Subscribe sends each change of an alert that comes after the event
	// numbered after, until ctx ends; then it closes the channel. After -1
	// only what is new is sent. A subscriber that falls behind may be closed
	// early; it subscribes again from the last event that it saw.
	Subscribe func(ctx context.Context, after int64) (<-chan Event, error)

	// Models returns the fleet's model versions and what became of them. The
	// overview and the page of models ask for it at each view.
	Models func(ctx context.Context) (Models, error)
	// Report returns how good a version was when it was trained, or
	// drumbeat.ErrNotFound.
	Report func(ctx context.Context, version drumbeat.ModelVersion) (Report, error)
	// Health returns the newest drift report and the live measures. The
	// overview asks for it too.
	Health func(ctx context.Context) (Health, error)
	// Quality returns what became of what arrived, by day.
	Quality func(ctx context.Context) (Quality, error)

	// Promote makes a version the champion. A version that the gate did not
	// pass needs an override, the engineer's reason; "" without one. Who asks
	// is access.PersonOf(ctx), here and below. drumbeat.ErrConflict: somebody
	// was first.
	Promote func(ctx context.Context, version drumbeat.ModelVersion, override string) error
	// Rollback makes Models.Previous the champion again.
	Rollback func(ctx context.Context, why string) error
	// Retrain starts a retraining, or finds the one that runs already, and
	// returns its id.
	Retrain func(ctx context.Context, why string) (runID string, err error)
}

// Fleet is what the page says about the fleet as a whole.
type Fleet struct {
	Name      drumbeat.FleetName
	Title     string
	Horizon   time.Duration
	Threshold float64
	Cadence   time.Duration
	Sensors   []Sensor
	Static    []string // titles of the attributes, in the fleet's order
	// SensorOf names the sensor that a feature is made of, where there is one.
	SensorOf map[string]string
}

// Sensor is one sensor that can be shown as a chart.
type Sensor struct {
	Name, Title, Unit string
	Decimals          int
}

// AlertFilter picks alerts. The zero filter is every open alert.
type AlertFilter struct {
	Machine drumbeat.MachineID // "" is all
	Closed  bool               // the closed ones too
	Limit   int
}

// HistoryQuery asks for a sensor's readings with From < event_time <= To.
type HistoryQuery struct {
	Machine  drumbeat.MachineID
	Sensor   string
	From, To drumbeat.Time
}

// History is what a sensor measured; NaN is missing.
type History struct {
	Times  []drumbeat.Time
	Values []float64
}

// Change says what happened to an alert.
type Change string

// The changes of an alert.
const (
	Opened  Change = "opened"
	Updated Change = "updated" // shown with the next beat
	Closed  Change = "closed"
)

// Event is a change of an alert.
type Event struct {
	ID     int64 // rises
	Change Change
	Alert  drumbeat.Alert
}

// Options are what the page takes from its caller.
type Options struct {
	Log    *slog.Logger
	Access *access.Access
	Now    func() time.Time // the wall clock
	// Beat is how often followers hear that the server lives; the page then
	// shows newer figures. 3 s if it is 0.
	Beat time.Duration
}

// Site is the page of all fleets.
type Site struct {
	boards  []*board // by title
	opt     Options
	pages   map[string]*template.Template
	assets  *assets
	streams chan struct{} // one place a follower
	stopped chan struct{}
	stop    sync.Once
}

// maxStreams is how many pages may follow at once; each costs a goroutine and
// a connection.
const maxStreams = 512

// New makes the page of one or more fleets. It fails if two have one name, and
// if this program was built without the page's scripts.
func New(sources []Source, opt Options) (*Site, error) {
	if opt.Beat == 0 {
		opt.Beat = 3 * time.Second
	}
	files, err := loadAssets()
	if err != nil {
		return nil, err
	}
	s := &Site{opt: opt, assets: files, streams: make(chan struct{}, maxStreams), stopped: make(chan struct{})}
	if len(sources) == 0 {
		return nil, fmt.Errorf("make the page: there is no fleet: %w", drumbeat.ErrInvalid)
	}
	for _, source := range sources {
		if s.board(source.Fleet.Name) != nil {
			return nil, fmt.Errorf("make the page: two fleets are named %s: %w", source.Fleet.Name, drumbeat.ErrInvalid)
		}
		s.boards = append(s.boards, &board{Site: s, source: source, base: fleetPath(source.Fleet.Name)})
	}
	slices.SortFunc(s.boards, func(x, y *board) int {
		return cmp.Compare(strings.ToLower(x.title()), strings.ToLower(y.title()))
	})
	if s.pages, err = s.loadPages(); err != nil {
		return nil, err
	}
	return s, nil
}

// Stop ends the streams of events, which would hold up a server that shuts
// down; give it to http.Server.RegisterOnShutdown.
func (s *Site) Stop() { s.stop.Do(func() { close(s.stopped) }) }

// Mount adds the page's routes to a router.
func (s *Site) Mount(rt *access.Router) {
	for _, route := range []struct {
		pattern string
		least   access.Role
		handle  func(w http.ResponseWriter, r *http.Request) error
	}{
		{"GET /{$}", access.Viewer, s.overviewPage},
		{"GET /fleets/{path...}", access.Viewer, s.notFound},
		{"GET " + access.SignInPath, access.Anyone, s.signInPage},
		{"POST " + access.SignInPath, access.Anyone, s.signIn},
		{"POST /sign-out", access.Anyone, s.signOut},
		{"GET /assets/{path...}", access.Anyone, s.assets.serve},
	} {
		rt.Handle(route.pattern, route.least, s.handler(route.handle))
	}
	for _, route := range []struct {
		method, path string // below /fleets/{fleet}
		least        access.Role
		handle       func(b *board, w http.ResponseWriter, r *http.Request) error
	}{
		{"GET", "/{$}", access.Viewer, (*board).fleetPage},
		{"GET", "/machines/{id}", access.Viewer, (*board).machinePage},
		{"GET", "/machines/{id}/history", access.Viewer, (*board).history},
		{"POST", "/machines/{id}/finding", access.Technician, (*board).report},
		{"GET", "/alerts", access.Viewer, (*board).alertsPage},
		{"GET", "/alerts/{id}", access.Viewer, (*board).alertPage},
		{"POST", "/alerts/{id}/finding", access.Technician, (*board).answer},
		{"GET", "/events", access.Viewer, (*board).events},
		{"GET", "/health", access.Viewer, (*board).healthPage},
		{"GET", "/quality", access.Viewer, (*board).qualityPage},
		{"GET", "/models", access.Viewer, (*board).modelsPage},
		{"GET", "/models/{version}", access.Viewer, (*board).versionPage},
		{"GET", "/models/{version}/promote", access.Engineer, (*board).promotePage},
		{"POST", "/models/{version}/promote", access.Engineer, (*board).promote},
		{"GET", "/models/rollback", access.Engineer, (*board).rollbackPage},
		{"POST", "/models/rollback", access.Engineer, (*board).rollback},
		{"GET", "/models/retrain", access.Engineer, (*board).retrainPage},
		{"POST", "/models/retrain", access.Engineer, (*board).retrain},
	} {
		rt.Handle(route.method+" /fleets/{fleet}"+route.path, route.least, s.boardHandler(route.handle))
	}
}
