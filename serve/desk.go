package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// desk answers the requests of one fleet.
type desk struct {
	Site
	board    *Board
	cleaner  *cleaner
	advancer *advancer
	queue    chan drumbeat.Prediction // the quiet live ones
	metrics  *metrics
	now      func() time.Time // the wall clock
	log      *slog.Logger
}

func newDesk(site Site, a *API) *desk {
	d := &desk{
		Site: site, cleaner: newCleaner(site.Fleet), advancer: newAdvancer(),
		queue: make(chan drumbeat.Prediction, queueLength), metrics: a.metrics, now: a.opt.Now,
		log: a.opt.Log.With("fleet", site.Fleet.Name),
	}
	d.board = newBoard(&d.Site, a.opt.Now)
	return d
}

// moment is a fleet as it stands when a request comes: one snapshot of its
// models. Whatever is swapped meanwhile, the answer is of one model, one view
// and that view's records.
type moment struct {
	*desk
	*Models
}

// moment takes the snapshot; ErrNoModel without a champion.
func (d *desk) moment() (moment, error) {
	models := d.Scorer.Models()
	if models == nil {
		return moment{}, fmt.Errorf("fleet %s: %w", d.Fleet.Name, ErrNoModel)
	}
	return moment{d, models}, nil
}

// OfFleet is the query parameter that names a fleet. The input of an operation
// of a fleet embeds it; [API.FleetOf] reads it.
type OfFleet struct {
	Fleet drumbeat.FleetName `query:"fleet" maxLength:"100" doc:"The fleet; it may be left out where there is one only"`
}

// FleetOf says which fleet a request is about. Its error is an
// *access.Problem: a site of several fleets was not told which (422), or was
// told one that it does not have (404).
func (a *API) FleetOf(in OfFleet) (drumbeat.FleetName, error) {
	d, err := a.desk(in)
	if err != nil {
		return "", err
	}
	return d.Fleet.Name, nil
}

// moment takes a moment at the desk of the fleet that a request names.
func (a *API) moment(in OfFleet) (moment, error) {
	d, err := a.desk(in)
	if err != nil {
		return moment{}, err
	}
	return d.moment()
}

func (a *API) find(name drumbeat.FleetName) *desk {
	for _, d := range a.desks {
		if d.Fleet.Name == name {
			return d
		}
	}
	return nil
}

func (a *API) desk(in OfFleet) (*desk, error) {
	if in.Fleet == "" && len(a.desks) == 1 {
		return a.desks[0], nil
	}
	if d := a.find(in.Fleet); d != nil {
		return d, nil
	}
	names := make([]drumbeat.FleetName, len(a.desks))
	for i, d := range a.desks {
		names[i] = d.Fleet.Name
	}
	if in.Fleet == "" {
		return nil, &access.Problem{
			Status: http.StatusUnprocessableEntity, Title: "which fleet?",
			Detail: "this site has several fleets: " + joined(names), Next: "add ?fleet= and one of them",
		}
	}
	p := &access.Problem{
		Status: http.StatusNotFound, Title: "no such fleet",
		Detail: fmt.Sprintf("fleet %q is not of this site", in.Fleet), Next: "GET /v1/fleets lists those that are",
	}
	if near := nearest(in.Fleet, slices.Values(names)); len(near) > 0 {
		p.Next = "did you mean " + joined(near) + "? " + p.Next
	}
	return nil, p
}

// joined writes names as a list.
func joined[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

// writeQuiet writes the quiet live predictions until ctx ends, and then those
// that still wait.
func (d *desk) writeQuiet(ctx context.Context) {
	batch := make([]drumbeat.Prediction, 0, publishBatch)
	for {
		batch = batch[:0]
		select {
		case <-ctx.Done():
			d.drain(ctx)
			return
		case p := <-d.queue:
			batch = append(batch, p)
		}
		d.publish(ctx, d.fill(batch))
	}
}

// fill adds to batch what waits, without waiting for more.
func (d *desk) fill(batch []drumbeat.Prediction) []drumbeat.Prediction {
	for len(batch) < publishBatch {
		select {
		case p := <-d.queue:
			batch = append(batch, p)
		default:
			return batch
		}
	}
	return batch
}

// drain writes what waits at the end, within a time limit of its own.
func (d *desk) drain(ctx context.Context) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
	defer cancel()
	for batch := d.fill(nil); len(batch) > 0; batch = d.fill(batch[:0]) {
		d.publish(last, batch)
	}
}

// publish writes quiet predictions; they may be lost, and are counted.
func (d *desk) publish(ctx context.Context, batch []drumbeat.Prediction) {
	if err := d.Publish(ctx, batch); err != nil {
		d.metrics.dropped.WithLabelValues(string(d.Fleet.Name)).Add(float64(len(batch)))
		d.log.WarnContext(ctx, "quiet predictions lost", "count", len(batch), "error", err)
	}
}
