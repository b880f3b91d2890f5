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

func (b *board) healthPage(w http.ResponseWriter, r *http.Request) error { return nil }
