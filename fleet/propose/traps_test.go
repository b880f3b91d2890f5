package propose_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

// trap is a folder with something in it that would mislead.
type trap struct {
	name   string
	folder func(w *world) fstest.MapFS
	said   []string // doubts and reasons
	unsaid []string
	check  func(t *testing.T, f *fleet.Fleet, p *propose.Proposal)
}

func TestTrapsAreSeenAndSaid(t *testing.T) {
	for _, c := range slices.Concat(deadColumns(), leaks(), oddColumns(), windowTraps(), dayMonthTraps(), orderTraps(), missingTraps(), entryTraps(), fileTraps()) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := proposal(t, c.folder(newWorld()))
			all := said(p)
			for _, want := range c.said {
				if !strings.Contains(all, want) {
					t.Errorf("nothing says %q:\n%s", want, all)
				}
			}
			for _, unwanted := range c.unsaid {
				if strings.Contains(all, unwanted) {
					t.Errorf("something says %q:\n%s", unwanted, all)
				}
			}
			if c.check != nil {
				c.check(t, load(t, p), p)
			}
		})
	}
}

func TestFilesOfOtherKindsAreRead(t *testing.T) {
	plain := proposal(t, newWorld().files())
	for name, c := range map[string]struct {
		delim      string
		comma      bool
		importable bool
	}{
		"semicolons and decimal commas": {";", true, false}, "tabs": {"\t", false, false}, "bars": {"|", false, false}, "commas": {",", false, true},
	} {
		w := newWorld()
		w.delim, w.comma = c.delim, c.comma
		folder := w.files()
		for name, file := range maps.Clone(folder) {
			if c.importable { // gzipped, with a byte order mark
				folder[name+".gz"] = &fstest.MapFile{Data: gzipped(t, append([]byte("\ufeff"), file.Data...))}
				delete(folder, name)
			}
		}
		p, err := propose.FromFolder(t.Context(), folder, propose.Options{Folder: "plant 7"})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if p.Importable != c.importable || c.importable == strings.Contains(said(p), "the import reads commas") {
			t.Errorf("%s: importable %v\n%s", name, p.Importable, said(p))
		}
		if c.comma != strings.Contains(said(p), "decimal commas") {
			t.Errorf("%s: %s", name, said(p))
		}
		if got, want := load(t, p), load(t, plain); len(got.Sensors) != len(want.Sensors) || got.Sensors[0] != want.Sensors[0] || got.Cadence != want.Cadence {
			t.Errorf("%s: got %+v, want %+v", name, got.Sensors, want.Sensors)
		}
		if diff := cmp.Diff(plain.Readiness, p.Readiness); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// fileTraps are about whole files.
func fileTraps() []trap {
	return []trap{
		{
			"two telemetry files with the same columns", func(w *world) fstest.MapFS {
				folder := w.files()
				w.days = 30
				folder["telemetry-old.csv"] = &fstest.MapFile{Data: []byte(w.telemetry())}
				return folder
			},
			[]string{"telemetry-old.csv: has the same columns as telemetry.csv, the larger file, which was used"},
			nil, nil,
		},
		{
			"rows that stand there twice", func(w *world) fstest.MapFS {
				folder := w.files()
				lines := strings.SplitAfter(string(folder["telemetry.csv"].Data), "\n")
				double := append(slices.Clone(lines[:9]), lines[1:9]...) // a time of all machines, again
				folder["telemetry.csv"].Data = []byte(strings.Join(append(double, lines[9:]...), ""))
				return folder
			},
			[]string{"has at least 8 rows that repeat another"},
			nil, nil,
		},
		{
			"rows that are none", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["telemetry.csv"].Data = append(folder["telemetry.csv"].Data, []byte("M-01,yesterday,1,2\nM-01\n,2025-01-01T00:00:00Z,1,2\n")...)
				return folder
			},
			[]string{"telemetry.csv: has 3 rows without a readable machine and time"},
			nil,
			func(t *testing.T, _ *fleet.Fleet, p *propose.Proposal) {
				if f := p.Files[3]; f.Rows != 8*480+3 || f.Unreadable != 3 {
					t.Errorf("got %+v", f)
				}
			},
		},
		{
			"a file that is none of ours, and a folder", func(w *world) fstest.MapFS {
				folder := w.files()
				folder["notes.txt"] = &fstest.MapFile{Data: []byte("word,count\nfoo,1\nbar,2\n")}
				folder["old/telemetry.csv"] = folder["telemetry.csv"]
				return folder
			},
			[]string{"notes.txt: has no column that names the machine and is not used", "folders inside are not read: old"},
			nil, nil,
		},
		{
			"numbers for machines, other column names, and nothing in the files' names", func(w *world) fstest.MapFS {
				w.header = []string{"Unit No", "Zeit", "temperature_c", "pressure"}
				folder := w.files()
				strip := func(name string) *fstest.MapFile {
					text := strings.ReplaceAll(string(folder[name].Data), "M-0", "")
					return &fstest.MapFile{Data: []byte(text)}
				}
				return fstest.MapFS{
					"a.csv": strip("machines.csv"), "b.csv": strip("telemetry.csv"), "c.csv": strip("failures.csv"), "d.csv": strip("maintenance.csv"),
				}
			},
			nil,
			[]string{"without telemetry"},
			func(t *testing.T, _ *fleet.Fleet, p *propose.Proposal) {
				if got := roles(p); got != "machines telemetry failure maintenance" {
					t.Errorf("got %s", got)
				}
			},
		},
	}
}
