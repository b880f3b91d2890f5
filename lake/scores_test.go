package lake_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
)

// manyPredictions returns predictions of several versions, 15 minutes apart.
func manyPredictions(n int) []drumbeat.Prediction {
	out := make([]drumbeat.Prediction, n)
	for i := range out {
		out[i] = drumbeat.Prediction{
			Fleet: "laundry", Machine: drumbeat.MachineID(fmt.Sprintf("W-%03d", i%100)), AsOf: start.Add(time.Duration(i) * 15 * time.Minute),
			Position: drumbeat.Position{Partition: int32(i % 4), Offset: int64(i / 4), Index: int32(i % 2)}, ArrivalTime: start.Add(time.Duration(i+1) * 15 * time.Minute),
			Hash: "h", Model: drumbeat.ModelVersion(1 + i%3), Role: []drumbeat.Role{drumbeat.RoleChampion, drumbeat.RoleChallenger}[i%2],
			Purpose: drumbeat.PurposeLive, Horizon: "7d", Mode: "any", Margin: -1, Probability: float64(i%97) / 97, Threshold: 0.45,
			Alarm: i%97 > 50, Running: i%5 > 0, Reasons: []drumbeat.Reason{{Feature: "a", Contribution: 0.5}},
		}
		if i%7 == 0 {
			out[i].ReadingID = fmt.Sprint("r", i)
		}
	}
	return out
}

// appendPredictions writes predictions in batches.
func appendPredictions(t testing.TB, l *lake.Lake, all []drumbeat.Prediction, batch int) {
	t.Helper()
	for i, offset := 0, int64(0); i < len(all); i += batch {
		offset++
		if err := l.AppendPredictions(t.Context(), all[i:min(i+batch, len(all))], 0, lake.Progress{0: offset}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestScoresArePredictionsWithoutWhatMeasuresDoNotNeed(t *testing.T) {
	all := manyPredictions(300)
	l := open(t, memory.New(time.Now))
	appendPredictions(t, l, all, 40)
	for _, scan := range []lake.ScoreScan{
		{},
		{From: drumbeat.NoTime, Until: drumbeat.NoTime},
		{From: all[50].AsOf, Until: all[230].AsOf},
		{From: all[299].AsOf},
		{Until: all[1].AsOf},
		{Versions: []drumbeat.ModelVersion{1, 3}},
		{Versions: []drumbeat.ModelVersion{9}},
		{Versions: []drumbeat.ModelVersion{}},
		{From: all[200].AsOf, Versions: []drumbeat.ModelVersion{2}},
	} {
		var got, want []drumbeat.Prediction
		for _, p := range all {
			if scan.From > 0 && p.AsOf < scan.From || scan.Until > 0 && p.AsOf >= scan.Until ||
				scan.Versions != nil && !slices.Contains(scan.Versions, p.Model) {
				continue
			}
			p.Fleet, p.Hash, p.Horizon, p.Mode, p.Margin, p.Reasons = "", "", "", "", 0, nil
			want = append(want, p)
		}
		err := l.ScanScores(t.Context(), scan, func(p []drumbeat.Prediction) error { got = append(got, p...); return nil })
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", scan, diff)
		}
	}
}

func TestPredictionsOfALakeWithoutTheColumnRunningAreReadAsNotRunning(t *testing.T) {
	// A table as it was before the column came, with two rows.
	all := manyPredictions(4)
	made := memory.New(time.Now)
	appendPredictions(t, open(t, made), all[:2], 2)
	newer, err := delta.Open(t.Context(), made, "laundry/predictions", delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	schema := slices.DeleteFunc(slices.Clone(newer.Snapshot().Schema()), func(f delta.Field) bool { return f.Name == "running" })
	columns := make([]string, len(schema))
	for i := range schema {
		columns[i] = schema[i].Name
	}
	store := memory.New(time.Now)
	older, err := delta.Create(t.Context(), store, "laundry/predictions", schema, delta.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range newer.Snapshot().Scan(t.Context(), delta.ScanOptions{Columns: columns}) {
		if err == nil {
			batch.Tags = nil
			err = older.Append(t.Context(), []*delta.Batch{batch}, delta.Commit{Txns: map[string]delta.Txn{"predict/0/0": {From: delta.NoTxn, To: 1}}})
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	l := open(t, store)
	if err := l.AppendPredictions(t.Context(), all[2:], 0, lake.Progress{0: 2}); err != nil {
		t.Fatal(err)
	}
	want := slices.Clone(all)
	want[0].Running, want[1].Running = false, false
	var got, scores []drumbeat.Prediction
	if err := l.ScanPredictions(t.Context(), func(p []drumbeat.Prediction) error { got = append(got, p...); return nil }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	err = l.ScanScores(t.Context(), lake.ScoreScan{}, func(p []drumbeat.Prediction) error { scores = append(scores, p...); return nil })
	if err != nil || len(scores) != 4 || scores[1].Running || !scores[2].Running {
		t.Errorf("scores: %v, %+v", err, scores)
	}
}

func BenchmarkScanScores(b *testing.B) {
	all := manyPredictions(1_000_000)
	l := open(b, memory.New(time.Now))
	appendPredictions(b, l, all, 10_000)
	before := spent(b)
	for b.Loop() {
		n := 0
		err := l.ScanScores(b.Context(), lake.ScoreScan{}, func(p []drumbeat.Prediction) error { n += len(p); return nil })
		if err != nil || n != len(all) {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(b.N*len(all))/(spent(b)-before).Seconds(), "rows/cpu-s")
}
