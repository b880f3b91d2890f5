package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/pipeline"
)

// checkInService asks the running fleet whether it serves what it should.
func checkInService(_ context.Context, e *exam, p *patient) verdict {
	if !e.running() {
		return skipped("no daemon runs")
	}
	d, err := e.host.daemon(p.name)
	if err != nil {
		return e.unreadable(err)
	}
	if trouble := d.trouble.Load(); trouble != nil {
		return found("%s", *trouble).bad("see the checks model-files and view-hash; drumbeat train %s makes another version", p.where())
	}
	return good("it is")
}

// checkRuns looks at the newest run of each graph.
func checkRuns(ctx context.Context, e *exam, p *patient) verdict {
	all, err := p.runs.List(ctx, pipeline.Query{Fleet: p.name})
	if err != nil {
		return e.unreadable(err)
	}
	var graphs, failed, open []string
	for i := range all { // the newest first
		run := &all[i]
		if slices.Contains(graphs, run.Graph) {
			continue
		}
		graphs = append(graphs, run.Graph)
		switch run.State {
		case pipeline.Failed:
			failed = append(failed, fmt.Sprintf("%s (%s): %s", run.Graph, run.ID, run.Error))
		case pipeline.Running:
			open = append(open, fmt.Sprintf("%s (%s)", run.Graph, run.ID))
		case pipeline.Done:
		}
	}
	switch {
	case len(failed) > 0:
		return found("the last run failed of %s", strings.Join(failed, "; ")).
			but("drumbeat runs ID %s shows its steps; mend what it names and ask again", p.where())
	case len(open) > 0 && !e.running():
		return found("begun and not ended: %s", strings.Join(open, ", ")).but("drumbeat run --data %s goes on with it", e.dir)
	case len(graphs) == 0:
		return good("none yet")
	}
	return good("the last run ended well of %s", strings.Join(graphs, ", "))
}

// lateReports is how many times its schedule a report may be old.
const lateReports = 3

func checkMonitoring(ctx context.Context, e *exam, p *patient) verdict {
	report, err := p.lastReport(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	every := p.def.Policy.MonitorEvery
	switch {
	case every == 0:
		return skipped("the fleet is not monitored (monitor_every: 0)")
	case report == nil:
		return skipped("there is no report yet; `drumbeat monitor %s` makes one", p.where())
	}
	now, err := p.clockNow(ctx, e)
	if err != nil || now == drumbeat.NoTime {
		return skipped("the fleet's clock is not known")
	}
	age := now.Sub(report.MadeAt)
	if age > lateReports*every {
		return found("the last report is of %s, to be made every %s", momentText(report.MadeAt), durationText(every)).
			but("drumbeat monitor %s; while `drumbeat run` is up it makes them by itself", p.where())
	}
	return good("the last report is of %s, %s ago", momentText(report.MadeAt), durationText(max(age, time.Duration(0))))
}
