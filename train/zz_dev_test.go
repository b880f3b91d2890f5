//go:build dev

package train_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"strconv"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/objstore/fs"
	"drumbeat/train"
	"drumbeat/train/xgboost"
)

func TestDev(t *testing.T) {
	ctx := context.Background()
	dir := os.Getenv("DATA")
	f, err := fleet.Load(os.DirFS(dir), "fleet")
	if err != nil {
		t.Fatal(err)
	}
	v, err := feature.LoadView(os.DirFS(dir), "fleet", f)
	if err != nil {
		t.Fatal(err)
	}
	store, err := fs.Open(dir + "/objects")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(ctx, store, f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	g, err := l.Gold(ctx, v.Name, v.Hash, v.Names())
	if err != nil {
		t.Fatal(err)
	}
	entries, _ := l.Entries(ctx)
	now := drumbeat.NoTime
	for i := range entries {
		now = max(now, entries[i].ArrivalTime)
	}
	now = max(now, drumbeat.At(time.Date(2016, 1, 1, 6, 0, 0, 0, time.UTC)))
	lib, err := xgboost.Open(os.Getenv("DRUMBEAT_XGBOOST"))
	if err != nil {
		t.Fatal(err)
	}
	for k, p := range map[string]*float64{"MC": &f.Train.MinChild, "CS": &f.Train.ColSample, "SS": &f.Train.Subsample, "ETA": &f.Train.Eta} {
		if s := os.Getenv(k); s != "" {
			*p, _ = strconv.ParseFloat(s, 64)
		}
	}
	for k, p := range map[string]*int{"DEPTH": &f.Train.MaxDepth, "ROUNDS": &f.Train.Rounds} {
		if s := os.Getenv(k); s != "" {
			*p, _ = strconv.Atoi(s)
		}
	}
	horizons := []int{1, 3, 7}
	if s := os.Getenv("H"); s != "" {
		h, _ := strconv.Atoi(s)
		horizons = []int{h}
	}
	seeds := 1
	if s := os.Getenv("SEEDS"); s != "" {
		seeds, _ = strconv.Atoi(s)
	}
	for _, h := range horizons {
		for seed := range seeds {
			f.Train.Seed = int64(seed) + 1
			truth := label.NewTruth(f, time.Duration(h)*24*time.Hour, entries, nil, now)
			start := time.Now()
			last := start
			r, err := train.Run(ctx, train.Input{Fleet: f, View: v, Gold: g, Truth: truth}, train.Options{Library: lib, Threads: 2, Progress: func(s string, d, n int) {
				if d == n && os.Getenv("STEPS") != "" {
					t.Logf("%s %v", s, time.Since(last).Round(time.Millisecond))
					last = time.Now()
				}
			}})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%dd seed %d: pr %.3f %.3v roc %.3f shuffled %.3f %.3f (true %.3f) base %.3f best %v trees %d recall %.3f prec %.3f false %.3f lead %.0f cal %v %.1fs", h, seed+1, r.Report.PRAUC, r.Report.PRAUCInterval, r.Report.ROCAUC, r.Report.ShuffledROCAUC, r.Report.ShuffledPRAUC, r.Report.Shuffled.TrueROCAUC, r.Report.BaseRate, r.Report.BestSingleFeature, r.Report.Model.Trees, r.Report.EventRecall, r.Report.Precision, r.Report.FalseAlarms, r.Report.LeadTimeHours, r.Report.Calibration, time.Since(start).Seconds())
			text, _ := json.MarshalIndent(r.Report, "", " ")
			os.WriteFile("/tmp/model-dev/w/report"+strconv.Itoa(h)+".json", text, 0o644)
		}
	}
}
