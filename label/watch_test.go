package label_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/label"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// say is one thing that a watch is shown. Hours are of as_of or event time.
type say struct {
	row     bool
	above   bool
	entry   *drumbeat.Item
	finding *drumbeat.Finding
	tick    bool
	asOf    drumbeat.Time
	arrival drumbeat.Time
	offset  int64
}

func low(hours float64) say  { return say{row: true, asOf: at(hours), arrival: at(hours)} }
func high(hours float64) say { return say{row: true, above: true, asOf: at(hours), arrival: at(hours)} }
func tick(hours float64) say { return say{tick: true, arrival: at(hours)} }

// late makes a thing arrive at an hour.
func late(s say, hours float64) say {
	s.arrival = at(hours)
	if s.entry != nil {
		s.entry.ArrivalTime = at(hours)
	}
	return s
}

func entry(log, id string, hours float64, kind string) say {
	var b book
	return say{entry: b.add(log, id, hours, kind), arrival: at(hours)}
}

func fails(hours float64) say { return entry(label.FailureLog, "f", hours, "bearing") }
func serviced(hours float64) say {
	return entry(label.MaintenanceLog, fmt.Sprint("m", hours), hours, "planned")
}

func answered(outcome drumbeat.Outcome, hours float64) say {
	f := found(outcome, drumbeat.NoTime, at(hours))
	return say{finding: &f}
}

// play shows a watch everything and returns what it did, in words.
func play(w *label.Watch, all []say) []string {
	var told []string
	for i, s := range all {
		var steps []label.Step
		offset := int64(i)
		if s.offset != 0 {
			offset = s.offset
		}
		position := drumbeat.Position{Offset: offset}
		switch {
		case s.row:
			steps = w.Row(&label.Row{Machine: "W-1", AsOf: s.asOf, Arrival: s.arrival, Position: position}, s.above, nil)
		case s.entry != nil:
			s.entry.Position = position
			steps = w.Entry(s.entry, nil)
		case s.finding != nil:
			steps = w.Finding(s.finding, nil)
		case s.tick:
			steps = w.Tick(s.arrival, nil)
		}
		for _, step := range steps {
			hour := step.At.Sub(start).Hours()
			switch step.Kind {
			case label.StepOpened:
				told = append(told, fmt.Sprintf("opened %v", hour))
			case label.StepClosed:
				told = append(told, fmt.Sprintf("closed %v %s", hour, step.Outcome))
			case label.StepUpdated:
			}
		}
	}
	return told
}

// watching is what an alert rule is shown, and what it should do.
type watching struct {
	name string
	rule *label.Rule // H of 7 days, down for a day, if nil
	say  []say
	want []string
}

