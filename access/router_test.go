package access_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"drumbeat/access"
)

// secrets opens a token for each role.
func secrets(t *testing.T, a *access.Access) map[access.Role]string {
	t.Helper()
	all := map[access.Role]string{}
	for _, role := range []access.Role{access.Viewer, access.Technician, access.Engineer} {
		_, secret, err := a.NewToken(t.Context(), system, access.Person{Name: role.String(), Role: role}, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		all[role] = secret
	}
	return all
}

func TestARouteIsOpenToItsLeastRoleAndAbove(t *testing.T) {
	a, _, _ := fresh(t)
	tokens := secrets(t, a)
	rt := a.NewRouter()
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	for least := access.Nobody; least <= access.Engineer; least++ {
		rt.Handle("POST /"+least.String(), least, ok)
	}
	for _, route := range rt.Routes() {
		for role := access.Anyone; role <= access.Engineer; role++ {
			_, path, _ := strings.Cut(route.Pattern, " ")
			r := httptest.NewRequest(http.MethodPost, path, nil)
			want := http.StatusUnauthorized
			if role > access.Anyone {
				r.Header.Set("Authorization", "Bearer "+tokens[role])
				want = http.StatusForbidden
			}
			if route.Least != access.Nobody && role >= route.Least {
				want = http.StatusNoContent
			}
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s as %s: %d, want %d", route.Pattern, role, w.Code, want)
			}
		}
	}
}

func TestUnsafeRequestsFromOtherSitesAreRefused(t *testing.T) {
	a, _, _ := fresh(t)
	rt := a.NewRouter()
	rt.Handle("/x", access.Anyone, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, tc := range map[string]struct {
		method string
		header [2]string
		want   int
	}{
		"a program sends no hints":          {http.MethodPost, [2]string{}, 200},
		"the page itself":                   {http.MethodPost, [2]string{"Sec-Fetch-Site", "same-origin"}, 200},
		"a person typed it":                 {http.MethodPost, [2]string{"Sec-Fetch-Site", "none"}, 200},
		"another site":                      {http.MethodPost, [2]string{"Sec-Fetch-Site", "cross-site"}, 403},
		"another port of this host":         {http.MethodPost, [2]string{"Sec-Fetch-Site", "same-site"}, 403},
		"an old browser on another site":    {http.MethodPost, [2]string{"Origin", "https://evil.example"}, 403},
		"an old browser on the page itself": {http.MethodPost, [2]string{"Origin", "http://example.com"}, 200},
		"an origin that hides":              {http.MethodPost, [2]string{"Origin", "null"}, 403},
		"another site that only reads":      {http.MethodGet, [2]string{"Sec-Fetch-Site", "cross-site"}, 200},
		"another site that deletes":         {http.MethodDelete, [2]string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(tc.method, "/x", nil)
			if tc.header[0] != "" {
				r.Header.Set(tc.header[0], tc.header[1])
			}
			w := httptest.NewRecorder()
			rt.ServeHTTP(w, r)
			if w.Code != tc.want {
				t.Errorf("status %d, want %d", w.Code, tc.want)
			}
		})
	}
}

func TestEveryAnswerCarriesThePolicy(t *testing.T) {
	a, _, _ := fresh(t)
	rt := a.NewRouter()
	rt.Handle("GET /x", access.Engineer, http.NotFoundHandler())
	for _, path := range []string{"/x", "/nowhere"} {
		w := httptest.NewRecorder()
		rt.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		policy := w.Header().Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("%s: policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q is not strict", path, policy)
		}
		if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: X-Content-Type-Options %q", path, got)
		}
	}
}

