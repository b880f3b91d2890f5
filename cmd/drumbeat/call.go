package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/serve"
)

// operation is something that may be asked of a site: by a person at the
// command line, by cron or Airflow over REST, by a page. The command line
// works in the data folder itself; while a daemon has the folder, it asks the
// daemon over the very same route.
//
// I holds the query (fields tagged `query`) and, for a POST, a Body.
type operation[I, O any] struct {
	method, path string
	id           string
	summary      string
	least        access.Role
	timeout      time.Duration // 0 is the API's own
	run          func(ctx context.Context, h *host, who access.Person, in *I) (*O, error)
}

// call asks an operation of the site in a data folder.
func call[I, O any](ctx context.Context, p *process, dir string, op *operation[I, O], in *I) (*O, error) {
	s, err := openSite(ctx, dir, false, p)
	if errors.Is(err, errBusy) {
		return remote[I, O](ctx, dir, op, in, err)
	}
	if err != nil {
		return nil, err
	}
	h := newHost(s)
	bar := p.newProgress("", "rounds", 1)
	h.told = bar.follow
	out, err := op.run(ctx, h, localUser, in)
	bar.Done()
	return out, errors.Join(err, s.Close())
}

// control is control.json, by which commands find the daemon that has a
// folder. Who may read the folder may do everything in it.
type control struct {
	Format  int    `json:"format"`
	Address string `json:"address"` // of the API
	Token   string `json:"token"`
	Kafka   string `json:"kafka"` // addresses of the broker
}

// controlFormat is the version of control.json.
const controlFormat = 1

// tokenLife is how long a daemon's own token is good for; a new one is made
// well before.
const tokenLife = 48 * time.Hour

// tell writes control.json for the commands that come.
func (h *host) tell(ctx context.Context, address string) error {
	_, secret, err := h.access.NewToken(ctx, localUser, localUser, tokenLife)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(h.dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", controlFile, err)
	}
	defer func() { _ = root.Close() }() // what was written is closed by then
	return writeJSON(root, controlFile, control{Format: controlFormat, Address: address, Token: secret, Kafka: h.brokers()}, 0o600)
}

// untell takes control.json away.
func (h *host) untell() error {
	if err := os.Remove(h.path(controlFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", controlFile, err)
	}
	return nil
}

// keepTold renews control.json before its token ends, until ctx ends.
func (h *host) keepTold(ctx context.Context) error {
	ticker := time.NewTicker(tokenLife / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return h.untell()
		case <-ticker.C:
			if err := h.tell(ctx, h.localAddress()); err != nil {
				h.log.ErrorContext(ctx, "control file not renewed, commands will be refused", "error", err)
			}
		}
	}
}

// readControl finds the daemon that has the folder.
func readControl(dir string, busy error) (control, error) {
	var c control
	text, err := os.ReadFile(folderPath(dir, controlFile))
	if errors.Is(err, fs.ErrNotExist) {
		return c, fmt.Errorf("%w (it does not answer commands: it is starting, or plays a quickstart's first steps)", busy)
	}
	if err != nil {
		return c, fmt.Errorf("find the running drumbeat: %w", err)
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return c, fmt.Errorf("read %s: %w", controlFile, err)
	}
	if c.Format > controlFormat {
		return c, fmt.Errorf("ask the running drumbeat: it speaks format %d, this program %d: %w", c.Format, controlFormat, drumbeat.ErrNewer)
	}
	return c, nil
}

// remote asks the daemon that has the folder.
func remote[I, O any](ctx context.Context, dir string, op *operation[I, O], in *I, busy error) (*O, error) {
	to, err := readControl(dir, busy)
	if err != nil {
		return nil, err
	}
	request, err := op.request(ctx, &to, in)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the running drumbeat: %w", err)
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, fmt.Errorf("ask the running drumbeat: %w", err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return nil, refusal(response.StatusCode, body)
	}
	out := new(O)
	// huma's outputs carry their content in a field Body.
	if err := json.Unmarshal(body, reflect.ValueOf(out).Elem().FieldByName("Body").Addr().Interface()); err != nil {
		return nil, fmt.Errorf("read the running drumbeat's answer: %w", err)
	}
	return out, nil
}

