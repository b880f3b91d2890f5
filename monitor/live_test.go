package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/monitor"
)

func live(t testing.TB, w *season) *monitor.LiveReport {
	t.Helper()
	r, err := monitor.Live(t.Context(), monitor.LiveInput{
		Fleet: w.fleet, Truth: w.truth(), Scores: w.scores, Champion: 1, Since: drumbeat.NoTime, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestLiveRecallIsWhatTheTextSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := drawWorld(rt)
		window := time.Duration(rapid.IntRange(1, 80).Draw(rt, "window")) * time.Hour
		since := hourOf(float64(rapid.IntRange(-10, 50).Draw(rt, "since")))
		r, err := monitor.Live(t.Context(), monitor.LiveInput{
			Fleet: w.fleet, Truth: w.truth(), Scores: w.scores, Window: window, Champion: 2, Since: since,
		})
		if err != nil {
			rt.Fatal(err)
		}
		until := w.matured()
		s := span{until.Add(-window), until.Add(-window), until}
		rows := w.counted(func(p *drumbeat.Prediction) bool {
			return p.Role == drumbeat.RoleChampion && p.Purpose == drumbeat.PurposeLive && p.AsOf <= until &&
				p.AsOf >= s.from.Add(-4*w.fleet.Label.Horizon)
		}, func(p *drumbeat.Prediction) bool { return p.Alarm })
		want := w.recount(rows, s)
		if diff := cmp.Diff(want, tell(&r.Measures), cmpopts.IgnoreUnexported(recount{})); diff != "" {
			rt.Fatalf("measures (-text +got):\n%s", diff)
		}
		var wantCounts [4]int
		for _, row := range rows {
			if row.AsOf >= s.from {
				wantCounts[0]++
				if w.truth().Label(row.Machine, row.AsOf).Value == label.Unknown {
					wantCounts[1]++
				}
			}
		}
		caught, seen := 0, 0
		for _, f := range w.entries {
			if f.Entry.Log != label.FailureLog {
				continue
			}
			if f.EventTime > until {
				wantCounts[2]++
			}
			if result, ok := want.results[key(f.Machine, f.EventTime)]; ok && result != label.Unobservable &&
				f.EventTime.Add(-w.fleet.Label.Horizon) >= since {
				seen++
				if result == label.Caught {
					caught++
				}
			}
		}
		wantCounts[3] = want.Caught + want.Missed
		counts := [4]int{r.Rows, r.UnknownRows, r.Immature, r.Seen}
		if counts != wantCounts {
			rt.Fatalf("rows, unknown rows, immature and seen failures: got %v, want %v", counts, wantCounts)
		}
		if diff := cmp.Diff(label.ProportionOf(caught, seen), r.RecallOfChampion, cmpopts.EquateNaNs()); diff != "" {
			rt.Fatalf("recall of the champion (-text +got):\n%s", diff)
		}
	})
}

// failures makes a season of one machine that fails every other day and is
// scored every hour, at risk in the last hours before those that are caught.
func failures(n, caught int) *season {
	w := newSeason(float64(48*n + 200))
	for i := range n {
		fails := float64(48*(i+1)) + 0.5
		for hour := 48 * i; float64(hour) < fails; hour++ {
			risk := 0.1
			if i < caught && fails-float64(hour) < 12 {
				risk = 0.9
			}
			w.predict("W-1", float64(hour)+0.75, risk)
		}
		w.fail("W-1", fails)
	}
	return w
}

func TestTheStatusOfLiveRecall(t *testing.T) {
	quiet := func(n, caught int) *season { // the log has stopped for ten days
		w := failures(n, caught)
		w.now = hourOf(float64(48*n + 400))
		return w
	}
	unknown := failures(40, 40)
	unknown.fleet.FailureLog.Kind = fleet.CompleteUnknown
	behind := failures(40, 40)
	behind.fleet.FailureLog = fleet.Completeness{Kind: fleet.CompleteTo, To: hourOf(1000)}
	nobody := failures(40, 40)
	nobody.predictions = nil
	tests := []struct {
		name    string
		season  *season
		want    monitor.Status
		says    string
		trigger bool
	}{
		{"all caught", failures(40, 40), monitor.StatusHealthy, "is healthy, above 0.95. It caught 40 of 40 failures", false},
		{"37 of 40", failures(40, 37), monitor.StatusWatch, "neither below 0.9 nor above 0.95", false},
		{"0.95 is not above it", failures(40, 38), monitor.StatusWatch, "neither below", false},
		{"0.90 is not below it", failures(40, 36), monitor.StatusWatch, "neither below", false},
		{"35 of 40", failures(40, 35), monitor.StatusWarn, "is below 0.9", false},
		{"0.85 is not below it", failures(40, 34), monitor.StatusWarn, "is below 0.9", false},
		{"33 of 40", failures(40, 33), monitor.StatusRetrain, "below 0.85, so train again", true},
		{
			"too few", failures(19, 19), monitor.StatusUnknown,
			"19 of 20 failures seen, 1 more are needed, about 3 days at this fleet's rate.", false,
		},
		{"too few, though all were missed", failures(19, 0), monitor.StatusUnknown, "19 of 20", false},
		{"none", failures(0, 0), monitor.StatusUnknown, "no champion made a live prediction", false},
		{"no prediction", nobody, monitor.StatusUnknown, "no champion made a live prediction", false},
		{"the log has stopped", quiet(40, 40), monitor.StatusUnknown, "no failure since 2026-03-22, though about 8 were due", false},
		{"the log has stopped, and recall was low", quiet(40, 3), monitor.StatusUnknown, "no failure since", false},
		{"nobody says whether the log is complete", unknown, monitor.StatusUnknown, "nobody says up to when", false},
		{"the log is complete to long ago", behind, monitor.StatusUnknown, "complete to 2026-02-11 only, 46 days behind", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := live(t, test.season)
			if r.Status != test.want || !strings.Contains(r.Sentence, test.says) {
				t.Errorf("got %s: %s\nwant %s and %q", r.Status, r.Sentence, test.want, test.says)
			}
			if got := len(r.Triggers) > 0; got != test.trigger {
				t.Errorf("triggers: got %+v, want one: %v", r.Triggers, test.trigger)
			}
			if text, err := json.Marshal(r); err != nil || strings.Contains(string(text), "NaN") {
				t.Errorf("as JSON: %s, %v", text, err)
			}
		})
	}
}

