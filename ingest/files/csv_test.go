package files_test

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat/ingest/files"
)

func TestCSV(t *testing.T) {
	cases := map[string]struct {
		text   string
		rows   [][]string
		faults []string
	}{
		"plain": {"a,b\n1,2\n", [][]string{{"a", "b"}, {"1", "2"}}, nil},
		"a byte order mark, line ends of Windows, no end at the end": {
			"\ufeffa,b\r\n\r\n1,", [][]string{{"a", "b"}, {"1", ""}}, nil,
		},
		"quotes": {
			"\"a,b\",\"say \"\"hi\"\"\",\"two\r\nlines\"\n\"\",x\n",
			[][]string{{"a,b", `say "hi"`, "two\nlines"}, {"", "x"}},
			nil,
		},
		"a quote that never closes costs its own line": {
			"a,b\n\"1,2\n3,4\n\n5,6\n",
			[][]string{{"a", "b"}, nil, {"3", "4"}, {"5", "6"}},
			[]string{`"1,2: opens a quote that never closes`},
		},
		"stray quotes": {
			"a\"b,c\n\"d\"e,f\ng,h\n",
			[][]string{nil, nil, {"g", "h"}},
			[]string{
				`a"b,c: has a quote inside a field that is not quoted`, `"d"e,f: has text behind a closing quote`,
			},
		},
		"no UTF-8": {"a\nb\xff\nc\n", [][]string{{"a"}, nil, {"c"}}, []string{"b\xff: is not UTF-8 text"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			rows, faults := files.ReadCSV(strings.NewReader(c.text))
			if diff := cmp.Diff(c.rows, rows); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.faults, faults); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

func TestALineWithoutEndCostsItselfAndNoMemory(t *testing.T) {
	text := "a,b\n" + strings.Repeat("x", 3<<20) + "\n1,2\n"
	rows, faults := files.ReadCSV(strings.NewReader(text))
	if diff := cmp.Diff([][]string{{"a", "b"}, nil, {"1", "2"}}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(faults) != 1 || len(faults[0]) > 2000 {
		t.Errorf("got %d faults", len(faults))
	}
}

// FuzzCSV holds what the standard library reads without complaint to what we
// read.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("a,b\r\n\"c\"\"d\",\"e\nf\"\n\n,\n"))
	f.Add([]byte("\"a\nb\nc\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, faults := files.ReadCSV(bytes.NewReader(text))
		r := csv.NewReader(bytes.NewReader(text))
		r.FieldsPerRecord = -1
		want, err := r.ReadAll()
		if err != nil || len(faults) > 0 || bytes.HasPrefix(text, []byte("\ufeff")) {
			if err == nil && len(faults) > 0 && bytes.Equal(text, bytes.ToValidUTF8(text, nil)) {
				t.Errorf("faults where encoding/csv has none: %q", faults)
			}
			return
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("(-encoding/csv +ours):\n%s", diff)
		}
	})
}
