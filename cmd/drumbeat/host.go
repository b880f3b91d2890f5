package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/serve"
)

// host keeps a site running: every fleet's daemon, and one listener for the
// page and the API of them all.
type host struct {
	*site
	daemons  []*daemon
	api      *serve.API
	listener net.Listener
	server   *http.Server
}

// newHost makes the daemons of a site's fleets; nothing runs yet.
func newHost(s *site) *host {
	h := &host{site: s}
	for _, depot := range s.depots {
		h.daemons = append(h.daemons, newDaemon(depot))
	}
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
	err := group.Wait()
	if asked.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was asked to end
	}
	return err
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
