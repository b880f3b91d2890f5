package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
)

// lakeFlags are what every command on tables takes.
type lakeFlags struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
}

// open opens the lake's store beside whoever else works in the data folder,
// and returns the fleet that is meant.
func (f *lakeFlags) open(ctx context.Context, p *process) (*site, drumbeat.FleetName, error) {
	opened := &folder{dir: f.Data}
	if err := opened.load(false); err != nil {
		return nil, "", err
	}
	s := &site{folder: opened, log: p.log}
	names := make([]drumbeat.FleetName, len(s.head.Fleets))
	for i, head := range s.head.Fleets {
		names[i] = head.Name
	}
	at, err := s.fleetAmong(names, f.Fleet)
	if err != nil {
		return nil, "", err
	}
	if s.file, err = loadSite(f.Data); err == nil {
		err = s.openObjects(ctx)
	}
	if err != nil {
		return nil, "", errors.Join(err, s.Close())
	}
	return s, names[at], nil
}

// with opens the store and the named table of it.
func (f *lakeFlags) with(ctx context.Context, p *process, name string, do func(*delta.Table) error) error {
	s, fleetName, err := f.open(ctx, p)
	if err != nil {
		return err
	}
	table, err := s.tableOf(ctx, fleetName, name)
	if err == nil {
		err = do(table)
	}
	return errors.Join(err, s.Close())
}

// tableOf opens a table by its name.
func (s *site) tableOf(ctx context.Context, of drumbeat.FleetName, name string) (*delta.Table, error) {
	root := string(of) + "/"
	known, err := delta.Tables(ctx, s.objects, root)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(known, root+name) {
		for i := range known {
			known[i] = strings.TrimPrefix(known[i], root)
		}
		return nil, fmt.Errorf("fleet %s has no table %q; it has %s: %w", of, name, strings.Join(known, ", "), drumbeat.ErrNotFound)
	}
	return delta.Open(ctx, s.objects, root+name, delta.Options{Log: s.log})
}

// moment says which version of a table is meant.
type moment struct {
	Version int64  `default:"-1" help:"As it was at this version; -1 is the newest."`
	At      string `help:"As it was at this time, such as 2026-03-02T12:00:00Z."`
}

// of returns the table at the moment.
func (m *moment) of(ctx context.Context, t *delta.Table) (*delta.Snapshot, error) {
	if m.At == "" {
		if m.Version == -1 {
			return t.Snapshot(), nil
		}
		return t.At(ctx, m.Version)
	}
	at, err := m.time()
	if err != nil {
		return nil, err
	}
	return t.AtTime(ctx, at)
}

func (m *moment) time() (time.Time, error) {
	if m.Version != -1 {
		return time.Time{}, fmt.Errorf("--at %s and --version %d: say one of the two: %w", m.At, m.Version, drumbeat.ErrInvalid)
	}
	at, ok := fleet.ParseTime(m.At)
	if !ok {
		return time.Time{}, fmt.Errorf("read --at %q: want a time such as 2026-03-02T12:00:00Z: %w", m.At, drumbeat.ErrInvalid)
	}
	return at.Std(), nil
}

type lakeTablesCommand struct {
	lakeFlags
	JSON bool `name:"json" help:"Print one JSON document."`
}

// tableLine is one table of `lake tables`.
type tableLine struct {
	Table      string           `json:"table"`
	Rows       int64            `json:"rows"`
	Files      int              `json:"files"`
	Bytes      int64            `json:"bytes"`
	Version    int64            `json:"version"`
	Partitions []string         `json:"partitioned_by,omitempty"`
	Progress   map[string]int64 `json:"progress,omitempty"` // of applications (txn)
}

// Run lists the tables.
func (c *lakeTablesCommand) Run(ctx context.Context, p *process) error {
	s, of, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	all, err := tableLines(ctx, s, of)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, all)
	}
	return printTable(p.stdout, []string{"table", "rows", "files", "bytes", "version", "partitioned by"}, func(row func(...any)) {
		for i := range all {
			t := &all[i]
			row(t.Table, t.Rows, t.Files, t.Bytes, t.Version, strings.Join(t.Partitions, ", "))
		}
	})
}

func tableLines(ctx context.Context, s *site, of drumbeat.FleetName) ([]tableLine, error) {
	root := string(of) + "/"
	names, err := delta.Tables(ctx, s.objects, root)
	if err != nil {
		return nil, err
	}
	all := make([]tableLine, 0, len(names))
	for _, name := range names {
		t, err := delta.Open(ctx, s.objects, name, delta.Options{Log: s.log})
		if err != nil {
			return nil, err
		}
		now := t.Snapshot()
		line := tableLine{
			Table: strings.TrimPrefix(name, root), Rows: now.Rows(), Files: len(now.Files()), Version: now.Version(), Progress: now.Txns(),
		}
		for _, f := range now.Files() {
			line.Bytes += f.Size
		}
		for _, field := range now.Schema() {
			if field.Partition {
				line.Partitions = append(line.Partitions, field.Name)
			}
		}
		all = append(all, line)
	}
	return all, nil
}

type lakeHistoryCommand struct {
	lakeFlags
	Table string `arg:"" help:"Table, such as bronze or silver/readings."`
	Limit int    `default:"30" help:"The newest so many."`
	JSON  bool   `name:"json" help:"Print one JSON document."`
}

