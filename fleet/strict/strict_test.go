package strict_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// read reads the text with fn and returns its faults, a line each.
func read(t *testing.T, text string, fn func(m *strict.Map)) []string {
	t.Helper()
	file, err := strict.Parse("x.yaml", []byte(text))
	if err == nil {
		m := file.Root().Map()
		fn(m)
		m.Close()
		err = file.Err()
	}
	if err == nil {
		return nil
	}
	if !errors.Is(err, drumbeat.ErrInvalid) && !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("an error of no kind: %v", err)
	}
	return strings.Split(err.Error(), "\n")
}

func TestValuesOfEveryType(t *testing.T) {
	text := `
text: some words
name: a_b
truth: true
whole: -7
real: 1.5
decimal: 0.10
word: second
span: 1d12h
date: 2026-01-31
time: 2026-01-31T06:00:00+01:00
list: [a, b]
own: {x: 1, y: 2}
`
	var got []any
	faults := read(t, text, func(m *strict.Map) {
		got = append(got,
			m.Need("text").Text(""), m.Get("name").Name("", "_"), m.Get("truth").Bool(false),
			m.Get("whole").Int(0, -7, -7), m.Get("real").Float(0, 1.5, 1.5), m.Get("decimal").Decimal(""),
			m.Get("word").OneOf(0, "first", "second"), m.Get("span").Duration(0, 0, 36*time.Hour),
			m.Get("date").Time(0).String(), m.Get("time").Time(0).String(), m.Get("list").Texts(2),
		)
		for _, pair := range m.Get("own").Map().Rest() {
			got = append(got, pair.Key.Text("")+"="+pair.Value.Raw()+" at "+pair.Value.Path())
		}
	})
	want := []any{
		"some words", "a_b", true, int64(-7), 1.5, "0.10", 1, 36 * time.Hour,
		"2026-01-31T00:00:00.000Z", "2026-01-31T05:00:00.000Z",
		[]string{"a", "b"},
		"x=1 at own.x", "y=2 at own.y",
	}
	if diff := cmp.Diff(want, got); diff != "" || faults != nil {
		t.Errorf("faults %q (-want +got):\n%s", faults, diff)
	}
}

