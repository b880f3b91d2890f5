package monitor

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/registry"
)

// DriftInput is what drift is judged from.
type DriftInput struct {
	Fleet *fleet.Fleet
	Days  *Days
	// Reference is the time that later days are compared with; see ReferenceOf.
	// Only whole UTC days of it count.
	Reference registry.TimeSpan
	Now       drumbeat.Time // fleet_now (T6)
	// Begun is when the fleet's history begins, which bounds how old an event
	// can be; at 0 or below it is the first of Days.
	Begun drumbeat.Time

	// View and Vectors are of the champion; without both, only sensors are
	// judged.
	View    *feature.View
	Vectors Scan
	// Score says the champion's calibrated probability of a vector in the
	// view's order; nil leaves the predictions out. It is asked of the same rows
	// of both times, so what differs is the rows and not the model.
	Score func(values []float64) float64
}

// ReferenceOf returns the reference of a champion (M4): the policy's
// drift_reference before the end of the data that it was tested on, by whole
// UTC days.
func ReferenceOf(m *registry.Manifest, p *fleet.Policy) (registry.TimeSpan, error) {
	test, ok := m.Split["test"]
	if !ok || test.Until <= 0 {
		return registry.TimeSpan{}, fmt.Errorf("find the reference of drift: the champion's manifest does not say when "+
			"its test data ends; train a new version: %w", drumbeat.ErrInvalid)
	}
	until := startOf(dayOf(test.Until))
	return registry.TimeSpan{From: until.Add(-p.DriftReference), Until: until}, nil
}

// DriftReport says what has moved since the reference (M4).
type DriftReport struct {
	Fleet     drumbeat.FleetName `json:"fleet"`
	View      string             `json:"view,omitempty"`
	Hash      drumbeat.Hash      `json:"view_hash,omitempty"`
	FleetNow  drumbeat.Time      `json:"fleet_now"`
	Reference registry.TimeSpan  `json:"reference"` // whole days
	Current   registry.TimeSpan  `json:"current"`   // the last complete week
	Sigma     Number             `json:"drift_sigma"`

	Sensors     []SensorDrift  `json:"sensors"`
	Features    []FeatureDrift `json:"features"`
	Predictions *FeatureDrift  `json:"predictions"`

	Flagged Flagged `json:"flagged"`
	// Triggers ask for a retraining: one for each sensor that drifts.
	Triggers  []Trigger `json:"triggers"`
	Sentences []string  `json:"sentences"` // for people
}

// Flagged names what has moved: sensors by M4, features and predictions with a
// significant PSI that is beyond what a week makes by itself.
type Flagged struct {
	Sensors     []string `json:"sensors"`
	Features    []string `json:"features"`
	Predictions bool     `json:"predictions"`
}

// Drift compares the complete days up to now with the reference. A reference
// that is too short is no error: the report says what is missing.
func Drift(ctx context.Context, in DriftInput) (*DriftReport, error) {
	reference := period{dayOf(in.Reference.From-1) + 1, dayOf(in.Reference.Until)}
	today := dayOf(in.Now)
	current := period{today - recentDays, today}
	if in.Now == drumbeat.NoTime || reference.from >= reference.until || in.Reference.Until > in.Now {
		return nil, fmt.Errorf("judge drift: the reference from %s to %s must be a day or more, and before %s: %w",
			in.Reference.From, in.Reference.Until, in.Now, drumbeat.ErrInvalid)
	}
	r := &DriftReport{
		Fleet: in.Fleet.Name, FleetNow: in.Now, Sigma: Number(in.Fleet.Policy.DriftSigma),
		Reference: registry.TimeSpan{From: startOf(reference.from), Until: startOf(reference.until)},
		Current:   registry.TimeSpan{From: startOf(current.from), Until: startOf(current.until)},
		Sensors:   []SensorDrift{}, Features: []FeatureDrift{}, Triggers: []Trigger{}, Sentences: []string{},
		Flagged: Flagged{Sensors: []string{}, Features: []string{}},
	}
	for i := range in.Fleet.Sensors {
		r.sensor(&in, i, reference, today)
	}
	if in.View != nil && in.Vectors != nil {
		if err := r.features(ctx, &in, reference, current); err != nil {
			return nil, fmt.Errorf("judge drift: %w", err)
		}
	}
	r.tell()
	return r, nil
}

// sensor judges one sensor.
func (r *DriftReport) sensor(in *DriftInput, at int, reference period, today int64) {
	f := &in.Fleet.Sensors[at]
	s := SensorDrift{Sensor: f.Name, Title: f.Title, Unit: f.Unit, Counter: f.Kind == fleet.Counter}
	s.judge(in.Days.chronicle(at, reference.from, today), reference, today, in.Fleet.Policy.DriftSigma)
	s.tell(in.Fleet.Policy.DriftSigma)
	if s.Flagged {
		r.Flagged.Sensors = append(r.Flagged.Sensors, s.Sensor)
		r.Triggers = append(r.Triggers, Trigger{Kind: DataDrift, Subject: s.Sensor, Since: s.Since, Sentence: s.Sentence})
	}
	r.Sensors = append(r.Sensors, s)
}

