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
	"drumbeat/pipeline"
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
		Run     string                `json:"run,omitempty" maxLength:"200" doc:"Names the run: asked for again it is the same move, done once"`
		Version drumbeat.ModelVersion `json:"version,omitempty" minimum:"0" doc:"0: the challenger"`
		Why     string                `json:"why,omitempty" maxLength:"4000" doc:"The reason; of a promotion that the gate did not pass, the override"`
	}
}

// moveParams say what is moved, and why.
type moveParams struct {
	Version drumbeat.ModelVersion `json:"version,omitempty"`
	Why     string                `json:"why,omitempty"`
}

// moved is a move that was made.
type moved struct {
	Run string `json:"run"`
	registry.LedgerRow
}

func promoteModel() *operation[modelMove, output[moved]] {
	return moveOperation(graphPromote, "Make a version champion, by the gate or with a reason of one's own")
}

func rollbackModel() *operation[modelMove, output[moved]] {
	return moveOperation(graphRollback, "Put the champion before the present one back in service")
}

func moveOperation(graph, summary string) *operation[modelMove, output[moved]] {
	return &operation[modelMove, output[moved]]{
		method: http.MethodPost, path: "/v1/models/" + graph, id: graph, least: access.Engineer, timeout: stageTime, summary: summary,
		run: func(ctx context.Context, h *host, who access.Person, in *modelMove) (*output[moved], error) {
			done, err := h.move(ctx, who, graph, in)
			if err != nil {
				return nil, err
			}
			return answer(done, h.record(ctx, who, graph, &done.LedgerRow))
		},
	}
}

// move runs a move of the champion's alias, once for its run id, and has a
// running fleet follow at once.
func (h *host) move(ctx context.Context, who access.Person, graph string, in *modelMove) (moved, error) {
	d, err := h.daemon(in.Fleet)
	if err != nil {
		return moved{}, err
	}
	if err := d.openIdle(ctx); err != nil {
		return moved{}, err
	}
	params, err := json.Marshal(moveParams{Version: in.Body.Version, Why: in.Body.Why})
	if err != nil {
		return moved{}, fmt.Errorf("read parameters: %w", err)
	}
	run, err := h.runner.Run(ctx, h.graphs[graph], pipeline.Request{
		ID: runID(in.Body.Run, graph), Fleet: d.def.Name, Who: who.Name, Params: params,
		Reason: pipeline.Reason{Kind: pipeline.Person, Subject: who.Name, Since: d.now(), Detail: in.Body.Why},
	})
	if err != nil {
		return moved{}, err
	}
	done := moved{Run: run.ID}
	if err := run.Result(graph, &done.LedgerRow); err != nil || d.stream == nil {
		return done, err
	}
	return done, d.follow(ctx)
}

// promoteStep judges a version and makes it champion. Done again after a
// crash, it finds that it was done.
func (d *daemon) promoteStep(ctx context.Context, c *pipeline.Context) (any, error) {
	var params moveParams
	if err := c.Params(&params); err != nil {
		return nil, err
	}
	verdict, err := d.judge(ctx, params.Version)
	if err != nil {
		return nil, err
	}
	version := verdict.Gate.Challenger
	// What cannot be put in service never becomes champion.
	if _, err := d.live(ctx, version); err != nil {
		return nil, fmt.Errorf("promote version %d: %w", version, err)
	}
	return registry.Promote(ctx, d.registry, registry.PromoteRequest{
		Fleet: d.def.Name, Version: version, Gate: &verdict.Gate, Override: params.Why, Who: c.Run.Who, WhenFleet: d.now(),
	})
}

// rollbackStep puts the champion before back. The ledger's row names the run,
// so that the step, done again after a crash, does not go back twice.
func (d *daemon) rollbackStep(ctx context.Context, c *pipeline.Context) (any, error) {
	var params moveParams
	if err := c.Params(&params); err != nil {
		return nil, err
	}
	why := fmt.Sprintf("%s (run %s)", params.Why, c.Run.ID)
	champion, err := d.registry.Alias(ctx, d.def.Name, drumbeat.RoleChampion)
	if err != nil {
		return nil, err
	}
	if last, err := registry.PutBy(ctx, d.registry, champion); err != nil || last.Why == why {
		return last, err
	}
	return registry.Rollback(ctx, d.registry, d.def.Name, c.Run.Who, why, d.now())
}

// record writes down who moved an alias.
func (h *host) record(ctx context.Context, who access.Person, graph string, row *registry.LedgerRow) error {
	detail, err := json.Marshal(map[string]any{"fleet": row.Fleet, "from": row.From, "to": row.To, "why": row.Why})
	if err != nil {
		return fmt.Errorf("record the move: %w", err)
	}
	return h.access.Record(ctx, access.Act{
		By: who, What: "model: " + graph, Subject: fmt.Sprintf("%s/%d", row.Fleet, row.To), Detail: string(detail),
	})
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
	RunID    string                `name:"run" help:"Name of the run: asked for again it is the same promotion."`
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
	in.Body.Run, in.Body.Version, in.Body.Why = c.RunID, c.Version, c.Override
	return printMove(ctx, p, c.Data, c.JSON, promoteModel(), in)
}

// modelsRollbackCommand puts the champion before back.
type modelsRollbackCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Which fleet, where the folder holds several."`
	Why   string             `required:"" help:"The reason. The ledger keeps it."`
	RunID string             `name:"run" help:"Name of the run: asked for again it is the same roll-back, not a second one."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// Run rolls back.
func (c *modelsRollbackCommand) Run(ctx context.Context, p *process) error {
	in := &modelMove{Fleet: c.Fleet}
	in.Body.Run, in.Body.Why = c.RunID, c.Why
	return printMove(ctx, p, c.Data, c.JSON, rollbackModel(), in)
}

func printMove(
	ctx context.Context, p *process, dir string, asJSON bool, op *operation[modelMove, output[moved]], in *modelMove,
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
