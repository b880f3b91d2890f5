package label_test

import (
	"math"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/label"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// rows of W-1, one an hour from the first on, each with its probability.
func hourly(first float64, probabilities ...float64) []label.Row {
	rows := make([]label.Row, len(probabilities))
	for i, p := range probabilities {
		hour := first + float64(i)
		rows[i] = label.Row{
			Machine: "W-1", AsOf: at(hour), Arrival: at(hour), Probability: p, Running: true,
			Position: drumbeat.Position{Offset: 1000 + int64(hour*10)},
		}
	}
	return rows
}

func measure(truth *label.Truth, o label.EventOptions, rows []label.Row) label.EventMeasures {
	e := label.NewEvents(truth, o)
	for i := range rows {
		e.Add(&rows[i])
	}
	return e.Measures()
}

func options() label.EventOptions {
	return label.EventOptions{
		Threshold: 0.5, MinLead: time.Hour, From: drumbeat.NoTime, Until: drumbeat.NoTime,
		Bootstrap: label.Bootstrap{Seed: 1, Resamples: 20},
	}
}

func TestAFailureIsCaughtMissedOrUnobservable(t *testing.T) {
	off := hourly(0, 0.1, 0.1)
	off[1].Running = false
	tests := []struct {
		name string
		rows []label.Row
		want label.EventResult
	}{
		{
			"caught by the first row above, with its lead", hourly(0, 0.1, 0.6, 0.9, 0.2),
			label.EventResult{Result: label.Caught, First: at(1), Lead: 9 * time.Hour, Best: 0.9},
		},
		{
			"a row that leaves less than min_lead is too late", hourly(9.5, 0.9),
			label.EventResult{Result: label.Unobservable, First: drumbeat.NoTime, Best: math.NaN()},
		},
		{
			"a row at min_lead is in time", hourly(9, 0.9),
			label.EventResult{Result: label.Caught, First: at(9), Lead: time.Hour, Best: 0.9},
		},
		{
			"a row at H before is in time", hourly(10-24, 0.9),
			label.EventResult{Result: label.Caught, First: at(10 - 24), Lead: day, Best: 0.9},
		},
		{
			"a row at the threshold is not above it", hourly(0, 0.5, 0.5),
			label.EventResult{Result: label.Missed, First: drumbeat.NoTime, Best: 0.5},
		},
		{
			"without a row in time it is missed if the machine should have reported",
			append(hourly(-100, 0.1), hourly(30, 0.1)...),
			label.EventResult{Result: label.Missed, First: drumbeat.NoTime, Best: math.NaN()},
		},
		{
			"and unobservable if it was switched off",
			append(slices.Clone(shift(off, -100)), hourly(30, 0.1)...),
			label.EventResult{Result: label.Unobservable, First: drumbeat.NoTime, Best: math.NaN()},
		},
		{
			"and if the machine was never seen before", hourly(30, 0.1),
			label.EventResult{Result: label.Unobservable, First: drumbeat.NoTime, Best: math.NaN()},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b book
			b.failure("f", 10)
			b.items[0].Position.Offset = 1000 + 100 // among the rows
			truth := label.NewTruth(laundry(), day, b.items, nil, at(5000))
			m := measure(truth, options(), test.rows)
			if len(m.Results) != 1 {
				t.Fatalf("got %d results, want 1", len(m.Results))
			}
			test.want.Event = label.Event{Machine: "W-1", At: at(10), Source: label.SourceFailureLog, Ref: "f", Mode: "bearing"}
			if diff := cmp.Diff(test.want, m.Results[0], cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
		})
	}
}

func shift(rows []label.Row, hours float64) []label.Row {
	moved := slices.Clone(rows)
	for i := range moved {
		moved[i].AsOf = moved[i].AsOf.Add(time.Duration(hours * float64(time.Hour)))
		moved[i].Arrival = moved[i].AsOf
		moved[i].Position.Offset += int64(hours * 10)
	}
	return moved
}

func TestAlertsCountOncePerHorizon(t *testing.T) {
	var long []float64
	for range 49 { // from hour 0 to hour 48: three days begun with H of a day
		long = append(long, 0.9)
	}
	tests := []struct {
		name     string
		rows     []label.Row
		log      func(*book)
		findings []drumbeat.Finding
		now      drumbeat.Time
		want     [4]int // alerts, true, false, unknown
		down     int
	}{
		{"an alert counts once", hourly(0, 0.9, 0.9, 0.9), nil, nil, at(900), [4]int{1, 0, 1, 0}, 0},
		{"and again for each further H", hourly(0, long...), nil, nil, at(900), [4]int{3, 0, 3, 0}, 0},
		{
			"each span is judged by its own rows", hourly(0, long...),
			func(b *book) { b.failure("f", 80); b.items[0].Position.Offset = 9000 }, nil, at(900),
			[4]int{3, 0, 3, 0},
			0,
		},
		{
			"the last span is true when the failure lies within H of it", hourly(0, long...),
			func(b *book) { b.failure("f", 72); b.items[0].Position.Offset = 9000 }, nil, at(900),
			[4]int{3, 1, 2, 0},
			0,
		},
		{
			"a repair makes it true", hourly(0, 0.9, 0.9), nil,
			[]drumbeat.Finding{found(drumbeat.OutcomeRepaired, at(0), at(1))},
			at(900),
			[4]int{1, 1, 0, 0},
			0,
		},
		{"before it has matured nothing is known", hourly(0, 0.9), nil, nil, at(47), [4]int{1, 0, 0, 1}, 0},
		{
			"an intervention hides what would have come", hourly(0, 0.9),
			func(b *book) { b.maintenance(5, "unscheduled"); b.items[0].Position.Offset = 9000 },
			nil, at(900),
			[4]int{1, 0, 0, 1},
			0,
		},
		{
			"an alert that was down already does not count", hourly(0, 0.9),
			func(b *book) { b.failure("f", -1); b.items[0].Position.Offset = 9000; b.items[0].ArrivalTime = at(3) },
			nil, at(900),
			[4]int{0, 0, 0, 0},
			1,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var b book
			if test.log != nil {
				test.log(&b)
			}
			m := measure(label.NewTruth(laundry(), day, b.items, test.findings, test.now), options(), test.rows)
			got := [4]int{m.Load.Alerts, m.Load.True, m.Load.False, m.Load.Unknown}
			if got != test.want || m.Down != test.down {
				t.Errorf("alerts, true, false, unknown: got %v and %d down, want %v and %d", got, m.Down, test.want, test.down)
			}
		})
	}
}

