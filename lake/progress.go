package lake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"drumbeat"
	"drumbeat/delta"
)

// Progress is the next offset to be read, by partition.
type Progress map[int32]int64

const (
	// splitRows is the size from which an append becomes one file a partition:
	// smaller files cost more to open than they spare.
	splitRows = 50_000
	// attempts bounds how often an append is put together anew because another
	// process moved the same table on. There should be none at all.
	attempts = 8
)

// table is a Delta table whose rows come from a topic, with the progress of
// the verb that writes it.
type table struct {
	*delta.Table
	verb string
}

// app is the Delta application id of a verb's progress in a partition.
func (t *table) app(epoch, partition int32) string {
	return fmt.Sprintf("%s/%d/%d", t.verb, epoch, partition)
}

// progress returns what a snapshot says of every epoch's partitions.
func (t *table) progress(s *delta.Snapshot) map[int32]Progress {
	all := map[int32]Progress{}
	for app, version := range s.Txns() {
		rest, ours := strings.CutPrefix(app, t.verb+"/")
		first, second, two := strings.Cut(rest, "/")
		epoch, err1 := strconv.ParseInt(first, 10, 32)
		partition, err2 := strconv.ParseInt(second, 10, 32)
		if !ours || !two || err1 != nil || err2 != nil {
			continue // another program's application
		}
		if all[int32(epoch)] == nil {
			all[int32(epoch)] = Progress{}
		}
		all[int32(epoch)][int32(partition)] = version
	}
	return all
}

// at returns an epoch's progress as of the last commit known.
func (t *table) at(epoch int32) Progress {
	if p := t.progress(t.Snapshot())[epoch]; p != nil {
		return p
	}
	return Progress{}
}

// placed is a table whose rows came from a topic, to be written once.
type placed[T any] struct {
	table *table
	// always commits progress even where there is no row.
	always bool
}

// write appends the rows at or after the table's own progress, and moves it to
// next, in one commit.
func (p placed[T]) write(ctx context.Context, parts []*gathered[T], epoch int32, next Progress) error {
	if err := p.check(parts, epoch, next); err != nil {
		return err
	}
	for range attempts {
		commit, pieces := p.prepare(parts, epoch, next)
		if len(commit.Txns) == 0 || len(pieces) == 0 && !p.always {
			return nil
		}
		err := p.table.Append(ctx, batches(pieces), commit)
		if err == nil || !errors.Is(err, drumbeat.ErrConflict) {
			return err
		}
		if _, err := p.table.Refresh(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("append to table %s: another process writes it; stop all but one: %w", p.table.Name(), drumbeat.ErrConflict)
}

// check holds rows to what makes progress true: all of one epoch, and below
// next.
func (p placed[T]) check(parts []*gathered[T], epoch int32, next Progress) error {
	for partition, offset := range next {
		if partition < 0 || offset < 0 {
			return fmt.Errorf("append to table %s: progress %d of partition %d: want no negative number: %w",
				p.table.Name(), offset, partition, drumbeat.ErrInvalid)
		}
	}
	for _, part := range parts {
		n := len(part.offsets)
		if n == 0 {
			continue
		}
		if part.epoch != epoch {
			return fmt.Errorf("append to table %s: rows of epoch %d in partition %d, want epoch %d: %w",
				p.table.Name(), part.epoch, part.partition, epoch, drumbeat.ErrInvalid)
		}
		if part.offsets[0] < 0 || part.offsets[n-1] >= next[part.partition] {
			return fmt.Errorf("append to table %s: rows at offsets %d to %d of partition %d, want them below the progress %d: %w",
				p.table.Name(), part.offsets[0], part.offsets[n-1], part.partition, next[part.partition], drumbeat.ErrInvalid)
		}
	}
	return nil
}

// prepare says which rows and which progress are new to the table.
func (p placed[T]) prepare(parts []*gathered[T], epoch int32, next Progress) (delta.Commit, []piece) {
	snapshot := p.table.Snapshot()
	have := Progress{}
	commit := delta.Commit{Txns: map[string]delta.Txn{}, Operation: "WRITE"}
	for partition, offset := range next {
		app := p.table.app(epoch, partition)
		from := snapshot.Txn(app)
		have[partition] = from
		if offset > from {
			commit.Txns[app] = delta.Txn{From: from, To: offset}
		}
	}
	var pieces []piece
	for _, part := range parts {
		if piece := part.from(have[part.partition]); piece.n > 0 {
			pieces = append(pieces, piece)
		}
	}
	return commit, pieces
}

// epochOf returns the one epoch that rows stand in, or standing if there are
// no rows.
func epochOf[T any](standing int32, rows []T, at func(*T) *drumbeat.Position) int32 {
	if len(rows) == 0 {
		return standing
	}
	return at(&rows[0]).Epoch
}

// least returns progress that is at most p and at most q.
func (p Progress) least(q Progress) Progress {
	out := maps.Clone(p)
	for partition := range out {
		out[partition] = min(out[partition], q[partition])
	}
	return out
}

// covers says whether p is at or beyond q everywhere.
func (p Progress) covers(q Progress) bool {
	for partition, offset := range q {
		if p[partition] < offset {
			return false
		}
	}
	return true
}
