package lake_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"

	diff "github.com/google/go-cmp/cmp"
)

// world is everything that a topic will ever hold, in this test.
type world struct {
	items  []drumbeat.Item // all that was kept
	raw    []drumbeat.Item
	dead   []lake.DeadLetter
	asides []lake.Aside
	ends   lake.Progress
	// cuts are where the batches of a run end.
	cuts []lake.Progress
}

func newWorld() *world {
	s := newStream(5, 2)
	w := &world{}
	for range 2 {
		items := s.batch(15)
		for i := range items {
			switch i % 7 {
			case 3:
				w.dead = append(w.dead, lake.DeadLetter{Position: items[i].Position, Fate: drumbeat.FateUndecodable, Reason: "no JSON"})
			case 5:
				w.asides = append(w.asides, lake.Aside{
					Position: items[i].Position, Machine: items[i].Machine, EventTime: start, ArrivalTime: start,
					Fate: drumbeat.FateLate, Reason: "a day late",
				})
				fallthrough
			default:
				w.raw = append(w.raw, withRaw(items[i:i+1])...)
				if i%7 != 5 {
					w.items = append(w.items, items[i])
				}
			}
		}
		w.cuts = append(w.cuts, s.progress())
	}
	w.ends = s.progress()
	return w
}

// between returns the rows with offsets in [from, to).
func between[T any](rows []T, at func(*T) drumbeat.Position, from, to lake.Progress) []T {
	var out []T
	for i := range rows {
		if p := at(&rows[i]); p.Offset >= from[p.Partition] && p.Offset < to[p.Partition] {
			out = append(out, rows[i])
		}
	}
	return out
}

func itemAt(i *drumbeat.Item) drumbeat.Position   { return i.Position }
func deadAt(d *lake.DeadLetter) drumbeat.Position { return d.Position }
func asideAt(a *lake.Aside) drumbeat.Position     { return a.Position }

// copyAll carries every table to the world's end, from where its progress
// says, in batches that end at the given cuts.
func (w *world) copyAll(ctx context.Context, l *lake.Lake, cuts []lake.Progress) error {
	for _, next := range cuts {
		from := l.BronzeProgress()
		raw, dead := between(w.raw, itemAt, from, next), between(w.dead, deadAt, from, next)
		if err := l.AppendBronze(ctx, raw, dead, next); err != nil {
			return err
		}
	}
	for _, next := range cuts {
		from := l.SilverProgress()
		silver := lake.Silver{Items: between(w.items, itemAt, from, next), Aside: between(w.asides, asideAt, from, next)}
		if err := l.AppendSilver(ctx, silver, next); err != nil {
			return err
		}
	}
	gold, err := l.Gold(ctx, "health", "h1", []string{"a", "b"})
	if err != nil {
		return err
	}
	for _, next := range cuts[len(cuts)-1:] {
		if err := gold.Append(ctx, vectors(between(w.items, itemAt, gold.Progress(), next), 2), next); err != nil {
			return err
		}
	}
	for _, next := range cuts {
		if err := l.AppendPredictions(ctx, predictions(between(w.items, itemAt, l.PredictionProgress(0), next)), 0, next); err != nil {
			return err
		}
	}
	labels := []lake.Label{{Machine: "W", AsOf: start, Horizon: "7d", Value: lake.LabelUnknown, Source: "nobody", MadeAt: start}}
	for range 2 {
		if err := l.AppendLabels(ctx, labels); err != nil {
			return err
		}
	}
	for _, ids := range [][]string{{"f1", "f2"}, {"f2", "f3", "f3"}, {"f1"}} {
		var findings []drumbeat.Finding
		for _, id := range ids {
			findings = append(findings, drumbeat.Finding{ID: id, Machine: "W", Outcome: drumbeat.OutcomeRepaired, From: drumbeat.NoTime})
		}
		if err := l.AppendFindings(ctx, findings); err != nil {
			return err
		}
	}
	return nil
}

func predictions(items []drumbeat.Item) []drumbeat.Prediction {
	var out []drumbeat.Prediction
	for i := range items {
		value := 7.5
		out = append(out, drumbeat.Prediction{
			Fleet: "laundry", Machine: items[i].Machine, AsOf: items[i].EventTime, Position: items[i].Position, Model: 3,
			Role: drumbeat.RoleChampion, Purpose: drumbeat.PurposeLive, Probability: 0.25, Margin: -1.5, Threshold: 0.45,
			Flags: []string{"warming_up"}, Reasons: []drumbeat.Reason{{Feature: "a", Value: &value, Contribution: 0.5}},
		})
	}
	return out
}

