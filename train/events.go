package train

import (
	"context"
	"math"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/model"
)

// The search for the threshold that reaches a recall: halving finds one that
// does, then the space above it is halved a few times. A bound that every
// failure's best row passes is where it begins, and is often too high: an alert
// that another row opened may be silent when the best one comes.
const (
	thresholdHalvings    = 8
	thresholdRefinements = 5
)

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

	t.fullRecall(rows, &now)
	return nil
}

// fullRecall looks for the highest threshold that reaches the recall target on
// the test rows, and says what it would cost.
func (t *training) fullRecall(rows []label.Row, now *label.EventMeasures) {
	target := t.in.Fleet.Policy.RecallTarget
	full := &t.report.FullRecall
	full.Target, full.Threshold = Number(target), Number(math.NaN())
	high, ok := label.ThresholdFor(now.Results, target)
	if !ok {
		return
	}
	reaches := func(threshold float64) bool {
		m := now
		if threshold != now.Threshold {
			own := t.events(rows, threshold)
			m = &own
		}
		if m.Recall.Interval.Value < target {
			return false
		}
		full.Reached = true
		full.fill(m)
		return true
	}
	if reaches(high) {
		return
	}
	low := high / 2
	if now.Threshold < high && reaches(now.Threshold) {
		low = now.Threshold
	} else {
		for range thresholdHalvings {
			if reaches(low) {
				break
			}
			low, high = low/2, low
		}
	}
	for range thresholdRefinements {
		if !full.Reached {
			return
		}
		if middle := (low + high) / 2; reaches(middle) {
			low = middle
		} else {
			high = middle
		}
	}
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
			if !t.in.knows(c.Position[i]) {
				continue
			}
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
