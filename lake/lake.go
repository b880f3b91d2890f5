// Package lake is our tables: bronze, dead letters, silver, gold, labels,
// predictions and findings of one fleet, each a Delta table that other
// programs read (docs/format/lake.md). Rows that come from a topic are written
// exactly once: the progress of whoever writes them is committed with them.
package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
)

// FormatVersion is the version of the tables' layout. It rises when an older
// program would read or write them wrongly.
const FormatVersion = 1

// formatFile says under the fleet's name which version its tables have.
const formatFile = "format.json"

type formatBody struct {
	Format int `json:"format"`
}

// AllPartitions asks a scan for every partition.
const AllPartitions int32 = -1

// Lake is the tables of one fleet. It is safe for concurrent use; each table
// is written by one process at a time.
type Lake struct {
	store delta.Store
	fleet *fleet.Fleet
	log   *slog.Logger
	now   func() time.Time
	epoch atomic.Int32
	home  atomic.Pointer[func(drumbeat.MachineID) int32]

	bronze, deadLetters, lost                       *table
	readings, entries, machines, watermarks, asides *table
	labels, predictions, findings, reports          *table
	readingRows, entryRows, machineRows, markRows   codec[drumbeat.Item]
	bronzeRows                                      codec[drumbeat.Item]

	mu    sync.Mutex
	golds map[string]*Gold
	known map[string]bool // ids of findings
	seen  int64           // version of the findings table that known is of

	maintaining sync.Mutex
	strangers   map[string]*table    // gold that nobody but Maintain has opened
	swept       map[string]time.Time // when each table was last vacuumed
	turn        int                  // the table that Maintain begins with

	predicting     sync.Mutex
	predictedEpoch int32
	predicted      Progress // where the writer of predictions believes to be
}

