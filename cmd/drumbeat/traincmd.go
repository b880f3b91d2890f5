package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/materialize"
	"drumbeat/pipeline"
	"drumbeat/registry"
	"drumbeat/train"
	"drumbeat/train/xgboost"
)

// trainCommand fits a model on gold, measures it and registers it.
type trainCommand struct {
	Data         string `required:"" help:"Data folder that import or quickstart made." type:"path"`
	Fleet        string `help:"Which fleet: its name, or a fleet folder, with which the data folder's own copy must agree."`
	Horizon      string `help:"How far ahead a failure counts, such as 1d, 3d or 7d; the fleet file's if absent."`
	PromoteFirst bool   `help:"Make it the fleet's first champion. There is no gate for the first (the ledger says so)."`
	RunID        string `name:"run" help:"Name of the run: asked for again it is the same run, done once. For cron and Airflow."`
	Why          string `help:"Why, in words, for the list of runs."`
	JSON         bool   `name:"json" help:"Print the whole report as one JSON document."`
}

// Help teaches the command.
func (trainCommand) Help() string {
	return `Five steps: label, dataset, train, evaluate, register. Killed anywhere, the same --run goes on at the step that was cut off. A
fleet that has a champion gets a challenger, which scores in its shadow until the gate lets it pass (drumbeat models gate).`
}

// trained is a model with its number.
type trained struct {
	*train.Report
	Version  drumbeat.ModelVersion `json:"version"`
	Champion bool                  `json:"champion"`
	Run      string                `json:"run"`
	Seconds  float64               `json:"seconds"`
}

// Run trains, prints the report and registers the version.
func (c *trainCommand) Run(ctx context.Context, p *process) error {
	name, hash, err := fleetNamed(c.Fleet)
	if err != nil {
		return err
	}
	in := &asked[trainParams]{Fleet: name}
	in.Body.Run, in.Body.Why = c.RunID, c.Why
	in.Body.Params = trainParams{Horizon: c.Horizon, PromoteFirst: c.PromoteFirst, Hash: hash}
	out, err := call(ctx, p, c.Data, stage[trainParams](graphTrain, ""), in)
	if err != nil {
		return err
	}
	result, err := trainedOf(&out.Body)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, result)
	}
	_, err = fmt.Fprintf(p.stdout, "version %d of %s, horizon %s, run %s\n%s\n",
		result.Version, result.Fleet, result.Horizon, result.Run, result.Sentence)
	return err
}

// trainedOf reads what a training run made.
func trainedOf(run *pipeline.Run) (*trained, error) {
	var manifest registry.Manifest
	var made registered
	if err := errors.Join(run.Result(stepEvaluate, &manifest), run.Result(stepRegister, &made)); err != nil {
		return nil, err
	}
	out := &trained{
		Report: &train.Report{}, Version: made.Version, Champion: made.Alias == drumbeat.RoleChampion, Run: run.ID,
		Seconds: run.Ended.Wall.Sub(run.Started.Wall).Seconds(),
	}
	if err := json.Unmarshal(manifest.Measures, out.Report); err != nil {
		return nil, fmt.Errorf("read the report of version %d: %w", made.Version, err)
	}
	return out, nil
}

// entries are the log entries and watermarks of silver.
func (d *depot) entries(ctx context.Context) ([]drumbeat.Item, error) {
	entries, err := d.lake.Entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the logs: %w", err)
	}
	marks, err := d.lake.Watermarks(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the watermarks: %w", err)
	}
	return append(entries, marks...), nil
}

// truth is what the lake knows of failures now.
func (d *depot) truth(ctx context.Context) (*label.Truth, error) {
	entries, err := d.entries(ctx)
	if err != nil {
		return nil, err
	}
	findings, err := d.findings(ctx)
	if err != nil {
		return nil, err
	}
	now, err := d.fleetNow(ctx)
	if err != nil {
		return nil, err
	}
	return label.NewTruth(d.def, 0, entries, findings, now), nil
}

// findings reads the ground-truth table.
func (d *depot) findings(ctx context.Context) ([]drumbeat.Finding, error) {
	var all []drumbeat.Finding
	err := d.lake.ScanFindings(ctx, func(findings []drumbeat.Finding) error {
		all = append(all, findings...)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the findings: %w", err)
	}
	return all, nil
}

// fleetNow is the fleet's clock as of what silver holds (T6): drained, as
// silver is, every partition counts with the others.
func (d *depot) fleetNow(ctx context.Context) (drumbeat.Time, error) {
	d.spanned.Lock()
	defer d.spanned.Unlock()
	end := d.lake.SilverProgress()
	if d.spannedTo != nil && maps.Equal(d.spannedTo, end) {
		return d.spannedNow, nil
	}
	spans, err := d.lake.Spans(ctx, nil)
	if err != nil {
		return drumbeat.NoTime, fmt.Errorf("read how far silver has come: %w", err)
	}
	clock := materialize.NewDataClock()
	for _, span := range spans {
		clock.Consume(span.Partition, span.Arrival)
		clock.Drained(span.Partition)
	}
	d.spannedTo, d.spannedNow = end, clock.Now()
	return d.spannedNow, nil
}

// findXGBoost looks for libxgboost: the file that DRUMBEAT_XGBOOST names, else
// beside the binary, in the cache, in the system.
func findXGBoost() (*xgboost.Library, error) {
	places := xgboost.Places{Explicit: os.Getenv("DRUMBEAT_XGBOOST")}
	if executable, err := os.Executable(); err == nil {
		places.Executable = filepath.Dir(executable)
	}
	if cache, err := os.UserCacheDir(); err == nil {
		places.Cache = filepath.Join(cache, "drumbeat", "xgboost-cpu-3.2.0")
	}
	return xgboost.Find(places)
}

// agrees refuses a fleet folder that says otherwise than the data folder's own
// copy: the data was made by that.
func (d *depot) agrees(path string) error {
	if path == "" {
		return nil
	}
	files, err := fleetFiles(path)
	if err != nil {
		return err
	}
	named, err := loadView(files)
	if err != nil {
		return err
	}
	if named.Fleet.Name != d.def.Name {
		return fmt.Errorf("--fleet %s is %s, data folder %s holds %s: %w", path, named.Fleet.Name, d.dir, d.def.Name, drumbeat.ErrConflict)
	}
	if named.Hash != d.view.Hash {
		return fmt.Errorf("--fleet %s defines features (hash %.12s) that data folder %s was not made with (%.12s); "+
			"import into a new folder: %w", path, named.Hash, d.dir, d.view.Hash, drumbeat.ErrConflict)
	}
	return nil
}
