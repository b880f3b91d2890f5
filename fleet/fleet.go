// Package fleet is the definition of a fleet of machines: which sensors they
// have, which logs are kept about them, and how their payloads become
// readings. It decodes and cleans; nobody else does (V2).
//
// [Load] reads a fleet file strictly and reports every fault at once, each
// with file, line and column. A [Decoder] turns a record's payload into items.
// A [Judge] gives each item its fate and each value its flags (T3 to T5, T8,
// V1), in the order of positions.
package fleet

import (
	"time"

	"drumbeat"
)

// Fleet is a class of machines with the same sensors (V1). It is immutable
// once loaded.
type Fleet struct {
	Name    drumbeat.FleetName
	Title   string // what people call it; the name, if the file has none
	Cadence time.Duration
	Sensors []Sensor
	Static  []Attribute
	Logs    []Log
	// Running is the condition under which a machine should report, or nil:
	// always (W7).
	Running *Condition

	FailureIsTerminal bool
	// FailureLog is how complete the failure log is (L2).
	FailureLog Completeness
	Lateness   time.Duration // allowed_lateness L (T4)
	TrainGrid  time.Duration // one training row per machine and interval (P6)
	Clock      ClockKind     // what fleet_now is (T6)

	Label  LabelPolicy
	Policy Policy
	Split  *Split // pinned dates, or nil: chosen by train
	Train  Train  // how models are fitted
	// Retention is how long the lake keeps what.
	Retention Retention
	Import    *Import // which files hold what, or nil

	// MaxReadings is max_readings_per_window as declared, 0 for the default
	// of four times W/cadence (W5).
	MaxReadings int64
}

// SensorKind tells gauges from counters (V4).
type SensorKind uint8

// The kinds of sensor.
const (
	Gauge SensorKind = iota
	Counter
)

// OutOfRange says what becomes of a value beyond the physical bounds (V1).
type OutOfRange uint8

// What may become of a value out of range.
const (
	Clip OutOfRange = iota
	Null
	Reject
)

// Sensor is one measured quantity (V1).
type Sensor struct {
	Name       string
	Title      string // for people: "vibration"; made from the name if absent
	Field      string // its name in payloads; Name if the file has none
	Unit       string
	Kind       SensorKind
	Min, Max   int64 // physical bounds, scaled by 10^Decimals
	Decimals   int   // 0 to 9
	OutOfRange OutOfRange
	StuckAfter int   // equal values in a row, 0 for never
	MaxJump    int64 // scaled, 0 for any
	// Factor and Offset convert a payload's value to Unit exactly, as decimal
	// texts: value · Factor + Offset. "1" and "0" where the file is silent.
	Factor, Offset string
}

// AttributeType is the type of a static attribute.
type AttributeType uint8

// The types of a static attribute.
const (
	Category AttributeType = iota
	Number
)

// Attribute is something about a machine that hardly changes (V5).
type Attribute struct {
	Name   string
	Type   AttributeType
	Values []string // the declared categories, in order (V5)
}

// Log is one log about machines (T7).
type Log struct {
	Name   string
	Time   string   // payload field of its event time
	Type   string   // payload field of the entry's type, "" if it has none
	Detail string   // payload field of the detail, "" if it has none
	ID     string   // payload field of the source's id, "" if it has none
	Types  []string // known types; empty: any
}

// CompletenessKind says how a failure log's completeness is known (L2).
type CompletenessKind uint8

// The ways to know that a failure log is complete.
const (
	CompleteUnknown    CompletenessKind = iota // nothing is negative
	CompleteContinuous                         // to fleet_now less the reporting lag
	CompleteTo                                 // to a declared time
)

// Completeness is what the fleet file says of its failure log (L2).
type Completeness struct {
	Kind CompletenessKind
	To   drumbeat.Time
}

// ClockKind says what drives domain time (T6).
type ClockKind uint8

// The clocks of a fleet.
const (
	ClockData ClockKind = iota
	ClockWall
)

// LabelPolicy says what counts as a positive row, and when one is known (L1,
// L2).
type LabelPolicy struct {
	Horizon      time.Duration
	HorizonText  string // as written: 7d
	ReportingLag time.Duration
	Censors      []string // maintenance types that hide what would have happened
	Resolves     []string // maintenance types that close an alert (A1); empty: all
	DownMax      time.Duration
}

// Policy bounds what alerts may cost and what a challenger must prove (M2,
// M4, M5).
type Policy struct {
	Threshold          float64 // on the calibrated probability
	RecallTarget       float64
	ProofLowerBound    bool // proof: lower_bound rather than point
	MinFailures        int
	MinPrecision       float64
	MaxFalseAlarms     float64 // per machine and week
	MinLead            time.Duration
	RetrainBelowRecall float64
	WarnBelowRecall    float64 // between the two: warn (M4)
	HealthyAboveRecall float64
	DriftSigma         float64
	// DriftReference is how long before the end of the champion's data the
	// days lie that later days are compared with (M4).
	DriftReference time.Duration
	// MonitorEvery and RetrainEvery are the schedules, by the fleet's clock
	// (T6); RetrainEvery 0 trains only for a reason. Cooldown is how long
	// after a retraining no automatic reason starts another.
	MonitorEvery, RetrainEvery, Cooldown time.Duration
	InspectionMinutes                    float64 // what a needless inspection costs
}

// Split pins the times that part training, validation and test rows; a gap of
// the horizon is kept after each of the first two (L4).
type Split struct {
	TrainUntil drumbeat.Time // rows with as_of before it train
	TestFrom   drumbeat.Time
	TestUntil  drumbeat.Time // NoTime: the end of the data
}

// Train is how models are fitted: XGBoost's own parameters.
type Train struct {
	Rounds    int
	MaxDepth  int
	Eta       float64
	Subsample float64
	ColSample float64
	MinChild  float64
	Seed      int64
}

// Retention is how long after their arrival the lake keeps rows, by the fleet's
// clock (T6); 0 is for ever.
type Retention struct {
	Bronze, DeadLetters, Silver, Gold, Predictions time.Duration
}

// SensorIndex returns the index of the named sensor, -1 if there is none.
func (f *Fleet) SensorIndex(name string) int {
	for i := range f.Sensors {
		if f.Sensors[i].Name == name {
			return i
		}
	}
	return -1
}

// LogNamed returns the named log, nil if there is none.
func (f *Fleet) LogNamed(name string) *Log {
	for i := range f.Logs {
		if f.Logs[i].Name == name {
			return &f.Logs[i]
		}
	}
	return nil
}

// Op compares a sensor's value with a constant.
type Op uint8

// The comparisons that a condition may use.
const (
	OpGreater Op = iota
	OpGreaterEqual
	OpLess
	OpLessEqual
	OpEqual
	OpNotEqual
)

// Condition compares one sensor of a reading with a constant. An unknown
// value satisfies nothing (W3).
type Condition struct {
	Sensor int
	Op     Op
	Value  int64 // scaled like the sensor
	Text   string
}

// Holds says whether values, in the order of the fleet's sensors, satisfy c.
func (c *Condition) Holds(values []int64) bool {
	x := values[c.Sensor]
	if x == drumbeat.Missing {
		return false
	}
	switch c.Op {
	case OpGreater:
		return x > c.Value
	case OpGreaterEqual:
		return x >= c.Value
	case OpLess:
		return x < c.Value
	case OpLessEqual:
		return x <= c.Value
	case OpEqual:
		return x == c.Value
	case OpNotEqual:
		return x != c.Value
	}
	return false
}
