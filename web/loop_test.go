package web_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/web"
)

const dayLong = 24 * time.Hour

// loop is the made-up monitoring loop of a floor: models, health and quality.
type loop struct {
	models  web.Models
	health  web.Health
	quality web.Quality
	asked   []string // for a promotion, a rollback, a retraining
}

func date(month time.Month, day int) drumbeat.Time {
	return drumbeat.At(time.Date(2026, month, day, 6, 0, 0, 0, time.UTC))
}

// wilson is K of N with Wilson's interval at 95 %.
func wilson(k, n int) web.Share {
	const z = 1.96
	p, m := float64(k)/float64(n), float64(n)
	middle, half := p+z*z/(2*m), z*math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return web.Share{K: k, N: n, Low: (middle - half) / (1 + z*z/m), High: (middle + half) / (1 + z*z/m)}
}

func measures(k, n, right, alerts int) web.Measures {
	return web.Measures{
		BaseRate:           web.Estimate{Value: 0.041, Low: 0.036, High: 0.047},
		PRAUC:              web.Estimate{Value: 0.61, Low: 0.52, High: 0.69},
		Recall:             wilson(k, n),
		RecallWithRepaired: wilson(k+2, n+2),
		Precision:          wilson(right, alerts),
		FalseAlarms:        web.Estimate{Value: 0.093, Low: 0.064, High: 0.137}, AlertsPerWeek: 12.4,
		LeadHours: web.Estimate{Value: 98, Low: 71, High: 122}, ShuffledROCAUC: 0.507,
	}
}

// newLoop makes a loop in which vibration has drifted, a retraining has made
// version 4, and the gate refuses it for lack of failures.
func newLoop(now drumbeat.Time) *loop {
	l := &loop{}
	l.models = web.Models{
		Previous: 2, NextRetrain: now.Add(21 * dayLong), Versions: newVersions(now), Ledger: newLedger(), Runs: newRuns(now),
	}
	l.health = newHealth(now)
	l.quality = newQuality(now)
	return l
}

func newVersions(now drumbeat.Time) []web.Version {
	const hash = "9f31c07be4a85d12f6a0"
	gate := &web.Gate{
		JudgedAt: now.Add(-8 * time.Hour), Sentence: "Version 4 caught 11 of 11 failures, as the champion did; 9 more failures are needed, about 16 days at this fleet's rate.",
		Rows: []web.GateRow{
			{Name: "enough_failures", Asked: "at least 20", Measured: "11", Missing: "9 more failures, about 16 days at this fleet's rate"},
			{Name: "event_recall", Asked: "at least 99 %", Measured: "100 % (11 of 11)", Bound: "74.1 %", OK: true},
			{Name: "not_worse_than_champion", Asked: "none that only the champion caught", Measured: "0 only the champion, 0 only version 4", Bound: "p = 1", OK: true},
			{Name: "precision", Asked: "at least 20 %", Measured: "58 % (11 of 19)", Bound: "36.3 %", OK: true},
			{Name: "false_alarms", Asked: "at most 0.5 per machine and week", Measured: "0.11", Bound: "0.19", OK: true},
			{Name: "better_than_always", Asked: "precision above 9.4 %", Measured: "58 %", Bound: "36.3 %", OK: true},
		},
	}
	return []web.Version{
		{
			Number: 4, Role: drumbeat.RoleChallenger, TrainedAt: date(time.March, 24), TrainedWall: date(time.November, 24), Who: "the schedule",
			Why: "vibration has drifted since 20 Mar 2026", Horizon: 7 * dayLong, Threshold: 0.45, Hash: hash, Measures: measures(23, 23, 24, 35), Gate: gate,
			Shadow: &web.Shadow{
				From: date(time.March, 24), Until: now, Rows: 67_204, OnlyOne: 12, BothAbove: 402, NeitherAbove: 66_548, OnlyChampionAbove: 187,
				OnlyChallengerAbove: 67, ChampionAlerts: 23, ChallengerAlerts: 19, ChampionPrecision: wilson(12, 23), ChallengerPrecision: wilson(11, 19), CaughtByBoth: 10, CaughtByChallenger: 1,
				Sentence: "On the same readings version 4 would have opened 19 alerts, the champion opened 23.",
			},
		},
		{
			Number: 5, Role: "challenger-2", TrainedAt: date(time.March, 25), TrainedWall: date(time.November, 24), Who: "Ana Keller", Why: "control: labels shuffled",
			Horizon: 7 * dayLong, Threshold: 0.45, Hash: hash, Measures: measures(2, 23, 3, 41),
		},
		{
			Number: 3, Role: drumbeat.RoleChampion, TrainedAt: date(time.March, 2), TrainedWall: date(time.November, 23), Who: "the schedule", Why: "monthly retraining",
			Horizon: 7 * dayLong, Threshold: 0.45, Hash: hash, Measures: measures(23, 24, 23, 37),
		},
		{
			Number: 2, Former: true, TrainedAt: date(time.February, 2), TrainedWall: date(time.November, 23), Who: "the schedule", Why: "monthly retraining",
			Horizon: 7 * dayLong, Threshold: 0.45, Hash: hash, Measures: measures(20, 24, 20, 40),
		},
		{
			Number: 1, Former: true, TrainedAt: date(time.January, 2), TrainedWall: date(time.November, 23), Who: "quickstart", Why: "the fleet's first model",
			Horizon: 7 * dayLong, Threshold: 0.45, Hash: "11c0ffee90", Measures: measures(17, 22, 17, 44),
		},
	}
}

