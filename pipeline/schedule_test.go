package pipeline_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/pipeline"
)

func TestDue(t *testing.T) {
	t.Parallel()
	at := func(hours int) drumbeat.Time { return begin.Add(time.Duration(hours) * time.Hour) }
	for name, tc := range map[string]struct {
		last, now drumbeat.Time
		every     time.Duration
		since     drumbeat.Time
		due       bool
	}{
		"a moment too soon":                 {at(0), at(24) - 1, day, drumbeat.NoTime, false},
		"at the end of the period":          {at(0), at(24), day, at(24), true},
		"a jump over many periods":          {at(0), at(1000), day, at(984), true},
		"a clock that stands":               {at(0), at(0), day, drumbeat.NoTime, false},
		"a clock that fell":                 {at(0), at(-500), day, drumbeat.NoTime, false},
		"a clock that has not begun":        {at(0), drumbeat.NoTime, day, drumbeat.NoTime, false},
		"never yet":                         {drumbeat.NoTime, at(5), day, at(5), true},
		"never yet, and no clock":           {drumbeat.NoTime, drumbeat.NoTime, day, drumbeat.NoTime, false},
		"only for a reason (a period of 0)": {at(0), at(1000), 0, drumbeat.NoTime, false},
	} {
		if since, due := pipeline.Due(tc.last, tc.now, tc.every); since != tc.since || due != tc.due {
			t.Errorf("%s: got %s, %v, want %s, %v", name, since, due, tc.since, tc.due)
		}
	}
}

// TestAScheduleFollowsAClockThatJumps polls while the clock stands, falls and
// jumps: every poll makes at most one run, none without a period that ended
// since the last one, and the periods stay where the first one put them.
func TestAScheduleFollowsAClockThatJumps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.graph(fine)
	fleets := 0
	rapid.Check(t, func(rt *rapid.T) {
		fleets++
		fleet := drumbeat.FleetName(rune('A' + fleets))
		w.now = begin
		last := drumbeat.NoTime
		for range rapid.IntRange(1, 12).Draw(rt, "polls") {
			w.now = w.now.Add(time.Duration(rapid.IntRange(-50, 400).Draw(rt, "hours")) * time.Hour)
			reason, due, err := w.runner().Scheduled(t.Context(), g.Name, fleet, 7*day, begin)
			if err != nil {
				rt.Fatal(err)
			}
			from := max(last, begin)
			if want := w.now >= from.Add(7*day); due != want {
				rt.Fatalf("at %s, last at %s: due %v, want %v", w.now, last, due, want)
			}
			if !due {
				continue
			}
			if since := reason.Since; since <= last || since > w.now || w.now.Sub(since) >= 7*day || since.Sub(begin)%(7*day) != 0 {
				rt.Fatalf("at %s: due since %s, last at %s", w.now, since, last)
			}
			q := pipeline.Request{Fleet: fleet, Reason: reason, Who: "scheduler"}
			w.finished(t, g, q)
			last = reason.Since
		}
	})
}

func TestAFailedScheduledRunIsDueAgainTheNextDay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	q := func(r pipeline.Reason) pipeline.Request {
		return pipeline.Request{Fleet: "laundry", Reason: r, Who: "scheduler"}
	}
	scheduled := func() (pipeline.Reason, bool) {
		r, due, err := w.runner().Scheduled(t.Context(), "retrain", "laundry", 30*day, begin)
		if err != nil {
			t.Fatal(err)
		}
		return r, due
	}
	broken := w.graph(func(string) error { return drumbeat.ErrInvalid })
	w.now = begin.Add(28 * day)
	if _, err := w.runner().Run(t.Context(), broken, byPerson("in-vain")); err == nil {
		t.Fatal("it did not fail")
	}
	w.now = begin.Add(29*day + time.Hour)
	if _, due := scheduled(); due {
		t.Error("due a day after a person's run that failed")
	}
	w.now = begin.Add(30 * day)
	reason, due := scheduled()
	if !due {
		t.Error("a person's run that failed has moved the schedule")
	}
	if _, err := w.runner().Run(t.Context(), broken, q(reason)); err == nil {
		t.Fatal("it did not fail")
	}
	if _, due := scheduled(); due {
		t.Error("due again at once")
	}
	w.now = begin.Add(31 * day)
	if reason, due = scheduled(); !due {
		t.Fatal("not due the next day")
	}
	w.finished(t, w.graph(fine), q(reason))
	w.now = begin.Add(60 * day)
	if _, due := scheduled(); due {
		t.Error("due 29 days after the last good run")
	}
	w.finished(t, w.graph(fine), byPerson("by-hand"))
	w.now = begin.Add(61 * day)
	if _, due := scheduled(); due {
		t.Error("due a day after a person's run")
	}
	w.now = begin.Add(80 * day)
	if _, due, err := w.runner().Scheduled(t.Context(), "retrain", "laundry", 30*day, begin.Add(75*day)); err != nil || due {
		t.Error("due 5 days after a model that was made elsewhere", err)
	}
	r, g := w.runner(), w.graph(fine)
	w.now = begin.Add(200 * day)
	reason, _ = scheduled()
	if _, _, err := r.Start(t.Context(), g, q(reason)); err != nil {
		t.Fatal(err)
	}
	if _, due := scheduled(); due {
		t.Error("due while it is running")
	}
}
