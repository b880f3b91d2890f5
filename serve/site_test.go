package serve_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/feature"
	"drumbeat/feature/memory"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/model"
	"drumbeat/serve"
)

// split is a tree of one split: low below the threshold, high from it on.
type split struct {
	feature   string
	threshold float32
	low, high float32
}

// forest makes a model of such trees, as XGBoost would have saved it.
func forest(t testing.TB, v *feature.View, splits ...split) *model.Model {
	t.Helper()
	var trees []map[string]any
	for _, s := range splits {
		trees = append(trees, map[string]any{
			"left_children": []int{1, -1, -1}, "right_children": []int{2, -1, -1},
			"split_indices":    []int{v.Index(s.feature), 0, 0},
			"split_conditions": []float32{s.threshold, s.low, s.high},
			"split_type":       []int{0, 0, 0}, "default_left": []int{1, 0, 0}, "sum_hessian": []float32{100, 90, 10},
		})
	}
	text, err := json.Marshal(map[string]any{
		"version": []int{3, 2, 0},
		"learner": map[string]any{
			"feature_names":       v.Names(),
			"objective":           map[string]any{"name": "binary:logistic"},
			"learner_model_param": map[string]any{"base_score": "5E-1", "num_class": "0", "num_target": "1", "num_feature": strconv.Itoa(len(v.Features))},
			"gradient_booster": map[string]any{"name": "gbtree", "model": map[string]any{
				"gbtree_model_param": map[string]any{"num_trees": strconv.Itoa(len(trees))},
				"tree_info":          make([]int, len(trees)), "trees": trees,
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	m, err := model.New(text, model.Description{
		Fleet: v.Fleet.Name, View: v.Name, Hash: v.Hash, Features: v.Names(), Horizon: "7d",
		Calibrator: model.Calibrator{Method: "platt", Slope: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shaken is a model for which a machine fails when it vibrates.
func shaken(t testing.TB, v *feature.View) *model.Model {
	return forest(t, v,
		split{"vibration_now", 60, -3, 3}, split{"errors_7d", 5, -0.5, 0.5}, split{"model_year", 2015, 0.1, -0.1})
}

func laundry(t testing.TB) *feature.View {
	t.Helper()
	return laundryNamed(t, "laundry")
}

// laundryNamed is the laundry's view, of a fleet of that name.
func laundryNamed(t testing.TB, name drumbeat.FleetName) *feature.View {
	t.Helper()
	f, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	f.Name = name
	v, err := feature.LoadView(fleets.FS(), "laundry", f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

var start = drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

// days is how long the machines of a shop have run: past min_history.
const days = 8

// rate is how many requests a second one person may send.
const rate = 200

// newest is the time of their newest readings.
var newest = start.Add(days * 24 * time.Hour)

// shop is a small site: three machines that ran for eight days, the first of
// them still, the second since it shakes, the third silent for a day.
type shop struct {
	view   *feature.View
	site   serve.Site
	board  *serve.Board
	api    *serve.API
	router *access.Router
	access *access.Access
	tokens map[access.Role]string
	scorer *serve.Scorer

	mu         sync.Mutex
	now        drumbeat.Time
	recorded   []string
	published  []drumbeat.Prediction
	alerts     []drumbeat.Alert
	conditions map[drumbeat.MachineID]serve.Condition
	findings   []drumbeat.Finding
	fault      error // of Record and Publish
	wall       time.Time
	ticking    bool

	more   func(*serve.API) // adds operations
	sender atomic.Int64
	later  atomic.Int64 // how far the clock of tokens runs ahead, in nanoseconds
}

type clockOf func() drumbeat.Time

func (c clockOf) Now() drumbeat.Time { return c() }

func newShop(t testing.TB) *shop {
	t.Helper()
	return newShopAt(t, rate)
}

// newShopAt makes one that lets a person send so many requests a second.
func newShopAt(t testing.TB, rate int) *shop {
	t.Helper()
	s := newClosedShop(t, "laundry")
	s.open(t, rate)
	return s
}

// newClosedShop makes the site of a fleet, without an API.
func newClosedShop(t testing.TB, name drumbeat.FleetName) *shop {
	t.Helper()
	s := &shop{view: laundryNamed(t, name), now: newest.Add(10 * time.Minute), wall: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	online := memory.New()
	s.fill(t, online, s.view)
	s.scorer = serve.NewScorer(s.view.Fleet)
	if err := s.scorer.Swap(serve.Models{Champion: &serve.Live{Version: 3, View: s.view, Model: shaken(t, s.view)}}); err != nil {
		t.Fatal(err)
	}
	s.site = serve.Site{
		Fleet: s.view.Fleet, Online: online, Scorer: s.scorer,
		Clock: clockOf(func() drumbeat.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.now }),
		Machines: func() []serve.Known {
			return []serve.Known{
				{ID: "W-001", Static: []string{"north", "2019", "40", "12"}},
				{ID: "W-002", Static: []string{"south", "2012", "120", ""}},
				{ID: "W-003"},
				{ID: "W-004"},
			}
		},
		Conditions: func(context.Context) (map[drumbeat.MachineID]serve.Condition, error) { return s.conditions, nil },
		Record:     s.record, Publish: s.publish,
		Alerts: func(_ context.Context, f serve.AlertFilter) ([]drumbeat.Alert, error) {
			return slices.DeleteFunc(slices.Clone(s.alerts), func(a drumbeat.Alert) bool {
				return f.Machine != "" && a.Machine != f.Machine || !f.Closed && a.ClosedAt != drumbeat.NoTime
			}), nil
		},
		Alert: func(_ context.Context, id string) (drumbeat.Alert, error) {
			for _, a := range s.alerts {
				if a.ID == id {
					return a, nil
				}
			}
			return drumbeat.Alert{}, fmt.Errorf("alert %q: %w", id, drumbeat.ErrNotFound)
		},
		Answer:   s.answer,
		Manifest: func(context.Context, drumbeat.ModelVersion) ([]byte, error) { return []byte(`{"pr_auc":0.5}`), nil },
		Ready:    func(context.Context) error { return s.fault },
	}
	return s
}

// open makes the API of the shop, and of others beside it.
func (s *shop) open(t testing.TB, rate int, others ...*shop) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	a, err := access.Open(t.Context(), filepath.Join(t.TempDir(), "access.db"),
		access.Options{Log: log, Now: s.accessNow, Random: rand.Reader})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	s.access, s.router = a, a.NewRouter()
	s.tokens = map[access.Role]string{}
	for _, role := range []access.Role{access.Viewer, access.Technician, access.Engineer} {
		_, secret, err := a.NewToken(t.Context(), access.Person{Name: "setup", Role: access.Engineer},
			access.Person{Name: role.String(), Role: role}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		s.tokens[role] = secret
	}
	sites := []serve.Site{s.site}
	for _, other := range others {
		sites = append(sites, other.site)
	}
	s.api, err = serve.New(sites, serve.Options{
		Version: "test", Log: log, Now: s.wallNow, Registry: prometheus.NewRegistry(), Access: a, Rate: rate,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.board = s.api.Board(s.view.Fleet.Name)
	if s.more != nil {
		s.more(s.api)
	}
	s.api.Mount(s.router)
}

// accessNow is the wall clock of tokens.
func (s *shop) accessNow() time.Time { return time.Now().Add(time.Duration(s.later.Load())) }

// tick lets the shop's wall clock run.
func (s *shop) tick() { s.ticking = true }

func (s *shop) wallNow() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ticking {
		return time.Now()
	}
	return s.wall
}

// fill runs the machines and stores their records.
func (s *shop) fill(t testing.TB, online feature.Online, view *feature.View) {
	t.Helper()
	engine := feature.NewEngine(view)
	var offset int64
	for at := start; at <= newest; at = at.Add(15 * time.Minute) {
		for i, id := range []drumbeat.MachineID{"W-001", "W-002", "W-003"} {
			vibration := int64(48_000)
			if id == "W-002" && newest.Sub(at) < 24*time.Hour {
				vibration = 70_000
			}
			if id == "W-003" && newest.Sub(at) < 24*time.Hour {
				continue
			}
			offset++
			engine.Load(&drumbeat.Item{
				Machine: id, EventTime: at, ArrivalTime: at, Position: drumbeat.Position{Epoch: 1, Partition: int32(i), Offset: offset},
				Values: []int64{6000, vibration, 2000, 5000, offset, 0}, Flags: make([]drumbeat.Flag, 6),
			})
		}
	}
	var records []feature.Record
	for _, id := range engine.Machines() {
		r, ok := engine.Record(id)
		if !ok {
			t.Fatalf("no record of %s", id)
		}
		records = append(records, r)
	}
	if _, err := online.Write(t.Context(), view.Hash, records); err != nil {
		t.Fatal(err)
	}
}

func (s *shop) record(_ context.Context, m drumbeat.MachineID, payload []byte, arrival drumbeat.Time) (drumbeat.Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return drumbeat.Position{}, s.fault
	}
	s.recorded = append(s.recorded, fmt.Sprintf("%s %s %s", m, arrival, payload))
	return drumbeat.Position{Epoch: 1, Partition: 0, Offset: int64(100_000 + len(s.recorded))}, nil
}

func (s *shop) publish(_ context.Context, list []drumbeat.Prediction) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		return s.fault
	}
	s.published = append(s.published, list...)
	return nil
}

func (s *shop) answer(_ context.Context, f drumbeat.Finding) (drumbeat.Finding, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(s.findings, func(g drumbeat.Finding) bool { return f.Alert != "" && g.Alert == f.Alert }) {
		return drumbeat.Finding{}, fmt.Errorf("alert %s is closed: %w", f.Alert, drumbeat.ErrConflict)
	}
	f.ID, f.WhenFleet = fmt.Sprintf("f-%d", len(s.findings)+1), s.now
	s.findings = append(s.findings, f)
	return f, nil
}

// call sends a request as a role and returns the status and the body.
func (s *shop) call(t testing.TB, role access.Role, method, path, body string) (int, string) {
	t.Helper()
	return s.send(t, s.tokens[role], method, path, body)
}

// send sends a request with a token, "" for none, and returns the status and
// the body.
func (s *shop) send(t testing.TB, token, method, path, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.RemoteAddr = fmt.Sprintf("192.0.2.%d:1", s.sender.Add(1)%250) // failures count by address
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	s.router.ServeHTTP(w, r)
	text, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(text)
}

// predict asks as a technician and reads the answer.
func (s *shop) predict(t testing.TB, body string) serve.Answer {
	t.Helper()
	status, text := s.call(t, access.Technician, http.MethodPost, "/v1/predict", body)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", body, status, text)
	}
	return decode[serve.Answer](t, text)
}

func decode[T any](t testing.TB, text string) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}