func newLedger() []web.LedgerRow {
	return []web.LedgerRow{
		{Seq: 5, Alias: "challenger-2", To: 5, Who: "Ana Keller", Why: "control: labels shuffled", Proof: "no gate", WhenFleet: date(time.March, 25), WhenWall: date(time.November, 24)},
		{Seq: 4, Alias: drumbeat.RoleChallenger, To: 4, Who: "the schedule", Why: "vibration has drifted", Proof: "no gate", WhenFleet: date(time.March, 24), WhenWall: date(time.November, 24)},
		{Seq: 3, Alias: drumbeat.RoleChampion, From: 2, To: 3, Who: "Marco Rossi", Why: "passed the gate", Proof: `{"passed":true,"rows":[{"name":"enough failures","asked":20,"measured":24,"ok":true},{"name":"event recall","asked":0.99,"measured":1,"lower_bound":0.86,"ok":true}]}`, WhenFleet: date(time.March, 6), WhenWall: date(time.November, 23)},
		{Seq: 2, Alias: drumbeat.RoleChampion, From: 1, To: 2, Who: "Marco Rossi", Why: "version 1 rings too often; the summer's failures are missing, and we know it", Proof: `{"passed":false}`, WhenFleet: date(time.February, 4), WhenWall: date(time.November, 23)},
		{Seq: 1, Alias: drumbeat.RoleChampion, To: 1, Who: "quickstart", Why: "the fleet's first champion: no gate", Proof: "no gate", WhenFleet: date(time.January, 2), WhenWall: date(time.November, 23)},
	}
}

func newRuns(now drumbeat.Time) []web.Run {
	return []web.Run{
		{
			ID: "r-8f21", Reason: "Somebody asked: new belts since February", Who: "Ana Keller", State: web.RunRunning, WhenFleet: now.Add(-time.Hour), WhenWall: date(time.November, 25),
			Steps: []web.RunStep{
				{Name: "label", State: web.RunDone, Seconds: 1.2},
				{Name: "dataset", State: web.RunDone, Seconds: 3.4},
				{Name: "train", State: web.RunRunning, Seconds: 8},
				{Name: "evaluate", State: web.RunWaiting},
				{Name: "register", State: web.RunWaiting},
			},
		},
		{
			ID: "r-71bb", Reason: "Vibration has drifted since 20 Mar 2026", Who: "the schedule", State: web.RunDone, WhenFleet: date(time.March, 24), WhenWall: date(time.November, 24), Version: 4,
			Steps: []web.RunStep{
				{Name: "label", State: web.RunDone, Seconds: 1.1},
				{Name: "dataset", State: web.RunDone, Seconds: 3.1},
				{Name: "train", State: web.RunDone, Seconds: 21},
				{Name: "evaluate", State: web.RunDone, Seconds: 6.4},
				{Name: "register", State: web.RunDone, Seconds: 0.2},
			},
		},
		{
			ID: "r-5e03", Reason: "Monthly retraining", Who: "the schedule", State: web.RunFailed, WhenFleet: date(time.February, 2), WhenWall: date(time.November, 23),
			Error: "Train version: the failure log ends on 14 Jan 2026, so nothing after 7 Jan is labelled: load the log, then retry.",
			Steps: []web.RunStep{{Name: "label", State: web.RunDone, Seconds: 0.9}, {Name: "dataset", State: web.RunFailed, Seconds: 0.1}, {Name: "train", State: web.RunWaiting}},
		},
	}
}

