package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet"
	posted "drumbeat/ingest/http"
	"drumbeat/serve"
)

// postTime is how long a batch may take: what a slow line sends in a minute.
const postTime = time.Minute

// postInput is a batch that a program posts.
type postInput struct {
	serve.OfFleet

	ContentType string `header:"Content-Type" doc:"application/json: an object or an array of them; application/x-ndjson: a line each"`
	Encoding    string `header:"Content-Encoding" doc:"gzip, or nothing"`
	Log         string `query:"log" maxLength:"200" doc:"Which of the fleet's logs; for /v1/log"`
	RawBody     []byte
}

// postOutput says what was taken.
type postOutput struct {
	Status int
	Body   struct {
		Items   int `json:"items"`
		Records int `json:"records" doc:"One a machine, or more where they would be large"`
	}
}

// addPosting adds the routes by which programs send what they would else write
// into the topic.
func (h *host) addPosting() {
	const rules = "\n\nA batch is taken whole, and durable in the fleet's topic when the answer comes, or refused with every fault by line. " +
		"Posted again it does no harm: what says the same is a duplicate."
	for _, route := range []struct {
		path, id, summary, about string
		typ                      func(*daemon, *postInput) (string, error)
	}{
		{
			"/v1/readings", "post-readings", "Send readings", "Objects with machine_id, timestamp and the fleet's sensors, or one sensor's value.",
			func(*daemon, *postInput) (string, error) { return fleet.TypeReading, nil },
		},
		{
			"/v1/log", "post-log", "Send log entries: failures, maintenance, errors",
			"Entries of the log that the query names, with id and revision; \"withdrawn\": true takes one back (T7).", logNamed,
		},
		{
			"/v1/machines", "post-machines", "Declare machines", "Objects with machine_id and the fleet's static attributes (V5).",
			func(*daemon, *postInput) (string, error) { return fleet.TypeMachine, nil },
		},
	} {
		serve.Add(h.api, access.Technician, huma.Operation{
			OperationID: route.id, Method: http.MethodPost, Path: route.path, Tags: []string{"sources"}, DefaultStatus: http.StatusAccepted,
			Summary: route.summary, Description: route.about + rules, MaxBodyBytes: posted.MaxBody, BodyReadTimeout: postTime,
			Errors: []int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity},
		}, postTime, func(ctx context.Context, in *postInput) (*postOutput, error) {
			d, err := h.daemon(in.Fleet)
			if err != nil {
				return nil, err
			}
			typ, err := route.typ(d, in)
			if err != nil {
				return nil, err
			}
			return d.post(ctx, typ, in)
		})
	}
}

// logNamed is the type of record for the log that a request names.
func logNamed(d *daemon, in *postInput) (string, error) {
	if d.def.LogNamed(in.Log) != nil {
		return in.Log, nil
	}
	var names []string
	for i := range d.def.Logs {
		names = append(names, d.def.Logs[i].Name)
	}
	return "", fmt.Errorf("log %q is none of this fleet's; say /v1/log?log=%s: %w", in.Log, strings.Join(names, " or "), drumbeat.ErrInvalid)
}

// post writes a batch into the topic.
func (d *daemon) post(ctx context.Context, typ string, in *postInput) (*postOutput, error) {
	request := posted.Request{Type: typ, Body: in.RawBody, Arrival: d.arrives}
	var err error
	if request.Gzip, request.Lines, err = formOf(in); err != nil {
		return nil, err
	}
	// A machine that came by the topic since the list was read is in silver.
	refresh := sync.OnceValue(func() error { return d.learnMachines(ctx) })
	known := func(m drumbeat.MachineID) bool { return d.isDeclared(m) || refresh() == nil && d.isDeclared(m) }
	records, items, err := posted.NewReader(d.def, d.telemetry.Name, known).Read(&request)
	if err != nil {
		return nil, batchProblem(err)
	}
	if err := d.writer.Write(ctx, records); err != nil {
		return nil, err
	}
	if typ == fleet.TypeMachine {
		for i := range records { // silver knows them in some seconds
			d.declared.Store(drumbeat.MachineID(records[i].Key), true)
		}
	}
	out := &postOutput{Status: http.StatusAccepted}
	out.Body.Items, out.Body.Records = items, len(records)
	return out, nil
}

// formOf reads how a body is written.
func formOf(in *postInput) (gzip, lines bool, err error) {
	kind := "application/json"
	if in.ContentType != "" {
		if kind, _, err = mime.ParseMediaType(in.ContentType); err != nil {
			return false, false, unsupported(fmt.Sprintf("Content-Type %q cannot be read", in.ContentType))
		}
	}
	switch kind {
	case "application/json":
	case "application/x-ndjson", "application/jsonl", "application/jsonlines":
		lines = true
	default:
		return false, false, unsupported(fmt.Sprintf("Content-Type %s is not read", kind))
	}
	switch strings.ToLower(in.Encoding) {
	case "", "identity":
	case "gzip":
		gzip = true
	default:
		return false, false, unsupported(fmt.Sprintf("Content-Encoding %s is not read", in.Encoding))
	}
	return gzip, lines, nil
}

func unsupported(why string) error {
	return &access.Problem{
		Status: http.StatusUnsupportedMediaType, Title: "another form is wanted", Detail: why,
		Next: "send application/json or application/x-ndjson, as it is or packed with gzip",
	}
}

// batchProblem tells every fault of a batch.
func batchProblem(err error) error {
	faults, ok := errors.AsType[*posted.Faults](err)
	if !ok {
		return err
	}
	p := &access.Problem{
		Status: http.StatusUnprocessableEntity, Title: "batch not accepted",
		Detail: fmt.Sprintf("%d of its items cannot be taken", faults.Total), Next: "correct them and send the batch again; nothing of it was taken",
	}
	for _, f := range faults.Told {
		p.Errors = append(p.Errors, access.Fault{Location: fmt.Sprintf("line %d", f.Line), Message: f.Message})
	}
	if more := faults.Total - len(faults.Told); more > 0 {
		p.Errors = append(p.Errors, access.Fault{Message: fmt.Sprintf("and %d more", more)})
	}
	return p
}

// isDeclared says whether a machine was declared, here or by the topic.
func (d *daemon) isDeclared(m drumbeat.MachineID) bool {
	if _, here := d.declared.Load(m); here {
		return true
	}
	_, found := slices.BinarySearchFunc(*d.machines.Load(), m, func(k serve.Known, m drumbeat.MachineID) int { return cmp.Compare(k.ID, m) })
	return found
}

// arrives says when what was measured at event arrives if it is sent now (T5,
// T6), or why it cannot.
func (d *daemon) arrives(event drumbeat.Time) (drumbeat.Time, string) {
	now := d.arrivalNow()
	switch {
	case now == drumbeat.NoTime:
		return now, "the fleet's time has not begun (clock: data): import its history first, or say clock: wall in fleet.yaml"
	case event == drumbeat.NoTime:
		return now, ""
	}
	return d.def.Arrives(event, now, d.view.Horizon())
}
