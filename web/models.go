package web

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"drumbeat"
	"drumbeat/access"
)

// Models is a fleet's model versions and what became of them.
type Models struct {
	Versions []Version // in any order
	// Previous is the version that a rollback would bring back, 0 for none.
	Previous drumbeat.ModelVersion
	Ledger   []LedgerRow // newest first
	Runs     []Run       // newest first
	// NextRetrain is when the schedule asks for the next retraining, by the
	// fleet's clock; NoTime without a schedule.
	NextRetrain drumbeat.Time
}

// LedgerRow is one move of an alias.
type LedgerRow struct {
	Seq       int64
	Alias     drumbeat.Role
	From, To  drumbeat.ModelVersion // 0 is none
	Who, Why  string
	Proof     string // what it rests on, text or JSON
	WhenFleet drumbeat.Time
	WhenWall  drumbeat.Time
}

// RunState says how a run or a step stands.
type RunState string

// The states of a run and of its steps.
const (
	RunWaiting RunState = "waiting"
	RunRunning RunState = "running"
	RunDone    RunState = "done"
	RunFailed  RunState = "failed"
)

// Run is one run of the retraining pipeline.
type Run struct {
	ID        string
	Reason    string // in words
	Who       string
	State     RunState
	WhenFleet drumbeat.Time // asked for
	WhenWall  drumbeat.Time
	Steps     []RunStep
	Error     string                // a sentence, "" without one
	Version   drumbeat.ModelVersion // that it made, 0 for none yet
}

// RunStep is one step of a run.
type RunStep struct {
	Name    string
	State   RunState
	Seconds float64
}

// models asks the source; without an answer there are none.
func (b *board) models(ctx context.Context) (Models, error) {
	if b.source.Models == nil {
		return Models{NextRetrain: drumbeat.NoTime}, nil
	}
	m, err := b.source.Models(ctx)
	if err != nil {
		return Models{}, fmt.Errorf("list the models: %w", err)
	}
	return m, nil
}

// modelsView is the page of models.
type modelsView struct {
	Models      *Models
	Champion    *Version // nil without one
	Facts       []fact   // about it
	Challengers []challengerView
	Versions    []Version // newest first
	More        int       // older ones that are not listed
	Said        string    // what was just done, "" for nothing
	Running     bool      // a retraining runs

	CanPromote, CanRollBack, CanRetrain bool
}

// challengerView is a challenger with its proof.
type challengerView struct {
	*Version
	Facts []fact
	Proof proofView
}

// Bounds of what is listed: nobody reads more, and the API has the rest.
const (
	maxVersions = 50
	maxLedger   = 100
	maxRuns     = 20
	// modelsRest is how often the page of models renews itself, in seconds.
	modelsRest = 5
)

// modelsPage shows which model serves, what challenges it, and how that came.
func (b *board) modelsPage(w http.ResponseWriter, r *http.Request) error {
	m, err := b.models(r.Context())
	if err != nil {
		return err
	}
	v := &modelsView{Models: &m, Champion: m.champion(), Versions: slices.Clone(m.Versions), Said: b.said(r, &m)}
	if v.Champion != nil {
		v.Facts = facts(&v.Champion.Measures, offline)
	}
	for _, c := range m.challengers() {
		v.Challengers = append(v.Challengers, challengerView{c, facts(&c.Measures, offline), proofOf(c)})
	}
	slices.SortFunc(v.Versions, func(x, y Version) int { return cmp.Compare(y.Number, x.Number) })
	if len(v.Versions) > maxVersions {
		v.Versions, v.More = v.Versions[:maxVersions], len(v.Versions)-maxVersions
	}
	m.Ledger = m.Ledger[:min(len(m.Ledger), maxLedger)]
	m.Runs = m.Runs[:min(len(m.Runs), maxRuns)]
	v.Running = slices.ContainsFunc(m.Runs, Run.underWay)
	engineer := access.PersonOf(r.Context()).Role.May(access.Engineer)
	v.CanPromote = engineer && b.source.Promote != nil
	v.CanRollBack = engineer && b.source.Rollback != nil && m.Previous > 0
	v.CanRetrain = engineer && b.source.Retrain != nil
	return b.show(w, r, http.StatusOK, "models", &page{Title: "Models", Here: "models", Follow: true, Rest: modelsRest, Main: v})
}

// said is what the page says of an action that led to it. The address only
// names the action; what it says of it is looked up.
func (b *board) said(r *http.Request, m *Models) string {
	champion := m.champion()
	switch done := r.URL.Query(); {
	case done.Get("done") == "promoted" && champion != nil:
		return fmt.Sprintf("Done: version %d serves now.", champion.Number)
	case done.Get("done") == "rolled-back" && champion != nil:
		return fmt.Sprintf("Done: version %d serves again.", champion.Number)
	case done.Get("run") != "":
		i := slices.IndexFunc(m.Runs, func(run Run) bool { return run.ID == done.Get("run") })
		if i < 0 {
			return "The retraining was asked for; it appears below as soon as it starts."
		}
		return "The retraining was asked for: see its steps below."
	}
	return ""
}

// underWay says whether a run is not over.
func (r Run) underWay() bool { return r.State == RunRunning || r.State == RunWaiting }

// Sign is how a run stands.
func (r Run) Sign() sign { return sign{r.State.kind(), r.State.word(), ""} }

// Sign is how a step stands.
func (s RunStep) Sign() sign {
	detail := ""
	if s.State != RunWaiting && s.Seconds > 0 {
		detail = lasted(s.Seconds)
	}
	return sign{s.State.kind(), s.Name, detail}
}

func (s RunState) kind() signKind {
	switch s {
	case RunDone:
		return signGood
	case RunFailed:
		return signRefused
	case RunRunning:
		return signRunning
	case RunWaiting:
	}
	return signWaiting
}

func (s RunState) word() string {
	switch s {
	case RunDone:
		return "Done"
	case RunFailed:
		return "Failed"
	case RunRunning:
		return "Running"
	case RunWaiting:
		return "Waiting"
	}
	return string(s)
}

// What says what a move of an alias did.
func (l LedgerRow) What() string {
	role := strings.ToLower(roleWord(l.Alias))
	switch {
	case l.To == 0:
		return fmt.Sprintf("Version %d is no longer %s", l.From, role)
	case l.From == 0:
		return fmt.Sprintf("Version %d becomes %s", l.To, role)
	}
	return fmt.Sprintf("Version %d becomes %s, after version %d", l.To, role, l.From)
}

// ProofText is the proof as people can read it, shortened.
func (l LedgerRow) ProofText() string { return pretty([]byte(l.Proof), maxProof) }

const (
	maxProof    = 6_000  // of a ledger's row, in bytes
	maxManifest = 60_000 // in bytes
)

// pretty indents text that is JSON, and cuts what is longer than most.
func pretty(text []byte, most int) string {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") == nil {
		text = out.Bytes()
	}
	if len(text) <= most {
		return string(text)
	}
	return strings.ToValidUTF8(string(text[:most]), "") + "\n… shortened: the API has all of it."
}

// roleWord names the part that a version plays.
func roleWord(role drumbeat.Role) string {
	text := strings.ReplaceAll(string(role), "-", " ")
	if text == "" {
		return "Registered"
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// RoleSign is the part that a version plays, or played.
func (v *Version) RoleSign() sign {
	switch {
	case v.Role == drumbeat.RoleChampion:
		return sign{signGood, "Champion", ""}
	case v.Role != "":
		return sign{signRunning, roleWord(v.Role), ""}
	case v.Former:
		return sign{signOff, "Former champion", ""}
	}
	return sign{signOff, "Registered", ""}
}