func TestTheBaselineAlarmsForEveryMachineAlways(t *testing.T) {
	rows := hourly(0, make([]float64, 100)...) // 99 hours: five spans of a day begun
	var b book
	b.failure("f", 50).Position.Offset = 1500
	m := measure(label.NewTruth(laundry(), day, b.items, nil, at(9000)), options(), rows)
	want := label.AlertLoad{Alerts: 5, True: 2, False: 3, Precision: label.ProportionOf(2, 5)}
	if diff := cmp.Diff(want, m.AlwaysAlarm, cmpopts.IgnoreFields(label.AlertLoad{}, "FalsePerMachineWeek")); diff != "" {
		t.Errorf("always-alarm (-want +got):\n%s", diff)
	}
	if weeks := 100.0 / 168; math.Abs(m.MachineWeeks-weeks) > 1e-12 {
		t.Errorf("machine weeks: got %v, want %v", m.MachineWeeks, weeks)
	}
	if got, want := m.AlwaysAlarm.FalsePerMachineWeek.Value, 3/(100.0/168); math.Abs(got-want) > 1e-9 {
		t.Errorf("false alarms a machine and week: got %v, want %v", got, want)
	}
}

func TestOnlyThePeriodCounts(t *testing.T) {
	var b book
	b.failure("f", 30).Position.Offset = 1300
	b.failure("g", 130).Position.Offset = 2300
	var probabilities []float64
	for i := range 200 {
		probabilities = append(probabilities, float64(i%30)/30)
	}
	o := options()
	o.From, o.Until = at(100), at(150)
	m := measure(label.NewTruth(laundry(), day, b.items, nil, at(9000)), o, hourly(0, probabilities...))
	if len(m.Results) != 1 || m.Results[0].Event.Ref != "g" {
		t.Errorf("results: got %+v, want that of g alone", m.Results)
	}
	if weeks := 50.0 / 168; math.Abs(m.MachineWeeks-weeks) > 1e-12 {
		t.Errorf("machine weeks: got %v, want %v", m.MachineWeeks, weeks)
	}
}

