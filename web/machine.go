package web

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"drumbeat"
)

// machineView is a machine's page, and an alert's: the page of its machine
// with the alert in front.
type machineView struct {
	Machine drumbeat.Machine
	Alert   *drumbeat.Alert   // the one in front, nil without one
	Finding *drumbeat.Finding // what closed it, if a person did

	Prediction *drumbeat.Prediction // what the page explains, nil without one
	Words      string               // Likely to fail within 7 days
	Count      string               // Of 10 machines that look like this, …
	Notes      []string             // what limits the prediction
	Why        []whyLine

	Static   []attribute
	Past     []drumbeat.Alert // newest first
	Outcomes []outcomeChoice
	Chart    chartView
}

// Open says whether there is an alert to answer.
func (v *machineView) Open() bool { return v.Alert != nil && v.Alert.ClosedAt == drumbeat.NoTime }

// Closed says whether the page is about an alert of the past.
func (v *machineView) Closed() bool { return v.Alert != nil && v.Alert.ClosedAt != drumbeat.NoTime }

// whyLine is one reason, with a bar to the right if it raises the risk, to
// the left if it lowers it.
type whyLine struct {
	Title, Detail string
	Raises        bool
	Weight        int // 0 to 1000, relative to the weightiest
}

// attribute is something about the machine that hardly changes.
type attribute struct {
	Title, Value string
}

// chartView is what the chart offers.
type chartView struct {
	From    string // the address of its data
	Sensors []Sensor
	Sensor  string // the one to show first
	Days    []int
	First   int           // how many days to show first
	Until   drumbeat.Time // where it ends, NoTime for now
}

// outcomeChoice is one of the answers.
type outcomeChoice struct {
	Outcome    drumbeat.Outcome
	Word, Hint string
	Key        int
}

// choices are the answers that a technician can give (A2).
//
//nolint:gochecknoglobals // a constant table
var choices = [...]outcomeChoice{
	{drumbeat.OutcomeFailed, "It failed", "It stopped, or was found broken", 1},
	{drumbeat.OutcomeRepaired, "Found a fault, repaired", "The warning was right", 2},
	{drumbeat.OutcomeNothingWrong, "Nothing wrong", "Looked at it, all is well", 3},
	{drumbeat.OutcomeSensorWrong, "Sensor is wrong", "Its readings cannot be trusted", 4},
	{drumbeat.OutcomeNotInspected, "Not inspected", "Close it without a look", 5},
}

// reports are the answers without a question: faults that no alert foretold.
//
//nolint:gochecknoglobals // a constant table
var reports = [...]outcomeChoice{
	{drumbeat.OutcomeFailed, "It failed", "It stopped, or was found broken", 1},
	{drumbeat.OutcomeRepaired, "Found a fault, repaired", "Before it failed", 2},
	{drumbeat.OutcomeSensorWrong, "Sensor is wrong", "Its readings cannot be trusted", 3},
}

// machinePage shows a machine, with its open alert if it has one.
func (b *board) machinePage(w http.ResponseWriter, r *http.Request) error {
	id := drumbeat.MachineID(r.PathValue("id"))
	m, past, err := b.machineAndPast(r, id)
	if err != nil {
		return err
	}
	var alert *drumbeat.Alert
	if i := slices.IndexFunc(past, func(a drumbeat.Alert) bool { return a.ClosedAt == drumbeat.NoTime }); i >= 0 {
		alert = &past[i]
	}
	v := b.machineView(m, alert, past)
	return b.show(w, r, http.StatusOK, "machine", &page{Title: string(id), Here: "fleet", Follow: true, Main: v})
}

