package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"drumbeat"
	"drumbeat/sim"
	"drumbeat/topic"
)

// playBatch is how many records one write takes: enough to fill the broker's
// batches, few enough to be in memory twice.
const playBatch = 8192

// player plays a simulator into the topic of a running fleet.
type player struct {
	daemon *daemon
	sim    *sim.Sim
	cancel context.CancelFunc
	done   chan error
	// outbox
	records []topic.Record
	arena   []byte
}

// startPlayer sets the host's loops going, and plays into one of its fleets.
func startPlayer(ctx context.Context, h *host, d *daemon, s *sim.Sim) *player {
	running, cancel := context.WithCancel(ctx)
	p := &player{daemon: d, sim: s, cancel: cancel, done: make(chan error, 1)}
	go func() { p.done <- h.run(running) }()
	return p
}

// stop ends the daemon and waits until everything is in place.
func (p *player) stop() error {
	p.cancel()
	return <-p.done
}

// playTo writes everything that arrives until then into the topic.
func (p *player) playTo(ctx context.Context, until drumbeat.Time) error {
	if err := p.sim.Play(until, func(r topic.Record) error { return p.emit(ctx, r) }); err != nil {
		return fmt.Errorf("play to %s: %w", until, err)
	}
	return p.flush(ctx)
}

// emit takes a record, whose parts are the player's only until it returns.
func (p *player) emit(ctx context.Context, r topic.Record) error {
	start := len(p.arena)
	p.arena = append(p.arena, r.Value...)
	r.Value = p.arena[start:len(p.arena):len(p.arena)]
	if len(r.Headers) > 0 {
		r.Headers = maps.Clone(r.Headers)
	}
	p.records = append(p.records, r)
	if len(p.records) < playBatch {
		return nil
	}
	return p.flush(ctx)
}

func (p *player) flush(ctx context.Context) error {
	if len(p.records) == 0 {
		return nil
	}
	if err := p.daemon.writer.Write(ctx, p.records); err != nil {
		return fmt.Errorf("write %d records: %w", len(p.records), err)
	}
	p.records = p.records[:0]
	p.arena = make([]byte, 0, cap(p.arena))
	return nil
}

// settle waits until the stream has scored, and the alert store has taken in,
// everything that was played.
func (p *player) settle(ctx context.Context) error {
	ends, err := topic.Ends(ctx, p.daemon.kafka, p.daemon.telemetry.Name)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case err := <-p.done:
			p.done <- err
			cancel(errors.Join(errDaemonEnded, err))
		case <-ctx.Done():
		}
	}()
	for _, step := range []func() error{
		func() error { return p.daemon.scored.wait(ctx, ends) },
		func() error { return p.daemon.alerted.wait(ctx, p.daemon.published.now()) },
	} {
		if err := step(); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
	return nil
}

var errDaemonEnded = errors.New("the loops ended")

// follow plays on at so many fleet hours a second until ctx ends.
func (p *player) follow(ctx context.Context, speed float64) error {
	const tick = 250 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.stop()
		case err := <-p.done:
			p.done <- nil
			if ctx.Err() != nil {
				return err // the loops were asked to end too, and were first
			}
			return errors.Join(errDaemonEnded, err)
		case r := <-p.daemon.repairs:
			if err := p.sim.Repair(r.Machine, max(r.WhenFleet, p.sim.Now()), r.Who); err != nil {
				return errors.Join(err, p.stop())
			}
		case <-ticker.C:
			step := time.Duration(speed * float64(time.Hour) * tick.Seconds())
			if err := p.playTo(ctx, p.sim.Now().Add(step)); err != nil {
				if ctx.Err() != nil {
					return p.stop()
				}
				return errors.Join(err, p.stop())
			}
		}
	}
}
