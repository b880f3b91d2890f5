package web_test

import (
	"bufio"
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/web"
)

// get asks for a page with a token of a role; Anyone sends none.
func (h *house) get(t *testing.T, role access.Role, path string) (int, string) {
	t.Helper()
	return h.send(t, role, httptest.NewRequest(http.MethodGet, path, nil))
}

func (h *house) post(t *testing.T, role access.Role, path string, form url.Values) (int, string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.send(t, role, r)
}

func (h *house) send(t *testing.T, role access.Role, r *http.Request) (int, string) {
	t.Helper()
	if role > access.Anyone {
		r.Header.Set("Authorization", "Bearer "+h.token(t, role))
	}
	w := httptest.NewRecorder()
	h.router.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestTheFleetPageShowsEveryMachineWithItsState(t *testing.T) {
	h := newHouse(t)
	status, body := h.get(t, access.Viewer, "/fleets/laundry/")
	if status != http.StatusOK {
		t.Fatalf("status %d", status)
	}
	for i := range h.machines {
		if want := `id="m-` + string(h.machines[i].ID) + `"`; strings.Count(body, want) != 1 {
			t.Errorf("%s is not there once", h.machines[i].ID)
		}
	}
	for _, want := range []string{"3 machines need you", "1 is silent and not watched", "Warming up <b>4</b>", "83\u202f%"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
}

func TestMachinesStandInTheOrderOfTheirRisk(t *testing.T) {
	h := newHouse(t)
	_, body := h.get(t, access.Viewer, "/fleets/laundry/")
	at := -1
	// An open alert, a lower one, what is down, what is silent, the riskiest
	// of the healthy, one that is not, one that is off.
	for _, id := range []string{"W-042", "W-017", "W-071", "W-058", "W-003", "W-001", "W-009"} {
		next := strings.Index(body, `id="m-`+id+`"`)
		if next <= at {
			t.Errorf("%s stands too early", id)
		}
		at = next
	}
}

func TestAFleetWithoutTroubleIsQuiet(t *testing.T) {
	h := newHouse(t)
	h.alerts = nil
	for i := range h.machines {
		h.machines[i].State, h.machines[i].Alert = drumbeat.StateHealthy, ""
	}
	_, body := h.get(t, access.Viewer, "/fleets/laundry/")
	if !strings.Contains(body, "<h1>All quiet</h1>") || !strings.Contains(body, "100 of 100 are quiet.") ||
		strings.Contains(body, `class="card `) || strings.Contains(body, "<title>(") {
		t.Error("the page is not quiet")
	}
}

func TestTheFleetPageFiltersByStateAndWords(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]int{
		"?state=off": 11, "?state=not_watched": 1, "?q=w-04": 10, "?q=BASEL+w-04": 2, "?state=healthy&q=w-04": 7,
		"?q=zebra": 0, "?state=nonsense": 0, "?q=" + strings.Repeat("x", 5000): 0,
	} {
		status, body := h.get(t, access.Viewer, "/fleets/laundry/"+query)
		if got := strings.Count(body, "data-walk"); status != http.StatusOK || got != want {
			t.Errorf("/%.40s: %d, %d machines; want %d", query, status, got, want)
		}
	}
}

func TestWhatMachinesAndPeopleWriteIsShownAsText(t *testing.T) {
	h := newHouse(t)
	const evil = `"><script>alert(1)</script>`
	h.machines[0].ID = drumbeat.MachineID("W/1 " + evil)
	h.machines[0].Static[0] = evil
	h.alerts[0].Latest.Reasons[0].Text = evil + ": " + evil
	form := url.Values{"outcome": {"repaired"}, "note": {evil}, "part": {evil}}
	if status, body := h.post(t, access.Technician, "/fleets/laundry/alerts/a-1/finding", form); status != http.StatusSeeOther {
		t.Fatalf("answer: %d %s", status, body)
	}
	for _, path := range []string{"/fleets/laundry/", "/fleets/laundry/alerts", "/fleets/laundry/alerts/a-1", "/fleets/laundry/machines/" + url.PathEscape(string(h.machines[0].ID)), "/fleets/laundry/?q=" + url.QueryEscape(evil)} {
		status, body := h.get(t, access.Viewer, path)
		if status != http.StatusOK {
			t.Errorf("%s: %d", path, status)
		}
		if strings.Contains(body, "<script>alert") {
			t.Errorf("%s: a script got through", path)
		}
	}
}

func TestLinksLeadToMachinesOfAnyName(t *testing.T) {
	h := newHouse(t)
	for _, id := range []drumbeat.MachineID{"hall 2/W 1", "W?1#2", "W%2F1", "Wäscher+1", `W"1'`} {
		h.machines[0].ID = id
		_, body := h.get(t, access.Viewer, "/fleets/laundry/?q="+url.QueryEscape(string(id)))
		found := regexp.MustCompile(`class="tile [a-z_]+" href="([^"]+)"`).FindStringSubmatch(body)
		if found == nil {
			t.Errorf("%s is not found", id)
			continue
		}
		status, body := h.get(t, access.Viewer, html.UnescapeString(found[1]))
		if status != http.StatusOK || !strings.Contains(html.UnescapeString(body), "<h1>"+string(id)+"</h1>") {
			t.Errorf("%s leads to %s: %d", id, found[1], status)
		}
	}
}

func TestPagesHoldNoInlineScriptOrStyle(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"/fleets/laundry/", "/fleets/laundry/alerts", "/fleets/laundry/alerts/a-1", "/fleets/laundry/machines/W-005", "/sign-in", "/nowhere"} {
		_, body := h.get(t, access.Technician, path)
		for _, bad := range []string{"<style", " style=", "<script>", " onclick=", " onload=", "javascript:", "http://", "https://"} {
			if strings.Contains(body, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
	}
}

func TestAnAnswerClosesTheAlertAndNamesWhoGaveIt(t *testing.T) {
	h := newHouse(t)
	form := url.Values{"outcome": {"repaired"}, "part": {" drive belt "}, "note": {"worn"}}
	if status, body := h.post(t, access.Technician, "/fleets/laundry/alerts/a-1/finding", form); status != http.StatusSeeOther {
		t.Fatalf("status %d: %s", status, body)
	}
	a, err := h.alert(t.Context(), "a-1")
	if err != nil {
		t.Fatal(err)
	}
	got := h.findings[a.FindingID]
	want := drumbeat.Finding{
		ID: got.ID, Fleet: "laundry", Machine: "W-042", Alert: "a-1", Outcome: drumbeat.OutcomeRepaired,
		Part: "drive belt", Note: "worn", Who: "Ana Keller", WhenFleet: h.now,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("finding (-want +got):\n%s", diff)
	}
	acts, err := h.access.Acts(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := acts[len(acts)-1]
	if last.What != "finding recorded" || last.Subject != got.ID || last.By.Name != "Ana Keller" {
		t.Errorf("last act %+v", last)
	}
	if status, body := h.post(t, access.Technician, "/fleets/laundry/alerts/a-1/finding", form); status != http.StatusConflict || !strings.Contains(body, "Somebody was first") {
		t.Errorf("a second answer: %d", status)
	}
}

func TestWrongAnswersAreRefused(t *testing.T) {
	h := newHouse(t)
	for name, tc := range map[string]struct {
		path string
		form url.Values
		want int
	}{
		"no choice":              {"/fleets/laundry/alerts/a-1/finding", url.Values{}, 422},
		"an outcome of ours":     {"/fleets/laundry/alerts/a-1/finding", url.Values{"outcome": {"unanswered"}}, 422},
		"a note without end":     {"/fleets/laundry/alerts/a-1/finding", url.Values{"outcome": {"failed"}, "note": {strings.Repeat("x", 2001)}}, 422},
		"a flood":                {"/fleets/laundry/alerts/a-1/finding", url.Values{"outcome": {"failed"}, "note": {strings.Repeat("x", 100_000)}}, 422},
		"an alert of nobody":     {"/fleets/laundry/alerts/zebra/finding", url.Values{"outcome": {"failed"}}, 404},
		"a machine of nobody":    {"/fleets/laundry/machines/zebra/finding", url.Values{"outcome": {"failed"}}, 404},
		"a fault nobody foresaw": {"/fleets/laundry/machines/W-005/finding", url.Values{"outcome": {"failed"}}, 303},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := h.post(t, access.Technician, tc.path, tc.form); status != tc.want {
				t.Errorf("status %d, want %d", status, tc.want)
			}
		})
	}
	if a, err := h.alert(t.Context(), "a-1"); err != nil || a.ClosedAt != drumbeat.NoTime {
		t.Errorf("alert %+v, %v; want it open", a, err)
	}
}

func TestEventsAreStreamed(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, h.server.URL+"/fleets/laundry/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.token(t, access.Viewer))
	r.Header.Set("Last-Event-ID", "0")
	h.open("W-099", 0.91, 0)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Fatalf("%s, %s", resp.Status, got)
	}
	lines := bufio.NewScanner(resp.Body)
	seen := map[string]string{}
	last := ""
	for len(seen) < 3 && lines.Scan() {
		field, value, _ := strings.Cut(lines.Text(), ": ")
		switch field {
		case "event":
			last = value
		case "id":
			seen["id"] = value
		case "data":
			seen[last] = value
		}
	}
	if seen["id"] != "1" || !strings.Contains(seen["opened"], `"machine":"W-099"`) || !strings.Contains(seen["beat"], `"clock":"14:15"`) {
		t.Errorf("seen %v", seen)
	}
}

