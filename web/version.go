package web

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"drumbeat"
)

// Estimate is a figure with its 95 % interval; NaN is what cannot be
// estimated.
type Estimate struct {
	Value, Low, High float64
}

// Share is K of N with its 95 % interval. N of 0 is no evidence.
type Share struct {
	K, N      int
	Low, High float64
}

// Version is a registered model version: what it is, and how good it was on
// data that it had not seen.
type Version struct {
	Number drumbeat.ModelVersion
	// Role is where an alias stands: champion, challenger, challenger-2, …;
	// "" is none.
	Role drumbeat.Role
	// Former says that it was the champion once.
	Former bool

	TrainedAt   drumbeat.Time // by the fleet's clock (T6)
	TrainedWall drumbeat.Time
	Who         string
	Why         string // the reason of its run, in words

	Horizon   time.Duration
	Threshold float64
	Hash      drumbeat.Hash // of its view (P5)

	Measures Measures
	Gate     *Gate   // nil when it was not judged
	Shadow   *Shadow // nil when it does not score beside the champion
}

// Measures are those of the test rows, or of live operation (M1).
type Measures struct {
	BaseRate Estimate // share of rows before a failure: the PR-AUC of guessing
	PRAUC    Estimate
	// By event. A recall is nothing without what follows it.
	Recall             Share
	RecallWithRepaired Share    // repairs of faults count like failures (L3)
	Precision          Share    // of alerts
	FalseAlarms        Estimate // per machine and week
	AlertsPerWeek      float64  // of the whole fleet
	LeadHours          Estimate // the median
	// ShuffledROCAUC is what the same fit reaches on labels in random order:
	// 0.5 unless something leaks. NaN when it was not tried.
	ShuffledROCAUC float64
}

// Gate is what a challenger had to prove (M5).
type Gate struct {
	Passed   bool
	JudgedAt drumbeat.Time // by the fleet's clock
	Sentence string
	Rows     []GateRow
}

// GateRow is one demand of the gate. Texts are for people: "at least 99 %".
type GateRow struct {
	Name            string // enough_failures, event_recall, …, or in words
	Asked, Measured string
	Bound           string // the lower bound, "" where there is none
	OK              bool
	Missing         string // the evidence that is missing, "" if none is
}

// Shadow compares a challenger with the champion on the readings that both
// scored.
type Shadow struct {
	From, Until drumbeat.Time
	Rows        int // that both scored
	OnlyOne     int // rows that only one of them scored
	// Both, neither and one of them above the threshold: rows.
	BothAbove, NeitherAbove, OnlyChampionAbove, OnlyChallengerAbove int

	ChampionAlerts, ChallengerAlerts       int
	ChampionPrecision, ChallengerPrecision Share // of those that can be judged by now
	// Of the failures that can be judged by now.
	CaughtByBoth, CaughtByChampion, CaughtByChallenger, CaughtByNone int
	Sentence                                                         string
}

// Report is a version's report: how good it was when it was trained, with what
// it is to be compared with.
type Report struct {
	Version Version
	Split   []Span // train, validation, test, in order of time
	Gap     time.Duration

	ROCAUC            Estimate
	ShuffledPRAUC     float64 // NaN when it was not tried
	BestFeature       string  // the one that ranks best alone
	BestFeaturePRAUC  float64
	AlwaysPrecision   float64 // of alarming always
	AlwaysFalseAlarms float64

	// By event.
	Machines                                       int
	MachineWeeks                                   float64
	Unobservable                                   int // failures that nobody could have seen coming
	Alerts, TrueAlerts, FalseAlerts, UnknownAlerts int
	Failures                                       []Failure

	Price    string // what the threshold catches and costs, a sentence (M2)
	Warnings []string
	Manifest []byte // JSON
}

// Span is a stretch of time of the data, [From, Until).
type Span struct {
	Name        string // train, validation, test
	From, Until drumbeat.Time
	Rows        int
	Positive    int // before a failure
	Unknown     int // left out
}

