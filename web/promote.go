package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"drumbeat"
	"drumbeat/access"
)

const (
	// minWords is how many words a reason has at least: enough that a later
	// reader learns something, few enough for an emergency.
	minWords = 3
	// maxReason bounds a reason, in bytes; the ledger takes 4096.
	maxReason = 2000
)

// decisionView asks once more before something is done, and says what follows.
type decisionView struct {
	Question     string   // Make version 4 the champion?
	Consequences []string // sentences
	Proof        *proofView
	// ReasonWord labels the field for the reason, "" where none is asked.
	ReasonWord, ReasonHint string
	Reason                 string // what was written before it was refused
	Champion               drumbeat.ModelVersion
	Action                 string // the path that it is sent to
	Send                   string // the button
	Grave                  bool   // it goes against the gate
	Trouble                string // what was wrong with the first try
}

// mayPromote says whether the reader can move the champion here.
func (b *board) mayPromote(r *http.Request) bool {
	return b.source.Promote != nil && access.PersonOf(r.Context()).Role.May(access.Engineer)
}

// promotePage says what promoting a version would do.
func (b *board) promotePage(w http.ResponseWriter, r *http.Request) error {
	v, err := b.promotion(r)
	if err != nil {
		return err
	}
	return b.decide(w, r, http.StatusOK, v)
}

// promotion is the question whether to promote the version that the path names.
func (b *board) promotion(r *http.Request) (*decisionView, error) {
	n, err := versionOf(r)
	if err != nil {
		return nil, err
	}
	if b.source.Promote == nil {
		return nil, fmt.Errorf("promote version %d: this fleet's models cannot be moved here: %w", n, drumbeat.ErrNotFound)
	}
	m, err := b.models(r.Context())
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(m.Versions, func(v Version) bool { return v.Number == n })
	if i < 0 {
		return nil, fmt.Errorf("promote version %d: there is no such version: %w", n, drumbeat.ErrNotFound)
	}
	if m.Versions[i].Role == drumbeat.RoleChampion {
		return nil, fmt.Errorf("promote version %d: it is the champion already: %w", n, drumbeat.ErrConflict)
	}
	proof := proofOf(&m.Versions[i])
	v := &decisionView{
		Question: fmt.Sprintf("Make version %d the champion?", n), Proof: &proof,
		Action:       b.base + "/models/" + strconv.Itoa(int(n)) + "/promote",
		Send:         fmt.Sprintf("Make version %d the champion", n),
		Consequences: []string{fmt.Sprintf("From the next reading on, version %d judges every machine of this fleet, and it alone opens alerts.", n)},
	}
	if c := m.champion(); c != nil {
		v.Champion = c.Number
		v.Consequences = append(v.Consequences, fmt.Sprintf("Version %d steps down; rolling back brings it back in one step.", c.Number))
	}
	v.Consequences = append(v.Consequences, "Alerts that are open stay open. Serving follows within a second; no request fails.")
	if proof.Gate == nil || !proof.Gate.Passed {
		v.Grave = true
		v.Send = fmt.Sprintf("Overrule the gate: promote version %d", n)
		v.ReasonWord = "Why do you overrule the gate?"
		v.ReasonHint = "The ledger keeps your words, your name and what the gate said, for good."
		if proof.Gate == nil {
			v.Send = fmt.Sprintf("Promote version %d without the gate", n)
			v.ReasonWord = "Why, though the gate has not judged it?"
		}
	}
	return v, nil
}

// promote makes a version the champion.
func (b *board) promote(w http.ResponseWriter, r *http.Request) error {
	n, err := versionOf(r)
	if err != nil {
		return err
	}
	ask := func() (*decisionView, error) { return b.promotion(r) }
	act := func(ctx context.Context, reason string) (string, error) {
		return "?done=promoted", b.source.Promote(ctx, n, reason)
	}
	return b.carryOut(w, r, decision{ask, act, "model promoted", strconv.Itoa(int(n))})
}

// rollbackPage says what rolling back would do.
func (b *board) rollbackPage(w http.ResponseWriter, r *http.Request) error {
	v, err := b.rollbackQuestion(r)
	if err != nil {
		return err
	}
	return b.decide(w, r, http.StatusOK, v)
}

func (b *board) rollbackQuestion(r *http.Request) (*decisionView, error) {
	if b.source.Rollback == nil {
		return nil, fmt.Errorf("roll back: this fleet's models cannot be moved here: %w", drumbeat.ErrNotFound)
	}
	m, err := b.models(r.Context())
	if err != nil {
		return nil, err
	}
	champion := m.champion()
	if champion == nil || m.Previous == 0 {
		return nil, fmt.Errorf("roll back: no version served before this one: %w", drumbeat.ErrConflict)
	}
	return &decisionView{
		Question: fmt.Sprintf("Bring back version %d?", m.Previous), Champion: champion.Number,
		Action: b.base + "/models/rollback", Send: fmt.Sprintf("Bring back version %d", m.Previous),
		Consequences: []string{
			fmt.Sprintf("From the next reading on, version %d judges every machine of this fleet again, and version %d no longer does.",
				m.Previous, champion.Number),
			"Alerts that are open stay open. Serving follows within a second; no request fails.",
			fmt.Sprintf("Version %d is kept and can be promoted again.", champion.Number),
		},
		ReasonWord: "Why?", ReasonHint: "The ledger keeps your words and your name.",
	}, nil
}

