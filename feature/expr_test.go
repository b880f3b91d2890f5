package feature_test

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// evaluated returns the value of an expression over a (2), b (-3), none (null)
// and zero, as a vector shows it.
func evaluated(t *testing.T, text string) float64 {
	t.Helper()
	f := testFleet(false)
	last := func(name, of string) feature.Feature {
		return feature.Feature{Name: name, Of: of, Agg: feature.AggLast, Window: time.Hour}
	}
	v, err := feature.NewView(feature.View{Fleet: f, Features: []feature.Feature{
		last("a", "heat"), last("b", "flow"), last("none", "load"), last("zero", "hours"),
		{Name: "x", Agg: feature.AggExpr, Expr: parse(t, text)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	item := drumbeat.Item{Machine: "M", EventTime: start, Values: []int64{200, drumbeat.Missing, 0, -3_000_000, 0}}
	return feature.NewEngine(v).Apply(&item, nil)[0].Values[4]
}

func TestExpressions(t *testing.T) {
	null := math.NaN()
	for _, test := range []struct {
		text string
		want float64
	}{
		{"a + b * 2", -4},
		{"(a + b) * 2", -2},
		{"a - b - 1", 4},
		{"12 / a / 3", 2},
		{"-a * -b", -6},
		{"--a", 2},
		{"abs(b)", 3},
		{"min(a, b, 7)", -3},
		{"max(a, b)", 2},
		{"log1p(0)", 0},
		{"1.5e1 + .5", 15.5},
		{"1e-1", 0.1},
		{"a + none", null},
		{"none * zero", null},
		{"min(a, none)", null},
		{"max(none, a)", null},
		{"abs(none)", null},
		{"-none", null},
		{"coalesce(none, a)", 2},
		{"coalesce(a, none)", 2},
		{"coalesce(none, none, 5)", 5},
		{"coalesce(none, none)", null},
		{"coalesce(a / zero, 9)", 9},
		{"a / zero", null},
		{"zero / zero", null},
		{"1e308 * 10", null},
		{"1e308 * 10 - 1e308 * 10", null},
		{"log1p(-1)", null},
		{"log1p(b)", null},
	} {
		got := evaluated(t, test.text)
		if diff := cmp.Diff(test.want, got, cmpopts.EquateNaNs()); diff != "" {
			t.Errorf("%s (want -, got +):\n%s", test.text, diff)
		}
		if math.IsNaN(got) && math.Float64bits(got) != math.Float64bits(null) {
			t.Errorf("%s: null has other bits than the one NaN", test.text)
		}
	}
}

func TestAProductIsRoundedBeforeItIsAdded(t *testing.T) {
	// Fused, the sum would keep what rounding the product loses.
	x, y := 1+0x1p-52, 1-0x1p-52
	want := float64(x*y) - 1
	if got := evaluated(t, "1.0000000000000002220446049250313 * 0.9999999999999997779553950749687 - 1"); got != want || want != 0 {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestWrongExpressionsAreRefusedWithTheirPlace(t *testing.T) {
	for text, want := range map[string]string{
		"":               "character 1: expected a number, a feature or a parenthesis, found the end",
		"a +":            "character 4: expected a number",
		"a b":            `character 3: expected an operator or the end, found "b"`,
		"(a":             `character 3: expected ")"`,
		"a)":             `character 2: expected an operator or the end, found ")"`,
		"sqrt(a)":        `there is no function "sqrt": use abs, coalesce, log1p, max, min`,
		"abs(a, b)":      "abs takes 1 to 1 operands, found 2",
		"min(a)":         "min takes 2 to 16 operands, found 1",
		"1.2.3":          `"1.2.3" is no number`,
		"1e999":          `"1e999" is no number`,
		"a ^ 2":          `character 3: expected an operator or the end, found "^"`,
		"a + é":          "character 5: expected a number",
		"coalesce(a, ,)": "character 13: expected a number",
		strings.Repeat("(", 40) + "a" + strings.Repeat(")", 40):   "nested deeper than 32",
		strings.Repeat("a+(", 40) + "a" + strings.Repeat(")", 40): "nested deeper than 32",
		"a" + strings.Repeat(" + a", 400):                         "longer than 1000",
	} {
		_, err := feature.ParseExpr(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if !errors.Is(err, drumbeat.ErrInvalid) && !errors.Is(err, drumbeat.ErrLimit) {
			t.Errorf("%q: got %v, want an invalid or a limit", text, err)
		}
	}
}

func TestTheCanonicalTextSaysTheGrouping(t *testing.T) {
	for text, want := range map[string]string{
		"a+b*c":                  "(a + (b * c))",
		" ( a + b )*c ":          "((a + b) * c)",
		"a-b-c":                  "((a - b) - c)",
		"max( a,b , -1.50)":      "max(a,b,-(1.5))",
		"coalesce(abs(a),1e3)/2": "(coalesce(abs(a),1000) / 2)",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzParseExpr(f *testing.F) {
	for _, seed := range []string{"a + b * 2", "coalesce(min(a, -b), log1p(1e-3)) / (c)", "1..2", "((", "max(a", "a--b", "é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := feature.ParseExpr(text)
		if err != nil {
			return
		}
		again, err := feature.ParseExpr(e.String())
		if err != nil {
			if errors.Is(err, drumbeat.ErrLimit) || strings.Contains(err.Error(), "nested deeper") {
				return // the parentheses of the canonical text may pass a limit
			}
			t.Fatalf("%q became %q: %v", text, e, err)
		}
		if again.String() != e.String() {
			t.Fatalf("%q became %q, then %q", text, e, again)
		}
	})
}
