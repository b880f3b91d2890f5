package train

import (
	"fmt"
	"math"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
)

// Number is a figure of a report; NaN is null in JSON (V3).
type Number = label.Number

// Pair is the bounds of a 95 % interval.
type Pair [2]Number

func pair(i label.Interval) (value Number, bounds Pair) {
	return Number(i.Value), Pair{Number(i.Low), Number(i.High)}
}

// Report is how good a model is, on rows that it never saw, with what it is to
// be compared with. Intervals are at 95 %: Wilson's for proportions, for the
// rest the bootstrap over machines.
type Report struct {
	Fleet   drumbeat.FleetName `json:"fleet"`
	View    string             `json:"view"`
	Hash    drumbeat.Hash      `json:"view_hash"`
	Horizon string             `json:"horizon"`
	Policy  string             `json:"label_policy"`
	Labels  string             `json:"labels,omitempty"` // "shuffled" of a control model
	Split   Split              `json:"split"`
	Rows    RowCounts          `json:"rows"`
	Model   modelCounts        `json:"model"`

	// By test row.
	BaseRate          Number            `json:"base_rate"`
	BaseRateInterval  Pair              `json:"base_rate_interval"`
	PRAUC             Number            `json:"pr_auc"`
	PRAUCInterval     Pair              `json:"pr_auc_interval"`
	ROCAUC            Number            `json:"roc_auc"`
	ROCAUCInterval    Pair              `json:"roc_auc_interval"`
	BestSingleFeature single            `json:"best_single_feature"`
	ShuffledROCAUC    Number            `json:"shuffled_roc_auc"`
	ShuffledPRAUC     Number            `json:"shuffled_pr_auc"`
	Shuffled          shuffled          `json:"shuffled"`
	Row               label.RowMeasures `json:"by_row"`
	Calibration       calibration       `json:"calibration"`

	// By event, at the threshold in force, over the live scoring rows.
	LiveRows            int                 `json:"live_rows"`
	Threshold           Number              `json:"threshold"`
	EventRecall         Number              `json:"event_recall"`
	EventRecallInterval Pair                `json:"event_recall_interval"`
	Precision           Number              `json:"precision"` // of alerts
	PrecisionInterval   Pair                `json:"precision_interval"`
	FalseAlarms         Number              `json:"false_alarms_per_machine_week"`
	FalseAlarmsInterval Pair                `json:"false_alarms_per_machine_week_interval"`
	LeadTimeHours       Number              `json:"lead_time_hours"` // the median
	LeadTimeInterval    Pair                `json:"lead_time_hours_interval"`
	AlwaysAlarm         alwaysAlarm         `json:"always_alarm"`
	FullRecall          fullRecall          `json:"recall_target_on_test_rows"`
	Events              label.EventMeasures `json:"by_event"`
	Failures            []failure           `json:"failures"`

	Sentence string   `json:"sentence"` // the price (M2)
	Warnings []string `json:"warnings"`
}

type modelCounts struct {
	Trees       int `json:"trees"`
	Depth       int `json:"depth"`
	RoundsTried int `json:"rounds_tried"`
	// AgreedRows is the rows on which our evaluation was compared with
	// XGBoost's own and found equal to the bit.
	AgreedRows int `json:"rows_equal_to_xgboost"`
}

type single struct {
	Name  string `json:"name"`
	PRAUC Number `json:"pr_auc"`
}

// shuffled says how big the control was.
type shuffled struct {
	Runs   int `json:"runs"`
	Rows   int `json:"rows"`
	Rounds int `json:"rounds"`
	// TrueROCAUC is what a fit of that size reaches with the labels in place.
	TrueROCAUC Number `json:"true_roc_auc"`
}

type alwaysAlarm struct {
	Precision   Number `json:"precision"`
	FalseAlarms Number `json:"false_alarms_per_machine_week"`
}

// fullRecall is what the recall target would take, found on the test rows
// themselves and so too good: there is no backtest yet (M2).
type fullRecall struct {
	Target        Number `json:"target"`
	Reached       bool   `json:"reached"`
	Threshold     Number `json:"threshold"`
	EventRecall   Number `json:"event_recall"`
	Precision     Number `json:"precision"`
	FalseAlarms   Number `json:"false_alarms_per_machine_week"`
	LeadTimeHours Number `json:"lead_time_hours"`
}