func TestAnAbsentValueIsItsDefault(t *testing.T) {
	faults := read(t, "a: 1", func(m *strict.Map) {
		m.Get("a").Int(0, 0, 9)
		v := m.Get("b")
		got := []any{
			v.Exists(), v.Line(), v.Text("x"), v.Name("y", ""), v.Bool(true), v.Int(5, 0, 1), v.Float(0.5, 0, 0),
			v.Decimal("7"), v.OneOf(3, "a"), v.Duration(time.Hour, 0, 0), v.Time(9), len(v.List(1)), v.Map().Need("c").Text("z"),
		}
		want := []any{
			false, 0, "x", "y", true, int64(5), 0.5, "7", 3, time.Hour, drumbeat.Time(9), 0, "z",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	if faults != nil {
		t.Errorf("got %q", faults)
	}
}

func TestEachWrongValueIsNamed(t *testing.T) {
	cases := []struct {
		text string
		read func(v strict.Value)
		want string
	}{
		{"a: 7", func(v strict.Value) { v.Text("") }, "a: must be text (got 7: put it in quotes)"},
		{"a: ''", func(v strict.Value) { v.Text("") }, `a: must be text (got "")`},
		{"a:", func(v strict.Value) { v.Text("") }, "a: must be text (got nothing)"},
		{"a: [x]", func(v strict.Value) { v.Text("") }, "a: must be text (got a list)"},
		{"a: A", func(v strict.Value) { v.Name("", "_-") }, "a: must be a name of lower-case letters, digits and _ or -, a letter first, at most 63 (got \"A\")"},
		{"a: yes", func(v strict.Value) { v.Bool(false) }, `a: must be true or false (got "yes")`},
		{"a: 1.0", func(v strict.Value) { v.Int(0, 0, 9) }, "a: must be a whole number from 0 to 9 (got 1.0)"},
		{"a: 10", func(v strict.Value) { v.Int(0, 0, 9) }, "a: must be a whole number from 0 to 9 (got 10)"},
		{"a: .nan", func(v strict.Value) { v.Float(0, 0, 9) }, "a: must be a number from 0 to 9 (got .nan)"},
		{"a: '1'", func(v strict.Value) { v.Float(0, 0, 9) }, `a: must be a number from 0 to 9 (got "1")`},
		{"a: 0x10", func(v strict.Value) { v.Decimal("") }, "a: must be a decimal number (got 0x10)"},
		{"a: 1e999", func(v strict.Value) { v.Decimal("") }, `a: must be a decimal number (got "1e999")`},
		{"a: secnd", func(v strict.Value) { v.OneOf(0, "first", "second") }, `a: must be one of first, second (got "secnd"); did you mean "second"?`},
		{"a: {}", func(v strict.Value) { v.OneOf(0, "first") }, "a: must be one of first (got a mapping)"},
		{"a: 7", func(v strict.Value) { v.Duration(0, 0, 0) }, "a: must be a duration such as 15m, 24h or 7d (got 7)"},
		{"a: 2h", func(v strict.Value) { v.Duration(0, 0, 90*time.Minute) }, `a: must be a duration from 0 to 90m (got "2h")`},
		{"a: 2026-02-30", func(v strict.Value) { v.Time(0) }, `a: must be a date such as 2016-01-31 or a time such as 2016-01-31T06:00:00Z (got "2026-02-30")`},
		{"a: x", func(v strict.Value) { v.List(1) }, `a: must be a list (got "x")`},
		{"a: [x, y]", func(v strict.Value) { v.List(1) }, "a: must have at most 1 elements (got 2)"},
		{"a: [x, x]", func(v strict.Value) { v.Texts(2) }, `a[1]: "x" stands here twice`},
		{"a: x", func(v strict.Value) { v.Map() }, `a: must be a mapping of keys to values (got "x")`},
		{"a: {b: 1}", func(v strict.Value) { v.Map().Close() }, `a: unknown key "b"`},
		{"a: {bb: 1}", func(v strict.Value) { m := v.Map(); m.Need("bc"); m.Close() }, `a: "bc" is missing`},
		{"a: {1: x, 1: y}", func(v strict.Value) { v.Map().Rest() }, `a: "1" stands here twice, first at line 1`},
		{"a: {[x]: y}", func(v strict.Value) { v.Map().Rest() }, "a: a key must be a word"},
		{"a: {<<: {x: y}}", func(v strict.Value) { v.Map().Rest() }, "a: merge keys (<<) are not read: write the keys out"},
		{"a: " + strings.Repeat("x", 1001), func(v strict.Value) { v.Text("") }, "a: must be at most 1000 characters"},
		{"a: " + strings.Repeat("x", 70), func(v strict.Value) { v.Bool(false) }, `a: must be true or false (got "` + strings.Repeat("x", 40) + `…")`},
	}
	for _, c := range cases {
		faults := read(t, c.text, func(m *strict.Map) { c.read(m.Get("a")) })
		if len(faults) == 0 {
			t.Errorf("%.40s: no fault, want %s", c.text, c.want)
			continue
		}
		_, got, _ := strings.Cut(faults[0], " ")
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%.40s (-want +got):\n%s", c.text, diff)
		}
	}
}

func TestFilesThatAreNoYAML(t *testing.T) {
	deep := strings.Repeat("[", 40) + strings.Repeat("]", 40)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\n" +
		"d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
	for text, want := range map[string]string{
		"":                "x.yaml:1: the file is empty",
		"# nothing\n":     "x.yaml:1: the file is empty",
		"a: b\n---\nc: d": "x.yaml:2: a second document: one file holds one",
		"a: [1\nb: 2":     "x.yaml:1: not YAML: did not find expected ',' or ']'",
		"\ta: 1":          "x.yaml:1: not YAML: found character that cannot start any token",
		"a: 1\nb: \xff":   "x.yaml:2: must be UTF-8 text",
		"a: &x [*x]":      "x.yaml:1:8: an alias that contains itself",
		"a: *x":           "x.yaml:1: not YAML: unknown anchor 'x' referenced",
		deep:              "x.yaml:1:34: nested deeper than 32",
		bomb:              "x.yaml:5:26: more than 100000 values, aliases followed",
	} {
		faults := read(t, text, func(*strict.Map) {})
		if diff := cmp.Diff([]string{want}, faults); diff != "" {
			t.Errorf("%.40q (-want +got):\n%s", text, diff)
		}
	}
	faults := read(t, strings.Repeat("#", strict.MaxBytes+1), func(*strict.Map) {})
	if diff := cmp.Diff([]string{"read x.yaml: more than 1048576 bytes: over a limit"}, faults); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnAliasStandsWhereItIsUsed(t *testing.T) {
	faults := read(t, "a: &x {k: yes}\nb: *x", func(m *strict.Map) {
		m.Get("a")
		m.Get("b").Map().Get("k").Bool(false)
	})
	if diff := cmp.Diff([]string{`x.yaml:1:11: b.k: must be true or false (got "yes")`}, faults); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFaultsBeyondTheLimitAreCounted(t *testing.T) {
	var text strings.Builder
	for i := range strict.MaxFaults + 7 {
		fmt.Fprintf(&text, "k%d: 1\n", i)
	}
	faults := read(t, text.String(), func(*strict.Map) {})
	if len(faults) != strict.MaxFaults+1 || !strings.HasSuffix(faults[strict.MaxFaults], "7 more faults follow") {
		t.Errorf("got %d faults, the last %q", len(faults), faults[len(faults)-1])
	}
}

func TestDurationsSurviveTheirText(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "15m": "15m", "24h": "1d", "7d": "7d", "2w": "14d", "1h30m": "90m", "1500ms": "1500ms", "90s": "90s",
	} {
		d, err := strict.ParseDuration(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := strict.FormatDuration(d); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
		if again, err := strict.ParseDuration(strict.FormatDuration(d)); err != nil || again != d {
			t.Errorf("%s: got %v, %v, want %v", text, again, err, d)
		}
	}
	for _, text := range []string{"", "7", "d", "-1h", "1.5h", "7 d", "7x", "99999999999999999999d", "300000d", "106751d24h"} {
		if d, err := strict.ParseDuration(text); err == nil {
			t.Errorf("%q was read as %v", text, d)
		}
	}
}

func TestTheNearestWord(t *testing.T) {
	known := []string{"sensors", "static", "logs", "cadence"}
	for word, want := range map[string]string{
		"sensor": "sensors", "snesors": "sensors", "Logs": "logs", "log": "logs", "cadnce": "cadence", "running": "", "x": "",
	} {
		if got := strict.Nearest(word, known); got != want {
			t.Errorf("%s: got %q, want %q", word, got, want)
		}
	}
}

func TestAMissingFileIsNotFound(t *testing.T) {
	if _, err := strict.Open(fstest.MapFS{}, "x.yaml"); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