// Failure is one failure of the test time.
type Failure struct {
	Machine drumbeat.MachineID
	At      drumbeat.Time
	// Result is caught, missed or unobservable.
	Result string
	Lead   time.Duration // from the first alarm, if it was caught
	Best   float64       // the greatest probability in its time of warning, NaN without one
}

// fact is a figure with what it means and what it rests on.
type fact struct {
	Name, Value string
	Unit        string // or what the figure is called in the field
	Detail      string // its evidence
}

// live and offline measures differ in what there is to say of them.
const (
	offline = false
	live    = true
)

// facts are the figures of a model, in one order everywhere. A recall never
// stands without its precision and its alert load.
func facts(m *Measures, inOperation bool) []fact {
	recall := m.Recall.Evidence()
	if with := m.RecallWithRepaired; with.N > m.Recall.N {
		recall += fmt.Sprintf("; with faults repaired in time: %s of %s", number(with.K), number(with.N))
	}
	list := []fact{
		{"Failures foretold", m.Recall.Text(), "recall", recall},
		{"Alerts that were right", m.Precision.Text(), "precision", m.Precision.Evidence()},
		{"False alarms", m.FalseAlarms.Text(), "per machine and week", m.FalseAlarms.Range()},
		{"Alerts", figure(m.AlertsPerWeek), "a week, the whole fleet", ""},
		{"Time to act", ahead(m.LeadHours.Value), "for half of them or more", m.leadRange()},
	}
	if inOperation {
		return list
	}
	guess := ""
	if !math.IsNaN(m.BaseRate.Value) {
		guess = "guessing reaches " + figure(m.BaseRate.Value)
	}
	control := fact{"Control", figure(m.ShuffledROCAUC), "ROC-AUC, labels shuffled", "0.5 is due: then nothing leaks"}
	if math.IsNaN(m.ShuffledROCAUC) {
		control.Detail = "not tried"
	}
	return append(list, fact{"Ranking", m.PRAUC.Text(), "PR-AUC, 1 is perfect", joined(m.PRAUC.Range(), guess)}, control)
}

func (m *Measures) leadRange() string {
	if l := m.LeadHours; !math.IsNaN(l.Low) && !math.IsNaN(l.High) {
		return "likely " + ahead(l.Low) + " to " + ahead(l.High)
	}
	return ""
}

// joined joins what is not empty.
func joined(parts ...string) string {
	text := ""
	for _, part := range parts {
		if text != "" && part != "" {
			text += "; "
		}
		text += part
	}
	return text
}

// proofView is a version's gate and shadow comparison.
type proofView struct {
	Number drumbeat.ModelVersion
	Gate   *Gate
	Sign   sign
	Shadow *Shadow
}

func proofOf(v *Version) proofView {
	p := proofView{v.Number, v.Gate, sign{signUnknown, "Not judged yet", ""}, v.Shadow}
	switch {
	case v.Gate == nil:
	case v.Gate.Passed:
		p.Sign = sign{signGood, "Passed the gate", ""}
	default:
		failed := 0
		for i := range v.Gate.Rows {
			if !v.Gate.Rows[i].OK {
				failed++
			}
		}
		p.Sign = sign{signRefused, "Refused by the gate", fmt.Sprintf("%d of %d demands not met", failed, len(v.Gate.Rows))}
	}
	return p
}

// Sign is whether a demand is met.
func (r GateRow) Sign() sign {
	if r.OK {
		return sign{signGood, "Met", ""}
	}
	return sign{signRefused, "Not met", ""}
}

// Title names a demand in words.
func (r GateRow) Title() string {
	switch r.Name {
	case "enough_failures":
		return "Enough failures"
	case "event_recall":
		return "Failures foretold"
	case "not_worse_than_champion":
		return "Not worse than the champion"
	case "precision":
		return "Alerts that were right"
	case "false_alarms":
		return "False alarms"
	case "better_than_always":
		return "Better than alarming always"
	}
	return words(r.Name)
}

// Lack is the evidence that is missing: a demand that is not met though none
// is missing has been answered.
func (r GateRow) Lack() string {
	switch {
	case r.Missing != "":
		return r.Missing
	case r.OK:
		return "none"
	}
	return "none: this is the answer"
}