// features judges the features and the predictions.
func (r *DriftReport) features(ctx context.Context, in *DriftInput, reference, current period) error {
	r.View, r.Hash = in.View.Name, in.View.Hash
	begun := in.Begun
	if begun <= 0 {
		begun = in.Days.Begun()
	}
	seen := time.Duration(0)
	if begun != drumbeat.NoTime {
		seen = startOf(reference.from).Sub(begun)
	}
	now := current
	now.from = max(now.from, reference.until) // days of both would hide a drift
	p := pair{weeks: reference.weeks()}
	var err error
	if p.before, err = readTable(ctx, in.Vectors, reference, in.Fleet.TrainGrid, maxRows); err != nil {
		return err
	}
	if p.now, err = readTable(ctx, in.Vectors, now, in.Fleet.TrainGrid, maxRows); err != nil {
		return err
	}
	if now != current {
		p.short = fmt.Sprintf("too early: %d complete days since the reference ended, and %d are needed",
			max(now.until-now.from, 0), recentDays)
	}
	all := natures(in.View)
	for i := range in.View.Features {
		d := p.judge(&in.View.Features[i], i, &all[i], seen)
		if d.Flagged {
			r.Flagged.Features = append(r.Flagged.Features, d.Feature)
		}
		r.Features = append(r.Features, d)
	}
	if in.Score != nil {
		r.Predictions = p.predictions(in.Score)
		r.Flagged.Predictions = r.Predictions.Flagged
	}
	return nil
}

// predictions compares what the champion says.
func (p *pair) predictions(score func([]float64) float64) *FeatureDrift {
	before, now := p.before.scored(score), p.now.scored(score)
	d := &FeatureDrift{Feature: "prediction", Title: "predictions", MadeOf: []string{}, Before: rangeOf(before), Now: rangeOf(now)}
	d.compare(before, now, p.usual(before), p.lack(leastRows, before, now, ""))
	return d
}

// tell writes the report's sentences: first what is flagged, then what lacks.
func (r *DriftReport) tell() {
	for i := range r.Sensors {
		if s := &r.Sensors[i]; s.Flagged || s.Weekday.Missing != "" || s.Weekend.Missing != "" || s.silent() {
			r.Sentences = append(r.Sentences, s.Sentence)
		}
	}
	if len(r.Flagged.Sensors) == 0 {
		r.Sentences = append(r.Sentences, "No sensor is flagged.")
	}
	if n := len(r.Flagged.Features); n > 0 {
		r.Sentences = append(r.Sentences, fmt.Sprintf("%d of %d features have drifted: %s.",
			n, len(r.Features), strings.Join(r.Flagged.Features, ", ")))
	}
	if r.Predictions != nil && r.Predictions.Level != LevelNone {
		r.Sentences = append(r.Sentences, r.Predictions.Sentence)
	}
}

// silent says whether a sensor that used to speak says nothing now.
func (s *SensorDrift) silent() bool { return s.Now.Missing == 1 && s.Before.Missing < 1 }

// tell writes a sensor's sentence.
func (s *SensorDrift) tell(sigma float64) {
	what := s.Title
	if s.Counter {
		what += ", daily increase"
	}
	unit := ""
	if s.Unit != "" {
		unit = " " + s.Unit
	}
	switch {
	case s.Flagged:
		way := "above"
		if s.Shift < 0 {
			way = "below"
		}
		s.Sentence = fmt.Sprintf("%s: %.3g%s %s the reference since %s, %.2f of the spread between machines, beyond %g standard "+
			"deviations on more than %d days in a row.", what, math.Abs(float64(s.Shift)), unit, way,
			s.Since.Std().Format(time.DateOnly), math.Abs(float64(s.Effect)), sigma, confirmations)
	case s.silent():
		s.Sentence = fmt.Sprintf("%s: no value in the last %d days.", what, recentDays)
	case s.Weekday.Missing != "" && s.Weekend.Missing != "":
		s.Sentence = what + ": not judged."
	default:
		s.Sentence = what + ": no drift."
	}
	switch weekday, weekend := s.Weekday.Missing, s.Weekend.Missing; {
	case weekday == weekend && weekday != "":
		s.Sentence += fmt.Sprintf(" The reference is too short: %s.", weekday)
	case weekday != "" && weekend != "":
		s.Sentence += fmt.Sprintf(" The reference is too short: of weekdays, %s; of weekend days, %s.", weekday, weekend)
	case weekday != "":
		s.Sentence += fmt.Sprintf(" The reference is too short to judge weekdays: %s.", weekday)
	case weekend != "":
		s.Sentence += fmt.Sprintf(" The reference is too short to judge weekend days: %s.", weekend)
	}
	s.Sentence = sentence(s.Sentence)
}

// sentence begins a text with a capital and ends it with a full stop.
func sentence(text string) string {
	first, size := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(first)) + strings.TrimSuffix(text[size:], ".") + "."
}

// inDays writes a duration as people say it.
func inDays(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%.0f hours", d.Hours())
	}
	return fmt.Sprintf("%.0f days", d.Hours()/24)
}
