package delta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/failpoint"

	"golang.org/x/sync/errgroup"
)

// encoders is how many batches of one append are encoded side by side: the
// development machines have two cores, and each encoder holds a file.
const encoders = 2

// Txn is one application's step from the version that it has seen to the one
// that this commit makes (a txn action).
type Txn struct {
	From, To int64 // From is NoTxn for an application's first
}

// Commit is what an append says beside its rows.
type Commit struct {
	// Txns moves applications on, all at once, by application id. If all have
	// come to their To already, nothing is written: it was written before. If
	// only some have, or one stands elsewhere than at From, the append is
	// refused with drumbeat.ErrConflict: read Snapshot().Txn and try again.
	Txns map[string]Txn
	// Base, if set, makes the commit the one right after that snapshot, or
	// drumbeat.ErrConflict.
	Base *Snapshot
	// Operation is for people who read the log; WRITE if empty.
	Operation string
}

// Append adds batches, a file each, in one commit. Empty batches are skipped;
// without rows and without Txns nothing happens. Rows become visible together
// or not at all, and are durable when Append returns nil. After an error the
// commit may or may not have happened: Txns or Base make trying again safe.
func (t *Table) Append(ctx context.Context, batches []*Batch, c Commit) error {
	batches = slices.DeleteFunc(slices.Clone(batches), func(b *Batch) bool { return b.N == 0 })
	if len(batches) == 0 && len(c.Txns) == 0 {
		return nil
	}
	schema := t.Snapshot().schema // which the batches were made for
	done, err := c.check(t.Snapshot())
	if done || errors.Is(err, drumbeat.ErrConflict) { // by what was known, which may be old or restored since
		var newest *Snapshot
		if newest, err = t.Refresh(ctx); err == nil {
			done, err = c.check(newest)
		}
	}
	if err == nil && !done {
		err = t.append(ctx, schema, batches, c)
	}
	if err != nil {
		return fmt.Errorf("append to table %s: %w", t.Name(), err)
	}
	return nil
}

