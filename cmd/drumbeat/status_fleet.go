package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/topic"
)

// fleetStatus is how one fleet is.
type fleetStatus struct {
	Fleet    drumbeat.FleetName `json:"fleet"`
	Clock    string             `json:"clock"` // data or wall (T6)
	Lag      lagStatus          `json:"lag"`
	Lost     string             `json:"lost_records,omitempty"` // of the last days, in words
	Fresh    freshStatus        `json:"freshness"`
	Machines machinesStatus     `json:"machines"`
	Alerts   alertsStatus       `json:"alerts"`
	Model    modelStatus        `json:"model"`
	Report   *reportStatus      `json:"report,omitempty"` // nil before the first
	Recall   *recallStatus      `json:"live_recall,omitempty"`
	Tables   []tableStatus      `json:"tables"`
	Needs    []need             `json:"needs,omitempty"` // the most urgent first
}

// lagStatus is how many records of the topic each part has yet to take in.
type lagStatus struct {
	Bronze int64 `json:"not_in_bronze_records"`
	Silver int64 `json:"not_in_silver_records"` // of those in bronze
	Gold   int64 `json:"not_in_gold_records"`   // of those in silver
	// Stream is what was not scored, nil if the stream never ran.
	Stream *int64 `json:"not_scored_records"`
}

func (l *lagStatus) text() string {
	if l.Bronze+l.Silver+l.Gold == 0 && l.Stream != nil && *l.Stream == 0 {
		return "nothing: every record is in gold and scored"
	}
	scored := "the stream has not run yet"
	if l.Stream != nil {
		scored = fmt.Sprintf("%d not scored", *l.Stream)
	}
	return fmt.Sprintf("%d records not in bronze, %d not in silver, %d not in gold; %s", l.Bronze, l.Silver, l.Gold, scored)
}

// freshStatus is how new the data is.
type freshStatus struct {
	Now    drumbeat.Time `json:"fleet_now"`      // T6
	Newest drumbeat.Time `json:"newest_reading"` // its event time
	// Age is how old the newest reading is by the wall clock, under clock:
	// wall.
	Age *float64 `json:"newest_reading_age_seconds,omitempty"`
}

func (f *freshStatus) ageText() string {
	if f.Age == nil {
		return ""
	}
	return fmt.Sprintf(", %s ago", durationText(time.Duration(*f.Age*float64(time.Second))))
}

// machinesStatus counts the machines; each counts once, the first that
// applies.
type machinesStatus struct {
	Total      int `json:"total"`
	Down       int `json:"down"`        // failed and not repaired (L2)
	NotWatched int `json:"not_watched"` // silent while they should report (A3)
	Off        int `json:"off"`         // switched off by their own last reading (W7)
	WarmingUp  int `json:"warming_up"`  // too little history to judge (W7)
	Watched    int `json:"watched"`
	Unseen     int `json:"unseen"` // the stream has not run yet, so nobody knows
	// Silent names those not watched, the first of them.
	Silent []drumbeat.MachineID `json:"not_watched_machines,omitempty"`
}

func (m *machinesStatus) text() string {
	parts := []string{fmt.Sprintf("%d: %d watched", m.Total, m.Watched)}
	for _, part := range []struct {
		n    int
		text string
	}{
		{m.NotWatched, "not watched"},
		{m.Down, "down"},
		{m.WarmingUp, "warming up"},
		{m.Off, "off"},
		{m.Unseen, "not seen by the stream yet"},
	} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.text))
		}
	}
	return strings.Join(parts, ", ")
}

// alertsStatus is the alerts that wait for somebody.
type alertsStatus struct {
	Open          int                `json:"open"`
	Oldest        drumbeat.Time      `json:"oldest_opened_at"`
	OldestMachine drumbeat.MachineID `json:"oldest_machine,omitempty"`
}

// reportStatus is the last monitoring report.
type reportStatus struct {
	Kind string        `json:"kind"`
	At   drumbeat.Time `json:"at"`
	Says string        `json:"says"`
}

// recallStatus is the recall of live alerts over matured failures, never
// without what it costs (M1, M3).
type recallStatus struct {
	Recall    float64      `json:"recall"`
	Least     float64      `json:"least"` // of its interval
	Most      float64      `json:"most"`
	Caught    int          `json:"caught"`
	Seen      int          `json:"seen"`
	Precision label.Number `json:"precision"` // null without a judged alert
	Load      float64      `json:"alerts_per_machine_week"`
}

