package drumbeat

// MachineState is how a machine stands in the eyes of the technicians.
type MachineState string

// The states of a machine. The first that applies holds.
const (
	StateDown       MachineState = "down"        // it failed and is not repaired (L2)
	StateNotWatched MachineState = "not_watched" // silent while it should report (A3)
	StateAtRisk     MachineState = "at_risk"     // an alert is open, or the risk is above the threshold
	StateWarmingUp  MachineState = "warming_up"  // too little history to judge (W7)
	StateOff        MachineState = "off"         // switched off by its own last reading (W7)
	StateHealthy    MachineState = "healthy"
)

// Machine is what is known of a machine now: what a fleet's page and its API
// show.
type Machine struct {
	ID       MachineID    `json:"machine"`
	State    MachineState `json:"state"`
	LastSeen Time         `json:"last_seen"` // its newest reading, NoTime without one
	// Static holds its attributes in the fleet's order, "" is null; nil when
	// nobody said.
	Static []string `json:"-"`
	// Prediction is the newest, a query; nil without a vector young enough
	// to be used (P3).
	Prediction *Prediction `json:"prediction,omitempty"`
	// Alert is the id of its open alert, "" without one.
	Alert string `json:"alert,omitempty"`
}
