package serve

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"drumbeat/access"
)

// addHealth adds what machines ask of the process itself.
func (a *API) addHealth(rt *access.Router, api huma.API) {
	rt.Handle("GET /healthz", access.Anyone, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	}))
	rt.Handle("GET /readyz", access.Anyone, http.HandlerFunc(a.readyz))
	rt.Handle("GET /metrics", access.Viewer, promhttp.HandlerFor(a.opt.Registry, promhttp.HandlerOpts{}))
	rt.Handle("GET /openapi.json", access.Anyone, document("application/openapi+json", func() ([]byte, error) {
		return json.Marshal(api.OpenAPI())
	}))
	rt.Handle("GET /openapi.yaml", access.Anyone, document("application/openapi+yaml", api.OpenAPI().YAML))
}

// readyz says whether requests should be sent here. One fleet that is ready is
// enough: a fleet that was just added, and has no model yet, must not take the
// others out of service. Each that is not says why, in either answer.
func (a *API) readyz(w http.ResponseWriter, r *http.Request) {
	var waiting []access.Fault
	for _, d := range a.desks {
		if err := d.Ready(r.Context()); err != nil {
			waiting = append(waiting, access.Fault{Location: string(d.Fleet.Name), Message: err.Error()})
		}
	}
	if len(waiting) == len(a.desks) {
		(&access.Problem{
			Status: http.StatusServiceUnavailable, Title: "not ready", Detail: "no fleet is ready",
			Next: "wait, or do what the fleets' errors say", Errors: waiting, RetryAfter: 5 * time.Second,
		}).Write(w)
		return
	}
	_, _ = w.Write([]byte("ready\n"))
	for _, fault := range waiting {
		_, _ = w.Write([]byte("fleet " + fault.Location + " is not ready: " + fault.Message + "\n"))
	}
}

// document serves what write makes, made once.
func document(contentType string, write func() ([]byte, error)) http.Handler {
	once := sync.OnceValues(write)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		body, err := once()
		if err != nil {
			(&access.Problem{Status: http.StatusInternalServerError, Title: "no description", Detail: err.Error()}).Write(w)
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(body)
	})
}
