package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// lakeCommand counts what the lake holds.
type lakeCommand struct {
	Data string `required:"" help:"Data folder." type:"path"`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// Run prints rows by table, items set aside by fate, dead letters by reason.
func (c *lakeCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, nil, p)
	if err != nil {
		return err
	}
	counts, err := s.lake.Counts(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if c.JSON {
		return errors.Join(printJSON(p.stdout, counts), s.Close())
	}
	err = printTable(p.stdout, []string{"what", "which", "count"}, func(row func(...any)) {
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
	return errors.Join(err, s.Close())
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
