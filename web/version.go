package web

import (
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
	Name, Asked, Measured string
	Bound                 string // the lower bound, "" where there is none
	OK                    bool
	Missing               string // the evidence that is missing, "" if none is
}

// Shadow compares a challenger with the champion on the readings that both
// scored.
type Shadow struct {
	From, Until drumbeat.Time
	Rows        int // that both scored
	OnlyOne     int // rows that only one of them scored
	// Both, neither and one of them above the threshold: rows.
	BothAbove, NeitherAbove, OnlyChampionAbove, OnlyChallengerAbove int

	ChampionAlerts, ChallengerAlerts int
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
