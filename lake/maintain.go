package lake

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/delta"
)

const (
	// keepFor is how long removed files and old commits stay, unless the caller
	// says otherwise: no scan of ours lasts minutes, and at a commit every five
	// seconds an hour is 720 of each.
	keepFor = time.Hour
	// budget bounds a call.
	budget = 30 * time.Second
	// keepGoldFor is how long gold stays that no live model uses.
	keepGoldFor = 30 * 24 * time.Hour
	// sweeps is how often within keepFor a table is swept: a sweep lists it.
	sweeps = 4
	// manyFiles is from how many removed files on a checkpoint spares the next
	// reader more than it costs.
	manyFiles = 100
)

// MaintainOptions is what Maintain may not decide by itself. The zero value is
// good for a lake whose rows stay for ever.
type MaintainOptions struct {
	// Keep is how long removed files and old commits stay for whoever reads an
	// older version: an hour if 0, and delta.MinKeep at least.
	Keep time.Duration
	// Budget bounds a call: no table or file is begun after it. 30 s if 0.
	Budget time.Duration
	// LiveHashes are the definition hashes in use. Gold of other hashes that
	// was not written for KeepGold (30 days if 0) is dropped; with a nil
	// LiveHashes, none is.
	LiveHashes []drumbeat.Hash
	KeepGold   time.Duration
	// FleetNow is the fleet's clock (T6), by which rows grow old: the fleet
	// file's retention applies if it is above 0.
	FleetNow drumbeat.Time
	// Need is how far back the views in use reach: the longest of their windows
	// and min_history. Silver stays at least so long, whatever the fleet file
	// says.
	Need time.Duration
}

// Maintained is what a call of Maintain did.
type Maintained struct {
	Compacted int      `json:"compacted"` // files whose rows stand in larger ones now
	Deleted   int      `json:"deleted"`   // removed files that nobody reads any more
	Cleaned   int      `json:"cleaned"`   // commits and checkpoints
	Dropped   []string `json:"dropped"`   // gold tables
	Expired   int64    `json:"expired"`   // rows beyond the fleet file's retention
	Notes     []string `json:"notes"`     // what was done otherwise than asked
	More      bool     `json:"more"`      // there was more to do, but no time
}

// Maintain keeps every table of the lake, gold of all views too, at some dozens
// of small files, and deletes what nobody needs any more. It is meant to be
// called every minute or so, decides by itself what is due, and is safe beside
// appends and scans: rows stay where they are, and a scan that has begun goes
// on for Keep. After an error, or a crash, the next call carries on.
func (l *Lake) Maintain(ctx context.Context, opt MaintainOptions) (Maintained, error) {
	l.maintaining.Lock()
	defer l.maintaining.Unlock()
	if opt.Keep == 0 {
		opt.Keep = keepFor
	}
	if opt.Budget == 0 {
		opt.Budget = budget
	}
	if opt.KeepGold == 0 {
		opt.KeepGold = keepGoldFor
	}
	m := maintenance{lake: l, opt: opt, until: l.now().Add(opt.Budget)}
	if err := m.run(ctx); err != nil {
		return m.done, fmt.Errorf("maintain lake of fleet %s: %w", l.fleet.Name, err)
	}
	return m.done, nil
}

// Compact puts the small files of every table together, however long it takes.
func (l *Lake) Compact(ctx context.Context) (Maintained, error) {
	return l.each(ctx, MaintainOptions{}, (*maintenance).compact)
}

// Vacuum deletes the files of every table that were removed at least keep ago,
// and the commits that time travel within keep does not need.
func (l *Lake) Vacuum(ctx context.Context, keep time.Duration) (Maintained, error) {
	return l.each(ctx, MaintainOptions{Keep: keep}, (*maintenance).sweep)
}

// each does something to every table.
func (l *Lake) each(ctx context.Context, opt MaintainOptions, do func(*maintenance, context.Context, *delta.Table) error) (Maintained, error) {
	l.maintaining.Lock()
	defer l.maintaining.Unlock()
	m := maintenance{lake: l, opt: opt}
	golds, err := m.golds(ctx)
	for _, t := range append(l.tables(), golds...) {
		if err == nil {
			err = do(&m, ctx, t.Table)
		}
	}
	if err != nil {
		return m.done, fmt.Errorf("look after the lake of fleet %s: %w", l.fleet.Name, err)
	}
	return m.done, nil
}

// maintenance is one call of Maintain.
type maintenance struct {
	lake  *Lake
	opt   MaintainOptions
	until time.Time
	done  Maintained
}