// alertPage shows an alert on its machine.
func (b *board) alertPage(w http.ResponseWriter, r *http.Request) error {
	alert, err := b.source.Alert(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	m, past, err := b.machineAndPast(r, alert.Machine)
	if err != nil {
		return err
	}
	v := b.machineView(m, &alert, past)
	if alert.FindingID != "" {
		f, err := b.source.Finding(r.Context(), alert.FindingID)
		if err != nil && !errors.Is(err, drumbeat.ErrNotFound) {
			return fmt.Errorf("read finding of alert %s: %w", alert.ID, err)
		}
		if err == nil {
			v.Finding = &f
		}
	}
	p := &page{Title: "Alert for " + string(m.ID), Here: "alerts", Follow: true, Main: v}
	return b.show(w, r, http.StatusOK, "machine", p)
}

func (b *board) machineAndPast(r *http.Request, id drumbeat.MachineID) (drumbeat.Machine, []drumbeat.Alert, error) {
	m, err := b.source.Machine(r.Context(), id)
	if err != nil {
		return drumbeat.Machine{}, nil, err
	}
	past, err := b.source.Alerts(r.Context(), AlertFilter{Machine: id, Closed: true, Limit: maxPast})
	if err != nil {
		return drumbeat.Machine{}, nil, fmt.Errorf("list alerts of %s: %w", id, err)
	}
	return m, past, nil
}

// afterAlert is how much of the time after a closed alert its chart shows.
const afterAlert = 2 * 24 * time.Hour

// maxPast is how many alerts of a machine are listed.
const maxPast = 50

func (b *board) machineView(m drumbeat.Machine, alert *drumbeat.Alert, past []drumbeat.Alert) *machineView {
	v := &machineView{Machine: m, Alert: alert, Past: past, Outcomes: choices[:]}
	v.Chart = chartView{
		From: b.base + "/machines/" + pathEscape(string(m.ID)) + "/history", Sensors: b.source.Fleet.Sensors,
		Days: []int{7, 21, 90}, First: 21, Until: drumbeat.NoTime,
	}
	if v.Closed() {
		v.Chart.Until = alert.ClosedAt.Add(afterAlert)
	}
	if alert == nil {
		v.Outcomes = reports[:]
	}
	for i, value := range m.Static {
		if value != "" && i < len(b.source.Fleet.Static) {
			v.Static = append(v.Static, attribute{b.source.Fleet.Static[i], strings.ReplaceAll(value, "_", " ")})
		}
	}
	switch {
	case v.Closed() || m.Prediction == nil && alert != nil:
		v.Prediction = &alert.Latest
	case m.Prediction != nil:
		v.Prediction = m.Prediction
	}
	if len(v.Chart.Sensors) > 0 {
		v.Chart.Sensor = v.Chart.Sensors[0].Name
	}
	if p := v.Prediction; p != nil {
		within := length(b.source.Fleet.Horizon)
		v.Words = likely(p.Probability) + " within " + within
		v.Count = outOf(p.Probability, within)
		v.Why = whyLines(p)
		v.Notes = notes(p)
		v.Chart.Sensor = b.telling(p, v.Chart.Sensor)
	}
	return v
}

// telling is the sensor of the weightiest reason that raises the risk.
func (b *board) telling(p *drumbeat.Prediction, otherwise string) string {
	for _, reason := range p.Reasons {
		if sensor := b.source.Fleet.SensorOf[reason.Feature]; sensor != "" && reason.Contribution > 0 {
			return sensor
		}
	}
	return otherwise
}

// whyLines draws the reasons of a prediction.
func whyLines(p *drumbeat.Prediction) []whyLine {
	most := 0.0
	for i := range p.Reasons {
		most = max(most, math.Abs(p.Reasons[i].Contribution))
	}
	var list []whyLine
	for i := range p.Reasons {
		reason := &p.Reasons[i]
		if reason.Contribution == 0 {
			continue
		}
		title, detail, _ := strings.Cut(reason.Text, ": ")
		if title == "" {
			title = strings.ReplaceAll(reason.Feature, "_", " ")
		}
		list = append(list, whyLine{
			Title: title, Detail: detail, Raises: reason.Contribution > 0,
			Weight: max(30, int(math.Abs(reason.Contribution)/most*1000)), // a sliver still shows
		})
	}
	return list
}

// notes says what limits a prediction.
func notes(p *drumbeat.Prediction) []string {
	var list []string
	for _, flag := range p.Flags {
		switch flag {
		case "warming_up":
			list = append(list, "This machine is new: there is too little history to judge it well.")
		case "low_coverage":
			list = append(list, "Fewer than half of the expected readings arrived: take this with care.")
		case "overflow":
			list = append(list, "More readings arrived than the fleet file allows: some figures are missing.")
		case "stale":
			list = append(list, "The newest readings could not be used yet.")
		}
	}
	return list
}
