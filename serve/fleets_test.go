package serve_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/serve"
)

// newDistrict makes a site of two fleets: washers with a model, dryers without
// one.
func newDistrict(t *testing.T) (washers, dryers *shop) {
	t.Helper()
	washers, dryers = newClosedShop(t, "washers"), newClosedShop(t, "dryers")
	dryers.scorer = serve.NewScorer(dryers.view.Fleet)
	dryers.site.Scorer = dryers.scorer
	dryers.fault = serve.ErrNoModel
	washers.open(t, rate, dryers)
	return washers, dryers
}

func TestARequestSaysWhichFleetItMeans(t *testing.T) {
	s, dryers := newDistrict(t)
	s.alerts = []drumbeat.Alert{{ID: "a-1", Machine: "W-002", ClosedAt: drumbeat.NoTime}}
	bodies := map[string]string{
		"/v1/predict": `{"machine":"W-001"}`, "/v1/predict/batch": `{"machines":["W-001"]}`,
		"/v1/alerts/a-1/finding": `{"outcome":"repaired"}`, "/v1/findings": `{"machine":"W-001","outcome":"failed"}`,
	}
	fill := strings.NewReplacer("{machine}", "W-001", "{id}", "a-1")
	of := 0
	for _, route := range s.router.Routes() {
		method, path, _ := strings.Cut(fill.Replace(route.Pattern), " ")
		if !strings.HasPrefix(path, "/v1/") || path == "/v1/fleets" {
			continue
		}
		of++
		for query, want := range map[string]struct {
			status int
			says   string
		}{
			"?fleet=washers":         {http.StatusOK, ""},
			"":                       {http.StatusUnprocessableEntity, "this site has several fleets: washers, dryers"},
			"?fleet=dryer":           {http.StatusNotFound, "did you mean dryers?"},
			"?fleet=zzz":             {http.StatusNotFound, "/v1/fleets"},
			"?fleet=washers&zebra=1": {http.StatusUnprocessableEntity, "zebra"},
		} {
			status, text := s.call(t, access.Engineer, method, path+query, bodies[path])
			if status != want.status || !strings.Contains(text, want.says) {
				t.Errorf("%s%s: %d %s; want %d and %q", route.Pattern, query, status, text, want.status, want.says)
			}
		}
	}
	if of != 9 {
		t.Errorf("%d operations of a fleet, want 9", of)
	}
	if len(s.findings) != 2 || len(dryers.findings) != 0 || s.findings[0].Fleet != "washers" {
		t.Errorf("findings %+v and %+v", s.findings, dryers.findings)
	}
	status, text := s.call(t, access.Viewer, http.MethodGet, "/v1/machines?fleet=dryers", "")
	if status != http.StatusServiceUnavailable || !strings.Contains(text, "no model") {
		t.Errorf("machines of a fleet without a model: %d %s", status, text)
	}
	body := `{"machine":"W-001","reading":` + reading(15*time.Minute, 48) + `}`
	status, text = s.call(t, access.Technician, http.MethodPost, "/v1/predict?fleet=dryers", body)
	if status != http.StatusServiceUnavailable || len(dryers.recorded) != 0 {
		t.Errorf("a reading of a fleet without a model: %d %s; recorded %v, want nothing", status, text, dryers.recorded)
	}
	_, text = s.call(t, access.Viewer, http.MethodGet, "/metrics", "")
	for _, want := range []string{
		`drumbeat_http_predictions_total{alarm="false",fleet="washers",purpose="query"} 2`,
		`drumbeat_http_request_seconds_count{fleet="dryers",operation="machines",status="503"} 1`,
		`drumbeat_http_request_seconds_count{fleet="",operation="predict",status="422"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}

func TestTheFleetsAreListed(t *testing.T) {
	s, dryers := newDistrict(t)
	dryers.now = drumbeat.NoTime
	_, text := s.call(t, access.Viewer, http.MethodGet, "/v1/fleets", "")
	got := decode[struct{ Fleets []serve.FleetModel }](t, text).Fleets
	want := []serve.FleetModel{
		{Name: "washers", Title: s.view.Fleet.Title, Machines: 4, Champion: 3, Now: s.now, Ready: true},
		{Name: "dryers", Title: s.view.Fleet.Title, Machines: 4, Now: drumbeat.NoTime, Why: serve.ErrNoModel.Error()},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fleets (-want +got):\n%s", diff)
	}
}

func TestASiteIsReadyWhenOneFleetIs(t *testing.T) {
	s, _ := newDistrict(t)
	status, text := s.call(t, access.Anyone, http.MethodGet, "/readyz", "")
	if status != http.StatusOK || !strings.Contains(text, "fleet dryers is not ready: "+serve.ErrNoModel.Error()) {
		t.Errorf("one of two: %d %s", status, text)
	}
	s.fault = errors.New("still reading silver")
	status, text = s.call(t, access.Anyone, http.MethodGet, "/readyz", "")
	want := []access.Fault{
		{Location: "washers", Message: "still reading silver"}, {Location: "dryers", Message: serve.ErrNoModel.Error()},
	}
	if diff := cmp.Diff(want, decode[access.Problem](t, text).Errors); status != http.StatusServiceUnavailable || diff != "" {
		t.Errorf("none of two: %d (-want +got):\n%s", status, diff)
	}
}

func TestAnAPIOfNoFleetOrOfOneTwiceIsRefused(t *testing.T) {
	s := newClosedShop(t, "washers")
	for name, sites := range map[string][]serve.Site{"none": nil, "one twice": {s.site, s.site}} {
		if _, err := serve.New(sites, serve.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now, Registry: prometheus.NewRegistry()}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

// stageInput and stageOutput are those of an operation of another room.
type stageInput struct {
	serve.OfFleet
	Body struct {
		What string `json:"what" enum:"wait,fail,conflict,tell"`
		Load string `json:"load,omitempty"`
	}
}

type stageOutput struct {
	Body struct {
		Fleet drumbeat.FleetName `json:"fleet"`
		By    string             `json:"by"`
	}
}

func TestOperationsOfOtherRoomsKeepTheSameRules(t *testing.T) {
	s := newClosedShop(t, "laundry")
	s.more = func(a *serve.API) {
		stage := func(ctx context.Context, in *stageInput) (*stageOutput, error) {
			switch in.Body.What {
			case "wait":
				<-ctx.Done()
				return nil, fmt.Errorf("run the stage: %w", ctx.Err())
			case "fail":
				return nil, errors.New("the inside of the house")
			case "conflict":
				return nil, fmt.Errorf("run 7 is under way: %w", drumbeat.ErrConflict)
			}
			var out stageOutput
			var err error
			out.Body.Fleet, err = a.FleetOf(in.OfFleet)
			out.Body.By = access.PersonOf(ctx).Name
			return &out, err
		}
		op := huma.Operation{OperationID: "stage", Method: http.MethodPost, Path: "/v1/stage", MaxBodyBytes: 100_000}
		serve.Add(a, access.Engineer, op, time.Millisecond, stage)
	}
	s.open(t, rate)
	for name, tc := range map[string]struct {
		role   access.Role
		query  string
		body   string
		status int
		says   string
	}{
		"it answers":               {access.Engineer, "", `{"what":"tell"}`, 200, `{"fleet":"laundry","by":"engineer"}`},
		"a role too low":           {access.Technician, "", `{"what":"tell"}`, 403, "technician"},
		"past its time":            {access.Engineer, "", `{"what":"wait"}`, 503, "no answer in time"},
		"a fault of ours":          {access.Engineer, "", `{"what":"fail"}`, 500, "the fault is ours"},
		"a kind of error":          {access.Engineer, "", `{"what":"conflict"}`, 409, "run 7 is under way"},
		"an unknown fleet":         {access.Engineer, "?fleet=x", `{"what":"tell"}`, 404, "no such fleet"},
		"an unknown parameter":     {access.Engineer, "?x=1", `{"what":"tell"}`, 422, "unknown query parameter"},
		"a wrong body":             {access.Engineer, "", `{"what":"sing"}`, 422, "body.what"},
		"a body within its limit":  {access.Engineer, "", `{"what":"tell","load":"` + strings.Repeat("x", 90_000) + `"}`, 200, ""},
		"a body beyond that limit": {access.Engineer, "", `{"what":"tell","load":"` + strings.Repeat("x", 110_000) + `"}`, 413, ""},
	} {
		status, text := s.call(t, tc.role, http.MethodPost, "/v1/stage"+tc.query, tc.body)
		if status != tc.status || !strings.Contains(text, tc.says) || strings.Contains(text, "inside of the house") {
			t.Errorf("%s: %d %s; want %d and %q", name, status, text, tc.status, tc.says)
		}
	}
	_, text := s.call(t, access.Viewer, http.MethodGet, "/metrics", "")
	if want := `drumbeat_http_request_seconds_count{fleet="laundry",operation="stage",status="200"} 2`; !strings.Contains(text, want) {
		t.Errorf("metrics lack %s", want)
	}
	for range rate {
		s.call(t, access.Engineer, http.MethodPost, "/v1/stage", `{"what":"tell"}`)
	}
	if status, _ := s.call(t, access.Engineer, http.MethodPost, "/v1/stage", `{"what":"tell"}`); status != http.StatusTooManyRequests {
		t.Errorf("too fast: %d, want 429", status)
	}
	defer func() {
		if recover() == nil {
			t.Error("an operation was added after Mount, where it cannot be served")
		}
	}()
	s.more(s.api)
}

func TestTheDocumentDescribesEveryOperationWithItsRoleAndItsFleet(t *testing.T) {
	s := newShop(t)
	_, text := s.call(t, access.Anyone, http.MethodGet, "/openapi.json", "")
	document := decode[struct {
		Paths map[string]map[string]struct {
			OperationID string
			Description string
			Security    []json.RawMessage
			Parameters  []struct{ Name, In string }
			Responses   map[string]json.RawMessage
		}
	}](t, text)
	described := 0
	for _, route := range s.router.Routes() {
		method, path, _ := strings.Cut(route.Pattern, " ")
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		op, ok := document.Paths[path][strings.ToLower(method)]
		if !ok || !strings.Contains(op.Description, "Least role: "+route.Least.String()) || len(op.Security) == 0 {
			t.Errorf("%s: %+v", route.Pattern, op)
		}
		fleet := false
		for _, p := range op.Parameters {
			fleet = fleet || p.Name == "fleet" && p.In == "query"
		}
		if fleet == (path == "/v1/fleets") {
			t.Errorf("%s: its parameters are %v", route.Pattern, op.Parameters)
		}
		for _, status := range []string{"401", "403", "429"} {
			if _, ok := op.Responses[status]; !ok {
				t.Errorf("%s does not say that it may answer %s", route.Pattern, status)
			}
		}
		described++
	}
	if all := slices.Collect(func(yield func(string) bool) {
		for path := range document.Paths {
			if !yield(path) {
				return
			}
		}
	}); described != 10 || len(all) != 10 {
		t.Errorf("%d operations described, paths %v; want 10", described, all)
	}
}
