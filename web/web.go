// Package web is the page on which technicians see their machines: which one
// is about to fail, why, and what to answer.
//
// It renders HTML on the server, follows new alerts by server-sent events, and
// loads nothing from elsewhere. What it shows comes from the functions of a
// [Source]. Its scripts are fetched and bundled by make build and embedded;
// [New] says so when they are missing.
package web

import (
	"context"
	"html/template"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// Source is where the page's content comes from. The functions must be safe
// for concurrent use.
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

// Site is the page.
type Site struct {
	source  Source
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

// New makes the page. It fails if this program was built without the page's
// scripts.
func New(source Source, opt Options) (*Site, error) {
	if opt.Beat == 0 {
		opt.Beat = 3 * time.Second
	}
	files, err := loadAssets()
	if err != nil {
		return nil, err
	}
	s := &Site{source: source, opt: opt, assets: files, streams: make(chan struct{}, maxStreams), stopped: make(chan struct{})}
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
	type handler = func(w http.ResponseWriter, r *http.Request) error
	for _, route := range []struct {
		pattern string
		least   access.Role
		handle  handler
	}{
		{"GET /{$}", access.Viewer, s.fleetPage},
		{"GET /machines/{id}", access.Viewer, s.machinePage},
		{"GET /machines/{id}/history", access.Viewer, s.history},
		{"POST /machines/{id}/finding", access.Technician, s.report},
		{"GET /alerts", access.Viewer, s.alertsPage},
		{"GET /alerts/{id}", access.Viewer, s.alertPage},
		{"POST /alerts/{id}/finding", access.Technician, s.answer},
		{"GET /events", access.Viewer, s.events},
		{"GET " + access.SignInPath, access.Anyone, s.signInPage},
		{"POST " + access.SignInPath, access.Anyone, s.signIn},
		{"POST /sign-out", access.Anyone, s.signOut},
		{"GET /assets/{path...}", access.Anyone, s.assets.serve},
	} {
		rt.Handle(route.pattern, route.least, s.handler(route.handle))
	}
}
