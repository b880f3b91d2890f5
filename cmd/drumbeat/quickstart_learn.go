package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/pipeline"
	"drumbeat/registry"
	"drumbeat/serve"
	"drumbeat/train"
)

// trainEvidence is the honest report, with where the version stands.
type trainEvidence struct {
	Version  drumbeat.ModelVersion `json:"version"`
	Manifest registry.Manifest     `json:"manifest"`
	Champion drumbeat.ModelVersion `json:"champion"`
	Ledger   registry.LedgerRow    `json:"ledger"`
	Report   *train.Report         `json:"report"`
}

// train fits the first model and makes it champion.
func (q *quickstart) train(ctx context.Context) (any, []string, error) {
	d := q.daemon
	q.say("train: XGBoost, split in time with a gap of %s, calibrated, with a shuffled-label control", d.def.Label.HorizonText)
	result, err := q.trainRun(ctx, pipeline.Request{ID: "first", Reason: pipeline.Reason{Detail: "the first model"}}, trainParams{PromoteFirst: true})
	if err != nil {
		return nil, nil, err
	}
	champion, _, err := registry.Champion(ctx, d.registry, d.def.Name)
	if err != nil {
		return nil, nil, fmt.Errorf("find the champion: %w", err)
	}
	ledger, err := d.registry.Ledger(ctx, d.def.Name, 0)
	if err != nil || len(ledger) == 0 {
		return nil, nil, errors.Join(errors.New("the ledger is empty"), err)
	}
	q.say("  %s", result.Sentence)
	e := trainEvidence{
		Version: result.Version, Manifest: champion.Manifest, Champion: champion.Number,
		Ledger: ledger[len(ledger)-1], Report: result.Report,
	}
	e.Manifest.Measures = nil // they are the report
	faults := unequal("champion", int64(e.Champion), int64(e.Version))
	for i, part := range result.Split.Spans[1:] {
		if gap := part.From.Sub(result.Split.Spans[i].Until); gap < d.def.Label.Horizon {
			faults = append(faults, fmt.Sprintf("gap before the %s rows: got %s, want %s", part.Part, gap, d.def.Label.Horizon))
		}
	}
	if e.Ledger.Proof == "" || !bytes.Contains([]byte(e.Ledger.Why+e.Ledger.Proof), []byte(registry.NoGate)) {
		faults = append(faults, "the ledger does not say that there was no gate")
	}
	return e, faults, nil
}

// trainRun trains for a person, with progress.
func (q *quickstart) trainRun(ctx context.Context, request pipeline.Request, params trainParams) (*trained, error) {
	text, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	request.Fleet, request.Who, request.Params = q.daemon.def.Name, localUser.Name, text
	request.Reason.Kind, request.Reason.Subject, request.Reason.Since = pipeline.Person, "quickstart", q.daemon.now()
	run, err := q.host.runner.Run(ctx, q.host.graphs[graphTrain], request)
	if err != nil {
		return nil, err
	}
	return trainedOf(&run)
}

// serveEvidence is what the queries showed.
type serveEvidence struct {
	Address   string                `json:"address"`
	Queries   int                   `json:"queries"`
	P50       float64               `json:"p50_ms"`
	P99       float64               `json:"p99_ms"`
	Model     drumbeat.ModelVersion `json:"model_version"`
	WorstGap  float64               `json:"largest_gap_between_reasons_and_margin"`
	Example   serve.Answer          `json:"example"`
	Unsigned  int                   `json:"status_without_a_token"`
	WorstName drumbeat.MachineID    `json:"most_at_risk"`
}

// queries is how many predictions the serve step asks for.
const queries = 2000

