package main

import (
	"cmp"
	"context"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/monitor"
	"drumbeat/web"
)

func (m *modelPages) health(ctx context.Context) (web.Health, error) {
	d := m.daemon
	out := web.Health{
		NextMonitor: m.next(ctx, graphMonitor, d.def.Policy.MonitorEvery), NextRetrain: m.next(ctx, graphTrain, d.def.Policy.RetrainEvery),
	}
	last, err := d.lastReport(ctx)
	if err != nil || last == nil {
		return out, err
	}
	if last.Drift != nil {
		out.Drift = shownDrift(last)
	}
	if last.Live != nil {
		out.Live = shownLive(last.Live)
	}
	for _, t := range last.Triggers {
		out.Triggers = append(out.Triggers, web.Trigger{Kind: t.Kind, Subject: t.Subject, Since: t.Since, Sentence: t.Sentence})
	}
	return out, nil
}

func shownLive(l *monitor.LiveReport) *web.Live {
	out := &web.Live{
		MadeAt: l.FleetNow, From: l.From, Until: l.Until, Status: web.Status(l.Status), Sentence: l.Sentence,
		Caught: l.Caught, Missed: l.Missed, Immature: l.Immature, Unknown: l.Measures.Load.Unknown, Unobservable: l.Unobservable,
	}
	measuresInto(&out.Measures, &l.Measures)
	return out
}

// qualityDays is how many days the page shows, qualityAge how old the answer
// may be: many pages may ask, and tables are read for it.
const (
	qualityDays = 30
	qualityAge  = 20 * time.Second
)

// quality answers from memory if somebody asked just now.
func (m *modelPages) quality(ctx context.Context) (web.Quality, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := wallNow(); now.Sub(m.qualityAt) > qualityAge {
		q, err := m.readQuality(ctx)
		if err != nil {
			return q, err
		}
		m.qualityNow, m.qualityAt = q, now
	}
	return m.qualityNow, nil
}

func (m *modelPages) readQuality(ctx context.Context) (web.Quality, error) {
	d := m.daemon
	var out web.Quality
	now := d.now()
	if now == drumbeat.NoTime {
		return out, nil
	}
	days, err := d.lake.Quality(ctx, now.Add(-qualityDays*24*time.Hour), now+1)
	if err != nil {
		return out, err
	}
	for i := range days {
		q := &days[i]
		fate := func(f drumbeat.Fate) int64 { return q.Items[f.String()] }
		day := web.QualityDay{
			Day: q.Day, Machines: q.Machines, Kept: fate(drumbeat.FateKept), Late: fate(drumbeat.FateLate),
			Duplicate: fate(drumbeat.FateDuplicate), Future: fate(drumbeat.FateFuture), Rejected: fate(drumbeat.FateRejected),
			Undecodable: fate(drumbeat.FateUndecodable), UnknownMachine: fate(drumbeat.FateUnknownMachine),
		}
		for s := range d.def.Sensors {
			day.Flags = append(day.Flags, shownFlags(q.Sensors[d.def.Sensors[s].Name]))
		}
		out.Days = append(out.Days, day)
	}
	machines, err := m.host.api.Board(d.def.Name).Machines(ctx)
	if err != nil {
		return out, err
	}
	for i := range machines {
		if machines[i].State == drumbeat.StateNotWatched {
			silent := web.Silent{Machine: machines[i].ID, LastSeen: machines[i].LastSeen, Since: drumbeat.NoTime}
			if silent.LastSeen != drumbeat.NoTime {
				silent.Since = silent.LastSeen.Add(4 * d.def.Cadence) // A3
			}
			out.Silent = append(out.Silent, silent)
		}
	}
	return out, nil
}

func shownDrift(r *monitored) *web.Drift {
	in := r.Drift
	out := &web.Drift{
		MadeAt: r.MadeAt, ReferenceFrom: in.Reference.From, ReferenceUntil: in.Reference.Until, Sigma: float64(in.Sigma),
		Sentence: strings.Join(in.Sentences, " "),
	}
	judged := false
	for i := range in.Sensors {
		s := &in.Sensors[i]
		if s.Weekday.Missing == "" && s.Weekend.Missing == "" {
			judged = true
		}
		shown := web.SensorDrift{
			Name: s.Sensor, Counter: s.Counter, Flagged: s.Flagged, Since: s.Since, Shift: float64(s.Shift), Effect: float64(s.Effect), Sentence: s.Sentence,
			Weekday: shownUsual(&s.Weekday), Weekend: shownUsual(&s.Weekend),
		}
		for j := range s.Days {
			shown.Days = append(shown.Days, web.DayMean{Day: s.Days[j].Day, Mean: float64(s.Days[j].Mean)})
		}
		out.Sensors = append(out.Sensors, shown)
	}
	if !judged && len(in.Sensors) > 0 { // the reference lacks something for every sensor
		out.TooShort = cmp.Or(in.Sensors[0].Weekday.Missing, in.Sensors[0].Weekend.Missing)
	}
	for i := range in.Features {
		out.Features = append(out.Features, shownFeature(&in.Features[i]))
	}
	if in.Predictions != nil {
		out.Predictions = shownFeature(in.Predictions)
	}
	return out
}

func shownUsual(u *monitor.Usual) web.Reference {
	return web.Reference{Mean: float64(u.Mean), SD: float64(u.SD), Days: u.Days}
}

func shownFeature(f *monitor.FeatureDrift) web.FeatureDrift {
	level := web.Level(f.Level)
	if f.Level == monitor.LevelUnjudged {
		level = web.LevelUnknown
	}
	return web.FeatureDrift{
		Name: f.Feature, Title: f.Title, MadeOf: f.MadeOf, Flagged: f.Flagged, PSI: float64(f.PSI), Usual: float64(f.UsualPSI),
		Level: level, Effect: float64(f.Difference), Sentence: f.Sentence,
	}
}

func shownFlags(s lake.SensorQuality) web.SensorFlags {
	return web.SensorFlags{
		Values: s.Values, Clipped: s.Clipped, Nulled: s.Nulled, Conflict: s.Conflicts, Stuck: s.Stuck, Jump: s.Jumps, Missing: s.Missing,
	}
}