// Agreement is the share of rows on which both say the same.
func (s *Shadow) Agreement() float64 { return rate(int64(s.BothAbove+s.NeitherAbove), int64(s.Rows)) }

// Failures is how many failures the comparison rests on.
func (s *Shadow) Failures() int {
	return s.CaughtByBoth + s.CaughtByChampion + s.CaughtByChallenger + s.CaughtByNone
}

// versionView is a version's own page.
type versionView struct {
	*Report
	Facts      []fact
	Proof      proofView
	Timeline   []stretch
	Shown      []Failure
	More       int // failures that are not listed
	Manifest   string
	CanPromote bool
}

// stretch is a part of the drawn timeline, in thousandths of its width.
type stretch struct {
	Name     string // "gap" between the others
	X, Width int
}

// maxFailures is how many failures of a report are listed.
const maxFailures = 100

// versionOf reads the version that a path names.
func versionOf(r *http.Request) (drumbeat.ModelVersion, error) {
	n, err := strconv.Atoi(r.PathValue("version"))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("open version %q: versions count from 1: %w",
			shortened(r.PathValue("version"), maxSearch), drumbeat.ErrNotFound)
	}
	return drumbeat.ModelVersion(n), nil
}

// versionPage shows a version's report.
func (b *board) versionPage(w http.ResponseWriter, r *http.Request) error {
	n, err := versionOf(r)
	if err != nil {
		return err
	}
	if b.source.Report == nil {
		return fmt.Errorf("open version %d: this fleet has no reports: %w", n, drumbeat.ErrNotFound)
	}
	report, err := b.source.Report(r.Context(), n)
	if err != nil {
		return err
	}
	v := &versionView{
		Report: &report, Facts: facts(&report.Version.Measures, offline), Proof: proofOf(&report.Version),
		Timeline: timeline(report.Split), Shown: report.Failures, Manifest: pretty(report.Manifest, maxManifest),
		CanPromote: b.mayPromote(r) && report.Version.Role != drumbeat.RoleChampion,
	}
	if len(v.Shown) > maxFailures {
		v.Shown, v.More = v.Shown[:maxFailures], len(v.Shown)-maxFailures
	}
	title := "Version " + strconv.Itoa(int(n))
	return b.show(w, r, http.StatusOK, "version", &page{Title: title, Here: "models", Follow: true, Rest: modelsRest, Main: v})
}

// timeline draws the parts of a split and the gaps between them to scale.
func timeline(split []Span) []stretch {
	if len(split) == 0 {
		return nil
	}
	spans := slices.Clone(split)
	slices.SortFunc(spans, func(x, y Span) int { return int(min(1, max(-1, x.From-y.From))) })
	from, whole := spans[0].From, float64(spans[len(spans)-1].Until-spans[0].From)
	if whole <= 0 {
		return nil
	}
	at := func(t drumbeat.Time) int { return int(math.Round(max(0, min(1, float64(t-from)/whole)) * 1000)) }
	var list []stretch
	for i := range spans {
		x := at(spans[i].From)
		if i > 0 {
			if before := at(spans[i-1].Until); x > before {
				list = append(list, stretch{"gap", before, x - before})
			}
		}
		list = append(list, stretch{spans[i].Name, x, max(2, at(spans[i].Until)-x)})
	}
	return list
}

// Use says what a part is for.
func (s Span) Use() string {
	switch s.Name {
	case "train":
		return "learnt from"
	case "validation":
		return "tuned on"
	case "test":
		return "measured on"
	}
	return ""
}

// Share is the rows before a failure among those that count.
func (s Span) Share() float64 { return rate(int64(s.Positive), int64(s.Rows)) }

// Sign is what became of a failure.
func (f Failure) Sign() sign {
	switch f.Result {
	case "caught":
		return sign{signGood, "Foretold", ""}
	case "missed":
		return sign{signRefused, "Missed", ""}
	}
	return sign{signUnknown, "Could not be seen", ""}
}

// Ahead is how long before the failure the first alarm was.
func (f Failure) Ahead() string {
	if f.Result != "caught" {
		return unknown
	}
	return length(f.Lead)
}
