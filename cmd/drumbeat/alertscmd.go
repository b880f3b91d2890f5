package main

import (
	"context"
	"fmt"
	"net/http"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/alert"
	"drumbeat/serve"
)

// alertsCommand lists alerts and findings.
type alertsCommand struct {
	Data    string             `required:"" help:"Data folder." type:"path"`
	Fleet   drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	Machine drumbeat.MachineID `help:"Only this machine's."`
	Limit   int                `default:"100" help:"At most so many (1 to 1000)."`
	JSON    bool               `name:"json" help:"Print one JSON document."`
}

// alertsQuery asks for alerts as serve's own route does.
type alertsQuery struct {
	Fleet   drumbeat.FleetName `query:"fleet"`
	Machine drumbeat.MachineID `query:"machine"`
	Closed  bool               `query:"closed"`
	Limit   int                `query:"limit"`
}

// listAlerts is serve's route, answered here where no daemon runs.
func listAlerts() *operation[alertsQuery, serve.AlertsOutput] {
	return &operation[alertsQuery, serve.AlertsOutput]{
		method: http.MethodGet, path: "/v1/alerts", least: access.Viewer,
		run: func(ctx context.Context, h *host, _ access.Person, in *alertsQuery) (*serve.AlertsOutput, error) {
			d, err := h.depot(in.Fleet)
			if err != nil {
				return nil, err
			}
			out := &serve.AlertsOutput{}
			list, err := d.alerts.List(ctx, alert.Filter{Machine: in.Machine, Limit: in.Limit})
			out.Body.Alerts = append([]drumbeat.Alert{}, list...)
			return out, err
		},
	}
}

// Run prints alerts, the newest first, with what was found.
func (c *alertsCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, listAlerts(), &alertsQuery{c.Fleet, c.Machine, true, c.Limit})
	if err != nil {
		return err
	}
	list := out.Body.Alerts
	if c.JSON {
		return printJSON(p.stdout, list)
	}
	return printTable(p.stdout, []string{"machine", "opened", "closed", "peak", "outcome", "alert"}, func(row func(...any)) {
		for i := range list {
			a := &list[i]
			outcome := "open"
			if a.ClosedAt != drumbeat.NoTime {
				outcome = alert.Words(a.Outcome)
			}
			row(a.Machine, a.OpenedAt, a.ClosedAt, fmt.Sprintf("%.2f", a.Peak), outcome, a.ID)
		}
	})
}
