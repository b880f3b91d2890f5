package serve

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
)

// MachinesInput asks GET /v1/machines.
type MachinesInput struct{ OfFleet }

// MachinesOutput answers it.
type MachinesOutput struct {
	Body struct {
		Now      drumbeat.Time  `json:"now" doc:"The fleet's clock"`
		Machines []MachineModel `json:"machines" doc:"Those to look at first come first"`
	}
}

// MachineInput asks GET /v1/machines/{machine}.
type MachineInput struct {
	OfFleet
	Machine drumbeat.MachineID `path:"machine" maxLength:"200"`
}

// MachineOutput answers it.
type MachineOutput struct {
	Body MachineModel
}

// MachineModel is a machine as the API shows it.
type MachineModel struct {
	drumbeat.Machine
	Attributes map[string]string `json:"attributes,omitempty"`
}

func (a *API) addMachines() {
	Add(a, access.Viewer, huma.Operation{
		OperationID: "machines", Method: http.MethodGet, Path: "/v1/machines",
		Summary: "Every machine, the one most at risk first", Tags: []string{"machines"},
	}, 0, func(ctx context.Context, in *MachinesInput) (*MachinesOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		list, err := d.board.Machines(ctx)
		if err != nil {
			return nil, err
		}
		var out MachinesOutput
		out.Body.Now = d.Clock.Now()
		out.Body.Machines = make([]MachineModel, len(list))
		for i := range list {
			out.Body.Machines[i] = d.machine(list[i])
		}
		return &out, nil
	})
	Add(a, access.Viewer, huma.Operation{
		OperationID: "machine", Method: http.MethodGet, Path: "/v1/machines/{machine}",
		Summary: "One machine, with the reasons of its prediction", Tags: []string{"machines"},
	}, 0, func(ctx context.Context, in *MachineInput) (*MachineOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		m, err := d.board.Machine(ctx, in.Machine)
		if err != nil {
			return nil, err
		}
		return &MachineOutput{Body: d.machine(m)}, nil
	})
}

func (d *desk) machine(m drumbeat.Machine) MachineModel {
	out := MachineModel{Machine: m}
	for i, value := range m.Static {
		if value == "" || i >= len(d.Fleet.Static) {
			continue
		}
		if out.Attributes == nil {
			out.Attributes = map[string]string{}
		}
		out.Attributes[d.Fleet.Static[i].Name] = value
	}
	return out
}
