package web

import (
	"context"
	"fmt"
	"net/http"

	"drumbeat"
)

// Health is whether the champion still fits the fleet: whether what the
// sensors say has moved, and how well it foretells.
type Health struct {
	Drift *Drift // the newest report, nil before the first
	Live  *Live  // nil before the first
	// NextMonitor and NextRetrain are when the schedules ask next, by the
	// fleet's clock; NoTime without a schedule.
	NextMonitor, NextRetrain drumbeat.Time
	Triggers                 []Trigger // newest first
}

// Status is how the champion does in live operation (M4).
type Status string

// The statuses, best first; unknown is neither.
const (
	StatusHealthy Status = "healthy"
	StatusWatch   Status = "watch"
	StatusWarn    Status = "warn"
	StatusRetrain Status = "retrain"
	StatusUnknown Status = "unknown"
)

// Live is how well the champion foretold the failures that can be judged by
// now (M3).
type Live struct {
	MadeAt      drumbeat.Time // by the fleet's clock
	From, Until drumbeat.Time // the failures that count: [from, until)
	Status      Status
	Sentence    string
	Measures    Measures // PRAUC, BaseRate and ShuffledROCAUC are not asked for

	// RetrainBelow, WarnBelow and HealthyAbove are the policy's bounds of the
	// recall; 0 where there is none.
	RetrainBelow, WarnBelow, HealthyAbove float64

	Caught, Missed int
	Immature       int // failures that cannot be judged yet
	Unknown        int // alerts of which nobody can say whether they were right
	Unobservable   int // failures of machines that said nothing
}

// Trigger is a reason for retraining that was seen.
type Trigger struct {
	Kind     string // data_drift, concept_drift, schedule, person
	Subject  string // the sensor, the version
	Since    drumbeat.Time
	Sentence string
	Run      string // the run that it started, "" for none
}

// health asks the source; without an answer nothing is known.
func (b *board) health(ctx context.Context) (Health, error) {
	if b.source.Health == nil {
		return Health{NextMonitor: drumbeat.NoTime, NextRetrain: drumbeat.NoTime}, nil
	}
	h, err := b.source.Health(ctx)
	if err != nil {
		return Health{}, fmt.Errorf("read the health of the model: %w", err)
	}
	return h, nil
}

// healthView is the page of the model's health.
type healthView struct {
	Health          *Health
	Headline, Under string
	LiveSign        sign
	DriftSign       sign
	Facts           []fact // of live operation, nil before the first measure
	Scale           *scaleView
	Counts          []countLine
	Sensors         []sensorLine // flagged first
	Features        []FeatureDrift
	MoreSensors     int // that are not listed
	MoreFeatures    int
	Plots           string
	PlotNames       []string
	Triggers        []Trigger
}

// scaleView draws a recall with its interval against the policy's bounds, in
// thousandths.
type scaleView struct {
	At, Low, High int
	Marks         []scaleMark
}

type scaleMark struct {
	At   int
	Text string
}

// countLine is a count with what it means.
type countLine struct {
	Name, Means string
	N           int
}

const (
	maxSensors  = 200
	maxFeatures = 100
	maxTriggers = 20
	// healthRest is how often the page renews itself, in seconds: its reports
	// are made once a day.
	healthRest = 60
)

// healthPage shows whether the champion still fits its fleet.
func (b *board) healthPage(w http.ResponseWriter, r *http.Request) error {
	h, err := b.health(r.Context())
	if err != nil {
		return err
	}
	v := &healthView{
		Health: &h, LiveSign: liveSign(h.Live), DriftSign: driftSign(h.Drift), Triggers: h.Triggers[:min(len(h.Triggers), maxTriggers)],
	}
	if l := h.Live; l != nil {
		v.Facts, v.Scale, v.Counts = facts(&l.Measures, live), scale(l), counts(l)
	}
	if err := b.driftView(v, h.Drift); err != nil {
		return err
	}
	if h.Live != nil && h.Live.Sentence != "" {
		v.LiveSign.Detail = "" // the sentence says it
	}
	if h.Drift != nil && h.Drift.Sentence != "" {
		v.DriftSign.Detail = ""
	}
	v.Headline, v.Under = healthHeadline(&h)
	return b.show(w, r, http.StatusOK, "health", &page{Title: v.Headline, Here: "health", Follow: true, Rest: healthRest, Main: v})
}

// scale draws the recall, nil where there is none.
func scale(l *Live) *scaleView {
	recall := &l.Measures.Recall
	if recall.N == 0 {
		return nil
	}
	v := &scaleView{At: permille(recall.Value()), Low: permille(recall.Low), High: permille(recall.High)}
	for _, mark := range []struct {
		at   float64
		text string
	}{
		{l.RetrainBelow, "retrain below"}, {l.WarnBelow, "warn below"}, {l.HealthyAbove, "healthy above"},
	} {
		if mark.at > 0 {
			v.Marks = append(v.Marks, scaleMark{permille(mark.at), mark.text + " " + share(mark.at)})
		}
	}
	return v
}

// counts say which failures and alerts the recall rests on, and which not.
func counts(l *Live) []countLine {
	return []countLine{
		{"Foretold", "failures with an alert in time", l.Caught},
		{"Missed", "failures without one", l.Missed},
		{"Too young", "failures that cannot be judged yet", l.Immature},
		{"Unclear", "alerts of which nobody can say whether they were right", l.Unknown},
		{"Unseen", "failures of machines that sent nothing; not counted", l.Unobservable},
	}
}

// healthHeadline says in a sentence whether the model still fits.
func healthHeadline(h *Health) (first, second string) {
	var moved []*SensorDrift
	if h.Drift != nil {
		moved = h.Drift.flagged()
	}
	foretold := liveSign(h.Live)
	switch {
	case h.Drift == nil && h.Live == nil:
		first = "Not looked at yet"
		second = "The first report is made at the end of the first whole day after a model serves."
		if h.NextMonitor != drumbeat.NoTime {
			second = fmt.Sprintf("The first report is due on %s, %s by the fleet's clock.", plainDate(h.NextMonitor), clock(h.NextMonitor))
		}
		return first, second
	case h.Live != nil && h.Live.Status == StatusRetrain:
		first, second = "The model misses too much", "Retrain it, or roll back: the page of models shows what there is."
	case len(moved) > 0:
		first = count(len(moved), "sensor has moved", "sensors have moved")
		second = "Find out why: a new setting, another sensor, the season? A retraining teaches the model what is usual now."
	case h.Live != nil && h.Live.Status == StatusWarn:
		first, second = "The model misses more than it should", "If it goes on, a retraining starts by itself."
	case h.Live == nil || h.Live.Status == StatusUnknown:
		first, second = "No drift; too few failures to judge", "It takes failures to judge a model. Until there are enough, the sensors are all there is to go by."
		if h.Drift == nil || h.Drift.TooShort != "" {
			first = "Too early to judge"
		}
	default:
		first, second = "The model fits", "The sensors say what they said, and failures are foretold: "+foretold.Detail+"."
	}
	return first, second
}
