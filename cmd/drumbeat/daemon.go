package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/monitor"
	"drumbeat/refine"
	"drumbeat/registry"
	"drumbeat/serve"
	"drumbeat/topic"
)

// The rhythm of a running site.
const (
	// lakeEvery is how often the lake's tables are carried on. Less often
	// makes larger files, more often fresher tables; what is served does not
	// wait for it.
	lakeEvery = 5 * time.Second
	// maintainEvery is how often the lake is asked whether anything is due: a
	// commit every lakeEvery makes a dozen small files in that time.
	maintainEvery = time.Minute
	// shutdownTime bounds how long open requests may take to end.
	shutdownTime = 5 * time.Second
)

// daemon keeps a fleet running: the loops between its parts.
type daemon struct {
	*depot
	ingester *ingest.Ingester
	refiner  *refine.Refiner
	stream   *materialize.Stream
	scorer   *serve.Scorer
	txn      *topic.TxnWriter
	writer   *topic.KafkaWriter
	carrying sync.Mutex // one at a time carries the lake on
	swapping sync.Mutex // one at a time puts models in service
	opening  sync.Mutex // one at a time opens what stages need
	idleNow  drumbeat.Time
	running  atomic.Bool   // its loops go
	days     *monitor.Days // of monitoring, as of counted
	counted  lake.Progress
	// backfills are the gold tables that are carried on: of the fleet's own
	// view and of those that live models read (P5).
	backfills map[drumbeat.Hash]*materialize.Backfill
	views     sync.Map // *feature.View by hash: those that models brought
	standing  atomic.Pointer[map[drumbeat.Role]registry.Alias]
	trouble   atomic.Pointer[string] // why the champion does not serve, nil if it does

	// How far the loops have come.
	scored    *marks // of the telemetry topic
	published *marks // of the predictions topic
	alerted   *marks // of the predictions topic
	foretold  *marks // the predictions in the predictions topic
	// copyEvery is how often predictions are copied to their table.
	copyEvery time.Duration
	// repairs are findings "repaired", for a simulator to act on.
	repairs chan drumbeat.Finding
	counters
}

func newDaemon(of *depot) *daemon {
	return &daemon{
		depot: of, idleNow: drumbeat.NoTime, scored: newMarks(), published: newMarks(), alerted: newMarks(), foretold: newMarks(), copyEvery: lakeEvery,
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
	for _, b := range d.backfills {
		if _, err := b.Run(ctx); err != nil {
			return fmt.Errorf("materialize: %w", err)
		}
	}
	return d.carryFindings(ctx)
}

// run keeps every loop of the fleet going until ctx ends or one of them fails.
func (d *daemon) run(ctx context.Context) error {
	d.running.Store(true)
	asked := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return d.ingester.Run(ctx) })
	group.Go(func() error { return d.stream.Run(ctx) })
	group.Go(func() error { return d.followPredictions(ctx) })
	group.Go(func() error {
		return ingest.Predictions(ctx, d.lake, d.predictions.Epoch, d.reader(d.predictions), d.copyEvery)
	})
	group.Go(func() error { return d.every(ctx, lakeEvery, d.carryLake) })
	group.Go(func() error { return d.every(ctx, maintainEvery, d.maintain) })
	group.Go(func() error { return d.followAliases(ctx) })
	err := group.Wait()
	if asked.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil // it was asked to end: only what fails after that is told
	}
	// What the loops left in bronze and beyond is carried on in order.
	return errors.Join(err, d.carryLake(context.WithoutCancel(ctx)))
}

// maintain compacts tables, deletes files that nobody reads any more, and lets
// go of what the fleet file says is old enough. What fails is told and tried
// again: the lake is right all the same.
func (d *daemon) maintain(ctx context.Context) error {
	opt := lake.MaintainOptions{FleetNow: d.now()}
	for _, v := range d.stream.Views() {
		opt.LiveHashes = append(opt.LiveHashes, v.Hash)
		opt.Need = max(opt.Need, v.LongestWindow(), v.MinHistory)
	}
	done, err := d.lake.Maintain(ctx, opt)
	if err != nil {
		d.log.ErrorContext(ctx, "lake not maintained, trying again", "fleet", d.def.Name, "error", err)
		return nil
	}
	if done.Compacted+done.Deleted+len(done.Dropped) > 0 || len(done.Notes) > 0 {
		d.log.InfoContext(ctx, "lake maintained", "fleet", d.def.Name, "done", done)
	}
	return nil
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
