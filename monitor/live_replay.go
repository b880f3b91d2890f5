package monitor

import (
	"context"
	"time"

	"drumbeat"
	"drumbeat/label"
)

// Scores gives fn the predictions as of [from, until), NoTime being no bound,
// in the order in which they were written, in chunks valid until fn returns.
// Of each it needs machine, as_of, position, arrival_time, model_version, role,
// purpose, probability, alarm and running.
type Scores func(ctx context.Context, from, until drumbeat.Time, fn func([]drumbeat.Prediction) error) error

// scored is a prediction as measures need it.
type scored struct {
	label.Row
	above   bool
	version drumbeat.ModelVersion
}

// replay hands on the predictions that measures count: per machine, as_of and
// version the one of the highest position that was made before the next as_of
// (S3). So each is handed on when its machine's next comes, or at the end.
type replay struct {
	lanes map[drumbeat.MachineID]*scored // the newest of each machine
	order []*scored                      // as the machines came, so that nothing depends on maps
	next  func(*scored)
}

func newReplay(next func(*scored)) *replay {
	return &replay{lanes: map[drumbeat.MachineID]*scored{}, next: next}
}

func (r *replay) add(p *drumbeat.Prediction, above bool) {
	now := scored{above: above, version: p.Model, Row: label.Row{
		Machine: p.Machine, AsOf: p.AsOf, Arrival: p.ArrivalTime, Position: p.Position,
		Probability: p.Probability, Running: p.Running,
	}}
	last := r.lanes[p.Machine]
	switch {
	case last == nil:
		held := now
		r.lanes[p.Machine] = &held
		r.order = append(r.order, &held)
	case now.AsOf < last.AsOf: // made after a later as_of
	case now.AsOf == last.AsOf && now.version == last.version:
		if now.Position.Compare(last.Position) >= 0 {
			*last = now
		}
	default:
		r.next(last)
		*last = now
	}
}

func (r *replay) end() {
	for _, last := range r.order {
		r.next(last)
	}
	clear(r.lanes)
	r.order = nil
}

// matured returns the newest time of which everything is known: a horizon and
// the reporting lag after it have passed (M3), and the failure log is complete
// to a horizon after it, if it says to when it is.
func matured(truth *label.Truth, lag time.Duration) drumbeat.Time {
	if truth.FleetNow() == drumbeat.NoTime {
		return drumbeat.NoTime
	}
	known := truth.FleetNow().Add(-lag)
	if to := truth.CompleteTo(); to != drumbeat.NoTime {
		known = min(known, to)
	}
	return known.Add(-truth.Horizon())
}

// after is the least time after t (T1).
func after(t drumbeat.Time) drumbeat.Time { return t + 1000 }