// rollback makes the version before the champion the champion again.
func (b *board) rollback(w http.ResponseWriter, r *http.Request) error {
	ask := func() (*decisionView, error) { return b.rollbackQuestion(r) }
	act := func(ctx context.Context, reason string) (string, error) {
		return "?done=rolled-back", b.source.Rollback(ctx, reason)
	}
	return b.carryOut(w, r, decision{ask, act, "model rolled back", ""})
}

// retrainPage says what a retraining would do.
func (b *board) retrainPage(w http.ResponseWriter, r *http.Request) error {
	v, err := b.retrainQuestion(r)
	if err != nil {
		return err
	}
	return b.decide(w, r, http.StatusOK, v)
}

func (b *board) retrainQuestion(r *http.Request) (*decisionView, error) {
	if b.source.Retrain == nil {
		return nil, fmt.Errorf("retrain: this fleet cannot be retrained here: %w", drumbeat.ErrNotFound)
	}
	m, err := b.models(r.Context())
	if err != nil {
		return nil, err
	}
	v := &decisionView{
		Question: "Train a new version now?", Action: b.base + "/models/retrain", Send: "Train a new version",
		Consequences: []string{
			"The run labels what has happened since, fits a new model to it and measures it on days that it has not seen.",
			"Its result stands beside the champion as a challenger: it opens no alert until somebody promotes it.",
		},
		ReasonWord: "Why?", ReasonHint: "The run and the version that it makes keep your words and your name.",
	}
	if c := m.champion(); c != nil {
		v.Champion = c.Number
		v.Consequences = append(v.Consequences, fmt.Sprintf("Version %d goes on serving meanwhile.", c.Number))
	}
	if slices.ContainsFunc(m.Runs, Run.underWay) {
		v.Consequences = append(v.Consequences, "A retraining is under way already: no second one starts beside it.")
	}
	return v, nil
}

// retrain starts a retraining.
func (b *board) retrain(w http.ResponseWriter, r *http.Request) error {
	ask := func() (*decisionView, error) { return b.retrainQuestion(r) }
	act := func(ctx context.Context, reason string) (string, error) {
		run, err := b.source.Retrain(ctx, reason)
		return "?run=" + url.QueryEscape(run), err
	}
	return b.carryOut(w, r, decision{ask, act, "retraining asked for", ""})
}

// decision is something that an engineer can have done.
type decision struct {
	ask func() (*decisionView, error)
	// act does it and returns the query of the page that shows the result.
	act           func(ctx context.Context, reason string) (string, error)
	what, subject string // in the record of acts
}

// carryOut does what a form asks for, unless the reason is missing or another
// champion serves than the one that the engineer was shown.
func (b *board) carryOut(w http.ResponseWriter, r *http.Request, d decision) error {
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("read the form: %w: %w", err, drumbeat.ErrInvalid)
	}
	v, err := d.ask()
	if err != nil {
		return err
	}
	if seen := r.PostForm.Get("champion"); seen != strconv.Itoa(int(v.Champion)) {
		return fmt.Errorf("%s: version %d serves now, not the one that you were shown: %w", strings.ToLower(v.Send), v.Champion, drumbeat.ErrConflict)
	}
	reason := ""
	if v.ReasonWord != "" {
		reason = strings.TrimSpace(r.PostForm.Get("reason"))
		v.Reason = shortened(reason, maxReason)
		switch {
		case len(strings.Fields(reason)) < minWords:
			v.Trouble = fmt.Sprintf("Say why in at least %d words: who reads it in a year was not there.", minWords)
		case len(reason) > maxReason:
			v.Trouble = fmt.Sprintf("That is too long: at most %s bytes fit.", number(maxReason))
		}
		if v.Trouble != "" {
			return b.decide(w, r, http.StatusUnprocessableEntity, v)
		}
	}
	query, err := d.act(r.Context(), reason)
	if errors.Is(err, drumbeat.ErrInvalid) {
		v.Trouble = sentence(err)
		return b.decide(w, r, http.StatusUnprocessableEntity, v)
	}
	if err != nil {
		return err
	}
	act := access.Act{
		By: access.PersonOf(r.Context()), What: d.what, Subject: string(b.source.Fleet.Name) + "/" + d.subject, Detail: reason,
	}
	if err := b.opt.Access.Record(r.Context(), act); err != nil {
		b.opt.Log.ErrorContext(r.Context(), "done, but not in the record of acts", "act", d.what, "error", err)
	}
	http.Redirect(w, r, b.base+"/models"+query, http.StatusSeeOther)
	return nil
}

// decide shows a question.
func (b *board) decide(w http.ResponseWriter, r *http.Request, status int, v *decisionView) error {
	return b.show(w, r, status, "decide", &page{Title: v.Question, Here: "models", Follow: true, Rest: never, Main: v})
}

// never is the rest of a page that must not change under a hand that writes.
const never = -1
