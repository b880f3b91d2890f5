package propose_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleet/propose"
)

func TestEveryLayoutIsGuessedFromItsOwnTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	for _, layout := range propose.Layouts() {
		if layout == fleet.FormatRFC3339 {
			continue
		}
		var cells []string
		var want []drumbeat.Time
		at := time.Date(2023, 11, 23, 17, 48, 52, 0, time.UTC)
		for range 60 {
			at = at.Add(time.Duration(random.IntN(5*24*3600)) * time.Second)
			text := at.Format(layout)
			read, err := time.Parse(layout, text)
			if err != nil {
				t.Fatalf("%s: %v", layout, err)
			}
			cells, want = append(cells, text), append(want, drumbeat.Time(read.UnixMicro()))
		}
		got, proven, ok := propose.Guess(cells, true)
		if !ok || !proven {
			t.Errorf("%s: %q is not known for sure (got %q)", layout, cells[0], got)
			continue
		}
		// Another layout may read the same texts, if it reads the same times.
		times, good := propose.ReadTimes(got, cells...)
		if slices.Contains(good, false) || !slices.Equal(times, want) {
			t.Errorf("%s: guessed %s, which reads %q otherwise", layout, got, cells[0])
		}
	}
}

func TestTimesAreGuessedByTheirTexts(t *testing.T) {
	for _, c := range []struct {
		cells  string
		hint   bool
		layout string
		proven bool
	}{
		{"2026-01-31T06:00:00Z|2026-01-31T06:00:00.123+02:00", false, fleet.FormatRFC3339, true},
		{"2026-01-31 06:00:00|2026-01-31 06:00:00.5", false, "2006-01-02 15:04:05", true},
		{"31/01/2026 06:00|02/01/2026 7:30", false, "2/1/2006 15:04", true},
		{"01/31/2026 06:00|02/01/2026 7:30", false, "1/2/2006 15:04", true},
		{"03/01/2026 06:00|02/01/2026 7:30", false, "2/1/2006 15:04", false},
		{"31.01.2026 06:00:00|1.2.2026 06:00:00", false, "2.1.2006 15:04:05", true},
		{"1/31/2026 6:00:00 PM|2/1/2026 7:30:00 AM", false, "1/2/2006 3:04:05 PM", true},
		{"1767225600|1767226500.5", true, fleet.FormatUnix, true},
		{"1767225600000|1767226500000", true, fleet.FormatUnixMS, true},
		{"20260131|20260201", true, "20060102", true},
		{"2026-01-31|2026-02-01", false, "2006-01-02", true},
		{"1767225600|1767226500", false, "", false}, // numbers of an unknown column are no times
		{"20260131|20260201", false, "", false},
		{"12.5|13.7", false, "", false},
		{"W-001|W-002", true, "", false},
		{"2026-13-31 06:00:00|2026-01-32 06:00:00", true, "", false},
	} {
		layout, proven, _ := propose.Guess(strings.Split(c.cells, "|"), c.hint)
		if layout != c.layout || proven != c.proven {
			t.Errorf("%s: got %q (proven %v), want %q (%v)", c.cells, layout, proven, c.layout, c.proven)
		}
	}
}

func FuzzTimes(f *testing.F) {
	for _, text := range []string{
		"2026-01-31T06:00:00Z", "2026-01-31 06:00:00.123456789", "31/01/2026 6:00", "1767225600", "2026-01-31T24:00:00Z", "2026-02-30 00:00:00",
		"2026-01-31T06:00:60Z", "2026-01-31 06:00:0:", "2026-01-31T06:00:00.Z",
		"0000-01-01000:00:00Z",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		propose.Guess([]string{text, text}, true)
		// The quick way agrees with the import's, and what came before on the
		// same day changes nothing.
		before := "2026-01-31 01:02:03"
		if len(text) >= 10 && text != "" {
			before = text[:10] + " 01:02:03"
		}
		for _, layout := range []string{fleet.FormatRFC3339, time.DateTime} {
			got, ok := propose.ReadTimes(layout, strings.Replace(before, " ", string("T "[btoi(layout == time.DateTime)]), 1), text)
			want, wantOK := slow(layout, text)
			if ok[1] != wantOK || wantOK && got[1] != want {
				t.Errorf("%s of %q: got %v %v, want %v %v", layout, text, got[1], ok[1], want, wantOK)
			}
		}
	})
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// slow reads a time as the import does.
func slow(layout, text string) (drumbeat.Time, bool) {
	if layout == fleet.FormatRFC3339 {
		if len(text) < 11 || text[10] == ' ' {
			return 0, false
		}
		return fleet.ParseTime(text)
	}
	at, err := time.Parse(layout, text)
	if err != nil || at.Year() < 1900 || len(text) > 64 {
		return 0, false
	}
	return drumbeat.Time(at.UnixMicro()), true
}

func FuzzNumber(f *testing.F) {
	for _, text := range []string{"1", "-1.50", "+.5", "5.", "1e-3", "1.25E+2", "12,5", "0000000000000000000000001", "1e999", "--1", "1.2.3", "nan"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, decimals, ok := propose.Number(text)
		if decimals < 0 {
			t.Errorf("%q has %d decimals", text, decimals)
		}
		want, err := strconv.ParseFloat(strings.Replace(text, ",", ".", 1), 64)
		plain := strings.Trim(text, "+-.,0123456789eE") == "" && err == nil && !math.IsInf(want, 0)
		if ok && !plain {
			t.Errorf("%q is read as %v, and is no number", text, got)
		}
		if ok && math.Abs(got-want) > 1e-12*math.Abs(want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
		if canonical := fleet.CanonicalNumber(text); !ok && plain && !strings.Contains(text, ",") {
			if _, theirs := fleet.Scale(canonical, 0); theirs && len(text) < 300 {
				t.Errorf("%q is a number to the import", text)
			}
		}
	})
}
