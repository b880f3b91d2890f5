//go:build dev

package train_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"log/slog"
	"math"
	"os"
	"strconv"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/train"
	"drumbeat/train/xgboost"
)

func TestAzureDev(t *testing.T) {
	ctx := context.Background()
	f, err := fleet.Load(os.DirFS("../fleets"), "azure-pdm")
	if err != nil {
		t.Fatal(err)
	}
	file, _ := os.Open("/tmp/model-dev/w/az5.csv")
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	names := rows[0][3:]
	v := &feature.View{Name: "v", Fleet: f, Hash: "h"}
	for _, n := range names {
		v.Features = append(v.Features, feature.Feature{Name: n})
	}
	l, err := lake.Open(ctx, memory.New(time.Now), f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	l.UseEpoch(1)
	g, err := l.Gold(ctx, "v", "h", names)
	if err != nil {
		t.Fatal(err)
	}
	var vs []drumbeat.Vector
	for i, r := range rows[1:] {
		at, _ := time.Parse("2006-01-02 15:04:05", r[1])
		vec := drumbeat.Vector{
			Machine: drumbeat.MachineID(r[0]), AsOf: drumbeat.At(at), ArrivalTime: drumbeat.At(at), WarmingUp: r[2] == "True", Running: true,
			Position: drumbeat.Position{Epoch: 1, Offset: int64(i)},
		}
		for _, s := range r[3:] {
			x := math.NaN()
			if s != "" {
				x, _ = strconv.ParseFloat(s, 64)
			}
			vec.Values = append(vec.Values, x)
		}
		vs = append(vs, vec)
	}
	if err := g.Append(ctx, vs, lake.Progress{0: int64(len(vs))}); err != nil {
		t.Fatal(err)
	}
	var items []drumbeat.Item
	for k, name := range []string{"failures", "maint"} {
		file, _ := os.Open("/work/shared/data/azure-pdm/PdM_" + name + ".csv")
		rows, _ := csv.NewReader(file).ReadAll()
		for i, r := range rows[1:] {
			at, _ := time.Parse("2006-01-02 15:04:05", r[0])
			items = append(items, drumbeat.Item{
				Kind: drumbeat.KindEntry, Machine: drumbeat.MachineID(r[1]), EventTime: drumbeat.At(at), ArrivalTime: drumbeat.At(at),
				Position: drumbeat.Position{Epoch: 1, Offset: int64(1e6 + i)},
				Entry:    drumbeat.Entry{Log: []string{"failure", "maintenance"}[k], ID: strconv.Itoa(i), Type: r[2]},
			})
		}
	}
	lib, err := xgboost.Open(os.Getenv("DRUMBEAT_XGBOOST"))
	if err != nil {
		t.Fatal(err)
	}
	if s := os.Getenv("SEED"); s != "" {
		f.Train.Seed, _ = strconv.ParseInt(s, 10, 64)
	}
	if s := os.Getenv("ROUNDS"); s != "" {
		f.Train.Rounds, _ = strconv.Atoi(s)
	}
	for k, p := range map[string]*float64{"MC": &f.Train.MinChild, "CS": &f.Train.ColSample, "SS": &f.Train.Subsample, "ETA": &f.Train.Eta} {
		if s := os.Getenv(k); s != "" {
			*p, _ = strconv.ParseFloat(s, 64)
		}
	}
	if s := os.Getenv("DEPTH"); s != "" {
		f.Train.MaxDepth, _ = strconv.Atoi(s)
	}
	for _, h := range []int{1, 3, 7} {
		truth := label.NewTruth(f, time.Duration(h)*24*time.Hour, items, nil, drumbeat.At(time.Date(2016, 1, 1, 6, 0, 0, 0, time.UTC)))
		start := time.Now()
		last := start
		r, err := train.Run(ctx, train.Input{Fleet: f, View: v, Gold: g, Truth: truth}, train.Options{Library: lib, Threads: 2, Progress: func(s string, d, n int) {
			if d == n {
				t.Logf("%s %v", s, time.Since(last).Round(time.Millisecond))
				last = time.Now()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%dd: pr %.3f %.3v roc %.3f shuffled %.3f %.3f base %.3f best %v calib %+v\n%s\n%v trees %d %.1fs", h, r.Report.PRAUC, r.Report.PRAUCInterval, r.Report.ROCAUC, r.Report.ShuffledROCAUC, r.Report.ShuffledPRAUC, r.Report.BaseRate, r.Report.BestSingleFeature, r.Report.Calibration, r.Report.Sentence, r.Report.Warnings, r.Report.Model.Trees, time.Since(start).Seconds())
		text, _ := json.MarshalIndent(r.Report, "", " ")
		os.WriteFile("/tmp/model-dev/w/report"+strconv.Itoa(h)+".json", text, 0o644)
	}
}
