package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"drumbeat/serve"
)

// linkLife is how long a printed sign-in link waits to be followed.
const linkLife = time.Hour

// runCommand keeps a data folder's fleet running.
type runCommand struct {
	Data   string `required:"" help:"Data folder that import or quickstart made; with --fleet it is made." type:"path"`
	Fleet  string `help:"Fleet folder, or name of a ready fleet, to add to the data folder first."`
	Listen string `default:"127.0.0.1:8080" help:"Address of the page and the API."`
}

// Run opens everything and runs until it is interrupted.
func (c *runCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, c.Fleet != "", p)
	if err != nil {
		return err
	}
	if err := c.add(ctx, s); err != nil {
		return errors.Join(err, s.Close())
	}
	h := newHost(s)
	err = h.open(ctx, c.Listen)
	if err == nil {
		err = h.announce(ctx, p)
	}
	if err == nil {
		err = h.run(ctx)
	}
	return errors.Join(err, s.Close())
}

// add adds the fleet whose machines begin to send, if one is named.
func (c *runCommand) add(ctx context.Context, s *site) error {
	if c.Fleet == "" {
		return nil
	}
	files, err := fleetFiles(c.Fleet)
	if err == nil {
		_, err = s.addFleet(ctx, files, nil)
	}
	return err
}

// open opens everything that the running fleet needs.
func (d *daemon) open(ctx context.Context) error {
	if err := d.openData(ctx); err != nil {
		return err
	}
	if err := d.openStream(ctx); err != nil {
		return err
	}
	return d.follow(ctx)
}

// announce tells where the page and the broker are.
func (h *host) announce(ctx context.Context, p *process) error {
	link, err := h.signInLink(ctx, h.listener.Addr().String(), linkLife)
	if err != nil {
		return err
	}
	p.say("page     http://%s", h.listener.Addr())
	p.say("sign in  %s  (works once, for an hour)", link)
	for _, d := range h.daemons {
		p.say("kafka    %s, topic %s", h.brokers(), d.telemetry.Name)
		if d.scorer.Champion() == nil {
			p.say("%s: %s: `drumbeat train --data %s --fleet %s --promote-first` makes the first",
				d.def.Name, serve.ErrNoModel, h.dir, d.def.Name)
		}
	}
	return nil
}

// goOn plays on with a folder that was taken through the steps before.
func (q *quickstart) goOn(ctx context.Context) error {
	if err := q.host.open(ctx, q.cmd.Listen); err != nil {
		return err
	}
	if err := q.host.announce(ctx, q.process); err != nil {
		return err
	}
	q.player = startPlayer(ctx, q.host, q.daemon, nil)
	q.say("going on after %.1f s; the simulator catches up with what the topic holds", time.Since(q.started).Seconds())
	past, _, err := q.past(ctx)
	if err == nil {
		err = q.simulate(past)
	}
	if err == nil && past != nil {
		q.player.sim = q.sim
		err = q.player.playTo(ctx, past.Latest)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("bring the simulator up to the topic: %w", err), q.player.stop())
	}
	return q.follow(ctx)
}

// live shows the page and plays on after the steps.
func (q *quickstart) live(ctx context.Context) error {
	if err := q.host.announce(ctx, q.process); err != nil {
		return errors.Join(err, q.player.stop())
	}
	return q.follow(ctx)
}

func (q *quickstart) follow(ctx context.Context) error {
	q.say("playing %g fleet hours a second; Ctrl-C ends, `drumbeat quickstart` goes on", q.cmd.Speed)
	err := q.player.follow(ctx, q.cmd.Speed)
	q.say("stopped; everything is in %s", q.cmd.Dir)
	return err
}