func newReport(in Input) *Report {
	return &Report{
		Fleet: in.Fleet.Name, View: in.View.Name, Hash: in.View.Hash,
		Horizon: horizonText(in.Fleet, in.Truth.Horizon()), Policy: in.Truth.Policy(),
	}
}

func (r *Report) rows(m *label.RowMeasures) {
	r.Row = *m
	r.BaseRate, r.BaseRateInterval = pair(m.BaseRate)
	r.PRAUC, r.PRAUCInterval = pair(m.PRAUC)
	r.ROCAUC, r.ROCAUCInterval = pair(m.ROCAUC)
}

// tell writes the sentence of the price and the warnings.
func (r *Report) tell(in Input) {
	f, e := in.Fleet, &r.Events
	seen := e.Caught + e.Missed
	r.Sentence = fmt.Sprintf("At %.2f the model foretold %d of %d failures of the test time (%s), %s, with %s and %s.",
		float64(r.Threshold), e.Caught, seen, percent(r.EventRecall), leadText(r.LeadTimeHours),
		r.alarmText(r.Precision, r.FalseAlarms), r.inspections(f, r.FalseAlarms))
	full := &r.FullRecall
	if full.Reached {
		r.Sentence += fmt.Sprintf(" To foretell %s of them, measured on the test rows themselves, would take a threshold of %.3g: %s, %s.",
			percent(full.Target), float64(full.Threshold), r.alarmText(full.Precision, full.FalseAlarms),
			r.inspections(f, full.FalseAlarms))
	} else {
		r.Sentence += fmt.Sprintf(" No threshold reaches %s on the test rows.", percent(full.Target))
	}
	r.Sentence += fmt.Sprintf(" To alarm always would give %s.", r.alarmText(r.AlwaysAlarm.Precision, r.AlwaysAlarm.FalseAlarms))
	r.Warnings = []string{}
	warn := func(holds bool, format string, args ...any) {
		if holds {
			r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
		}
	}
	lag := stopped(in)
	warn(lag != "", "%s", lag)
	warn(r.Labels == labelsShuffled,
		"the labels that it learnt from were shuffled: it is a control, which a gate must refuse")
	warn(seen < f.Policy.MinFailures,
		"only %d failures fell into the test time, fewer than min_failures (%d): recall is a rough guess",
		seen, f.Policy.MinFailures)
	warn(r.ShuffledROCAUC < 0.45 || r.ShuffledROCAUC > 0.55,
		"shuffled labels reach a ROC-AUC of %.3f, and 0.5 was due: look for a leak", float64(r.ShuffledROCAUC))
	warn(r.BestSingleFeature.PRAUC >= r.PRAUC,
		"%s alone ranks the test rows as well as the model (PR-AUC %.3f against %.3f)",
		r.BestSingleFeature.Name, float64(r.BestSingleFeature.PRAUC), float64(r.PRAUC))
	warn(r.Precision < Number(f.Policy.MinPrecision), "precision is below min_precision (%.2f)", f.Policy.MinPrecision)
	warn(f.Policy.MaxFalseAlarms > 0 && r.FalseAlarms > Number(f.Policy.MaxFalseAlarms),
		"false alarms per machine and week are above max_false_alarms (%.2f)", f.Policy.MaxFalseAlarms)
}

func (r *Report) alarmText(precision, rate Number) string {
	return fmt.Sprintf("%s of the alerts right and %s needless ones per machine and week", percent(precision), number(rate))
}

// inspections says what the needless alerts of a week cost the fleet.
func (r *Report) inspections(f *fleet.Fleet, rate Number) string {
	week := float64(rate) * float64(r.Events.Machines)
	text := fmt.Sprintf("%s needless inspections a week for %d machines", number(Number(week)), r.Events.Machines)
	if minutes := f.Policy.InspectionMinutes; minutes > 0 {
		text += fmt.Sprintf(" (%s hours)", number(Number(week*minutes/60)))
	}
	return text
}

func leadText(hours Number) string {
	if math.IsNaN(float64(hours)) {
		return "none ahead of time"
	}
	return fmt.Sprintf("half of them %.0f hours ahead or more", float64(hours))
}

func percent(n Number) string {
	if math.IsNaN(float64(n)) {
		return "no share"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(n))
}

func number(n Number) string {
	switch v := float64(n); {
	case math.IsNaN(v):
		return "an unknown number of"
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	default:
		return fmt.Sprintf("%.0f", v)
	}
}