// contents returns all that a lake holds, as sorted lines by table.
func contents(t *testing.T, l *lake.Lake) map[string][]string {
	t.Helper()
	ctx, all := t.Context(), map[string][]string{}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	bronze, progress := readBronze(t, l, nil)
	all["bronze"] = lines(t, bronze)
	all["silver"] = lines(t, readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions}))
	gold, err := l.Gold(ctx, "health", "h1", []string{"a", "b"})
	must(err)
	for _, v := range fromChunks(t, gold, lake.GoldScan{}) {
		all["gold"] = append(all["gold"], fmt.Sprint(v))
	}
	must(l.ScanDeadLetters(ctx, func(rows []lake.DeadLetter) error { all["dead"] = append(all["dead"], lines(t, rows)...); return nil }))
	must(l.ScanLabels(ctx, func(rows []lake.Label) error { all["labels"] = append(all["labels"], lines(t, rows)...); return nil }))
	must(l.ScanPredictions(ctx, func(rows []drumbeat.Prediction) error {
		all["predictions"] = append(all["predictions"], lines(t, rows)...)
		return nil
	}))
	must(l.ScanFindings(ctx, func(rows []drumbeat.Finding) error {
		all["findings"] = append(all["findings"], lines(t, rows)...)
		return nil
	}))
	counts, err := l.Counts(ctx)
	must(err)
	all["counts"] = lines(t, []lake.Counts{counts})
	all["progress"] = lines(t, []lake.Progress{progress, l.SilverProgress(), gold.Progress(), l.PredictionProgress(0)})
	for name := range all {
		slices.Sort(all[name])
	}
	return all
}

