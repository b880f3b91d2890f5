package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/objstore/fs"
	"drumbeat/refine"
	"drumbeat/sim"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
)

const (
	topicName  = "laundry"
	partitions = 4
	seed       = 7
	// oneSend is how many records a producer has under way.
	oneSend = 8192
)

// simStart is when the simulated fleet begins.
func simStart() drumbeat.Time { return drumbeat.At(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)) }

// step is what the steps are told.
type step struct {
	dir      string
	lake     string
	machines int
	days     int
	rate     int
	length   time.Duration
	fleet    *fleet.Fleet
	log      *slog.Logger
}

// runStep does one step in this process and prints what it measured.
func runStep(ctx context.Context, name string, args []string) error {
	s := step{log: slog.New(slog.DiscardHandler)}
	flags := flag.NewFlagSet("bench step "+name, flag.ContinueOnError)
	flags.StringVar(&s.dir, "dir", "", "`folder` of the data")
	flags.StringVar(&s.lake, "lake", "lake", "the lake's `name` in it")
	flags.IntVar(&s.machines, "machines", 100, "simulated")
	flags.IntVar(&s.days, "days", 365, "simulated")
	flags.IntVar(&s.rate, "rate", 20_000, "readings a second")
	flags.DurationVar(&s.length, "length", time.Minute, "how long the load lasts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if s.fleet, err = fleet.Load(fleets.FS(), "laundry"); err != nil {
		return err
	}
	do, known := map[string]func(*step, context.Context) (outcome, error){
		"fill": (*step).fill, "ingest": (*step).ingest, "refine": (*step).refine, "fresh": (*step).fresh,
	}[name]
	if !known {
		return fmt.Errorf("no step %q", name)
	}
	out, err := do(&s, ctx)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(&out)
}

// broker opens the folder's broker and its topic.
func (s *step) broker(ctx context.Context) (*embedded.Broker, topic.Topic, error) {
	broker, err := embedded.Start(ctx, filepath.Join(s.dir, "broker"), "", s.log)
	if err != nil {
		return nil, topic.Topic{}, err
	}
	epochs := topic.NewEpochs(nil)
	t, err := topic.Ensure(ctx, broker.Config(), topic.Spec{Name: topicName, Partitions: partitions, CreateTime: true}, epochs)
	return broker, t, err
}

func (s *step) openLake(ctx context.Context) (*lake.Lake, error) {
	store, err := fs.Open(filepath.Join(s.dir, s.lake))
	if err != nil {
		return nil, err
	}
	return lake.Open(ctx, store, s.fleet, s.log)
}

// fill plays the simulated fleet into the topic.
func (s *step) fill(ctx context.Context) (out outcome, err error) {
	broker, t, err := s.broker(ctx)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	writer, err := topic.NewWriter(ctx, broker.Config())
	if err != nil {
		return out, err
	}
	defer writer.Close()
	simulator, err := sim.New(sim.Config{Fleet: s.fleet, Topic: t.Name, Seed: seed, Machines: s.machines, Start: simStart()})
	if err != nil {
		return out, err
	}
	began := time.Now()
	until := simStart().Add(time.Duration(s.days) * 24 * time.Hour)
	err = simulator.Batches(until, oneSend, func(records []topic.Record) error { return writer.Write(ctx, records) })
	out.Rows, out.Seconds = simulator.Counts().Items, time.Since(began).Seconds()
	return out, err
}

// ingest copies the topic into the bronze of a lake, from its progress on.
func (s *step) ingest(ctx context.Context) (out outcome, err error) {
	broker, t, err := s.broker(ctx)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, broker.Close()) }()
	l, err := s.openLake(ctx)
	if err != nil {
		return out, err
	}
	began := time.Now()
	in, err := s.ingester(ctx, broker.Config(), t, l)
	if err != nil {
		return out, err
	}
	ends, err := topic.Ends(ctx, broker.Config(), t.Name)
	if err != nil {
		return out, err
	}
	err = in.Drain(ctx, ends)
	out.Rows, out.Seconds = in.Counts().Items, time.Since(began).Seconds()
	return out, err
}

func (s *step) ingester(ctx context.Context, kafka topic.Config, t topic.Topic, l *lake.Lake) (*ingest.Ingester, error) {
	open := func(ctx context.Context, from map[int32]int64) (topic.Reader, error) {
		offsets := t.Start()
		maps.Copy(offsets, from)
		return topic.NewReader(ctx, kafka, topic.From{Topic: t, Offsets: offsets})
	}
	return ingest.New(ctx, ingest.Config{Fleet: s.fleet, Lake: l, Open: open, Log: s.log})
}

// refine makes silver of a lake's bronze.
func (s *step) refine(ctx context.Context) (out outcome, err error) {
	began := time.Now()
	l, err := s.openLake(ctx)
	if err != nil {
		return out, err
	}
	refiner, err := refine.New(ctx, s.fleet, l, s.log)
	if err != nil {
		return out, err
	}
	counts, err := refiner.Run(ctx)
	out.Rows, out.Seconds = counts.Items(), time.Since(began).Seconds()
	out.Sums = map[string]float64{}
	for fate, n := range counts.ByFate {
		out.Sums[drumbeat.Fates[fate]] = float64(n)
	}
	return out, err
}
