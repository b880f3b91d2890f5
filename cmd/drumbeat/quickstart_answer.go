package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/alert"
	"drumbeat/train"
)

// playStep is how far the fleet is played between two looks at the alerts.
const playStep = time.Hour

// maxLiveDays bounds how long an alert is waited for: with two failures a day
// among a hundred machines, a week without a right alert is a broken model.
const maxLiveDays = 14

// alertEvidence is the live alert that the loop exists for.
type alertEvidence struct {
	Alert     string                `json:"alert"`
	Machine   drumbeat.MachineID    `json:"machine"`
	OpenedAt  drumbeat.Time         `json:"opened_at"`
	Chance    float64               `json:"probability"`
	Model     drumbeat.ModelVersion `json:"model_version"`
	Reasons   []string              `json:"reasons"`
	BreaksAt  drumbeat.Time         `json:"will_break_at"` // what the simulator knows
	Mode      string                `json:"failure_mode"`
	HoursLeft float64               `json:"hours_left"`
	Played    float64               `json:"fleet_hours_played"`
	Opened    int                   `json:"alerts_opened_by_then"`
	Needless  int                   `json:"needless_by_then"`
	SinceGo   float64               `json:"seconds_since_the_program_began"`
}

// alert plays live days at full speed until an alert is open for a machine
// that will break within the horizon.
func (q *quickstart) alert(ctx context.Context) (any, []string, error) {
	d := q.daemon
	q.say("alert: playing live until one is open for a machine that will break")
	began := q.sim.Now()
	bar := q.newProgress("live", "hours", maxLiveDays*24)
	defer bar.Done()
	for q.sim.Now() < began.Add(maxLiveDays*24*time.Hour) {
		if err := q.player.playTo(ctx, q.sim.Now().Add(playStep)); err != nil {
			return nil, nil, err
		}
		if err := q.player.settle(ctx); err != nil {
			return nil, nil, err
		}
		bar.Set(int64(q.sim.Now().Sub(began).Hours()))
		for _, a := range d.alerts.Open() {
			left, mode, err := q.breaks(a.Machine)
			if err != nil {
				return nil, nil, err
			}
			if mode == "" || left.Sub(q.sim.Now()) > d.def.Label.Horizon {
				continue
			}
			e, err := q.alertEvidence(ctx, &a, left, mode)
			e.Played = q.sim.Now().Sub(began).Hours()
			return e, nil, err
		}
	}
	return nil, []string{fmt.Sprintf("no alert opened for a machine that will break in %d live days", maxLiveDays)}, nil
}

// breaks asks the simulator when a machine will break; no mode if it will not.
func (q *quickstart) breaks(machine drumbeat.MachineID) (drumbeat.Time, string, error) {
	at, mode, err := q.sim.NextFailure(machine)
	if err != nil {
		return at, "", fmt.Errorf("ask the simulator about %s: %w", machine, err)
	}
	if at == drumbeat.NoTime {
		mode = ""
	}
	return at, mode, nil
}

func (q *quickstart) alertEvidence(ctx context.Context, a *drumbeat.Alert, breaksAt drumbeat.Time, mode string) (alertEvidence, error) {
	e := alertEvidence{
		Alert: a.ID, Machine: a.Machine, OpenedAt: a.OpenedAt, Chance: a.Latest.Probability, Model: a.Model,
		BreaksAt: breaksAt, Mode: mode, HoursLeft: breaksAt.Sub(q.sim.Now()).Hours(), SinceGo: time.Since(q.started).Seconds(),
	}
	for i := range a.Latest.Reasons {
		e.Reasons = append(e.Reasons, a.Latest.Reasons[i].Text)
	}
	all, err := q.daemon.alerts.List(ctx, alert.Filter{Limit: alert.MaxList})
	if err != nil {
		return e, err
	}
	e.Opened = len(all)
	for i := range all {
		needless, err := q.needless(&all[i])
		if err != nil {
			return e, err
		}
		if needless {
			e.Needless++
		}
	}
	q.say("  %s will break in %.0f hours (%s); its alert says %.0f %%. Needless alerts so far: %d of %d",
		e.Machine, e.HoursLeft, e.Mode, 100*e.Chance, e.Needless, e.Opened)
	return e, nil
}

