package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"drumbeat"
	"drumbeat/delta"
)

type lakeExportCommand struct {
	lakeFlags
	moment
	Table   string   `arg:"" help:"Table, such as predictions or silver/readings."`
	To      string   `required:"" help:"File: .csv or .ndjson; - is standard output, with --format."`
	Format  string   `enum:",csv,ndjson" default:"" help:"csv or ndjson, if the file's name does not say it."`
	Columns []string `help:"Only these columns, separated by commas."`
}

// Help teaches the command.
func (lakeExportCommand) Help() string {
	return `Decimals keep all their digits, times are RFC 3339 in UTC, bytes base64; null is an empty cell of CSV and null in NDJSON. For other
programs that read Parquet or Delta no export is needed: the table is both.

Example:
  drumbeat lake export --data D silver/readings --at 2026-03-02T12:00:00Z --to readings.csv`
}

// Run writes a table's rows.
func (c *lakeExportCommand) Run(ctx context.Context, p *process) error {
	format := c.Format
	if format == "" {
		format = strings.TrimPrefix(filepath.Ext(c.To), ".")
	}
	if format != "csv" && format != "ndjson" {
		return fmt.Errorf("export to %s: want a name that ends in .csv or .ndjson, or --format: %w", c.To, drumbeat.ErrInvalid)
	}
	return c.with(ctx, p, c.Table, func(t *delta.Table) error {
		s, err := c.of(ctx, t)
		if err != nil {
			return err
		}
		fields, err := chosen(s.Schema(), c.Columns)
		if err != nil {
			return err
		}
		if c.To == "-" {
			_, err := export(ctx, s, fields, format, p.stdout)
			return err
		}
		rows, err := exportFile(ctx, s, fields, format, c.To)
		if err == nil {
			p.say("%d rows of %s at version %d are in %s", rows, c.Table, s.Version(), c.To)
		}
		return err
	})
}

// exportFile writes the file whole or not at all.
func exportFile(ctx context.Context, s *delta.Snapshot, fields delta.Schema, format, to string) (rows int64, err error) {
	file, err := os.CreateTemp(filepath.Dir(to), ".export-*")
	if err != nil {
		return 0, fmt.Errorf("export to %s: %w", to, err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("export to %s: %w", to, errors.Join(err, os.Remove(file.Name())))
		}
	}()
	rows, err = export(ctx, s, fields, format, file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return rows, err
	}
	if err := os.Chmod(file.Name(), 0o640); err != nil { //nolint:gosec // the person asked for a file to be read
		return rows, err
	}
	return rows, os.Rename(file.Name(), to)
}

func export(ctx context.Context, s *delta.Snapshot, fields delta.Schema, format string, to io.Writer) (int64, error) {
	names := fields.Names()
	out := bufio.NewWriterSize(to, 1<<20)
	write := ndjsonRows(out, fields)
	flush := out.Flush
	if format == "csv" {
		table := csv.NewWriter(out)
		if err := table.Write(names); err != nil {
			return 0, err
		}
		write = csvRows(table, fields)
		flush = func() error { table.Flush(); return errors.Join(table.Error(), out.Flush()) }
	}
	rows := int64(0)
	for batch, err := range s.Scan(ctx, delta.ScanOptions{Columns: names}) {
		if err != nil {
			return rows, err
		}
		if err := write(batch); err != nil {
			return rows, err
		}
		rows += int64(batch.N)
	}
	return rows, flush()
}

func csvRows(table *csv.Writer, fields delta.Schema) func(*delta.Batch) error {
	record := make([]string, len(fields))
	return func(batch *delta.Batch) error {
		for row := range batch.N {
			for i, f := range fields {
				record[i], _ = f.Text(&batch.Columns[i], row)
			}
			if err := table.Write(record); err != nil {
				return err
			}
		}
		return nil
	}
}

func ndjsonRows(out io.Writer, fields delta.Schema) func(*delta.Batch) error {
	keys := make([]string, len(fields))
	for i, f := range fields {
		quoted, _ := json.Marshal(f.Name) // a text always marshals
		keys[i] = string(quoted)
	}
	var line []byte
	return func(batch *delta.Batch) error {
		for row := range batch.N {
			line = line[:0]
			for i, f := range fields {
				before := byte(',')
				if i == 0 {
					before = '{'
				}
				line = append(append(append(line, before), keys[i]...), ':')
				line = append(line, f.JSON(&batch.Columns[i], row)...)
			}
			if _, err := out.Write(append(line, '}', '\n')); err != nil {
				return err
			}
		}
		return nil
	}
}
