package alert

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/label"
)

// work is one transaction in the making: copies of what it changes, which take
// the place of the store's own once they are durable.
type work struct {
	store    *Store
	now      drumbeat.Time
	progress map[Place]int64
	machines map[drumbeat.MachineID]modes
	touched  map[key]bool
	alerts   map[string]*drumbeat.Alert // changed ones, by id
	order    []string                   // their ids, as they changed first
	open     map[key]*drumbeat.Alert    // nil: closed here
	kinds    map[string]ChangeKind
	findings []*drumbeat.Finding
	applied  Applied
	steps    []label.Step
}

// begin starts a transaction; the caller holds the lock.
func (s *Store) begin() *work {
	return &work{
		store: s, now: s.now,
		machines: map[drumbeat.MachineID]modes{}, touched: map[key]bool{},
		alerts: map[string]*drumbeat.Alert{}, open: map[key]*drumbeat.Alert{}, kinds: map[string]ChangeKind{},
		applied: s.applied,
	}
}

// watch returns a machine's watch to change.
func (w *work) watch(k key) *label.Watch {
	own, ok := w.machines[k.machine]
	if !ok {
		own = modes{}
		for mode, watch := range w.store.machines[k.machine] {
			own[mode] = watch.Clone()
		}
		w.machines[k.machine] = own
	}
	w.touched[k] = true
	watch := own[k.mode]
	if watch == nil {
		watch = label.NewWatch(w.store.rule)
		if whole := own[AnyMode]; whole != nil { // the logs speak of all modes
			watch.State.Log = whole.Clone().State.Log
		}
		own[k.mode] = watch
	}
	return watch
}

// peek returns a watch that exists, to look at.
func (w *work) peek(k key) *label.Watch {
	if own, ok := w.machines[k.machine]; ok {
		return own[k.mode]
	}
	return w.store.machines[k.machine][k.mode]
}

// modes lists the failure modes that a machine is watched for, sorted.
func (w *work) modes(machine drumbeat.MachineID) []string {
	own, ok := w.machines[machine]
	if !ok {
		own = w.store.machines[machine]
	}
	return slices.Sorted(maps.Keys(own))
}

// openAlert returns the open alert, nil if there is none.
func (w *work) openAlert(k key) *drumbeat.Alert {
	if alert, ok := w.open[k]; ok {
		return alert
	}
	return w.store.open[k]
}

// openKeys lists where an alert is open, in an order that is always the same.
func (w *work) openKeys() []key {
	var keys []key
	for k := range w.store.open {
		if _, ok := w.open[k]; !ok {
			keys = append(keys, k)
		}
	}
	for k, alert := range w.open {
		if alert != nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.machine, b.machine), cmp.Compare(a.mode, b.mode))
	})
	return keys
}

// put takes an alert's new state.
func (w *work) put(k key, alert *drumbeat.Alert, kind ChangeKind) {
	before, ok := w.kinds[alert.ID]
	if !ok {
		w.order = append(w.order, alert.ID)
	}
	if !ok || before != Opened || kind == Closed { // opened and updated at once is opened
		w.kinds[alert.ID] = kind
	}
	w.alerts[alert.ID] = alert
	w.open[k] = alert
	if kind == Closed {
		w.open[k] = nil
	}
}

// commit makes the work durable and then the store's.
func (w *work) commit(ctx context.Context) error {
	s := w.store
	if len(w.touched)+len(w.alerts)+len(w.findings)+len(w.progress) > 0 || w.now != s.now {
		if err := w.save(ctx); err != nil {
			return err
		}
	}
	s.now, s.applied = w.now, w.applied
	maps.Copy(s.progress, w.progress)
	maps.Copy(s.machines, w.machines)
	for k, alert := range w.open {
		if alert == nil {
			delete(s.open, k)
		} else {
			s.open[k] = alert
		}
	}
	for _, id := range w.order {
		s.applied.Forgotten += s.hub.publish(Change{Kind: w.kinds[id], Alert: *w.alerts[id]})
	}
	return nil
}

// save writes the work in one transaction.
func (w *work) save(ctx context.Context) error {
	tx, err := w.store.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := w.saveAll(ctx, tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

func (w *work) saveAll(ctx context.Context, tx *sql.Tx) error {
	for place, next := range w.progress {
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO progress (epoch, partition, next_offset) VALUES (?, ?, ?)
			ON CONFLICT (epoch, partition) DO UPDATE SET next_offset = excluded.next_offset`,
			place.Epoch, place.Partition, next); err != nil {
			return fmt.Errorf("write progress: %w", err)
		}
	}
	if w.now != w.store.now {
		if _, err := tx.ExecContext(ctx, `UPDATE fleet SET now = ?`, int64(w.now)); err != nil {
			return fmt.Errorf("write clock: %w", err)
		}
	}
	if err := w.saveWatches(ctx, tx); err != nil {
		return fmt.Errorf("write watches: %w", err)
	}
	if err := w.saveAlerts(ctx, tx); err != nil {
		return fmt.Errorf("write alerts: %w", err)
	}
	for _, f := range w.findings {
		if err := insertFinding(ctx, tx, f); err != nil {
			return fmt.Errorf("write finding: %w", err)
		}
	}
	return nil
}

func (w *work) saveWatches(ctx context.Context, tx *sql.Tx) (err error) {
	if len(w.touched) == 0 {
		return nil
	}
	statement, err := tx.PrepareContext(ctx, `
		INSERT INTO watch (machine, mode, state) VALUES (?, ?, ?)
		ON CONFLICT (machine, mode) DO UPDATE SET state = excluded.state`)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	for k := range w.touched {
		state, err := json.Marshal(&w.machines[k.machine][k.mode].State)
		if err != nil {
			return err
		}
		if _, err := statement.ExecContext(ctx, string(k.machine), k.mode, string(state)); err != nil {
			return err
		}
	}
	return nil
}

// saveAlerts writes closed alerts before open ones, so that one that opened
// after another closed finds the place free.
func (w *work) saveAlerts(ctx context.Context, tx *sql.Tx) error {
	for _, closed := range []bool{true, false} {
		for _, id := range w.order {
			alert := w.alerts[id]
			if (alert.ClosedAt != drumbeat.NoTime) != closed {
				continue
			}
			if err := upsertAlert(ctx, tx, alert); err != nil {
				return fmt.Errorf("alert %s: %w", id, err)
			}
		}
	}
	return nil
}
