package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/registry"
	"drumbeat/train"
	"drumbeat/train/xgboost"
)

// trainCommand fits a model on gold and registers it.
type trainCommand struct {
	Data         string `required:"" help:"Data folder that import or quickstart made." type:"path"`
	Fleet        string `help:"Fleet folder or ready fleet; the data folder's own copy must agree with it."`
	Horizon      string `help:"How far ahead a failure counts, such as 1d, 3d or 7d; the fleet file's if absent."`
	PromoteFirst bool   `help:"Make it the fleet's first champion. There is no gate for the first (the ledger says so)."`
	JSON         bool   `name:"json" help:"Print the whole report as one JSON document."`
}

// trained is a model with its number.
type trained struct {
	*train.Report
	Version  drumbeat.ModelVersion `json:"version"`
	Champion bool                  `json:"champion"`
	Seconds  float64               `json:"seconds"`
}

// Run trains, prints the report and registers the version.
func (c *trainCommand) Run(ctx context.Context, p *process) error {
	s, err := openSite(ctx, c.Data, false, p)
	if err != nil {
		return err
	}
	return errors.Join(c.run(ctx, s, p), s.Close())
}

func (c *trainCommand) run(ctx context.Context, site *site, p *process) error {
	name, err := fleetNamed(c.Fleet)
	if err != nil {
		return err
	}
	s, err := site.depot(name)
	if err != nil {
		return err
	}
	if err := s.agrees(c.Fleet); err != nil {
		return err
	}
	var horizon time.Duration
	if c.Horizon != "" {
		var err error
		if horizon, err = strict.ParseDuration(c.Horizon); err != nil {
			return fmt.Errorf("--horizon: %w", err)
		}
	}
	result, err := s.train(ctx, p, horizon, c.PromoteFirst)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, result)
	}
	_, err = fmt.Fprintf(p.stdout, "version %d of %s, horizon %s\n%s\n", result.Version, result.Fleet, result.Horizon, result.Sentence)
	return err
}

// train fits, measures and registers a model on what the lake holds.
func (s *depot) train(ctx context.Context, p *process, horizon time.Duration, promote bool) (*trained, error) {
	began := time.Now()
	library, err := findXGBoost()
	if err != nil {
		return nil, err
	}
	gold, err := s.lake.Gold(ctx, s.view.Name, s.view.Hash, s.view.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold: %w", err)
	}
	truth, err := s.truth(ctx, horizon)
	if err != nil {
		return nil, err
	}
	bar := p.newProgress("train", "rounds", 1)
	result, err := train.Run(ctx, train.Input{Fleet: s.def, View: s.view, Gold: gold, Truth: truth}, train.Options{
		Library: library, Threads: runtime.GOMAXPROCS(0), Program: "drumbeat " + version, Log: s.log,
		Progress: func(stage string, done, total int) {
			bar.Title(stage)
			bar.Of(int64(done), int64(total))
		},
	})
	bar.Done()
	if err != nil {
		return nil, err
	}
	registered, err := result.Register(ctx, s.registry, "", localUser.Name, truth.FleetNow())
	if err != nil {
		return nil, fmt.Errorf("register the model: %w", err)
	}
	out := &trained{Report: result.Report, Version: registered.Number}
	if promote {
		if _, err := registry.PromoteFirst(ctx, s.registry, &registered, localUser.Name, truth.FleetNow()); err != nil {
			return nil, fmt.Errorf("promote version %d: %w", registered.Number, err)
		}
		out.Champion = true
	}
	out.Seconds = time.Since(began).Seconds()
	return out, nil
}

// truth is what the lake knows of failures now.
func (s *depot) truth(ctx context.Context, horizon time.Duration) (*label.Truth, error) {
	entries, err := s.lake.Entries(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the logs: %w", err)
	}
	marks, err := s.lake.Watermarks(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the watermarks: %w", err)
	}
	findings, err := s.findings(ctx)
	if err != nil {
		return nil, err
	}
	now, err := s.fleetNow(ctx)
	if err != nil {
		return nil, err
	}
	return label.NewTruth(s.def, horizon, append(entries, marks...), findings, now), nil
}

// findings reads the ground-truth table.
func (s *depot) findings(ctx context.Context) ([]drumbeat.Finding, error) {
	var all []drumbeat.Finding
	err := s.lake.ScanFindings(ctx, func(findings []drumbeat.Finding) error {
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
func (s *depot) fleetNow(ctx context.Context) (drumbeat.Time, error) {
	spans, err := s.lake.Spans(ctx, nil)
	if err != nil {
		return drumbeat.NoTime, fmt.Errorf("read how far silver has come: %w", err)
	}
	clock := materialize.NewDataClock()
	for _, span := range spans {
		clock.Consume(span.Partition, span.Arrival)
		clock.Drained(span.Partition)
	}
	return clock.Now(), nil
}

// dataset labels the rows that the next training would use, and writes down
// which labels changed.
func (s *depot) dataset(ctx context.Context) (*train.Dataset, error) {
	gold, err := s.lake.Gold(ctx, s.view.Name, s.view.Hash, s.view.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold: %w", err)
	}
	truth, err := s.truth(ctx, 0)
	if err != nil {
		return nil, err
	}
	set, err := train.NewDataset(ctx, train.Input{Fleet: s.def, View: s.view, Gold: gold, Truth: truth})
	if err != nil {
		return nil, err
	}
	rows := make([]lake.Label, len(set.Rows))
	for i := range set.Rows {
		r := &set.Rows[i]
		rows[i] = lake.Label{
			Machine: r.Machine, AsOf: r.AsOf, Position: r.Position, Horizon: s.def.Label.HorizonText,
			Value: int8(r.Verdict.Value), Source: r.Verdict.Source.String(), MadeAt: truth.FleetNow(), Policy: truth.Policy(),
		}
	}
	if _, err := materialize.Labels(ctx, s.lake, rows); err != nil {
		return nil, err
	}
	return set, nil
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
func (s *depot) agrees(path string) error {
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
	if named.Fleet.Name != s.def.Name {
		return fmt.Errorf("--fleet %s is %s, data folder %s holds %s: %w", path, named.Fleet.Name, s.dir, s.def.Name, drumbeat.ErrConflict)
	}
	if named.Hash != s.view.Hash {
		return fmt.Errorf("--fleet %s defines features (hash %.12s) that data folder %s was not made with (%.12s); "+
			"import into a new folder: %w", path, named.Hash, s.dir, s.view.Hash, drumbeat.ErrConflict)
	}
	return nil
}
