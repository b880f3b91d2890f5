package fleet

import (
	"time"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// label reads the label policy; the horizon of 7 days and the defaults beside
// it are those of the laundry fleet (L1, L2).
func (l *loader) label(v strict.Value) {
	m, p := v.Map(), &l.fleet.Label
	horizon := m.Get("horizon")
	p.Horizon = horizon.Duration(7*strict.Day, time.Minute, 366*strict.Day)
	p.HorizonText = horizon.Raw() // as written, if it says what was read
	if d, err := strict.ParseDuration(p.HorizonText); err != nil || d != p.Horizon {
		p.HorizonText = strict.FormatDuration(p.Horizon)
	}
	p.ReportingLag = m.Get("reporting_lag").Duration(24*time.Hour, 0, 366*strict.Day)
	p.DownMax = m.Get("down_max").Duration(24*time.Hour, 0, 366*strict.Day)
	censors, resolves := m.Get("censors"), m.Get("resolves")
	p.Censors = l.maintenanceTypes(censors)
	p.Resolves = l.maintenanceTypes(resolves)
	m.Close()
}

func (l *loader) maintenanceTypes(v strict.Value) []string {
	types := v.Texts(maxWords)
	if len(types) == 0 {
		return nil
	}
	log := l.fleet.LogNamed(MaintenanceLog)
	switch {
	case log == nil:
		v.Faultf("there is no log named %s under logs", MaintenanceLog)
	case log.Type == "":
		v.Faultf("the log %s has no type", MaintenanceLog)
	case len(log.Types) > 0:
		for _, element := range v.List(maxWords) {
			element.OneOf(0, log.Types...)
		}
	}
	return types
}

// policy reads what alerts may cost. The defaults: the threshold and recall
// target of the origin, and what the laundry fleet's file says.
func (l *loader) policy(v strict.Value) {
	m, p := v.Map(), &l.fleet.Policy
	threshold := m.Get("threshold")
	if threshold.Raw() == "auto" {
		threshold.Faultf("auto comes with backtests, which this version has not: must be a number from 0 to 1")
		p.Threshold = 0.45
	} else {
		p.Threshold = threshold.Float(0.45, 0, 1)
	}
	p.RecallTarget = m.Get("recall_target").Float(0.99, 0, 1)
	p.ProofLowerBound = m.Get("proof").OneOf(0, "point", "lower_bound") == 1
	p.MinFailures = int(m.Get("min_failures").Int(20, 1, 1_000_000))
	p.MinPrecision = m.Get("min_precision").Float(0.2, 0, 1)
	p.MaxFalseAlarms = m.Get("max_false_alarms").Float(0.5, 0, 1000)
	p.MinLead = m.Get("min_lead").Duration(time.Hour, 0, 366*strict.Day)
	p.RetrainBelowRecall = m.Get("retrain_below_recall").Float(0.85, 0, 1)
	p.WarnBelowRecall = m.Get("warn_below_recall").Float(0.90, 0, 1)
	p.HealthyAboveRecall = m.Get("healthy_above_recall").Float(0.95, 0, 1)
	p.DriftSigma = m.Get("drift_sigma").Float(2, 0, 100)
	p.DriftReference = m.Get("drift_reference").Duration(28*strict.Day, strict.Day, 366*strict.Day)
	p.MonitorEvery = m.Get("monitor_every").Duration(strict.Day, strict.Day, 31*strict.Day)
	p.RetrainEvery = m.Get("retrain_every").Duration(30*strict.Day, 0, 366*strict.Day)
	p.Cooldown = m.Get("cooldown").Duration(7*strict.Day, 0, 366*strict.Day)
	p.InspectionMinutes = m.Get("inspection_minutes").Float(15, 0, 100_000)
	if lead := m.Get("min_lead"); lead.Exists() && p.MinLead >= l.fleet.Label.Horizon {
		lead.Faultf("must be below the horizon of %s (got %s)", l.fleet.Label.HorizonText, lead.Raw())
	}
	for _, order := range []struct {
		key       string
		low, high float64
	}{
		{"warn_below_recall", p.RetrainBelowRecall, p.WarnBelowRecall},
		{"healthy_above_recall", p.WarnBelowRecall, p.HealthyAboveRecall},
	} {
		if v := m.Get(order.key); v.Exists() && order.high < order.low {
			v.Faultf("must be at least %g, which calls for more (got %g)", order.low, order.high)
		}
	}
	m.Close()
}

// split reads pinned dates (L4).
func (l *loader) split(v strict.Value) {
	if !v.Exists() {
		return
	}
	m := v.Map()
	s := &Split{
		TrainUntil: m.Need("train_until").Time(drumbeat.NoTime),
		TestFrom:   m.Need("test_from").Time(drumbeat.NoTime),
		TestUntil:  m.Get("test_until").Time(drumbeat.NoTime),
	}
	if s.TrainUntil != drumbeat.NoTime && s.TestFrom != drumbeat.NoTime &&
		s.TestFrom < s.TrainUntil.Add(l.fleet.Label.Horizon) {
		m.Get("test_from").Faultf("must be at least the horizon of %s after train_until (got %s)",
			l.fleet.Label.HorizonText, m.Get("test_from").Raw())
	}
	if s.TestUntil != drumbeat.NoTime && s.TestUntil <= s.TestFrom {
		m.Get("test_until").Faultf("must be after test_from (got %s)", m.Get("test_until").Raw())
	}
	m.Close()
	l.fleet.Split = s
}

// retention reads how long the lake keeps what, and refuses less than what
// labels, monitoring and the judge's memory need. What the views need is known
// to whoever has them.
func (l *loader) retention(v strict.Value) {
	m, r, f := v.Map(), &l.fleet.Retention, &l.fleet
	matured := f.Label.Horizon + f.Label.ReportingLag
	for _, part := range []struct {
		key   string
		keep  *time.Duration
		least time.Duration
		why   string
	}{
		{"bronze", &r.Bronze, strict.Day, "a day must be left to look at"},
		{"dead_letters", &r.DeadLetters, strict.Day, "a day must be left to look at"},
		{"silver", &r.Silver, max(f.Memory(), matured), "readings are judged by, and labels wait for, what came before"},
		{"gold", &r.Gold, matured + f.Policy.DriftReference, "labels and the reference of drift reach so far back"},
		{"predictions", &r.Predictions, matured + f.Policy.DriftReference, "live recall and the reference of drift reach so far back"},
	} {
		text := m.Get(part.key)
		*part.keep = text.Duration(0, strict.Day, 10*tenYears)
		if *part.keep != 0 && *part.keep < part.least {
			text.Faultf("must be at least %s: %s (got %s)", strict.FormatDuration(part.least), part.why, text.Raw())
		}
	}
	m.Close()
}

// train reads XGBoost's parameters. The defaults suit some hundreds of
// failures: shallow trees that learn slowly.
func (l *loader) train(v strict.Value) {
	m, t := v.Map(), &l.fleet.Train
	t.Rounds = int(m.Get("rounds").Int(300, 1, 10_000))
	t.MaxDepth = int(m.Get("max_depth").Int(5, 1, 16))
	t.Eta = m.Get("eta").Float(0.05, 0.0001, 1)
	t.Subsample = m.Get("subsample").Float(0.8, 0.01, 1)
	t.ColSample = m.Get("colsample").Float(0.8, 0.01, 1)
	t.MinChild = m.Get("min_child").Float(1, 0, 1_000_000)
	t.Seed = m.Get("seed").Int(1, 0, 1<<31-1)
	m.Close()
}
