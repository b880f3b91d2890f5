package alert_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/fleet"
	"drumbeat/label"
)

const start = drumbeat.Time(1_767_225_600_000_000) // 2026-01-01

func at(hours float64) drumbeat.Time { return start.Add(time.Duration(hours * float64(time.Hour))) }

func laundry() *fleet.Fleet {
	return &fleet.Fleet{
		Name: "laundry", Cadence: time.Hour,
		Label: fleet.LabelPolicy{Horizon: 7 * 24 * time.Hour, DownMax: 24 * time.Hour},
	}
}

func openAt(t testing.TB, path string) *alert.Store {
	t.Helper()
	s, err := alert.Open(t.Context(), path, laundry(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openNew(t testing.TB) *alert.Store {
	t.Helper()
	s := openAt(t, filepath.Join(t.TempDir(), "alerts.db"))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func prediction(machine drumbeat.MachineID, hours, probability float64) *drumbeat.Prediction {
	return &drumbeat.Prediction{
		Fleet: "laundry", Machine: machine, AsOf: at(hours), ArrivalTime: at(hours),
		Position: drumbeat.Position{Offset: int64(hours * 100)}, Model: 3, Role: drumbeat.RoleChampion,
		Purpose: drumbeat.PurposeLive, Mode: "any", Horizon: "7d", Probability: probability, Threshold: 0.45,
		Alarm:   probability > 0.45,
		Reasons: []drumbeat.Reason{{Feature: "vibration_now", Contribution: 1.5, Text: "vibration is high"}},
	}
}

func entry(log string, machine drumbeat.MachineID, hours, arrival float64) *drumbeat.Item {
	return &drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: machine, EventTime: at(hours), ArrivalTime: at(arrival),
		Position: drumbeat.Position{Offset: int64(arrival * 100)},
		Entry:    drumbeat.Entry{Log: log, ID: fmt.Sprint(log, machine, hours), Type: "bearing"},
	}
}

// batch numbers what it is given from an offset on.
func batch(offset int64, things ...any) *alert.Batch {
	b := &alert.Batch{Now: drumbeat.NoTime, Next: offset + int64(len(things))}
	for i, thing := range things {
		event := alert.Event{Offset: offset + int64(i)}
		switch thing := thing.(type) {
		case *drumbeat.Prediction:
			event.Prediction = thing
		case *drumbeat.Item:
			event.Entry = thing
		default:
			panic(fmt.Sprintf("a batch does not hold %T", thing))
		}
		b.Events = append(b.Events, event)
	}
	return b
}

func apply(t testing.TB, s *alert.Store, b *alert.Batch) {
	t.Helper()
	if err := s.Apply(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func answer(outcome drumbeat.Outcome, alertID string, hours float64) drumbeat.Finding {
	return drumbeat.Finding{
		ID: "F1", Alert: alertID, Outcome: outcome, Part: "bearing", Note: "it rattled", Who: "kim",
		WhenFleet: at(hours), WhenWall: at(5000),
	}
}

// dump reads everything that a store keeps, sorted.
func dump(t testing.TB, path string) []string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var lines []string
	for table, columns := range map[string]string{
		"fleet": "now", "progress": "epoch || '/' || partition || ' ' || next_offset", "watch": "machine || mode || state",
		"alert":   "id || machine || mode || opened_at || ' ' || last_above || latest || ifnull(closed_at, '') || outcome || finding || peak",
		"finding": "seq || id || machine || alert || outcome || when_fleet || ifnull(from_time, '')",
	} {
		var all string
		query := fmt.Sprintf("SELECT ifnull(group_concat(ifnull(%s, 'never'), char(10)), '') FROM %s", columns, table)
		if err := db.QueryRowContext(t.Context(), query).Scan(&all); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(all) {
			lines = append(lines, table+" "+strings.TrimSuffix(line, "\n"))
		}
	}
	slices.Sort(lines)
	return lines
}

func edit(t testing.TB, path, statement string) error {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, err = db.ExecContext(t.Context(), statement)
	return err
}

// the logs of alerts.
const (
	failure     = label.FailureLog
	maintenance = label.MaintenanceLog
)
