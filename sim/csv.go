package sim

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"drumbeat"
	"drumbeat/topic"
)

// WriteCSV plays a simulation from its start and writes it as the files that
// a site would hand over: telemetry.csv, failure_log.csv, maintenance_log.csv
// and machines.csv. Readings stand in the order in which they were sent,
// doubled ones twice, missing values as empty cells. What no file could hold
// is left out: broken records, readings with a clock that ran ahead, and
// those of machines that nobody told us of.
func WriteCSV(cfg Config, until drumbeat.Time, dir string) error {
	cfg.Past = nil
	s, err := New(cfg)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	w := &csvWriter{sim: s}
	for _, f := range []struct{ name, header string }{
		{"telemetry.csv", "machine_id,timestamp," + strings.Join(sensorNames[:], ",") + "\n"},
		{"failure_log.csv", "machine_id,failure_timestamp,failure_type\n"},
		{"maintenance_log.csv", "machine_id,maintenance_timestamp,maintenance_type,parts_replaced\n"},
		{"machines.csv", "machine_id,model_year,location,age_months,capacity_kg\n"},
	} {
		file, err := os.Create(filepath.Join(dir, f.name)) //nolint:gosec // the operator's own folder
		if err != nil {
			return errors.Join(fmt.Errorf("write csv: %w", err), w.close())
		}
		w.files = append(w.files, file)
		w.bufs = append(w.bufs, bufio.NewWriterSize(file, 1<<20))
		_, err = w.bufs[len(w.bufs)-1].WriteString(f.header)
		if err != nil {
			return errors.Join(fmt.Errorf("write csv: %w", err), w.close())
		}
	}
	s.tap = w.message
	err = s.Play(until, func(topic.Record) error { return w.err })
	if err := errors.Join(err, w.close()); err != nil {
		return fmt.Errorf("write csv: %w", err)
	}
	return nil
}

// csvWriter turns messages into lines.
type csvWriter struct {
	sim   *Sim
	files []*os.File
	bufs  []*bufio.Writer // telemetry, failures, maintenance, machines
	line  []byte
	err   error
}

func (w *csvWriter) close() error {
	err := w.err
	for i, f := range w.files {
		err = errors.Join(err, w.bufs[i].Flush(), f.Close())
	}
	return err
}

func (w *csvWriter) put(file int) {
	w.line = append(w.line, '\n')
	if _, err := w.bufs[file].Write(w.line); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *csvWriter) begin(m *machine) { w.line = append(append(w.line[:0], m.id...), ',') }

func (w *csvWriter) message(m *machine, msg *message) {
	switch msg.kind {
	case kindMachine:
		w.begin(m)
		w.line = strconv.AppendInt(w.line, int64(m.year), 10)
		w.line = append(w.line, ',')
		w.line = append(w.line, w.location(m)...)
		w.line = append(w.line, ',')
		w.line = strconv.AppendInt(w.line, int64(m.age), 10)
		w.line = append(w.line, ',')
		w.line = strconv.AppendInt(w.line, int64(m.capacity), 10)
		w.put(3)
	case kindEntry:
		w.begin(m)
		w.line = append(appendTime(w.line, msg.entry.at), ',')
		w.line = append(w.line, msg.entry.typ...)
		if msg.entry.log == logFailure {
			w.put(1)
			return
		}
		w.line = append(append(w.line, ','), msg.entry.detail...)
		w.put(2)
	case kindValue:
		one := msg.one
		one.has = 1 << msg.sensor
		w.reading(m, &one, msg)
	case kindReadings:
		if len(msg.more) == 0 && msg.broken == whole {
			w.reading(m, &msg.one, msg)
		}
		for i := range msg.more {
			w.reading(m, &msg.more[i], msg)
		}
	}
}

func (w *csvWriter) reading(m *machine, s *sample, msg *message) {
	if m.ghost || s.event > msg.arrival+5*minute {
		return
	}
	w.begin(m)
	w.line = appendTime(w.line, s.event)
	for x := range sensorCount {
		w.line = append(w.line, ',')
		switch {
		case !s.has.has(x) || s.null.has(x):
		case s.nan.has(x):
			w.line = append(w.line, "NaN"...)
		default:
			w.line = appendScaled(w.line, s.values[x], w.sim.cfg.Fleet.Sensors[w.sim.cfg.at[x]].Decimals)
		}
	}
	w.put(0)
}

func (w *csvWriter) location(m *machine) string {
	for i := range w.sim.cfg.Fleet.Static {
		if a := &w.sim.cfg.Fleet.Static[i]; a.Name == "location" {
			return m.location(a)
		}
	}
	return sites[m.site].name
}
