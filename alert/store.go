// Package alert turns live predictions into alerts and takes the technicians'
// answers (A1, A2). Its store applies each partition exactly once: alerts,
// what the rule remembers of every machine and the offsets up to which all of
// it holds are one SQLite transaction, so that after a crash it goes on as if
// nothing had happened, and what is sent again changes nothing.
//
// The rule itself is label.Watch; this package keeps it, and what people see
// of it. The database's layout is in docs/format/alerts.md.
package alert

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
)

// AnyMode is the failure mode of models that do not tell modes apart.
const AnyMode = "any"

// Place is a partition of one epoch of the topic (T2).
type Place struct{ Epoch, Partition int32 }

// Store keeps the alerts and findings of one fleet. It is safe for concurrent
// use.
type Store struct {
	fleet       *fleet.Fleet
	rule        *label.Rule
	log         *slog.Logger
	write, read *sql.DB
	queue       queue
	hub         hub

	mu       sync.Mutex // of what follows, and of writing
	now      drumbeat.Time
	progress map[Place]int64
	machines map[drumbeat.MachineID]modes
	open     map[key]*drumbeat.Alert // never changed in place
	applied  Applied
}

// modes is the watches of one machine, by failure mode.
type modes map[string]*label.Watch

type key struct {
	machine drumbeat.MachineID
	mode    string
}

// Open opens the store in the SQLite file at path, creating it if there is
// none.
func Open(ctx context.Context, path string, f *fleet.Fleet, log *slog.Logger) (*Store, error) {
	write, read, err := open(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("open alerts %s: %w", path, err)
	}
	s := &Store{
		fleet: f, rule: label.RuleOf(f, 0), log: log, write: write, read: read,
		progress: map[Place]int64{}, machines: map[drumbeat.MachineID]modes{}, open: map[key]*drumbeat.Alert{},
	}
	s.hub.subscribers = map[*subscriber]struct{}{}
	if err := s.load(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open alerts %s: %w", path, err), s.Close())
	}
	return s, nil
}

// Close releases the database and ends every subscription.
func (s *Store) Close() error {
	s.hub.close()
	return errors.Join(s.read.Close(), s.write.Close())
}

// load reads back what the rule remembers.
func (s *Store) load(ctx context.Context) error {
	var err error
	if s.now, err = claim(ctx, s.write, s.fleet.Name); err != nil {
		return err
	}
	if err := s.loadProgress(ctx); err != nil {
		return fmt.Errorf("read progress: %w", err)
	}
	if err := s.loadWatches(ctx); err != nil {
		return fmt.Errorf("read watches: %w", err)
	}
	alerts, err := s.alerts(ctx, alertColumns+`WHERE closed_at IS NULL`)
	if err != nil {
		return fmt.Errorf("read open alerts: %w", err)
	}
	for i := range alerts {
		s.open[key{alerts[i].Machine, alerts[i].Mode}] = &alerts[i]
	}
	return nil
}

func (s *Store) loadProgress(ctx context.Context) error {
	return each(ctx, s.write, func(rows *sql.Rows) error {
		var place Place
		var next int64
		if err := rows.Scan(&place.Epoch, &place.Partition, &next); err != nil {
			return err
		}
		s.progress[place] = next
		return nil
	}, `SELECT epoch, partition, next_offset FROM progress`)
}

func (s *Store) loadWatches(ctx context.Context) error {
	return each(ctx, s.write, func(rows *sql.Rows) error {
		var machine drumbeat.MachineID
		var mode, text string
		if err := rows.Scan(&machine, &mode, &text); err != nil {
			return err
		}
		watch := label.NewWatch(s.rule)
		if err := json.Unmarshal([]byte(text), &watch.State); err != nil {
			return fmt.Errorf("machine %s: %w: %w", machine, err, drumbeat.ErrInvalid)
		}
		if s.machines[machine] == nil {
			s.machines[machine] = modes{}
		}
		s.machines[machine][mode] = watch
		return nil
	}, `SELECT machine, mode, state FROM watch`)
}

// Now returns the fleet's clock as far as the store was told, NoTime before
// that.
func (s *Store) Now() drumbeat.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Progress returns the next offset of each partition that was applied.
func (s *Store) Progress() map[Place]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.progress)
}
