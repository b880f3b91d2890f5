package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"drumbeat/access"
	"drumbeat/alert"
	"drumbeat/feature/sqlite"
	"drumbeat/lake"
	objects "drumbeat/objstore/fs"
	"drumbeat/registry/local"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
	"drumbeat/web"
)

// partitions of an embedded fleet topic: enough that two cores work side by
// side, few enough that small batches stay whole.
const partitions = 4

// site is a data folder with every part of it open.
type site struct {
	*folder
	log *slog.Logger

	objects     *objects.Store
	lake        *lake.Lake
	broker      *embedded.Broker
	kafka       topic.Config
	telemetry   topic.Topic // readings and log entries
	predictions topic.Topic
	online      *sqlite.Store
	registry    *local.Registry
	alerts      *alert.Store
	access      *access.Access

	closers []func() error
}

// openSite opens every part of a data folder.
func openSite(ctx context.Context, dir string, create *newFolder, p *process) (*site, error) {
	f, err := openFolder(dir, create)
	if err != nil {
		return nil, err
	}
	s := &site{folder: f, log: p.log, closers: []func() error{f.Close}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *site) open(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		s.openLake, s.openBroker, s.openOnline, s.openRegistry, s.openAlerts, s.openAccess,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *site) openLake(ctx context.Context) error {
	store, err := objects.Open(s.path(objectDir))
	if err != nil {
		return fmt.Errorf("open the lake's folder: %w", err)
	}
	s.objects = store
	s.closers = append(s.closers, store.Close)
	s.lake, err = lake.Open(ctx, store, s.def, s.log)
	if err != nil {
		return fmt.Errorf("open the lake: %w", err)
	}
	return nil
}

func (s *site) openBroker(ctx context.Context) error {
	broker, err := embedded.Start(ctx, s.path(brokerDir), "", s.log)
	if err != nil {
		return fmt.Errorf("start the embedded broker: %w", err)
	}
	s.broker, s.kafka = broker, broker.Config()
	s.closers = append(s.closers, broker.Close)
	epochs, err := topic.OpenEpochs(s.path("epochs.json"))
	if err != nil {
		return err
	}
	name := string(s.def.Name)
	// Simulation and import create their own times (T1).
	s.telemetry, err = topic.Ensure(ctx, s.kafka, topic.Spec{Name: name, Partitions: partitions, CreateTime: true}, epochs)
	if err != nil {
		return err
	}
	spec := topic.Spec{Name: name + ".predictions", Partitions: partitions, CreateTime: true}
	s.predictions, err = topic.Ensure(ctx, s.kafka, spec, epochs)
	return err
}

func (s *site) openOnline(ctx context.Context) error {
	store, err := sqlite.Open(ctx, s.path("online.sqlite"))
	if err != nil {
		return fmt.Errorf("open the online store: %w", err)
	}
	s.online = store
	s.closers = append(s.closers, store.Close)
	return nil
}

func (s *site) openRegistry(ctx context.Context) error {
	registry, err := local.Open(ctx, s.path("registry.sqlite"), s.objects, wallNow)
	if err != nil {
		return fmt.Errorf("open the model registry: %w", err)
	}
	s.registry = registry
	s.closers = append(s.closers, registry.Close)
	return nil
}

func (s *site) openAlerts(ctx context.Context) error {
	alerts, err := alert.Open(ctx, s.path("alerts.sqlite"), s.def, s.log)
	if err != nil {
		return fmt.Errorf("open the alert store: %w", err)
	}
	s.alerts = alerts
	s.closers = append(s.closers, alerts.Close)
	return nil
}

func (s *site) openAccess(ctx context.Context) error {
	opened, err := access.Open(ctx, s.path("access.sqlite"), access.Options{Log: s.log, Now: time.Now, Random: rand.Reader})
	if err != nil {
		return err
	}
	s.access = opened
	s.closers = append(s.closers, opened.Close)
	return nil
}

// Close closes every part, the last opened first.
func (s *site) Close() error {
	var faults []error
	for _, closer := range slices.Backward(s.closers) {
		faults = append(faults, closer())
	}
	s.closers = nil
	return errors.Join(faults...)
}

// reader opens a reader of a topic; partitions without an offset start at
// their beginning.
func (s *site) reader(of topic.Topic) func(context.Context, map[int32]int64) (topic.Reader, error) {
	return func(ctx context.Context, from map[int32]int64) (topic.Reader, error) {
		offsets := of.Start()
		maps.Copy(offsets, from)
		return topic.NewReader(ctx, s.kafka, topic.From{Topic: of, Offsets: offsets})
	}
}

// localUser is who acts when a person uses the command line: whoever may read
// the data folder may do everything in it.
var localUser = access.Person{Name: "command line", Role: access.Engineer}

// signInLink makes the address of the page with a one-time sign-in.
func (s *site) signInLink(ctx context.Context, address string, life time.Duration) (string, error) {
	code, err := s.access.NewLink(ctx, localUser, access.Person{Name: "quickstart", Role: access.Engineer}, life)
	if err != nil {
		return "", err
	}
	return "http://" + address + web.LinkPath(code), nil
}
