package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"sync"
	"sync/atomic"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/feature"
	"drumbeat/feature/sqlite"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// The database files of a fleet.
const (
	onlineFile = "online.sqlite"
	alertsFile = "alerts.sqlite"
)

// depot is one fleet of a site, with every part open that is its own.
type depot struct {
	*site
	def  *fleet.Fleet
	view *feature.View

	lake        *lake.Lake
	telemetry   topic.Topic // readings and log entries
	predictions topic.Topic
	online      *sqlite.Store
	alerts      *alert.Store

	report atomic.Pointer[monitored] // monitoring's newest

	spanned    sync.Mutex // guards what follows: fleet_now as of a state of silver
	spannedTo  lake.Progress
	spannedNow drumbeat.Time
}

// openDepot opens a fleet that the folder names.
func (s *site) openDepot(ctx context.Context, name drumbeat.FleetName) (*depot, error) {
	d := &depot{site: s}
	for _, part := range []func(context.Context, drumbeat.FleetName) error{
		d.define, d.openLake, d.openTopics, d.openOnline, d.openAlerts,
	} {
		if err := part(ctx, name); err != nil {
			return nil, fmt.Errorf("open fleet %s: %w", name, err)
		}
	}
	s.depots = append(s.depots, d)
	return d, nil
}

// home is the fleet's own folder.
func (d *depot) home(names ...string) string {
	return d.path(append([]string{fleetsDir, string(d.def.Name)}, names...)...)
}

// sim is how the fleet is simulated, nil if it is real.
func (d *depot) sim() *simHead {
	for i := range d.head.Fleets {
		if d.head.Fleets[i].Name == d.def.Name {
			return d.head.Fleets[i].Sim
		}
	}
	return nil
}

// define loads the fleet and its view from the folder's own copy.
func (d *depot) define(_ context.Context, name drumbeat.FleetName) error {
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return fmt.Errorf("open data folder: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	home := path.Join(fleetsDir, string(name))
	if d.def, err = fleet.Load(root.FS(), home); err != nil {
		return err
	}
	if d.def.Name != name {
		return fmt.Errorf("%s says that it is fleet %s: %w", path.Join(home, fleet.FileName), d.def.Name, drumbeat.ErrInvalid)
	}
	d.view, err = feature.LoadView(root.FS(), home, d.def)
	return err
}

func (d *depot) openLake(ctx context.Context, _ drumbeat.FleetName) (err error) {
	d.lake, err = lake.Open(ctx, d.objects, d.def, d.log)
	if err != nil {
		return fmt.Errorf("open the lake: %w", err)
	}
	return nil
}

// openTopics makes the fleet's topics; simulation and import create their own
// times (T1).
func (d *depot) openTopics(ctx context.Context, name drumbeat.FleetName) (err error) {
	spec := topic.Spec{Name: string(name), Partitions: partitions, CreateTime: true}
	if d.file.kafka != nil {
		spec.Partitions = d.file.kafka.partitions
	}
	spec.Grown = d.drain
	d.telemetry, err = topic.Ensure(ctx, d.kafka, spec, d.epochs)
	if err != nil {
		return err
	}
	spec.Name += ".predictions"
	spec.Grown = nil
	d.predictions, err = topic.Ensure(ctx, d.kafka, spec, d.epochs)
	return err
}

func (d *depot) openOnline(ctx context.Context, _ drumbeat.FleetName) error {
	store, err := sqlite.Open(ctx, d.home(onlineFile))
	if err != nil {
		return fmt.Errorf("open the online store: %w", err)
	}
	d.online = store
	d.closers = append(d.closers, store.Close)
	return nil
}

func (d *depot) openAlerts(ctx context.Context, _ drumbeat.FleetName) error {
	alerts, err := alert.Open(ctx, d.home(alertsFile), d.def, d.log)
	if err != nil {
		return fmt.Errorf("open the alert store: %w", err)
	}
	d.alerts = alerts
	d.closers = append(d.closers, alerts.Close)
	return nil
}

// followers joins the group of those that ingest the fleet's topic, nil where
// nobody else can: the embedded broker serves this process alone.
func (d *depot) followers() func(context.Context, topic.Share) (topic.Reader, error) {
	if d.broker != nil {
		return nil
	}
	return func(ctx context.Context, share topic.Share) (topic.Reader, error) {
		return topic.NewGroupReader(ctx, d.kafka, d.telemetry, share)
	}
}

// reader opens a reader of a topic; partitions without an offset start at
// their beginning.
func (d *depot) reader(of topic.Topic) func(context.Context, map[int32]int64) (topic.Reader, error) {
	return func(ctx context.Context, from map[int32]int64) (topic.Reader, error) {
		offsets := of.Start()
		maps.Copy(offsets, from)
		return topic.NewReader(ctx, d.kafka, topic.From{Topic: of, Offsets: offsets})
	}
}
