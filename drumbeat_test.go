package drumbeat_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"drumbeat"
)

func TestTimeIsCutToTheMillisecondTowardsThePast(t *testing.T) {
	for _, c := range []struct{ in, want drumbeat.Time }{
		{1_999, 1_000},
		{1_000, 1_000},
		{0, 0},
		{-1, -1_000},
		{-1_000, -1_000},
		{-1_001, -2_000},
		{drumbeat.NoTime, drumbeat.NoTime},
	} {
		if got := c.in.Cut(); got != c.want {
			t.Errorf("Cut(%d) = %d, want %d", c.in, got, c.want)
		}
	}
}

func TestTimeSurvivesJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drumbeat.Time(rapid.Int64Range(0, 4e12).Draw(t, "ms") * 1000)
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got drumbeat.Time
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Fatalf("%s came back as %v, want %v", text, got, want)
		}
	})
	var never drumbeat.Time
	if err := json.Unmarshal([]byte("null"), &never); err != nil || never != drumbeat.NoTime {
		t.Errorf("null = %v, %v, want never", never, err)
	}
	if err := json.Unmarshal([]byte(`"yesterday"`), &never); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a time in words: got %v, want invalid", err)
	}
}

func TestTimeAddAndSubAreInverse(t *testing.T) {
	start := drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if got := start.Add(7 * 24 * time.Hour).Sub(start); got != 7*24*time.Hour {
		t.Errorf("got %v, want 168h", got)
	}
}

func TestPositionSurvivesItsText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drumbeat.Position{
			Epoch:     rapid.Int32Range(0, 1<<30).Draw(t, "epoch"),
			Partition: rapid.Int32Range(0, 1<<30).Draw(t, "partition"),
			Offset:    rapid.Int64Range(0, 1<<60).Draw(t, "offset"),
			Index:     rapid.Int32Range(0, 1<<30).Draw(t, "index"),
		}
		got, err := drumbeat.ParsePosition(want.String())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
	for _, bad := range []string{"", "1/2/3", "1/2/3/4/5", "a/0/0/0", "-1/0/0/0", "0/99999999999/0/0"} {
		if _, err := drumbeat.ParsePosition(bad); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("ParsePosition(%q): got %v, want invalid", bad, err)
		}
	}
}

func TestPositionsCompareByEpochThenPartitionThenOffsetThenIndex(t *testing.T) {
	rising := []drumbeat.Position{
		{}, {Index: 1}, {Offset: 1}, {Partition: 1}, {Partition: 1, Offset: 9}, {Epoch: 1}, {Epoch: 1, Index: 1},
	}
	for i, a := range rising {
		for j, b := range rising {
			if got, want := a.Compare(b) < 0, i < j; got != want {
				t.Errorf("%v before %v: got %v, want %v", a, b, got, want)
			}
		}
	}
}
