package propose

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/fleet"
)

// read reads the tables to their ends: the failures first, for the telemetry
// is looked at around them.
func (d *draft) read(ctx context.Context) error {
	telemetry := d.chooseTelemetry()
	if telemetry == nil {
		return d.noTelemetry()
	}
	machines := d.chooseMachines()
	taken := map[string]*sheet{}
	for _, s := range d.sheets {
		if s.role != roleLog {
			continue
		}
		if other := taken[s.log]; other == nil || s.size > other.size {
			taken[s.log] = s
		}
	}
	for _, s := range d.sheets {
		if s.role == roleLog && taken[s.log] != s {
			d.doubt(s.name, "has the same columns as %s, which was used: the import reads one file a log, so join them", taken[s.log].name)
			s.role = roleNone
		}
	}
	for _, s := range d.sheets {
		if s.role != roleLog && s != machines {
			continue
		}
		p, err := scan(ctx, s, nil, d.latest())
		if err != nil {
			return err
		}
		if s == machines {
			d.machines = p
		} else {
			d.logs = append(d.logs, p)
		}
	}
	slices.SortStableFunc(d.logs, func(a, b *profile) int { return cmp.Compare(logRank(a.log), logRank(b.log)) })
	d.failures()
	var err error
	if d.telemetry, err = scan(ctx, telemetry, d.failed, d.latest()); err != nil {
		return err
	}
	if len(d.telemetry.order) == 0 {
		return fmt.Errorf("propose a fleet: none of the %d rows of %s can be read: %w",
			d.telemetry.read, telemetry.name, drumbeat.ErrInvalid)
	}
	if p, kind := d.telemetry, d.telemetry.typeColumn(); kind >= 0 && p.cols[kind].kind == kindText && p.conflicts*3 > p.steps {
		return fmt.Errorf("propose a fleet: %s has a row for each sensor (its column %s says which): the import reads a column for each, "+
			"so turn it round first: %w", p.name, p.cols[kind].name, drumbeat.ErrInvalid)
	}
	d.listFiles()
	return nil
}

// latest is the time after which a row is one from the future.
func (d *draft) latest() drumbeat.Time {
	if d.opts.Now <= 0 {
		return drumbeat.NoTime
	}
	return d.opts.Now.Add(fleet.Ahead)
}

// logRank puts failures first, then maintenance.
func logRank(name string) int {
	switch name {
	case fleet.FailureLog:
		return 0
	case fleet.MaintenanceLog:
		return 1
	}
	return 2
}

// chooseTelemetry returns the sheet of readings: of several the most regular,
// and of several with the same columns the largest.
func (d *draft) chooseTelemetry() *sheet {
	var best *sheet
	for _, s := range d.sheets {
		if s.role != roleTelemetry {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(telemetryRank(s), telemetryRank(best)), cmp.Compare(s.size, best.size)) > 0 {
			best = s
		}
	}
	for _, s := range d.sheets {
		if s.role != roleTelemetry || s == best {
			continue
		}
		s.role = roleNone
		if sameColumns(s.table, best.table) {
			d.doubt(s.name, "has the same columns as %s, the larger file, which was used: the import reads one telemetry file, "+
				"so join them", best.name)
		} else {
			d.doubt(s.name, "looks like telemetry too, but %s was used: the import reads one telemetry file a fleet", best.name)
		}
	}
	return best
}

func telemetryRank(s *sheet) int {
	rank := 0
	if hasPart(wordsOf(s.name), "telemetry", "sensor", "reading", "measure", "scada") {
		rank += 2
	}
	if s.regular >= 0.5 {
		rank++
	}
	return rank
}

// chooseMachines returns the machines' own table, nil if there is none.
func (d *draft) chooseMachines() *sheet {
	var best *sheet
	for _, s := range d.sheets {
		if s.role != roleMachines {
			continue
		}
		if best == nil {
			best = s
			continue
		}
		s.role = roleNone
		d.doubt(s.name, "has one row a machine, as %s, which was used: the import reads one machines file, so join them", best.name)
	}
	return best
}

// noTelemetry says why there is nothing to propose.
func (d *draft) noTelemetry() error {
	var found []string
	for _, s := range d.sheets {
		switch {
		case len(s.rows0) == 0:
			found = append(found, s.name+" has no rows")
		case s.machine < 0:
			found = append(found, s.name+" has no column that names the machine (every row must; one machine too)")
		case s.time < 0:
			found = append(found, s.name+" has no column of times that can be read")
		default:
			found = append(found, fmt.Sprintf("%s looks like %s", s.name, cmp.Or(s.log, s.role.String())))
		}
	}
	return fmt.Errorf("propose a fleet: no telemetry was found, which has a column of the machine, one of the time and numbers (%s): %w",
		strings.Join(found, "; "), drumbeat.ErrInvalid)
}
