package lake_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"
)

func TestTheFirstReportOfAKindAndKeyStands(t *testing.T) {
	store := memory.New(time.Now)
	l, other := open(t, store), open(t, store)
	var want []lake.Report
	for i := range 5 {
		r := lake.Report{Kind: "drift", Key: fmt.Sprint("day ", i), MadeAt: start + drumbeat.Time(i), Text: fmt.Appendf(nil, `{"day":%d}`, i)}
		if i == 3 {
			r.Kind, r.Key = "recall", "day 1" // a key of another kind
		}
		want = append(want, r)
		again := r
		again.Text, again.MadeAt = []byte(`"otherwise"`), start
		for _, writer := range []*lake.Lake{l, other, open(t, store)} {
			if err := writer.AppendReport(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			r = again
		}
	}
	slices.Reverse(want)
	for _, ask := range []struct {
		kind  string
		limit int
		want  []lake.Report
	}{
		{"", 0, want},
		{"", 2, want[:2]},
		{"drift", 2, []lake.Report{want[0], want[2]}},
		{"recall", 10, want[1:2]},
		{"no such", 10, nil},
	} {
		got, err := open(t, store).Reports(t.Context(), ask.kind, ask.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(ask.want, got); diff != "" {
			t.Errorf("%d of kind %q (-want +got):\n%s", ask.limit, ask.kind, diff)
		}
	}
}

func TestAReportThatNobodyCouldFindOrReadIsRefused(t *testing.T) {
	l := open(t, memory.New(time.Now))
	for _, r := range []lake.Report{
		{Key: "k", Text: []byte(`{}`)}, {Kind: "drift", Text: []byte(`{}`)}, {Kind: "drift", Key: "k", Text: []byte(`{`)}, {Kind: "drift", Key: "k"},
	} {
		if err := l.AppendReport(t.Context(), r); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%+v: %v, want invalid", r, err)
		}
	}
}

func TestAReportWhoseAnswerWasLostIsThereOnce(t *testing.T) {
	store := &objstoretest.Breaker{Store: memory.New(time.Now), Moment: objstoretest.After, Once: true, WritesOnly: true}
	l := open(t, store)
	store.At = store.Calls() + 2 // the data file, then the commit
	r := lake.Report{Kind: "drift", Key: "k", MadeAt: start, Text: []byte(`{}`)}
	if err := l.AppendReport(t.Context(), r); !errors.Is(err, objstoretest.ErrBroken) {
		t.Fatal(err)
	}
	if err := l.AppendReport(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if got, err := l.Reports(t.Context(), "", 0); err != nil || len(got) != 1 {
		t.Errorf("%d reports, %v", len(got), err)
	}
}