func newHealth(now drumbeat.Time) web.Health {
	live := measures(23, 24, 23, 37)
	h := web.Health{
		NextMonitor: now.Add(9 * time.Hour), NextRetrain: now.Add(21 * dayLong),
		Live: &web.Live{
			MadeAt: now.Add(-14 * time.Hour), From: date(time.January, 1), Until: date(time.March, 23), Status: web.StatusHealthy,
			Sentence: "23 of 24 failures were foretold (96 %), half of them four days ahead or more; 23 of 37 alerts were right.",
			Measures: live, RetrainBelow: 0.85, WarnBelow: 0.90, HealthyAbove: 0.95, Caught: 23, Missed: 1, Immature: 4, Unknown: 2, Unobservable: 1,
		},
		Triggers: []web.Trigger{
			{Kind: "data_drift", Subject: "vibration_hz", Since: date(time.March, 20), Sentence: "Vibration is 3.2 Hz above what is usual, on every day since 20 Mar 2026.", Run: "r-71bb"},
			{Kind: "schedule", Subject: "monthly", Since: date(time.March, 2), Sentence: "A month has passed since the last retraining.", Run: "r-5e03"},
		},
	}
	d := &web.Drift{
		MadeAt: now.Add(-14 * time.Hour), ReferenceFrom: date(time.January, 26), ReferenceUntil: date(time.February, 23), Sigma: 2,
		Sentence: "Vibration has moved by +3.2 Hz since 20 Mar 2026; five sensors are as usual.",
	}
	random := mathrand.New(mathrand.NewPCG(3, 4))
	for i, s := range newFloor().source().Fleet.Sensors {
		mean, sd := []float64{61, 48, 3.2, 11, 14, 0.4}[i], []float64{0.5, 0.7, 0.03, 0.2, 0.6, 0.05}[i]
		line := web.SensorDrift{
			Name: s.Name, Since: drumbeat.NoTime, Shift: 0.2 * sd, Effect: 0.04, Weekday: web.Reference{Mean: mean, SD: sd, Days: 20},
			Counter: s.Name == "runtime_hours", Weekend: web.Reference{Mean: mean * 0.96, SD: sd * 1.2, Days: 8}, Sentence: s.Title + ": as usual on the last days.",
		}
		if s.Name == "vibration_hz" {
			line.Flagged, line.Since, line.Shift, line.Effect = true, date(time.March, 20), 3.21, 0.92
			line.Sentence = "vibration: 3.2 Hz above what is usual, on every day since 20 Mar 2026; 0.92 spreads between machines."
		}
		start := drumbeat.At(time.Date(2026, time.January, 26, 0, 0, 0, 0, time.UTC))
		for n := range 64 {
			at := start.Add(time.Duration(n) * dayLong)
			usual, spread := mean, sd
			if day := at.Std().Weekday(); day == time.Saturday || day == time.Sunday {
				usual, spread = mean*0.96, sd*1.2
			}
			v := usual + random.NormFloat64()*spread*0.8
			if line.Flagged && at >= line.Since.Add(-dayLong) {
				v += 3.2
			}
			if n == 40 {
				v = math.NaN()
			}
			line.Days = append(line.Days, web.DayMean{Day: at, Mean: v})
		}
		d.Sensors = append(d.Sensors, line)
	}
	d.Features = []web.FeatureDrift{
		{Name: "temp_rolling_std_7d", MadeOf: []string{"temperature_c"}, PSI: 0.02, Level: web.LevelNone, Effect: 0.03},
		{Name: "vibration_rolling_mean_7d", MadeOf: []string{"vibration_hz"}, PSI: 0.61, Usual: 0.08, Flagged: true, Level: web.LevelSignificant, Effect: 0.94, Sentence: "higher than nine of ten reference rows"},
		{Name: "vibration_health", MadeOf: []string{"vibration_hz"}, PSI: 0.17, Level: web.LevelSlight, Effect: 0.31},
		{Name: "errors_7d", Title: "error codes, sum of 7 days", MadeOf: []string{"error_code_count"}, PSI: 0.31, Usual: 0.24, Level: web.LevelSignificant, Effect: 0.12, Sentence: "weeks of the reference differ as much"},
		{Name: "runtime_total", MadeOf: []string{"runtime_hours"}, PSI: math.NaN(), Level: web.LevelUnknown, Effect: math.NaN(), Sentence: "it only grows: that time has passed is no drift"},
	}
	d.Predictions = web.FeatureDrift{PSI: 0.19, Level: web.LevelSlight, Effect: 0.28, Sentence: "the model names higher risks than before"}
	h.Drift = d
	return h
}

