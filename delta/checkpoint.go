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
	body, size := out.Bytes(), int64(len(rows))
	err := t.store.Create(ctx, t.checkpointKey(s.version), body)
	if errors.Is(err, drumbeat.ErrConflict) { // another's is as good, and not the same bytes
		var actions []action
		if body, err = t.store.Read(ctx, t.checkpointKey(s.version)); err == nil {
			actions, err = decodeCheckpoint(t.checkpointKey(s.version), body)
			size = int64(len(actions))
		}
	}
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	failpoint.Here("delta.checkpoint_stored")
	before, err := t.hint(ctx)
	if err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	next := before.followed(s.version, size, checksum(body))
	last, err := next.encode()
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

// keepChecksums is how many checkpoints the hint has checksums of.
const keepChecksums = 16

// checksum returns that of a version's checkpoint, "" if the hint has none.
func (h *lastCheckpoint) checksum(version int64) string {
	if version == h.Version {
		return h.Tags[tagChecksum]
	}
	return h.Tags[olderChecksum(version)]
}

func olderChecksum(version int64) string { return fmt.Sprintf("%s.%020d", tagChecksum, version) }

// followed returns the hint for a newer checkpoint, which remembers the
// checksums of those before it.
func (h *lastCheckpoint) followed(version, size int64, sum string) lastCheckpoint {
	next := lastCheckpoint{Version: version, Size: size, Tags: map[string]string{}}
	maps.Copy(next.Tags, h.Tags)
	if own := h.Tags[tagChecksum]; own != "" && h.Version != version {
		next.Tags[olderChecksum(h.Version)] = own
	}
	next.Tags[tagChecksum] = sum
	delete(next.Tags, tagOwn)
	names := slices.Sorted(maps.Keys(next.Tags)) // the newest one's is the first
	for _, name := range names[1:max(1, len(names)-keepChecksums)] {
		delete(next.Tags, name)
	}
	return next
}

// tagOwn keeps the checksum of the hint itself, taken with zeros in its place.
const tagOwn = "drumbeat.own"

// encode writes the hint with its own checksum.
func (h *lastCheckpoint) encode() ([]byte, error) {
	h.Tags[tagOwn] = noChecksum
	body, err := json.Marshal(h)
	if err == nil {
		h.Tags[tagOwn] = checksum(body)
		body, err = json.Marshal(h)
	}
	return body, err
}

// checkOwn holds a hint to its own checksum; those of other programs have none.
func (h lastCheckpoint) checkOwn(body []byte) error {
	if !bytes.Contains(body, []byte("drumbeat.")) {
		return nil
	}
	if again, err := json.Marshal(h); err != nil || !bytes.Equal(again, body) {
		return fmt.Errorf("it is not as it was written: %w", drumbeat.ErrInvalid)
	}
	want := h.Tags[tagOwn]
	h.Tags = maps.Clone(h.Tags)
	if h.Tags != nil {
		h.Tags[tagOwn] = noChecksum
	}
	blank, err := json.Marshal(h)
	if err != nil || len(blank) != len(body) || want != checksum(blank) {
		return fmt.Errorf("its checksum is %q, want another: %w", want, drumbeat.ErrInvalid)
	}
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
		rows = append(rows, action{Add: f.addition(false)})
	}
	return rows
}

// values returns the partition values as actions hold them.
func (f *File) values() map[string]*string { return nullable(f.Partition) }

// nullable makes values of which "" is null. Spark takes an empty text, which
// the protocol has as null too, for one.
func nullable(values map[string]string) map[string]*string {
	out := make(map[string]*string, len(values))
	for name, value := range values {
		out[name] = nil
		if value != "" {
			out[name] = &value
		}
	}
	return out
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
	if want := hint.checksum(version); want != "" && want != checksum(body) {
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
