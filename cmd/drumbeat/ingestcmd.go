package main

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/ingest"
)

// ingestCommand shares the work of bringing topics into bronze with other
// processes.
type ingestCommand struct {
	Data  string `required:"" help:"Data folder of the site, or a copy of its drumbeat.json, site.yaml and fleets/." type:"existingdir"`
	Fleet string `help:"Name of the fleet; all of the folder without it."`
}

// Help teaches the command.
func (ingestCommand) Help() string {
	return `Copies each fleet's topic into bronze, as one member of a consumer group: start it as often as one process is too slow, on
this machine or another. It takes no lock and writes nothing but the lake, so the site's ` + "`drumbeat run`" + ` goes on beside it. A member
that ends, or is silent for a while, is replaced by the others; whoever commits twice is refused by the table. It needs a Kafka of
the site's own (kafka: in site.yaml); with a second machine also a bucket (objects:).

Example:
  drumbeat ingest --data /srv/site`
}

// Run ingests until it is interrupted.
func (c *ingestCommand) Run(ctx context.Context, p *process) error {
	s, err := openShared(ctx, c.Data, p)
	if err != nil {
		return err
	}
	err = c.run(ctx, s, p)
	return errors.Join(err, s.Close())
}

// openShared opens what of a site several processes may use at once.
func openShared(ctx context.Context, dir string, p *process) (*site, error) {
	f := &folder{dir: dir}
	if err := f.load(false); err != nil {
		return nil, err
	}
	s := &site{folder: f, log: p.log, closers: []func() error{f.Close}}
	var err error
	if s.file, err = loadSite(dir); err != nil {
		return nil, err
	}
	if s.file.kafka == nil {
		return nil, fmt.Errorf("ingest beside another process: %s has no kafka:, and the embedded broker serves one process alone: %w",
			s.path(siteName), drumbeat.ErrInvalid)
	}
	if err = s.openObjects(ctx); err == nil {
		err = s.openBroker(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (c *ingestCommand) run(ctx context.Context, s *site, p *process) error {
	known := false
	group, ctx := errgroup.WithContext(ctx)
	for _, head := range s.head.Fleets {
		if c.Fleet != "" && c.Fleet != string(head.Name) {
			continue
		}
		known = true
		in, d, err := openIngester(ctx, s, head.Name)
		if err != nil {
			return fmt.Errorf("open fleet %s: %w", head.Name, err)
		}
		p.say("%s: ingesting topic %s of %s with whoever else does", d.def.Name, d.telemetry.Name, s.brokers())
		group.Go(func() error {
			err := in.Run(ctx)
			counts := in.Counts()
			p.say("%s: %d items were committed here, %d of them to bronze", d.def.Name, counts.Items, counts.Bronze)
			return err
		})
	}
	if !known {
		return fmt.Errorf("data folder %s holds no fleet %q: %w", s.dir, c.Fleet, drumbeat.ErrNotFound)
	}
	return group.Wait()
}

func openIngester(ctx context.Context, s *site, name drumbeat.FleetName) (*ingest.Ingester, *depot, error) {
	d := &depot{site: s}
	for _, part := range []func(context.Context, drumbeat.FleetName) error{d.define, d.openLake, d.openTopics} {
		if err := part(ctx, name); err != nil {
			return nil, nil, err
		}
	}
	if err := d.lake.UseEpoch(max(d.telemetry.Epoch, d.lake.Epoch())); err != nil {
		return nil, nil, err
	}
	in, err := ingest.New(ctx, ingest.Config{
		Fleet: d.def, Lake: d.lake, Topic: d.telemetry, Open: d.reader(d.telemetry), Follow: d.followers(), Log: d.log,
	})
	return in, d, err
}
