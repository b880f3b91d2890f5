package monitor_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/label"
	"drumbeat/monitor"
	"drumbeat/registry"
)

func shadow(t testing.TB, w *season, challenger drumbeat.ModelVersion) *monitor.ShadowReport {
	t.Helper()
	r, err := monitor.Shadow(t.Context(), monitor.ShadowInput{
		Fleet: w.fleet, Truth: w.truth(), Scores: w.scores, Champion: 1, Challenger: challenger,
		Since: drumbeat.NoTime, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// shadowSpan returns the time over which version 3 is compared.
func (w *season) shadowSpan(since drumbeat.Time) (span, bool) {
	first := drumbeat.Time(math.MaxInt64)
	for i := range w.predictions {
		if p := &w.predictions[i]; shadows(p) && (since == drumbeat.NoTime || p.AsOf >= since) {
			first = min(first, p.AsOf)
		}
	}
	return span{first, first.Add(w.fleet.Label.Horizon), w.matured()}, first != math.MaxInt64
}

func shadows(p *drumbeat.Prediction) bool {
	return p.Model == 3 && p.Role != drumbeat.RoleChampion && p.Purpose == drumbeat.PurposeLive
}

func TestAShadowIsMeasuredAsTheTextSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		since := drumbeat.NoTime
		if rapid.Bool().Draw(rt, "known since") {
			since = hourOf(float64(rapid.IntRange(0, 40).Draw(rt, "since")))
		}
		r, err := monitor.Shadow(t.Context(), monitor.ShadowInput{
			Fleet: w.fleet, Truth: w.truth(), Scores: w.scores, Champion: 2, Challenger: 3, Since: since,
		})
		if err != nil {
			rt.Fatal(err)
		}
		s, begun := w.shadowSpan(since)
		if !begun {
			if r.Start != drumbeat.NoTime || r.Rows.Compared != 0 || !strings.Contains(r.Sentence, "has not scored") {
				rt.Fatalf("without a row of the shadow: got %+v", r)
			}
			return
		}
		above := func(p *drumbeat.Prediction) bool { return p.Probability > 0.45 }
		champions := w.counted(func(p *drumbeat.Prediction) bool {
			return p.Role == drumbeat.RoleChampion && p.Purpose == drumbeat.PurposeLive && p.AsOf >= s.from
		}, above)
		challengers := w.counted(func(p *drumbeat.Prediction) bool { return shadows(p) && p.AsOf >= s.from }, above)
		always := w.counted(func(p *drumbeat.Prediction) bool { return shadows(p) && p.AsOf >= s.from },
			func(*drumbeat.Prediction) bool { return true })
		champion, challenger := w.recount(champions, s), w.recount(challengers, s)
		checkSide(rt, "champion", &champion, &r.ChampionSide)
		checkSide(rt, "challenger", &challenger, &r.ChallengerSide)
		sure := w.recount(always, s)
		checkSide(rt, "always", &sure, &r.AlwaysSide)
		checkPairs(rt, r, champion.results, challenger.results)
		checkRows(rt, &r.Rows, champions, challengers)
	})
}

func checkSide(t *rapid.T, who string, want *recount, got *monitor.ShadowSide) {
	t.Helper()
	measured := recount{
		Caught: want.Caught, Missed: want.Missed, Unobservable: want.Unobservable, Opened: got.Opened,
		True: got.Load.True, False: got.Load.False, Unknown: got.Load.Unknown,
	}
	if diff := cmp.Diff(*want, measured, cmpopts.IgnoreUnexported(recount{})); diff != "" {
		t.Fatalf("%s (-text +got):\n%s", who, diff)
	}
}