// safeName is what may be part of a key.
var safeName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$`)

// Open opens the lake of a fleet, under the fleet's name in the store, and
// makes what tables are missing. Any objstore.Store is a delta.Store.
func Open(ctx context.Context, store delta.Store, f *fleet.Fleet, log *slog.Logger) (*Lake, error) {
	return open(ctx, store, f, log, time.Now)
}

// open is Open with a wall clock, by which files grow old.
func open(ctx context.Context, store delta.Store, f *fleet.Fleet, log *slog.Logger, now func() time.Time) (*Lake, error) {
	l := &Lake{
		store: store, fleet: f, log: log, now: now, golds: map[string]*Gold{}, known: map[string]bool{}, seen: -1,
		strangers: map[string]*table{}, swept: map[string]time.Time{},
	}
	if !safeName.MatchString(string(f.Name)) {
		return nil, fmt.Errorf("open lake: fleet %q: want a name of letters, digits, _ . and -: %w", f.Name, drumbeat.ErrInvalid)
	}
	if err := l.checkFormat(ctx); err != nil {
		return nil, fmt.Errorf("open lake of fleet %s: %w", f.Name, err)
	}
	if err := l.openTables(ctx); err != nil {
		return nil, fmt.Errorf("open lake of fleet %s: %w", f.Name, err)
	}
	for _, t := range []*table{l.bronze, l.readings} {
		for epoch := range t.progress(t.Snapshot()) {
			l.epoch.Store(max(l.epoch.Load(), epoch))
		}
	}
	return l, nil
}

// checkFormat refuses tables of a newer format.
func (l *Lake) checkFormat(ctx context.Context) error {
	key := string(l.fleet.Name) + "/" + formatFile
	body, err := l.store.Read(ctx, key)
	if errors.Is(err, drumbeat.ErrNotFound) {
		fresh, err := json.Marshal(formatBody{Format: FormatVersion})
		if err != nil {
			return err
		}
		if err := l.store.Create(ctx, key, fresh); !errors.Is(err, drumbeat.ErrConflict) {
			return err
		}
		body, err = l.store.Read(ctx, key)
		if err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	var have formatBody
	if err := json.Unmarshal(body, &have); err != nil || have.Format < 1 {
		return fmt.Errorf(`read %s: want {"format":%d}, got %.60q; restore it from a backup: %w`,
			key, FormatVersion, body, drumbeat.ErrInvalid)
	}
	if have.Format > FormatVersion {
		return fmt.Errorf("its tables have format %d, this program knows formats up to %d; use a newer program: %w",
			have.Format, FormatVersion, drumbeat.ErrNewer)
	}
	return nil
}

// openTables opens or makes every table but gold's.
func (l *Lake) openTables(ctx context.Context) error {
	var err error
	if l.readingRows, err = readingCodec(l.fleet); err != nil {
		return err
	}
	if l.machineRows, err = machineCodec(l.fleet); err != nil {
		return err
	}
	l.bronzeRows, l.entryRows, l.markRows = bronzeCodec(), entryCodec(), watermarkCodec()
	logs := make([]string, len(l.fleet.Logs))
	for i := range l.fleet.Logs {
		logs[i] = l.fleet.Logs[i].Name
	}
	if err := checkNames("log", logs, typeReading, typeMachine, typeWatermark); err != nil {
		return err
	}
	for _, t := range []struct {
		table  **table
		name   string
		verb   string
		schema delta.Schema
	}{
		{&l.deadLetters, "dead_letters", "ingest", deadCodec().schema()},
		{&l.lost, "lost", "ingest", lostCodec().schema()},
		{&l.bronze, "bronze", "ingest", l.bronzeRows.schema()},
		{&l.asides, "silver/aside", "refine", asideCodec().schema()},
		{&l.entries, "silver/entries", "refine", l.entryRows.schema()},
		{&l.machines, "silver/machines", "refine", l.machineRows.schema()},
		{&l.watermarks, "silver/watermarks", "refine", l.markRows.schema()},
		{&l.readings, "silver/readings", "refine", l.readingRows.schema()},
		{&l.labels, "labels", "label", labelCodec().schema()},
		{&l.predictions, "predictions", "predict", predictionCodec().schema()},
		{&l.findings, "findings", "find", findingCodec().schema()},
		{&l.reports, "reports", "report", reportCodec().schema()},
	} {
		if *t.table, err = l.openTable(ctx, t.name, t.verb, t.schema); err != nil {
			return err
		}
	}
	return nil
}

func (l *Lake) openTable(ctx context.Context, name, verb string, schema delta.Schema) (*table, error) {
	opened, err := delta.Create(ctx, l.store, string(l.fleet.Name)+"/"+name, schema, delta.Options{Log: l.log, Now: l.now})
	if err != nil {
		return nil, err
	}
	return &table{Table: opened, verb: verb}, nil
}

// Epoch returns the topic's epoch (T2) that all progress is about.
func (l *Lake) Epoch() int32 { return l.epoch.Load() }

// UseEpoch begins a new epoch (T2), in which all progress starts at nothing.
// Rows of a greater epoch begin it by themselves; whoever reads a topic calls
// it before asking for progress. What bronze holds of the old epoch must be in
// silver by then, and an older epoch does not come back.
func (l *Lake) UseEpoch(epoch int32) error {
	standing := l.epoch.Load()
	if epoch < standing {
		return fmt.Errorf("begin epoch %d: the lake is in epoch %d already; the topic is an older one than the lake's: %w",
			epoch, standing, drumbeat.ErrInvalid)
	}
	if epoch == standing {
		return nil
	}
	if bronze, silver := l.bronze.at(standing), l.readings.at(standing); !silver.covers(bronze) {
		return fmt.Errorf("begin epoch %d: bronze holds items of epoch %d that are not in silver; refine them first: %w",
			epoch, standing, drumbeat.ErrConflict)
	}
	l.epoch.CompareAndSwap(standing, epoch)
	return nil
}

// SetHome says in which partition of the standing epoch a machine is, for what
// earlier epochs hold of it: their partitions may have been others (T2).
func (l *Lake) SetHome(home func(machine drumbeat.MachineID) int32) { l.home.Store(&home) }

// Home returns the partition of the standing epoch that what stands at a
// position belongs to. Without SetHome it is the one that it stands in.
func (l *Lake) Home(machine drumbeat.MachineID, at drumbeat.Position) int32 {
	if home := l.home.Load(); home != nil && at.Epoch < l.Epoch() {
		return (*home)(machine)
	}
	return at.Partition
}

// begin makes the epoch of rows the standing one.
func (l *Lake) begin(epoch int32) error {
	if epoch <= l.epoch.Load() {
		return nil // older rows are refused, or known, by the tables
	}
	return l.UseEpoch(epoch)
}

// checkNames refuses names of a fleet's own that would hide one of ours.
func checkNames(what string, own []string, taken ...string) error {
	used := map[string]bool{}
	for _, name := range taken {
		used[name] = true
	}
	for _, name := range own {
		if used[name] {
			return fmt.Errorf("%s %s: the lake uses that name already; choose another: %w", what, name, drumbeat.ErrInvalid)
		}
		used[name] = true
	}
	return nil
}
