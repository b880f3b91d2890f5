package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"drumbeat"
	"drumbeat/fleets"
	"drumbeat/sim"
)

// quickstartCommand plays the whole loop on simulated machines.
type quickstartCommand struct {
	Dir      string        `default:"drumbeat-data" help:"Data folder; made if it does not exist, gone on with if it does." type:"path"`
	Once     bool          `help:"Do every step once and end, instead of playing on until Ctrl-C."`
	JSON     bool          `name:"json" help:"Print one JSON document with each step's evidence (with --once)."`
	Speed    float64       `default:"1" help:"Fleet hours to play each second once the page is up; 0 plays none."`
	Until    string        `help:"End after this step (with --once): ${steps}." enum:",${steps}" default:""`
	Seed     uint64        `default:"1" help:"Seed of the simulation: the same seed plays the same fleet, to the bit."`
	Machines int           `default:"100" help:"How many machines to simulate (1 to 20000)."`
	Days     int           `default:"90" help:"Days of history to begin with (35 to 1000)."`
	Start    drumbeat.Time `default:"\"2026-03-02T00:00:00Z\"" hidden:""`
	Listen   string        `default:"127.0.0.1:0" help:"Address of the page and the API."`
}

// Help teaches the command.
func (quickstartCommand) Help() string {
	return `Simulates a laundry's machines and takes them through the loop: telemetry into the embedded Kafka broker, bronze, silver and
gold tables, the online store, a model with its honest figures, the API and the page, on which an alert opens for a machine
that is about to fail. With --once it plays on to fleet day 130: a sensor shifts, the drift is seen, a challenger is trained,
shadowed, judged, promoted and rolled back. Everything stays in --dir.

Examples:
  drumbeat quickstart                       the page, until Ctrl-C; again to go on
  drumbeat quickstart --speed 6             six fleet hours a second
  drumbeat quickstart --once --json --dir D the same as evidence, then end`
}

// stepNames are the steps in their order.
var stepNames = []string{
	"produce", "ingest", "refine", "materialize", "train", "serve", "alert", "finding",
	"drift", "retrain", "shadow", "gate", "promote", "rollback",
}

// lastLive is the last step before the page is left to a person: the steps
// after it play weeks ahead, and are for --once.
const lastLive = "finding"

// stepsCopyEvery is how often predictions are copied to their table while the
// steps play weeks in seconds.
const stepsCopyEvery = 100 * time.Millisecond

// stepReport is one step with what it showed.
type stepReport struct {
	Name     string   `json:"name"`
	OK       bool     `json:"ok"`
	Seconds  float64  `json:"seconds"`
	Memory   float64  `json:"resident_mb"` // of the process at the step's end
	Evidence any      `json:"evidence,omitempty"`
	Faults   []string `json:"faults,omitempty"`
}

// quickstartReport is the document of --json.
type quickstartReport struct {
	OK      bool         `json:"ok"`
	Seconds float64      `json:"seconds"`
	Steps   []stepReport `json:"steps"`
}

// quickstart is one run of the command.
type quickstart struct {
	*process
	cmd     *quickstartCommand
	started time.Time
	host    *host
	daemon  *daemon // of the laundry
	sim     *sim.Sim
	player  *player
	report  quickstartReport
	until   drumbeat.Time // the end of history
}

// Run runs the command.
func (c *quickstartCommand) Run(ctx context.Context, p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	files, err := fs.Sub(fleets.FS(), "laundry")
	if err != nil {
		return fmt.Errorf("open the laundry fleet: %w", err)
	}
	q := &quickstart{process: p, cmd: c, started: time.Now()}
	site, err := openSite(ctx, c.Dir, true, p)
	if err != nil {
		return err
	}
	return errors.Join(q.start(ctx, site, files), site.Close())
}

// start makes the laundry's part of the folder, unless it is there, and plays.
func (q *quickstart) start(ctx context.Context, s *site, files fs.FS) error {
	c := q.cmd
	laundry, err := s.addFleet(ctx, files, &simHead{Seed: c.Seed, Machines: c.Machines, Start: c.Start, Days: c.Days})
	if err != nil {
		return err
	}
	head := laundry.sim()
	if head == nil {
		return fmt.Errorf("data folder %s holds a real fleet %s; choose another with --dir: %w", c.Dir, laundry.def.Name, drumbeat.ErrConflict)
	}
	q.host = newHost(s)
	q.host.unattended = c.Once // the steps look after the models themselves
	if q.daemon, err = q.host.daemon(laundry.def.Name); err != nil {
		return err
	}
	if c.Once {
		q.daemon.copyEvery = stepsCopyEvery // the steps wait for it
	}
	q.until = head.Start.Add(time.Duration(head.Days) * 24 * time.Hour)
	return q.play(ctx)
}

