package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/registry"
	"drumbeat/serve"
)

// moveEvidence is a move of the champion, under load.
type moveEvidence struct {
	// Refused is what the promotion without an override was answered, "" if
	// the gate passed.
	Refused string             `json:"refused_without_an_override,omitempty"`
	Status  int                `json:"status_of_the_refusal,omitempty"`
	Ledger  registry.LedgerRow `json:"ledger"`
	// Seconds passed from the ledger's row to the first answer of the new
	// champion, Asked from asking for the move: the gate judges in between.
	Seconds  float64                       `json:"seconds_until_serving_followed"`
	Asked    float64                       `json:"seconds_since_it_was_asked"`
	Requests int                           `json:"requests_meanwhile"`
	Failed   int                           `json:"requests_failed"`
	Answered map[drumbeat.ModelVersion]int `json:"answers_by_model_version"`
}

// promote makes the challenger champion: by the gate, or by an engineer's
// reason where the gate refuses.
func (q *quickstart) promote(ctx context.Context) (any, []string, error) {
	shadowed, _ := evidenceOf[shadowEvidence](q)
	judged, ok := evidenceOf[gateEvidence](q)
	if !ok {
		return nil, []string{"nothing was judged"}, nil
	}
	token, err := q.host.newToken(ctx, access.Engineer)
	if err != nil {
		return nil, nil, err
	}
	var e moveEvidence
	body := map[string]any{"version": shadowed.Honest}
	if !judged.Honest.Passed {
		text, status, err := q.postJSON(ctx, token, "/v1/models/promote", body)
		if err != nil {
			return nil, nil, err
		}
		e.Status, e.Refused = status, refusal(status, text).Error()
		body["why"] = "the quickstart's engineer: vibration has shifted for good, and this version knows it"
	}
	faults, err := q.move(ctx, token, "/v1/models/promote", body, &e)
	if !judged.Honest.Passed && e.Status != http.StatusConflict {
		faults = append(faults, fmt.Sprintf("promotion without an override: status %d, want %d", e.Status, http.StatusConflict))
	}
	return e, append(faults, unequal("champion", int64(e.Ledger.To), int64(shadowed.Honest))...), err
}

// rollback puts the champion before back.
func (q *quickstart) rollback(ctx context.Context) (any, []string, error) {
	shadowed, _ := evidenceOf[shadowEvidence](q)
	token, err := q.host.newToken(ctx, access.Engineer)
	if err != nil {
		return nil, nil, err
	}
	var e moveEvidence
	body := map[string]any{"why": "the quickstart shows how"}
	faults, err := q.move(ctx, token, "/v1/models/rollback", body, &e)
	return e, append(faults, unequal("champion", int64(e.Ledger.To), int64(shadowed.Champion))...), err
}

// followTime is how soon serving must follow.
const followTime = time.Second

// move asks for a move while two clients ask for predictions, and waits until
// serving follows.
func (q *quickstart) move(ctx context.Context, token, path string, body map[string]any, e *moveEvidence) ([]string, error) {
	load := q.startLoad(ctx, token)
	asked := time.Now()
	text, status, err := q.postJSON(ctx, token, path, body)
	if err == nil && status != http.StatusOK {
		err = refusal(status, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &e.Ledger)
	}
	if err == nil {
		err = load.until(ctx, e.Ledger.To)
	}
	load.stop()
	if err != nil {
		return nil, fmt.Errorf("post %s: %w", path, err)
	}
	e.Requests, e.Failed, e.Answered = load.requests, load.failed, load.answered
	first := load.first[e.Ledger.To]
	e.Seconds, e.Asked = first.Sub(e.Ledger.WhenWall.Std()).Seconds(), first.Sub(asked).Seconds()
	q.say("  champion is version %d; serving followed after %.3f s, %d of %d requests failed", e.Ledger.To, e.Seconds, e.Failed, e.Requests)
	faults := unequal("failed requests", int64(e.Failed), 0)
	for what, wrong := range map[string]bool{
		"serving did not follow within a second":      e.Seconds > followTime.Seconds(),
		"the ledger does not say when by both clocks": e.Ledger.WhenFleet <= 0 || e.Ledger.WhenWall <= 0,
		"the ledger does not say who":                 e.Ledger.Who == "",
		"the ledger does not say why":                 e.Ledger.Why == "",
		"the ledger does not say what it rests on":    e.Ledger.Proof == "",
	} {
		if wrong {
			faults = append(faults, what)
		}
	}
	return faults, nil
}

// postJSON posts a document to the API.
func (q *quickstart) postJSON(ctx context.Context, token, path string, body any) ([]byte, int, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, 0, fmt.Errorf("post %s: %w", path, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+q.host.localAddress()+path+"?fleet="+string(q.daemon.def.Name),
		bytes.NewReader(text))
	if err != nil {
		return nil, 0, fmt.Errorf("post %s: %w", path, err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("post %s: %w", path, err)
	}
	answer, err := io.ReadAll(response.Body)
	return answer, response.StatusCode, errors.Join(err, response.Body.Close())
}

// load is clients that ask for predictions without a pause.
type load struct {
	mu       sync.Mutex
	requests int
	failed   int
	answered map[drumbeat.ModelVersion]int
	first    map[drumbeat.ModelVersion]time.Time
	changed  chan struct{}
	cancel   context.CancelFunc
	clients  sync.WaitGroup
}

// loadClients is how many ask at once: one a core.
const loadClients = 2

func (q *quickstart) startLoad(ctx context.Context, token string) *load {
	ctx, cancel := context.WithCancel(ctx)
	l := &load{
		answered: map[drumbeat.ModelVersion]int{}, first: map[drumbeat.ModelVersion]time.Time{},
		changed: make(chan struct{}, 1), cancel: cancel,
	}
	known := *q.daemon.machines.Load()
	for client := range loadClients {
		l.clients.Go(func() {
			for i := client; ctx.Err() == nil; i++ {
				answer, err := ask(ctx, "http://"+q.host.localAddress(), token, known[i%len(known)].ID)
				if ctx.Err() == nil {
					l.took(answer, err)
				}
			}
		})
	}
	return l
}

func (l *load) took(a *serve.Answer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests++
	if err != nil {
		l.failed++
		return
	}
	if l.answered[a.Model]++; l.answered[a.Model] == 1 {
		l.first[a.Model] = time.Now()
		select {
		case l.changed <- struct{}{}:
		default:
		}
	}
}

// until waits for the first answer of a version.
func (l *load) until(ctx context.Context, version drumbeat.ModelVersion) error {
	deadline, cancel := context.WithTimeout(ctx, 10*followTime)
	defer cancel()
	for {
		l.mu.Lock()
		there := l.answered[version] > 0
		l.mu.Unlock()
		if there {
			return nil
		}
		select {
		case <-l.changed:
		case <-deadline.Done():
			return fmt.Errorf("wait for an answer of version %d: %w", version, deadline.Err())
		}
	}
}

func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}
