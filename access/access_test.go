package access_test

import (
	"crypto/rand"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// clock is a wall clock that the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 1, 1, 6, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

var (
	system = access.Person{Name: "drumbeat", Role: access.Engineer}
	ana    = access.Person{Name: "Ana", Role: access.Technician}
)

func open(t *testing.T, path string, c *clock) *access.Access {
	t.Helper()
	a, err := access.Open(t.Context(), path, access.Options{
		Log: slog.New(slog.DiscardHandler), Now: c.Now, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func fresh(t *testing.T) (*access.Access, *clock, string) {
	t.Helper()
	path, c := filepath.Join(t.TempDir(), "access.db"), newClock()
	return open(t, path, c), c, path
}

// whoami asks a router who it takes the sender for.
func whoami(t *testing.T, a *access.Access, prepare func(*http.Request)) (int, access.Person) {
	t.Helper()
	var person access.Person
	rt := a.NewRouter()
	rt.Handle("GET /{$}", access.Anyone, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		person = access.PersonOf(r.Context())
	}))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	prepare(r)
	w := httptest.NewRecorder()
	rt.ServeHTTP(w, r)
	return w.Code, person
}

func bearer(secret string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+secret) }
}

func cookie(secret string) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "drumbeat_session", Value: secret}) }
}

