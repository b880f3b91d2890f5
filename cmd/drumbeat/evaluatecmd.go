package main

import (
	"context"
	"fmt"

	"drumbeat"
	"drumbeat/pipeline"
	"drumbeat/registry"
	"drumbeat/train"
)

// evaluateParams say which version is measured, and on which time.
type evaluateParams struct {
	Version drumbeat.ModelVersion `json:"version,omitempty" minimum:"0" doc:"Which version; the champion if left out"`
	// From and Until are RFC 3339; "" is the end of the version's own data, with
	// a horizon's gap, and now.
	From  string `json:"from,omitempty" maxLength:"40" doc:"RFC 3339; a horizon after the version's own data if left out"`
	Until string `json:"until,omitempty" maxLength:"40" doc:"RFC 3339; now if left out"`
}

// evaluated is how a version does.
type evaluated struct {
	Version  drumbeat.ModelVersion `json:"version"`
	Sentence string                `json:"sentence"`
	*train.Later
}

// evaluateStage measures a version on what came after its own data.
func (d *daemon) evaluateStage(ctx context.Context, c *pipeline.Context) (any, error) {
	var params evaluateParams
	if err := c.Params(&params); err != nil {
		return nil, err
	}
	version, err := d.versionOrChampion(ctx, params.Version)
	if err != nil {
		return nil, err
	}
	from, until := version.Manifest.Split["test"].Until.Add(d.def.Label.Horizon), d.now()
	for _, bound := range []struct {
		name, text string
		into       *drumbeat.Time
	}{{"from", params.From, &from}, {"until", params.Until, &until}} {
		if bound.text == "" {
			continue
		}
		if err := bound.into.UnmarshalJSON([]byte(`"` + bound.text + `"`)); err != nil {
			return nil, fmt.Errorf("read %s %q: %w: %w", bound.name, bound.text, err, drumbeat.ErrInvalid)
		}
	}
	live, err := d.live(ctx, version.Number)
	if err != nil {
		return nil, err
	}
	in, err := d.inputOf(ctx, live.View)
	if err != nil {
		return nil, err
	}
	later, err := train.Measure(ctx, in, live.Model, from, until)
	if err != nil {
		return nil, err
	}
	return evaluated{Version: version.Number, Sentence: later.Sentence(), Later: later}, nil
}

// versionOrChampion finds a version; 0 is the champion.
func (d *depot) versionOrChampion(ctx context.Context, number drumbeat.ModelVersion) (registry.Version, error) {
	if number != 0 {
		return d.registry.Version(ctx, d.def.Name, number)
	}
	champion, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	return champion, err
}

// evaluateCommand measures a version.
type evaluateCommand struct {
	stageFlags
	Version drumbeat.ModelVersion `arg:"" optional:"" help:"Which version; the champion if left out."`
	From    string                `help:"Begin of the time to measure (RFC 3339); a horizon after the version's own data if left out."`
	Until   string                `help:"End of it; now if left out."`
}

// Run measures and prints what came of it.
func (c *evaluateCommand) Run(ctx context.Context, p *process) error {
	params := evaluateParams{Version: c.Version, From: c.From, Until: c.Until}
	return runStage(ctx, p, &c.stageFlags, stage[evaluateParams](graphEvaluate, ""), params)
}