func newQuality(now drumbeat.Time) web.Quality {
	var q web.Quality
	random := mathrand.New(mathrand.NewPCG(5, 6))
	today := drumbeat.At(now.Std().Truncate(dayLong))
	for n := 44; n >= 0; n-- {
		d := web.QualityDay{
			Day: today.Add(-time.Duration(n) * dayLong), Machines: 98 + random.IntN(3), Kept: 6100 + int64(random.IntN(500)), Duplicate: int64(random.IntN(40)),
			Late: int64(random.IntN(9)), Rejected: int64(random.IntN(3)),
		}
		for i := range 6 {
			d.Flags = append(d.Flags, web.SensorFlags{
				Values: d.Kept - int64(i), Missing: int64(i), Clipped: int64(random.IntN(4)), Stuck: int64(random.IntN(1 + 6*(i%2))),
			})
		}
		if n == 2 {
			d.Late = 412
			d.Flags[1].Jump = 240
		}
		if n == 0 {
			d.Kept = 3004
		}
		q.Days = append(q.Days, d)
	}
	q.Silent = []web.Silent{{Machine: "W-058", Since: now.Add(-30 * time.Hour), LastSeen: now.Add(-31 * time.Hour)}}
	return q
}

// report makes the report of a version.
func (f *floor) report(_ context.Context, n drumbeat.ModelVersion) (web.Report, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.loop.models.Versions, func(v web.Version) bool { return v.Number == n })
	if i < 0 {
		return web.Report{}, fmt.Errorf("version %d: %w", n, drumbeat.ErrNotFound)
	}
	manifest, err := json.Marshal(map[string]any{
		"format": 1, "fleet": "laundry", "view": "machine_health", "features": []string{"vibration_rolling_mean_7d", "errors_7d"},
		"params": map[string]string{"max_depth": "6", "eta": "0.1"}, "seed": 7, "library": "xgboost 3.2.0",
	})
	r := web.Report{
		Version: f.loop.models.Versions[i], Gap: 7 * dayLong,
		Split: []web.Span{
			{Name: "train", From: date(time.January, 1), Until: date(time.February, 10), Rows: 96_000, Positive: 4012, Unknown: 812},
			{Name: "validation", From: date(time.February, 17), Until: date(time.February, 24), Rows: 16_800, Positive: 702, Unknown: 90},
			{Name: "test", From: date(time.March, 3), Until: date(time.March, 23), Rows: 48_000, Positive: 1968, Unknown: 301},
		},
		ROCAUC: web.Estimate{Value: 0.943, Low: 0.921, High: 0.96}, ShuffledPRAUC: 0.043, BestFeature: "vibration_rolling_mean_7d", BestFeaturePRAUC: 0.38,
		AlwaysPrecision: 0.094, AlwaysFalseAlarms: 0.906, Machines: 100, MachineWeeks: 285.7, Unobservable: 1, Alerts: 37, TrueAlerts: 23, FalseAlerts: 14, UnknownAlerts: 3,
		Price: "At 0.45 the model foretold 23 of 24 failures of the test time (96 %), half of them 98 hours ahead or more, with 62 % of the alerts right and " +
			"0.09 needless ones per machine and week, 9 needless inspections a week for 100 machines (2.3 hours).",
		Warnings: []string{"Only 24 failures fell into the test time: recall is a rough guess."}, Manifest: manifest,
	}
	for k := range 24 {
		failure := web.Failure{
			Machine: drumbeat.MachineID(fmt.Sprintf("W-%03d", 3+4*k)), At: date(time.March, 3).Add(time.Duration(k*19) * time.Hour), Result: "caught",
			Lead: time.Duration(20+k*7) * time.Hour, Best: 0.6 + float64(k)/80,
		}
		switch k {
		case 7:
			failure.Result, failure.Best = "missed", 0.31
		case 15:
			failure.Result, failure.Best = "unobservable", math.NaN()
		}
		r.Failures = append(r.Failures, failure)
	}
	return r, err
}

