package registry_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/registry"
)

// laundry is the policy of the laundry's fleet file.
func laundry() *registry.GatePolicy {
	return &registry.GatePolicy{RecallTarget: 0.99, MinFailures: 20, MinPrecision: 0.2, MaxFalseAlarms: 0.5}
}

// alerts are so many right and wrong in 168 machine weeks.
func alerts(right, wrong int) label.AlertLoad {
	rate := float64(wrong) / 168
	return label.AlertLoad{
		Alerts: right + wrong, True: right, False: wrong, Precision: label.ProportionOf(right, right+wrong),
		FalsePerMachineWeek: label.Interval{Value: rate, Low: 0.7 * rate, High: 1.3 * rate},
	}
}

// strong is an honest model in the laundry: 25 failures in 25 days, all caught.
func strong() *registry.Evidence {
	from := drumbeat.At(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	return &registry.Evidence{
		Fleet: "laundry", Challenger: 3, Champion: 2, RowsCompared: 9600,
		Span:  registry.TimeSpan{From: from, Until: from.Add(25 * 24 * time.Hour)},
		Pairs: registry.Pairs{Both: 22, OnlyChallenger: 3}, Unobservable: 2,
		ChallengerAlerts: alerts(27, 22), ChampionAlerts: alerts(24, 30),
		// As measured in the laundry's first test time.
		Always: alerts(50, 77), PerHorizon: alerts(53, 79),
	}
}

func failed(g *registry.Gate) []string {
	var names []string
	for _, row := range g.Failed() {
		names = append(names, row.Name)
	}
	return names
}

// judging is a change to what the strong model showed, or to what is asked.
type judging struct {
	name   string
	change func(*registry.GatePolicy, *registry.Evidence)
	want   []string // the rows that fail
}

func (test *judging) run(t *testing.T) {
	t.Run(test.name, func(t *testing.T) {
		p, e := laundry(), strong()
		test.change(p, e)
		g := registry.Judge(p, e)
		if diff := cmp.Diff(test.want, failed(&g)); diff != "" || g.Passed != (len(test.want) == 0) {
			t.Errorf("passed %v, failed rows (-want +got):\n%s\n%s", g.Passed, diff, g.Sentence)
		}
	})
}

func TestTheGateAsksOneThingAtATime(t *testing.T) {
	for _, test := range []judging{
		{"an honest strong model passes", func(*registry.GatePolicy, *registry.Evidence) {}, nil},
		{
			"too few failures",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.Pairs = registry.Pairs{Both: 19} },
			[]string{registry.RowEnoughFailures},
		},
		{
			"just enough failures",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.Pairs = registry.Pairs{Both: 20} },
			nil,
		},
		{
			"one missed of 26 is below 0.99, though the champion missed more",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.Pairs.Neither = 1 },
			[]string{registry.RowEventRecall},
		},
		{
			"one missed of 100 is 0.99",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.Pairs = registry.Pairs{Both: 99, Neither: 1} },
			nil,
		},
		{
			"one that the champion alone caught, of 100",
			func(_ *registry.GatePolicy, e *registry.Evidence) {
				e.Pairs = registry.Pairs{Both: 99, OnlyChampion: 1}
			},
			[]string{registry.RowNotWorse},
		},
		{
			"as many caught by the champion alone as by the challenger alone is not worse",
			func(_ *registry.GatePolicy, e *registry.Evidence) {
				e.Pairs = registry.Pairs{Both: 198, OnlyChampion: 1, OnlyChallenger: 1}
			},
			nil,
		},
		{
			"precision below the limit",
			func(p *registry.GatePolicy, _ *registry.Evidence) { p.MinPrecision = 0.56 },
			[]string{registry.RowPrecision},
		},
		{
			"too many false alarms",
			func(p *registry.GatePolicy, _ *registry.Evidence) { p.MaxFalseAlarms = 0.1 },
			[]string{registry.RowFalseAlarms},
		},
		{
			"without a champion there is nothing to be as good as",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.Champion = 0 },
			[]string{registry.RowNotWorse},
		},
		{
			"a challenger that scored other readings than the champion",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.RowsCompared = 0 },
			[]string{registry.RowNotWorse},
		},
	} {
		test.run(t)
	}
}

func TestTheGateRefusesModelsThatKnowNothing(t *testing.T) {
	for _, test := range []judging{
		{
			"what always alarms, though it passes the limits of the policy",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.ChallengerAlerts = e.Always },
			[]string{registry.RowBetterThanAlways},
		},
		{
			"what alarms at random, nearly always, and is a little better by luck",
			func(_ *registry.GatePolicy, e *registry.Evidence) { e.ChallengerAlerts = alerts(51, 72) },
			[]string{registry.RowBetterThanAlways},
		},
		{
			"a model of shuffled labels, which hardly ever alarms",
			func(_ *registry.GatePolicy, e *registry.Evidence) {
				e.Pairs = registry.Pairs{OnlyChampion: 21, OnlyChallenger: 1, Neither: 3}
				e.ChallengerAlerts = alerts(1, 2)
			},
			[]string{registry.RowEventRecall, registry.RowNotWorse, registry.RowBetterThanAlways},
		},
		{
			"a policy that asks for no failure still needs one",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.MinFailures, p.RecallTarget, e.Pairs = 0, 0, registry.Pairs{}
			},
			[]string{registry.RowEnoughFailures, registry.RowEventRecall, registry.RowNotWorse},
		},
	} {
		test.run(t)
	}
}

