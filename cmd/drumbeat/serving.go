package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/alert"
	"drumbeat/lake"
	"drumbeat/serve"
	"drumbeat/topic"
	"drumbeat/web"
)

// wallNow is the wall clock (T6).
func wallNow() time.Time { return time.Now() }

// openServing makes the page and the API of every fleet, and tells commands
// where they are.
func (h *host) openServing(ctx context.Context, address string) error {
	sites := make([]serve.Site, 0, len(h.daemons))
	for _, d := range h.daemons {
		if err := d.learnMachines(ctx); err != nil {
			return err
		}
		sites = append(sites, d.servedSite())
	}
	var err error
	h.api, err = serve.New(sites, serve.Options{
		Version: version, Log: h.log, Now: wallNow, Registry: prometheus.NewRegistry(), Access: h.access,
	})
	if err != nil {
		return err
	}
	h.addOperations()
	sources := make([]web.Source, 0, len(h.daemons))
	for _, d := range h.daemons {
		sources = append(sources, h.pageSource(d, h.api.Board(d.def.Name)))
	}
	page, err := web.New(sources, web.Options{Log: h.log, Access: h.access, Now: wallNow})
	if err != nil {
		return err
	}
	router := h.access.NewRouter()
	h.api.Mount(router)
	page.Mount(router)
	h.routes = router.Routes()
	h.server = serve.Server(router, h.log)
	h.server.RegisterOnShutdown(page.Stop) // streams of events end, nothing waits for them
	if err := h.listen(ctx, address); err != nil {
		return err
	}
	return h.tell(ctx, h.localAddress())
}

// localAddress is where this machine's own commands reach the listener.
func (h *host) localAddress() string {
	address, known := h.listener.Addr().(*net.TCPAddr)
	if !known || !address.IP.IsUnspecified() {
		return h.listener.Addr().String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(address.Port))
}

// servedSite is the fleet as the API serves it.
func (d *daemon) servedSite() serve.Site {
	return serve.Site{
		Fleet: d.def, Online: d.online, Clock: d.stream.Clock(), Scorer: d.scorer,
		Machines:   func() []serve.Known { return *d.machines.Load() },
		Conditions: d.conditions, Record: d.record, Publish: d.publish,
		Alerts: d.listAlerts, Alert: d.alerts.Alert, Answer: d.answer,
		Manifest: d.manifest, Ready: d.ready,
	}
}

// learnMachines reads the machines and their newest static attributes.
func (d *daemon) learnMachines(ctx context.Context) error {
	items, err := d.lake.Machines(ctx)
	if err != nil {
		return fmt.Errorf("read the machines: %w", err)
	}
	newest := map[drumbeat.MachineID][]string{}
	for i := range items {
		newest[items[i].Machine] = items[i].Static
	}
	known := make([]serve.Known, 0, len(newest))
	for id, static := range newest {
		known = append(known, serve.Known{ID: id, Static: static})
	}
	slices.SortFunc(known, func(a, b serve.Known) int { return cmp.Compare(a.ID, b.ID) })
	d.machines.Store(&known)
	return nil
}

// conditions says which machines have an open alert or are down.
func (d *daemon) conditions(context.Context) (map[drumbeat.MachineID]serve.Condition, error) {
	all := map[drumbeat.MachineID]serve.Condition{}
	now := d.stream.Clock().Now()
	for _, known := range *d.machines.Load() {
		if d.alerts.Down(known.ID, now) {
			all[known.ID] = serve.Condition{Down: true}
		}
	}
	for _, a := range d.alerts.Open() {
		condition := all[a.Machine]
		condition.Alert = a.ID
		all[a.Machine] = condition
	}
	return all, nil
}

// record writes a reading of the API into the fleet's topic.
func (d *daemon) record(
	ctx context.Context, m drumbeat.MachineID, payload []byte, arrival drumbeat.Time,
) (drumbeat.Position, error) {
	records := []topic.Record{{Topic: d.telemetry.Name, Key: string(m), Value: payload, Type: "reading", Time: arrival}}
	if err := d.writer.Write(ctx, records); err != nil {
		return drumbeat.Position{}, err
	}
	return drumbeat.Position{Epoch: d.telemetry.Epoch, Partition: records[0].Partition, Offset: records[0].Offset}, nil
}

// listAlerts lists the open alerts, and the closed ones after them if they are
// asked for, newest first.
func (d *daemon) listAlerts(ctx context.Context, f serve.AlertFilter) ([]drumbeat.Alert, error) {
	limit := f.Limit
	if limit == 0 || limit > alert.MaxList {
		limit = alert.MaxList
	}
	list, err := d.alerts.List(ctx, alert.Filter{Machine: f.Machine, Limit: limit})
	if err != nil || f.Closed {
		return list, err
	}
	return slices.DeleteFunc(list, func(a drumbeat.Alert) bool { return a.ClosedAt != drumbeat.NoTime }), nil
}

