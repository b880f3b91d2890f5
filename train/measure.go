package train

import (
	"context"
	"fmt"
	"math"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/model"
)

// Later is how well a model does on a stretch of time, such as the one after
// its own data. Intervals are at 95 %.
type Later struct {
	From      drumbeat.Time       `json:"from"`
	Until     drumbeat.Time       `json:"until"`
	LiveRows  int                 `json:"live_rows"` // scored, in the horizon before From too
	Threshold float64             `json:"threshold"`
	Row       label.RowMeasures   `json:"by_row"`   // of the training grid (P6)
	Events    label.EventMeasures `json:"by_event"` // with precision and alert load (M1)
}

// Measure scores the gold rows as of [from, until), and those of the horizon
// before, in which alerts stand that reach into it, and measures them by row
// and by event. Rows that nobody can label yet count in nothing.
func Measure(ctx context.Context, in Input, m *model.Model, from, until drumbeat.Time) (*Later, error) {
	if from >= until {
		return nil, fmt.Errorf("measure %s: from %s until %s holds no time: %w", in.Fleet.Name, from, until, drumbeat.ErrInvalid)
	}
	if m.Hash != in.View.Hash {
		return nil, fmt.Errorf("measure %s: the model reads view hash %.12s, the rows are of %.12s: %w",
			in.Fleet.Name, m.Hash, in.View.Hash, drumbeat.ErrInvalid)
	}
	set, err := NewDataset(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", in.Fleet.Name, err)
	}
	picked := map[drumbeat.Position]label.Value{}
	for i := range set.Rows {
		if r := &set.Rows[i]; r.AsOf >= from && r.AsOf < until {
			picked[r.Position] = r.Verdict.Value
		}
	}
	policy := &in.Fleet.Policy
	bootstrap := label.Bootstrap{Seed: uint64(in.Fleet.Train.Seed)} //nolint:gosec // any bits will do
	out := &Later{From: from, Until: until, Threshold: policy.Threshold}
	events := label.NewEvents(in.Truth, label.EventOptions{
		Threshold: policy.Threshold, MinLead: policy.MinLead, From: from, Until: until, Bootstrap: bootstrap,
	})
	var machines []drumbeat.MachineID
	var scores []float64
	var values []label.Value
	row := make([]float64, len(in.View.Features))
	err = in.Gold.Scan(ctx, lake.GoldScan{From: from.Add(-in.Truth.Horizon()), Until: until}, func(c *lake.GoldChunk) error {
		for i := range c.Len() {
			for f := range row {
				row[f] = c.Features[f][i]
			}
			_, probability := m.Score(row)
			events.Add(&label.Row{
				Machine: c.Machine[i], AsOf: c.AsOf[i], Arrival: c.Arrival[i], Position: c.Position[i],
				Probability: probability, Running: c.Running[i],
			})
			out.LiveRows++
			if value, ok := picked[c.Position[i]]; ok && c.MadeBy[i] == drumbeat.CauseReading {
				machines, scores, values = append(machines, c.Machine[i]), append(scores, probability), append(values, value)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", in.Fleet.Name, err)
	}
	labelled, err := label.NewScores(machines, scores, values)
	if err != nil {
		return nil, fmt.Errorf("measure %s: %w", in.Fleet.Name, err)
	}
	out.Row, out.Events = labelled.Measures(policy.Threshold, bootstrap), events.Measures()
	return out, nil
}

// Sentence says what it came to, with its price.
func (l *Later) Sentence() string {
	e := &l.Events
	if e.Caught+e.Missed == 0 {
		return fmt.Sprintf("No failure of %s to %s can be judged yet.", l.From, l.Until)
	}
	precision := "no alert judged yet"
	if v := e.Load.Precision.Interval.Value; !math.IsNaN(v) {
		precision = fmt.Sprintf("%.0f %% of the alerts right", 100*v)
	}
	return fmt.Sprintf("At %.2f it caught %d of %d failures, with %s and %.2f needless ones per machine and week.",
		l.Threshold, e.Caught, e.Caught+e.Missed, precision, e.Load.FalsePerMachineWeek.Value)
}