// serve opens the page and the API, and asks for predictions over HTTP.
func (q *quickstart) serve(ctx context.Context) (any, []string, error) {
	d := q.daemon
	if err := d.follow(ctx); err != nil {
		return nil, nil, err
	}
	if err := q.openOthers(ctx); err != nil {
		return nil, nil, err
	}
	if err := q.host.openServing(ctx, q.cmd.Listen); err != nil {
		return nil, nil, err
	}
	q.player = startPlayer(ctx, q.host, d, q.sim)
	address := q.host.listener.Addr().String()
	token, err := q.host.newToken(ctx, access.Viewer)
	if err != nil {
		return nil, nil, err
	}
	e := serveEvidence{Address: "http://" + address, Queries: queries}
	if e.Unsigned, err = statusWithoutToken(ctx, e.Address); err != nil {
		return nil, nil, err
	}
	faults := unequal("status without a token", int64(e.Unsigned), http.StatusUnauthorized)
	known := *d.machines.Load()
	took := make([]float64, 0, queries)
	worst := -1.0
	for i := range queries {
		machine := known[i%len(known)].ID
		began := time.Now()
		answer, err := ask(ctx, e.Address, token, machine)
		if err != nil {
			return nil, nil, err
		}
		took = append(took, float64(time.Since(began).Microseconds())/1000)
		faults = append(faults, checkAnswer(answer, machine, len(d.view.Features))...)
		e.WorstGap = max(e.WorstGap, reasonGap(answer))
		if answer.Probability > worst {
			worst, e.Example, e.WorstName = answer.Probability, *answer, machine
		}
	}
	slices.Sort(took)
	e.P50, e.P99, e.Model = took[len(took)/2], took[len(took)*99/100], e.Example.Model
	if e.WorstGap > maxReasonGap {
		faults = append(faults, fmt.Sprintf("reasons and margin differ by %g, want at most %g", e.WorstGap, maxReasonGap))
	}
	e.Example.Explanation = nil // its five reasons stay
	q.say("serve: %d queries, p50 %.2f ms, p99 %.2f ms, at %s", queries, e.P50, e.P99, e.Address)
	return e, faults, nil
}

// maxReasonGap is how far the sum of the reasons may be from the margin, in
// log-odds: margins are float32 sums of some hundred leaves.
const maxReasonGap = 1e-3

func reasonGap(a *serve.Answer) float64 {
	if a.Explanation == nil {
		return math.Inf(1)
	}
	total := a.Explanation.Bias
	for i := range a.Explanation.Reasons {
		total += a.Explanation.Reasons[i].Contribution
	}
	return math.Abs(total - a.Margin)
}

// checkAnswer lists what an answer lacks (S3).
func checkAnswer(a *serve.Answer, machine drumbeat.MachineID, features int) []string {
	var faults []string
	lacks := func(missing bool, what string) {
		if missing {
			faults = append(faults, fmt.Sprintf("answer about %s: %s", machine, what))
		}
	}
	lacks(a.Machine != machine, "another machine")
	lacks(!(a.Probability >= 0 && a.Probability <= 1), "no probability")
	lacks(a.Model < 1, "no model version")
	lacks(a.AsOf == drumbeat.NoTime || a.AsOf == 0, "no as-of time")
	lacks(a.Position == drumbeat.Position{}, "no position")
	lacks(a.Explanation == nil || len(a.Explanation.Reasons) != features, "not a reason for each feature")
	lacks(a.Purpose != drumbeat.PurposeQuery, "not a query")
	return faults
}

// ask asks for one prediction with its reasons.
func ask(ctx context.Context, address, token string, machine drumbeat.MachineID) (*serve.Answer, error) {
	body, err := json.Marshal(map[string]any{"machine": machine, "explain": true})
	if err != nil {
		return nil, fmt.Errorf("ask about %s: %w", machine, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/v1/predict", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask about %s: %w", machine, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask about %s: %w", machine, err)
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("ask about %s: status %d: %s", machine, response.StatusCode, text), err)
	}
	var answer serve.Answer
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, fmt.Errorf("ask about %s: %w", machine, err)
	}
	return &answer, nil
}

func statusWithoutToken(ctx context.Context, address string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+"/v1/machines", nil)
	if err != nil {
		return 0, fmt.Errorf("ask without a token: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("ask without a token: %w", err)
	}
	return response.StatusCode, response.Body.Close()
}
