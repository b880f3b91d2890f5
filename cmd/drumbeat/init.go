package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/fleet/propose"
	"drumbeat/fleet/strict"
)

// initCommand proposes a fleet folder from real data.
type initCommand struct {
	From    string `required:"" help:"Folder of CSV files (plain or .gz), one such file, or topic:NAME."`
	Data    string `help:"With topic:NAME: the data folder whose broker has the topic, whether it runs or not." type:"path"`
	Brokers string `help:"With topic:NAME: addresses of a Kafka broker (host:port,…) instead of a data folder."`
	Out     string `help:"Folder for fleet.yaml and features.yaml; NAME if absent. Files that exist are never replaced." type:"path"`
	Name    string `help:"Name of the fleet: lower-case letters, digits and -; made of the folder's if absent."`
	Horizon string `default:"7d" help:"How far ahead a failure counts."`
	JSON    bool   `name:"json" help:"Print one JSON document: what was found, doubts, readiness."`
}

// Help teaches the command.
func (initCommand) Help() string {
	return `Files are recognized by their values, names are hints: telemetry (machine, time, numbers), logs (machine, time, a type),
machines (one row each). What cannot be known for sure stands as a doubt in a comment. The report says whether the data can
foretell anything yet, and what is missing. No file of the data is changed. A topic's records are JSON objects, or arrays of them;
a record's header "type" says which log it belongs to.

Examples:
  drumbeat init --from ../shared/data/azure-pdm --out fleet-azure
  drumbeat import --fleet fleet-azure --from ../shared/data/azure-pdm --data azure
  drumbeat train --data azure
  drumbeat init --from topic:plant --brokers kafka-1:9092 --out plant`
}

// proposed is the document of --json.
type proposed struct {
	OK  bool   `json:"ok"`
	Out string `json:"out"`
	*propose.Proposal
	Seconds float64 `json:"seconds"`
}

// Run proposes and writes.
func (c *initCommand) Run(ctx context.Context, p *process) error {
	began := time.Now()
	horizon, err := strict.ParseDuration(c.Horizon)
	if err != nil {
		return fmt.Errorf("--horizon: %w", err)
	}
	if horizon < time.Minute || horizon > 366*strict.Day {
		return fmt.Errorf("--horizon %s: want 1m to 366d: %w", c.Horizon, drumbeat.ErrInvalid)
	}
	opts := propose.Options{Name: c.Name, Horizon: horizon, Folder: filepath.Base(c.From), Now: drumbeat.At(wallNow()), Fits: func(folder fs.FS) error {
		_, err := loadView(folder)
		return err
	}}
	proposal, folder, err := c.propose(ctx, p, opts)
	if err != nil {
		return err
	}
	out := c.Out
	if out == "" {
		out = proposal.Fleet
	}
	if err := writeProposal(proposal, out); err != nil {
		return err
	}
	result := &proposed{OK: true, Out: out, Proposal: proposal, Seconds: time.Since(began).Seconds()}
	if c.JSON {
		return printJSON(p.stdout, result)
	}
	return c.print(p, result, folder)
}

// topicPrefix marks a --from that is no folder.
const topicPrefix = "topic:"

// propose reads what --from names, and returns the folder that it lies in, ""
// for a topic.
func (c *initCommand) propose(ctx context.Context, p *process, opts propose.Options) (*propose.Proposal, string, error) {
	if name, isTopic := strings.CutPrefix(c.From, topicPrefix); isTopic {
		opts.Folder = name
		proposal, err := c.proposeTopic(ctx, p, name, opts)
		return proposal, "", err
	}
	folder := c.From
	if info, err := os.Stat(c.From); err != nil {
		return nil, "", fmt.Errorf("open --from: %w", err)
	} else if !info.IsDir() {
		folder, opts.File = filepath.Split(c.From)
	}
	root, err := os.OpenRoot(filepath.Clean(folder))
	if err != nil {
		return nil, "", fmt.Errorf("open --from: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	proposal, err := propose.FromFolder(ctx, root.FS(), opts)
	return proposal, folder, err
}

func writeProposal(proposal *propose.Proposal, out string) error {
	if err := os.MkdirAll(out, 0o750); err != nil {
		return fmt.Errorf("make --out: %w", err)
	}
	root, err := os.OpenRoot(out)
	if err != nil {
		return fmt.Errorf("open --out: %w", err)
	}
	err = proposal.Write(root)
	if err := errors.Join(err, root.Close()); err != nil {
		return fmt.Errorf("write the fleet to %s: %w", out, err)
	}
	return nil
}

// print writes the report for people.
func (c *initCommand) print(p *process, r *proposed, folder string) error {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "%-12s %s (%d rows)\n", f.Role, f.Name, f.Rows)
	}
	ready := &r.Readiness
	fmt.Fprintf(&b, "\n%d machines, %.0f days, data on %.0f %% of the machine-days; %d failures of %d machines (%.2f a machine and year)\n",
		ready.Machines, ready.Days, 100*ready.MachineDays, ready.FailuresSeen, ready.MachinesFailed, ready.PerMachineYear)
	for i, gap := range ready.Gaps {
		if i == 0 && gap.Days >= 1 {
			fmt.Fprintf(&b, "longest gap: %.0f days of %s, from %s\n", gap.Days, gap.Machine, gap.From)
		}
	}
	fmt.Fprintf(&b, "can these data foretell failures? %s\n\n", ready.Sentence)
	for _, out := range r.LeftOut {
		fmt.Fprintf(&b, "left out: %s %s\n", out.Column, out.Reason)
	}
	for _, doubt := range r.Doubts {
		if !strings.HasPrefix(doubt.Place, "sensors.") { // they stand at the sensors
			fmt.Fprintf(&b, "doubt: %s: %s\n", doubt.Place, doubt.Text)
		}
	}
	fmt.Fprintf(&b, "\nproposed %s in %.1f s: fleet.yaml and features.yaml in %s, doubts in comments\n", r.Fleet, r.Seconds, r.Out)
	next := "next: drumbeat import --fleet %[1]s --from %[2]s --data %[1]s-data\n"
	if !r.Importable {
		next = "before drumbeat import can read %[2]s, save its files with commas between columns and points in numbers\n"
	}
	fmt.Fprintf(&b, next, r.Out, filepath.Clean(folder))
	_, err := p.stdout.Write([]byte(b.String()))
	return err
}
