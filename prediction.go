package drumbeat

// Cause says what made a vector (P4).
type Cause uint8

// The causes of a vector.
const (
	CauseReading    Cause = iota // a reading's own row
	CauseCorrection              // the newest vector, changed by an older reading or a log entry
)

// String returns the cause's name, as gold's made_by column holds it.
func (c Cause) String() string {
	if c == CauseCorrection {
		return "correction"
	}
	return "reading"
}

// Vector is a machine's features as of a time t and a position k (P1).
type Vector struct {
	Machine     MachineID
	AsOf        Time     // t
	Position    Position // k
	ArrivalTime Time     // of the item at k
	MadeBy      Cause
	// Values are in the view's order; NaN is null (V3).
	Values []float64
	// Coverage is the least of the view's windows, 0 to 1 (W7).
	Coverage float64
	// WarmingUp holds until the first reading is min_history old (W7).
	WarmingUp bool
	// Overflow says that a window held more than n_max readings (W5).
	Overflow bool
	// Running says whether the machine should report after this (W7).
	Running bool
}

// Purpose says whether a prediction may open an alert (S4).
type Purpose string

// The purposes of a prediction.
const (
	PurposeLive  Purpose = "live"
	PurposeQuery Purpose = "query"
)

// Role is the part that a model version plays.
type Role string

// The roles of a model version.
const (
	RoleChampion   Role = "champion"
	RoleChallenger Role = "challenger"
)

// Prediction is what a model version said of a machine (S3).
type Prediction struct {
	Fleet       FleetName    `json:"fleet"`
	Machine     MachineID    `json:"machine"`
	AsOf        Time         `json:"as_of"`
	Position    Position     `json:"position"`
	ReadingID   string       `json:"reading_id,omitempty"` // of the folded reading (S3)
	ArrivalTime Time         `json:"arrival_time"`
	Hash        Hash         `json:"view_hash"`
	Model       ModelVersion `json:"model_version"`
	Role        Role         `json:"role"`
	Purpose     Purpose      `json:"purpose"`
	Horizon     string       `json:"horizon"` // the fleet file's text, such as 7d
	Mode        string       `json:"failure_mode"`
	Margin      float64      `json:"margin"`      // log-odds before calibration
	Probability float64      `json:"probability"` // calibrated
	Threshold   float64      `json:"threshold"`
	Alarm       bool         `json:"alarm"` // probability > threshold, strictly (A1)
	// Running says whether the machine should report after this (W7): measures
	// need it to tell a missed failure from one that nobody could see (M1).
	Running bool     `json:"running"`
	Flags   []string `json:"flags,omitempty"`
	Reasons []Reason `json:"reasons,omitempty"`
}

// Reason is one feature's part in a prediction's margin (TreeSHAP).
type Reason struct {
	Feature      string   `json:"feature"`
	Value        *float64 `json:"value"` // null when missing
	Contribution float64  `json:"contribution"`
	Usual        *float64 `json:"usual,omitempty"` // this machine's own ordinary value
	Unit         string   `json:"unit,omitempty"`
	Text         string   `json:"text,omitempty"`
}

// Outcome is how an alert ended, or what a technician found (A1, A2).
type Outcome string

// The outcomes. The first five are a technician's to choose (A2).
const (
	OutcomeFailed       Outcome = "failed"
	OutcomeRepaired     Outcome = "repaired"
	OutcomeNothingWrong Outcome = "nothing_wrong"
	OutcomeSensorWrong  Outcome = "sensor_wrong"
	OutcomeNotInspected Outcome = "not_inspected"

	OutcomeLogFailure  Outcome = "log_failure"     // the failure log closed it
	OutcomeMaintenance Outcome = "log_maintenance" // a maintenance entry closed it
	OutcomeUnanswered  Outcome = "unanswered"      // nobody said anything for H
	OutcomeDown        Outcome = "down"            // it had failed already (A1)
)

// Finding is a technician's answer, to an alert or of their own accord (A2).
type Finding struct {
	ID        string    `json:"id"`
	Fleet     FleetName `json:"fleet"`
	Machine   MachineID `json:"machine"`
	Alert     string    `json:"alert,omitempty"`
	Outcome   Outcome   `json:"outcome"`
	Mode      string    `json:"failure_mode,omitempty"`
	Part      string    `json:"part,omitempty"`
	Note      string    `json:"note,omitempty"`
	Who       string    `json:"who"`
	WhenFleet Time      `json:"when_fleet"` // the fleet's clock (T6)
	WhenWall  Time      `json:"when_wall"`  // the wall clock (T6)
	// From is where the alert's rows begin: its opening as_of (L3).
	From Time `json:"from"`
}

// Alert is one warning to the technicians (A1).
type Alert struct {
	ID        string       `json:"id"`
	Fleet     FleetName    `json:"fleet"`
	Machine   MachineID    `json:"machine"`
	Mode      string       `json:"failure_mode"`
	OpenedAt  Time         `json:"opened_at"`
	OpenedPos Position     `json:"opened_position"`
	LastAbove Time         `json:"last_above"`
	Peak      float64      `json:"peak_probability"`
	Latest    Prediction   `json:"latest"`
	ClosedAt  Time         `json:"closed_at"` // NoTime while open
	Outcome   Outcome      `json:"outcome,omitempty"`
	FindingID string       `json:"finding_id,omitempty"`
	Model     ModelVersion `json:"model_version"`
}

// Clock answers every domain timer of a fleet (T6).
type Clock interface {
	// Now returns fleet_now, which never falls; NoTime before the first item.
	Now() Time
}
