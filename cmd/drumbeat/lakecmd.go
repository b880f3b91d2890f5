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

// lakeCommand counts what the lake holds.
type lakeCommand struct {
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
func (c *lakeCommand) Run(ctx context.Context, p *process) error {
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
