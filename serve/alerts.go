package serve

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
)

// AlertsInput asks GET /v1/alerts.
type AlertsInput struct {
	OfFleet
	Machine drumbeat.MachineID `query:"machine" maxLength:"200" doc:"Only this machine's"`
	Closed  bool               `query:"closed" doc:"The closed ones too"`
	Limit   int                `query:"limit" minimum:"1" maximum:"1000" default:"100"`
}

// AlertsOutput answers it.
type AlertsOutput struct {
	Body struct {
		Alerts []drumbeat.Alert `json:"alerts" doc:"Newest first"`
	}
}

// AlertInput names an alert.
type AlertInput struct {
	OfFleet
	ID string `path:"id" maxLength:"200"`
}

// AlertOutput answers GET /v1/alerts/{id}.
type AlertOutput struct {
	Body drumbeat.Alert
}

// Found is what a technician found.
type Found struct {
	Outcome drumbeat.Outcome `json:"outcome" enum:"failed,repaired,nothing_wrong,sensor_wrong,not_inspected"`
	Mode    string           `json:"failure_mode,omitempty" maxLength:"100"`
	Part    string           `json:"part,omitempty" maxLength:"200"`
	Note    string           `json:"note,omitempty" maxLength:"2000"`
}

// AnswerInput answers an alert.
type AnswerInput struct {
	OfFleet
	ID   string `path:"id" maxLength:"200"`
	Body Found
}

// ReportInput reports what no alert foretold.
type ReportInput struct {
	OfFleet
	Body struct {
		Found
		Machine drumbeat.MachineID `json:"machine" minLength:"1" maxLength:"200"`
	}
}

// FindingOutput is the finding as it was kept.
type FindingOutput struct {
	Body drumbeat.Finding
}

func (a *API) addAlerts() {
	Add(a, access.Viewer, huma.Operation{
		OperationID: "alerts", Method: http.MethodGet, Path: "/v1/alerts",
		Summary: "Alerts, newest first", Tags: []string{"alerts"},
	}, 0, func(ctx context.Context, in *AlertsInput) (*AlertsOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		list, err := d.Alerts(ctx, AlertFilter{Machine: in.Machine, Closed: in.Closed, Limit: in.Limit})
		if err != nil {
			return nil, err
		}
		var out AlertsOutput
		out.Body.Alerts = append([]drumbeat.Alert{}, list...) // never null
		return &out, nil
	})
	Add(a, access.Viewer, huma.Operation{
		OperationID: "alert", Method: http.MethodGet, Path: "/v1/alerts/{id}",
		Summary: "One alert", Tags: []string{"alerts"},
	}, 0, func(ctx context.Context, in *AlertInput) (*AlertOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		alert, err := d.Alert(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return &AlertOutput{Body: alert}, nil
	})
	Add(a, access.Technician, huma.Operation{
		OperationID: "answer", Method: http.MethodPost, Path: "/v1/alerts/{id}/finding",
		Summary: "Say what was found, and close the alert", Tags: []string{"alerts"},
	}, 0, func(ctx context.Context, in *AnswerInput) (*FindingOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		alert, err := d.Alert(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return a.found(ctx, d, in.Body, alert)
	})
	Add(a, access.Technician, huma.Operation{
		OperationID: "report", Method: http.MethodPost, Path: "/v1/findings",
		Summary: "Report a fault that no alert foretold", Tags: []string{"alerts"},
	}, 0, func(ctx context.Context, in *ReportInput) (*FindingOutput, error) {
		d, err := a.desk(in.OfFleet)
		if err != nil {
			return nil, err
		}
		if err := d.known(in.Body.Machine); err != nil {
			return nil, err
		}
		return a.found(ctx, d, in.Body.Found, drumbeat.Alert{Machine: in.Body.Machine})
	})
}

// found keeps a finding on an alert, or on no more than its machine, and in the record who sent it.
func (a *API) found(ctx context.Context, d *desk, f Found, on drumbeat.Alert) (*FindingOutput, error) {
	person := access.PersonOf(ctx)
	kept, err := d.Answer(ctx, drumbeat.Finding{
		Fleet: d.Fleet.Name, Machine: on.Machine, Alert: on.ID, Outcome: f.Outcome,
		Mode: f.Mode, Part: f.Part, Note: f.Note, Who: person.Name,
	})
	if err != nil {
		return nil, err
	}
	act := access.Act{By: person, What: "finding recorded", Subject: kept.ID, Detail: string(on.Machine) + ": " + string(f.Outcome)}
	if err := a.opt.Access.Record(ctx, act); err != nil {
		d.log.ErrorContext(ctx, "finding kept, but not in the record of acts", "finding", kept.ID, "error", err)
	}
	return &FindingOutput{Body: kept}, nil
}
