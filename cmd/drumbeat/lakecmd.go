package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"text/tabwriter"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/lake"
)

// lakeCommand looks at a fleet's tables and looks after them.
type lakeCommand struct {
	Counts  countLakeCommand   `cmd:"" default:"withargs" help:"Count what the lake holds, table by table, fate by fate."`
	Tables  lakeTablesCommand  `cmd:"" help:"List the tables: rows, files, bytes, version, columns they are partitioned by."`
	History lakeHistoryCommand `cmd:"" help:"List a table's versions: when, by whom, what was added and removed."`
	Show    lakeShowCommand    `cmd:"" help:"Show a table's columns and rows, also as they were at a version or a time."`
	Verify  lakeVerifyCommand  `cmd:"" help:"Read every file and hold it to its checksums, counts and statistics."`
	Compact lakeCompactCommand `cmd:"" help:"Put small files together. A running site does it by itself."`
	Vacuum  lakeVacuumCommand  `cmd:"" help:"Delete files that were removed from their tables. A running site does it by itself."`
	Restore lakeRestoreCommand `cmd:"" help:"Bring bronze, silver or another table back to what it was."`
	Export  lakeExportCommand  `cmd:"" help:"Write a table's rows as CSV or NDJSON."`
}

// Help teaches the command.
func (lakeCommand) Help() string {
	return `Tables are Delta tables that Spark, DuckDB, Databricks and the Python deltalake read where they lie: in objects/ of the data folder,
or in the site's bucket. A table is named as docs/format/lake.md has it: bronze, silver/readings, gold/VIEW/HASH. Only restore needs
the site to stand still; everything else may be done while it runs.

Examples:
  drumbeat lake --data D
  drumbeat lake history --data D silver/readings
  drumbeat lake show --data D silver/readings --at 2026-03-02T12:00:00Z --columns machine,event_time,power_kw
  drumbeat lake verify --data D
  drumbeat lake restore --data D silver --at 2026-03-02T12:00:00Z
  drumbeat lake export --data D predictions --to predictions.csv`
}

// countLakeCommand counts what the lake holds.
type countLakeCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

func countLake() *operation[ofFleet, output[lake.Counts]] {
	return &operation[ofFleet, output[lake.Counts]]{
		method: http.MethodGet, path: "/v1/lake", id: "count-lake", least: access.Viewer,
		summary: "What the lake holds, table by table, fate by fate",
		run: func(ctx context.Context, h *host, _ access.Person, in *ofFleet) (*output[lake.Counts], error) {
			d, err := h.depot(in.Fleet)
			if err != nil {
				return nil, err
			}
			return answer(d.lake.Counts(ctx))
		},
	}
}

// Run prints rows by table, items set aside by fate, dead letters by reason.
func (c *countLakeCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, countLake(), &ofFleet{c.Fleet})
	if err != nil {
		return err
	}
	counts := &out.Body
	if c.JSON {
		return printJSON(p.stdout, counts)
	}
	return printTable(p.stdout, []string{"what", "which", "count"}, func(row func(...any)) {
		for _, part := range []struct {
			title  string
			counts map[string]int64
		}{
			{"rows", counts.Rows},
			{"set aside", counts.Aside},
			{"dead letters", counts.DeadLetters},
			{"reason", counts.Reasons},
			{"values clipped", counts.Clipped},
			{"values nulled", counts.Nulled},
			{"values stuck", counts.Stuck},
			{"values jumped", counts.Jumps},
		} {
			for _, name := range slices.Sorted(maps.Keys(part.counts)) {
				row(part.title, name, part.counts[name])
			}
		}
	})
}

// printJSON writes a value as one indented document.
func printJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printTable writes rows in columns under a heading.
func printTable(w io.Writer, heading []string, fill func(row func(cells ...any))) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	write := func(cells ...any) {
		for i, cell := range cells {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cell)
		}
		fmt.Fprintln(table)
	}
	titles := make([]any, len(heading))
	for i, title := range heading {
		titles[i] = title
	}
	write(titles...)
	fill(write)
	return table.Flush()
}
