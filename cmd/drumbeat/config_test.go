package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat/fleets"
)

// fleetCopy is a ready fleet's folder with some text replaced.
func fleetCopy(t *testing.T, replace ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "laundry")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range fleetFileNames {
		text, err := fleets.FS().Open("laundry/" + name)
		if err != nil {
			t.Fatal(err)
		}
		_ = text.Close() // it is embedded
		content, err := os.ReadFile(filepath.Join("../../fleets/laundry", name))
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.NewReplacer(replace...).Replace(string(content))
		if err := os.WriteFile(filepath.Join(dir, name), []byte(changed), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestConfigSaysWhatMovesTheHash(t *testing.T) {
	t.Parallel()
	const now = "  - {name: vibration_now,              of: vibration_hz,  agg: last, window: 1h}\n"
	for _, c := range []struct {
		name    string
		replace []string
		want    viewChange
	}{
		{"nothing", nil, viewChange{Same: true}},
		{"texts and policy are no part of it", []string{"threshold: 0.45", "threshold: 0.55"}, viewChange{Same: true}},
		{"a feature goes, another comes", []string{now, strings.Replace(now, "vibration_now", "vibration_hour", 1)}, viewChange{
			New: []string{"vibration_hour"}, Gone: []string{"vibration_now"},
		}},
		{"a window, and what is made of it", []string{
			"{name: vibration_mean_1d,          of: vibration_hz,  agg: mean, window: 1d}",
			"{name: vibration_mean_1d,          of: vibration_hz,  agg: mean, window: 2d}",
		}, viewChange{
			Changed: []string{"vibration_mean_1d: window 2.0 days, was 24 h", "vibration_health: made of vibration_mean_1d"},
		}},
		{"a setting of the view", []string{"ttl: 7d", "ttl: 8d"}, viewChange{Settings: []string{"ttl: 8.0 days, was 7.0 days"}}},
		{"the order of the features", []string{
			"  - {name: vibration_std_1d,           of: vibration_hz,  agg: std,  window: 1d}\n" + now,
			now + "  - {name: vibration_std_1d,           of: vibration_hz,  agg: std,  window: 1d}\n",
		}, viewChange{Settings: []string{"the order of the features"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			from := validateFolder(os.DirFS(fleetCopy(t)), "from")
			to := validateFolder(os.DirFS(fleetCopy(t, c.replace...)), "to")
			if !from.OK || !to.OK {
				t.Fatal(from.Faults, to.Faults)
			}
			got := changesOf(from.view, to.view)
			c.want.From = from.Hash
			if diff := cmp.Diff(&c.want, got); diff != "" {
				t.Errorf("changes differ (-want +got):\n%s", diff)
			}
			if got.Same != (from.Hash == to.Hash) {
				t.Errorf("same is %v for hashes %.12s and %.12s", got.Same, from.Hash, to.Hash)
			}
		})
	}
}

func TestConfigNamesASensorThatMoves(t *testing.T) {
	t.Parallel()
	from := validateFolder(os.DirFS(fleetCopy(t)), "from")
	to := validateFolder(os.DirFS(fleetCopy(t, "max: 16,", "max: 20,")), "to")
	if !to.OK || from.Hash == to.Hash {
		t.Fatal("the bound of a sensor did not move the hash: ", to.Faults)
	}
	c := changesOf(from.view, to.view)
	if want := []string{"sensor pressure_bar: max 20000, was 16000"}; cmp.Diff(want, c.Settings) != "" {
		t.Errorf("settings: got %q, want %q", c.Settings, want)
	}
	for _, line := range c.Changed {
		if !strings.Contains(line, "sensor pressure_bar") && !strings.Contains(line, "made of pressure_") {
			t.Errorf("changed: %s has nothing to do with the sensor", line)
		}
	}
	if len(c.Changed) < 5 {
		t.Errorf("changed: got %q, want every feature of the sensor", c.Changed)
	}
}

func TestConfigTellsEveryFault(t *testing.T) {
	t.Parallel()
	dir := fleetCopy(t, "agg: mean, window: 30d", "agg: meen, window: 30d", "ttl: 7d", "tttl: 7d")
	v, err := (&configValidateCommand{Paths: []string{dir}}).validate()
	if err != nil {
		t.Fatal(err)
	}
	faults := v.Folders[0].Faults
	if v.OK || len(faults) < 3 {
		t.Fatalf("got %d faults, want each: %+v", len(faults), faults)
	}
	for _, fault := range faults {
		if fault.Line < 1 || fault.Column < 1 || !strings.HasPrefix(fault.File, dir) || fault.Message == "" {
			t.Errorf("fault %+v: want its file, line, column and words", fault)
		}
	}
	if !strings.Contains(faults[0].Message, `"ttl"`) {
		t.Errorf("got %q, want the nearest key", faults[0].Message)
	}
}