// needless says whether no failure of an alert's machine happened, or will,
// within the horizon of its opening.
func (q *quickstart) needless(a *drumbeat.Alert) (bool, error) {
	until := a.OpenedAt.Add(q.daemon.def.Label.Horizon)
	for _, f := range q.sim.Failures() {
		if f.Machine == a.Machine && f.Time > a.OpenedAt && f.Time <= until {
			return false, nil
		}
	}
	at, mode, err := q.breaks(a.Machine)
	return mode == "" || at > until, err
}

// findingEvidence is how an answer became ground truth.
type findingEvidence struct {
	Finding     drumbeat.Finding `json:"finding"`
	Status      int              `json:"status_of_the_page"`
	Closed      drumbeat.Time    `json:"alert_closed_at"`
	Outcome     drumbeat.Outcome `json:"alert_outcome"`
	Maintenance drumbeat.Item    `json:"-"`
	Repaired    drumbeat.Time    `json:"maintenance_entry_at"`
	RepairType  string           `json:"maintenance_type"`
	NextFailure drumbeat.Time    `json:"next_failure_after_the_repair"`
	Rows        int              `json:"rows_of_the_next_training_set"`
	Changed     int              `json:"label_rows_changed"`
	Changes     []train.Change   `json:"changes"`
}

// technicianTime is how long it takes until somebody looks at a machine.
const technicianTime = 6 * time.Hour

// maxChangesShown bounds the label rows that the report prints.
const maxChangesShown = 12

// finding answers the alert the way the page does, and follows the answer to
// the next training set.
func (q *quickstart) finding(ctx context.Context) (any, []string, error) {
	shown, ok := evidenceOf[alertEvidence](q)
	if !ok {
		return nil, []string{"there is no alert to answer"}, nil
	}
	d := q.daemon
	q.say("finding: a technician answers \"found a fault, repaired\"")
	// Nobody stands beside the machine: it takes some hours, if there are any.
	walk := min(technicianTime, shown.BreaksAt.Sub(q.sim.Now())/2)
	if err := q.player.playTo(ctx, q.sim.Now().Add(walk)); err != nil {
		return nil, nil, err
	}
	if err := q.player.settle(ctx); err != nil {
		return nil, nil, err
	}
	if err := d.untilInLake(ctx); err != nil {
		return nil, nil, err
	}
	before, err := d.nextDataset(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("build the training set before the answer: %w", err)
	}
	e := findingEvidence{}
	if e.Status, err = q.answerByPage(ctx, shown.Alert); err != nil {
		return nil, nil, err
	}
	if err := q.repair(ctx, shown.Machine); err != nil {
		return nil, nil, err
	}
	faults, err := q.followFinding(ctx, &e, &shown, before)
	return e, faults, err
}

