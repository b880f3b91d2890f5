package main

import (
	"context"
	"errors"
	"net/http"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/registry"
)

// modelsCommand is the versions of a fleet's model, and what moves them.
type modelsCommand struct {
	List     modelsListCommand     `cmd:"" default:"withargs" help:"List versions, aliases and the ledger."`
	Gate     modelsGateCommand     `cmd:"" help:"Show what a challenger proved beside the champion."`
	Promote  modelsPromoteCommand  `cmd:"" help:"Make a version champion, by the gate or with a reason of your own."`
	Rollback modelsRollbackCommand `cmd:"" help:"Put the champion before the present one back in service."`
}

// modelsListCommand lists the versions of a fleet's model.
type modelsListCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// modelList is what is known of a fleet's models.
type modelList struct {
	Champion drumbeat.ModelVersion                   `json:"champion"` // 0 without one
	Aliases  map[drumbeat.Role]drumbeat.ModelVersion `json:"aliases"`
	Versions []registry.Version                      `json:"versions"`
	Ledger   []registry.LedgerRow                    `json:"ledger"`
}

func listModels() *operation[ofFleet, output[modelList]] {
	return &operation[ofFleet, output[modelList]]{
		method: http.MethodGet, path: "/v1/models", id: "list-models", least: access.Viewer,
		summary: "Versions of a fleet's model, where each alias stands, and the ledger",
		run: func(ctx context.Context, h *host, _ access.Person, in *ofFleet) (*output[modelList], error) {
			d, err := h.depot(in.Fleet)
			if err != nil {
				return nil, err
			}
			return answer(d.models(ctx))
		},
	}
}

// Run prints the versions, the champion and the ledger.
func (c *modelsListCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, listModels(), &ofFleet{c.Fleet})
	if err != nil {
		return err
	}
	list := &out.Body
	if c.JSON {
		return printJSON(p.stdout, list)
	}
	err = printTable(p.stdout, []string{"version", "role", "horizon", "threshold", "trained", "by"}, func(row func(...any)) {
		for i := range list.Versions {
			v := &list.Versions[i]
			var role drumbeat.Role
			for alias, version := range list.Aliases {
				if version == v.Number {
					role = alias
				}
			}
			row(v.Number, role, v.Manifest.Horizon, v.Manifest.Threshold, v.WhenFleet, v.Who)
		}
	})
	if err != nil || len(list.Ledger) == 0 {
		return err
	}
	p.say("")
	return printTable(p.stdout, []string{"ledger", "alias", "from", "to", "who", "why", "when (fleet)"}, func(row func(...any)) {
		for _, l := range list.Ledger {
			row(l.Seq, l.Alias, l.From, l.To, l.Who, l.Why, l.WhenFleet)
		}
	})
}

func (d *depot) models(ctx context.Context) (list modelList, err error) {
	champion, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
		return list, err
	}
	list.Champion = champion.Number
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return list, err
	}
	list.Aliases = map[drumbeat.Role]drumbeat.ModelVersion{}
	for _, alias := range standing {
		list.Aliases[alias.Name] = alias.Version
	}
	if list.Versions, err = d.registry.List(ctx, d.def.Name); err != nil {
		return list, err
	}
	list.Ledger, err = d.registry.Ledger(ctx, d.def.Name, 0)
	return list, err
}