func checkPairs(t *rapid.T, r *monitor.ShadowReport, champion, challenger map[string]label.Result) {
	t.Helper()
	var want registry.Pairs
	unobservable := 0
	for key, a := range champion {
		b := challenger[key]
		switch {
		case a == label.Unobservable && b == label.Unobservable:
			unobservable++
		case a == label.Caught && b == label.Caught:
			want.Both++
		case a == label.Caught:
			want.OnlyChampion++
		case b == label.Caught:
			want.OnlyChallenger++
		default:
			want.Neither++
		}
	}
	if diff := cmp.Diff(want, r.Pairs); diff != "" || unobservable != r.Unobservable {
		t.Fatalf("pairs, and unobservable %d, want %d (-text +got):\n%s", r.Unobservable, unobservable, diff)
	}
	if r.ChallengerSide.Recall.K != want.Both+want.OnlyChallenger || r.ChallengerSide.Recall.N != want.All() ||
		r.ChampionSide.Recall.K != want.Both+want.OnlyChampion {
		t.Fatalf("recall: got %+v and %+v, want those of %+v", r.ChampionSide.Recall, r.ChallengerSide.Recall, want)
	}
	for _, f := range r.Failures {
		key := key(f.Machine, f.At)
		if f.Champion.Result != champion[key].String() || f.Challenger.Result != challenger[key].String() {
			t.Fatalf("failure %s: got %+v, want %s and %s", key, f, champion[key], challenger[key])
		}
	}
	if len(r.Failures) != len(champion) {
		t.Fatalf("failures: got %d, want %d", len(r.Failures), len(champion))
	}
}

func checkRows(t *rapid.T, got *monitor.RowsCompared, champions, challengers []judged) {
	t.Helper()
	var want monitor.RowsCompared
	var x, y []float64
	of := map[string]judged{}
	for _, row := range champions {
		of[key(row.Machine, row.AsOf)] = row
	}
	want.OnlyChampion = len(of)
	for _, b := range challengers {
		a, ok := of[key(b.Machine, b.AsOf)]
		if !ok {
			want.OnlyChallenger++
			continue
		}
		want.OnlyChampion--
		want.Compared++
		x, y = append(x, a.Probability), append(y, b.Probability)
		switch {
		case a.above && b.above:
			want.BothAlarm++
		case a.above:
			want.ChampionAlarm++
		case b.above:
			want.ChallengerAlarm++
		default:
			want.NeitherAlarm++
		}
	}
	want.Agreement = label.ProportionOf(want.BothAlarm+want.NeitherAlarm, want.Compared)
	correlation, difference := pearson(x, y)
	if !alike(float64(got.Correlation), correlation) || !alike(float64(got.MeanAbsoluteDifference), difference) {
		t.Fatalf("correlation and difference: got %v and %v, want %v and %v",
			float64(got.Correlation), float64(got.MeanAbsoluteDifference), correlation, difference)
	}
	want.Correlation, want.MeanAbsoluteDifference = got.Correlation, got.MeanAbsoluteDifference
	if diff := cmp.Diff(want, *got, cmpopts.EquateNaNs(), sameNumber); diff != "" {
		t.Fatalf("rows (-text +got):\n%s", diff)
	}
}

// sameNumber takes what is not known for equal to itself.
var sameNumber = cmp.Comparer(func(a, b label.Number) bool {
	return a == b || math.IsNaN(float64(a)) && math.IsNaN(float64(b))
})

func alike(a, b float64) bool {
	return math.Abs(a-b) < 1e-9 || math.IsNaN(a) && math.IsNaN(b)
}

// pearson returns the correlation and the mean absolute difference, in two
// passes.
func pearson(x, y []float64) (correlation, difference float64) {
	n := float64(len(x))
	var mx, my, sxx, syy, sxy, d float64
	for i := range x {
		mx, my, d = mx+x[i]/n, my+y[i]/n, d+math.Abs(x[i]-y[i])/n
	}
	for i := range x {
		sxx, syy, sxy = sxx+(x[i]-mx)*(x[i]-mx), syy+(y[i]-my)*(y[i]-my), sxy+(x[i]-mx)*(y[i]-my)
	}
	if len(x) == 0 {
		return math.NaN(), math.NaN()
	}
	if sxx < 1e-12 || syy < 1e-12 {
		return math.NaN(), d
	}
	return sxy / math.Sqrt(sxx*syy), d
}