func (test *watching) run(t *testing.T) {
	rule := test.rule
	if rule == nil {
		rule = &label.Rule{Horizon: 7 * day, DownMax: day}
	}
	if diff := cmp.Diff(test.want, play(label.NewWatch(rule), test.say)); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

func TestAWatchOpensAndCloses(t *testing.T) {
	for _, test := range []watching{
		{"nothing opens at or below the threshold", nil, []say{low(1), low(2)}, nil},
		{"the first row above opens, later ones update", nil, []say{low(1), high(2), high(3), low(4), high(5)}, []string{"opened 2"}},
		{"a failure at the opening closes", nil, []say{high(2), fails(2)}, []string{"opened 2", "closed 2 log_failure"}},
		{
			"a failure closes at its entry's position, however late", nil,
			[]say{high(2), late(fails(3), 90), high(91)},
			[]string{"opened 2", "closed 90 log_failure"},
		},
		{
			"any maintenance closes if none is named", nil,
			[]say{high(2), serviced(5)},
			[]string{"opened 2", "closed 5 log_maintenance"},
		},
		{
			"maintenance of another type than named does not close", &label.Rule{Horizon: 7 * day, Resolves: []string{"unscheduled"}},
			[]say{high(2), serviced(5), high(6)},
			[]string{"opened 2"},
		},
		{"maintenance before the opening does not close", nil, []say{high(2), late(serviced(1), 5)}, []string{"opened 2"}},
		{
			"a finding closes whatever it says", nil,
			[]say{high(2), answered(drumbeat.OutcomeNotInspected, 4)},
			[]string{"opened 2", "closed 4 not_inspected"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestAWatchEndsUnansweredAndReArms(t *testing.T) {
	for _, test := range []watching{
		{
			"unanswered for H after the last row above", nil,
			[]say{high(2), high(10), low(20), tick(week + 10), tick(week + 10.001)},
			[]string{"opened 2", "closed 178 unanswered"},
		},
		{
			"a row that arrives when H is just over finds the alert open", nil,
			[]say{high(2), high(week + 2), tick(week + 3)},
			[]string{"opened 2"},
		},
		{
			"a row that arrives later finds it closed, and it is not re-armed", nil,
			[]say{high(2), high(week + 2.5), high(week + 3)},
			[]string{"opened 2", "closed 170 unanswered"},
		},
		{
			"it re-arms when the risk was at or below the threshold once", nil,
			[]say{high(2), answered(drumbeat.OutcomeNothingWrong, 4), high(5), low(6), high(7)},
			[]string{"opened 2", "closed 4 nothing_wrong", "opened 7"},
		},
		{
			"or H after it closed", nil,
			[]say{high(2), answered(drumbeat.OutcomeNothingWrong, 4), high(week + 3.5), high(week + 4)},
			[]string{"opened 2", "closed 4 nothing_wrong", "opened 172"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestAWatchIsSilentWhileDown(t *testing.T) {
	for _, test := range []watching{
		{
			"silent while down, and open to the next row after", nil,
			[]say{fails(1), high(2), high(3), serviced(4), high(4), high(5)},
			[]string{"opened 4"},
		},
		{"down ends at down_max", nil, []say{fails(1), high(24.5), high(25)}, []string{"opened 25"}},
		{
			"an alert opened between a failure and its late entry is closed as down", nil,
			[]say{high(2), late(fails(1), 5)},
			[]string{"opened 2", "closed 5 down"},
		},
		{
			"one that opened after the repair is not", nil,
			[]say{serviced(1.5), high(2), late(fails(1), 5)},
			[]string{"opened 2"},
		},
		{
			"though the repair lies long before the newest row", &label.Rule{Horizon: day, DownMax: day, Resolves: []string{"unscheduled"}},
			[]say{serviced(1.5), high(2), high(25), high(49), high(72), high(90), serviced(91), late(fails(1), 92)},
			[]string{"opened 2"},
		},
		{
			"after a failure that is final there is no alert", &label.Rule{Horizon: 7 * day, DownMax: day, Terminal: true},
			[]say{fails(1), serviced(2), high(900)},
			nil,
		},
		{
			"it failed, says a technician: down from then on", nil,
			[]say{high(2), answered(drumbeat.OutcomeFailed, 3), low(4), high(5), high(27)},
			[]string{"opened 2", "closed 3 failed", "opened 27"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestAWatchPassesOverWhatIsOld(t *testing.T) {
	for _, test := range []watching{
		{
			"a row of an older as_of is superseded and opens nothing", nil,
			[]say{low(5), late(high(3), 6)},
			nil,
		},
		{
			"nor does it re-arm", nil,
			[]say{high(5), answered(drumbeat.OutcomeNothingWrong, 6), high(7), late(low(4), 8), high(9)},
			[]string{"opened 5", "closed 6 nothing_wrong"},
		},
		{
			"a correction at the newest as_of counts", nil,
			[]say{low(5), late(high(5), 6)},
			[]string{"opened 5"},
		},
		{
			"a row whose H is over before it arrives opens nothing", nil,
			[]say{late(high(5), week+5.5)},
			nil,
		},
		{
			"a withdrawn failure closes nothing and ends the silence", nil,
			[]say{fails(1), high(2), withdrawn(fails(1), 1), high(3), withdrawn(fails(5), 2)},
			[]string{"opened 3"},
		},
		{
			"a lower revision that comes later is passed over", nil,
			[]say{withdrawn(fails(1), 3), fails(1), high(2)},
			[]string{"opened 2"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func withdrawn(s say, revision int64) say {
	s.entry.Entry.Revision, s.entry.Entry.Withdrawn = revision, true
	return s
}

// drawSays draws a machine's life: things arrive in order, about times that
// lie somewhat before.
func drawSays(t *rapid.T) (*label.Rule, []say) {
	rule := &label.Rule{
		Horizon:  time.Duration(rapid.IntRange(1, 8).Draw(t, "horizon")) * time.Hour,
		DownMax:  time.Duration(rapid.IntRange(0, 5).Draw(t, "down_max")) * time.Hour,
		Terminal: rapid.IntRange(0, 9).Draw(t, "terminal") == 0,
	}
	if rapid.Bool().Draw(t, "named") {
		rule.Resolves = []string{"unscheduled"}
	}
	var says []say
	var bases []float64 // when each entry was first said to be
	now := 0
	for range rapid.IntRange(1, 40).Draw(t, "events") {
		now += rapid.IntRange(0, 2).Draw(t, "passed")
		ago := rapid.SampledFrom([]int{0, 0, 0, 1, 2, 9}).Draw(t, "ago")
		when := float64(now - ago)
		var s say
		what := rapid.IntRange(0, 9).Draw(t, "what")
		switch what {
		case 0, 1:
			log := []string{label.FailureLog, label.MaintenanceLog}[what]
			// A revision moves an entry by H at the most: the watch forgets older ones.
			id := rapid.IntRange(0, len(bases)).Draw(t, "id")
			if id == len(bases) {
				bases = append(bases, when)
			} else {
				when = bases[id] + float64(rapid.IntRange(0, int(rule.Horizon.Hours())).Draw(t, "moved"))
			}
			kind := rapid.SampledFrom([]string{"planned", "unscheduled"}).Draw(t, "type")
			s = late(entry(log, fmt.Sprint("e", id), when, kind), float64(now))
			s.entry.Entry.Revision = int64(rapid.IntRange(0, 2).Draw(t, "revision"))
			s.entry.Entry.Withdrawn = rapid.IntRange(0, 4).Draw(t, "withdrawn") == 0
		case 2:
			s = answered(rapid.SampledFrom([]drumbeat.Outcome{
				drumbeat.OutcomeFailed, drumbeat.OutcomeRepaired, drumbeat.OutcomeNothingWrong,
			}).Draw(t, "outcome"), float64(now))
			s.finding.ID = fmt.Sprint("F", len(says))
		case 3:
			s = tick(float64(now))
		default:
			s = late(low(when), float64(now))
			s.above = rapid.Bool().Draw(t, "above")
		}
		says = append(says, s)
	}
	return rule, says
}

func TestAlertsAreWhatTheTextSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, says := drawSays(t)
		want := &ruling{rule: rule}
		for _, s := range says {
			want.see(s)
		}
		if diff := cmp.Diff(want.told, play(label.NewWatch(rule), says)); diff != "" {
			t.Fatalf("alerts (-text +watch):\n%s", diff)
		}
	})
}

func TestAWatchGoesOnFromItsStoredState(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, says := drawSays(t)
		want := play(label.NewWatch(rule), says)
		var got []string
		w := label.NewWatch(rule)
		for i, s := range says {
			s.offset = int64(i)
			if i == 0 {
				s.offset = -1 // play numbers what has no offset itself
			}
			got = append(got, play(w, []say{s})...)
			state, err := json.Marshal(&w.State)
			if err != nil {
				t.Fatal(err)
			}
			w = label.NewWatch(rule)
			if err := json.Unmarshal(state, &w.State); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("alerts (-kept in memory +stored after every event):\n%s", diff)
		}
	})
}

func TestACloneDoesNotChangeWithItsOriginal(t *testing.T) {
	w := label.NewWatch(&label.Rule{Horizon: 7 * day, DownMax: day})
	play(w, []say{fails(1), serviced(2), high(3)})
	clone := w.Clone()
	before, err := json.Marshal(&clone.State)
	if err != nil {
		t.Fatal(err)
	}
	play(w, []say{withdrawn(fails(1), 1), answered(drumbeat.OutcomeFailed, 5), high(100000)})
	after, err := json.Marshal(&clone.State)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(before), string(after)); diff != "" {
		t.Errorf("clone (-before +after):\n%s", diff)
	}
}

func TestAWatchForgetsOldEntries(t *testing.T) {
	w := label.NewWatch(&label.Rule{Horizon: 7 * day, DownMax: day})
	for i := range 2000 {
		hour := float64(i * 24)
		play(w, []say{{row: true, asOf: at(hour), arrival: at(hour), offset: int64(2*i + 1)}})
		s := entry(label.MaintenanceLog, fmt.Sprint("m", i), hour, "planned")
		s.offset = int64(2*i + 2)
		play(w, []say{s})
	}
	state, err := json.Marshal(&w.State)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(state), `"id"`); n > 12 {
		t.Errorf("after 2000 entries the watch remembers %d, want about H + down_max of them", n)
	}
}
