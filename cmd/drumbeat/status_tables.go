package main

import (
	"context"
	"strings"

	"drumbeat"
	"drumbeat/delta"
)

// tableStatus is one table of the lake, as its log has it.
type tableStatus struct {
	Table   string `json:"table"`
	Rows    int64  `json:"rows"`
	Files   int    `json:"files"`
	Small   int    `json:"small_files"`
	Bytes   int64  `json:"bytes"`
	Version int64  `json:"version"`
}

// smallFile is what is so small that many of them slow every reader down.
const smallFile = 1 << 20

// tables opens the fleet's Delta tables.
func (d *depot) tables(ctx context.Context) ([]*delta.Table, error) {
	keys, err := delta.Tables(ctx, d.objects, string(d.def.Name)+"/")
	if err != nil {
		return nil, err
	}
	var tables []*delta.Table
	for _, key := range keys {
		table, err := delta.Open(ctx, d.objects, key, delta.Options{Log: d.log})
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, nil
}

func statusOf(t *delta.Table, fleet drumbeat.FleetName) tableStatus {
	snapshot := t.Snapshot()
	s := tableStatus{
		Table: strings.TrimPrefix(t.Name(), string(fleet)+"/"), Rows: snapshot.Rows(), Files: len(snapshot.Files()), Version: snapshot.Version(),
	}
	for _, file := range snapshot.Files() {
		s.Bytes += file.Size
		if file.Size < smallFile {
			s.Small++
		}
	}
	return s
}
