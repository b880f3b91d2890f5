package web_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/web"
)

// floor is a made-up laundry that stands in for the rooms behind the page: a
// hundred machines with fixed states and two months of readings.
type floor struct {
	mu         sync.Mutex
	now        drumbeat.Time
	machines   []drumbeat.Machine
	alerts     []drumbeat.Alert // newest first
	findings   map[string]drumbeat.Finding
	events     []web.Event
	followers  []chan web.Event
	subscribed []int64 // what each follower asked for
	loop       *loop
}

// prediction makes one with reasons that fit its probability.
func prediction(id drumbeat.MachineID, at drumbeat.Time, p float64) *drumbeat.Prediction {
	sign := 1.0
	if p < 0.3 {
		sign = -1
	}
	return &drumbeat.Prediction{
		Fleet: "laundry", Machine: id, AsOf: at, Model: 3, Role: drumbeat.RoleChampion, Purpose: drumbeat.PurposeQuery,
		Horizon: "7d", Mode: "any", Probability: p, Threshold: 0.45, Alarm: p > 0.45,
		Reasons: []drumbeat.Reason{
			{
				Feature: "vibration_rolling_mean_7d", Value: new(62.1), Usual: new(48.0), Unit: "Hz", Contribution: 1.62 * sign,
				Text: "vibration, mean of 7 days: 62.1 Hz; usual for this machine: 48 Hz (+29 %)",
			},
			{
				Feature: "errors_7d", Value: new(14.0), Usual: new(2.0), Contribution: 0.81 * sign,
				Text: "error codes, sum of 7 days: 14; usual for this machine: 2 (+600 %)",
			},
			{
				Feature: "hours_since_maintenance", Value: new(1480.0), Usual: new(620.0), Unit: "h", Contribution: 0.34,
				Text: "time since the last maintenance: 61.7 days; usual for this machine: 25.8 days (+139 %)",
			},
			{
				Feature: "temp_rolling_std_7d", Value: new(3.1), Usual: new(3.4), Unit: "°C", Contribution: -0.22,
				Text: "temperature, spread over 7 days: 3.1 °C; usual for this machine: 3.4 °C (−9 %)",
			},
			{Feature: "location_zurich", Value: new(1.0), Contribution: -0.08, Text: "location is Zürich"},
		},
	}
}

// newFloor makes the laundry.
func newFloor() *floor {
	f := &floor{now: drumbeat.At(time.Date(2026, 3, 31, 14, 15, 0, 0, time.UTC)), findings: map[string]drumbeat.Finding{}}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	places := []string{"Zürich", "Basel", "Bern", "Genève"}
	for i := range 100 {
		id := drumbeat.MachineID(fmt.Sprintf("W-%03d", i+1))
		m := drumbeat.Machine{
			ID: id, State: drumbeat.StateHealthy, LastSeen: f.now.Add(-time.Duration(random.IntN(15)) * time.Minute),
			Static:     []string{places[i%4], strconv.Itoa(2014 + i%10), strconv.Itoa(20 + i), strconv.Itoa(10 + i%4*4)},
			Prediction: prediction(id, f.now, math.Abs(random.NormFloat64())*0.04),
		}
		switch {
		case i == 57:
			m.State, m.LastSeen, m.Prediction = drumbeat.StateNotWatched, f.now.Add(-31*time.Hour), nil
		case i == 70:
			m.State, m.LastSeen = drumbeat.StateDown, f.now.Add(-5*time.Hour)
			m.Prediction = prediction(id, f.now, 0.31)
		case i%23 == 22:
			m.State = drumbeat.StateWarmingUp
			m.Prediction.Flags = []string{"warming_up"}
		case i%9 == 8:
			m.State, m.LastSeen = drumbeat.StateOff, f.now.Add(-time.Duration(3+random.IntN(12))*time.Hour)
		}
		f.machines = append(f.machines, m)
	}
	f.open("W-042", 0.83, 5*time.Hour)
	f.open("W-017", 0.52, 26*time.Hour)
	f.past("W-042", 40*24*time.Hour, drumbeat.OutcomeRepaired, "Ana Keller", "drive belt", "Belt worn through on the motor side.")
	f.past("W-042", 22*24*time.Hour, drumbeat.OutcomeNothingWrong, "Marco Rossi", "", "")
	f.past("W-063", 9*24*time.Hour, drumbeat.OutcomeLogFailure, "", "", "")
	f.past("W-008", 3*24*time.Hour, drumbeat.OutcomeSensorWrong, "Ana Keller", "", "")
	f.past("W-091", 2*24*time.Hour, drumbeat.OutcomeUnanswered, "", "", "")
	f.events = nil
	f.loop = &loop{}
	return f
}

