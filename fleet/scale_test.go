package fleet_test

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"drumbeat"
	"drumbeat/fleet"
)

// rounded is text · 10^decimals by big rationals, rounded half to even; what
// has more than 18 digits is one beyond either end.
func rounded(text, factor, offset string, decimals int) int64 {
	rat := func(text string) *big.Rat {
		r, ok := new(big.Rat).SetString(text)
		if !ok {
			panic(text)
		}
		return r
	}
	x := rat(text)
	x.Mul(x, rat(factor)).Add(x, rat(offset)).Mul(x, rat(fmt.Sprintf("1e%d", decimals)))
	negative := x.Sign() < 0
	x.Abs(x)
	q, r := new(big.Int).QuoRem(x.Num(), x.Denom(), new(big.Int))
	if half := r.Lsh(r, 1).Cmp(x.Denom()); half > 0 || half == 0 && q.Bit(0) == 1 {
		q.Add(q, big.NewInt(1))
	}
	out := int64(1<<63 - 1)
	if q.Cmp(big.NewInt(999_999_999_999_999_999)) <= 0 {
		out = q.Int64()
	}
	if negative {
		out = -out
	}
	return out
}

func number() *rapid.Generator[string] {
	digits := rapid.OneOf(
		rapid.StringMatching(`(0|[1-9][0-9]{0,6})`), rapid.StringMatching(`[1-9][0-9]{0,45}`), rapid.Just("0"),
	)
	fraction := rapid.OneOf(
		rapid.Just(""), rapid.StringMatching(`\.[0-9]{1,6}`), rapid.StringMatching(`\.[0-9]{0,8}(5|50{1,20}|50{0,20}1)`),
		rapid.StringMatching(`\.[0-9]{1,45}`),
	)
	exponent := rapid.OneOf(rapid.Just(""), rapid.Just(""), rapid.StringMatching(`[eE][+-]?[0-9]{1,2}`))
	return rapid.Custom(func(t *rapid.T) string {
		sign := rapid.SampledFrom([]string{"", "-"}).Draw(t, "sign")
		return sign + digits.Draw(t, "digits") + fraction.Draw(t, "fraction") + exponent.Draw(t, "exponent")
	})
}

func TestValuesAreRoundedHalfToEvenOnTheirExactText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, decimals := number().Draw(t, "text"), rapid.IntRange(0, 9).Draw(t, "decimals")
		f := &fleet.Fleet{Sensors: []fleet.Sensor{{Name: "a", Decimals: decimals}}}
		got, err := f.Scaled(0, text)
		if err != nil {
			t.Fatal(err)
		}
		if want := rounded(text, "1", "0", decimals); got != want {
			t.Fatalf("%s with %d decimals: got %d, want %d", text, decimals, got, want)
		}
	})
}

func TestUnitsAreConvertedExactlyAndRoundedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, decimals := number().Draw(t, "text"), rapid.IntRange(0, 9).Draw(t, "decimals")
		factor := rapid.StringMatching(`-?(0\.[0-9]{0,5}[1-9]|[1-9][0-9]{0,4})`).Draw(t, "factor")
		offset := rapid.StringMatching(`-?(0|[1-9][0-9]{0,4}(\.[0-9]{1,5})?)`).Draw(t, "offset")
		f := &fleet.Fleet{Sensors: []fleet.Sensor{{
			Name: "a", Field: "a", Decimals: decimals, Factor: factor, Offset: offset,
		}}}
		payload := `{"machine_id":1,"timestamp":0,"a":` + text + `}`
		items, err := fleet.NewDecoder(f).Decode(fleet.Form{}, []byte(payload), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := items[0].Values[0], rounded(text, factor, offset, decimals); got != want {
			t.Fatalf("%s · %s + %s with %d decimals: got %d, want %d", text, factor, offset, decimals, got, want)
		}
	})
}

func TestNumbersOfAnySizeAreConverted(t *testing.T) {
	f := &fleet.Fleet{Sensors: []fleet.Sensor{{Name: "a", Field: "a", Factor: "-2", Offset: "0.5"}}}
	d := fleet.NewDecoder(f)
	for text, want := range map[string]int64{
		"1e999999999":                           -1<<63 + 1,
		"-1e999999999":                          1<<63 - 1,
		"1e-999999999":                          0, // just below a half
		"-1e-999999999":                         1, // just above
		"0." + strings.Repeat("0", 5000):        0, // half to even
		"-0." + strings.Repeat("0", 5000) + "1": 1,
		"0.5" + strings.Repeat("0", 5000) + "1": -1,
		strings.Repeat("9", 5000):               -1<<63 + 1,
	} {
		items, err := d.Decode(fleet.Form{}, []byte(`{"machine_id":1,"timestamp":0,"a":`+text+`}`), nil)
		if err != nil {
			t.Errorf("%.20s…: %v", text, err)
			continue
		}
		if got := items[0].Values[0]; got != want {
			t.Errorf("%.20s…: got %d, want %d", text, got, want)
		}
	}
}

func TestScaledValuesSurviveTheirText(t *testing.T) {
	for decimals, values := range map[int]map[int64]string{
		0: {0: "0", -7: "-7", 999_999_999_999_999_999: "999999999999999999"},
		3: {0: "0.000", 5: "0.005", -5: "-0.005", -12345: "-12.345", drumbeat.Missing: ""},
	} {
		f := &fleet.Fleet{Sensors: []fleet.Sensor{{Name: "a", Decimals: decimals}}}
		for v, want := range values {
			got := f.FormatValue(0, v)
			if got != want {
				t.Errorf("%d with %d decimals: got %q, want %q", v, decimals, got, want)
			}
			if v == drumbeat.Missing {
				continue
			}
			if back, err := f.Scaled(0, got); err != nil || back != v {
				t.Errorf("%q: got %d, %v, want %d", got, back, err, v)
			}
		}
	}
	f := &fleet.Fleet{Sensors: []fleet.Sensor{{Name: "a"}}}
	for _, text := range []string{"", "-", "+1", "1.", ".5", "01", "1e", "NaN", "0x1", "1 "} {
		if _, err := f.Scaled(0, text); err == nil {
			t.Errorf("%q was read as a number", text)
		}
	}
}
