package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
)

// FleetsOutput answers GET /v1/fleets.
type FleetsOutput struct {
	Body struct {
		Fleets []FleetModel `json:"fleets"`
	}
}

// FleetModel is a fleet as the API shows it.
type FleetModel struct {
	Name     drumbeat.FleetName    `json:"name"`
	Title    string                `json:"title"`
	Machines int                   `json:"machines" doc:"How many are known"`
	Champion drumbeat.ModelVersion `json:"champion" doc:"The model version in service, 0 for none"`
	Now      drumbeat.Time         `json:"now" doc:"The fleet's clock"`
	Ready    bool                  `json:"ready"`
	Why      string                `json:"why,omitempty" doc:"Why it is not ready"`
}

func (a *API) addFleets() {
	Add(a, access.Viewer, huma.Operation{
		OperationID: "fleets", Method: http.MethodGet, Path: "/v1/fleets",
		Summary: "The fleets of this site", Tags: []string{"fleets"},
	}, 0, func(ctx context.Context, _ *struct{}) (*FleetsOutput, error) {
		var out FleetsOutput
		out.Body.Fleets = make([]FleetModel, len(a.desks))
		for i, d := range a.desks {
			out.Body.Fleets[i] = d.model(ctx)
		}
		return &out, nil
	})
}

func (d *desk) model(ctx context.Context) FleetModel {
	m := FleetModel{
		Name: d.Fleet.Name, Title: d.Fleet.Title, Machines: len(d.Machines()), Now: d.Clock.Now(), Ready: true,
	}
	if live := d.Scorer.Champion(); live != nil {
		m.Champion = live.Version
	}
	if err := d.Ready(ctx); err != nil {
		m.Ready, m.Why = false, err.Error()
	}
	return m
}

// ChampionInput asks GET /v1/models/champion.
type ChampionInput struct{ OfFleet }

// ChampionOutput answers it.
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

func (a *API) addModels() {
	Add(a, access.Viewer, huma.Operation{
		OperationID: "champion", Method: http.MethodGet, Path: "/v1/models/champion",
		Summary: "The model in service", Tags: []string{"models"},
	}, 0, func(ctx context.Context, in *ChampionInput) (*ChampionOutput, error) {
		at, err := a.moment(in.OfFleet)
		if err != nil {
			return nil, err
		}
		live := at.Champion
		manifest, err := at.Manifest(ctx, live.Version)
		if err != nil {
			return nil, fmt.Errorf("read manifest of version %d: %w", live.Version, err)
		}
		return &ChampionOutput{Body: Champion{
			Version: live.Version, Fleet: live.Model.Fleet, View: live.Model.View, Hash: live.Model.Hash,
			Horizon: live.Model.Horizon, Threshold: at.Fleet.Policy.Threshold,
			Features: live.Model.Features, Trees: live.Model.Ensemble.Trees(), Manifest: manifest,
		}}, nil
	})
}