func (m *maintenance) run(ctx context.Context) error {
	if m.opt.Keep < delta.MinKeep {
		return fmt.Errorf("keep %s: readers need at least %s: %w", m.opt.Keep, delta.MinKeep, drumbeat.ErrInvalid)
	}
	golds, err := m.golds(ctx)
	if err != nil {
		return err
	}
	if err := m.expire(ctx, golds); err != nil {
		return err
	}
	// Each call begins where the last one had no more time.
	tables := append(m.lake.tables(), golds...)
	turn := m.lake.turn % len(tables)
	for i := range tables {
		m.lake.turn = (turn + i) % len(tables)
		if !m.lake.now().Before(m.until) {
			m.done.More = true
			return nil
		}
		if err := m.table(ctx, tables[m.lake.turn].Table); err != nil {
			return err
		}
	}
	return nil
}

// tables returns every table but gold's.
func (l *Lake) tables() []*table {
	return []*table{
		l.bronze, l.deadLetters, l.lost, l.readings, l.entries, l.machines, l.watermarks, l.asides,
		l.labels, l.predictions, l.findings, l.reports,
	}
}

// table compacts a table, and sweeps it if that is due.
func (m *maintenance) table(ctx context.Context, t *delta.Table) error {
	if err := m.compact(ctx, t); err != nil {
		return err
	}
	if m.done.More || !m.due(t.Name(), m.opt.Keep/sweeps) {
		return nil
	}
	return m.sweep(ctx, t)
}

// compact puts small files of a table together.
func (m *maintenance) compact(ctx context.Context, t *delta.Table) error {
	done, err := t.Compact(ctx, delta.CompactOptions{Tags: joinSpans, Until: m.until})
	m.done.Compacted += done.Removed
	m.done.More = m.done.More || done.More
	if err == nil && done.Removed >= manyFiles {
		err = t.Checkpoint(ctx)
	}
	return err
}

// sweep deletes what nobody reads any more.
func (m *maintenance) sweep(ctx context.Context, t *delta.Table) error {
	deleted, err := t.Vacuum(ctx, m.opt.Keep)
	m.done.Deleted += deleted
	if err != nil {
		return err
	}
	cleaned, err := t.CleanLog(ctx, m.opt.Keep)
	m.done.Cleaned += cleaned
	if err == nil {
		m.lake.swept[t.Name()] = m.lake.now()
	}
	return err
}

// due says whether something was not done for so long, or not by this Lake.
func (m *maintenance) due(what string, every time.Duration) bool {
	last, ever := m.lake.swept[what]
	return !ever || m.lake.now().Sub(last) >= every
}

// golds returns every gold table there is, of live and of other hashes, less
// those that it drops.
func (m *maintenance) golds(ctx context.Context) ([]*table, error) {
	names, err := m.lake.goldNames(ctx)
	if err != nil {
		return nil, err
	}
	var out []*table
	for _, name := range names {
		dropped, err := m.drop(ctx, name)
		if err != nil {
			return nil, err
		}
		if dropped {
			m.done.Dropped = append(m.done.Dropped, name)
			continue
		}
		t, err := m.lake.maintainedGold(ctx, name)
		if err != nil {
			return nil, err
		}
		if t != nil {
			out = append(out, t)
		}
	}
	return out, nil
}

// goldNames lists the gold tables in the store: gold/<view>/<hash>.
func (l *Lake) goldNames(ctx context.Context) ([]string, error) {
	root := string(l.fleet.Name) + "/"
	var names []string
	after := ""
	for {
		found := ""
		for entry, err := range l.store.List(ctx, root+"gold/", after) {
			if err != nil {
				return nil, fmt.Errorf("list gold: %w", err)
			}
			found = entry.Key
			break
		}
		if found == "" {
			return names, nil
		}
		parts := strings.SplitN(strings.TrimPrefix(found, root), "/", 4)
		after = found
		if len(parts) == 4 && safeName.MatchString(parts[1]) && safeName.MatchString(parts[2]) {
			name := strings.Join(parts[:3], "/")
			names = append(names, name)
			after = root + name + "/~" // beyond every file of the table: one listing a table
		}
	}
}

// maintainedGold opens a gold table by its name, with the columns that it was
// made with; nil if it is none.
func (l *Lake) maintainedGold(ctx context.Context, name string) (*table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.golds[name]; g != nil {
		delete(l.strangers, name)
		return g.table, nil
	}
	if t := l.strangers[name]; t != nil {
		return t, nil
	}
	opened, err := delta.Open(ctx, l.store, string(l.fleet.Name)+"/"+name, delta.Options{Log: l.log, Now: l.now})
	if errors.Is(err, drumbeat.ErrNotFound) {
		return nil, nil // files without a table
	}
	if err != nil {
		return nil, err
	}
	own := vectorCodec(nil).names()
	features := opened.Snapshot().Schema().Names()
	if len(features) < len(own) || !slices.Equal(features[:len(own)], own) {
		l.log.WarnContext(ctx, "a table under gold is none of ours and is left alone", "table", opened.Name())
		return nil, nil
	}
	t, err := l.openTable(ctx, name, "materialize", vectorCodec(features[len(own):]).schema())
	if err == nil {
		l.strangers[name] = t
	}
	return t, err
}
