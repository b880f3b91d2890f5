package delta

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/failpoint"

	"github.com/parquet-go/parquet-go"
)

const (
	// keepTombstones is how long checkpoints remember removed files, in
	// milliseconds: the protocol's default of a week, within which a reader of
	// an older version may still be at work.
	keepTombstones = 7 * 24 * 3600 * 1000
	// maxCheckpointRows bounds a checkpoint: no table of ours has so many files.
	maxCheckpointRows = 10_000_000
)

// writeCheckpoint writes a snapshot as one Parquet file, then names it in
// _last_checkpoint. The caller holds t.mu.
func (t *Table) writeCheckpoint(ctx context.Context, s *Snapshot) error {
	rows := s.checkpointRows(t.now().UnixMilli() - keepTombstones)
	var out bytes.Buffer
	writer := parquet.NewGenericWriter[action](&out, parquet.Compression(t.codec))
	if _, err := writer.Write(rows); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	err := t.store.Create(ctx, t.checkpointKey(s.version), out.Bytes())
	if err != nil && !errors.Is(err, drumbeat.ErrConflict) {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	failpoint.Here("delta.checkpoint_stored")
	last, err := json.Marshal(lastCheckpoint{
		Version: s.version, Size: int64(len(rows)), Tags: map[string]string{tagChecksum: checksum(out.Bytes())},
	})
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	// Between the two a reader finds no hint and lists the log instead.
	if err := t.store.Delete(ctx, t.lastCheckpointKey()); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	failpoint.Here("delta.hint_deleted")
	if err := t.store.Create(ctx, t.lastCheckpointKey(), last); err != nil && !errors.Is(err, drumbeat.ErrConflict) {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	failpoint.Here("delta.hint_stored")
	return nil
}

// checkpointRows returns the actions that make a snapshot, files in the order
// of their rows.
func (s *Snapshot) checkpointRows(forgetBefore int64) []action {
	rows := []action{{Protocol: s.protocol}, {MetaData: s.meta}}
	for _, app := range slices.Sorted(maps.Keys(s.txns)) {
		t := s.txns[app]
		rows = append(rows, action{Txn: &t})
	}
	for _, t := range s.removed {
		if t.removed >= forgetBefore {
			rows = append(rows, action{Remove: &remove{Path: t.path, DeletionTimestamp: t.removed}})
		}
	}
	for _, f := range s.files {
		tags := maps.Clone(f.Tags)
		if tags == nil {
			tags = map[string]string{}
		}
		tags[tagOrder] = f.order.String()
		rows = append(rows, action{Add: &add{
			Path: escapePath(f.Path), PartitionValues: map[string]string{}, Size: f.Size,
			ModificationTime: f.Modified.UnixMilli(), Tags: tags, Stats: f.raw,
		}})
	}
	return rows
}

// escapePath writes a file's path as actions hold it. Our own names need
// nothing; those of other writers may.
func escapePath(path string) string {
	if !strings.ContainsAny(path, "% #?:") {
		return path
	}
	return strings.NewReplacer("%", "%25", " ", "%20", "#", "%23", "?", "%3F", ":", "%3A").Replace(path)
}

// readCheckpoint reads the checkpoint of a version, and holds it to what the
// hint says of it.
func (t *Table) readCheckpoint(ctx context.Context, version int64, hint lastCheckpoint) (*Snapshot, error) {
	key := t.checkpointKey(version)
	body, err := t.store.Read(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if want := hint.Tags[tagChecksum]; hint.Version == version && want != "" && want != checksum(body) {
		return nil, damaged("checkpoint "+key, fmt.Errorf("its checksum is %s, want %s", checksum(body), want))
	}
	actions, err := decodeCheckpoint(key, body)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{table: t, version: version - 1, schema: t.wanted}
	next, err := s.apply(version, actions)
	if err != nil {
		return nil, fmt.Errorf("read checkpoint %s: %w", key, err)
	}
	return next, nil
}

// decodeCheckpoint reads the actions of a checkpoint.
func decodeCheckpoint(key string, body []byte) (actions []action, err error) {
	defer rescue("checkpoint "+key, &err)
	file, err := openParquet(bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, damaged("checkpoint "+key, err)
	}
	if column := file.Root().Column("sidecar"); column != nil {
		return nil, fmt.Errorf("read checkpoint %s: it is of version 2, which is not read here: %w", key, drumbeat.ErrNewer)
	}
	if file.NumRows() > maxCheckpointRows {
		return nil, fmt.Errorf("read checkpoint %s: it has %d rows, more than %d: %w", key, file.NumRows(), maxCheckpointRows, drumbeat.ErrLimit)
	}
	reader := parquet.NewGenericReader[action](file)
	defer func() { err = errors.Join(err, reader.Close()) }()
	for {
		rows := make([]action, 512)
		n, err := reader.Read(rows)
		for i := range rows[:n] {
			if err := rows[i].check(); err != nil {
				return nil, fmt.Errorf("read checkpoint %s: %w", key, err)
			}
		}
		actions = append(actions, rows[:n]...)
		if errors.Is(err, io.EOF) {
			return actions, nil
		}
		if err != nil {
			return nil, damaged("checkpoint "+key, err)
		}
		if n == 0 {
			return nil, damaged("checkpoint "+key, io.ErrUnexpectedEOF)
		}
	}
}
