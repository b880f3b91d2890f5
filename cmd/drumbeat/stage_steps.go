package main

import (
	"context"
	"fmt"

	"drumbeat/feature"
	"drumbeat/fleet/strict"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/pipeline"
	"drumbeat/topic"
	"drumbeat/train"
)

// refineStage brings silver up to what the topic holds: bronze first, where no
// loop copies it.
func (d *daemon) refineStage(ctx context.Context, _ *pipeline.Context) (any, error) {
	if !d.running.Load() {
		ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
		if err != nil {
			return nil, err
		}
		if err := d.ingester.Drain(ctx, ends); err != nil {
			return nil, err
		}
	}
	d.carrying.Lock()
	defer d.carrying.Unlock()
	counts, err := d.refiner.Run(ctx)
	if err != nil {
		return nil, fmt.Errorf("refine: %w", err)
	}
	return map[string]any{"items": counts.Items(), "silver": d.lake.SilverProgress()}, nil
}

// backfillStage brings the gold tables up to silver.
func (d *daemon) backfillStage(ctx context.Context, _ *pipeline.Context) (any, error) {
	d.carrying.Lock()
	defer d.carrying.Unlock()
	made := map[string]int64{}
	for hash, b := range d.backfills {
		rows, err := b.Run(ctx)
		if err != nil {
			return nil, fmt.Errorf("materialize: %w", err)
		}
		made[string(hash)] = rows
	}
	return map[string]any{"rows_by_view_hash": made, "silver": d.lake.SilverProgress()}, nil
}

// labelled is what the label step did.
type labelled struct {
	Rows    int             `json:"rows"`
	Changed int             `json:"label_rows_changed"`
	Counts  train.RowCounts `json:"counts"`
}

// labelStage labels the rows of the next training set.
func (d *daemon) labelStage(ctx context.Context, _ *pipeline.Context) (any, error) {
	in, err := d.inputOf(ctx, d.view)
	if err != nil {
		return nil, err
	}
	return d.label(ctx, in)
}

// inputOf is all that there is to learn from now, in a view.
func (d *depot) inputOf(ctx context.Context, view *feature.View) (train.Input, error) {
	s, err := d.sources(ctx, view)
	if err != nil {
		return train.Input{}, err
	}
	pin := s.Pin(0)
	return s.Input(&pin)
}

// label labels the rows that a training would use, and writes down which
// labels changed.
func (d *depot) label(ctx context.Context, in train.Input) (labelled, error) {
	set, err := train.NewDataset(ctx, in)
	if err != nil {
		return labelled{}, err
	}
	changed, err := d.writeLabels(ctx, in, set)
	return labelled{Rows: len(set.Rows), Changed: changed, Counts: set.Counts}, err
}

// nextDataset labels the rows that the next training would use.
func (d *depot) nextDataset(ctx context.Context) (*train.Dataset, error) {
	in, err := d.inputOf(ctx, d.view)
	if err != nil {
		return nil, err
	}
	set, err := train.NewDataset(ctx, in)
	if err != nil {
		return nil, err
	}
	_, err = d.writeLabels(ctx, in, set)
	return set, err
}

func (d *depot) writeLabels(ctx context.Context, in train.Input, set *train.Dataset) (int, error) {
	rows := make([]lake.Label, len(set.Rows))
	for i := range set.Rows {
		r := &set.Rows[i]
		rows[i] = lake.Label{
			Machine: r.Machine, AsOf: r.AsOf, Position: r.Position, Horizon: strict.FormatDuration(in.Truth.Horizon()),
			Value: int8(r.Verdict.Value), Source: r.Verdict.Source.String(), MadeAt: in.Truth.FleetNow(), Policy: in.Truth.Policy(),
		}
	}
	changes, err := materialize.Labels(ctx, d.lake, rows)
	return len(changes), err
}

// refineCommand, backfillCommand and labelCommand are the stages that carry
// the lake.
type (
	refineCommand   struct{ stageFlags }
	backfillCommand struct{ stageFlags }
	labelCommand    struct{ stageFlags }
)

// Run refines.
func (c *refineCommand) Run(ctx context.Context, p *process) error {
	return runStage(ctx, p, &c.stageFlags, stage[nothing](graphRefine, ""), nothing{})
}

// Run backfills.
func (c *backfillCommand) Run(ctx context.Context, p *process) error {
	return runStage(ctx, p, &c.stageFlags, stage[nothing](graphBackfill, ""), nothing{})
}

// Run labels.
func (c *labelCommand) Run(ctx context.Context, p *process) error {
	return runStage(ctx, p, &c.stageFlags, stage[nothing](graphLabel, ""), nothing{})
}
