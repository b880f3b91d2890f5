package main

import (
	"context"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"drumbeat/access"
	"drumbeat/fleets"
)

// silentProcess is a process that says nothing.
func silentProcess() *process {
	return &process{stdout: io.Discard, stderr: io.Discard, log: slog.New(slog.DiscardHandler)}
}

// newTestHost opens a host over a new folder with these ready fleets.
func newTestHost(t *testing.T, names ...string) *host {
	t.Helper()
	s, err := openSite(t.Context(), t.TempDir(), true, silentProcess())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, name := range names {
		files, err := fs.Sub(fleets.FS(), name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.addFleet(t.Context(), files, nil); err != nil {
			t.Fatal(err)
		}
	}
	return newHost(s)
}

// runTestHost opens the host's listener and runs it until the test ends.
func runTestHost(t *testing.T, h *host) {
	t.Helper()
	if err := h.open(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The routes that cmd adds to the API, and their least role.
var operationRoles = map[string]access.Role{
	"GET /v1/models": access.Viewer, "GET /v1/models/gate": access.Viewer, "GET /v1/lake": access.Viewer,
	"GET /v1/runs": access.Viewer, "GET /v1/run": access.Viewer, "GET /v1/monitor": access.Viewer,
	"POST /v1/models/promote": access.Engineer, "POST /v1/models/rollback": access.Engineer, "POST /v1/tokens": access.Engineer,
	"POST /v1/refine": access.Engineer, "POST /v1/backfill": access.Engineer, "POST /v1/label": access.Engineer,
	"POST /v1/train": access.Engineer, "POST /v1/evaluate": access.Engineer, "POST /v1/monitor": access.Engineer,
}

func TestEveryOperationIsForItsRolesAndNobodyElse(t *testing.T) {
	h := newTestHost(t, "laundry", "azure-pdm")
	runTestHost(t, h)
	asked := map[string]bool{}
	for _, route := range h.routes {
		if !strings.Contains(route.Pattern, " /v1/") {
			continue
		}
		if want, ours := operationRoles[route.Pattern]; ours {
			asked[route.Pattern] = true
			if route.Least != want {
				t.Errorf("%s: least role %s, want %s", route.Pattern, route.Least, want)
			}
		}
	}
	for pattern := range operationRoles {
		if !asked[pattern] {
			t.Errorf("%s is not served", pattern)
		}
	}
	for _, role := range []access.Role{access.Anyone, access.Viewer, access.Technician, access.Engineer} {
		token := ""
		if role > access.Anyone {
			var err error
			if token, err = h.newToken(t.Context(), role); err != nil {
				t.Fatal(err)
			}
		}
		for pattern, least := range operationRoles {
			status := answerTo(t, h, token, pattern)
			refused := status == http.StatusUnauthorized || status == http.StatusForbidden
			if refused == role.May(least) {
				t.Errorf("%s as %s: status %d", pattern, role, status)
			}
		}
	}
}

// answerTo asks a route in a way that changes nothing: a body that is refused.
func answerTo(t *testing.T, h *host, token, pattern string) int {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+h.localAddress()+path+"?fleet=none", strings.NewReader(`{"nonsense":`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}