func TestThresholdForReachesTheRecall(t *testing.T) {
	results := []label.EventResult{
		{Result: label.Caught, Best: 0.9},
		{Result: label.Caught, Best: 0.7},
		{Result: label.Missed, Best: 0.2},
		{Result: label.Missed, Best: math.NaN()},
		{Result: label.Unobservable, Best: math.NaN()},
		{Result: label.Caught, Best: 0.1, Repaired: true},
	}
	for _, test := range []struct {
		recall, below float64
		ok            bool
	}{{0.25, 0.9, true}, {0.5, 0.7, true}, {0.51, 0.2, true}, {0.75, 0.2, true}, {0.99, 0, false}} {
		got, ok := label.ThresholdFor(results, test.recall)
		if ok != test.ok || ok && (got >= test.below || math.Nextafter(got, 1) != test.below) {
			t.Errorf("recall %v: got %v, %v, want just below %v, %v", test.recall, got, ok, test.below, test.ok)
		}
	}
}

func TestMeasuresByEventAreWhatTheTextSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := drawWorld(t)
		for i := range o.entries { // knowledge grows with the position
			o.entries[i].Position.Offset = int64(o.entries[i].ArrivalTime) * 100
			o.entries[i].Position.Index = int32(i)
		}
		hour := 0
		var rows []label.Row
		for i := range rapid.IntRange(0, 40).Draw(t, "rows") {
			hour += rapid.SampledFrom([]int{0, 0, 1, 1, 2, 7}).Draw(t, "passed")
			asOf := at(float64(hour - rapid.SampledFrom([]int{0, 0, 0, 2}).Draw(t, "ago")))
			rows = append(rows, label.Row{
				Machine: rapid.SampledFrom([]drumbeat.MachineID{"W-1", "W-2"}).Draw(t, "machine"), AsOf: asOf,
				Arrival: at(float64(hour)), Position: drumbeat.Position{Offset: int64(at(float64(hour)))*100 + 50, Index: int32(i)},
				Probability: rapid.SampledFrom([]float64{0.1, 0.5, 0.9}).Draw(t, "probability"),
				Running:     rapid.Bool().Draw(t, "running"),
			})
		}
		opt := options()
		opt.MinLead = time.Duration(rapid.IntRange(0, 2).Draw(t, "min_lead")) * time.Hour
		opt.From, opt.Until = at(float64(rapid.IntRange(-5, 20).Draw(t, "from"))), at(float64(rapid.IntRange(10, 60).Draw(t, "until")))
		m := measure(label.NewTruth(o.fleet, o.horizon, o.entries, o.findings, o.now), opt, rows)
		got := counted{
			m.Caught, m.Missed, m.Unobservable, [4]int{m.Load.Alerts, m.Load.True, m.Load.False, m.Load.Unknown}, m.Down,
		}
		if diff := cmp.Diff(o.count(rows, &opt), got, cmp.AllowUnexported(counted{})); diff != "" {
			t.Fatalf("measures (-text +got):\n%s", diff)
		}
	})
}
