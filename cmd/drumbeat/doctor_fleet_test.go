package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/alert"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/pipeline"
	"drumbeat/topic"
)

const (
	laundryFile  = fleetsDir + "/laundry/" + fleet.FileName
	laundryTopic = "laundry"
)

// within spoils a fleet through the program's own parts.
func within(do func(ctx context.Context, d *depot) error) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		opened(t, dir, do)
	}
}

// dataFile finds a file of a table, the greatest first.
func dataFile(t *testing.T, dir, table, pattern string) string {
	t.Helper()
	var greatest string
	var size int64
	root := filepath.Join(dir, objectDir, laundryTopic, table)
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if fits, _ := filepath.Match(pattern, entry.Name()); fits && err == nil && info.Size() > size {
			greatest, size = path, info.Size()
		}
		return err
	})
	if err != nil || greatest == "" {
		t.Fatalf("find %s in %s: %v", pattern, root, err)
	}
	return greatest
}

// damaged writes over the middle of a table's file.
func damaged(table, pattern string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := dataFile(t, dir, table, pattern)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		copy(text[len(text)/3:], bytes.Repeat([]byte{0xa5}, len(text)/3))
		if err := errors.Join(os.Remove(path), os.WriteFile(path, text, 0o640)); err != nil {
			t.Fatal(err)
		}
	}
}

// next is where partition 0 of silver stands, and the progress beyond one more
// record in it.
func next(d *depot) (drumbeat.Position, lake.Progress) {
	at := d.lake.SilverProgress()
	p := drumbeat.Position{Epoch: d.lake.Epoch(), Offset: at[0]}
	at[0]++
	return p, at
}

// entries appends log entries to silver.
func entries(of func(now drumbeat.Time) []drumbeat.Item) func(*testing.T, string) {
	return within(func(ctx context.Context, d *depot) error {
		now, err := d.fleetNow(ctx)
		if err != nil {
			return err
		}
		items := of(now)
		at, progress := next(d)
		for i := range items {
			items[i].Kind, items[i].Position, items[i].ArrivalTime = drumbeat.KindEntry, at, items[i].EventTime
			items[i].Position.Index = int32(i)
		}
		return d.lake.AppendSilver(ctx, lake.Silver{Items: items}, progress)
	})
}

func failure(machine drumbeat.MachineID, at drumbeat.Time) drumbeat.Item {
	return drumbeat.Item{Machine: machine, EventTime: at, Entry: drumbeat.Entry{Log: fleet.FailureLog, ID: at.String(), Type: "bearing"}}
}

// tick moves the fleet's clock on.
func tick(by time.Duration) func(*testing.T, string) {
	return within(func(ctx context.Context, d *depot) error {
		now, err := d.fleetNow(ctx)
		if err != nil {
			return err
		}
		return d.alerts.Tick(ctx, now.Add(by))
	})
}

func TestDoctorFindsFaultsOfAFleetsParts(t *testing.T) {
	t.Parallel()
	playFaults(t, []fault{
		{name: "a fleet file is wrong", check: partDefinition, state: stateFail, found: "cadance", spoil: edit(laundryFile, "cadence:", "cadance:")},
		{name: "what needs the definition is skipped", check: partLake, state: stateSkipped, found: "the fleet's files", spoil: edit(laundryFile, "cadence:", "cadance:")},
		{name: "the lake is newer", check: partLake, state: stateFail, found: "format 99", spoil: edit(objectDir+"/laundry/format.json", "1", "99")},
		{name: "the topics are gone", check: partTopics, state: stateFail, found: "was there before", spoil: remove(brokerDir)},
		{name: "the online store is newer", check: partOnline, state: stateFail, found: "version 99", spoil: newer(fleetsDir, "laundry", onlineFile)},
		{name: "the alert store is newer", check: partAlerts, state: stateFail, found: "version 99", spoil: newer(fleetsDir, "laundry", alertsFile)},
		{name: "a fault of one part leaves the others", check: "model-files", state: stateOK, found: "champion", spoil: newer(fleetsDir, "laundry", alertsFile)},
	})
}

