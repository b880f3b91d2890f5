package delta

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/parquet-go/parquet-go/compress/zstd"

	"drumbeat"
	"drumbeat/objstore"
)

// Store is where tables live: an objstore.Store.
type Store = objstore.Store

const (
	// defaultCheckpointEvery is how many commits a reader replays at most: some
	// tenths of a second. Checkpoints cost more the more files there are.
	defaultCheckpointEvery = 50
	// defaultAttempts bounds the races that one commit may lose. Each lost race
	// is somebody else's success, so losing so many means a hot loop.
	defaultAttempts = 64
)

// Options is what varies between tables. The zero value is good.
type Options struct {
	Now             func() time.Time // wall clock, for the ages of files; time.Now if nil
	Log             *slog.Logger     // discards if nil
	CheckpointEvery int64            // commits; 50 if 0
	Attempts        int              // at one commit; 64 if 0
}

// Table is a Delta table. It is safe for concurrent use, also by other
// processes and other programs.
type Table struct {
	store  Store
	prefix string // ends in a slash
	wanted Schema // as the caller knows it; nil: as the log says
	now    func() time.Time
	log    *slog.Logger
	every  int64
	tries  int
	codec  *zstd.Codec

	mu      sync.Mutex // held while the log is read or written
	current atomic.Pointer[Snapshot]
	looked  time.Time // when the log was last read or written to its end

	writingMu sync.Mutex
	writing   map[string]bool // files that a commit under way will name
}

func newTable(store Store, prefix string, opt Options) *Table {
	t := &Table{
		store: store, prefix: strings.TrimSuffix(prefix, "/") + "/",
		codec: &zstd.Codec{Level: zstd.SpeedFastest}, now: opt.Now, log: opt.Log, every: opt.CheckpointEvery, tries: opt.Attempts,
		writing: map[string]bool{},
	}
	if t.now == nil {
		t.now = time.Now
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	if t.every == 0 {
		t.every = defaultCheckpointEvery
	}
	if t.tries == 0 {
		t.tries = defaultAttempts
	}
	t.looked = t.now()
	return t
}

// Open opens the table under a prefix, drumbeat.ErrNotFound if there is none.
func Open(ctx context.Context, store Store, prefix string, opt Options) (*Table, error) {
	t := newTable(store, prefix, opt)
	snapshot, err := t.load(ctx, latest)
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", t.Name(), err)
	}
	t.current.Store(snapshot)
	return t, nil
}

