package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/ingest"
	"drumbeat/materialize"
	"drumbeat/refine"
	"drumbeat/serve"
	"drumbeat/topic"
)

// The rhythm of a running site.
const (
	// lakeEvery is how often the lake's tables are carried on. Less often
	// makes larger files, more often fresher tables; what is served does not
	// wait for it.
	lakeEvery = 5 * time.Second
	// shutdownTime bounds how long open requests may take to end.
	shutdownTime = 5 * time.Second
)

// daemon keeps a site running: the loops between its parts, and the listener.
type daemon struct {
	*site
	ingester *ingest.Ingester
	refiner  *refine.Refiner
	backfill *materialize.Backfill
	stream   *materialize.Stream
	scorer   *serve.Scorer
	txn      *topic.TxnWriter
	writer   *topic.KafkaWriter
	carrying sync.Mutex // one at a time carries the lake on
	usual    *serve.Usual

	// How far the loops have come.
	scored    *marks // of the telemetry topic
	published *marks // of the predictions topic
	alerted   *marks // of the predictions topic
	// repairs are findings "repaired", for a simulator to act on.
	repairs  chan drumbeat.Finding
	api      *serve.API
	listener net.Listener
	server   *http.Server
	counters
}

func newDaemon(s *site) *daemon {
	return &daemon{
		site: s, scored: newMarks(), published: newMarks(), alerted: newMarks(),
		repairs: make(chan drumbeat.Finding, 64), // a morning's findings; beyond it the answer waits
	}
}

// carryLake brings silver, gold and the ground truth up to what bronze and the
// alert store hold.
func (d *daemon) carryLake(ctx context.Context) error {
	d.carrying.Lock()
	defer d.carrying.Unlock()
	if _, err := d.refiner.Run(ctx); err != nil {
		return fmt.Errorf("refine: %w", err)
	}
	if _, err := d.backfill.Run(ctx); err != nil {
		return fmt.Errorf("materialize: %w", err)
	}
	return d.carryFindings(ctx)
}

// run keeps every loop going until ctx ends or one of them fails.
func (d *daemon) run(ctx context.Context) error {
	asked := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.ingester.Run(ctx) })
	group.Go(func() error { return d.stream.Run(ctx) })
	group.Go(func() error { return d.followPredictions(ctx) })
	group.Go(func() error { return ingest.Predictions(ctx, d.lake, d.reader(d.predictions), lakeEvery) })
	group.Go(func() error { return d.every(ctx, lakeEvery, d.carryLake) })
	group.Go(func() error { return d.followChampion(ctx) })
	group.Go(func() error { return d.api.Run(ctx) })
	group.Go(func() error { return d.serveHTTP(ctx) })
	err := group.Wait()
	if asked.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // it was asked to end
	}
	// What the loops left in bronze and beyond is carried on in order.
	return errors.Join(err, d.carryLake(context.WithoutCancel(ctx)))
}

// every calls do at intervals until ctx ends.
func (d *daemon) every(ctx context.Context, interval time.Duration, do func(context.Context) error) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := do(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
	}
}

// serveHTTP answers requests until ctx ends.
func (d *daemon) serveHTTP(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- d.server.Serve(d.listener) }()
	select {
	case err := <-done:
		return fmt.Errorf("serve %s: %w", d.listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := d.server.Shutdown(stopping); err != nil {
		return errors.Join(d.server.Close()) // a page that listens for events never ends by itself
	}
	return nil
}

// listen opens the address on which the page and the API answer.
func (d *daemon) listen(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; choose another with --listen", address, err)
	}
	d.listener = listener
	return nil
}