func TestTheLowerBoundBindsIfTheFleetSaysSo(t *testing.T) {
	for _, test := range []judging{
		{
			"the lower bound binds: 25 without a miss prove 0.87",
			func(p *registry.GatePolicy, _ *registry.Evidence) { p.LowerBound = true },
			[]string{registry.RowEventRecall},
		},
		{
			"380 without a miss do not prove 0.99",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.LowerBound, e.Pairs = true, registry.Pairs{Both: 380}
			},
			[]string{registry.RowEventRecall},
		},
		{
			"381 without a miss prove 0.99",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.LowerBound, e.Pairs = true, registry.Pairs{Both: 381}
			},
			nil,
		},
		{
			"the lower bound of precision binds too",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.LowerBound, p.MinPrecision, e.Pairs = true, 0.45, registry.Pairs{Both: 381}
			},
			[]string{registry.RowPrecision},
		},
		{
			"and the upper one of false alarms",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.LowerBound, p.MaxFalseAlarms, e.Pairs = true, 0.15, registry.Pairs{Both: 381}
			},
			[]string{registry.RowFalseAlarms},
		},
		{
			"and that of precision against alarming always",
			func(p *registry.GatePolicy, e *registry.Evidence) {
				p.LowerBound, e.Pairs, e.ChallengerAlerts = true, registry.Pairs{Both: 381}, alerts(25, 22)
			},
			[]string{registry.RowBetterThanAlways},
		},
	} {
		test.run(t)
	}
}

func TestAGateOnNothingPassesNothingAndSaysWhatIsMissing(t *testing.T) {
	unknown := label.Interval{Value: math.NaN(), Low: math.NaN(), High: math.NaN()}
	none := label.AlertLoad{Precision: label.ProportionOf(0, 0), FalsePerMachineWeek: unknown}
	for name, e := range map[string]*registry.Evidence{
		"no row": {Challenger: 3, Champion: 2, ChallengerAlerts: none, ChampionAlerts: none, Always: none, PerHorizon: none},
		"rows, but nothing has matured": {
			Challenger: 3, Champion: 2, RowsCompared: 9600,
			ChallengerAlerts: none, ChampionAlerts: none, Always: none, PerHorizon: none,
			Span: registry.TimeSpan{From: 5_000_000, Until: 4_000_000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := registry.Judge(laundry(), e)
			if g.Passed || len(g.Failed()) != len(g.Rows) {
				t.Errorf("passed %v, failed rows %v, want every row to fail", g.Passed, failed(&g))
			}
			for _, row := range g.Rows {
				if row.Missing == "" {
					t.Errorf("%s does not say what is missing: %+v", row.Name, row)
				}
			}
			text, err := json.Marshal(g)
			if err != nil || strings.Contains(string(text), "NaN") {
				t.Errorf("as JSON: %s, %v", text, err)
			}
		})
	}
}

func TestTheGateSaysHowManyFailuresAreMissingAndForHowLong(t *testing.T) {
	for _, test := range []struct {
		name  string
		pairs registry.Pairs
		bound bool
		row   int
		more  int
		days  float64
		text  string
	}{
		{
			"8 more in 25 days in which 12 came",
			registry.Pairs{Both: 12},
			false, 0, 8, 17,
			"0 missed of 12; 8 more failures, about 17 days at this fleet's rate",
		},
		{
			"80 without a miss after one of twenty",
			registry.Pairs{Both: 19, Neither: 1},
			false, 1, 80, 100,
			"1 missed of 20; 80 more failures without a miss, about 100 days at this fleet's rate",
		},
		{
			"356 for the lower bound after 25",
			registry.Pairs{Both: 25},
			true, 1, 356, 356,
			"0 missed of 25; 356 more failures without a miss, about 356 days at this fleet's rate",
		},
		{
			"none at all",
			registry.Pairs{},
			false, 0, 20, math.NaN(),
			"0 missed of 0; 20 more failures; none has matured yet, so nobody can say how long that takes",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p, e := laundry(), strong()
			p.LowerBound, e.Pairs = test.bound, test.pairs
			g := registry.Judge(p, e)
			row := g.Rows[test.row]
			got := []float64{float64(row.MoreFailures), float64(row.Days)}
			if diff := cmp.Diff([]float64{float64(test.more), test.days}, got, cmpopts.EquateNaNs()); diff != "" {
				t.Errorf("more failures and days (-want +got):\n%s", diff)
			}
			if row.Missing != test.text {
				t.Errorf("missing: got %q, want %q", row.Missing, test.text)
			}
		})
	}
}

func TestTheLowerBoundIsPrintedWhereItDoesNotBind(t *testing.T) {
	g := registry.Judge(laundry(), strong())
	row := g.Rows[1]
	if want := "0.867 to 1.000 at 95 %; the lower bound needs 356 more failures without a miss, about 356 days at this fleet's rate"; row.Bound != want || row.Binding {
		t.Errorf("bound of recall: got %q (binding %v), want %q", row.Bound, row.Binding, want)
	}
	for _, i := range []int{1, 3, 4, 5} {
		if r := g.Rows[i]; r.Bound == "" || math.IsNaN(float64(r.Low)) {
			t.Errorf("%s has no bound: %+v", r.Name, r)
		}
	}
	if want := "McNemar's exact p is 0.25"; g.Rows[2].Bound != want || math.Abs(g.McNemarP-0.25) > 1e-12 {
		t.Errorf("pairs: got %q and %v, want %q", g.Rows[2].Bound, g.McNemarP, want)
	}
}

// sameNumber takes what is not known for equal to itself.
var sameNumber = cmp.Comparer(func(a, b label.Number) bool {
	return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
})

func TestAGateSurvivesJSON(t *testing.T) {
	for _, pairs := range []registry.Pairs{strong().Pairs, {}} {
		e := strong()
		e.Pairs = pairs
		want := registry.Judge(laundry(), e)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got registry.Gate
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateNaNs(), sameNumber); diff != "" {
			t.Errorf("round trip (-want +got):\n%s", diff)
		}
	}
}
