package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/lake"
	"drumbeat/monitor"
	"drumbeat/registry"
)

// versionQuery names a version of a fleet's model.
type versionQuery struct {
	Fleet   drumbeat.FleetName    `query:"fleet" maxLength:"200"`
	Version drumbeat.ModelVersion `query:"version" minimum:"0" doc:"0: the challenger"`
}

// judged is a challenger beside the champion, and what the gate says of it.
type judged struct {
	Gate   registry.Gate         `json:"gate"`
	Shadow *monitor.ShadowReport `json:"shadow"`
}

func judgeModel() *operation[versionQuery, output[judged]] {
	return &operation[versionQuery, output[judged]]{
		method: http.MethodGet, path: "/v1/models/gate", id: "gate", least: access.Viewer, timeout: stageTime,
		summary: "What a challenger proved beside the champion, as a table",
		run: func(ctx context.Context, h *host, _ access.Person, in *versionQuery) (*output[judged], error) {
			d, err := h.depot(in.Fleet)
			if err != nil {
				return nil, err
			}
			return answer(d.judge(ctx, in.Version))
		},
	}
}

// judge compares a challenger with the champion and holds it to the gate.
func (d *depot) judge(ctx context.Context, version drumbeat.ModelVersion) (judged, error) {
	standing, err := registry.Standing(ctx, d.registry, d.def.Name)
	if err != nil {
		return judged{}, err
	}
	in := monitor.ShadowInput{Fleet: d.def, Scores: d.scores, Challenger: version, Since: drumbeat.NoTime}
	for _, alias := range standing {
		switch {
		case alias.Name == drumbeat.RoleChampion:
			in.Champion = alias.Version
		case alias.Version == version || version == 0 && alias.Name == drumbeat.RoleChallenger:
			in.Challenger = alias.Version
			row, err := registry.PutBy(ctx, d.registry, alias)
			if err != nil {
				return judged{}, err
			}
			in.Since = row.WhenFleet
		}
	}
	if in.Challenger == 0 {
		return judged{}, fmt.Errorf("judge a challenger of %s: there is none; `drumbeat train` makes one: %w", d.def.Name, drumbeat.ErrNotFound)
	}
	if in.Truth, err = d.truth(ctx); err != nil {
		return judged{}, err
	}
	report, err := monitor.Shadow(ctx, in)
	if err != nil {
		return judged{}, err
	}
	return judged{Gate: registry.Judge(monitor.GatePolicy(d.def), report.Evidence()), Shadow: report}, nil
}

// modelMove asks for a move of the champion's alias.
type modelMove struct {
	Fleet drumbeat.FleetName `query:"fleet" maxLength:"200"`
	Body  struct {
		Version drumbeat.ModelVersion `json:"version,omitempty" minimum:"0" doc:"0: the challenger"`
		Why     string                `json:"why,omitempty" maxLength:"4000" doc:"The reason; of a promotion that the gate did not pass, the override"`
	}
}

func promoteModel() *operation[modelMove, output[registry.LedgerRow]] {
	return &operation[modelMove, output[registry.LedgerRow]]{
		method: http.MethodPost, path: "/v1/models/promote", id: "promote", least: access.Engineer, timeout: stageTime,
		summary: "Make a version champion, by the gate or with a reason of one's own",
		run: func(ctx context.Context, h *host, who access.Person, in *modelMove) (*output[registry.LedgerRow], error) {
			return answer(h.promote(ctx, who, in.Fleet, in.Body.Version, in.Body.Why))
		},
	}
}

// promote judges a version and makes it champion; override is the engineer's
// reason where the gate does not pass.
func (h *host) promote(
	ctx context.Context, who access.Person, fleet drumbeat.FleetName, version drumbeat.ModelVersion, override string,
) (registry.LedgerRow, error) {
	d, err := h.daemon(fleet)
	if err != nil {
		return registry.LedgerRow{}, err
	}
	if err := d.openIdle(ctx); err != nil {
		return registry.LedgerRow{}, err
	}
	verdict, err := d.judge(ctx, version)
	if err != nil {
		return registry.LedgerRow{}, err
	}
	version = verdict.Gate.Challenger
	// What cannot be put in service never becomes champion.
	if _, err := d.live(ctx, version); err != nil {
		return registry.LedgerRow{}, fmt.Errorf("promote version %d: %w", version, err)
	}
	row, err := registry.Promote(ctx, h.registry, registry.PromoteRequest{
		Fleet: d.def.Name, Version: version, Gate: &verdict.Gate, Override: override, Who: who.Name, WhenFleet: d.now(),
	})
	if err != nil {
		return row, err
	}
	return row, h.moved(ctx, d, who, "model promoted", &row)
}