func TestAFleetThatHasSentNothingIsUnknown(t *testing.T) {
	w := newSeason(0)
	w.now = drumbeat.NoTime
	if r := live(t, w); r.Status != monitor.StatusUnknown || r.Sentence == "" {
		t.Errorf("got %s: %q, want unknown and why", r.Status, r.Sentence)
	}
}

func TestRepairsExplainAQuietFailureLog(t *testing.T) {
	w := failures(40, 40)
	w.now = hourOf(48*40 + 400)
	for i := range 8 {
		when := hourOf(float64(48 * (41 + i)))
		w.findings = append(w.findings, drumbeat.Finding{
			ID: fmt.Sprint("F", i), Fleet: "laundry", Machine: "W-1", Outcome: drumbeat.OutcomeRepaired,
			WhenFleet: when, From: when.Add(-day),
		})
	}
	if r := live(t, w); r.Status != monitor.StatusHealthy {
		t.Errorf("got %s: %s", r.Status, r.Sentence)
	}
}

func TestOneLossOfRecallIsOneReasonToTrainAgain(t *testing.T) {
	keys := map[string]bool{}
	for _, days := range []float64{0, 1, 2, 5} {
		w := failures(40, 30)
		w.now = w.now.Add(time.Duration(days*24) * time.Hour)
		r := live(t, w)
		if len(r.Triggers) != 1 || r.Triggers[0].Kind != monitor.ConceptDrift {
			t.Fatalf("after %v days: got %+v, want one trigger", days, r.Triggers)
		}
		keys[r.Triggers[0].Key()] = true
	}
	if !keys["concept_drift:1:2026-01-01"] || len(keys) != 1 {
		t.Errorf("keys: got %v, want the champion's version and since when", keys)
	}
}

func TestFailuresThatAnEarlierChampionMissedCallForNoRetraining(t *testing.T) {
	tests := []struct {
		name  string
		since float64 // hours
		says  string
	}{
		{"it saw too few", 48 * 36, "Version 2, champion since 2026-03-14, had a whole horizon to warn of 4 of them: too few"},
		{"it caught its own", 48 * 15, "caught 25 of the 25 that it had a whole horizon to warn of: it need not be replaced"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			w := failures(40, 40)
			for i := range w.predictions {
				p := &w.predictions[i]
				if p.AsOf >= hourOf(test.since) {
					p.Model = 2
				} else {
					p.Alarm = false
				}
			}
			r, err := monitor.Live(t.Context(), monitor.LiveInput{
				Fleet: w.fleet, Truth: w.truth(), Scores: w.scores, Champion: 2, Since: hourOf(test.since),
			})
			if err != nil {
				t.Fatal(err)
			}
			if r.Status != monitor.StatusRetrain || len(r.Triggers) != 0 || !strings.Contains(r.Sentence, test.says) {
				t.Errorf("got %s, %v: %s\nwant %q", r.Status, r.Triggers, r.Sentence, test.says)
			}
			if diff := cmp.Diff([]drumbeat.ModelVersion{1, 2}, r.Versions); diff != "" {
				t.Errorf("versions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReaderThatFailsIsAnError(t *testing.T) {
	w := failures(3, 3)
	away := errors.New("disk gone")
	broken := func(context.Context, drumbeat.Time, drumbeat.Time, func([]drumbeat.Prediction) error) error {
		return away
	}
	_, err := monitor.Live(t.Context(), monitor.LiveInput{Fleet: w.fleet, Truth: w.truth(), Scores: broken})
	if !errors.Is(err, away) {
		t.Errorf("live: got %v, want %v", err, away)
	}
	_, err = monitor.Shadow(t.Context(), monitor.ShadowInput{Fleet: w.fleet, Truth: w.truth(), Scores: broken})
	if !errors.Is(err, away) {
		t.Errorf("shadow: got %v, want %v", err, away)
	}
}
