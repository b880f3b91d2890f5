package fleet_test

import (
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
)

func TestTimes(t *testing.T) {
	base := drumbeat.At(time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC))
	for text, want := range map[string]drumbeat.Time{
		"2026-01-31T12:00:00Z": base, "2026-01-31t12:00:00z": base, "2026-01-31 12:00:00": base,
		"2026-01-31T13:30:00+01:30":              base,
		"2026-01-31T12:00:00.5Z":                 base + 500_000,
		"2026-01-31 12:00:00.0000019":            base + 1,
		"2026-01-31T12:00:00.12345678901234567Z": base + 123_456,
		"1969-12-31T23:59:59.999999Z":            -1,
		"0001-01-01T00:00:00Z":                   -62135596800_000_000,
		"9999-12-31T23:59:59.999999Z":            253402300799_999_999,
	} {
		if got, ok := fleet.ParseTime(text); !ok || got != want {
			t.Errorf("%q: got %v, %v, want %v", text, got, ok, want)
		}
	}
	for _, text := range []string{
		"", "2026-01-31", "2026-01-31T12:00Z", "2026-01-31T12:00:00", "2026-01-31 12:00:00Z", "2026-01-31T12:00:00,5Z",
		"2026-01-31T24:00:00Z", "2026-01-31T12:00:60Z", "2026-02-29T12:00:00Z", "0000-01-01T00:00:00Z",
		"2026-01-31T12:00:00+25:00", "2026-1-31T12:00:00.00Z", "0001-01-01T00:00:00+01:00",
	} {
		if got, ok := fleet.ParseTime(text); ok {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

func TestCanonicalNumbers(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0", "1.50": "1.50", "-1e5": "-1e5", "+5": "5", ".5": "0.5", "-.5": "-0.5", "5.": "5", "5.e3": "5e3",
		"007": "7", "-007.10": "-7.10", "000": "0", "+.5E-3": "0.5E-3",
		"": "", ".": ".", "+": "+", "+-5": "+-5", "--5": "--5", "1,5": "1,5", "1 ": "1 ", "1.2.3": "1.2.3", "e5": "e5", "0x1": "0x1",
	} {
		if got := fleet.CanonicalNumber(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
