package main

import (
	"context"
	"errors"
	"fmt"
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

// daemon keeps a fleet running: the loops between its parts.
type daemon struct {
	*depot
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
	repairs chan drumbeat.Finding
	counters
}

func newDaemon(of *depot) *daemon {
	return &daemon{
		depot: of, scored: newMarks(), published: newMarks(), alerted: newMarks(),
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

// run keeps every loop of the fleet going until ctx ends or one of them fails.
func (d *daemon) run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.ingester.Run(ctx) })
	group.Go(func() error { return d.stream.Run(ctx) })
	group.Go(func() error { return d.followPredictions(ctx) })
	group.Go(func() error { return ingest.Predictions(ctx, d.lake, d.reader(d.predictions), lakeEvery) })
	group.Go(func() error { return d.every(ctx, lakeEvery, d.carryLake) })
	group.Go(func() error { return d.followAliases(ctx) })
	err := group.Wait()
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
