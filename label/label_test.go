package label_test

import (
	"fmt"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"

	"github.com/google/go-cmp/cmp"
)

const day = 24 * time.Hour

// start is when the tables' clocks begin; at(3) is three hours later.
const start = drumbeat.Time(1_767_225_600_000_000) // 2026-01-01

func at(hours float64) drumbeat.Time {
	return start.Add(time.Duration(hours * float64(time.Hour)))
}

func laundry() *fleet.Fleet {
	return &fleet.Fleet{
		Name: "laundry", Cadence: time.Hour,
		FailureLog: fleet.Completeness{Kind: fleet.CompleteContinuous},
		Label: fleet.LabelPolicy{
			Horizon: 7 * day, ReportingLag: day, DownMax: day, Censors: []string{"unscheduled"},
		},
	}
}

// book makes entries with the positions of their order.
type book struct{ items []drumbeat.Item }

func (b *book) add(log, id string, hours float64, kind string) *drumbeat.Item {
	b.items = append(b.items, drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: "W-1", EventTime: at(hours), ArrivalTime: at(hours),
		Position: drumbeat.Position{Offset: int64(len(b.items))},
		Entry:    drumbeat.Entry{Log: log, ID: id, Type: kind},
	})
	return &b.items[len(b.items)-1]
}

func (b *book) failure(id string, hours float64) *drumbeat.Item {
	return b.add(label.FailureLog, id, hours, "bearing")
}

func (b *book) maintenance(hours float64, kind string) {
	b.add(label.MaintenanceLog, "m", hours, kind)
}

func found(outcome drumbeat.Outcome, from, when drumbeat.Time) drumbeat.Finding {
	return drumbeat.Finding{
		ID: "F1", Machine: "W-1", Alert: "A1", Outcome: outcome, From: from, WhenFleet: when, WhenWall: when, Who: "kim",
	}
}

// labelling is one row to label in a world of one machine.
type labelling struct {
	name     string
	fleet    func(*fleet.Fleet)
	log      func(*book)
	findings []drumbeat.Finding
	now      drumbeat.Time // long after everything, if 0
	asOf     drumbeat.Time
	want     label.Verdict
}

const week = 7 * 24 // hours

func (test *labelling) run(t *testing.T) {
	f := laundry()
	if test.fleet != nil {
		test.fleet(f)
	}
	var b book
	if test.log != nil {
		test.log(&b)
	}
	now := test.now
	if now == 0 {
		now = at(100 * 24)
	}
	got := label.NewTruth(f, 0, b.items, test.findings, now).Label("W-1", test.asOf)
	if diff := cmp.Diff(test.want, got); diff != "" {
		t.Errorf("label as of %s (-want +got):\n%s", test.asOf, diff)
	}
}

