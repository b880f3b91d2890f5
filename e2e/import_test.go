//go:build real

package e2e_test

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// azure is where the public data set lies: beside the checkout.
func azure(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", "..", "shared", "data", "azure-pdm"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "PdM_failures.csv")); err != nil {
		t.Fatalf("the Azure data set must stand beside the checkout: %v", err)
	}
	return dir
}

type imported struct {
	OK     bool             `json:"ok"`
	Rows   int64            `json:"rows"`
	Bad    int64            `json:"unreadable_rows"`
	Tables map[string]int64 `json:"rows_by_table"`
	Gold   int64            `json:"rows_in_gold"`
	Aside  map[string]int64 `json:"set_aside"`
}

type scores struct {
	PRAUC        float64    `json:"pr_auc"`
	Interval     [2]float64 `json:"pr_auc_interval"`
	ROCAUC       float64    `json:"roc_auc"`
	ShuffledROC  float64    `json:"shuffled_roc_auc"`
	BaseRate     float64    `json:"base_rate"`
	Sentence     string     `json:"sentence"`
	Seconds      float64    `json:"seconds"`
	EventRecall  float64    `json:"event_recall"`
	FalsePerWeek float64    `json:"false_alarms_per_machine_week"`
}

func TestAzureDailyIsLearntWithoutALeak(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	got := decode[imported](t, drumbeat(t, "import", "--json", "--fleet", "../fleets/azure-pdm", "--from", azure(t), "--data", dir))
	if got.Tables["silver_readings"] != 36500 || got.Bad != 0 || len(got.Aside) > 0 {
		t.Errorf("import: %+v, want 36,500 readings and nothing set aside", got)
	}
	// The README of the data says which scores are honest, and that better ones
	// are a leak.
	for _, c := range []struct {
		horizon                      string
		prLow, prHigh, rocLow, rocHi float64
	}{
		{"7d", 0.45, 0.62, 0.85, 0.93},
		{"3d", 0.55, 0.80, 0.93, 0.99},
		{"1d", 0.95, 1.00, 0.99, 1.00},
	} {
		t.Run(c.horizon, func(t *testing.T) {
			s := decode[scores](t, drumbeat(t, "train", "--fleet", "../fleets/azure-pdm", "--data", dir, "--horizon", c.horizon, "--json"))
			t.Logf("%+v", s)
			if s.PRAUC < c.prLow || s.PRAUC > c.prHigh {
				t.Errorf("PR-AUC %.3f, want %.2f to %.2f", s.PRAUC, c.prLow, c.prHigh)
			}
			if s.ROCAUC < c.rocLow || s.ROCAUC > c.rocHi {
				t.Errorf("ROC-AUC %.3f, want %.2f to %.2f", s.ROCAUC, c.rocLow, c.rocHi)
			}
			if s.ShuffledROC < 0.45 || s.ShuffledROC > 0.55 {
				t.Errorf("shuffled labels reach ROC-AUC %.3f, want .45 to .55", s.ShuffledROC)
			}
		})
	}
}

func TestAzureHourlyIsImported(t *testing.T) {
	from := filepath.Join(azure(t), "hourly-20-machines-90-days")
	got := decode[imported](t, drumbeat(t, "import", "--json", "--fleet", "../fleets/azure-pdm-hourly", "--from", from,
		"--data", filepath.Join(t.TempDir(), "data")))
	if got.Tables["silver_readings"] != 43200 || got.Tables["silver_entries"] != 211+208+42 || got.Bad != 0 {
		t.Errorf("import: %+v, want 43,200 readings and 461 entries", got)
	}
	if got.Gold < 43200 {
		t.Errorf("gold has %d rows, want one a reading at least", got.Gold)
	}
}

// disks and days size the made-up fleet.
const (
	disks = 20000
	days  = 60
)

func TestAnotherFleetNeedsNoCode(t *testing.T) {
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "data")
	failed := writeDisks(t, from)
	got := decode[imported](t, drumbeat(t, "import", "--json", "--fleet", "testdata/hard-disks", "--from", from, "--data", dir))
	if got.Tables["silver_machines"] != disks || got.Tables["silver_entries"] != int64(failed) {
		t.Errorf("import: %+v, want %d machines and %d failures", got, disks, failed)
	}
	s := decode[scores](t, drumbeat(t, "train", "--data", dir, "--json"))
	t.Logf("%d failures, %+v", failed, s)
	if s.PRAUC < 3*s.BaseRate {
		t.Errorf("PR-AUC %.3f at a base rate of %.4f: nothing was learnt", s.PRAUC, s.BaseRate)
	}
}

// writeDisks makes up disks whose bad sectors grow before they fail for good,
// a twentieth of them, and returns how many failed.
func writeDisks(t *testing.T, dir string) int {
	t.Helper()
	random := rand.New(rand.NewPCG(7, 7))
	start := time.Date(2025, 4, 2, 0, 0, 0, 0, time.UTC)
	telemetry, closeTelemetry := create(t, filepath.Join(dir, "smart.csv.gz"))
	machines, closeMachines := create(t, filepath.Join(dir, "disks.csv"))
	failures, closeFailures := create(t, filepath.Join(dir, "failed.csv"))
	fmt.Fprintln(telemetry, "day,serial,s5,s187,s197,temp_f,power_on_min")
	fmt.Fprintln(machines, "serial,product,tb")
	fmt.Fprintln(failures, "serial,ticket,day,entered")
	products := []string{"alpha-4", "alpha-8", "beta-8"}
	failed := 0
	for i := range disks {
		serial := fmt.Sprintf("ZX-%05d", i)
		fmt.Fprintf(machines, "%s,%s,%d\n", serial, products[i%3], 4*(1+i%2))
		fails, sectors, warm := days+100, random.IntN(3), 86+10*random.Float64()
		if random.IntN(20) == 0 {
			fails = 10 + random.IntN(days)
		}
		minutes := random.IntN(1_000_000)
		for day := range min(days, fails) {
			if left := fails - day; left < 25 && random.IntN(3) > 0 {
				sectors += 1 + random.IntN(1+(25-left)/2)
			} else if random.IntN(60) == 0 {
				sectors++
			}
			fmt.Fprintf(telemetry, "%s,%s,%d,%d,%d,%.1f,%d\n", start.AddDate(0, 0, day).Format("2006-01-02"), serial,
				sectors, sectors/4, sectors%9, warm+random.NormFloat64(), minutes+1440*day)
		}
		if fails < days {
			failed++
			at := start.AddDate(0, 0, fails).Add(5 * time.Hour)
			fmt.Fprintf(failures, "%s,T-%d,%d,%d\n", serial, i, at.Unix(), at.Add(30*time.Hour).Unix())
		}
	}
	closeTelemetry()
	closeMachines()
	closeFailures()
	return failed
}

// create makes a text file, gzipped by its name.
func create(t *testing.T, path string) (*bufio.Writer, func()) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Ext(path) != ".gz" {
		out := bufio.NewWriter(file)
		return out, func() { closeAll(t, out.Flush, file.Close) }
	}
	packed := gzip.NewWriter(file)
	out := bufio.NewWriter(packed)
	return out, func() { closeAll(t, out.Flush, packed.Close, file.Close) }
}

func closeAll(t *testing.T, steps ...func() error) {
	t.Helper()
	for _, step := range steps {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}