// fleetStatus finds out how a fleet is.
func (h *host) fleetStatus(ctx context.Context, d *depot) (fleetStatus, error) {
	f := fleetStatus{Fleet: d.def.Name, Clock: clockName(d.def)}
	tables, err := d.tables(ctx)
	if err != nil {
		return f, err
	}
	for _, t := range tables {
		f.Tables = append(f.Tables, statusOf(t, d.def.Name))
	}
	f.Fresh = h.freshness(d, tables)
	if f.Lag, err = d.lag(ctx); err != nil {
		return f, err
	}
	lost, err := d.lake.AllLost(ctx)
	if err != nil {
		return f, err
	}
	if lost = recentlyLost(lost, wallNow()); len(lost) > 0 {
		f.Lost = lostText(lost)
	}
	if f.Machines, err = d.machinesStatus(ctx, f.Fresh.Now); err != nil {
		return f, err
	}
	f.Alerts = d.alertsStatus()
	if f.Model, err = d.modelStatus(ctx, f.Fresh.Now); err != nil {
		return f, err
	}
	if err := f.monitored(ctx, d); err != nil {
		return f, err
	}
	f.Needs = f.needs(d, h.listener != nil)
	return f, nil
}

// monitored takes in what monitoring's newest report says.
func (f *fleetStatus) monitored(ctx context.Context, d *depot) error {
	last, err := d.lastReport(ctx)
	if err != nil || last == nil {
		return err
	}
	f.Report = &reportStatus{Kind: reportMonitor, At: last.MadeAt}
	if last.Drift != nil {
		f.Report.Says = strings.Join(last.Drift.Sentences, " ")
	}
	if live := last.Live; live != nil && live.Seen > 0 {
		m := &live.Measures
		f.Recall = &recallStatus{
			Recall: m.Recall.Interval.Value, Least: m.Recall.Interval.Low, Most: m.Recall.Interval.High,
			Caught: live.Caught, Seen: live.Seen, Precision: label.Number(m.Load.Precision.Interval.Value),
		}
		if m.MachineWeeks > 0 {
			f.Recall.Load = float64(m.Load.Alerts) / m.MachineWeeks
		}
	}
	return nil
}

func clockName(def *fleet.Fleet) string {
	if def.Clock == fleet.ClockWall {
		return "wall"
	}
	return "data"
}

// readingsTable is the table that silver's progress is kept in.
const readingsTable = "silver/readings"

// freshness reads how new the readings are from what the log says of the
// files of silver, without opening one.
func (h *host) freshness(d *depot, tables []*delta.Table) freshStatus {
	newest, arrived := drumbeat.NoTime, drumbeat.NoTime
	for _, t := range tables {
		if t.Name() == string(d.def.Name)+"/"+readingsTable {
			newest, arrived = latest(t.Snapshot(), "event_time"), latest(t.Snapshot(), "arrival_time")
		}
	}
	f := freshStatus{Now: h.clock(d, arrived), Newest: newest}
	if d.def.Clock == fleet.ClockWall && newest != drumbeat.NoTime {
		age := f.Now.Sub(newest).Seconds()
		f.Age = &age
	}
	return f
}

// latest is the greatest value of a column of times. A log rounds greatest
// values up to the microsecond before the next millisecond; ours are whole (T1).
func latest(s *delta.Snapshot, column string) drumbeat.Time {
	greatest := drumbeat.NoTime
	at := s.Schema().Index(column)
	if at < 0 {
		return greatest
	}
	for _, file := range s.Files() {
		if _, most, known := file.Range(s.Schema()[at]); known {
			greatest = max(greatest, drumbeat.Time(most))
		}
	}
	return greatest.Cut()
}

// clock is the fleet's clock (T6); arrived is the greatest arrival time in
// silver, which is what it shows once everything is drained.
func (h *host) clock(d *depot, arrived drumbeat.Time) drumbeat.Time {
	if d.def.Clock == fleet.ClockWall {
		return drumbeat.At(wallNow())
	}
	now := max(arrived, d.alerts.Now())
	for _, running := range h.daemons {
		if running.depot == d && running.stream != nil {
			now = max(now, running.stream.Clock().Now())
		}
	}
	return now
}

