package serve

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
)

// MachinesOutput answers GET /v1/machines.
type MachinesOutput struct {
	Body struct {
		Now      drumbeat.Time  `json:"now" doc:"The fleet's clock"`
		Machines []MachineModel `json:"machines" doc:"Those to look at first come first"`
	}
}

// MachineOutput answers GET /v1/machines/{machine}.
type MachineOutput struct {
	Body MachineModel
}

// MachineModel is a machine as the API shows it.
type MachineModel struct {
	drumbeat.Machine
	Attributes map[string]string `json:"attributes,omitempty"`
}

func (a *API) addMachines(api huma.API) {
	register(a, api, access.Viewer, huma.Operation{
		OperationID: "machines", Method: http.MethodGet, Path: "/v1/machines",
		Summary: "Every machine, the one most at risk first", Tags: []string{"machines"},
	}, func(ctx context.Context, _ *struct{}) (*MachinesOutput, error) {
		list, err := a.board.Machines(ctx)
		if err != nil {
			return nil, err
		}
		var out MachinesOutput
		out.Body.Now = a.site.Clock.Now()
		out.Body.Machines = make([]MachineModel, len(list))
		for i := range list {
			out.Body.Machines[i] = a.machine(list[i])
		}
		return &out, nil
	})
	register(a, api, access.Viewer, huma.Operation{
		OperationID: "machine", Method: http.MethodGet, Path: "/v1/machines/{machine}",
		Summary: "One machine, with the reasons of its prediction", Tags: []string{"machines"},
	}, func(ctx context.Context, in *struct {
		Machine drumbeat.MachineID `path:"machine" maxLength:"200"`
	},
	) (*MachineOutput, error) {
		m, err := a.board.Machine(ctx, in.Machine)
		if err != nil {
			return nil, err
		}
		return &MachineOutput{Body: a.machine(m)}, nil
	})
}

func (a *API) machine(m drumbeat.Machine) MachineModel {
	out := MachineModel{Machine: m}
	for i, value := range m.Static {
		if value == "" || i >= len(a.site.Fleet.Static) {
			continue
		}
		if out.Attributes == nil {
			out.Attributes = map[string]string{}
		}
		out.Attributes[a.site.Fleet.Static[i].Name] = value
	}
	return out
}
