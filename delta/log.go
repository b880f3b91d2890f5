package delta

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"drumbeat"
)

const logFolder = "_delta_log/"

// lastCheckpoint is what _last_checkpoint holds: where to begin reading.
type lastCheckpoint struct {
	Version int64 `json:"version"`
	Size    int64 `json:"size"`
	// Tags hold the checkpoint's checksum.
	Tags map[string]string `json:"tags,omitempty"`
}

var (
	commitName     = regexp.MustCompile(`^(\d{20})\.json$`)
	checkpointName = regexp.MustCompile(`^(\d{20})\.checkpoint\.parquet$`)
)

func (t *Table) commitKey(version int64) string {
	return fmt.Sprintf("%s%s%020d.json", t.prefix, logFolder, version)
}

func (t *Table) checkpointKey(version int64) string {
	return fmt.Sprintf("%s%s%020d.checkpoint.parquet", t.prefix, logFolder, version)
}

func (t *Table) lastCheckpointKey() string { return t.prefix + logFolder + "_last_checkpoint" }

// listing is what a log folder holds at or after a version.
type listing struct {
	commits     []int64     // ascending
	written     []time.Time // when each commit was
	checkpoints []int64     // ascending
}

// list lists the log from a version on.
func (t *Table) list(ctx context.Context, from int64) (listing, error) {
	var l listing
	folder := t.prefix + logFolder
	after := folder
	if from > 0 {
		after = fmt.Sprintf("%s%020d", folder, from)
	}
	for entry, err := range t.store.List(ctx, folder, after) {
		if err != nil {
			return l, fmt.Errorf("list log: %w", err)
		}
		name := entry.Key[len(folder):]
		if m := commitName.FindStringSubmatch(name); m != nil {
			if v, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				l.commits, l.written = append(l.commits, v), append(l.written, entry.Modified)
			}
		} else if m := checkpointName.FindStringSubmatch(name); m != nil {
			if v, err := strconv.ParseInt(m[1], 10, 64); err == nil {
				l.checkpoints = append(l.checkpoints, v)
			}
		}
	}
	return l, nil
}

// hint returns what _last_checkpoint says, version 0 if it says nothing. It
// only spares work, so whatever is wrong with it is no error.
func (t *Table) hint(ctx context.Context) (lastCheckpoint, error) {
	body, err := t.store.Read(ctx, t.lastCheckpointKey())
	if errors.Is(err, drumbeat.ErrNotFound) {
		return lastCheckpoint{}, nil
	}
	if err != nil {
		return lastCheckpoint{}, fmt.Errorf("read log: %w", err)
	}
	var last lastCheckpoint
	if bad := json.Unmarshal(body, &last); bad != nil || last.Version < 0 {
		last = lastCheckpoint{}
	}
	return last, nil
}

// latest asks load for the newest version.
const latest = int64(-1)

// load reads the log up to a version, or latest.
func (t *Table) load(ctx context.Context, until int64) (*Snapshot, error) {
	var hint lastCheckpoint
	if until == latest {
		var err error
		if hint, err = t.hint(ctx); err != nil {
			return nil, err
		}
	}
	from := hint.Version
	l, err := t.list(ctx, from)
	if err != nil {
		return nil, err
	}
	if from > 0 && (len(l.checkpoints) == 0 || l.checkpoints[0] != from) {
		if l, err = t.list(ctx, 0); err != nil {
			return nil, err
		}
	}
	var cause error // why the newest checkpoint cannot be used
	for {
		version, snapshot, err := t.fromCheckpoint(ctx, l, until, hint)
		if err == nil {
			snapshot, err = t.replay(ctx, snapshot, l, until)
			if err != nil && cause != nil {
				err = fmt.Errorf("%w; the commits that it stands for are not all there either", cause)
			}
			return snapshot, err
		}
		if ctx.Err() != nil {
			return nil, err
		}
		t.log.WarnContext(ctx, "checkpoint of a table is unusable, more of its log is read instead", "table", t.prefix, "error", err)
		if cause == nil {
			cause = err
			if l, err = t.list(ctx, 0); err != nil {
				return nil, err
			}
		}
		l.checkpoints = slices.DeleteFunc(l.checkpoints, func(v int64) bool { return v >= version })
	}
}

// fromCheckpoint reads the newest checkpoint that is no newer than until, and
// says of which version it is; nil if there is none.
func (t *Table) fromCheckpoint(ctx context.Context, l listing, until int64, hint lastCheckpoint) (int64, *Snapshot, error) {
	for _, version := range slices.Backward(l.checkpoints) {
		if until == latest || version <= until {
			snapshot, err := t.readCheckpoint(ctx, version, hint)
			return version, snapshot, err
		}
	}
	return 0, nil, nil
}

// replay applies the commits that follow a snapshot, nil for none.
func (t *Table) replay(ctx context.Context, s *Snapshot, l listing, until int64) (*Snapshot, error) {
	next := int64(0)
	if s != nil {
		next = s.version + 1
	} else if until != latest && len(l.checkpoints) > 0 && len(l.commits) > 0 && l.commits[0] > 0 {
		return nil, fmt.Errorf("read log: version %d is no longer kept, the oldest is %d: %w", until, l.checkpoints[0], drumbeat.ErrNotFound)
	}
	for _, version := range l.commits {
		if version < next || until != latest && version > until {
			continue
		}
		if version > next {
			return nil, fmt.Errorf("read log: version %d of the table is missing (%s), and version %d follows it; "+
				"restore the file from a backup: %w", next, t.commitKey(next), version, drumbeat.ErrInvalid)
		}
		body, err := t.store.Read(ctx, t.commitKey(version))
		if err != nil {
			return nil, fmt.Errorf("read log: %w", err)
		}
		if s, err = t.applyCommit(s, version, body); err != nil {
			return nil, err
		}
		next++
	}
	if s == nil {
		return nil, fmt.Errorf("read log: there is no table: %w", drumbeat.ErrNotFound)
	}
	if until != latest && s.version != until {
		return nil, fmt.Errorf("read log: version %d does not exist, the newest is %d: %w", until, s.version, drumbeat.ErrNotFound)
	}
	return s, nil
}

// applyCommit applies one commit's bytes to a snapshot, nil for none.
func (t *Table) applyCommit(s *Snapshot, version int64, body []byte) (*Snapshot, error) {
	actions, err := decodeCommit(t.commitKey(version), body)
	if err != nil {
		return nil, err
	}
	if s == nil {
		s = &Snapshot{table: t, version: -1, schema: t.wanted}
	}
	return s.apply(version, actions)
}