// openOthers opens the fleets that were imported beside the laundry.
func (q *quickstart) openOthers(ctx context.Context) error {
	for _, d := range q.host.daemons {
		if d == q.daemon {
			continue
		}
		if err := d.open(ctx); err != nil {
			return fmt.Errorf("start fleet %s: %w", d.def.Name, err)
		}
	}
	return nil
}

func (c *quickstartCommand) check() error {
	switch {
	case c.Machines < 1 || c.Machines > 20000:
		return fmt.Errorf("--machines %d: want 1 to 20000: %w", c.Machines, drumbeat.ErrInvalid)
	case c.Days < 35 || c.Days > 1000:
		return fmt.Errorf("--days %d: want 35 to 1000; fewer leave no room to train and test with a gap: %w", c.Days, drumbeat.ErrInvalid)
	case c.Speed < 0:
		return fmt.Errorf("--speed %g: want 0 or more: %w", c.Speed, drumbeat.ErrInvalid)
	case c.JSON && !c.Once:
		return fmt.Errorf("--json prints when the steps are done; it needs --once: %w", drumbeat.ErrInvalid)
	case c.Until != "" && !c.Once:
		return fmt.Errorf("--until ends the steps early; it needs --once: %w", drumbeat.ErrInvalid)
	}
	return nil
}

// play takes a new folder through every step, or goes on with one that was
// taken through them before.
func (q *quickstart) play(ctx context.Context) error {
	learned, err := q.daemon.hasChampion(ctx)
	if err != nil {
		return err
	}
	if learned && q.cmd.Once {
		return fmt.Errorf("data folder %s was taken through the steps before; choose a new one with --dir: %w",
			q.cmd.Dir, drumbeat.ErrConflict)
	}
	if learned {
		return q.goOn(ctx)
	}
	err = q.steps(ctx)
	if q.cmd.JSON {
		err = errors.Join(err, q.print())
	}
	if err != nil || q.cmd.Once {
		return err
	}
	return q.live(ctx)
}

// steps runs every step in order, and ends at the first whose evidence does
// not hold.
func (q *quickstart) steps(ctx context.Context) (err error) {
	defer func() {
		q.report.Seconds = time.Since(q.started).Seconds()
		q.report.OK = err == nil
	}()
	run := map[string]func(context.Context) (evidence any, faults []string, err error){
		"produce": q.produce, "ingest": q.ingest, "refine": q.refine, "materialize": q.materialize,
		"train": q.train, "serve": q.serve, "alert": q.alert, "finding": q.finding,
		"drift": q.drift, "retrain": q.retrain, "shadow": q.shadow, "gate": q.gate,
		"promote": q.promote, "rollback": q.rollback,
	}
	for _, name := range stepNames {
		began := time.Now()
		evidence, faults, err := run[name](ctx)
		if err != nil && ctx.Err() == nil {
			faults = append(faults, err.Error())
		}
		report := stepReport{
			Name: name, OK: err == nil && len(faults) == 0, Seconds: time.Since(began).Seconds(),
			Memory: residentMB(), Evidence: evidence, Faults: faults,
		}
		q.report.Steps = append(q.report.Steps, report)
		if err != nil {
			return errors.Join(fmt.Errorf("step %s: %w", name, err), q.stop())
		}
		if len(faults) > 0 {
			return errors.Join(fmt.Errorf("step %s: %s", name, faults[0]), q.stop())
		}
		if name == q.cmd.Until || name == lastLive && !q.cmd.Once {
			break
		}
	}
	if q.cmd.Once {
		return q.stop()
	}
	return nil
}

// stop ends what the steps left running.
func (q *quickstart) stop() error {
	if q.player == nil {
		return nil
	}
	return q.player.stop()
}

// print writes the report as one JSON document.
func (q *quickstart) print() error {
	encoder := json.NewEncoder(q.stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(q.report); err != nil {
		return fmt.Errorf("print the report: %w", err)
	}
	return nil
}
