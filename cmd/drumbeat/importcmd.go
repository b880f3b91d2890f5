package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/ingest/files"
	"drumbeat/topic"
)

// importCommand brings a fleet's CSV files in.
type importCommand struct {
	Fleet string `required:"" help:"Fleet folder (fleet.yaml with import:, features.yaml), or the name of a ready fleet."`
	From  string `required:"" help:"Folder with the files that the fleet file names." type:"existingdir"`
	Data  string `required:"" help:"Data folder; made if it does not exist." type:"path"`
	JSON  bool   `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (importCommand) Help() string {
	return `The fleet file says which file holds which log and which column is which; another fleet's CSV needs no code. Rows go through
the topic, in the order in which they became known, to bronze, silver and gold. A row that cannot be read is a dead letter with
its file, line and reason; the others go on. Imported again, the same rows are duplicates.

Example:
  drumbeat import --fleet fleets/azure-pdm --from ../shared/data/azure-pdm --data azure`
}

// imported is the document of --json.
type imported struct {
	OK         bool             `json:"ok"`
	Fleet      string           `json:"fleet"`
	Hash       drumbeat.Hash    `json:"view_hash"`
	Rows       int64            `json:"rows"`
	Unreadable int64            `json:"unreadable_rows"`
	Faults     []string         `json:"first_unreadable,omitempty"`
	Tables     map[string]int64 `json:"rows_by_table"`
	Gold       int64            `json:"rows_in_gold"`
	Aside      map[string]int64 `json:"set_aside"`
	Dead       map[string]int64 `json:"dead_letters"`
	Seconds    float64          `json:"seconds"`
}

// maxFaultsShown bounds the unreadable rows that are printed; all are dead
// letters.
const maxFaultsShown = 10

// Run imports and prints what came of it.
func (c *importCommand) Run(ctx context.Context, p *process) error {
	began := time.Now()
	definition, err := fleetFiles(c.Fleet)
	if err != nil {
		return err
	}
	view, err := loadView(definition)
	if err != nil {
		return err
	}
	if view.Fleet.Import == nil {
		return fmt.Errorf("import fleet %s: its fleet.yaml has no import:, which says which file holds what: %w",
			view.Fleet.Name, drumbeat.ErrInvalid)
	}
	s, err := openSite(ctx, c.Data, true, p)
	if err != nil {
		return err
	}
	result, err := c.run(ctx, s, definition, p)
	if err == nil {
		result.OK, result.Seconds = true, time.Since(began).Seconds()
		err = c.print(p, result)
	}
	return errors.Join(err, s.Close())
}

func (c *importCommand) run(ctx context.Context, s *site, definition fs.FS, p *process) (*imported, error) {
	into, err := s.addFleet(ctx, definition, nil)
	if err != nil {
		return nil, err
	}
	if err := into.agrees(c.Fleet); err != nil {
		return nil, err
	}
	d := newDaemon(into)
	if err := d.openData(ctx); err != nil {
		return nil, err
	}
	r := &imported{Fleet: string(d.def.Name), Hash: d.view.Hash}
	if err := c.produce(ctx, d, p, r); err != nil {
		return nil, err
	}
	ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
	if err != nil {
		return nil, err
	}
	p.say("bronze, silver, gold")
	if err := d.ingester.Drain(ctx, ends); err != nil {
		return nil, err
	}
	if err := d.carryLake(ctx); err != nil {
		return nil, err
	}
	counts, err := d.lake.Counts(ctx)
	if err != nil {
		return nil, err
	}
	r.Tables, r.Aside, r.Dead, r.Gold = counts.Rows, counts.Aside, counts.DeadLetters, d.backfills[d.view.Hash].Gold().Rows()
	return r, nil
}

// produce writes every row to the topic.
func (c *importCommand) produce(ctx context.Context, d *daemon, p *process, r *imported) error {
	root, err := os.OpenRoot(c.From)
	if err != nil {
		return fmt.Errorf("open --from: %w", err)
	}
	defer func() { _ = root.Close() }() // it was only read from
	source, err := files.Open(d.def, root.FS(), files.Options{Now: drumbeat.At(wallNow())})
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }() // scratch files
	player := &player{daemon: d}
	bar := p.newProgress("import", "rows", 1)
	defer bar.Done()
	for row, err := range source.Rows(ctx) {
		record := topic.Record{Topic: d.telemetry.Name, Key: row.Key, Value: row.Payload, Type: row.Type, Time: row.ArrivalTime}
		if fault, unreadable := errors.AsType[*files.RowError](err); unreadable {
			if record, err = unreadableRow(&row, fault); err != nil {
				return err
			}
			record.Topic = d.telemetry.Name
			r.Unreadable++
			if len(r.Faults) < maxFaultsShown {
				r.Faults = append(r.Faults, fault.Error())
			}
		} else if err != nil {
			return err
		}
		if err := player.emit(ctx, record); err != nil {
			return err
		}
		r.Rows++
		bar.Of(r.Rows, int64(source.Total()))
	}
	return player.flush(ctx)
}

// typeUnreadable is the type header of a row that is no record of the fleet:
// it becomes a dead letter, with all that is known of it.
const typeUnreadable = "unreadable_row"

func unreadableRow(row *files.Row, fault *files.RowError) (topic.Record, error) {
	text, err := json.Marshal(map[string]any{
		"file": fault.File, "line": fault.Line, "column": fault.Column, "reason": fault.Reason, "row": string(row.Payload),
	})
	if err != nil {
		return topic.Record{}, fmt.Errorf("keep unreadable row %s:%d: %w", fault.File, fault.Line, err)
	}
	return topic.Record{Key: row.Key, Value: text, Type: typeUnreadable, Time: row.ArrivalTime}, nil
}

func (c *importCommand) print(p *process, r *imported) error {
	if c.JSON {
		return printJSON(p.stdout, r)
	}
	for _, fault := range r.Faults {
		p.say("%s", fault)
	}
	_, err := fmt.Fprintf(p.stdout, "imported %d rows of %s (%d unreadable) in %.1f s: %d in gold\n",
		r.Rows, r.Fleet, r.Unreadable, r.Seconds, r.Gold)
	return err
}

// loadView loads the fleet and the view of a fleet folder.
func loadView(definition fs.FS) (*feature.View, error) {
	def, err := fleet.Load(definition, ".")
	if err != nil {
		return nil, err
	}
	return feature.LoadView(definition, ".", def)
}
