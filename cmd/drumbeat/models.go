package main

import (
	"context"
	"errors"

	"drumbeat"
	"drumbeat/registry"
)

// modelsCommand lists the versions of a fleet's model.
type modelsCommand struct {
	Data string `required:"" help:"Data folder." type:"path"`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// modelList is the document of --json.
type modelList struct {
	Champion drumbeat.ModelVersion `json:"champion"` // 0 without one
	Versions []registry.Version    `json:"versions"`
	Ledger   []registry.LedgerRow  `json:"ledger"`
}

// Run prints the versions, the champion and the ledger.
func (c *modelsCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, nil, p)
	if err != nil {
		return err
	}
	list, err := s.models(ctx)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if c.JSON {
		return errors.Join(printJSON(p.stdout, list), s.Close())
	}
	err = printTable(p.stdout, []string{"version", "role", "horizon", "threshold", "trained", "by"}, func(row func(...any)) {
		for i := range list.Versions {
			v := &list.Versions[i]
			role := ""
			if v.Number == list.Champion {
				role = string(drumbeat.RoleChampion)
			}
			row(v.Number, role, v.Manifest.Horizon, v.Manifest.Threshold, v.WhenFleet, v.Who)
		}
	})
	if err == nil && len(list.Ledger) > 0 {
		p.say("")
		err = printTable(p.stdout, []string{"ledger", "alias", "from", "to", "who", "why", "proof", "when (fleet)"}, func(row func(...any)) {
			for _, l := range list.Ledger {
				row(l.Seq, l.Alias, l.From, l.To, l.Who, l.Why, l.Proof, l.WhenFleet)
			}
		})
	}
	return errors.Join(err, s.Close())
}

func (s *site) models(ctx context.Context) (list modelList, err error) {
	champion, _, err := registry.Champion(ctx, s.registry, s.def.Name)
	if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
		return list, err
	}
	list.Champion = champion.Number
	if list.Versions, err = s.registry.List(ctx, s.def.Name); err != nil {
		return list, err
	}
	list.Ledger, err = s.registry.Ledger(ctx, s.def.Name, 0)
	return list, err
}