func TestATokenOpensUntilItExpires(t *testing.T) {
	a, c, _ := fresh(t)
	token, secret, err := a.NewToken(t.Context(), system, ana, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	status, person := whoami(t, a, bearer(secret))
	if status != http.StatusOK || person != ana {
		t.Errorf("a live token: status %d, %+v; want 200, %+v", status, person, ana)
	}
	if !strings.HasPrefix(secret, "dbt_") || len(secret) != 4+43 {
		t.Errorf("secret %q: want dbt_ and 256 bits", secret)
	}
	c.pass(time.Hour)
	if status, _ := whoami(t, a, bearer(secret)); status != http.StatusUnauthorized {
		t.Errorf("at its expiry: status %d, want 401", status)
	}
	if list := a.Tokens(); len(list) != 0 {
		t.Errorf("tokens alive after expiry of %s: %v", token.ID, list)
	}
}

func TestARevokedTokenAndItsSessionsEndAtOnce(t *testing.T) {
	a, _, _ := fresh(t)
	token, secret, err := a.NewToken(t.Context(), system, ana, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := a.SignInByToken(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	if _, person := whoami(t, a, cookie(session)); person != ana {
		t.Fatalf("session by token: %+v, want %+v", person, ana)
	}
	if err := a.RevokeToken(t.Context(), system, token.ID); err != nil {
		t.Fatal(err)
	}
	if status, _ := whoami(t, a, bearer(secret)); status != http.StatusUnauthorized {
		t.Errorf("the revoked token: status %d, want 401", status)
	}
	if _, person := whoami(t, a, cookie(session)); person.Role != access.Anyone {
		t.Errorf("its session: %+v, want nobody special", person)
	}
	if err := a.RevokeToken(t.Context(), system, token.ID); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("revoking twice: %v, want ErrNotFound", err)
	}
}

func TestASignInLinkWorksOnceAndOnlyInTime(t *testing.T) {
	a, c, _ := fresh(t)
	code, err := a.NewLink(t.Context(), system, ana, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	session, person, err := a.SignInByLink(t.Context(), code)
	if err != nil || person != ana {
		t.Fatalf("first use: %+v, %v", person, err)
	}
	if _, _, err := a.SignInByLink(t.Context(), code); !errors.Is(err, access.ErrSignIn) {
		t.Errorf("second use: %v, want ErrSignIn", err)
	}
	late, err := a.NewLink(t.Context(), system, ana, 10*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	c.pass(10 * time.Minute)
	if _, _, err := a.SignInByLink(t.Context(), late); !errors.Is(err, access.ErrSignIn) {
		t.Errorf("after its time: %v, want ErrSignIn", err)
	}
	c.pass(12*time.Hour - 10*time.Minute - time.Second)
	if _, person := whoami(t, a, cookie(session)); person != ana {
		t.Errorf("session just before 12 h: %+v", person)
	}
	c.pass(time.Second)
	if _, person := whoami(t, a, cookie(session)); person.Role != access.Anyone {
		t.Errorf("session at 12 h: %+v, want nobody special", person)
	}
}

func TestOneOfManySimultaneousUsesOfALinkWins(t *testing.T) {
	a, _, _ := fresh(t)
	code, err := a.NewLink(t.Context(), system, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	won := make(chan string, 16)
	for range 16 {
		wg.Go(func() {
			if session, _, err := a.SignInByLink(t.Context(), code); err == nil {
				won <- session
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d sign-ins by one link, want 1", len(won))
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	a, _, _ := fresh(t)
	code, err := a.NewLink(t.Context(), system, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := a.SignInByLink(t.Context(), code)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SignOut(t.Context(), session); err != nil {
		t.Fatal(err)
	}
	if _, person := whoami(t, a, cookie(session)); person.Role != access.Anyone {
		t.Errorf("after signing out: %+v", person)
	}
	if err := a.SignOut(t.Context(), session); err != nil {
		t.Errorf("signing out twice: %v", err)
	}
}

func TestTokensSessionsAndLinksSurviveARestart(t *testing.T) {
	a, c, path := fresh(t)
	_, secret, err := a.NewToken(t.Context(), system, ana, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := a.SignInByToken(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	code, err := a.NewLink(t.Context(), system, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	head := a.Head()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, path, c)
	if got := again.Head(); got != head {
		t.Errorf("head %s, want %s", got, head)
	}
	if _, person := whoami(t, again, bearer(secret)); person != ana {
		t.Errorf("token: %+v", person)
	}
	if _, person := whoami(t, again, cookie(session)); person != ana {
		t.Errorf("session: %+v", person)
	}
	if _, _, err := again.SignInByLink(t.Context(), code); err != nil {
		t.Errorf("link: %v", err)
	}
	if _, err := again.Verify(t.Context()); err != nil {
		t.Errorf("record: %v", err)
	}
}

func TestNoSecretIsStoredInTheClear(t *testing.T) {
	a, _, path := fresh(t)
	_, secret, err := a.NewToken(t.Context(), system, ana, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	session, _, err := a.SignInByToken(t.Context(), secret)
	if err != nil {
		t.Fatal(err)
	}
	code, err := a.NewLink(t.Context(), system, ana, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range everything(t, path) {
		for _, s := range []string{secret, session, code} {
			if strings.Contains(text, s) {
				t.Errorf("%s holds a secret", name)
			}
		}
	}
}

func TestImpossibleTokensAndLinksAreRefused(t *testing.T) {
	a, _, _ := fresh(t)
	for name, tc := range map[string]struct {
		of   access.Person
		life time.Duration
	}{
		"no name":            {access.Person{Role: access.Viewer}, time.Hour},
		"a name too long":    {access.Person{Name: strings.Repeat("x", 201), Role: access.Viewer}, time.Hour},
		"no role":            {access.Person{Name: "x"}, time.Hour},
		"the role anyone":    {access.Person{Name: "x", Role: access.Anyone}, time.Hour},
		"a role too high":    {access.Person{Name: "x", Role: access.Engineer + 1}, time.Hour},
		"no life":            {ana, 0},
		"a life without end": {ana, access.MaxTokenLife + 1},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := a.NewToken(t.Context(), system, tc.of, tc.life); !errors.Is(err, drumbeat.ErrInvalid) {
				t.Errorf("token: %v, want ErrInvalid", err)
			}
			if _, err := a.NewLink(t.Context(), system, tc.of, tc.life); !errors.Is(err, drumbeat.ErrInvalid) {
				t.Errorf("link: %v, want ErrInvalid", err)
			}
		})
	}
}

func TestAFileOfANewerVersionIsRefused(t *testing.T) {
	a, c, path := fresh(t)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`)
	_, err := access.Open(t.Context(), path, access.Options{
		Log: slog.New(slog.DiscardHandler), Now: c.Now, Random: rand.Reader,
	})
	if !errors.Is(err, drumbeat.ErrNewer) {
		t.Errorf("open: %v, want ErrNewer", err)
	}
}

func TestRolesAreReadAndWritten(t *testing.T) {
	for _, want := range []access.Role{access.Viewer, access.Technician, access.Engineer} {
		got, err := access.ParseRole(want.String())
		if err != nil || got != want {
			t.Errorf("ParseRole(%s) = %s, %v", want, got, err)
		}
	}
	for _, name := range []string{"", "anyone", "nobody", "root", "Viewer"} {
		if _, err := access.ParseRole(name); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("ParseRole(%q): %v, want ErrInvalid", name, err)
		}
	}
}

func execute(t *testing.T, path, statement string) {
	t.Helper()
	if err := tryExecute(t, path, statement); err != nil {
		t.Fatal(err)
	}
}

func tryExecute(t *testing.T, path, statement string) error {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	return errors.Join(err, db.Close())
}
