package serve_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat/access"
)

// leastRoles is who may use which route: a route that is not here, or that has
// another least role, fails the test.
func leastRoles() map[string]access.Role {
	return map[string]access.Role{
		"GET /healthz":                 access.Anyone,
		"GET /readyz":                  access.Anyone,
		"GET /openapi.json":            access.Anyone,
		"GET /openapi.yaml":            access.Anyone,
		"GET /metrics":                 access.Viewer,
		"GET /v1/fleets":               access.Viewer,
		"GET /v1/machines":             access.Viewer,
		"GET /v1/machines/{machine}":   access.Viewer,
		"GET /v1/models/champion":      access.Viewer,
		"GET /v1/alerts":               access.Viewer,
		"GET /v1/alerts/{id}":          access.Viewer,
		"POST /v1/predict":             access.Viewer, // technician where it records
		"POST /v1/predict/batch":       access.Viewer,
		"POST /v1/alerts/{id}/finding": access.Technician,
		"POST /v1/findings":            access.Technician,
	}
}

func TestEveryRouteIsOpenToItsRolesAndClosedToTheOthers(t *testing.T) {
	s := newShop(t)
	got := map[string]access.Role{}
	for _, route := range s.router.Routes() {
		got[route.Pattern] = route.Least
	}
	if diff := cmp.Diff(leastRoles(), got); diff != "" {
		t.Errorf("routes (-want +got):\n%s", diff)
	}
	expired, revoked := s.dead(t)
	fill := strings.NewReplacer("{machine}", "W-001", "{id}", "a-1")
	for _, route := range s.router.Routes() {
		method, path, _ := strings.Cut(fill.Replace(route.Pattern), " ")
		for role := access.Anyone; role <= access.Engineer; role++ {
			want := 0 // not refused
			switch {
			case role >= route.Least:
			case role == access.Anyone:
				want = http.StatusUnauthorized
			default:
				want = http.StatusForbidden
			}
			status, text := s.call(t, role, method, path, "")
			if refused(status) != want {
				t.Errorf("%s as %s: %d %s; its least role is %s", route.Pattern, role, status, text, route.Least)
			}
		}
		// A wrong token is refused even where none is needed: its sender should know.
		for name, token := range map[string]string{
			"an expired token": expired, "a revoked token": revoked, "a token of nobody": "dbt_" + strings.Repeat("A", 43),
		} {
			if status, text := s.send(t, token, method, path, ""); status != http.StatusUnauthorized {
				t.Errorf("%s with %s: %d %s; want 401", route.Pattern, name, status, text)
			}
		}
	}
}

// refused is the status if it refuses a role, else 0.
func refused(status int) int {
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		return status
	}
	return 0
}

// dead makes an engineer's token that has expired, and one that was revoked;
// both worked before.
func (s *shop) dead(t *testing.T) (expired, revoked string) {
	t.Helper()
	engineer := access.Person{Name: "engineer", Role: access.Engineer}
	_, expired, err := s.access.NewToken(t.Context(), engineer, engineer, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	token, revoked, err := s.access.NewToken(t.Context(), engineer, engineer, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{expired, revoked} {
		if status, text := s.send(t, secret, http.MethodGet, "/v1/fleets", ""); status != http.StatusOK {
			t.Fatalf("a token that is alive: %d %s", status, text)
		}
	}
	if err := s.access.RevokeToken(t.Context(), engineer, token.ID); err != nil {
		t.Fatal(err)
	}
	s.later.Store(int64(2 * time.Minute))
	return expired, revoked
}