func TestLabelsByFailuresAndDownTime(t *testing.T) {
	for _, test := range []labelling{
		{
			name: "a row H before a failure is positive",
			log:  func(b *book) { b.failure("f", week) }, asOf: at(0),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
		{
			name: "a row earlier than H before a failure is negative",
			log:  func(b *book) { b.failure("f", week) }, asOf: at(0) - 1000,
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "a row at the failure is down, not positive",
			log:  func(b *book) { b.failure("f", 5) }, asOf: at(5),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceDown},
		},
		{
			name: "a row at a failure that was repaired at once is an ordinary row",
			log:  func(b *book) { b.failure("f", 5); b.maintenance(5, "planned") }, asOf: at(5),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "down time ends at the first maintenance of any type",
			log:  func(b *book) { b.failure("f", 5); b.maintenance(9, "planned") }, asOf: at(9),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "down time ends at down_max without any maintenance",
			log:  func(b *book) { b.failure("f", 5) }, asOf: at(29),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "a machine that is down has no row, whatever comes next",
			log:  func(b *book) { b.failure("f", 5); b.failure("g", 50) }, asOf: at(28),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceDown},
		},
		{
			name: "after a terminal failure nothing is known",
			fleet: func(f *fleet.Fleet) {
				f.FailureIsTerminal = true
			},
			log: func(b *book) { b.failure("f", 5); b.maintenance(6, "planned") }, asOf: at(900),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceTerminal, Ref: "f"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestLabelsByCompletenessOfTheLog(t *testing.T) {
	for _, test := range []labelling{
		{
			name: "a row is unknown when the log is complete only to just before t + H",
			now:  at(week+24) - 1000, asOf: at(0),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIncomplete},
		},
		{
			name: "a row is negative when the log is complete to t + H",
			now:  at(week + 24), asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "a failure counts before the log is complete",
			now:  at(6), log: func(b *book) { b.failure("f", 5) }, asOf: at(0),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
		{
			name:  "nothing is negative when nobody says how complete the log is",
			fleet: func(f *fleet.Fleet) { f.FailureLog = fleet.Completeness{} }, asOf: at(0),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIncomplete},
		},
		{
			name: "a watermark goes before what the fleet file says",
			log: func(b *book) {
				b.items = append(b.items, drumbeat.Item{
					Kind: drumbeat.KindWatermark, Watermark: drumbeat.Watermark{Log: label.FailureLog, CompleteTo: at(week - 1)},
				})
			}, asOf: at(0),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIncomplete},
		},
		{
			name: "a watermark of another log says nothing",
			log: func(b *book) {
				b.items = append(b.items, drumbeat.Item{
					Kind: drumbeat.KindWatermark, Watermark: drumbeat.Watermark{Log: label.MaintenanceLog, CompleteTo: at(0)},
				})
			}, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "a declared complete_to bounds what is negative",
			fleet: func(f *fleet.Fleet) {
				f.FailureLog = fleet.Completeness{Kind: fleet.CompleteTo, To: at(week)}
			}, asOf: at(0) + 1000,
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIncomplete},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestLabelsByInterventions(t *testing.T) {
	for _, test := range []labelling{
		{
			name: "an intervention within H hides what would have happened",
			log:  func(b *book) { b.maintenance(week, "unscheduled") }, asOf: at(0),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIntervention, Ref: "m"},
		},
		{
			name: "maintenance of a type that is not listed hides nothing",
			log:  func(b *book) { b.maintenance(5, "planned") }, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "an intervention at the row's own time is history",
			log:  func(b *book) { b.maintenance(0, "unscheduled") }, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "an intervention strictly before the first failure hides it",
			log:  func(b *book) { b.maintenance(5, "unscheduled"); b.failure("f", 9) }, asOf: at(0),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIntervention, Ref: "m"},
		},
		{
			name: "an intervention at the failure's time is its repair",
			log:  func(b *book) { b.maintenance(9, "unscheduled"); b.failure("f", 9) }, asOf: at(0),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestLabelsByFindingsOfFailuresAndRepairs(t *testing.T) {
	for _, test := range []labelling{
		{
			name:     "it failed, says a technician: positive",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeFailed, at(1), at(5))}, asOf: at(-10),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailed, Ref: "F1"},
		},
		{
			name: "the failure log goes before the finding of the same failure",
			log:  func(b *book) { b.failure("f", 4) }, findings: []drumbeat.Finding{found(drumbeat.OutcomeFailed, at(1), at(5))},
			asOf: at(0), want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
		{
			name:     "rows of an alert that a repair answered are positive, before anything has matured",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeRepaired, at(1), at(5))}, now: at(5), asOf: at(1),
			want: label.Verdict{Value: label.Positive, Source: label.SourceRepaired, Ref: "F1"},
		},
		{
			name:     "rows before the alert are not the repair's",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeRepaired, at(1), at(5))}, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name:     "rows more than H before the repair are not its own",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeRepaired, at(-500), at(5))}, asOf: at(5-week) - 1000,
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name:     "a fault that no alert foretold makes every row within H positive",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeRepaired, drumbeat.NoTime, at(5))}, asOf: at(5 - week),
			want: label.Verdict{Value: label.Positive, Source: label.SourceRepaired, Ref: "F1"},
		},
		{
			name:     "a repair goes before its own maintenance entry",
			log:      func(b *book) { b.maintenance(4, "unscheduled") },
			findings: []drumbeat.Finding{found(drumbeat.OutcomeRepaired, at(1), at(5))}, asOf: at(2),
			want: label.Verdict{Value: label.Positive, Source: label.SourceRepaired, Ref: "F1"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestLabelsByFindingsThatNothingOrNobodySaw(t *testing.T) {
	for _, test := range []labelling{
		{
			name:     "an intervention goes before nothing wrong",
			log:      func(b *book) { b.maintenance(9, "unscheduled") },
			findings: []drumbeat.Finding{found(drumbeat.OutcomeNothingWrong, at(1), at(5))}, asOf: at(2),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIntervention, Ref: "m"},
		},
		{
			name:     "a failure goes before nothing wrong",
			log:      func(b *book) { b.failure("f", 9) },
			findings: []drumbeat.Finding{found(drumbeat.OutcomeNothingWrong, at(1), at(5))}, asOf: at(2),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
		{
			name:     "nothing wrong is negative once the log is complete to t + H",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeNothingWrong, at(1), at(5))}, asOf: at(5),
			want: label.Verdict{Value: label.Negative, Source: label.SourceNothingWrong, Ref: "F1"},
		},
		{
			name:     "nothing wrong is unknown before that",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeNothingWrong, at(1), at(5))}, now: at(20), asOf: at(5),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceIncomplete},
		},
		{
			name:     "a wrong sensor makes the alert's rows unknown",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeSensorWrong, at(1), at(5))}, asOf: at(1),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceSensorWrong, Ref: "F1"},
		},
		{
			name:     "so does an alert that nobody inspected",
			findings: []drumbeat.Finding{found(drumbeat.OutcomeNotInspected, at(1), at(5))}, asOf: at(5),
			want: label.Verdict{Value: label.Unknown, Source: label.SourceNotInspected, Ref: "F1"},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestLabelsByRevisionsOfEntries(t *testing.T) {
	for _, test := range []labelling{
		{
			name: "a revision moves a failure",
			log:  func(b *book) { b.failure("f", 5); b.failure("f", 500).Entry.Revision = 1 }, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "a lower revision that comes later changes nothing",
			log: func(b *book) {
				b.failure("f", 5).Entry.Revision = 2
				b.failure("f", 500).Entry.Revision = 1
			}, asOf: at(0),
			want: label.Verdict{Value: label.Positive, Source: label.SourceFailureLog, Ref: "f"},
		},
		{
			name: "a withdrawn failure did not happen",
			log: func(b *book) {
				b.failure("f", 5)
				again := b.failure("f", 5)
				again.Entry.Revision, again.Entry.Withdrawn = 1, true
			}, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
		{
			name: "another machine's failure is none of this one",
			log:  func(b *book) { b.failure("f", 5).Machine = "W-2" }, asOf: at(0),
			want: label.Verdict{Value: label.Negative, Source: label.SourceSilence},
		},
	} {
		t.Run(test.name, test.run)
	}
}

func TestOneFailureIsOneEvent(t *testing.T) {
	var b book
	b.add(label.FailureLog, "a", 5, "pump")
	b.add(label.FailureLog, "b", 5, "bearing")
	b.add(label.FailureLog, "c", 300, "motor")
	findings := []drumbeat.Finding{
		found(drumbeat.OutcomeFailed, at(1), at(8)),                  // the same as at 5: in its down time
		found(drumbeat.OutcomeFailed, drumbeat.NoTime, at(299)),      // the same as at 300: just before it
		found(drumbeat.OutcomeFailed, drumbeat.NoTime, at(700)),      // its own
		found(drumbeat.OutcomeFailed, drumbeat.NoTime, at(705)),      // told twice
		found(drumbeat.OutcomeRepaired, drumbeat.NoTime, at(900)),    // a repair
		found(drumbeat.OutcomeNothingWrong, drumbeat.NoTime, at(10)), // no event
	}
	for i := range findings {
		findings[i].ID = fmt.Sprint("F", i)
	}
	findings = append(findings, findings[2]) // sent again
	truth := label.NewTruth(laundry(), 0, b.items, findings, at(5000))
	want := []label.Event{
		{Machine: "W-1", At: at(5), Source: label.SourceFailureLog, Ref: "b", Mode: "bearing+pump"},
		{Machine: "W-1", At: at(300), Source: label.SourceFailureLog, Ref: "c", Mode: "motor"},
		{Machine: "W-1", At: at(700), Source: label.SourceFailed, Ref: "F2"},
	}
	if diff := cmp.Diff(want, truth.Failures()); diff != "" {
		t.Errorf("failures (-want +got):\n%s", diff)
	}
	wantRepairs := []label.Event{{Machine: "W-1", At: at(900), Source: label.SourceRepaired, Ref: "F4"}}
	if diff := cmp.Diff(wantRepairs, truth.Repairs()); diff != "" {
		t.Errorf("repairs (-want +got):\n%s", diff)
	}
}

func TestMatureWaitsForHorizonAndReportingLag(t *testing.T) {
	truth := label.NewTruth(laundry(), day, nil, nil, at(48))
	for _, test := range []struct {
		asOf drumbeat.Time
		want bool
	}{{at(0), true}, {at(0) + 1000, false}} {
		if got := truth.Mature(test.asOf, day); got != test.want {
			t.Errorf("mature as of %s: got %v, want %v", test.asOf, got, test.want)
		}
	}
	if label.NewTruth(laundry(), day, nil, nil, drumbeat.NoTime).Mature(at(0), 0) {
		t.Error("a fleet whose clock has not begun has matured rows")
	}
}

func TestPolicyNamesWhatLabelsDependOn(t *testing.T) {
	got := label.NewTruth(laundry(), 3*day, nil, nil, at(0)).Policy()
	want := "L1-L3/1 horizon=72h0m0s reporting_lag=24h0m0s down_max=24h0m0s censors=unscheduled terminal=false"
	if got != want {
		t.Errorf("policy: got %q, want %q", got, want)
	}
}