// Run lists a table's versions, the newest first.
func (c *lakeHistoryCommand) Run(ctx context.Context, p *process) error {
	return c.with(ctx, p, c.Table, func(t *delta.Table) error {
		all, err := t.History(ctx)
		if err != nil {
			return err
		}
		slices.Reverse(all)
		all = all[:min(len(all), max(c.Limit, 1))]
		if c.JSON {
			return printJSON(p.stdout, all)
		}
		return printTable(p.stdout, []string{"version", "time", "operation", "files", "rows", "bytes", "progress"}, func(row func(...any)) {
			for i := range all {
				v := &all[i]
				row(v.Version, v.At.Format("2006-01-02T15:04:05.000Z"), v.Operation, fmt.Sprintf("+%d -%d", v.Added, v.Removed), v.Rows, v.Bytes, txnText(v.Txns))
			}
		})
	})
}

func txnText(txns map[string]int64) string {
	parts := make([]string, 0, len(txns))
	for _, app := range slices.Sorted(maps.Keys(txns)) {
		parts = append(parts, fmt.Sprintf("%s=%d", app, txns[app]))
	}
	return some(parts)
}

type lakeShowCommand struct {
	lakeFlags
	moment
	Table   string   `arg:"" help:"Table, such as bronze or silver/readings."`
	Columns []string `help:"Only these columns, separated by commas."`
	Rows    int      `default:"10" help:"How many rows, the last of the table; 0 shows the columns only."`
	JSON    bool     `name:"json" help:"Print one JSON document."`
}

// shownTable is the document of `lake show`.
type shownTable struct {
	Table   string                       `json:"table"`
	Version int64                        `json:"version"`
	Rows    int64                        `json:"rows"`
	Files   int                          `json:"files"`
	Columns []shownColumn                `json:"columns"`
	Last    []map[string]json.RawMessage `json:"last_rows"`
}

type shownColumn struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Nullable  bool   `json:"nullable"`
	Partition bool   `json:"partition,omitempty"`
}

// Run shows columns and rows.
func (c *lakeShowCommand) Run(ctx context.Context, p *process) error {
	return c.with(ctx, p, c.Table, func(t *delta.Table) error {
		s, err := c.of(ctx, t)
		if err != nil {
			return err
		}
		fields, err := chosen(s.Schema(), c.Columns)
		if err != nil {
			return err
		}
		out := shownTable{Table: c.Table, Version: s.Version(), Rows: s.Rows(), Files: len(s.Files()), Last: []map[string]json.RawMessage{}}
		for _, f := range fields {
			out.Columns = append(out.Columns, shownColumn{f.Name, f.String(), f.Nullable, f.Partition})
		}
		rows, err := lastRows(ctx, s, fields, c.Rows)
		if err != nil {
			return err
		}
		if c.JSON {
			for _, row := range rows {
				out.Last = append(out.Last, row.json)
			}
			return printJSON(p.stdout, out)
		}
		return printShown(p, &out, fields, rows)
	})
}

func printShown(p *process, out *shownTable, fields delta.Schema, rows []lakeRow) error {
	fmt.Fprintf(p.stdout, "%s at version %d: %d rows in %d files\n\n", out.Table, out.Version, out.Rows, out.Files)
	err := printTable(p.stdout, []string{"column", "type", "null", "partition"}, func(row func(...any)) {
		for _, f := range out.Columns {
			row(f.Name, f.Type, f.Nullable, f.Partition)
		}
	})
	if err != nil || len(rows) == 0 {
		return err
	}
	fmt.Fprintln(p.stdout)
	return printTable(p.stdout, fields.Names(), func(row func(...any)) {
		for _, r := range rows {
			row(r.cells...)
		}
	})
}

// chosen returns the named fields, all if none is named.
func chosen(schema delta.Schema, names []string) (delta.Schema, error) {
	if len(names) == 0 {
		return schema, nil
	}
	var out delta.Schema
	for _, name := range names {
		at := schema.Index(name)
		if at < 0 {
			return nil, fmt.Errorf("there is no column %q; there are %s: %w", name, strings.Join(schema.Names(), ", "), drumbeat.ErrNotFound)
		}
		out = append(out, schema[at])
	}
	return out, nil
}

// lakeRow is a row as a person and as a program reads it.
type lakeRow struct {
	cells []any
	json  map[string]json.RawMessage
}

// maxCell bounds a cell of a printed row.
const maxCell = 60

// lastRows returns the last n rows, of the last files only.
func lastRows(ctx context.Context, s *delta.Snapshot, fields delta.Schema, n int) ([]lakeRow, error) {
	var files []*delta.File
	have := int64(0)
	for _, f := range slices.Backward(s.Files()) {
		if have >= int64(n) {
			break
		}
		files = append(files, f)
		have += max(f.Rows(), 0)
	}
	slices.Reverse(files)
	var rows []lakeRow
	for batch, err := range s.Scan(ctx, delta.ScanOptions{Columns: fields.Names(), Files: files}) {
		if err != nil {
			return nil, err
		}
		for row := max(0, batch.N-n); row < batch.N; row++ {
			r := lakeRow{json: map[string]json.RawMessage{}}
			for i, f := range fields {
				text, known := f.Text(&batch.Columns[i], row)
				if !known {
					text = "-"
				}
				r.cells = append(r.cells, shortened(text))
				r.json[f.Name] = f.JSON(&batch.Columns[i], row)
			}
			rows = append(rows, r)
		}
		rows = rows[max(0, len(rows)-n):]
	}
	return rows, nil
}

func shortened(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if runes := []rune(text); len(runes) > maxCell {
		return string(runes[:maxCell]) + "…"
	}
	return text
}