func TestStoppingEndsTheStreamsOfEvents(t *testing.T) {
	h := newHouse(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/fleets/laundry/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.token(t, access.Viewer))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := h.server.Config.Shutdown(t.Context()); err != nil { // it calls Stop
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Errorf("the stream did not end well: %v", err)
	}
}

func TestSigningInByTokenAndOutAgain(t *testing.T) {
	h := newHouse(t)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	send := func(path string, form url.Values, cookies []*http.Cookie) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.server.URL+path, strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		for _, c := range cookies {
			r.AddCookie(c)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	in := send("/sign-in", url.Values{"secret": {h.token(t, access.Viewer)}, "to": {"/fleets/laundry/alerts"}}, nil)
	if in.StatusCode != http.StatusSeeOther || in.Header.Get("Location") != "/fleets/laundry/alerts" || len(in.Cookies()) != 1 {
		t.Fatalf("sign in: %s to %q with %d cookies", in.Status, in.Header.Get("Location"), len(in.Cookies()))
	}
	out := send("/sign-out", nil, in.Cookies())
	if out.StatusCode != http.StatusSeeOther || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %s, %v", out.Status, out.Cookies())
	}
	r := httptest.NewRequest(http.MethodGet, "/fleets/laundry/alerts", nil)
	r.AddCookie(in.Cookies()[0])
	if status, _ := h.send(t, access.Anyone, r); status != http.StatusUnauthorized {
		t.Errorf("after signing out: %d, want 401", status)
	}
	if wrong := send("/sign-in", url.Values{"secret": {"dbt_wrong"}}, nil); wrong.StatusCode != http.StatusUnauthorized || len(wrong.Cookies()) != 0 {
		t.Errorf("a wrong token: %s", wrong.Status)
	}
}