func (t *Table) append(ctx context.Context, schema Schema, batches []*Batch, c Commit) error {
	adds, err := t.write(ctx, schema, batches)
	defer t.wrote(adds)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.catchUp(ctx); err != nil {
		return err
	}
	for range t.tries {
		snapshot := t.current.Load()
		if done, err := c.check(snapshot); err != nil || done {
			return err
		}
		if snapshot.schema.difference(schema) != "" {
			return fmt.Errorf("the table's columns were changed meanwhile: %w", drumbeat.ErrConflict)
		}
		err := t.commit(ctx, snapshot, t.actions(snapshot.version+1, adds, c))
		if err == nil {
			t.checkpointIfDue(ctx)
			return nil
		}
		if !errors.Is(err, drumbeat.ErrConflict) {
			return err
		}
		if err := t.refresh(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("others were first %d times: %w", t.tries, drumbeat.ErrConflict)
}

// check says whether a commit has been made already, or why it cannot be.
func (c *Commit) check(s *Snapshot) (done bool, err error) {
	if err := s.writable(); err != nil {
		return false, err
	}
	ready, past := 0, 0
	for app, step := range c.Txns {
		switch at := s.Txn(app); {
		case step.To <= step.From:
			return false, fmt.Errorf("application %s goes from %d to %d: want a rise: %w", app, step.From, step.To, drumbeat.ErrInvalid)
		case at >= step.To:
			past++
		case at == step.From:
			ready++
		}
	}
	if len(c.Txns) > 0 && past == len(c.Txns) {
		return true, nil
	}
	if ready < len(c.Txns) {
		return false, fmt.Errorf("another writer has moved on some of %d applications: %w", len(c.Txns), drumbeat.ErrConflict)
	}
	if c.Base != nil && c.Base.version != s.version {
		return false, fmt.Errorf("version %d is no longer the newest: %w", c.Base.version, drumbeat.ErrConflict)
	}
	return false, nil
}

// writable says why we must not write to the table, if so.
func (s *Snapshot) writable() error {
	if err := s.protocol.checkWriter(); err != nil {
		return err
	}
	if s.foreign != "" {
		return fmt.Errorf("%s, which this program does not check when it writes: %w", s.foreign, drumbeat.ErrNewer)
	}
	return nil
}

// write encodes and stores a file for each batch. The caller ends with wrote.
func (t *Table) write(ctx context.Context, schema Schema, batches []*Batch) ([]*add, error) {
	var parts []part
	for _, batch := range batches {
		divided, err := schema.split(batch)
		if err != nil {
			return nil, err
		}
		parts = append(parts, divided...)
	}
	stored := schema.stored()
	adds := make([]*add, len(parts))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(encoders)
	for i := range parts {
		group.Go(func() (err error) {
			adds[i], err = t.writeFile(ctx, stored, schema.folder(parts[i].values), i, &parts[i])
			return err
		})
	}
	return adds, group.Wait()
}

// writeFile writes the i-th file of a commit.
func (t *Table) writeFile(ctx context.Context, stored Schema, folder string, i int, p *part) (*add, error) {
	body, err := encodeFile(stored, p.batch, t.codec)
	if err != nil {
		return nil, err
	}
	stats, err := measure(stored, p.batch)
	if err != nil {
		return nil, err
	}
	// A name is used once: a retry after a crash must not meet a file that
	// another commit may already hold.
	name := fmt.Sprintf("%spart-%05d-%s.zstd.parquet", folder, i, newUUID())
	tags := map[string]string{tagChecksum: checksum(body)}
	maps.Copy(tags, p.batch.Tags)
	made := &add{
		Path: name, PartitionValues: nullable(p.values), Size: int64(len(body)),
		ModificationTime: t.now().UnixMilli(), DataChange: true, Tags: tags, Stats: stats,
	}
	t.writes(name)
	if err := t.store.Create(ctx, t.prefix+name, body); err != nil {
		return made, fmt.Errorf("store file: %w", err)
	}
	return made, nil
}

// actions puts a commit together.
func (t *Table) actions(version int64, adds []*add, c Commit) []action {
	operation := c.Operation
	if operation == "" {
		operation = "WRITE"
	}
	actions := []action{t.info(operation)}
	for _, app := range slices.Sorted(maps.Keys(c.Txns)) {
		actions = append(actions, action{Txn: &txn{AppID: app, Version: c.Txns[app].To, LastUpdated: t.now().UnixMilli()}})
	}
	for i, a := range adds {
		placed := *a
		placed.Tags = maps.Clone(a.Tags)
		placed.Tags[tagOrder] = order{version: version, index: int64(i)}.String()
		actions = append(actions, action{Add: &placed})
	}
	return actions
}

// commit writes the version after a snapshot, drumbeat.ErrConflict if
// somebody else has. The caller holds t.mu.
func (t *Table) commit(ctx context.Context, after *Snapshot, actions []action) error {
	body, err := encodeCommit(actions)
	if err != nil {
		return err
	}
	// The new state first: a commit that we could not read back is not made.
	next, err := t.applyCommit(after, after.version+1, body)
	if err != nil {
		return err
	}
	failpoint.Here("delta.commit")
	if err := t.store.Create(ctx, t.commitKey(next.version), body); err != nil {
		return fmt.Errorf("commit version %d: %w", next.version, err)
	}
	failpoint.Here("delta.committed")
	t.current.Store(next)
	t.looked = t.now()
	return nil
}

// checkpointIfDue writes a checkpoint now and then. It only spares readers
// work, so that it could not be written is told and then forgotten.
func (t *Table) checkpointIfDue(ctx context.Context) {
	snapshot := t.current.Load()
	if snapshot.version == 0 || snapshot.version%t.every != 0 {
		return
	}
	failpoint.Here("delta.checkpoint")
	if err := t.writeCheckpoint(ctx, snapshot); err != nil {
		t.log.WarnContext(ctx, "checkpoint could not be written", "table", t.Name(), "version", snapshot.version, "error", err)
	}
}
