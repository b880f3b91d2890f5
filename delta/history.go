package delta

import (
	"context"
	"fmt"
	"time"

	"drumbeat"
)

// Version is one commit of a table.
type Version struct {
	Version    int64             `json:"version"`
	At         time.Time         `json:"at"` // never before that of the version before
	Operation  string            `json:"operation"`
	Parameters map[string]string `json:"parameters,omitempty"`
	Engine     string            `json:"engine"`
	Added      int               `json:"files_added"`
	Removed    int               `json:"files_removed"`
	Rows       int64             `json:"rows_added"` // in the files added, as far as the log says
	Bytes      int64             `json:"bytes_added"`
	Txns       map[string]int64  `json:"txns,omitempty"`
	Columns    bool              `json:"columns_changed,omitempty"`
}

// History returns the versions whose commits are kept, the oldest first. What
// stands before them was cleaned away.
func (t *Table) History(ctx context.Context) ([]Version, error) {
	l, err := t.list(ctx, 0)
	if err != nil {
		return nil, fmt.Errorf("read the history of table %s: %w", t.Name(), err)
	}
	all := make([]Version, 0, len(l.commits))
	for i, version := range l.commits {
		body, err := t.store.Read(ctx, t.commitKey(version))
		var actions []action
		if err == nil {
			actions, err = decodeCommit(t.commitKey(version), body)
		}
		if err != nil {
			return nil, fmt.Errorf("read the history of table %s: %w", t.Name(), err)
		}
		v := versionOf(version, l.written[i], actions)
		if n := len(all); n > 0 && v.At.Before(all[n-1].At) {
			v.At = all[n-1].At // a clock was set back
		}
		all = append(all, v)
	}
	return all, nil
}

func versionOf(version int64, written time.Time, actions []action) Version {
	v := Version{Version: version, At: written.UTC()}
	for i := range actions {
		a := &actions[i]
		switch {
		case a.Info != nil:
			v.Operation, v.Engine, v.Parameters = a.Info.Operation, a.Info.EngineInfo, a.Info.OperationParameters
			if a.Info.Timestamp > 0 {
				v.At = time.UnixMilli(a.Info.Timestamp).UTC()
			}
		case a.Add != nil:
			v.Added++
			v.Bytes += a.Add.Size
			file := File{raw: a.Add.Stats}
			v.Rows += max(file.Rows(), 0)
		case a.Remove != nil:
			v.Removed++
		case a.Txn != nil:
			if v.Txns == nil {
				v.Txns = map[string]int64{}
			}
			v.Txns[a.Txn.AppID] = a.Txn.Version
		case a.MetaData != nil:
			v.Columns = true
		}
	}
	return v
}

// AtTime returns the table as it was at a time: the newest version that was
// committed by then.
func (t *Table) AtTime(ctx context.Context, at time.Time) (*Snapshot, error) {
	all, err := t.History(ctx)
	if err != nil {
		return nil, err
	}
	found := int64(-1)
	for _, v := range all {
		if v.At.After(at) {
			break
		}
		found = v.Version
	}
	if found < 0 {
		oldest := "there is none"
		if len(all) > 0 {
			oldest = "the oldest that is kept is of " + all[0].At.Format(time.RFC3339)
		}
		return nil, fmt.Errorf("open table %s as of %s: no version is so old; %s: %w",
			t.Name(), at.UTC().Format(time.RFC3339), oldest, drumbeat.ErrNotFound)
	}
	return t.At(ctx, found)
}
