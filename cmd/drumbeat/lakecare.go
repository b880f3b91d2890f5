package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
)

type lakeVerifyCommand struct {
	lakeFlags
	Tables []string `arg:"" optional:"" help:"Tables, such as bronze; all without any."`
	JSON   bool     `name:"json" help:"Print one JSON document."`
}

// errDamaged is the end of a verification that found something.
var errDamaged = errors.New("the lake is damaged: restore the named files from a backup, or the tables with drumbeat lake restore")

// Run reads every file of the tables.
func (c *lakeVerifyCommand) Run(ctx context.Context, p *process) error {
	s, of, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	all, err := c.verify(ctx, s, of, p)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	damages := 0
	for i := range all {
		damages += len(all[i].Damages)
	}
	if c.JSON {
		err = printJSON(p.stdout, all)
	} else {
		err = printVerified(p, all)
	}
	if err == nil && damages > 0 {
		err = errDamaged
	}
	return err
}

func (c *lakeVerifyCommand) verify(ctx context.Context, s *site, of drumbeat.FleetName, p *process) ([]delta.Verified, error) {
	root := string(of) + "/"
	names, err := delta.Tables(ctx, s.objects, root)
	if err != nil {
		return nil, err
	}
	if len(c.Tables) > 0 {
		names = nil
		for _, name := range c.Tables {
			names = append(names, root+name)
		}
	}
	all := make([]delta.Verified, 0, len(names))
	for _, name := range names {
		p.say("verifying %s", strings.TrimPrefix(name, root))
		t, err := delta.Open(ctx, s.objects, name, delta.Options{Log: s.log})
		if err != nil {
			if !errors.Is(err, drumbeat.ErrInvalid) {
				return nil, err
			}
			all = append(all, delta.Verified{Table: strings.TrimPrefix(name, root), Damages: []delta.Damage{{Key: name, What: err.Error()}}})
			continue
		}
		v, err := t.Verify(ctx)
		if err != nil {
			return nil, err
		}
		v.Table = strings.TrimPrefix(name, root)
		all = append(all, v)
	}
	return all, nil
}

func printVerified(p *process, all []delta.Verified) error {
	err := printTable(p.stdout, []string{"table", "version", "commits", "checkpoints", "files", "rows", "bytes", "damaged"}, func(row func(...any)) {
		for i := range all {
			v := &all[i]
			row(v.Table, v.Version, v.Commits, v.Checkpoints, v.Files, v.Rows, v.Bytes, len(v.Damages))
		}
	})
	for i := range all {
		for _, d := range all[i].Damages {
			fmt.Fprintf(p.stdout, "%s: %s\n", d.Key, d.What)
		}
	}
	return err
}

type lakeCompactCommand struct {
	lakeFlags
	JSON bool `name:"json" help:"Print one JSON document."`
}

// Run puts small files together.
func (c *lakeCompactCommand) Run(ctx context.Context, p *process) error {
	return c.care(ctx, p, c.JSON, func(l *lake.Lake) (lake.Maintained, error) { return l.Compact(ctx) })
}

type lakeVacuumCommand struct {
	lakeFlags
	Keep time.Duration `default:"1h" help:"How old removed files stay for readers and time travel; 30m at least."`
	JSON bool          `name:"json" help:"Print one JSON document."`
}

// Run deletes what nobody reads any more.
func (c *lakeVacuumCommand) Run(ctx context.Context, p *process) error {
	return c.care(ctx, p, c.JSON, func(l *lake.Lake) (lake.Maintained, error) { return l.Vacuum(ctx, c.Keep) })
}

// care does something for a fleet's lake and says what.
func (f *lakeFlags) care(ctx context.Context, p *process, asJSON bool, do func(*lake.Lake) (lake.Maintained, error)) error {
	s, of, err := f.open(ctx, p)
	if err != nil {
		return err
	}
	l, err := s.lakeOf(ctx, of)
	var done lake.Maintained
	if err == nil {
		done, err = do(l)
	}
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if asJSON {
		return printJSON(p.stdout, done)
	}
	fmt.Fprintf(p.stdout, "%d files are in larger ones now; %d files and %d commits and checkpoints deleted\n", done.Compacted, done.Deleted, done.Cleaned)
	return nil
}

// lakeOf opens a fleet's lake alone.
func (s *site) lakeOf(ctx context.Context, of drumbeat.FleetName) (*lake.Lake, error) {
	d := &depot{site: s}
	if err := d.define(ctx, of); err != nil {
		return nil, err
	}
	if err := d.openLake(ctx, of); err != nil {
		return nil, err
	}
	return d.lake, nil
}

type lakeRestoreCommand struct {
	lakeFlags
	moment
	What string `arg:"" help:"bronze (with dead_letters and lost), silver (all of its tables), or one table such as gold/VIEW/HASH."`
	JSON bool   `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (lakeRestoreCommand) Help() string {
	return `Makes a new version that has the rows and the progress of an older one; nothing is deleted, and restoring the version before takes
it back. The site must stand still. When it runs again, it goes on from the restored progress: silver is refined again from bronze,
gold materialized again from silver, bronze read again from the topic as far as that still holds its records.`
}

// restoredTable is what became of one table.
type restoredTable struct {
	Table string `json:"table"`
	delta.Restored
}

// Run restores tables.
func (c *lakeRestoreCommand) Run(ctx context.Context, p *process) error {
	if c.At == "" && c.Version < 0 {
		return fmt.Errorf("say what to restore to, with --version or --at; drumbeat lake history lists the versions: %w", drumbeat.ErrInvalid)
	}
	lock, err := lockFolder(c.Data)
	if err != nil {
		return err
	}
	s, of, err := c.open(ctx, p)
	if err != nil {
		return errors.Join(err, lock.Close())
	}
	all, err := c.restore(ctx, s, of)
	if err := errors.Join(err, s.Close(), lock.Close()); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p.stdout, all)
	}
	for i := range all {
		r := &all[i]
		fmt.Fprintf(p.stdout, "%s: version %d is as version %d was: %d files came back, %d went; back with drumbeat lake restore --data %s %s --version %d\n",
			r.Table, r.Made, r.To, r.Added, r.Removed, c.Data, r.Table, r.From)
	}
	return nil
}

// groups are tables that are restored together. The one that holds the group's
// progress is the first: if a crash comes between, the others are ahead of it,
// and what they hold there comes again.
var groups = map[string][]string{
	"bronze": {"bronze", "lost", "dead_letters"},
	"silver": {"silver/readings", "silver/aside", "silver/entries", "silver/machines", "silver/watermarks"},
}

func (c *lakeRestoreCommand) restore(ctx context.Context, s *site, of drumbeat.FleetName) ([]restoredTable, error) {
	names := groups[c.What]
	if names == nil || c.At == "" {
		names = []string{c.What}
	}
	var all []restoredTable
	for _, name := range names {
		t, err := s.tableOf(ctx, of, name)
		if err != nil {
			return all, err
		}
		then, err := c.of(ctx, t)
		if err != nil {
			return all, err
		}
		if then.Version() == t.Snapshot().Version() {
			continue
		}
		done, err := t.Restore(ctx, then.Version())
		if err != nil {
			return all, err
		}
		all = append(all, restoredTable{Table: name, Restored: done})
	}
	return all, nil
}