// Create opens the table under a prefix, or makes it. A table that exists must
// have the schema's columns; nullable ones that the schema has at its end, and
// the table has not, are added to it.
func Create(ctx context.Context, store Store, prefix string, schema Schema, opt Options) (*Table, error) {
	t := newTable(store, prefix, opt)
	if err := schema.check(); err != nil {
		return nil, fmt.Errorf("create table %s: %w", t.Name(), err)
	}
	t.wanted = schema
	snapshot, err := t.load(ctx, latest)
	if errors.Is(err, drumbeat.ErrNotFound) {
		snapshot, err = t.begin(ctx)
	}
	if err == nil {
		t.current.Store(snapshot)
		err = t.widen(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", t.Name(), err)
	}
	return t, nil
}

// Name returns the table's place in its store.
func (t *Table) Name() string { return strings.TrimSuffix(t.prefix, "/") }

// Snapshot returns the newest version that this Table has seen.
func (t *Table) Snapshot() *Snapshot { return t.current.Load() }

// At returns the table as it was at a version.
func (t *Table) At(ctx context.Context, version int64) (*Snapshot, error) {
	if version < 0 {
		return nil, fmt.Errorf("open table %s at version %d: versions begin at 0: %w", t.Name(), version, drumbeat.ErrInvalid)
	}
	snapshot, err := t.load(ctx, version)
	if err != nil {
		return nil, fmt.Errorf("open table %s at version %d: %w", t.Name(), version, err)
	}
	return snapshot, nil
}

// Refresh reads what others have committed and returns the newest version.
func (t *Table) Refresh(ctx context.Context) (*Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.refresh(ctx); err != nil {
		return nil, fmt.Errorf("refresh table %s: %w", t.Name(), err)
	}
	return t.current.Load(), nil
}

// refresh reads the commits that follow the current snapshot, one by one: most
// often there is none, and asking for it is cheaper than a listing.
func (t *Table) refresh(ctx context.Context) error {
	if err := t.catchUp(ctx); err != nil {
		return err
	}
	for {
		snapshot := t.current.Load()
		body, err := t.store.Read(ctx, t.commitKey(snapshot.version+1))
		if errors.Is(err, drumbeat.ErrNotFound) {
			t.looked = t.now()
			return nil
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if snapshot, err = t.applyCommit(snapshot, snapshot.version+1, body); err != nil {
			return err
		}
		t.current.Store(snapshot)
	}
}

// catchUp reads the table anew if the log was not looked at for so long that
// commits after the current snapshot may have been cleaned away. The caller
// holds t.mu.
func (t *Table) catchUp(ctx context.Context) error {
	if t.now().Sub(t.looked) < staleAfter {
		return nil
	}
	hint, err := t.hint(ctx)
	if err != nil {
		return err
	}
	if hint.Version > t.current.Load().version {
		snapshot, err := t.load(ctx, latest)
		if err != nil {
			return err
		}
		t.current.Store(snapshot)
	}
	t.looked = t.now()
	return nil
}

// begin writes the first commit, unless somebody else just did.
func (t *Table) begin(ctx context.Context) (*Snapshot, error) {
	meta, err := t.metaData(t.wanted)
	if err != nil {
		return nil, err
	}
	body, err := encodeCommit([]action{
		t.info("CREATE TABLE"),
		{Protocol: &protocol{MinReaderVersion: readerVersion, MinWriterVersion: writerVersion}},
		{MetaData: meta},
	})
	if err != nil {
		return nil, err
	}
	if err := t.store.Create(ctx, t.commitKey(0), body); err != nil && !errors.Is(err, drumbeat.ErrConflict) {
		return nil, err
	}
	return t.load(ctx, latest)
}

func (t *Table) metaData(schema Schema) (*metaData, error) {
	text, err := schema.encode()
	if err != nil {
		return nil, err
	}
	return &metaData{
		ID: newUUID(), Format: fileFormat{Provider: "parquet", Options: map[string]string{}}, SchemaString: text,
		PartitionColumns: schema.partitions(), Configuration: map[string]string{}, CreatedTime: t.now().UnixMilli(),
	}, nil
}

func (t *Table) info(operation string) action {
	return action{Info: &commitInfo{
		Timestamp: t.now().UnixMilli(), Operation: operation,
		OperationParameters: map[string]string{}, EngineInfo: engine,
	}}
}

// widen holds the table to the schema that the caller wants, adding columns.
func (t *Table) widen(ctx context.Context) error {
	for range t.tries {
		snapshot := t.current.Load()
		difference := snapshot.schema.difference(t.wanted)
		if difference == "" {
			return nil
		}
		if !snapshot.schema.extends(t.wanted) {
			return fmt.Errorf("its columns differ from what this program wants: %s; "+
				"use the definition that made the table, or another data folder: %w", difference, drumbeat.ErrInvalid)
		}
		meta, err := t.metaData(t.wanted)
		if err != nil {
			return err
		}
		meta.ID, meta.CreatedTime = snapshot.meta.ID, snapshot.meta.CreatedTime
		meta.Configuration = snapshot.meta.Configuration
		err = t.commit(ctx, snapshot, []action{t.info("ADD COLUMNS"), {MetaData: meta}})
		if err == nil || !errors.Is(err, drumbeat.ErrConflict) {
			return err
		}
		if err := t.refresh(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("add columns: others were first %d times: %w", t.tries, drumbeat.ErrConflict)
}

// newUUID returns a random UUID (version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, by its contract
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