func TestSigningInLeadsNowhereElse(t *testing.T) {
	h := newHouse(t)
	for _, to := range []string{
		"//evil.example", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
		"/\tevil", "evil.example", "", "/%2f/../\n/x", "///evil.example",
	} {
		form := url.Values{"secret": {h.token(t, access.Viewer)}, "to": {to}}
		r := httptest.NewRequest(http.MethodPost, "/sign-in", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.router.ServeHTTP(w, r)
		if got := w.Header().Get("Location"); w.Code != http.StatusSeeOther || got != "/" {
			t.Errorf("to %q: %d to %q, want 303 to /", to, w.Code, got)
		}
	}
}

func TestOpeningASignInLinkDoesNotSpendIt(t *testing.T) {
	h := newHouse(t)
	link, err := url.Parse(h.link(t, access.Viewer))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if status, body := h.get(t, access.Anyone, link.RequestURI()); status != http.StatusOK || !strings.Contains(body, "It works once") {
			t.Fatalf("opening it: %d", status)
		}
	}
	form := url.Values{"secret": {link.Query().Get("link")}}
	for _, want := range []int{http.StatusSeeOther, http.StatusUnauthorized} {
		if status, _ := h.post(t, access.Anyone, "/sign-in", form); status != want {
			t.Errorf("using it: %d, want %d", status, want)
		}
	}
}