// open opens an alert since some time ago, and tells the followers.
func (f *floor) open(id drumbeat.MachineID, p float64, ago time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := drumbeat.Alert{
		ID: fmt.Sprintf("a-%d", len(f.alerts)+1), Fleet: "laundry", Machine: id, Mode: "any", OpenedAt: f.now.Add(-ago),
		LastAbove: f.now, Peak: p + 0.04, Latest: *prediction(id, f.now, p), ClosedAt: drumbeat.NoTime, Model: 3,
	}
	f.alerts = append([]drumbeat.Alert{a}, f.alerts...)
	for i := range f.machines {
		if f.machines[i].ID == id {
			f.machines[i].State, f.machines[i].Alert, f.machines[i].Prediction = drumbeat.StateAtRisk, a.ID, &a.Latest
		}
	}
	f.tell(web.Opened, a)
}

func (f *floor) past(id drumbeat.MachineID, ago time.Duration, outcome drumbeat.Outcome, who, part, note string) {
	a := drumbeat.Alert{
		ID: fmt.Sprintf("a-%d", len(f.alerts)+1), Fleet: "laundry", Machine: id, Mode: "any", OpenedAt: f.now.Add(-ago),
		Peak: 0.71, Latest: *prediction(id, f.now.Add(-ago), 0.66), ClosedAt: f.now.Add(-ago + 20*time.Hour), Outcome: outcome, Model: 2,
	}
	if who != "" {
		a.FindingID = "f-" + a.ID
		f.findings[a.FindingID] = drumbeat.Finding{
			ID: a.FindingID, Machine: id, Alert: a.ID, Outcome: outcome, Who: who, Part: part, Note: note, WhenFleet: a.ClosedAt,
		}
	}
	f.alerts = append(f.alerts, a)
	slices.SortStableFunc(f.alerts, func(x, y drumbeat.Alert) int { return -cmp.Compare(x.OpenedAt, y.OpenedAt) })
}

// tell sends an event to every follower. The caller holds mu.
func (f *floor) tell(change web.Change, a drumbeat.Alert) {
	e := web.Event{ID: int64(len(f.events) + 1), Change: change, Alert: a}
	f.events = append(f.events, e)
	for _, follower := range f.followers {
		follower <- e
	}
}

func (f *floor) subscribe(ctx context.Context, after int64) (<-chan web.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscribed = append(f.subscribed, after)
	out := make(chan web.Event, 100)
	if after >= 0 {
		for _, e := range f.events[min(int(after), len(f.events)):] {
			out <- e
		}
	}
	f.followers = append(f.followers, out)
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.followers = slices.DeleteFunc(f.followers, func(c chan web.Event) bool { return c == out })
		close(out)
	})
	return out, nil
}

func (f *floor) listAlerts(_ context.Context, q web.AlertFilter) ([]drumbeat.Alert, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []drumbeat.Alert
	for _, a := range f.alerts {
		if (q.Machine == "" || a.Machine == q.Machine) && (q.Closed || a.ClosedAt == drumbeat.NoTime) && len(list) < q.Limit {
			list = append(list, a)
		}
	}
	return list, nil
}

func (f *floor) alert(_ context.Context, id string) (drumbeat.Alert, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range f.alerts {
		if a.ID == id {
			return a, nil
		}
	}
	return drumbeat.Alert{}, fmt.Errorf("alert %q: %w", id, drumbeat.ErrNotFound)
}

func (f *floor) machine(_ context.Context, id drumbeat.MachineID) (drumbeat.Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.machines {
		if m.ID == id {
			return m, nil
		}
	}
	return drumbeat.Machine{}, fmt.Errorf("machine %q: %w", id, drumbeat.ErrNotFound)
}

func (f *floor) answer(_ context.Context, finding drumbeat.Finding) (drumbeat.Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	finding.ID, finding.WhenFleet = fmt.Sprintf("f-%d", len(f.findings)+1), f.now
	for i := range f.alerts {
		a := &f.alerts[i]
		if a.ID != finding.Alert {
			continue
		}
		if a.ClosedAt != drumbeat.NoTime {
			return drumbeat.Finding{}, fmt.Errorf("answer alert %s: it is closed already: %w", a.ID, drumbeat.ErrConflict)
		}
		a.ClosedAt, a.Outcome, a.FindingID = f.now, finding.Outcome, finding.ID
		for j := range f.machines {
			if f.machines[j].ID == a.Machine {
				f.machines[j].State, f.machines[j].Alert = drumbeat.StateHealthy, ""
			}
		}
		f.tell(web.Closed, *a)
	}
	f.findings[finding.ID] = finding
	return finding, nil
}

