//go:build real

package e2e_test

import (
	"path/filepath"
	"testing"
)

// TestARealFolderReachesItsFirstReportWithoutEditing plays what a newcomer
// types: init, import, train, on files that nobody described.
func TestARealFolderReachesItsFirstReportWithoutEditing(t *testing.T) {
	simulated := filepath.Join(t.TempDir(), "sim")
	drumbeat(t, "sim", "--csv", simulated, "--machines", "40", "--days", "90")
	for name, c := range map[string]struct {
		from          string
		prLow, prHigh float64 // honest scores: beyond them lies a leak
		parts         bool    // init foresees the failures of train's parts to the last
	}{
		"azure daily":  {azure(t), 0.50, 0.64, false},
		"azure hourly": {filepath.Join(azure(t), "hourly-20-machines-90-days"), 0.15, 0.64, true},
		"simulated":    {simulated, 0.25, 0.90, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			folder, data := filepath.Join(dir, "fleet"), filepath.Join(dir, "data")
			proposed := decode[struct {
				Readiness struct {
					Verdict    string `json:"verdict"`
					Train      int    `json:"train_failures"`
					Validation int    `json:"validation_failures"`
					Test       int    `json:"test_failures"`
				} `json:"readiness"`
				Seconds float64 `json:"seconds"`
			}](t, drumbeat(t, "init", "--json", "--from", c.from, "--out", folder))
			got := decode[imported](t, drumbeat(t, "import", "--json", "--fleet", folder, "--from", c.from, "--data", data))
			if !got.OK || got.Bad != 0 || got.Gold == 0 {
				t.Fatalf("import: %+v", got)
			}
			report := decode[struct {
				scores
				Split struct {
					Spans []struct {
						Failures int `json:"failures"`
					} `json:"spans"`
				} `json:"split"`
			}](t, drumbeat(t, "train", "--json", "--data", data))
			if report.PRAUC < c.prLow || report.PRAUC > c.prHigh {
				t.Errorf("PR-AUC %.3f, want %.2f to %.2f", report.PRAUC, c.prLow, c.prHigh)
			}
			r := proposed.Readiness
			foreseen := [3]int{r.Train, r.Validation, r.Test}
			for i, span := range report.Split.Spans {
				if d := foreseen[i] - span.Failures; c.parts && (d < -1 || d > 1) || d*20 > span.Failures+60 || -d*20 > span.Failures+60 {
					t.Errorf("init foresaw %v failures in training, validation and test, train found %+v", foreseen, report.Split.Spans)
				}
			}
			t.Logf("init %.1f s, verdict %q, PR-AUC %.3f %v", proposed.Seconds, r.Verdict, report.PRAUC, report.Interval)
		})
	}
}
