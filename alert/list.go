package alert

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"drumbeat"
)

// MaxList bounds a listing: more is asked for by another one.
const MaxList = 1000

// Alert returns one alert, drumbeat.ErrNotFound if there is none.
func (s *Store) Alert(ctx context.Context, id string) (drumbeat.Alert, error) {
	found, err := s.alerts(ctx, alertColumns+`WHERE id = ?`, id)
	if err != nil {
		return drumbeat.Alert{}, fmt.Errorf("read alert %.80q: %w", id, err)
	}
	if len(found) == 0 {
		return drumbeat.Alert{}, fmt.Errorf("read alert %.80q: there is none: %w", id, drumbeat.ErrNotFound)
	}
	return found[0], nil
}

// Open returns every open alert, the greatest present risk first.
func (s *Store) Open() []drumbeat.Alert {
	s.mu.Lock()
	defer s.mu.Unlock()
	open := make([]drumbeat.Alert, 0, len(s.open))
	for _, alert := range s.open {
		open = append(open, *alert)
	}
	slices.SortFunc(open, func(a, b drumbeat.Alert) int {
		return cmp.Or(cmp.Compare(b.Latest.Probability, a.Latest.Probability),
			cmp.Compare(a.OpenedAt, b.OpenedAt), cmp.Compare(a.Machine, b.Machine), cmp.Compare(a.Mode, b.Mode))
	})
	return open
}

// Filter says which alerts to list.
type Filter struct {
	Machine drumbeat.MachineID // "" is all
	Closed  bool               // closed ones only
	// Before lists alerts opened before this one, "" from the newest on.
	Before string
	Limit  int // 0 is MaxList
}

// List returns alerts, the newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]drumbeat.Alert, error) {
	limit := f.Limit
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	query := alertColumns + `WHERE (?1 = '' OR machine = ?1) AND (?2 = 0 OR closed_at IS NOT NULL)
		AND (?3 = '' OR (opened_at, id) < (SELECT opened_at, id FROM alert WHERE id = ?3))
		ORDER BY opened_at DESC, id DESC LIMIT ?4`
	found, err := s.alerts(ctx, query, string(f.Machine), f.Closed, f.Before, limit)
	if err != nil {
		return nil, fmt.Errorf("list alerts: %w", err)
	}
	return found, nil
}

// History returns the alerts of a machine, the newest first.
func (s *Store) History(ctx context.Context, machine drumbeat.MachineID, limit int) ([]drumbeat.Alert, error) {
	return s.List(ctx, Filter{Machine: machine, Limit: limit})
}

// FindingsAfter returns ground truth after a sequence number, in order, at most
// MaxList rows: what feeds the ground-truth table.
func (s *Store) FindingsAfter(ctx context.Context, seq int64) ([]Answered, error) {
	found, err := s.findings(ctx, findingColumns+`WHERE seq > ? ORDER BY seq LIMIT ?`, seq, MaxList)
	if err != nil {
		return nil, fmt.Errorf("read findings after %d: %w", seq, err)
	}
	return found, nil
}

// Findings returns the findings about a machine, the newest first.
func (s *Store) Findings(ctx context.Context, machine drumbeat.MachineID, limit int) ([]Answered, error) {
	if limit <= 0 || limit > MaxList {
		limit = MaxList
	}
	found, err := s.findings(ctx, findingColumns+`WHERE machine = ? ORDER BY seq DESC LIMIT ?`, string(machine), limit)
	if err != nil {
		return nil, fmt.Errorf("read findings about %s: %w", machine, err)
	}
	return found, nil
}

// Finding returns one finding, drumbeat.ErrNotFound if there is none.
func (s *Store) Finding(ctx context.Context, id string) (Answered, error) {
	found, err := s.findings(ctx, findingColumns+`WHERE id = ?`, id)
	if err != nil {
		return Answered{}, fmt.Errorf("read finding %.80q: %w", id, err)
	}
	if len(found) == 0 {
		return Answered{}, fmt.Errorf("read finding %.80q: there is none: %w", id, drumbeat.ErrNotFound)
	}
	return found[0], nil
}

// Down says whether a machine has failed and not been repaired, as known now
// (L2): neither healthy nor at risk.
func (s *Store) Down(machine drumbeat.MachineID, at drumbeat.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	watch := s.machines[machine][AnyMode]
	return watch != nil && watch.Down(at)
}

// Counts is how many alerts and findings there are.
type Counts struct {
	Open     int                      `json:"open"`
	Total    int                      `json:"total"`
	Outcomes map[drumbeat.Outcome]int `json:"outcomes"` // of closed alerts
	Findings int                      `json:"findings"`
	Applied  Applied                  `json:"applied"` // since the store was opened
}

// Counts counts.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	c := Counts{Outcomes: map[drumbeat.Outcome]int{}}
	err := each(ctx, s.read, func(rows *sql.Rows) error {
		var outcome drumbeat.Outcome
		var n int
		if err := rows.Scan(&outcome, &n); err != nil {
			return err
		}
		c.Total += n
		if outcome == "" {
			c.Open = n
		} else {
			c.Outcomes[outcome] = n
		}
		return nil
	}, `SELECT outcome, COUNT(*) FROM alert GROUP BY outcome`)
	if err != nil {
		return c, fmt.Errorf("count alerts: %w", err)
	}
	if err := s.read.QueryRowContext(ctx, `SELECT COUNT(*) FROM finding`).Scan(&c.Findings); err != nil {
		return c, fmt.Errorf("count findings: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.Applied = s.applied
	return c, nil
}