func (f *floor) finding(_ context.Context, id string) (drumbeat.Finding, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	finding, known := f.findings[id]
	if !known {
		return drumbeat.Finding{}, fmt.Errorf("finding %q: %w", id, drumbeat.ErrNotFound)
	}
	return finding, nil
}

// history makes readings every 15 minutes that follow the shifts, switched
// off at night, and rise towards the end on W-042.
func (f *floor) history(_ context.Context, q web.HistoryQuery) (web.History, error) {
	var h web.History
	random := mathrand.New(mathrand.NewPCG(7, uint64(len(q.Sensor))))
	for t := q.From; t <= q.To; t = t.Add(15 * time.Minute) {
		hour := t.Std().Hour()
		v := 48 + 2*math.Sin(float64(hour)/24*2*math.Pi) + random.NormFloat64()
		if left := q.To.Sub(t); q.Machine == "W-042" && left < 8*24*time.Hour {
			v += 16 * (1 - left.Hours()/192)
		}
		if hour >= 22 || hour < 5 {
			v = math.NaN()
		}
		h.Times, h.Values = append(h.Times, t), append(h.Values, v)
	}
	return h, nil
}

func (f *floor) source() web.Source {
	return web.Source{
		Fleet: web.Fleet{
			Name: "laundry", Title: "Laundry washers", Horizon: 7 * 24 * time.Hour, Threshold: 0.45, Cadence: 15 * time.Minute,
			Sensors: []web.Sensor{
				{Name: "temperature_c", Title: "temperature", Unit: "°C", Decimals: 2},
				{Name: "vibration_hz", Title: "vibration", Unit: "Hz", Decimals: 3},
				{Name: "pressure_bar", Title: "pressure", Unit: "bar", Decimals: 3},
				{Name: "power_kw", Title: "power", Unit: "kW", Decimals: 3},
				{Name: "runtime_hours", Title: "run hours", Unit: "h", Decimals: 2},
				{Name: "error_code_count", Title: "error codes"},
			},
			Static:   []string{"location", "model year", "age in months", "capacity in kg"},
			SensorOf: map[string]string{"vibration_rolling_mean_7d": "vibration_hz", "errors_7d": "error_code_count"},
		},
		Now: func() drumbeat.Time { return f.now },
		Machines: func(context.Context) ([]drumbeat.Machine, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			return slices.Clone(f.machines), nil
		},
		Machine: f.machine, Alerts: f.listAlerts, Alert: f.alert, Finding: f.finding,
		History: f.history, Answer: f.answer, Subscribe: f.subscribe,
	}
}

// house is the page in a server.
type house struct {
	*floor
	access *access.Access
	server *httptest.Server
	router *access.Router
}

var engineer = access.Person{Name: "drumbeat", Role: access.Engineer}

// newHouse opens the page of one fleet, the laundry with its loop.
func newHouse(t *testing.T) *house {
	t.Helper()
	f := newFloor()
	f.loop = newLoop(f.now)
	return houseOf(t, f, f.connect(f.source()))
}

// houseOf opens the page of several fleets; f is the one that the test plays.
func houseOf(t *testing.T, f *floor, sources ...web.Source) *house {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	a, err := access.Open(t.Context(), filepath.Join(t.TempDir(), "access.db"),
		access.Options{Log: log, Now: time.Now, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{floor: f, access: a, router: a.NewRouter()}
	site, err := web.New(sources, web.Options{Log: log, Access: a, Beat: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	site.Mount(h.router)
	h.server = httptest.NewUnstartedServer(h.router)
	h.server.Config.RegisterOnShutdown(site.Stop)
	h.server.Start()
	t.Cleanup(func() {
		site.Stop()
		h.server.CloseClientConnections()
		h.server.Close()
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// link makes a sign-in link for a person of a role.
func (h *house) link(t *testing.T, role access.Role) string {
	t.Helper()
	code, err := h.access.NewLink(t.Context(), engineer, access.Person{Name: "Ana Keller", Role: role}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return h.server.URL + web.LinkPath(code)
}

// token makes a bearer token of a role.
func (h *house) token(t *testing.T, role access.Role) string {
	t.Helper()
	_, secret, err := h.access.NewToken(t.Context(), engineer, access.Person{Name: "Ana Keller", Role: role}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
