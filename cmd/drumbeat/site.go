package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/objstore"
	runs "drumbeat/pipeline/local"
	"drumbeat/registry/local"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
	"drumbeat/web"
)

// partitions of a fleet topic, unless the site file says otherwise: enough
// that two cores work side by side, few enough that small batches stay whole.
const partitions = 4

// site is a data folder with every part open that its fleets share, and the
// fleets themselves.
type site struct {
	*folder
	file siteFile
	log  *slog.Logger

	objects  objstore.Store
	broker   *embedded.Broker // nil with a Kafka of the site's own
	kafka    topic.Config
	epochs   *topic.Epochs
	registry *local.Registry
	access   *access.Access
	runs     *runs.Store
	depots   []*depot // one a fleet, in the order in which they were added

	closers []func() error
}

// openSite opens a data folder with every fleet in it. With create, a folder
// that does not exist is made, without fleets.
func openSite(ctx context.Context, dir string, create bool, p *process) (*site, error) {
	f, err := openFolder(dir, create)
	if err != nil {
		return nil, err
	}
	s := &site{folder: f, log: p.log, closers: []func() error{f.Close}}
	if s.file, err = loadSite(dir); err == nil {
		err = s.open(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *site) open(ctx context.Context) error {
	for _, part := range []func(context.Context) error{
		s.openObjects, s.openBroker, s.openRegistry, s.openRuns, s.openAccess, s.openDepots,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// openBroker reaches the broker that the site file names, or starts the
// embedded one.
func (s *site) openBroker(ctx context.Context) error {
	if s.file.kafka != nil {
		s.kafka = s.file.kafka.Config
		return topic.Reach(ctx, s.kafka)
	}
	broker, err := embedded.Start(ctx, s.path(brokerDir), "", s.log)
	if err != nil {
		return fmt.Errorf("start the embedded broker: %w", err)
	}
	s.broker, s.kafka = broker, broker.Config()
	s.closers = append(s.closers, broker.Close)
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

func (s *site) openRuns(ctx context.Context) error {
	store, err := runs.Open(ctx, s.path("runs.sqlite"))
	if err != nil {
		return err
	}
	s.runs = store
	s.closers = append(s.closers, store.Close)
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

func (s *site) openDepots(ctx context.Context) error {
	for _, head := range s.head.Fleets {
		if _, err := s.openDepot(ctx, head.Name); err != nil {
			return err
		}
	}
	return nil
}

// incarnation tells the starts of an embedded broker apart, for transactional
// ids; with another broker an id stays, so that a newer process fences an
// older one.
func (s *site) incarnation() string {
	if s.broker == nil {
		return ""
	}
	return "-" + s.broker.Incarnation()
}

// brokers is where clients find the broker.
func (s *site) brokers() string { return strings.Join(s.kafka.Brokers, ",") }

// addFleet makes a fleet's part of the folder, unless it is there, and opens
// it.
func (s *site) addFleet(ctx context.Context, files fs.FS, sim *simHead) (*depot, error) {
	view, err := loadView(files)
	if err != nil {
		return nil, err
	}
	name := view.Fleet.Name
	for _, d := range s.depots {
		if d.def.Name == name {
			return d, nil
		}
	}
	if err := s.add(fleetHead{Name: name, Sim: sim}, files); err != nil {
		return nil, err
	}
	return s.openDepot(ctx, name)
}

// depot returns the named fleet of the site; no name is the only fleet.
func (s *site) depot(name drumbeat.FleetName) (*depot, error) {
	names := make([]drumbeat.FleetName, len(s.depots))
	for i, d := range s.depots {
		names[i] = d.def.Name
	}
	at, err := s.fleetAmong(names, name)
	if err != nil {
		return nil, err
	}
	return s.depots[at], nil
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
