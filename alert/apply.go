package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"

	"drumbeat"
	"drumbeat/label"
)

// Event is what one record of a partition brought: a prediction or an entry
// of a log. An entry comes before the prediction that it caused. The store
// keeps what it is given: the caller does not change it afterwards.
type Event struct {
	Offset     int64 // in the partition that is applied
	Prediction *drumbeat.Prediction
	Entry      *drumbeat.Item
}

// Batch is some consecutive records of one partition.
type Batch struct {
	Place  Place
	Events []Event // by offset
	Next   int64   // the offset after the batch
	// Now is the fleet's clock after the batch, NoTime if it was not read. It
	// must not be ahead of records that are still to be applied (T6).
	Now drumbeat.Time
}

// MaxBatch bounds the events of a batch: a commit of so many takes a fraction
// of a second, and nobody waits longer for an answer.
const MaxBatch = 100_000

// Applied counts what the store was given since it was opened.
type Applied struct {
	Live      int `json:"live"`      // predictions that the rule saw
	Queries   int `json:"queries"`   // passed over: queries and challengers (S4)
	Invalid   int `json:"invalid"`   // passed over: not this fleet's, or not finite
	Entries   int `json:"entries"`   // of the failure and maintenance logs
	Repeated  int `json:"repeated"`  // offsets applied before
	Forgotten int `json:"forgotten"` // changes that a slow subscriber did not get
}

// Apply takes a batch exactly once: what it did is durable when it returns nil,
// together with the offset up to which it did it, or none of it happened.
// Events below the partition's offset were applied before and are passed over.
func (s *Store) Apply(ctx context.Context, b *Batch) error {
	if len(b.Events) > MaxBatch {
		return fmt.Errorf("apply %d events: at most %d at once: %w", len(b.Events), MaxBatch, drumbeat.ErrLimit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.begin()
	from := s.progress[b.Place]
	for i := range b.Events {
		event := &b.Events[i]
		if event.Offset < from {
			w.applied.Repeated++
			continue
		}
		if event.Entry != nil {
			w.entry(event.Entry)
		}
		if event.Prediction != nil {
			w.prediction(event.Prediction)
		}
	}
	if b.Next > from {
		w.progress = map[Place]int64{b.Place: b.Next}
	}
	w.tick(b.Now)
	if err := w.commit(ctx); err != nil {
		return fmt.Errorf("apply offsets to %d of partition %d: %w", b.Next, b.Place.Partition, err)
	}
	return nil
}

// Record takes live predictions that have no offset of their own: those that
// the API answers for a reading (S4). They are durable when it returns nil.
// Callers that come together share a commit. The same prediction again changes
// nothing.
func (s *Store) Record(ctx context.Context, predictions ...*drumbeat.Prediction) error {
	job := s.queue.add(predictions)
	s.mu.Lock()
	defer s.mu.Unlock()
	if job.done {
		return job.err
	}
	jobs := s.queue.take()
	w := s.begin()
	for _, j := range jobs {
		for _, p := range j.predictions {
			w.prediction(p)
		}
	}
	// The others must not fail because this caller gave up.
	err := w.commit(context.WithoutCancel(ctx))
	if err != nil {
		err = fmt.Errorf("record predictions: %w", err)
	}
	for _, j := range jobs {
		j.done, j.err = true, err
	}
	return err
}

// Tick tells the fleet's clock when there is nothing to apply, so that alerts
// of silent machines end. It must not be ahead of records still to be applied.
func (s *Store) Tick(ctx context.Context, now drumbeat.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.begin()
	w.tick(now)
	if err := w.commit(ctx); err != nil {
		return fmt.Errorf("tick: %w", err)
	}
	return nil
}

// prediction shows the rule a prediction, if it is live and the champion's.
func (w *work) prediction(p *drumbeat.Prediction) {
	if p.Purpose != drumbeat.PurposeLive || p.Role != drumbeat.RoleChampion {
		w.applied.Queries++
		return
	}
	if p.Fleet != w.store.fleet.Name || p.Machine == "" || !finite(p) {
		w.applied.Invalid++
		return
	}
	w.applied.Live++
	row := label.Row{
		Machine: p.Machine, AsOf: p.AsOf, Arrival: p.ArrivalTime, Position: p.Position, Probability: p.Probability,
	}
	k := key{p.Machine, modeOf(p.Mode)}
	w.follow(k, w.watch(k).Row(&row, p.Probability > p.Threshold, w.steps[:0]), p)
}

// entry shows the rule an entry of the failure or maintenance log.
func (w *work) entry(item *drumbeat.Item) {
	log := item.Entry.Log
	if item.Kind != drumbeat.KindEntry || log != label.FailureLog && log != label.MaintenanceLog {
		return
	}
	w.applied.Entries++
	w.watch(key{item.Machine, AnyMode})
	for _, mode := range w.modes(item.Machine) {
		k := key{item.Machine, mode}
		w.follow(k, w.watch(k).Entry(item, w.steps[:0]), nil)
	}
}

// tick ends alerts that nobody answered in time.
func (w *work) tick(now drumbeat.Time) {
	if now == drumbeat.NoTime || now <= w.now {
		return
	}
	w.now = now
	for _, k := range w.openKeys() {
		if due := w.peek(k).Due(); due != drumbeat.NoTime && now > due {
			w.follow(k, w.watch(k).Tick(now, w.steps[:0]), nil)
		}
	}
}

// follow keeps the alert that the rule speaks of. p is the prediction that it
// was shown, nil if it was something else.
func (w *work) follow(k key, steps []label.Step, p *drumbeat.Prediction) {
	for _, step := range steps {
		switch step.Kind {
		case label.StepOpened:
			w.put(k, &drumbeat.Alert{
				ID: alertID(p), Fleet: p.Fleet, Machine: p.Machine, Mode: k.mode, OpenedAt: p.AsOf,
				OpenedPos: p.Position, LastAbove: p.AsOf, Peak: p.Probability, Latest: *p,
				ClosedAt: drumbeat.NoTime, Model: p.Model,
			}, Opened)
		case label.StepUpdated:
			alert := *w.openAlert(k)
			alert.Latest, alert.Peak = *p, max(alert.Peak, p.Probability)
			alert.LastAbove = w.peek(k).State.LastAbove
			w.put(k, &alert, Updated)
		case label.StepClosed:
			alert := *w.openAlert(k)
			alert.ClosedAt, alert.Outcome = step.At, step.Outcome
			w.put(k, &alert, Closed)
		}
	}
	w.steps = steps[:0]
}

// finite says whether every number of a prediction is one that JSON carries.
func finite(p *drumbeat.Prediction) bool {
	sum := p.Probability + p.Threshold + p.Margin
	for i := range p.Reasons {
		r := &p.Reasons[i]
		sum += r.Contribution
		if r.Value != nil {
			sum += *r.Value
		}
		if r.Usual != nil {
			sum += *r.Usual
		}
	}
	return !math.IsNaN(sum) && !math.IsInf(sum, 0)
}

func modeOf(mode string) string {
	if mode == "" {
		return AnyMode
	}
	return mode
}

// alertID names the alert that a prediction opens: the same for ever, however
// often it is applied.
func alertID(p *drumbeat.Prediction) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %d %s %q %d",
		p.Fleet, p.Machine, modeOf(p.Mode), p.AsOf, p.Position, p.ReadingID, p.Model))
	return hex.EncodeToString(sum[:10])
}
