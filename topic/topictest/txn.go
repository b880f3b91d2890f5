package topictest

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/topic"
)

func testTransaction(t *testing.T, f *fixture) {
	w, err := f.TxnWriter(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	group := "group-" + f.topic.Name
	commit := topic.Commit{Group: group, Topic: f.topic, Offsets: map[int32]int64{0: 4, 2: math.MaxInt32}}
	none, err := f.Committed(t.Context(), group, f.topic.Name)
	if err != nil || len(none) != 0 {
		t.Fatalf("before: %v, %v", none, err)
	}
	for i := range 3 {
		commit.Offsets[0]++
		records := f.records(20, fmt.Sprintf("txn %d", i))
		if err := w.WriteTxn(t.Context(), records, commit); err != nil {
			t.Fatal(err)
		}
	}
	commit.Offsets[0]++
	if err := w.WriteTxn(t.Context(), nil, commit); err != nil {
		t.Fatalf("offsets alone: %v", err)
	}
	got, err := f.Committed(t.Context(), group, f.topic.Name)
	if diff := cmp.Diff(map[int32]int64{0: 8, 2: math.MaxInt32}, got); diff != "" || err != nil {
		t.Fatalf("%v, -want +got:\n%s", err, diff)
	}
	if got := f.read(t, f.topic.Start(), 60); len(got) != 60 {
		t.Fatalf("%d records", len(got))
	}
}

func testAborted(t *testing.T, f *fixture) {
	w, err := f.TxnWriter(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	bad := f.records(20, "bad")
	bad[19].Topic += "-nowhere"
	commit := topic.Commit{Group: "group-" + f.topic.Name, Topic: f.topic, Offsets: map[int32]int64{0: 9}}
	if err := w.WriteTxn(t.Context(), bad, commit); err == nil {
		t.Fatal("a record of a topic that does not exist was written")
	}
	f.mustWrite(t, f.records(10, "good"))
	for _, r := range f.read(t, f.topic.Start(), 10) {
		if !strings.HasPrefix(string(r.Value), "good") {
			t.Errorf("read %q of a transaction that failed", r.Value)
		}
	}
	if got, err := f.Committed(t.Context(), commit.Group, f.topic.Name); len(got) != 0 || err != nil {
		t.Errorf("committed %v, %v", got, err)
	}
}

func testFenced(t *testing.T, f *fixture) {
	older, err := f.TxnWriter(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer older.Close()
	if err := older.WriteTxn(t.Context(), f.records(1, "older"), topic.Commit{}); err != nil {
		t.Fatal(err)
	}
	newer, err := f.TxnWriter(t.Context(), f.topic.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer newer.Close()
	if err := newer.WriteTxn(t.Context(), f.records(1, "newer"), topic.Commit{}); err != nil {
		t.Fatal(err)
	}
	if err := older.WriteTxn(t.Context(), f.records(1, "ghost"), topic.Commit{}); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("the older writer: got %v", err)
	}
}
