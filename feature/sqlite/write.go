package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"drumbeat"
	"drumbeat/feature"
)

// upsert writes a record unless the stored one is as far or further (P4).
const upsert = `
INSERT INTO records (view, machine, epoch, part, "offset", idx, vector, advance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (view, machine) DO UPDATE SET
    epoch = excluded.epoch, part = excluded.part, "offset" = excluded."offset", idx = excluded.idx,
    vector = excluded.vector, advance = excluded.advance
WHERE (excluded.epoch, excluded."offset", excluded.idx) > (epoch, "offset", idx)`

// Write implements feature.Online: all records in one transaction.
func (s *Store) Write(ctx context.Context, hash drumbeat.Hash, records []feature.Record) ([]bool, error) {
	if err := feature.CheckRecords(records); err != nil {
		return nil, err
	}
	if s.closed.Load() {
		return nil, feature.ErrClosed
	}
	s.commit.Lock()
	defer s.commit.Unlock()
	applied, view, err := s.commitRecords(ctx, hash, records)
	if err != nil {
		return nil, fmt.Errorf("write %d records: %w", len(records), err)
	}
	s.views[hash] = view
	for i, ok := range applied {
		if ok {
			s.cache.put(hash, records[i])
		}
	}
	return applied, nil
}

func (s *Store) commitRecords(
	ctx context.Context, hash drumbeat.Hash, records []feature.Record,
) (applied []bool, view int64, err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the cause
		}
	}()
	view, ok := s.views[hash]
	if !ok {
		if view, err = addView(ctx, tx, hash); err != nil {
			return nil, 0, err
		}
	}
	statement, err := tx.PrepareContext(ctx, upsert)
	if err != nil {
		return nil, 0, err
	}
	defer statement.Close()
	applied = make([]bool, len(records))
	var packed []byte
	for i := range records {
		v := &records[i].Vector
		if s.cache.holds(hash, v.Machine, v.Position) {
			continue
		}
		advance := records[i].Advance
		if advance == nil {
			advance = []byte{}
		}
		packed = feature.AppendVector(packed[:0], v)
		result, err := statement.ExecContext(ctx, view, string(v.Machine),
			v.Position.Epoch, v.Position.Partition, v.Position.Offset, v.Position.Index, packed, advance)
		if err != nil {
			return nil, 0, fmt.Errorf("machine %s: %w", v.Machine, err)
		}
		changed, err := result.RowsAffected()
		if err != nil {
			return nil, 0, err
		}
		applied[i] = changed > 0
	}
	return applied, view, tx.Commit()
}

func addView(ctx context.Context, tx *sql.Tx, hash drumbeat.Hash) (int64, error) {
	result, err := tx.ExecContext(ctx, `INSERT INTO views (hash) VALUES (?)`, string(hash))
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}
