package web_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"drumbeat/access"
)

// routes is every route with who may use it: a route that is not here fails
// the test. The path is one that exists.
var routes = map[string]struct {
	path  string
	least access.Role
}{
	"GET /{$}":                                      {"/", access.Viewer},
	"GET /fleets/{path...}":                         {"/fleets/laundry/nowhere", access.Viewer},
	"GET /sign-in":                                  {"/sign-in", access.Anyone},
	"POST /sign-in":                                 {"/sign-in", access.Anyone},
	"POST /sign-out":                                {"/sign-out", access.Anyone},
	"GET /assets/{path...}":                         {"/assets/app.css", access.Anyone},
	"GET /fleets/{fleet}/{$}":                       {"/fleets/laundry/", access.Viewer},
	"GET /fleets/{fleet}/machines/{id}":             {"/fleets/laundry/machines/W-001", access.Viewer},
	"GET /fleets/{fleet}/machines/{id}/history":     {"/fleets/laundry/machines/W-001/history", access.Viewer},
	"POST /fleets/{fleet}/machines/{id}/finding":    {"/fleets/laundry/machines/W-001/finding", access.Technician},
	"GET /fleets/{fleet}/alerts":                    {"/fleets/laundry/alerts", access.Viewer},
	"GET /fleets/{fleet}/alerts/{id}":               {"/fleets/laundry/alerts/a-1", access.Viewer},
	"POST /fleets/{fleet}/alerts/{id}/finding":      {"/fleets/laundry/alerts/a-1/finding", access.Technician},
	"GET /fleets/{fleet}/events":                    {"/fleets/laundry/events", access.Viewer},
	"GET /fleets/{fleet}/health":                    {"/fleets/laundry/health", access.Viewer},
	"GET /fleets/{fleet}/quality":                   {"/fleets/laundry/quality", access.Viewer},
	"GET /fleets/{fleet}/models":                    {"/fleets/laundry/models", access.Viewer},
	"GET /fleets/{fleet}/models/{version}":          {"/fleets/laundry/models/3", access.Viewer},
	"GET /fleets/{fleet}/models/{version}/promote":  {"/fleets/laundry/models/4/promote", access.Engineer},
	"POST /fleets/{fleet}/models/{version}/promote": {"/fleets/laundry/models/4/promote", access.Engineer},
	"GET /fleets/{fleet}/models/rollback":           {"/fleets/laundry/models/rollback", access.Engineer},
	"POST /fleets/{fleet}/models/rollback":          {"/fleets/laundry/models/rollback", access.Engineer},
	"GET /fleets/{fleet}/models/retrain":            {"/fleets/laundry/models/retrain", access.Engineer},
	"POST /fleets/{fleet}/models/retrain":           {"/fleets/laundry/models/retrain", access.Engineer},
}

func TestEveryRouteIsForItsRolesAndNobodyElse(t *testing.T) {
	h := newHouse(t)
	seen := map[string]bool{}
	for _, route := range h.router.Routes() {
		want, known := routes[route.Pattern]
		if !known {
			t.Errorf("%s is in no row of the table: say who may use it", route.Pattern)
			continue
		}
		seen[route.Pattern] = true
		if route.Least != want.least {
			t.Errorf("%s is for %s and above, want %s", route.Pattern, route.Least, want.least)
		}
		method, _, _ := strings.Cut(route.Pattern, " ")
		for role := access.Anyone; role <= access.Engineer; role++ {
			status := h.statusOf(t, role, method, want.path)
			switch {
			case role >= want.least:
				if status == http.StatusForbidden || status == http.StatusUnauthorized && want.least > access.Anyone ||
					status == http.StatusInternalServerError {
					t.Errorf("%s as %s: %d, want it allowed", route.Pattern, role, status)
				}
			case role == access.Anyone:
				if status != http.StatusUnauthorized {
					t.Errorf("%s as %s: %d, want 401", route.Pattern, role, status)
				}
			default:
				if status != http.StatusForbidden {
					t.Errorf("%s as %s: %d, want 403", route.Pattern, role, status)
				}
			}
		}
	}
	for pattern := range routes {
		if !seen[pattern] {
			t.Errorf("%s is in the table and not served", pattern)
		}
	}
}

// statusOf sends a request and gives a stream no time to go on.
func (h *house) statusOf(t *testing.T, role access.Role, method, path string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if strings.HasSuffix(path, "/events") {
		ended, end := context.WithCancel(ctx)
		end()
		ctx = ended
	}
	status, _ := h.send(t, role, httptest.NewRequestWithContext(ctx, method, path, nil))
	return status
}