func rollbackModel() *operation[modelMove, output[registry.LedgerRow]] {
	return &operation[modelMove, output[registry.LedgerRow]]{
		method: http.MethodPost, path: "/v1/models/rollback", id: "rollback", least: access.Engineer,
		summary: "Put the champion before the present one back in service",
		run: func(ctx context.Context, h *host, who access.Person, in *modelMove) (*output[registry.LedgerRow], error) {
			return answer(h.rollback(ctx, who, in.Fleet, in.Body.Why))
		},
	}
}

func (h *host) rollback(
	ctx context.Context, who access.Person, fleet drumbeat.FleetName, why string,
) (registry.LedgerRow, error) {
	d, err := h.daemon(fleet)
	if err != nil {
		return registry.LedgerRow{}, err
	}
	if err := d.openIdle(ctx); err != nil {
		return registry.LedgerRow{}, err
	}
	row, err := registry.Rollback(ctx, h.registry, d.def.Name, who.Name, why, d.now())
	if err != nil {
		return row, err
	}
	return row, h.moved(ctx, d, who, "model rolled back", &row)
}

// moved records who moved an alias, and has a running fleet follow at once.
func (h *host) moved(ctx context.Context, d *daemon, who access.Person, what string, row *registry.LedgerRow) error {
	detail, err := json.Marshal(map[string]any{"fleet": row.Fleet, "from": row.From, "to": row.To, "why": row.Why})
	if err != nil {
		return fmt.Errorf("record the move: %w", err)
	}
	act := access.Act{By: who, What: what, Subject: fmt.Sprintf("%s/%d", row.Fleet, row.To), Detail: string(detail)}
	if err := h.access.Record(ctx, act); err != nil {
		return err
	}
	if d.stream == nil {
		return nil
	}
	return d.follow(ctx)
}

// scores gives the predictions of live readings, for measures.
func (d *depot) scores(ctx context.Context, from, until drumbeat.Time, fn func([]drumbeat.Prediction) error) error {
	return d.lake.ScanScores(ctx, lake.ScoreScan{From: from, Until: until}, fn)
}

// modelsPromoteCommand makes a version champion.
type modelsPromoteCommand struct {
	Data     string                `required:"" help:"Data folder." type:"path"`
	Fleet    drumbeat.FleetName    `help:"Which fleet, where the folder holds several."`
	Version  drumbeat.ModelVersion `arg:"" optional:"" help:"Which version; the challenger if left out."`
	Override string                `help:"Your reason to promote what the gate does not pass. The ledger keeps it."`
	JSON     bool                  `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (modelsPromoteCommand) Help() string {
	return `A challenger becomes champion once it has proved itself beside the champion: on the same matured failures it reaches the
recall target, is not worse, and keeps precision and false alarms within the policy (drumbeat models gate shows the table).
With --override an engineer promotes it all the same; the ledger keeps the reason.

Example:
  drumbeat models promote --data D 2 --override "the new bearings need it; agreed with the shift lead"`
}

// Run promotes.
func (c *modelsPromoteCommand) Run(ctx context.Context, p *process) error {
	in := &modelMove{Fleet: c.Fleet}
	in.Body.Version, in.Body.Why = c.Version, c.Override
	return printMove(ctx, p, c.Data, c.JSON, promoteModel(), in)
}

// modelsRollbackCommand puts the champion before back.
type modelsRollbackCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	Why   string             `required:"" help:"The reason. The ledger keeps it."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// Run rolls back.
func (c *modelsRollbackCommand) Run(ctx context.Context, p *process) error {
	in := &modelMove{Fleet: c.Fleet}
	in.Body.Why = c.Why
	return printMove(ctx, p, c.Data, c.JSON, rollbackModel(), in)
}

func printMove(
	ctx context.Context, p *process, dir string, asJSON bool, op *operation[modelMove, output[registry.LedgerRow]], in *modelMove,
) error {
	out, err := call(ctx, p, dir, op, in)
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(p.stdout, out.Body)
	}
	_, err = fmt.Fprintf(p.stdout, "champion of %s: version %d, before it %d (ledger row %d)\n",
		out.Body.Fleet, out.Body.To, out.Body.From, out.Body.Seq)
	return err
}

// modelsGateCommand shows what a challenger proved.
type modelsGateCommand struct {
	Data    string                `required:"" help:"Data folder." type:"path"`
	Fleet   drumbeat.FleetName    `help:"Which fleet, where the folder holds several."`
	Version drumbeat.ModelVersion `arg:"" optional:"" help:"Which version; the challenger if left out."`
	JSON    bool                  `name:"json" help:"Print one JSON document."`
}

// Run prints the gate's table.
func (c *modelsGateCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, judgeModel(), &versionQuery{c.Fleet, c.Version})
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, out.Body)
	}
	gate := &out.Body.Gate
	fmt.Fprintln(p.stdout, gate.Sentence)
	return printTable(p.stdout, []string{"row", "holds", "asked", "measured", "bound", "missing"}, func(row func(...any)) {
		for i := range gate.Rows {
			r := &gate.Rows[i]
			row(r.Name, r.OK, r.Asked, r.Measured, r.Bound, r.Missing)
		}
	})
}