// reach is how far a fleet's data has come, part by part, as the next
// offset by partition.
type reach struct {
	ends                 lake.Progress // of the telemetry topic
	bronze, silver, gold lake.Progress
	streamed             lake.Progress // empty if the stream never ran
}

// progressOf reads how far everything has come.
func (d *depot) progressOf(ctx context.Context) (p reach, err error) {
	gold := lake.Progress{}
	if table, err := d.lake.Gold(ctx, d.view.Name, d.view.Hash, d.view.Names()); err != nil {
		return p, fmt.Errorf("open gold: %w", err)
	} else if d.lake.Epoch() == d.telemetry.Epoch {
		gold = table.Progress()
	}
	p.gold, p.silver, p.bronze = gold, lake.Progress{}, lake.Progress{}
	if d.lake.Epoch() == d.telemetry.Epoch { // else all that is known is of another topic (T2)
		p.silver, p.bronze = d.lake.SilverProgress(), d.lake.BronzeProgress()
	}
	if p.streamed, err = topic.Committed(ctx, d.kafka, d.streamGroup(), d.telemetry.Name); err != nil {
		return p, err
	}
	p.ends, err = topic.Ends(ctx, d.kafka, d.telemetry.Name)
	return p, err
}

// behind counts what to lacks of from.
func behind(from, to lake.Progress) int64 {
	var n int64
	for partition, offset := range from {
		n += max(0, offset-to[partition])
	}
	return n
}

func (d *depot) lag(ctx context.Context) (lagStatus, error) {
	p, err := d.progressOf(ctx)
	if err != nil {
		return lagStatus{}, err
	}
	l := lagStatus{Bronze: behind(p.ends, p.bronze), Silver: behind(p.bronze, p.silver), Gold: behind(p.silver, p.gold)}
	if len(p.streamed) > 0 {
		n := behind(p.ends, p.streamed)
		l.Stream = &n
	}
	return l, nil
}

// known lists the machines that were declared or heard of, sorted.
func (d *depot) known(ctx context.Context) ([]drumbeat.MachineID, error) {
	items, err := d.lake.Machines(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the machines: %w", err)
	}
	online, err := d.online.Machines(ctx, d.view.Hash)
	if err != nil {
		return nil, fmt.Errorf("read the online store: %w", err)
	}
	all := map[drumbeat.MachineID]bool{}
	for i := range items {
		all[items[i].Machine] = true
	}
	for _, id := range online {
		all[id] = true
	}
	return slices.Sorted(maps.Keys(all)), nil
}

// silentCadences is how many cadences a machine may be silent (A3).
const silentCadences = 4

func (d *depot) machinesStatus(ctx context.Context, now drumbeat.Time) (machinesStatus, error) {
	ids, err := d.known(ctx)
	if err != nil {
		return machinesStatus{}, err
	}
	records, err := d.online.Read(ctx, d.view.Hash, ids, false)
	if err != nil {
		return machinesStatus{}, fmt.Errorf("read the online store: %w", err)
	}
	m := machinesStatus{Total: len(ids)}
	streamed := slices.ContainsFunc(records, func(r feature.Record) bool { return r.Vector.Values != nil })
	for i := range records {
		v := &records[i].Vector
		never := v.Values == nil
		silent := never || now != drumbeat.NoTime && now.Sub(v.AsOf) > silentCadences*d.def.Cadence
		switch {
		case !streamed:
			m.Unseen++
		case d.alerts.Down(ids[i], now):
			m.Down++
		case silent && (never || v.Running):
			m.NotWatched++
			if len(m.Silent) < maxShown {
				m.Silent = append(m.Silent, ids[i])
			}
		case silent:
			m.Off++
		case v.WarmingUp:
			m.WarmingUp++
		default:
			m.Watched++
		}
	}
	return m, nil
}

func (d *depot) alertsStatus() alertsStatus {
	open := d.alerts.Open()
	s := alertsStatus{Open: len(open), Oldest: drumbeat.NoTime}
	if len(open) > 0 {
		oldest := slices.MinFunc(open, func(a, b drumbeat.Alert) int { return cmp.Compare(a.OpenedAt, b.OpenedAt) })
		s.Oldest, s.OldestMachine = oldest.OpenedAt, oldest.Machine
	}
	return s
}
