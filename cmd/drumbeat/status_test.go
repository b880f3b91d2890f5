package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/topic"
)

// statusOfSite asks for the status as the command does.
func statusOfSite(t *testing.T, dir string) *status {
	t.Helper()
	out, err := call(t.Context(), quiet(), dir, showStatus(), &ofFleet{})
	if err != nil {
		t.Fatal(err)
	}
	return &out.Body
}

func TestStatusAgreesWithALookAtEveryReading(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	s := statusOfSite(t, dir)
	f := &s.Fleets[0]
	opened(t, dir, func(ctx context.Context, d *depot) error {
		now, err := d.fleetNow(ctx)
		spans, failed := d.lake.Spans(ctx, nil)
		counts, uncounted := d.lake.Counts(ctx)
		if err := errors.Join(err, failed, uncounted); err != nil {
			return err
		}
		newest := drumbeat.NoTime
		for _, span := range spans {
			newest = max(newest, span.Last)
		}
		if f.Fresh.Now != now || f.Fresh.Newest != newest {
			t.Errorf("fleet_now %s and newest reading %s, a scan says %s and %s", f.Fresh.Now, f.Fresh.Newest, now, newest)
		}
		rows := map[string]int64{}
		for _, table := range f.Tables {
			rows[strings.ReplaceAll(table.Table, "/", "_")] = table.Rows
		}
		for table, n := range counts.Rows {
			if rows[table] != n {
				t.Errorf("table %s: got %d rows, want %d", table, rows[table], n)
			}
		}
		return nil
	})
	if f.Lag.Bronze+f.Lag.Silver+f.Lag.Gold != 0 || f.Lag.Stream != nil {
		t.Errorf("lag: got %+v, want none, and a stream that never ran", f.Lag)
	}
	if m := f.Model; m.Champion != 1 || m.Versions != 1 || !m.Current || m.AgeDays != 0 || m.DataUntil != f.Fresh.Now {
		t.Errorf("model: got %+v, want version 1, trained now", m)
	}
	if m := f.Machines; m.Total != 3 || m.Unseen != 0 || m.Watched+m.NotWatched+m.Down+m.WarmingUp+m.Off != m.Total {
		t.Errorf("machines: got %+v, want each of 3 in one state", m)
	}
	if s.Disk.Total <= 0 || s.Disk.Free <= 0 || s.Disk.Lakes["laundry"] <= 0 || s.Disk.Parts["models"] <= 0 {
		t.Errorf("disk: got %+v", s.Disk)
	}
	if !s.OK || s.Running || !strings.HasPrefix(s.Next, "nothing to do") {
		t.Errorf("ok %v, running %v, next %q: want a site at rest", s.OK, s.Running, s.Next)
	}
}

func TestStatusCountsEachMachineOnce(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	opened(t, dir, func(ctx context.Context, d *depot) error {
		now, err := d.fleetNow(ctx)
		if err != nil {
			return err
		}
		var records []feature.Record
		for _, m := range []struct {
			id               drumbeat.MachineID
			ago              time.Duration
			running, warming bool
		}{
			{"a-silent", 2 * time.Hour, true, false},
			{"b-off", 2 * time.Hour, false, false},
			{"c-warming", 0, true, true},
			{"d-watched", time.Hour, true, false}, // exactly four cadences
		} {
			records = append(records, feature.Record{Vector: drumbeat.Vector{
				Machine: m.id, AsOf: now.Add(-m.ago), Running: m.running, WarmingUp: m.warming, Values: make([]float64, len(d.view.Features)),
			}})
		}
		if _, err := d.online.Write(ctx, d.view.Hash, records); err != nil {
			return err
		}
		before, err := d.machinesStatus(ctx, now)
		if err != nil {
			return err
		}
		if before.Total != 7 || !slices.Contains(before.Silent, "a-silent") || slices.Contains(before.Silent, "b-off") {
			t.Errorf("got %+v", before)
		}
		if before.WarmingUp != 1 || before.NotWatched < 1 || before.Off < 1 || before.Watched < 1 {
			t.Errorf("got %+v, want each state", before)
		}
		return nil
	})
}

func TestStatusSaysWhatToDoFirst(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		spoil func(*testing.T, string)
		next  string
		ok    bool
	}{
		{"nothing", func(*testing.T, string) {}, "nothing to do; no daemon runs", true},
		{"an alert is open", within(openAlert), "open alerts: 1, the oldest on W-002", false},
		{"there is no model", func(t *testing.T, dir string) {
			t.Helper()
			query(t, dir+"/registry.sqlite", `DROP TRIGGER version_delete`, `DROP TRIGGER file_delete`,
				`DELETE FROM alias`, `DELETE FROM file`, `DELETE FROM version`)
		}, "train a first one: drumbeat train --data", false},
		{"no version is champion", func(t *testing.T, dir string) {
			t.Helper()
			query(t, dir+"/registry.sqlite", `DELETE FROM alias`)
		}, "no version is champion", false},
		{"the model is old", func(t *testing.T, dir string) {
			t.Helper()
			query(t, dir+"/registry.sqlite", `DROP TRIGGER version_update`, `UPDATE version SET when_fleet = when_fleet - 100 * 86400000000`)
		}, "the champion is 100.0 days old", false},
		{"records wait, which comes before an alert", func(t *testing.T, dir string) {
			t.Helper()
			within(openAlert)(t, dir)
			within(func(ctx context.Context, d *depot) error {
				w, err := topic.NewWriter(ctx, d.kafka)
				if err != nil {
					return err
				}
				defer w.Close()
				return w.Write(ctx, []topic.Record{{Topic: d.telemetry.Name, Key: "W-001", Value: []byte("{}"), Time: 1}})
			})(t, dir)
		}, "1 records wait and no daemon runs: drumbeat run --data", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := siteCopy(t)
			c.spoil(t, dir)
			s := statusOfSite(t, dir)
			if !strings.Contains(s.Next, c.next) || s.OK != c.ok {
				t.Errorf("got ok %v, next %q\nwant ok %v, next %q", s.OK, s.Next, c.ok, c.next)
			}
			var out bytes.Buffer
			if err := s.print(&out); err != nil || !strings.Contains(out.String(), c.next) {
				t.Errorf("printed %s (%v)", out.String(), err)
			}
		})
	}
}

func TestStatusIsAnsweredByTheDaemon(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	held(t, dir, true)
	var out bytes.Buffer
	p := quiet()
	p.stdout = &out
	if err := (&statusCommand{Data: dir, JSON: true}).Run(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	var s status
	if err := json.Unmarshal(out.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	if !s.Running || s.Next != "nothing to do" || len(s.Fleets) != 1 {
		t.Errorf("got running %v, next %q, %d fleets", s.Running, s.Next, len(s.Fleets))
	}
}

func TestAWrongCallIsTwo(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"status"}, {"doctor", "--dta", "D"}, {"config", "validat"}, {"completion", "tcsh"}} {
		if code := run(args); code != exitUsage {
			t.Errorf("drumbeat %s: got exit code %d, want %d", strings.Join(args, " "), code, exitUsage)
		}
	}
}

func TestSizesAndDurationsReadAsWords(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 KB", 146_000_000: "146 MB", 1 << 62: "4611686 TB"} {
		if got := bytesText(n); got != want {
			t.Errorf("bytesText(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		time.Second: "1 s", time.Minute: "1 min", 3 * time.Hour: "3 h", 48 * time.Hour: "2.0 days",
	} {
		if got := durationText(d); got != want {
			t.Errorf("durationText(%s) = %q, want %q", d, got, want)
		}
	}
}
