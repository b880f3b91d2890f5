package web

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"drumbeat"
)

const (
	// maxPoints is how many points a chart draws: about one a pixel.
	maxPoints = 1600
	// maxDays is the longest history that is drawn.
	maxDays = 400
	// minBand is how many readings it takes to call a range usual: two days
	// of 15 minutes.
	minBand = 192
)

// chart is the data of a chart.
type chart struct {
	Title    string     `json:"title"`
	Unit     string     `json:"unit"`
	Decimals int        `json:"decimals"`
	Times    []int64    `json:"times"` // seconds since 1970
	Values   []*float64 `json:"values"`
	Usual    *band      `json:"usual"` // null if too little is known
	Alerts   []span     `json:"alerts"`
	From     int64      `json:"from"`
	To       int64      `json:"to"`
	Summary  string     `json:"summary"`
}

// band is the range in which this machine's readings usually lie: nine of ten.
type band struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// span is the time of an alert, in seconds since 1970.
type span struct {
	From int64  `json:"from"`
	To   int64  `json:"to"`
	Open bool   `json:"open"`
	ID   string `json:"id"`
}

// history answers with the data of a machine's chart.
func (b *board) history(w http.ResponseWriter, r *http.Request) error {
	id := drumbeat.MachineID(r.PathValue("id"))
	name := r.URL.Query().Get("sensor")
	at := slices.IndexFunc(b.source.Fleet.Sensors, func(sensor Sensor) bool { return sensor.Name == name })
	if at < 0 {
		return fmt.Errorf("chart of sensor %q: the fleet has no such sensor: %w", name, drumbeat.ErrNotFound)
	}
	days, err := strconv.Atoi(r.URL.Query().Get("days"))
	if err != nil || days < 1 || days > maxDays {
		return fmt.Errorf("chart: days %q: want 1 to %d: %w", r.URL.Query().Get("days"), maxDays, drumbeat.ErrInvalid)
	}
	until := b.source.Now()
	if until == drumbeat.NoTime {
		return fmt.Errorf("chart of %s: no reading has arrived yet: %w", id, drumbeat.ErrNotFound)
	}
	if text := r.URL.Query().Get("until"); text != "" {
		asked, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return fmt.Errorf("chart: until %q: want RFC 3339: %w", text, drumbeat.ErrInvalid)
		}
		until = min(until, drumbeat.At(asked))
	}
	c, err := b.chart(r, HistoryQuery{
		Machine: id, Sensor: name, From: until.Add(-time.Duration(days) * 24 * time.Hour), To: until,
	}, &b.source.Fleet.Sensors[at])
	if err != nil {
		return err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("write chart: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a client that went away is no fault of ours
	return nil
}

func (b *board) chart(r *http.Request, q HistoryQuery, sensor *Sensor) (*chart, error) {
	h, err := b.source.History(r.Context(), q)
	if err != nil {
		return nil, fmt.Errorf("history of %s: %w", q.Machine, err)
	}
	alerts, err := b.source.Alerts(r.Context(), AlertFilter{Machine: q.Machine, Closed: true, Limit: maxPast})
	if err != nil {
		return nil, fmt.Errorf("list alerts of %s: %w", q.Machine, err)
	}
	c := &chart{
		Title: sensor.Title, Unit: sensor.Unit, Decimals: sensor.Decimals,
		To: seconds(q.To), From: seconds(q.From), Alerts: []span{}, Times: []int64{}, Values: []*float64{},
	}
	for i := range alerts {
		a := &alerts[i]
		to, open := a.ClosedAt, false
		if to == drumbeat.NoTime {
			to, open = q.To, true
		}
		if to >= q.From && a.OpenedAt <= q.To {
			c.Alerts = append(c.Alerts, span{seconds(a.OpenedAt), seconds(to), open, a.ID})
		}
	}
	c.Usual = usual(h, alerts, b.source.Fleet.Horizon)
	c.Summary = summary(sensor, h, int(q.To.Sub(q.From)/(24*time.Hour)), c.Usual)
	for _, i := range thin(h.Values, maxPoints) {
		c.Times = append(c.Times, seconds(h.Times[i]))
		if v := h.Values[i]; math.IsNaN(v) {
			c.Values = append(c.Values, nil)
		} else {
			c.Values = append(c.Values, &v)
		}
	}
	return c, nil
}

func seconds(t drumbeat.Time) int64 { return t.Milliseconds() / 1000 }

// usual is the range of nine in ten readings outside the alerts and the time
// in which what they warned of may have begun: a horizon before each.
func usual(h History, alerts []drumbeat.Alert, horizon time.Duration) *band {
	var calm []float64
	for i, v := range h.Values {
		during := slices.ContainsFunc(alerts, func(a drumbeat.Alert) bool {
			return h.Times[i] >= a.OpenedAt.Add(-horizon) && (a.ClosedAt == drumbeat.NoTime || h.Times[i] <= a.ClosedAt)
		})
		if !math.IsNaN(v) && !during {
			calm = append(calm, v)
		}
	}
	if len(calm) < minBand {
		return nil
	}
	slices.Sort(calm)
	return &band{Low: calm[len(calm)/20], High: calm[len(calm)-1-len(calm)/20]}
}

// summary says what the chart shows to those who do not see it.
func summary(sensor *Sensor, h History, days int, b *band) string {
	newest, low, high := math.NaN(), math.Inf(1), math.Inf(-1)
	for _, v := range h.Values {
		if !math.IsNaN(v) {
			newest, low, high = v, min(low, v), max(high, v)
		}
	}
	if math.IsNaN(newest) {
		return fmt.Sprintf("No readings of %s in the last %d days.", sensor.Title, days)
	}
	value := func(v float64) string {
		text := strconv.FormatFloat(v, 'f', min(sensor.Decimals, 2), 64)
		if sensor.Unit != "" {
			text += " " + sensor.Unit
		}
		return text
	}
	text := fmt.Sprintf("%s over %d days: newest %s, lowest %s, highest %s",
		sensor.Title, days, value(newest), value(low), value(high))
	if b != nil {
		text += fmt.Sprintf("; usually between %s and %s", value(b.Low), value(b.High))
	}
	return text + "."
}

// thin picks at most most indices of values: of each stretch its lowest and
// its highest, so that no peak is lost, and a missing one where all are.
func thin(values []float64, most int) []int {
	if len(values) <= most {
		all := make([]int, len(values))
		for i := range all {
			all[i] = i
		}
		return all
	}
	stretches := most / 2
	picked := make([]int, 0, most)
	for n := range stretches {
		from, to := n*len(values)/stretches, (n+1)*len(values)/stretches
		low, high := -1, -1
		for i := from; i < to; i++ {
			if math.IsNaN(values[i]) {
				continue
			}
			if low < 0 || values[i] < values[low] {
				low = i
			}
			if high < 0 || values[i] > values[high] {
				high = i
			}
		}
		switch {
		case low < 0:
			picked = append(picked, from)
		case low == high:
			picked = append(picked, low)
		default:
			picked = append(picked, min(low, high), max(low, high))
		}
	}
	return picked
}
