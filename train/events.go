package train

import (
	"context"
	"math"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/model"
)

// Lowering a threshold that did not reach the target: by half the odds each
// time. Alerts that others opened can hide the row that a bound counts on, so
// a step or two is usual.
const thresholdTries = 8

// measureEvents replays the test span's live scoring rows (every gold row,
// corrections too: P6) under the alert rules: at the threshold in force, and
// at the one that the recall target would take.
func (t *training) measureEvents(ctx context.Context) error {
	rows, err := t.liveRows(ctx)
	if err != nil {
		return err
	}
	t.report.LiveRows = len(rows)
	policy := &t.in.Fleet.Policy
	now := t.events(rows, policy.Threshold)
	t.report.events(&now)

	target := policy.RecallTarget
	full := &t.report.FullRecall
	full.Target, full.Threshold = Number(target), Number(math.NaN())
	threshold, ok := label.ThresholdFor(now.Results, target)
	for range thresholdTries {
		if !ok || !(threshold > 0) {
			break
		}
		m := t.events(rows, threshold)
		full.fill(&m)
		if full.Reached = m.Recall.Interval.Value >= target; full.Reached {
			break
		}
		threshold /= 2
	}
	return nil
}

func (t *training) events(rows []label.Row, threshold float64) label.EventMeasures {
	test := &t.split.Spans[partTest]
	e := label.NewEvents(t.in.Truth, label.EventOptions{
		Threshold: threshold, MinLead: t.in.Fleet.Policy.MinLead, From: test.From, Until: test.Until,
		Bootstrap: t.bootstrap(),
	})
	for i := range rows {
		e.Add(&rows[i])
	}
	return e.Measures()
}

// liveRows scores the gold rows of the test span and of the gap before it, in
// which alerts stand that reach into the span.
func (t *training) liveRows(ctx context.Context) ([]label.Row, error) {
	test := &t.split.Spans[partTest]
	var rows []label.Row
	var x []float32
	width := len(t.data.Features)
	scan := lake.GoldScan{From: test.From.Add(-t.in.Truth.Horizon()), Until: test.Until}
	err := t.in.Gold.Scan(ctx, scan, func(c *lake.GoldChunk) error {
		x = transpose(c, width, x)
		for i, margin := range margins(t.ours, x, c.Len(), t.opt.Threads) {
			rows = append(rows, label.Row{
				Machine: c.Machine[i], AsOf: c.AsOf[i], Arrival: c.Arrival[i], Position: c.Position[i],
				Probability: t.model.Calibrator.Probability(float64(margin)), Running: c.Running[i],
			})
		}
		return nil
	})
	return rows, err
}

// transpose writes a chunk's features row after row.
func transpose(c *lake.GoldChunk, width int, x []float32) []float32 {
	n := c.Len() * width
	if cap(x) < n {
		x = make([]float32, n)
	}
	x = x[:n]
	values := make([]float64, 0, width)
	for i := range c.Len() {
		values = values[:0]
		for f := range c.Features {
			values = append(values, c.Features[f][i])
		}
		model.Narrow(values, x[i*width:i*width:(i+1)*width])
	}
	return x
}

// events takes the measures at the threshold in force.
func (r *Report) events(m *label.EventMeasures) {
	r.Threshold = Number(m.Threshold)
	r.EventRecall, r.EventRecallInterval = pair(m.Recall.Interval)
	r.Precision, r.PrecisionInterval = pair(m.Load.Precision.Interval)
	r.FalseAlarms, r.FalseAlarmsInterval = pair(m.Load.FalsePerMachineWeek)
	r.LeadTimeHours, r.LeadTimeInterval = pair(m.LeadHours)
	r.Events = *m
	r.Events.Results = nil
	r.AlwaysAlarm.Precision, _ = pair(m.AlwaysAlarm.Precision.Interval)
	r.AlwaysAlarm.FalseAlarms, _ = pair(m.AlwaysAlarm.FalsePerMachineWeek)
	r.Failures = nil
	for i := range m.Results {
		e := &m.Results[i]
		f := failure{
			Machine: e.Event.Machine, At: e.Event.At, Mode: e.Event.Mode, Result: e.Result.String(),
			Repaired: e.Repaired, Best: Number(e.Best), Lead: Number(math.NaN()),
		}
		if e.Result == label.Caught {
			f.Lead = Number(e.Lead.Hours())
		}
		r.Failures = append(r.Failures, f)
	}
}

// failure is one failure or repair of the test span and what became of it.
type failure struct {
	Machine  drumbeat.MachineID `json:"machine"`
	At       drumbeat.Time      `json:"at"`
	Mode     string             `json:"mode,omitempty"`
	Repaired bool               `json:"repaired,omitempty"`
	Result   string             `json:"result"`
	Lead     Number             `json:"lead_hours"`
	Best     Number             `json:"best_probability"`
}

func (f *fullRecall) fill(m *label.EventMeasures) {
	f.Threshold = Number(m.Threshold)
	f.EventRecall, _ = pair(m.Recall.Interval)
	f.Precision, _ = pair(m.Load.Precision.Interval)
	f.FalseAlarms, _ = pair(m.Load.FalsePerMachineWeek)
	f.LeadTimeHours, _ = pair(m.LeadHours)
}