func TestTheChartMarksAlertsAndWhatIsUsual(t *testing.T) {
	h := newHouse(t)
	status, body := h.get(t, access.Viewer, "/fleets/laundry/machines/W-042/history?sensor=vibration_hz&days=90")
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, body)
	}
	var chart struct {
		Times  []int64    `json:"times"`
		Values []*float64 `json:"values"`
		Usual  *struct {
			Low  float64 `json:"low"`
			High float64 `json:"high"`
		} `json:"usual"`
		Alerts []struct {
			From int64 `json:"from"`
			To   int64 `json:"to"`
			Open bool  `json:"open"`
		} `json:"alerts"`
		Summary string `json:"summary"`
	}
	if err := json.Unmarshal([]byte(body), &chart); err != nil {
		t.Fatal(err)
	}
	if len(chart.Times) != len(chart.Values) || len(chart.Times) > 1600 || len(chart.Times) < 800 {
		t.Errorf("%d times, %d values; want as many, and at most 1600 of 8640", len(chart.Times), len(chart.Values))
	}
	top := 0.0
	for _, v := range chart.Values {
		if v != nil {
			top = max(top, *v)
		}
	}
	raw, err := h.history(t.Context(), web.HistoryQuery{
		Machine: "W-042", Sensor: "vibration_hz", From: h.now.Add(-90 * 24 * time.Hour), To: h.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	peak := 0.0
	for _, v := range raw.Values {
		if v > peak {
			peak = v
		}
	}
	if top != peak {
		t.Errorf("highest point %v: thinning lost the peak of %v", top, peak)
	}
	if len(chart.Alerts) != 3 || !chart.Alerts[0].Open || chart.Alerts[0].From != h.now.Add(-5*time.Hour).Milliseconds()/1000 {
		t.Errorf("alerts %+v", chart.Alerts)
	}
	if chart.Usual == nil || chart.Usual.High > 53 || chart.Usual.Low < 43 {
		t.Errorf("usual %+v: want about 45 to 51, without the rise before the alert", chart.Usual)
	}
	if !strings.HasPrefix(chart.Summary, "vibration over 90 days") {
		t.Errorf("summary %q", chart.Summary)
	}
}

func TestWrongChartsAreRefused(t *testing.T) {
	h := newHouse(t)
	for query, want := range map[string]int{
		"sensor=nope&days=7": 404, "sensor=vibration_hz&days=0": 422, "sensor=vibration_hz&days=401": 422,
		"sensor=vibration_hz&days=x": 422, "sensor=vibration_hz&days=7&until=tomorrow": 422, "sensor=vibration_hz&days=7": 200,
	} {
		if status, _ := h.get(t, access.Viewer, "/fleets/laundry/machines/W-042/history?"+query); status != want {
			t.Errorf("%s: %d, want %d", query, status, want)
		}
	}
}

func TestAFleetWithoutDataStillHasAPage(t *testing.T) {
	h := newHouse(t)
	h.machines, h.alerts, h.now = nil, nil, drumbeat.NoTime
	for _, path := range []string{"/fleets/laundry/", "/fleets/laundry/alerts"} {
		if status, body := h.get(t, access.Viewer, path); status != http.StatusOK || !strings.Contains(body, "No ") {
			t.Errorf("%s: %d", path, status)
		}
	}
	if status, _ := h.get(t, access.Viewer, "/fleets/laundry/machines/W-042/history?sensor=vibration_hz&days=7"); status != http.StatusNotFound {
		t.Errorf("chart: %d, want 404", status)
	}
}

func TestAssetsAreKeptOnlyUnderTheirVersion(t *testing.T) {
	h := newHouse(t)
	_, body := h.get(t, access.Anyone, "/sign-in")
	start := strings.Index(body, "/assets/app.css?v=")
	address := body[start : start+strings.Index(body[start:], `"`)]
	for path, want := range map[string]string{address: "public, max-age=31536000, immutable", "/assets/app.css": "no-store"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		w := httptest.NewRecorder()
		h.router.ServeHTTP(w, r)
		if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != want {
			t.Errorf("%s: %d, Cache-Control %q; want %q", path, w.Code, got, want)
		}
	}
	for _, path := range []string{"/assets/nope.js", "/assets/../web.go", "/assets/vendor", "/assets/templates/fleet.html"} {
		if status, _ := h.get(t, access.Anyone, path); status == http.StatusOK {
			t.Errorf("%s is served", path)
		}
	}
}

func TestALinkFromAnotherSiteArrivesAfterOneMoreRound(t *testing.T) {
	h := newHouse(t)
	r := httptest.NewRequest(http.MethodGet, "/sign-in?to=%2Ffleets%2Flaundry%2Falerts%2Fa-1", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if _, body := h.send(t, access.Anyone, r); !strings.Contains(body, `content="0; url=/fleets/laundry/alerts/a-1"`) {
		t.Error("a browser that keeps its cookie to itself is not sent round again")
	}
	r = httptest.NewRequest(http.MethodGet, "/sign-in?to=%2Ffleets%2Flaundry%2Falerts%2Fa-1", nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if _, body := h.send(t, access.Anyone, r); strings.Contains(body, "http-equiv") {
		t.Error("the second time it is sent round as well: a circle")
	}
}