func lines[T any](t *testing.T, rows []T) []string {
	t.Helper()
	var out []string
	for i := range rows {
		text, err := json.Marshal(rows[i])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

func reopen(ctx context.Context, store delta.Store) (*lake.Lake, error) {
	return lake.Open(ctx, store, washers(), slog.New(slog.DiscardHandler))
}

func TestACrashBetweenAnyTwoWritesLosesAndDoublesNothing(t *testing.T) {
	w := newWorld()
	counter := &objstoretest.Breaker{Store: memory.New(time.Now), WritesOnly: true}
	l, err := reopen(t.Context(), counter)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.copyAll(t.Context(), l, w.cuts); err != nil {
		t.Fatal(err)
	}
	writes := counter.Calls()
	want := contents(t, l)
	if len(want["bronze"]) != len(w.raw) || len(want["silver"]) != len(w.items) || len(want["dead"]) != len(w.dead) ||
		len(want["gold"]) != len(w.items) || len(want["predictions"]) != len(w.items) ||
		len(want["findings"]) != 3 || len(want["labels"]) != 1 {
		t.Fatal("the calm run has lost or doubled something")
	}
	for _, how := range []struct {
		name   string
		moment objstoretest.Moment
		once   bool
		first  int // the two kinds of failure take turns, to spare time
		step   int
	}{
		{"the process dies", objstoretest.After, false, 1, 1},
		{"a write fails", objstoretest.Before, true, 1, 2},
		{"a write's answer is lost", objstoretest.After, true, 2, 2},
	} {
		t.Run(how.name, func(t *testing.T) {
			t.Parallel()
			step := how.step
			if testing.Short() {
				step *= 6 // make check plays some of them, make test all
			}
			for n := how.first; n <= writes; n += step {
				store := memory.New(time.Now)
				breaker := &objstoretest.Breaker{Store: store, At: n, Moment: how.moment, Once: how.once, WritesOnly: true}
				w.survive(t, breaker, store, want)
				if t.Failed() || !breaker.Broke() {
					t.Fatalf("at write %d of %d", n, writes)
				}
			}
		})
	}
}

// survive copies the world until the breaker breaks, and then the rest, in
// batches that end elsewhere.
func (w *world) survive(t *testing.T, breaker *objstoretest.Breaker, store delta.Store, want map[string][]string) {
	t.Helper()
	l, err := reopen(t.Context(), breaker)
	if err == nil {
		err = w.copyAll(t.Context(), l, w.cuts)
	}
	// A checkpoint may fail without harm, nothing else may.
	if err != nil && !errors.Is(err, objstoretest.ErrBroken) {
		t.Fatal(err)
	}
	// A process that lives goes on in the same Lake.
	if l == nil || !breaker.Once {
		if l, err = reopen(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.copyAll(t.Context(), l, []lake.Progress{w.ends}); err != nil {
		t.Fatal(err)
	}
	if got := contents(t, l); !reflect.DeepEqual(want, got) {
		t.Errorf("(-want +got):\n%s", diff.Diff(want, got))
	}
}

func TestWritingAllTwiceChangesNothing(t *testing.T) {
	w := newWorld()
	store := memory.New(time.Now)
	l := open(t, store)
	if err := w.copyAll(t.Context(), l, w.cuts); err != nil {
		t.Fatal(err)
	}
	want := contents(t, l)
	versions := logFiles(t, store)
	// From the very beginning, whatever progress says.
	again := func(l *lake.Lake) {
		zero := lake.Progress{}
		for _, next := range append([]lake.Progress{w.ends}, w.cuts...) {
			if err := l.AppendBronze(t.Context(), between(w.raw, itemAt, zero, next), between(w.dead, deadAt, zero, next), next); err != nil {
				t.Fatal(err)
			}
			silver := lake.Silver{Items: between(w.items, itemAt, zero, next), Aside: between(w.asides, asideAt, zero, next)}
			if err := l.AppendSilver(t.Context(), silver, next); err != nil {
				t.Fatal(err)
			}
			gold, err := l.Gold(t.Context(), "health", "h1", []string{"a", "b"})
			if err != nil {
				t.Fatal(err)
			}
			if err := gold.Append(t.Context(), vectors(between(w.items, itemAt, zero, next), 2), next); err != nil {
				t.Fatal(err)
			}
			if err := l.AppendPredictions(t.Context(), predictions(between(w.items, itemAt, zero, next)), 0, next); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.copyAll(t.Context(), l, w.cuts); err != nil {
			t.Fatal(err)
		}
	}
	again(l)
	again(open(t, store))
	if d := diff.Diff(want, contents(t, l)); d != "" {
		t.Fatalf("after writing twice (-want +got):\n%s", d)
	}
	if d := diff.Diff(versions, logFiles(t, store)); d != "" {
		t.Fatalf("new commits (-want +got):\n%s", d)
	}
}

func logFiles(t *testing.T, store delta.Store) []string {
	t.Helper()
	var files []string
	for entry, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(entry.Key, "_delta_log") {
			files = append(files, entry.Key)
		}
	}
	return files
}

func TestTwoWritersOfOneTableWriteEachRowOnce(t *testing.T) {
	w := newWorld()
	middle := lake.Progress{0: w.cuts[0][0] + 2, 1: w.cuts[0][1] + 3}
	store := memory.New(time.Now)
	one, two := open(t, store), open(t, store)
	// The second knows nothing of what the first commits meanwhile.
	if err := one.AppendBronze(t.Context(), between(w.raw, itemAt, nil, w.cuts[0]), nil, w.cuts[0]); err != nil {
		t.Fatal(err)
	}
	if err := two.AppendBronze(t.Context(), between(w.raw, itemAt, nil, middle), nil, middle); err != nil {
		t.Fatal(err)
	}
	if err := one.AppendBronze(t.Context(), w.raw, nil, w.ends); err != nil {
		t.Fatal(err)
	}
	got, _ := readBronze(t, two, nil)
	equal(t, "bronze", byPosition(w.raw), byPosition(got))

	predict := func(l *lake.Lake, next lake.Progress) error {
		return l.AppendPredictions(t.Context(), predictions(between(w.items, itemAt, nil, next)), 0, next)
	}
	if err := predict(one, w.cuts[0]); err != nil {
		t.Fatal(err)
	}
	if err := predict(two, middle); !errors.Is(err, drumbeat.ErrConflict) {
		t.Fatalf("predictions that overlap another writer's: %v, want a conflict", err)
	}
	if d := diff.Diff(w.cuts[0], two.PredictionProgress(0)); d != "" {
		t.Errorf("progress after the conflict (-want +got):\n%s", d)
	}
}