func TestABrowserIsShownTheWayInAndAProgramIsTold(t *testing.T) {
	a, _, _ := fresh(t)
	rt := a.NewRouter()
	rt.Handle("GET /machines/{id}", access.Viewer, http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/machines/W-1?days=7", nil)
	r.Header.Set("Accept", "text/html,*/*")
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	want := "/sign-in?to=" + url.QueryEscape("/machines/W-1?days=7")
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
		t.Errorf("browser: %d to %q, want 303 to %q", w.Code, w.Header().Get("Location"), want)
	}

	r = httptest.NewRequest(http.MethodGet, "/machines/W-1", nil)
	w = httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	var problem access.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusUnauthorized || problem.Title == "" || problem.Detail == "" || problem.Next == "" {
		t.Errorf("program: %d, %+v; want 401 with what, why and what next", w.Code, problem)
	}
}

func TestAnAddressThatFailsTooOftenHasToWait(t *testing.T) {
	a, c, _ := fresh(t)
	code, err := a.NewLink(t.Context(), system, ana, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	from := func(address string) *http.Request {
		r := httptest.NewRequest(http.MethodPost, "/sign-in", nil)
		r.RemoteAddr = address
		return r
	}
	for i := range 10 {
		if _, _, err := a.SignIn(from("192.0.2.1:1000"), "dbl_wrong"); !errors.Is(err, access.ErrSignIn) {
			t.Fatalf("failure %d: %v, want ErrSignIn", i+1, err)
		}
	}
	var problem *access.Problem
	if _, _, err := a.SignIn(from("192.0.2.1:2000"), code); !errors.As(err, &problem) || problem.Status != 429 {
		t.Errorf("the eleventh, though right: %v, want 429", err)
	}
	if _, _, err := a.SignIn(from("192.0.2.2:1000"), "dbt_wrong"); !errors.Is(err, access.ErrSignIn) {
		t.Errorf("from elsewhere: %v, want ErrSignIn", err)
	}
	c.pass(10 * time.Second)
	if _, person, err := a.SignIn(from("192.0.2.1:3000"), " "+code+"\n"); err != nil || person != ana {
		t.Errorf("after a wait: %+v, %v", person, err)
	}
	acts, err := a.Acts(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for _, act := range acts {
		if act.What == "sign-in refused" {
			refused++
		}
		if strings.Contains(act.Subject+act.Detail, "wrong") {
			t.Errorf("the record holds a secret: %+v", act)
		}
	}
	if refused != 11 {
		t.Errorf("%d refusals in the record, want 11", refused)
	}
}

func TestAGoodTokenWorksFromAnAddressThatFailed(t *testing.T) {
	a, _, _ := fresh(t)
	good := secrets(t, a)[access.Viewer]
	last := 0
	for range 12 {
		last, _ = whoami(t, a, bearer("dbt_wrong"))
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("the twelfth wrong token: %d, want 429", last)
	}
	if status, _ := whoami(t, a, bearer(good)); status != http.StatusOK {
		t.Errorf("a good token: %d, want 200", status)
	}
}

func TestTheSessionCookieIsOutOfReachOfScriptsAndOtherSites(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8321/sign-in", nil)
	w := httptest.NewRecorder()
	access.SetCookie(w, r, "secret")
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("cookies: %v", cookies)
	}
	c := cookies[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Name != "drumbeat_session_8321" {
		t.Errorf("cookie %+v: want HttpOnly, SameSite=Strict, Path=/, its port in the name", c)
	}
	back := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8321/", nil)
	back.AddCookie(c)
	if got := access.CookieOf(back); got != "secret" {
		t.Errorf("CookieOf = %q", got)
	}
}

func TestALimiterIsBoundedAndFair(t *testing.T) {
	c := newClock()
	l := access.NewLimiter(1, 2, c.Now)
	for i, want := range []bool{true, true, false} {
		if got := l.Take("a"); got != want {
			t.Errorf("take %d of a burst of two: %t, want %t", i+1, got, want)
		}
	}
	if !l.Take("b") {
		t.Error("another key has its own bucket")
	}
	c.pass(time.Second)
	if !l.Take("a") || l.Take("a") {
		t.Error("one a second")
	}
	for i := range 10_000 {
		l.Take(string(rune(i + 1000)))
	}
	if got := l.Len(); got > 4097 {
		t.Errorf("%d buckets, want at most 4097", got)
	}
}
