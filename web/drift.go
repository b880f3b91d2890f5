package web

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"drumbeat"
)

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
	Counter bool   // its figures are of the increase of a day
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
	Title    string   // "" is the name in words
	MadeOf   []string // the sensors, logs and attributes that it is made of
	Flagged  bool     // significant, and more than weeks move by themselves
	PSI      float64  // population stability index; NaN is unknown
	Usual    float64  // the largest PSI of a week of the reference; NaN is unknown
	Level    Level    // what is none of the levels counts as unknown
	Effect   float64  // difference of means in standard deviations; NaN is unknown
	Sentence string
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

// Title is the sensor's, saying what is taken of a counter.
func (l sensorLine) Title() string {
	if l.Counter {
		return l.Sensor.Title + ", increase of a day"
	}
	return l.Sensor.Title
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
		if !f.Flagged {
			return sign{signRunning, "No more than usual", ""}
		}
		return sign{signWarn, "Has moved", ""}
	case LevelUnknown:
	}
	return sign{signUnknown, "Cannot be judged", ""}
}

// Words are what the feature is called.
func (f FeatureDrift) Words() string {
	if f.Title != "" {
		return f.Title
	}
	return words(f.Name)
}

// UsualText says how much weeks move by themselves, "" where nobody knows.
func (f FeatureDrift) UsualText() string {
	if math.IsNaN(f.Usual) || f.Usual <= 0 {
		return ""
	}
	return "weeks differ by " + decimals(f.Usual, 2)
}

// Of names the sensors that a feature is made of.
func (f FeatureDrift) Of() string { return strings.Join(f.MadeOf, ", ") }

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
		return cmp.Or(flagOrder(x.Flagged, y.Flagged), cmp.Compare(x.Level.order(), y.Level.order()), -cmp.Compare(x.PSI, y.PSI))
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
	if at := slices.Index([]Level{LevelSignificant, LevelSlight, LevelUnknown, LevelNone}, l); at >= 0 {
		return at
	}
	return LevelUnknown.order()
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
		Name: line.Sensor.Title, Title: line.Title(), Unit: line.Sensor.Unit, Decimals: max(2, min(line.Sensor.Decimals, 3)), // a mean has more than a reading
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

// flagged are the sensors that have moved.
func (d *Drift) flagged() []*SensorDrift {
	var list []*SensorDrift
	for i := range d.Sensors {
		if d.Sensors[i].Flagged {
			list = append(list, &d.Sensors[i])
		}
	}
	return list
}
