// Package feature defines features once and computes them exactly, for
// history and for now: views, windows, the point-in-time join and the online
// store's contract.
//
// A [View] is loaded from a fleet folder's features.yaml. An [Engine] holds
// the recent readings of every machine and turns each applied item into
// vectors (P1, P4); backfill and stream are the same engine fed in the same
// order. [AsOf] computes one vector from a machine's whole history by another
// way; the two agree to the bit, and tests hold them to it. [View.Advance]
// moves the record that an online store keeps to the time of a request's
// reading (S1, S2), again to the same bits.
package feature

import (
	"errors"
	"fmt"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

// SemanticsVersion is the version of rules V and W of semantics.md. It rises
// only when bits change, and is part of every definition hash (P5).
const SemanticsVersion = 1

// Limits of a view. Each is far beyond what models of machines use, and keeps
// state and work per reading bounded.
const (
	MaxFeatures    = 1000
	MaxWindows     = 32 // distinct lengths
	MaxWindow      = 400 * 24 * time.Hour
	MaxBins        = 100
	maxPerWindow   = 10_000_000              // readings, a bound on n_max (W5)
	maxMagnitude   = 999_999_999_999_999_999 // of a sensor's scaled bounds: silver's DECIMAL(18)
	DefaultRecord  = 256 << 10               // max_record_bytes (S1)
	defaultServing = 5 * time.Minute
)

// View is a list of features with the rules that their values share. It is
// made by [LoadView] or [NewView] and immutable from then on.
type View struct {
	Name       string
	Fleet      *fleet.Fleet
	TTL        time.Duration // P2, P3; 0 is no bound
	MinHistory time.Duration // W7; the longest window if the file is silent
	ServeLag   time.Duration // P2
	MaxRecord  int           // max_record_bytes (S1)
	Features   []Feature
	Hash       drumbeat.Hash // P5

	plan *plan
}

// Agg is how a feature is made (W3, W6, V5).
type Agg uint8

// The ways to make a feature.
const (
	AggCount Agg = iota
	AggMean
	AggStd
	AggMin
	AggMax
	AggSum
	AggFirst
	AggLast
	AggDelta
	AggIncrease
	AggCoverage
	AggAge         // hours since the last event of a log
	AggEvents      // events of a log in the window, all or of one type
	AggMeanBetween // mean hours between events of a log in the window
	AggExpr        // an expression over features (W6)
	AggBins        // a static number's bin: its index (V5)
	AggOneHot      // 1 if the static category is Category, else 0
	AggCategory    // a static category's index
	AggNumber      // a static number itself
)

// Feature is one column of a view's vectors. A onehot of the file becomes one
// Feature a category, named attribute_category.
type Feature struct {
	Name   string
	Title  string // for people: "vibration, mean of 7 days"
	Unit   string
	Agg    Agg
	Window time.Duration
	Of     string // the sensor, log or attribute
	Sensor int    // its index, -1 if it is no sensor
	Log    int    // its index in Fleet.Logs, -1 if it is no log
	Static int    // its index in Fleet.Static, -1 if it is no attribute
	Type   string // of the log's entries; "" is any
	UseAll bool   // use: all (W3)
	Bins   []float64
	Labels []string
	// Category is the declared category of a one-hot column.
	Category string
	Expr     *Expr
}

// NewView completes a view whose fleet and features are given: it resolves
// what the features name (Sensor, Log and Static are filled in), writes
// missing titles and units, and computes the hash. A zero MaxRecord becomes
// DefaultRecord, a zero MinHistory the longest window. Every fault is
// reported, each of the kind drumbeat.ErrInvalid.
func NewView(v View) (*View, error) {
	var faults []error
	view, ok := v.completed(func(feature int, key, message string) {
		where := ""
		if feature >= 0 {
			where = fmt.Sprintf("features[%d]", feature)
		}
		if key != "" {
			where += "." + key
		}
		faults = append(faults, fmt.Errorf("%s: %s: %w", where, message, drumbeat.ErrInvalid))
	})
	if !ok {
		return nil, fmt.Errorf("make view %s: %w", v.Name, errors.Join(faults...))
	}
	return view, nil
}

// Names returns the features' names, in order.
func (v *View) Names() []string {
	names := make([]string, len(v.Features))
	for i := range v.Features {
		names[i] = v.Features[i].Name
	}
	return names
}

// Index returns the index of the named feature, -1 if there is none.
func (v *View) Index(name string) int {
	for i := range v.Features {
		if v.Features[i].Name == name {
			return i
		}
	}
	return -1
}

// LongestWindow returns the longest window of any feature, 0 if there is
// none.
func (v *View) LongestWindow() time.Duration {
	longest := time.Duration(0)
	for i := range v.Features {
		longest = max(longest, v.Features[i].Window)
	}
	return longest
}

// OutsideMaxAge says whether a vector as of asOf is too old at now: the
// status OUTSIDE_MAX_AGE (P3). Both ends of the ttl are inclusive (P2); a ttl
// of 0 bounds nothing, and before the clock's first item nothing is old.
func (v *View) OutsideMaxAge(asOf, now drumbeat.Time) bool {
	return v.TTL > 0 && now != drumbeat.NoTime && now.Sub(asOf) > v.TTL
}

// MaxReadings returns n_max of a window (W5): what the fleet declares, else
// four times W/cadence, rounded up.
func (v *View) MaxReadings(window time.Duration) int64 {
	if v.Fleet.MaxReadings > 0 {
		return v.Fleet.MaxReadings
	}
	const perCadence = 4 // clocks and gateways are never exact, bursts happen
	return int64((perCadence*window + v.Fleet.Cadence - 1) / v.Fleet.Cadence)
}

// Horizon returns how far beyond its newest reading a record can be moved:
// max(24 h, 2·cadence) (S1).
func (v *View) Horizon() time.Duration { return max(24*time.Hour, 2*v.Fleet.Cadence) }
