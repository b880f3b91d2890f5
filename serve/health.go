package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"drumbeat"
	"drumbeat/access"
)

// addHealth adds what machines ask of the process itself.
func (a *API) addHealth(rt *access.Router, api huma.API) {
	rt.Handle("GET /healthz", access.Anyone, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("ok\n"))
	}))
	rt.Handle("GET /readyz", access.Anyone, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.site.Ready(r.Context()); err != nil {
			(&access.Problem{
				Status: http.StatusServiceUnavailable, Title: "not ready", Detail: err.Error(), Next: "wait",
			}).Write(w)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	}))
	rt.Handle("GET /metrics", access.Viewer, promhttp.HandlerFor(a.opt.Registry, promhttp.HandlerOpts{}))
	rt.Handle("GET /openapi.json", access.Anyone, document("application/openapi+json", func() ([]byte, error) {
		return json.Marshal(api.OpenAPI())
	}))
	rt.Handle("GET /openapi.yaml", access.Anyone, document("application/openapi+yaml", api.OpenAPI().YAML))
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

// ChampionOutput answers GET /v1/models/champion.
type ChampionOutput struct {
	Body Champion
}

// Champion is the model in service.
type Champion struct {
	Version   drumbeat.ModelVersion `json:"model_version"`
	Fleet     drumbeat.FleetName    `json:"fleet"`
	View      string                `json:"view"`
	Hash      drumbeat.Hash         `json:"view_hash"`
	Horizon   string                `json:"horizon"`
	Threshold float64               `json:"threshold"`
	Features  []string              `json:"features"`
	Trees     int                   `json:"trees"`
	Manifest  json.RawMessage       `json:"manifest,omitempty" doc:"What it was trained on, and how it measured"`
}

func (a *API) addModels(api huma.API) {
	register(a, api, access.Viewer, huma.Operation{
		OperationID: "champion", Method: http.MethodGet, Path: "/v1/models/champion",
		Summary: "The model in service", Tags: []string{"models"},
	}, func(ctx context.Context, _ *struct{}) (*ChampionOutput, error) {
		live := a.site.Scorer.Champion()
		if live == nil {
			return nil, ErrNoModel
		}
		manifest, err := a.site.Manifest(ctx, live.Version)
		if err != nil {
			return nil, fmt.Errorf("read manifest of version %d: %w", live.Version, err)
		}
		return &ChampionOutput{Body: Champion{
			Version: live.Version, Fleet: live.Model.Fleet, View: live.Model.View, Hash: live.Model.Hash,
			Horizon: live.Model.Horizon, Threshold: a.site.Fleet.Policy.Threshold,
			Features: live.Model.Features, Trees: live.Model.Ensemble.Trees(), Manifest: manifest,
		}}, nil
	})
}