// request makes the HTTP request of an operation.
func (op *operation[I, O]) request(ctx context.Context, c *control, in *I) (*http.Request, error) {
	query := url.Values{}
	var body io.Reader
	value := reflect.ValueOf(in).Elem()
	for _, field := range reflect.VisibleFields(value.Type()) {
		of := value.FieldByIndex(field.Index)
		if name, _, _ := strings.Cut(field.Tag.Get("query"), ","); name != "" && !of.IsZero() {
			query.Set(name, fmt.Sprint(of.Interface()))
		}
		if field.Name == "Body" {
			text, err := json.Marshal(of.Interface())
			if err != nil {
				return nil, fmt.Errorf("ask %s: %w", op.path, err)
			}
			body = bytes.NewReader(text)
		}
	}
	address := url.URL{Scheme: "http", Host: c.Address, Path: op.path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, op.method, address.String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", op.path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.Token)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// refusal makes the daemon's problem an error of the same kind.
func refusal(status int, body []byte) error {
	var problem access.Problem
	if err := json.Unmarshal(body, &problem); err != nil || problem.Title == "" {
		return fmt.Errorf("the running drumbeat answered with status %d: %.300s", status, body)
	}
	text := problem.Title
	if problem.Detail != "" {
		text = problem.Detail // it says what and why
	}
	parts := []string{text}
	for _, fault := range problem.Errors {
		parts = append(parts, fault.Location+": "+fault.Message)
	}
	if problem.Next != "" {
		parts = append(parts, problem.Next)
	}
	text = strings.Join(parts, "; ")
	kinds := map[int]error{
		http.StatusNotFound: drumbeat.ErrNotFound, http.StatusConflict: drumbeat.ErrConflict,
		http.StatusUnprocessableEntity: drumbeat.ErrInvalid, http.StatusRequestEntityTooLarge: drumbeat.ErrLimit,
	}
	if kind := kinds[status]; kind != nil {
		return &refused{text: text, kind: kind}
	}
	return errors.New(text)
}

// refused is an error that the daemon told in words, with its kind.
type refused struct {
	text string
	kind error
}

func (r *refused) Error() string { return r.text }

func (r *refused) Unwrap() error { return r.kind }

// add registers an operation at the site's API.
func add[I, O any](h *host, op *operation[I, O]) {
	serve.Add(h.api, op.least, huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary,
	}, op.timeout, func(ctx context.Context, in *I) (*O, error) {
		return op.run(ctx, h, access.PersonOf(ctx), in)
	})
}

// addOperations registers every operation that is not serve's own.
func (h *host) addOperations() {
	h.addPosting()
	add(h, showStatus())
	add(h, runDoctor())
	add(h, listModels())
	add(h, promoteModel())
	add(h, rollbackModel())
	add(h, judgeModel())
	add(h, countLake())
	add(h, listLetters())
	add(h, redriveLetters())
	add(h, makeToken())
	add(h, listRuns())
	add(h, showRun())
	add(h, showReport())
	add(h, stage[nothing](graphRefine, "Bring silver up to what bronze holds"))
	add(h, stage[nothing](graphBackfill, "Bring gold up to what silver holds"))
	add(h, stage[nothing](graphLabel, "Label the rows of the next training set"))
	add(h, stage[trainParams](graphTrain, "Train a model: label, dataset, train, evaluate, register"))
	add(h, stage[evaluateParams](graphEvaluate, "Measure a version on rows that came after its own"))
	add(h, stage[nothing](graphMonitor, "Report drift, live recall and shadows"))
}

// output is what an operation answers.
type output[B any] struct{ Body B }

// answer wraps an operation's answer.
func answer[B any](body B, err error) (*output[B], error) {
	if err != nil {
		return nil, err
	}
	return &output[B]{Body: body}, nil
}

// ofFleet is the query of an operation that only says which fleet.
type ofFleet struct {
	Fleet drumbeat.FleetName `query:"fleet" maxLength:"200" doc:"Which fleet; may be left out where there is one"`
}
