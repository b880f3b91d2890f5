package main

import (
	"context"
	"fmt"
	"net/http"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/pipeline"
)

// runsCommand lists the runs of a site's stages.
type runsCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Only this fleet's."`
	Graph string             `help:"Only of this stage: train, monitor, refine, …"`
	ID    string             `arg:"" optional:"" help:"Show this run, step by step."`
	Limit int                `default:"20" help:"At most so many (1 to 1000)."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// runsQuery asks for runs.
type runsQuery struct {
	Fleet drumbeat.FleetName `query:"fleet" maxLength:"200"`
	Graph string             `query:"graph" maxLength:"200" doc:"Only of this stage"`
	Limit int                `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// runList is runs, those last asked for first.
type runList struct {
	Runs []pipeline.Run `json:"runs"`
}

func listRuns() *operation[runsQuery, output[runList]] {
	return &operation[runsQuery, output[runList]]{
		method: http.MethodGet, path: "/v1/runs", id: "list-runs", least: access.Viewer,
		summary: "The runs of the stages, those last asked for first",
		run: func(ctx context.Context, h *host, _ access.Person, in *runsQuery) (*output[runList], error) {
			list, err := h.runs.List(ctx, pipeline.Query{Fleet: in.Fleet, Graph: in.Graph, Limit: in.Limit})
			return answer(runList{append([]pipeline.Run{}, list...)}, err)
		},
	}
}

// runQuery names a run.
type runQuery struct {
	Run string `query:"run" maxLength:"200" required:"true"`
}

func showRun() *operation[runQuery, output[pipeline.Run]] {
	return &operation[runQuery, output[pipeline.Run]]{
		method: http.MethodGet, path: "/v1/run", id: "show-run", least: access.Viewer,
		summary: "A run, step by step, with what each step made",
		run: func(ctx context.Context, h *host, _ access.Person, in *runQuery) (*output[pipeline.Run], error) {
			run, err := h.runs.Run(ctx, in.Run)
			return answer(withoutTrees(run), err)
		},
	}
}

// Run prints runs, or one.
func (c *runsCommand) Run(ctx context.Context, p *process) error {
	if c.ID != "" {
		out, err := call(ctx, p, c.Data, showRun(), &runQuery{c.ID})
		if err != nil {
			return err
		}
		if c.JSON {
			return printJSON(p.stdout, out.Body)
		}
		return printRun(p, &out.Body)
	}
	out, err := call(ctx, p, c.Data, listRuns(), &runsQuery{c.Fleet, c.Graph, c.Limit})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, out.Body)
	}
	return printTable(p.stdout, []string{"run", "stage", "fleet", "state", "asked (fleet)", "by", "reason"}, func(row func(...any)) {
		for i := range out.Body.Runs {
			r := &out.Body.Runs[i]
			reason := r.Reason.String()
			if r.Error != "" {
				reason = fmt.Sprintf("%s; %s", reason, r.Error)
			}
			row(r.ID, r.Graph, r.Fleet, r.State, r.Requested.Fleet, r.Who, reason)
		}
	})
}