// repair tells the simulator what the technician did and plays on until the
// maintenance entry is in the lake.
func (q *quickstart) repair(ctx context.Context, machine drumbeat.MachineID) error {
	select {
	case f := <-q.daemon.repairs:
		if f.Machine != machine {
			return fmt.Errorf("the answer was about %s, the repair is of %s: %w", machine, f.Machine, drumbeat.ErrConflict)
		}
		if err := q.sim.Repair(f.Machine, max(f.WhenFleet, q.sim.Now()), f.Who); err != nil {
			return fmt.Errorf("tell the simulator of the repair: %w", err)
		}
	case <-time.After(shutdownTime):
		return errors.New("the repair did not reach the simulator")
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := q.player.playTo(ctx, q.sim.Now().Add(playStep)); err != nil {
		return err
	}
	if err := q.player.settle(ctx); err != nil {
		return err
	}
	return q.daemon.untilInLake(ctx)
}

// followFinding looks for the answer where it must have arrived.
func (q *quickstart) followFinding(
	ctx context.Context, e *findingEvidence, shown *alertEvidence, before *train.Dataset,
) (faults []string, err error) {
	d := q.daemon
	closed, err := d.alerts.Alert(ctx, shown.Alert)
	if err != nil {
		return nil, err
	}
	e.Closed, e.Outcome = closed.ClosedAt, closed.Outcome
	findings, err := d.findings(ctx)
	if err != nil {
		return nil, err
	}
	for i := range findings {
		if findings[i].ID == closed.FindingID {
			e.Finding = findings[i]
		}
	}
	entries, err := d.lake.Entries(ctx)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entry := &entries[i]
		if entry.Machine == shown.Machine && entry.Entry.Log == "maintenance" && entry.EventTime >= e.Finding.WhenFleet {
			e.Repaired, e.RepairType = entry.EventTime, entry.Entry.Type
		}
	}
	after, err := d.nextDataset(ctx)
	if err != nil {
		return nil, err
	}
	for _, change := range after.Changes(before) {
		if change.Ref == e.Finding.ID {
			e.Changes = append(e.Changes, change)
		}
	}
	e.Rows, e.Changed = len(after.Rows), len(e.Changes)
	e.Changes = e.Changes[:min(len(e.Changes), maxChangesShown)]
	if e.NextFailure, _, err = q.breaks(shown.Machine); err != nil {
		return nil, err
	}
	for what, missing := range map[string]bool{
		"the finding is not in the ground truth":             e.Finding.ID == "",
		"the finding does not say who":                       e.Finding.Who == "",
		"the finding does not say when by both clocks":       e.Finding.WhenFleet <= 0 || e.Finding.WhenWall <= 0,
		"the alert was not closed by the answer":             e.Outcome != drumbeat.OutcomeRepaired,
		"the repair wrote no maintenance entry":              e.Repaired == 0,
		"the repair changed nothing: it breaks all the same": e.NextFailure == shown.BreaksAt,
		"no label row changed":                               e.Changed == 0,
	} {
		if missing {
			faults = append(faults, what)
		}
	}
	return faults, nil
}

// lakePatience is how long the lake may be behind on a machine that has other
// things to do.
const lakePatience = time.Minute

// untilInLake waits until bronze and the predictions' table hold their topics,
// and carries the lake on.
func (d *daemon) untilInLake(ctx context.Context) error {
	deadline, cancel := context.WithTimeout(ctx, lakePatience)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !reachedAll(d.lake.BronzeProgress(), d.scored.now()) || !reachedAll(d.lake.PredictionProgress(d.predictions.Epoch), d.foretold.now()) {
		select {
		case <-deadline.Done():
			return fmt.Errorf("wait for bronze and predictions: %w", deadline.Err())
		case <-ticker.C:
		}
	}
	return d.carryLake(ctx)
}

// visitor is a person at the page.
type visitor struct {
	client  *http.Client
	address string
}

// visit signs in with a one-time link, as a browser does.
func (h *host) visit(ctx context.Context, of access.Person) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, fmt.Errorf("make a cookie jar: %w", err)
	}
	v := &visitor{client: &http.Client{Jar: jar, Timeout: 10 * time.Second}, address: "http://" + h.listener.Addr().String()}
	code, err := h.access.NewLink(ctx, localUser, of, time.Minute)
	if err != nil {
		return nil, err
	}
	if _, err := v.post(ctx, access.SignInPath, url.Values{"secret": {code}}); err != nil {
		return nil, fmt.Errorf("sign in at the page: %w", err)
	}
	return v, nil
}

// post sends a form from the page's own origin and returns the last status.
func (v *visitor) post(ctx context.Context, path string, form url.Values) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, v.address+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", v.address)
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	response, err := v.client.Do(request)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return response.StatusCode, fmt.Errorf("post %s: status %d: %.300s", path, response.StatusCode, body)
	}
	return response.StatusCode, nil
}

// answerByPage sends the page's own form.
func (q *quickstart) answerByPage(ctx context.Context, id string) (int, error) {
	v, err := q.host.visit(ctx, access.Person{Name: "technician", Role: access.Technician})
	if err != nil {
		return 0, err
	}
	path := fmt.Sprintf("/fleets/%s/alerts/%s/finding", url.PathEscape(string(q.daemon.def.Name)), url.PathEscape(id))
	status, err := v.post(ctx, path, url.Values{"outcome": {string(drumbeat.OutcomeRepaired)}})
	if err != nil {
		return status, fmt.Errorf("answer at the page: %w", err)
	}
	return status, nil
}
