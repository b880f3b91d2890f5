package web_test

import (
	"context"
	"errors"
	"testing"

	"drumbeat"
	"drumbeat/web"
)

// newSite opens the page of three fleets: the laundry with its loop, dryers
// that nobody has trained a model for, and ironers that cannot be read.
func newSite(t *testing.T) *house {
	t.Helper()
	f := newFloor()
	f.loop = newLoop(f.now)
	dryers := newFloor()
	dryers.alerts = nil
	for i := range dryers.machines {
		dryers.machines[i].State, dryers.machines[i].Alert = drumbeat.StateHealthy, ""
	}
	second := dryers.source()
	second.Fleet.Name, second.Fleet.Title = "dryers", "Tumble dryers"
	broken := newFloor().source()
	broken.Fleet.Name, broken.Fleet.Title = "ironers", ""
	broken.Machines = func(context.Context) ([]drumbeat.Machine, error) { return nil, errors.New("the store is away") }
	return houseOf(t, f, f.connect(f.source()), second, broken)
}

// quiet is a source of a fleet in which nothing happens.
func quiet(name drumbeat.FleetName, title string) web.Source {
	f := newFloor()
	f.alerts = nil
	for i := range f.machines {
		f.machines[i].State, f.machines[i].Alert = drumbeat.StateHealthy, ""
	}
	f.loop = newLoop(f.now)
	for i := range f.loop.health.Drift.Sensors {
		f.loop.health.Drift.Sensors[i].Flagged = false
	}
	s := f.connect(f.source())
	s.Fleet.Name, s.Fleet.Title = name, title
	return s
}
