package propose_test

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat/fleet/propose"
)

func TestRowsAreReadAsPeopleHaveThem(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want [][]string
	}{
		"quoted, doubled quotes and lines within quotes": {
			"a,b\n\"x, y\",\"he said \"\"no\"\"\"\n\"two\nlines\",2\n",
			[][]string{{"a", "b"}, {"x, y", `he said "no"`}, {"two\nlines", "2"}},
		},
		"a byte order mark, carriage returns, blank lines, no last end of line": {
			"\ufeffa,b\r\n\r\n1,2\r\n3,4", [][]string{{"a", "b"}, {"1", "2"}, {"3", "4"}},
		},
		"spaces around cells":               {"a, b \n 1 ,\" 2 \"\n", [][]string{{"a", "b"}, {"1", "2"}}},
		"empty cells":                       {"a,b,c\n,,\n\"\",1,\n", [][]string{{"a", "b", "c"}, {"", "", ""}, {"", "1", ""}}},
		"a row that is no UTF-8 text":       {"a\n\xff\n1\n", [][]string{{"a"}, nil, {"1"}}},
		"a quote in a field without them":   {"a,b\n5\" pipe,2\n", [][]string{{"a", "b"}, {`5" pipe`, "2"}}},
		"a quote that the end never closes": {"a,b\n1,\"2\n", [][]string{{"a", "b"}, nil}},
	} {
		if diff := cmp.Diff(c.want, propose.ReadAll(c.text, ',')); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestAnEndlessQuoteCostsAThousandLinesAtMost(t *testing.T) {
	text := "a,b\n1,\"2\n" + strings.Repeat("3,4\n", 5000)
	rows := propose.ReadAll(text, ',')
	if len(rows) < 3900 {
		t.Errorf("got %d rows of 5,002 behind a quote that never closes, want all but a thousand", len(rows))
	}
}

func TestARowBeyondAMegabyteIsNoneAndTheNextIsRead(t *testing.T) {
	text := "a,b\n" + strings.Repeat("x", 3<<20) + ",1\n5,6\n"
	if diff := cmp.Diff([][]string{{"a", "b"}, nil, {"5", "6"}}, propose.ReadAll(text, ',')); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	long := strings.Repeat("y", 400<<10) // longer than the buffer, shorter than the limit
	if got := propose.ReadAll("a,b\n"+long+",1\n5,6\n", ','); len(got) != 3 || got[1][0] != long || got[2][1] != "6" {
		t.Errorf("a row longer than the buffer is not read whole")
	}
}

func TestTheDelimiterIsTheOneThatRowsAgreeOn(t *testing.T) {
	for text, want := range map[string]byte{
		"a,b,c\n1,2,3\n":                            ',',
		"a;b;c\n1,5;2,5;3,5\n2,5;1,5;0,5\n":         ';',
		"a\tb\n1\t2\n":                              '\t',
		"a|b\n1|2\n":                                '|',
		"name,note\nx,\"a;b;c;d\"\ny,\"e;f;g;h\"\n": ',',
		"alone\n1\n":                                ',',
	} {
		if got := propose.Delimiter(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, text := range []string{"a,b\n\"x, y\",1\n", "\"a\"\"b\",c\n", "\"open\n1,2\n", "a;b\r\n;\r\n", "\ufeff\"\"", "\xff,\"\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, delim := range []byte{',', ';', '\t', '|'} {
			propose.ReadAll(text, delim)
		}
		// What encoding/csv finds well formed we read alike, blanks at the ends
		// of cells aside.
		well := csv.NewReader(strings.NewReader(text))
		well.FieldsPerRecord = -1
		want, err := well.ReadAll()
		if err != nil || strings.ContainsAny(text, " \t\v\f\r\u0085\u00a0\ufeff") || !utf8Text(text) || longest(text) {
			return
		}
		if diff := cmp.Diff(trimmed(want), trimmed(propose.ReadAll(text, ','))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	})
}

func utf8Text(text string) bool { return strings.ToValidUTF8(text, "") == text }

func longest(text string) bool { return strings.Count(text, "\n") > 900 }

func trimmed(rows [][]string) (out [][]string) {
	for _, row := range rows {
		var cells []string
		for _, cell := range row {
			cells = append(cells, strings.TrimSpace(cell))
		}
		out = append(out, cells)
	}
	return out
}
