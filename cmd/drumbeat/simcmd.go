package main

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/sim"
)

// simCommand writes a simulated laundry as the files that a site would hand
// over.
type simCommand struct {
	CSV      string        `required:"" name:"csv" help:"Folder for telemetry.csv, failure_log.csv, maintenance_log.csv and machines.csv; made if it does not exist." type:"path"`
	Seed     uint64        `default:"1" help:"The same seed writes the same files, to the bit."`
	Machines int           `default:"100" help:"How many machines (1 to 20000)."`
	Days     int           `default:"90" help:"How many days (1 to 1000)."`
	Start    drumbeat.Time `default:"\"2026-03-02T00:00:00Z\"" hidden:""`
}

// Run writes the files.
func (c *simCommand) Run(_ context.Context, p *process) error {
	if c.Machines < 1 || c.Machines > 20000 || c.Days < 1 || c.Days > 1000 {
		return fmt.Errorf("--machines %d --days %d: want 1 to 20000 and 1 to 1000: %w", c.Machines, c.Days, drumbeat.ErrInvalid)
	}
	files, err := fs.Sub(fleets.FS(), "laundry")
	if err != nil {
		return fmt.Errorf("open the laundry fleet: %w", err)
	}
	def, err := fleet.Load(files, ".")
	if err != nil {
		return err
	}
	until := c.Start.Add(time.Duration(c.Days) * 24 * time.Hour)
	err = sim.WriteCSV(sim.Config{Fleet: def, Seed: c.Seed, Machines: c.Machines, Start: c.Start}, until, c.CSV)
	if err != nil {
		return err
	}
	p.say("wrote %d days of %d machines to %s", c.Days, c.Machines, c.CSV)
	return nil
}