func TestDoctorFindsFaultsOfTopics(t *testing.T) {
	t.Parallel()
	playFaults(t, []fault{
		{name: "the topic is another", check: "epochs", state: stateFail, found: "epoch 1 begins", spoil: func(t *testing.T, dir string) {
			t.Helper()
			path := filepath.Join(dir, objectDir, "topics", laundryTopic, "0000000000.json")
			text, err := json.Marshal(topic.Incarnation{Format: 1, ID: strings.Repeat("0", 32), Partitions: partitions})
			if err == nil {
				err = os.WriteFile(path, text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{name: "the epochs were lost", check: "epochs", state: stateFail, found: "objects/topics was lost", spoil: func(t *testing.T, dir string) {
			t.Helper()
			opened(t, dir, func(_ context.Context, d *depot) error { return d.lake.UseEpoch(0) })
			within(func(ctx context.Context, d *depot) error {
				p, _ := next(d)
				p.Epoch, p.Offset = 3, 0
				item := drumbeat.Item{Machine: "W-001", Position: p, Raw: []byte("{}"), EventTime: 1, ArrivalTime: 1}
				return d.lake.AppendBronze(ctx, []drumbeat.Item{item}, nil, lake.Progress{0: 1})
			})(t, dir)
		}},
		{
			name: "clock: wall on a topic of CreateTime", check: "arrival-times", state: stateFail, found: "clock: wall",
			spoil: edit(laundryFile, "clock: data", "clock: wall"),
		},
		{name: "the stream is ahead of the topic", check: "offsets", state: stateFail, found: "partition 1 at 1000000", spoil: within(
			func(ctx context.Context, d *depot) error {
				w, err := topic.NewTxnWriter(ctx, d.kafka, "test"+d.incarnation())
				if err != nil {
					return err
				}
				defer w.Close()
				return w.WriteTxn(ctx, nil, topic.Commit{Group: d.streamGroup(), Topic: d.telemetry, Offsets: map[int32]int64{1: 1_000_000}})
			})},
		{name: "bronze is ahead of the topic", check: "progress", state: stateFail, found: "bronze is ahead of topic laundry", spoil: within(
			func(ctx context.Context, d *depot) error {
				at := d.lake.BronzeProgress()
				at[0] += 1000
				return d.lake.AppendBronze(ctx, nil, nil, at)
			})},
		{name: "silver is ahead of bronze", check: "progress", state: stateFail, found: "silver is ahead of bronze", spoil: within(
			func(ctx context.Context, d *depot) error {
				_, at := next(d)
				return d.lake.AppendSilver(ctx, lake.Silver{}, at)
			})},
		{name: "records wait", check: "lag", state: stateWarn, found: "1 records not in bronze", spoil: within(
			func(ctx context.Context, d *depot) error {
				w, err := topic.NewWriter(ctx, d.kafka)
				if err != nil {
					return err
				}
				defer w.Close()
				return w.Write(ctx, []topic.Record{{Topic: d.telemetry.Name, Key: "W-001", Value: []byte("{}"), Time: 1}})
			})},
	})
}

func TestDoctorFindsFaultsOfTables(t *testing.T) {
	t.Parallel()
	playFaults(t, []fault{
		{name: "a commit is damaged", check: "table-logs", state: stateFail, found: "gold", spoil: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Truncate(dataFile(t, dir, "gold", "*1.json"), 100); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a file is gone", check: "table-files", state: stateFail, found: "is gone", spoil: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Remove(dataFile(t, dir, "gold", "*.parquet")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a file was cut", check: "table-files", state: stateFail, found: "has 100 bytes", spoil: func(t *testing.T, dir string) {
			t.Helper()
			if err := os.Truncate(dataFile(t, dir, "silver/readings", "*.parquet"), 100); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "a file does not decode", check: "table-reads", state: stateFail, found: "gold", spoil: damaged("gold", "*.parquet")},
		{name: "many small files", check: "small-files", state: stateWarn, found: "are below", exam: func(e *exam) { e.small = 0 }},
	})
}

func TestDoctorFindsFaultsOfData(t *testing.T) {
	t.Parallel()
	const toContinuous = "failure_log: continuous"
	playFaults(t, []fault{
		{name: "most records are dead letters", check: "dead-letters", state: stateFail, found: "9000 × no such field", spoil: within(
			func(ctx context.Context, d *depot) error {
				at := d.lake.BronzeProgress()
				letter := lake.DeadLetter{Position: drumbeat.Position{Epoch: d.lake.Epoch(), Offset: at[0]}, Reason: "no such field"}
				at[0]++
				letters := make([]lake.DeadLetter, 9000)
				for i := range letters {
					letters[i] = letter
					letters[i].Position.Index = int32(i)
				}
				return d.lake.AppendBronze(ctx, nil, letters, at)
			})},
		{name: "records were lost", check: "lost-records", state: stateFail, found: "7 records in 1 gaps", spoil: within(
			func(ctx context.Context, d *depot) error {
				at, _ := next(d)
				b := d.lake.NewBronze()
				b.Lost = []lake.Lost{{Position: at, Until: at.Offset + 7, After: drumbeat.NoTime, Noticed: drumbeat.At(time.Now())}}
				return b.Append(ctx, lake.Progress{at.Partition: at.Offset + 7})
			})},
		{name: "many readings are late", check: "set-aside", state: stateWarn, found: "more than 2 % late", spoil: within(
			func(ctx context.Context, d *depot) error {
				at, progress := next(d)
				aside := make([]lake.Aside, 1000)
				for i := range aside {
					aside[i] = lake.Aside{Machine: "W-001", Position: at, Fate: drumbeat.FateLate}
					aside[i].Position.Index = int32(i)
				}
				return d.lake.AppendSilver(ctx, lake.Silver{Aside: aside}, progress)
			})},
		{
			name: "readings are of tomorrow", check: "event-times", state: stateFail, found: "has not come yet",
			spoil: edit(laundryFile, "clock: data", "clock: wall"),
			exam:  func(e *exam) { e.now = func() time.Time { return time.Date(2026, 3, 20, 0, 0, 0, 0, time.UTC) } },
		},
		{name: "a machine never sent", check: "silent-machines", state: stateWarn, found: "W-777", spoil: entries(
			func(now drumbeat.Time) []drumbeat.Item { return []drumbeat.Item{failure("W-777", now.Add(-day))} })},
		{
			name: "nobody says that the failure log is complete", check: "failure-log", state: stateFail, found: "no row is negative",
			spoil: edit(laundryFile, toContinuous, "# not said"),
		},
		{
			name: "the failure log ends long ago", check: "failure-log", state: stateWarn, found: "before the newest reading",
			spoil: edit(laundryFile, toContinuous, "complete_to: 2026-01-01"),
		},
		{name: "failures just stop", check: "failure-rate", state: stateWarn, found: "none in the", spoil: func(t *testing.T, dir string) {
			t.Helper()
			entries(func(now drumbeat.Time) []drumbeat.Item { // far in the future of the simulated ones
				var items []drumbeat.Item
				for i := range 300 {
					items = append(items, failure("W-001", now.Add(-30*day).Add(time.Duration(i)*time.Hour)))
				}
				return items
			})(t, dir)
			tickReading(t, dir, 40*day)
		}},
	})
}

// tickReading lets one reading arrive much later than all others.
func tickReading(t *testing.T, dir string, by time.Duration) {
	t.Helper()
	opened(t, dir, func(ctx context.Context, d *depot) error {
		now, err := d.fleetNow(ctx)
		if err != nil {
			return err
		}
		at, progress := next(d)
		values := make([]int64, len(d.def.Sensors))
		item := drumbeat.Item{Machine: "W-001", Position: at, EventTime: now.Add(by), ArrivalTime: now.Add(by), Values: values}
		return d.lake.AppendSilver(ctx, lake.Silver{Items: []drumbeat.Item{item}}, progress)
	})
}

func TestDoctorFindsFaultsOfModels(t *testing.T) {
	t.Parallel()
	registryFile := func(statements ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			t.Helper()
			query(t, filepath.Join(dir, "registry.sqlite"), statements...)
		}
	}
	const noVersion, noFile = `DROP TRIGGER version_delete`, `DROP TRIGGER file_delete`
	playFaults(t, []fault{
		{name: "there is no model", check: "champion", state: stateWarn, found: "no model yet", spoil: registryFile(
			noVersion, noFile, `DELETE FROM alias`, `DELETE FROM file`, `DELETE FROM version`)},
		{name: "no version is champion", check: "champion", state: stateFail, found: "none is champion", spoil: registryFile(`DELETE FROM alias`)},
		{name: "the champion was deleted by hand", check: "aliases", state: stateFail, found: "champion stands at version 1", spoil: registryFile(
			noVersion, noFile, `DELETE FROM file`, `DELETE FROM version`)},
		{name: "the champion was moved by hand", check: "ledger", state: stateFail, found: "stands nowhere", spoil: registryFile(`DELETE FROM alias`)},
		{name: "a challenger was set by hand", check: "ledger", state: stateFail, found: "challenger stands at version 1", spoil: registryFile(
			`INSERT INTO alias (fleet, name, number, seq) VALUES ('laundry', 'challenger', 1, 1)`)},
		{name: "the ledger has a gap", check: "ledger", state: stateFail, found: "from version 7", spoil: registryFile(
			`DROP TRIGGER ledger_update`, `UPDATE ledger SET from_no = 7`)},
		{name: "the ledger gives no reason", check: "ledger", state: stateFail, found: "does not say who", spoil: registryFile(
			`DROP TRIGGER ledger_update`, `UPDATE ledger SET why = ''`)},
		{name: "a model file was changed", check: "model-files", state: stateFail, found: "altered or damaged", spoil: func(t *testing.T, dir string) {
			t.Helper()
			files, err := filepath.Glob(filepath.Join(dir, objectDir, "models", "*"))
			if err != nil || len(files) == 0 {
				t.Fatal("there are no model files: ", err)
			}
			for _, file := range files {
				if err := errors.Join(os.Remove(file), os.WriteFile(file, []byte("{}"), 0o640)); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{name: "the view was edited", check: "view-hash", state: stateFail, found: "was not registered with it", spoil: edit(
			fleetsDir+"/laundry/"+feature.ViewFile, "ttl: 7d", "ttl: 8d")},
		{name: "the last training failed", check: "last-runs", state: stateWarn, found: "train (r2): no rows", spoil: within(
			func(ctx context.Context, d *depot) error {
				return errors.Join(
					d.runs.Insert(ctx, runOf("r1", pipeline.Done, "")), d.runs.Insert(ctx, runOf("r2", pipeline.Failed, "no rows")))
			})},
		{name: "a training was cut", check: "last-runs", state: stateWarn, found: "begun and not ended: train (r1)", spoil: within(
			func(ctx context.Context, d *depot) error {
				return d.runs.Insert(ctx, runOf("r1", pipeline.Running, ""))
			})},
		{name: "nobody monitors", check: "monitoring", state: stateWarn, found: "the last report is of 2026-03-10", spoil: within(
			func(ctx context.Context, d *depot) error {
				at := drumbeat.At(time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC))
				text, err := json.Marshal(monitored{Fleet: d.def.Name, MadeAt: at})
				if err != nil {
					return err
				}
				return d.lake.AppendReport(ctx, lake.Report{Kind: reportMonitor, Key: "test", MadeAt: at, Text: text})
			})},
		{name: "the model is old", check: "model-age", state: stateWarn, found: "100.0 days old", spoil: registryFile(
			`DROP TRIGGER version_update`, `UPDATE version SET when_fleet = when_fleet - 100 * 86400000000`)},
	})
}

// runOf is a training that was asked for on a Monday, or the day after.
func runOf(id string, state pipeline.State, failed string) *pipeline.Run {
	at := pipeline.Moment{Fleet: 1, Wall: drumbeat.At(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))}
	if id == "r2" {
		at.Wall = at.Wall.Add(day)
	}
	return &pipeline.Run{
		ID: id, Graph: graphTrain, Fleet: laundryTopic, Reason: pipeline.Reason{Kind: pipeline.Person}, Who: "test",
		Params: []byte("{}"), State: state, Error: failed, Requested: at, Started: at,
	}
}

func TestDoctorTellsWhyAChampionDoesNotServe(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	s, err := openSite(t.Context(), dir, false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	h := newHost(s)
	if h.listener, err = (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.listener.Close() })
	e := sound(dir)
	e.use(h)
	if v := checkInService(t.Context(), e, e.patients[0]); v.State != stateOK {
		t.Errorf("without trouble: %+v", v)
	}
	trouble := "version 2 does not load"
	h.daemons[0].trouble.Store(&trouble)
	if v := checkInService(t.Context(), e, e.patients[0]); v.State != stateFail || v.Found != trouble || v.Mend == "" {
		t.Errorf("with trouble: %+v", v)
	}
}

func TestDoctorFindsFaultsOfServing(t *testing.T) {
	t.Parallel()
	playFaults(t, []fault{
		{name: "machines are silent", check: "watched", state: stateWarn, found: "W-888", spoil: within(
			func(ctx context.Context, d *depot) error {
				v := drumbeat.Vector{Machine: "W-888", Values: make([]float64, len(d.view.Features)), Running: true}
				_, err := d.online.Write(ctx, d.view.Hash, []feature.Record{{Vector: v}})
				return err
			})},
		{name: "a machine has no vector", check: "online-machines", state: stateFail, found: "W-001", spoil: func(t *testing.T, dir string) {
			t.Helper()
			query(t, filepath.Join(dir, fleetsDir, "laundry", onlineFile), `DELETE FROM records WHERE machine = 'W-001'`)
		}},
		{name: "no machine has a vector", check: "online-machines", state: stateSkipped, found: "drumbeat run", spoil: remove(fleetsDir + "/laundry/" + onlineFile)},
		{name: "vectors are too old", check: "online-age", state: stateWarn, found: "3 of 3 vectors", spoil: tick(30 * day)},
		{name: "an alert waits for long", check: "open-alerts", state: stateWarn, found: "W-002", spoil: oldAlert},
	})
}

// oldAlert opens an alert that is much older than the horizon.
func oldAlert(t *testing.T, dir string) {
	t.Helper()
	opened(t, dir, openAlert)
	query(t, filepath.Join(dir, fleetsDir, "laundry", alertsFile), `UPDATE alert SET opened_at = opened_at - 30 * 86400000000`)
}

// openAlert lets the champion warn of a machine now.
func openAlert(ctx context.Context, d *depot) error {
	now, err := d.fleetNow(ctx)
	if err != nil {
		return err
	}
	p := drumbeat.Prediction{
		Fleet: d.def.Name, Machine: "W-002", AsOf: now, ArrivalTime: now, Model: 1, Role: drumbeat.RoleChampion,
		Purpose: drumbeat.PurposeLive, Horizon: "7d", Mode: alert.AnyMode, Probability: 0.9, Threshold: 0.45, Alarm: true,
	}
	err = d.alerts.Apply(ctx, &alert.Batch{
		Place: alert.Place{Partition: 9}, Events: []alert.Event{{Prediction: &p}}, Next: 1, Now: now,
	})
	if err == nil && len(d.alerts.Open()) != 1 {
		err = fmt.Errorf("%d alerts are open, want 1", len(d.alerts.Open()))
	}
	return err
}

// held keeps a folder as a daemon does, and answers its commands if it is
// asked to.
func held(t *testing.T, dir string, answers bool) {
	t.Helper()
	s, err := openSite(t.Context(), dir, false, quiet())
	if err != nil {
		t.Fatal(err)
	}
	h := newHost(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if !answers {
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in := &ofFleet{Fleet: drumbeat.FleetName(r.URL.Query().Get("fleet"))}
		var body any
		var err error
		switch r.URL.Path {
		case "/v1/doctor":
			out, failed := runDoctor().run(r.Context(), h, localUser, in)
			body, err = out, failed
			if failed == nil {
				body = out.Body
			}
		case "/v1/status":
			out, failed := showStatus().run(r.Context(), h, localUser, in)
			body, err = out, failed
			if failed == nil {
				body = out.Body
			}
		}
		if err != nil {
			w.WriteHeader(http.StatusNotFound)
			body = map[string]any{"title": "not found", "detail": err.Error()}
		}
		if err := json.NewEncoder(w).Encode(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	h.listener = server.Listener
	if err := h.tell(t.Context(), server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorAsksTheDaemon(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	held(t, dir, true)
	report := examined(t, sound(dir))
	if !report.Running {
		t.Error("the daemon did not answer")
	}
	if c := resultOf(t, report, "daemon"); c.State != stateOK || !strings.Contains(c.Found, "answers at 127.0.0.1:") {
		t.Errorf("daemon: %s: %s", c.State, c.Found)
	}
	if c := resultOf(t, report, "table-files"); c.State != stateOK {
		t.Errorf("table-files: %s: %s", c.State, c.Found)
	}
	wrong := doctorCommand{Data: dir, Fleet: "laundri"}
	if _, err := wrong.examine(t.Context(), sound(dir)); err == nil || !strings.Contains(err.Error(), "fleet") {
		t.Errorf("a fleet that is not there: got %v, want an error that names it", err)
	}
}

func TestDoctorSaysThatADaemonIsSilent(t *testing.T) {
	t.Parallel()
	dir := siteCopy(t)
	held(t, dir, false)
	report := examined(t, sound(dir))
	c := resultOf(t, report, "daemon")
	if c.State != stateFail || !strings.Contains(c.Found, fmt.Sprintf("process %d holds the folder", os.Getpid())) {
		t.Errorf("daemon: %s: %s", c.State, c.Found)
	}
	if c := resultOf(t, report, "ledger"); c.State != stateSkipped {
		t.Errorf("ledger: %s: %s", c.State, c.Found)
	}
	if report.OK {
		t.Error("the report is ok")
	}
}

func TestDoctorSuggestsAFleet(t *testing.T) {
	t.Parallel()
	c := doctorCommand{Data: siteCopy(t), Fleet: "laundri"}
	_, err := c.examine(t.Context(), sound(c.Data))
	if !errors.Is(err, drumbeat.ErrNotFound) || !strings.Contains(err.Error(), `did you mean "laundry"`) {
		t.Errorf("got %v, want the nearest fleet", err)
	}
}