func (d *daemon) manifest(ctx context.Context, number drumbeat.ModelVersion) ([]byte, error) {
	v, err := d.registry.Version(ctx, d.def.Name, number)
	if errors.Is(err, drumbeat.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(v.Manifest)
}

func (d *daemon) ready(context.Context) error {
	if d.scorer.Champion() == nil {
		return serve.ErrNoModel
	}
	return nil
}

// pageSource is where the content of a fleet's pages comes from.
func (h *host) pageSource(d *daemon, board *serve.Board) web.Source {
	fleet := web.Fleet{
		Name: d.def.Name, Title: d.def.Title, Horizon: d.def.Label.Horizon, Threshold: d.def.Policy.Threshold,
		Cadence: d.def.Cadence, SensorOf: map[string]string{},
	}
	for i := range d.def.Sensors {
		s := &d.def.Sensors[i]
		fleet.Sensors = append(fleet.Sensors, web.Sensor{Name: s.Name, Title: s.Title, Unit: s.Unit, Decimals: s.Decimals})
	}
	for _, attribute := range d.def.Static {
		fleet.Static = append(fleet.Static, attribute.Name)
	}
	for _, view := range d.stream.Views() {
		for i := range view.Features {
			if f := &view.Features[i]; f.Sensor >= 0 {
				fleet.SensorOf[f.Name] = d.def.Sensors[f.Sensor].Name
			}
		}
	}
	pages := &modelPages{host: h, daemon: d}
	return web.Source{
		Fleet: fleet, Now: d.stream.Clock().Now, Machines: board.Machines, Machine: board.Machine,
		Alerts: func(ctx context.Context, f web.AlertFilter) ([]drumbeat.Alert, error) {
			return d.listAlerts(ctx, serve.AlertFilter(f))
		},
		Alert: d.alerts.Alert,
		Finding: func(ctx context.Context, id string) (drumbeat.Finding, error) {
			row, err := d.alerts.Finding(ctx, id)
			return row.Finding, err
		},
		History: d.history, Answer: d.answer, Subscribe: d.subscribe,
		Models: pages.models, Report: pages.report, Health: pages.health, Quality: pages.quality,
		Promote: pages.promote, Rollback: pages.rollback, Retrain: pages.retrain,
	}
}

// history reads what a sensor of a machine measured, newest knowledge first:
// several readings of one time complete each other (T3).
func (d *daemon) history(ctx context.Context, q web.HistoryQuery) (web.History, error) {
	sensor := d.def.SensorIndex(q.Sensor)
	if sensor < 0 {
		return web.History{}, fmt.Errorf("sensor %q: %w", q.Sensor, drumbeat.ErrNotFound)
	}
	scale := math.Pow10(d.def.Sensors[sensor].Decimals)
	type point struct {
		at    drumbeat.Time
		value int64
	}
	var points []point
	scan := lake.ScanOptions{Partition: topic.PartitionOf(string(q.Machine), d.telemetry.Partitions), Since: q.From}
	err := d.lake.ScanSilver(ctx, scan, func(items []drumbeat.Item) error {
		for i := range items {
			item := &items[i]
			if item.Kind == drumbeat.KindReading && item.Machine == q.Machine && item.EventTime <= q.To &&
				item.Values[sensor] != drumbeat.Missing {
				points = append(points, point{item.EventTime, item.Values[sensor]})
			}
		}
		return nil
	})
	if err != nil {
		return web.History{}, fmt.Errorf("read %s of %s: %w", q.Sensor, q.Machine, err)
	}
	slices.SortFunc(points, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	h := web.History{Times: make([]drumbeat.Time, len(points)), Values: make([]float64, len(points))}
	for i, p := range points {
		h.Times[i], h.Values[i] = p.at, float64(p.value)/scale
	}
	return h, nil
}

// subscribe sends changes of alerts until ctx ends. A follower that was away
// gets the open alerts that came since, by what it last saw.
func (d *daemon) subscribe(ctx context.Context, after int64) (<-chan web.Event, error) {
	changes, stop := d.alerts.Subscribe(followBuffer)
	out := make(chan web.Event, followBuffer)
	go func() {
		defer close(out)
		defer stop()
		if after >= 0 {
			for _, a := range d.alerts.Open() {
				if !send(ctx, out, web.Event{ID: d.events.Add(1), Change: web.Opened, Alert: a}) {
					return
				}
			}
		}
		for {
			select {
			case <-ctx.Done():
				return
			case change, more := <-changes:
				if !more || !send(ctx, out, web.Event{ID: d.events.Add(1), Change: web.Change(change.Kind), Alert: change.Alert}) {
					return
				}
			}
		}
	}()
	return out, nil
}

// followBuffer is how many changes a page may lag behind.
const followBuffer = 64

func send(ctx context.Context, out chan<- web.Event, event web.Event) bool {
	select {
	case out <- event:
		return true
	case <-ctx.Done():
		return false
	}
}

// counters that the daemon's parts share.
type counters struct {
	machines    atomic.Pointer[[]serve.Known]
	declared    sync.Map // drumbeat.MachineID of what was declared over the API
	publishedAt atomic.Pointer[drumbeat.Time]
	events      atomic.Int64
	carried     int64 // the last finding in the ground-truth table
}

// newToken makes a bearer token for the command itself.
func (h *host) newToken(ctx context.Context, role access.Role) (string, error) {
	_, secret, err := h.access.NewToken(ctx, localUser, access.Person{Name: "quickstart", Role: role}, 24*time.Hour)
	return secret, err
}
