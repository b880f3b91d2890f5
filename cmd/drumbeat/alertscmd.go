package main

import (
	"context"
	"errors"
	"fmt"

	"drumbeat"
	"drumbeat/alert"
)

// alertsCommand lists alerts and findings.
type alertsCommand struct {
	Data    string             `required:"" help:"Data folder." type:"path"`
	Machine drumbeat.MachineID `help:"Only this machine's."`
	Limit   int                `default:"100" help:"At most so many (1 to 1000)."`
	JSON    bool               `name:"json" help:"Print one JSON document."`
}

// Run prints alerts, the newest first, with what was found.
func (c *alertsCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, nil, p)
	if err != nil {
		return err
	}
	list, err := s.alerts.List(ctx, alert.Filter{Machine: c.Machine, Limit: c.Limit})
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if c.JSON {
		return errors.Join(printJSON(p.stdout, append([]drumbeat.Alert{}, list...)), s.Close())
	}
	err = printTable(p.stdout, []string{"machine", "opened", "closed", "peak", "outcome", "alert"}, func(row func(...any)) {
		for i := range list {
			a := &list[i]
			outcome := "open"
			if a.ClosedAt != drumbeat.NoTime {
				outcome = alert.Words(a.Outcome)
			}
			row(a.Machine, a.OpenedAt, a.ClosedAt, fmt.Sprintf("%.2f", a.Peak), outcome, a.ID)
		}
	})
	return errors.Join(err, s.Close())
}
