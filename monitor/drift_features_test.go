package monitor_test

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/lake"
	"drumbeat/monitor"
	"drumbeat/registry"
)

// memory is rows of gold without a lake.
type memory []drumbeat.Vector

func (m memory) scan(
	_ context.Context, from, until drumbeat.Time, fn func(*lake.GoldChunk) error,
) error {
	const size = 1000
	for rows := range slices.Chunk(m, size) {
		c := &lake.GoldChunk{Features: make([][]float64, len(rows[0].Values))}
		for i := range rows {
			v := &rows[i]
			if v.AsOf < from || v.AsOf >= until {
				continue
			}
			c.Machine, c.AsOf = append(c.Machine, v.Machine), append(c.AsOf, v.AsOf)
			c.Position, c.MadeBy = append(c.Position, v.Position), append(c.MadeBy, v.MadeBy)
			c.WarmingUp, c.Overflow = append(c.WarmingUp, v.WarmingUp), append(c.Overflow, v.Overflow)
			for k, x := range v.Values {
				c.Features[k] = append(c.Features[k], x)
			}
		}
		if err := fn(c); err != nil {
			return err
		}
	}
	return nil
}

func view(t testing.TB, f *fleet.Fleet) *feature.View {
	t.Helper()
	v, err := feature.LoadView(fleets.FS(), "laundry", f)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// records is rows of twenty machines, ten hours a day, whose every feature is
// noise unless change says otherwise.
func records(v *feature.View, days int, change func(machine, day int, values []float64)) memory {
	random := rand.New(rand.NewPCG(5, 5))
	var rows memory
	for d := range days {
		for m := range 20 {
			for hour := range 10 {
				values := make([]float64, len(v.Features))
				for i := range values {
					values[i] = random.NormFloat64()
				}
				change(m, d, values)
				rows = append(rows, drumbeat.Vector{
					Machine: named(m), AsOf: at(d).Add(time.Duration(hour) * time.Hour),
					Position: drumbeat.Position{Offset: int64(len(rows))}, Values: values,
				})
			}
		}
	}
	return rows
}

func featureReport(t *testing.T, v *feature.View, rows memory, begun drumbeat.Time, now int) *monitor.DriftReport {
	t.Helper()
	r, err := monitor.Drift(t.Context(), monitor.DriftInput{
		Fleet: v.Fleet, Days: monitor.NewDays(v.Fleet), Now: at(now), Begun: begun,
		Reference: registry.TimeSpan{From: at(0), Until: at(28)}, View: v, Vectors: rows.scan,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTimeThatPassesIsNoDriftOfFeatures(t *testing.T) {
	t.Parallel()
	f := laundry(t)
	v := view(t, f)
	rows := records(v, 50, func(m, d int, values []float64) {
		values[v.Index("runtime_total")] = float64(1000*m + 12*d)
		values[v.Index("hours_since_failure")] = float64((40*24 + m*7*24 + d*24) % (60 * 24))
		if m > 10 {
			values[v.Index("hours_since_failure")] = float64((40 + d) * 24) // never since the history began
		}
		for i := range v.Features {
			if v.Features[i].Agg.OfStatic() {
				values[i] = float64(m % 3)
			}
		}
		values[v.Index("model_year")] = float64(2000 + m)
		values[v.Index("location_north")] = float64(m % 2)
		values[v.Index("pressure_mean_1d")] = map[bool]float64{true: math.NaN(), false: float64(d % 7)}[d > 44]
		values[v.Index("power_std_1d")] += 2.5 * when(d/7%2 == 0) // from one week to the next
		values[v.Index("power_health")] += 2 * when(d >= 43)
	})
	r := featureReport(t, v, rows, at(-40), 50)
	want := map[string]struct {
		level    monitor.Level
		flagged  bool
		sentence string
	}{
		"runtime_total":       {monitor.LevelUnjudged, false, "a total that only grows"},
		"hours_since_failure": {monitor.LevelNone, false, "Whatever is longer than 40 days, and never, counts as one"},
		"model_year":          {monitor.LevelNone, false, "PSI 0.00"},
		"location_north":      {monitor.LevelNone, false, "compared machine by machine"},
		"pressure_mean_1d":    {monitor.LevelSignificant, true, "It is missing in 71 % of the rows, 0 % before."},
		"power_health":        {monitor.LevelSignificant, true, "standard deviations higher"},
		"power_std_1d":        {monitor.LevelSignificant, false, "Weeks of the reference differ by up to"},
		"vibration_mean_1d":   {monitor.LevelNone, false, "no drift"},
	}
	for name, w := range want {
		d := &r.Features[v.Index(name)]
		if d.Level != w.level || d.Flagged != w.flagged || !strings.Contains(d.Sentence, w.sentence) {
			t.Errorf("%s is %s, flagged %v (PSI %.3f, usually %.3f): %s", name, d.Level, d.Flagged, d.PSI, d.UsualPSI, d.Sentence)
		}
	}
	if diff := cmp.Diff([]string{"pressure_mean_1d", "power_health"}, r.Flagged.Features); diff != "" {
		t.Errorf("flagged (-want +got):\n%s", diff)
	}
	health := &r.Features[v.Index("power_health")]
	if diff := cmp.Diff([]string{"power_kw"}, health.MadeOf); diff != "" || math.Abs(float64(health.Difference)-2) > 0.15 {
		t.Errorf("power_health moved by %.2f deviations, made of (-want +got):\n%s", health.Difference, diff)
	}
	year := &r.Features[v.Index("model_year")]
	if year.Before.Rows != 20 || year.Now.Rows != 20 || year.Before.Least != 2000 || year.Now.Most != 2019 {
		t.Errorf("model_year is compared over %+v and %+v, want one row a machine", year.Before, year.Now)
	}
}

func TestFeaturesThatCannotBeJudgedSayWhy(t *testing.T) {
	t.Parallel()
	f := laundry(t)
	v := view(t, f)
	rows := records(v, 50, func(int, int, []float64) {})
	few := slices.DeleteFunc(slices.Clone(rows), func(v drumbeat.Vector) bool { return v.Machine > named(1) && v.Machine != named(2) })
	for name, c := range map[string]struct {
		rows    memory
		begun   drumbeat.Time
		now     int
		feature string
		want    string
	}{
		"a window as long as the history": {rows, at(-3), 50, "errors_7d", "its window of 7 days was still filling up in the reference, 3 days after"},
		"a log that has just begun":       {rows, at(0), 50, "hours_since_failure", "the reference begins with the history"},
		"a week that is not over":         {rows, at(-40), 33, "vibration_now", "too early: 5 complete days since the reference ended, and 7 are needed"},
		"nothing at all":                  {nil, at(-40), 50, "vibration_now", "0 rows in the reference and 0 now, and 200 are needed"},
		"few machines":                    {few, at(-40), 50, "vibration_now", "too little data"},
		"a clock that leapt":              {rows, at(-40), 5000, "vibration_now", "5600 rows in the reference and 0 now"},
	} {
		d := &featureReport(t, v, c.rows, c.begun, c.now).Features[v.Index(c.feature)]
		if d.Level != monitor.LevelUnjudged || d.Flagged || !strings.Contains(d.Sentence, c.want) {
			t.Errorf("%s: %s is %s: %q, want %q", name, c.feature, d.Level, d.Sentence, c.want)
		}
	}
}
