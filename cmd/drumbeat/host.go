package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/pipeline"
	"drumbeat/serve"
)

// host keeps a site running: every fleet's daemon, and one listener for the
// page and the API of them all.
type host struct {
	*site
	daemons  []*daemon
	runner   *pipeline.Runner
	graphs   map[string]*pipeline.Graph
	api      *serve.API
	listener net.Listener
	server   *http.Server
	routes   []access.Route // of the listener
	// unattended says that the caller looks after the models itself.
	unattended bool
	// told is told how far runs are, nil to tell nobody.
	told func(pipeline.Event)
	work chan func(context.Context) error // for the background
}

// maxWaiting is how many pieces of background work may wait: each is a
// retraining that a person asked for.
const maxWaiting = 16

// newHost makes the daemons of a site's fleets; nothing runs yet.
func newHost(s *site) *host {
	h := &host{site: s, work: make(chan func(context.Context) error, maxWaiting)}
	for _, depot := range s.depots {
		h.daemons = append(h.daemons, newDaemon(depot))
	}
	h.runner = pipeline.New(s.runs, pipeline.Options{Log: s.log, Now: wallNow, FleetNow: func(name drumbeat.FleetName) drumbeat.Time {
		if d, err := h.daemon(name); err == nil {
			return d.now()
		}
		return drumbeat.NoTime
	}, Progress: func(e pipeline.Event) {
		if h.told != nil {
			h.told(e)
		}
	}})
	h.makeGraphs()
	return h
}

// daemon returns the daemon of the named fleet; no name is the only fleet.
func (h *host) daemon(name drumbeat.FleetName) (*daemon, error) {
	depot, err := h.depot(name)
	if err != nil {
		return nil, err
	}
	for _, d := range h.daemons {
		if d.depot == depot {
			return d, nil
		}
	}
	return nil, fmt.Errorf("fleet %s came after the start: start again: %w", depot.def.Name, drumbeat.ErrConflict)
}

// open opens what every fleet needs to run, and the listener.
func (h *host) open(ctx context.Context, address string) error {
	if len(h.daemons) == 0 {
		_, err := h.depot("") // which says what to do
		return err
	}
	for _, d := range h.daemons {
		if err := d.open(ctx); err != nil {
			return fmt.Errorf("start fleet %s: %w", d.def.Name, err)
		}
	}
	return h.openServing(ctx, address)
}

// run keeps everything going until ctx ends or a part of it fails.
func (h *host) run(ctx context.Context) error {
	asked := ctx
	group, ctx := errgroup.WithContext(ctx)
	for _, d := range h.daemons {
		group.Go(func() error { return d.run(ctx) })
	}
	group.Go(func() error { return h.api.Run(ctx) })
	group.Go(func() error { return h.serveHTTP(ctx) })
	group.Go(func() error { return h.keepTold(ctx) })
	group.Go(func() error { return h.workOn(ctx) })
	if h.file.mqtt != nil {
		group.Go(func() error { return h.followMQTT(ctx) })
	}
	if !h.unattended {
		group.Go(func() error { return h.attendAll(ctx) })
	}
	err := group.Wait()
	if asked.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was asked to end
	}
	return err
}

// background does work that nobody waits for, one piece after the other.
func (h *host) background(work func(context.Context) error) error {
	select {
	case h.work <- work:
		return nil
	default:
		return fmt.Errorf("%d pieces of work wait already: %w", maxWaiting, drumbeat.ErrLimit)
	}
}

func (h *host) workOn(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case work := <-h.work:
			if err := work(ctx); err != nil && ctx.Err() == nil {
				h.log.ErrorContext(ctx, "background work ended badly", "error", err)
			}
		}
	}
}

// serveHTTP answers requests until ctx ends.
func (h *host) serveHTTP(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- h.server.Serve(h.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", h.listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := h.server.Shutdown(stopping); err != nil {
		return errors.Join(h.server.Close()) // a page that listens for events never ends by itself
	}
	return nil
}

// listen opens the address on which the page and the API answer.
func (h *host) listen(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another with --listen", address, err)
	}
	h.listener = listener
	return nil
}
