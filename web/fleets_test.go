package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/web"
)

// newSite opens the page of three fleets: the laundry with its loop, dryers
// that nobody has trained a model for, and ironers that cannot be read.
func newSite(t *testing.T) *house {
	t.Helper()
	f := newFloor()
	f.loop = newLoop(f.now)
	dryers := newFloor()
	dryers.alerts = nil
	for i := range dryers.machines {
		dryers.machines[i].State, dryers.machines[i].Alert = drumbeat.StateHealthy, ""
	}
	second := dryers.source()
	second.Fleet.Name, second.Fleet.Title = "dryers", "Tumble dryers"
	broken := newFloor().source()
	broken.Fleet.Name, broken.Fleet.Title = "ironers", ""
	broken.Machines = func(context.Context) ([]drumbeat.Machine, error) { return nil, errors.New("the store is away") }
	return houseOf(t, f, f.connect(f.source()), second, broken)
}

// quiet is a source of a fleet in which nothing happens.
func quiet(name drumbeat.FleetName, title string) web.Source {
	f := newFloor()
	f.alerts = nil
	for i := range f.machines {
		f.machines[i].State, f.machines[i].Alert = drumbeat.StateHealthy, ""
	}
	f.loop = newLoop(f.now)
	for i := range f.loop.health.Drift.Sensors {
		f.loop.health.Drift.Sensors[i].Flagged = false
	}
	s := f.connect(f.source())
	s.Fleet.Name, s.Fleet.Title = name, title
	return s
}

func TestTheOnlyFleetIsOpenedAtOnce(t *testing.T) {
	h := newHouse(t)
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Authorization", "Bearer "+h.token(t, access.Viewer))
	w := httptest.NewRecorder()
	h.router.ServeHTTP(w, r)
	if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/fleets/laundry/" {
		t.Errorf("/: %d to %q, want 303 to /fleets/laundry/", w.Code, got)
	}
	if _, body := h.get(t, access.Viewer, "/fleets/laundry/"); strings.Contains(body, `class="switch"`) {
		t.Error("one fleet needs no switcher")
	}
}

func TestTheOverviewShowsTheWorstFleetFirstAndSurvivesABrokenOne(t *testing.T) {
	h := newSite(t)
	status, body := h.get(t, access.Viewer, "/")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	at := -1
	for _, want := range []string{`id="f-laundry"`, `id="f-ironers"`, `id="f-dryers"`} {
		next := strings.Index(body, want)
		if next <= at {
			t.Errorf("%s stands too early or is missing", want)
		}
		at = next
	}
	for _, want := range []string{
		"2 fleets need you", "<b>2</b> at risk", "<b>1</b> down", "<b>1</b> not watched", "<b>2</b> open alerts", "Version 3 serves",
		"1 sensor has moved", "23 of 24 failures foretold, 62\u202f% of the alerts right, 12.4 alerts a week", "No model yet", "Cannot be read",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the overview lacks %q", want)
		}
	}
}

func TestAllQuietFleetsAreSaidToBe(t *testing.T) {
	h := houseOf(t, newFloor(), quiet("east", "East hall"), quiet("west", "West hall"))
	for i := range h.machines {
		h.machines[i].State = drumbeat.StateHealthy
	}
	_, body := h.get(t, access.Viewer, "/")
	if !strings.Contains(body, "<h1>All quiet</h1>") || strings.Contains(body, `fleet-card bad`) {
		t.Error("the overview is not quiet")
	}
}

func TestAStaleFleetLeadsToTheFleetsThatThereAre(t *testing.T) {
	h := newSite(t)
	for _, path := range []string{"/fleets/washers/", "/fleets/washers/alerts/a-1", "/fleets/washers", "/fleets/washers/nowhere/at/all"} {
		status, body := h.followed(t, access.Viewer, path)
		if status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, status)
		}
		for _, want := range []string{`no fleet is named &#34;washers&#34;`, `href="/fleets/laundry/"`, `href="/fleets/dryers/"`, `href="/fleets/ironers/"`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	if status, _ := h.followed(t, access.Viewer, "/fleets/laundry"); status != http.StatusOK {
		t.Errorf("a fleet without its slash: %d", status)
	}
	for _, path := range []string{"/alerts", "/machines/W-001", "/events"} {
		if status, _ := h.get(t, access.Viewer, path); status != http.StatusNotFound {
			t.Errorf("the path of one fleet %s: %d, want it gone", path, status)
		}
	}
}

// followed asks for a page and follows redirects within the site.
func (h *house) followed(t *testing.T, role access.Role, path string) (int, string) {
	t.Helper()
	for range 5 {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Authorization", "Bearer "+h.token(t, role))
		w := httptest.NewRecorder()
		h.router.ServeHTTP(w, r)
		if path = w.Header().Get("Location"); path == "" {
			return w.Code, w.Body.String()
		}
	}
	t.Fatalf("a circle of redirects at %s", path)
	return 0, ""
}

func TestTheSwitcherLeadsToTheSameSectionOfAnotherFleet(t *testing.T) {
	h := newSite(t)
	_, body := h.get(t, access.Viewer, "/fleets/laundry/quality")
	for _, want := range []string{`<a href="/fleets/dryers/quality">Tumble dryers</a>`, `<a href="/fleets/laundry/quality" aria-current="true">Laundry washers</a>`, `<a href="/">All fleets</a>`} {
		if !strings.Contains(body, want) {
			t.Errorf("the switcher lacks %q", want)
		}
	}
}

func TestFleetsDoNotMix(t *testing.T) {
	east, west := newFloor(), newFloor()
	second := west.source()
	second.Fleet.Name, second.Fleet.Title = "west", "West hall"
	h := houseOf(t, east, east.source(), second)
	form := url.Values{"outcome": {"repaired"}}
	if status, body := h.post(t, access.Technician, "/fleets/west/alerts/a-1/finding", form); status != http.StatusSeeOther {
		t.Fatalf("answer: %d %s", status, body)
	}
	here, err := east.alert(t.Context(), "a-1")
	if err != nil {
		t.Fatal(err)
	}
	there, err := west.alert(t.Context(), "a-1")
	if err != nil {
		t.Fatal(err)
	}
	if here.ClosedAt != drumbeat.NoTime || there.ClosedAt == drumbeat.NoTime || west.findings[there.FindingID].Fleet != "west" {
		t.Errorf("east %v, west %v: an answer went to the wrong fleet", here.ClosedAt, there.ClosedAt)
	}
	_, body := h.get(t, access.Technician, "/fleets/west/alerts/a-2")
	for _, want := range []string{`data-follow="/fleets/west/events"`, `action="/fleets/west/alerts/a-2/finding"`, `data-chart="/fleets/west/machines/W-017/history"`} {
		if !strings.Contains(body, want) {
			t.Errorf("west's alert lacks %q", want)
		}
	}
	if strings.Contains(body, `href="/fleets/laundry/machines`) {
		t.Error("west's alert leads into the other fleet")
	}
}

func TestFleetsOfOneNameOrNoneAreRefused(t *testing.T) {
	a := newFloor().source()
	for name, sources := range map[string][]web.Source{"none": nil, "two of one name": {a, a}} {
		if _, err := web.New(sources, web.Options{}); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: %v, want it refused as invalid", name, err)
		}
	}
}
