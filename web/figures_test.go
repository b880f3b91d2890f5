package web_test

import (
	"math"
	"testing"

	"drumbeat/web"
)

func TestFiguresAreWrittenForPeople(t *testing.T) {
	const thin = "\u202f"
	for _, tc := range []struct{ got, want string }{
		{web.Number(0), "0"},
		{web.Number(999), "999"},
		{web.Number(1000), "1,000"},
		{web.Number(int64(-1234567)), "−1,234,567"},
		{web.Number(int64(math.MaxInt64)), "9,223,372,036,854,775,807"},
		{web.Number(int64(math.MinInt64)), "−9,223,372,036,854,775,808"},
		{web.Figure(0), "0"},
		{web.Figure(0.0001), "<0.001"},
		{web.Figure(0.0934), "0.093"},
		{web.Figure(0.61), "0.61"},
		{web.Figure(9.96), "10.0"},
		{web.Figure(99.6), "100"},
		{web.Figure(12345.6), "12,346"},
		{web.Figure(1e300), "1e+300"},
		{web.Figure(math.NaN()), "–"},
		{web.Figure(math.Inf(1)), "–"},
		{web.Signed(3.21), "+3.21"},
		{web.Signed(-3.21), "−3.21"},
		{web.Signed(0.0001), "about 0"},
		{web.Signed(math.NaN()), "–"},
		{web.Decimals(-0.001, 2), "0.00"},
		{web.Decimals(-1234.5, 1), "−1,234.5"},
		{web.Decimals(math.Inf(-1), 1), "–"},
		{web.ShareText(0), "0" + thin + "%"},
		{web.ShareText(1), "100" + thin + "%"},
		{web.ShareText(0.9996), ">99.9" + thin + "%"},
		{web.ShareText(0.994), "99.4" + thin + "%"},
		{web.ShareText(0.0001), "<0.1" + thin + "%"},
		{web.ShareText(0.62), "62" + thin + "%"},
		{web.ShareText(math.NaN()), "–"},
		{web.ShareText(1e9), "100" + thin + "%"},
		{web.Lasted(0.01), "<0.1 s"},
		{web.Lasted(3.44), "3.4 s"},
		{web.Lasted(61), "61 s"},
		{web.Lasted(600), "10 min"},
		{web.Lasted(9000), "2.5 h"},
		{web.Lasted(-1), "–"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

func TestAShareIsSaidWithItsEvidence(t *testing.T) {
	for _, tc := range []struct {
		share web.Share
		want  string
	}{
		{web.Share{K: 23, N: 24, Low: 0.798, High: 0.993}, "23 of 24; likely 80 to 99.3\u202f%"},
		{web.Share{K: 1, N: 3, Low: math.NaN(), High: math.NaN()}, "1 of 3"},
		{web.Share{}, "nothing to judge it by yet"},
	} {
		if got := tc.share.Evidence(); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}