// promote does what the registry does, without its proof.
func (f *floor) promote(ctx context.Context, n drumbeat.ModelVersion, override string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if override != "" && strings.Contains(override, "refuse me") {
		return fmt.Errorf("promote version %d: this reason says nothing: %w", n, drumbeat.ErrInvalid)
	}
	f.loop.asked = append(f.loop.asked, fmt.Sprintf("promote %d %q by %s", n, override, access.PersonOf(ctx).Name))
	f.moveChampion(n, access.PersonOf(ctx).Name, override)
	return nil
}

// moveChampion moves the alias. The caller holds mu.
func (f *floor) moveChampion(n drumbeat.ModelVersion, who, why string) {
	m := &f.loop.models
	for i := range m.Versions {
		v := &m.Versions[i]
		switch {
		case v.Number == n:
			v.Role = drumbeat.RoleChampion
		case v.Role == drumbeat.RoleChampion:
			v.Role, v.Former, m.Previous = "", true, v.Number
		}
	}
	row := web.LedgerRow{
		Seq: int64(len(m.Ledger) + 1), Alias: drumbeat.RoleChampion, From: m.Previous, To: n, Who: who, Why: why, WhenFleet: f.now, WhenWall: f.now,
	}
	m.Ledger = slices.Insert(m.Ledger, 0, row)
}

func (f *floor) rollback(ctx context.Context, why string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loop.asked = append(f.loop.asked, fmt.Sprintf("rollback %q by %s", why, access.PersonOf(ctx).Name))
	f.moveChampion(f.loop.models.Previous, access.PersonOf(ctx).Name, why)
	return nil
}

func (f *floor) retrain(ctx context.Context, why string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.loop.asked = append(f.loop.asked, fmt.Sprintf("retrain %q by %s", why, access.PersonOf(ctx).Name))
	run := web.Run{ID: "r-new", Reason: "Somebody asked: " + why, Who: "Ana Keller", State: web.RunRunning, WhenFleet: f.now, WhenWall: f.now}
	f.loop.models.Runs = slices.Insert(f.loop.models.Runs, 0, run)
	return run.ID, nil
}

// connect gives a source the functions of the loop.
func (f *floor) connect(s web.Source) web.Source {
	s.Models = func(context.Context) (web.Models, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		m := f.loop.models
		m.Versions, m.Ledger, m.Runs = slices.Clone(m.Versions), slices.Clone(m.Ledger), slices.Clone(m.Runs)
		return m, nil
	}
	s.Health = func(context.Context) (web.Health, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.loop.health, nil
	}
	s.Quality = func(context.Context) (web.Quality, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.loop.quality, nil
	}
	s.Report, s.Promote, s.Rollback, s.Retrain = f.report, f.promote, f.rollback, f.retrain
	return s
}
