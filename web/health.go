package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

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

// Drift is a report of what has moved since the champion's data (M4).
type Drift struct {
	MadeAt drumbeat.Time // by the fleet's clock
	// ReferenceFrom and ReferenceUntil span the days that later days are
	// compared with: [from, until).
	ReferenceFrom, ReferenceUntil drumbeat.Time
	// TooShort says what the reference lacks, "" if it suffices.
	TooShort string
	Sentence string
	// Sigma is how many standard deviations of the reference's daily means a
	// day may lie off.
	Sigma       float64
	Sensors     []SensorDrift
	Features    []FeatureDrift
	Predictions FeatureDrift // Name and MadeOf are ""
}

// SensorDrift is whether one sensor has moved.
type SensorDrift struct {
	Name    string // as the fleet's Sensors have it
	Flagged bool
	Since   drumbeat.Time // the first of the days, NoTime unless flagged
	Shift   float64       // in the sensor's unit; NaN is unknown
	Effect  float64       // in spreads between machines; NaN is unknown
	// Weekday and Weekend are what days of each type are compared with.
	Weekday, Weekend Reference
	Days             []DayMean // oldest first
	Sentence         string
}

// Reference is the daily means of the reference's days of one type; NaN is
// unknown.
type Reference struct {
	Mean, SD float64
	Days     int
}

// DayMean is the fleet's mean over one UTC day; NaN is missing.
type DayMean struct {
	Day  drumbeat.Time // its start
	Mean float64
}

// Level is how much a distribution has moved.
type Level string

// The levels of the population stability index (M4): slight from 0.1,
// significant from 0.25.
const (
	LevelNone        Level = "none"
	LevelSlight      Level = "slight"
	LevelSignificant Level = "significant"
	LevelUnknown     Level = "unknown" // too little data
)

// FeatureDrift is whether one served feature has moved.
type FeatureDrift struct {
	Name     string
	MadeOf   []string // the sensors that it is made of
	PSI      float64  // population stability index; NaN is unknown
	Level    Level
	Effect   float64 // difference of means in standard deviations; NaN is unknown
	Sentence string
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
	Immature       int // failures and alerts that cannot be judged yet
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

// sensorLine is a sensor's drift with its title and unit.
type sensorLine struct {
	*SensorDrift
	Sensor Sensor
}

// Sign is whether the sensor has moved.
func (l sensorLine) Sign() sign {
	switch {
	case l.Flagged:
		return sign{signWarn, "Has moved", ""}
	case math.IsNaN(l.Shift):
		return sign{signUnknown, "Cannot be judged", ""}
	}
	return sign{signGood, "As usual", ""}
}

// ShiftText is the shift in the sensor's unit, with its sign.
func (l sensorLine) ShiftText() string { return unitText(signed(l.Shift), l.Sensor.Unit) }

// Usual is the reference's mean on the days of a type.
func (l sensorLine) Usual(r Reference) string {
	return unitText(figure(r.Mean), l.Sensor.Unit)
}

// Sign is how far a feature has moved.
func (f FeatureDrift) Sign() sign {
	switch f.Level {
	case LevelNone:
		return sign{signGood, "As usual", ""}
	case LevelSlight:
		return sign{signRunning, "Slightly moved", ""}
	case LevelSignificant:
		return sign{signWarn, "Moved", ""}
	case LevelUnknown:
	}
	return sign{signUnknown, "Cannot be judged", ""}
}

// Of names the sensors that a feature is made of.
func (f FeatureDrift) Of() string { return strings.Join(f.MadeOf, ", ") }

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

// driftView fills in what the newest report says.
func (b *board) driftView(v *healthView, d *Drift) error {
	if d == nil {
		return nil
	}
	for i := range d.Sensors {
		v.Sensors = append(v.Sensors, sensorLine{&d.Sensors[i], b.sensor(d.Sensors[i].Name)})
	}
	slices.SortStableFunc(v.Sensors, func(x, y sensorLine) int { return flagOrder(x.Flagged, y.Flagged) })
	v.Features = slices.Clone(d.Features)
	for i := range v.Features {
		f := &v.Features[i]
		f.MadeOf = slices.Clone(f.MadeOf)
		for j, name := range f.MadeOf {
			f.MadeOf[j] = b.sensor(name).Title
		}
	}
	slices.SortStableFunc(v.Features, func(x, y FeatureDrift) int {
		return cmp.Or(cmp.Compare(x.Level.order(), y.Level.order()), -cmp.Compare(x.PSI, y.PSI))
	})
	if d.Predictions.Level != "" {
		v.Features = slices.Insert(v.Features, 0, d.Predictions)
	}
	if n := len(v.Sensors) - maxSensors; n > 0 {
		v.Sensors, v.MoreSensors = v.Sensors[:maxSensors], n
	}
	if n := len(v.Features) - maxFeatures; n > 0 {
		v.Features, v.MoreFeatures = v.Features[:maxFeatures], n
	}
	var plots []plot
	for _, line := range v.Sensors[:min(len(v.Sensors), maxPlots)] {
		if len(line.Days) > 0 {
			plots = append(plots, driftPlot(line, d.Sigma))
			v.PlotNames = append(v.PlotNames, line.Sensor.Title)
		}
	}
	var err error
	v.Plots, err = plotData(plots)
	return err
}

func flagOrder(x, y bool) int {
	switch {
	case x == y:
		return 0
	case x:
		return -1
	}
	return 1
}

// order puts what has moved most first.
func (l Level) order() int {
	return slices.Index([]Level{LevelSignificant, LevelSlight, LevelUnknown, LevelNone}, l)
}

// sensor is the fleet's sensor of a name, or one that is named only.
func (b *board) sensor(name string) Sensor {
	for _, s := range b.source.Fleet.Sensors {
		if s.Name == name {
			if s.Title == "" {
				s.Title = s.Name
			}
			return s
		}
	}
	return Sensor{Name: name, Title: name, Decimals: 2}
}

// driftPlot is a sensor's daily means with the band that each may lie in.
func driftPlot(line sensorLine, sigma float64) plot {
	p := plot{
		Name: line.Sensor.Title, Title: line.Sensor.Title, Unit: line.Sensor.Unit, Decimals: max(2, min(line.Sensor.Decimals, 3)), // a mean has more than a reading
		Summary: line.Sentence,
	}
	if line.Flagged && line.Since != drumbeat.NoTime {
		p.Since = seconds(line.Since)
	}
	days := line.Days
	if len(days) > maxPlotDays {
		days = days[len(days)-maxPlotDays:]
	}
	for _, day := range days {
		usual := line.Weekday
		if weekend(day.Day) {
			usual = line.Weekend
		}
		p.Times = append(p.Times, daySeconds(day.Day))
		p.Values = append(p.Values, orNull(day.Mean))
		p.Low = append(p.Low, orNull(usual.Mean-sigma*usual.SD))
		p.High = append(p.High, orNull(usual.Mean+sigma*usual.SD))
	}
	if p.Summary == "" && len(days) > 0 {
		newest := days[len(days)-1]
		p.Summary = fmt.Sprintf("%s: the fleet's mean on %s was %s.", line.Sensor.Title, plainDate(newest.Day),
			unitText(decimals(newest.Mean, p.Decimals), p.Unit))
	}
	return p
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
		{"Too young", "failures and alerts that cannot be judged yet", l.Immature},
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