// laundries is a season in which many machines wear out and fail at times of
// their own, with a champion that is good and these challengers: 3 is as good,
// 4 learnt from shuffled labels, 5 always alarms, 6 passes most machines over.
func laundries() *season {
	const machines, weeks = 12, 14
	w := newSeason(weeks*168 + 48)
	w.fleet.Policy.MinFailures = 20
	for m := range machines {
		machine := drumbeat.MachineID(string(rune('A' + m)))
		fails := float64(100 + 37*m)
		for hour := 0.0; hour < weeks*168; hour += 3 {
			left := fails - hour
			if left < 0 {
				w.fail(machine, fails)
				w.log(label.MaintenanceLog, machine, fails+1, "planned")
				fails += 500 + float64(17*m%60)
				left = fails - hour
			}
			wear := 0.1
			// A false alarm now and then, and a warning before each failure.
			if left < 20 || math.Mod(hour, 700) < 3 && m%3 == 0 {
				wear = 0.8
			}
			p := *w.predict(machine, hour, wear)
			for version, probability := range map[drumbeat.ModelVersion]float64{3: wear - 0.05, 4: 0.2, 5: 0.9, 6: wear} {
				if hour < 24 || version == 6 && m > 2 {
					continue
				}
				c := p
				c.Model, c.Role, c.Probability, c.Alarm = version, "challenger-2", probability, probability > 0.45
				w.predictions = append(w.predictions, c)
			}
		}
	}
	return w
}

func TestTheGateOfAShadow(t *testing.T) {
	w := laundries()
	// Limits that alarming always keeps in this fleet, as it does in the laundry.
	w.fleet.Policy.MinPrecision, w.fleet.Policy.MaxFalseAlarms = 0.05, 7
	tests := []struct {
		name       string
		challenger drumbeat.ModelVersion
		want       []string // the rows that fail
	}{
		{"as good as the champion", 3, nil},
		{"of shuffled labels", 4, []string{
			registry.RowEventRecall, registry.RowNotWorse, registry.RowPrecision, registry.RowBetterThanAlways,
		}},
		{"always alarming", 5, []string{registry.RowBetterThanAlways}},
		{"passing most machines over", 6, []string{registry.RowEventRecall, registry.RowNotWorse}},
		{"that has not begun", 9, []string{
			registry.RowEnoughFailures, registry.RowEventRecall, registry.RowNotWorse, registry.RowPrecision,
			registry.RowFalseAlarms, registry.RowBetterThanAlways,
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := shadow(t, w, test.challenger)
			g := registry.Judge(monitor.GatePolicy(w.fleet), r.Evidence())
			var failed []string
			for _, row := range g.Failed() {
				failed = append(failed, row.Name)
			}
			if diff := cmp.Diff(test.want, failed); diff != "" || g.Passed != (test.want == nil) {
				t.Errorf("failed rows (-want +got):\n%s\n%s\n%s", diff, r.Sentence, g.Sentence)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "NaN") {
				t.Errorf("as JSON: %s, %v", text, err)
			}
		})
	}
}

func TestAFailureCountsOnceAWholeHorizonWasShadowed(t *testing.T) {
	w := laundries() // the shadow begins at hour 24, H is 24 hours
	w.fail("B", 30)
	w.fail("B", 48.5)
	w.fail("B", 2398)
	r := shadow(t, w, 3)
	if r.Start != hourOf(24) || r.From != hourOf(48) || r.Until != w.matured() || r.Early != 1 || r.Immature != 1 {
		t.Errorf("got %s, %s to %s, %d early, %d immature, want hour 24, hour 48 to %s, and one of each",
			r.Start, r.From, r.Until, r.Early, r.Immature, w.matured())
	}
	if len(r.Failures) == 0 || r.Failures[0].At != hourOf(48.5) {
		t.Errorf("first failure: got %+v, want that of hour 48.5", r.Failures[0])
	}
}
