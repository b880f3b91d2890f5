package feature_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var update = flag.Bool("update", false, "rewrite testdata")

// worked returns an engine and history with a bit of everything.
func worked(t testing.TB, v *feature.View, readings int) (*feature.Engine, *feature.History) {
	t.Helper()
	e, h := feature.NewEngine(v), &feature.History{}
	apply := func(item drumbeat.Item) {
		item.Machine, item.Position = "M-1", drumbeat.Position{Epoch: 1, Offset: int64(len(h.Items) + 1)}
		item.ArrivalTime = item.EventTime + 1000
		h.Items = append(h.Items, item)
		e.Apply(&item, nil)
	}
	apply(drumbeat.Item{Kind: drumbeat.KindMachine, EventTime: start, Static: []string{"south", "30"}})
	for i := range int64(readings) {
		at := start + drumbeat.Time(15*minute*i)
		values := []int64{100 * (i % 7), 1000 - i%3*400, 25 * i, -i * i, 1}
		if i%11 == 0 {
			values[0] = drumbeat.Missing
		}
		apply(drumbeat.Item{EventTime: at, Values: values})
		if i%9 == 0 {
			apply(drumbeat.Item{Kind: drumbeat.KindEntry, EventTime: at.Add(2 * time.Hour), Entry: drumbeat.Entry{
				Log: "fault", ID: at.String(), Type: []string{"belt", "pump"}[i%2],
			}})
		}
	}
	return e, h
}

// TestThePackedFormatsStayAsTheyAre compares with bytes written before: a
// change of them needs a new version, and a reader of both.
func TestThePackedFormatsStayAsTheyAre(t *testing.T) {
	v := testView(t, testFleet(true))
	e, _ := worked(t, v, 30)
	r, _ := e.Record("M-1")
	for name, got := range map[string][]byte{
		"advance.v1.hex": r.Advance, "vector.v1.hex": feature.AppendVector(nil, &r.Vector),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(hex.EncodeToString(got)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: the bytes differ from those in testdata", name)
		}
	}
}

func TestAVectorIsUnpackedAsItWasPacked(t *testing.T) {
	want := drumbeat.Vector{
		Machine: "M-1", AsOf: -5, ArrivalTime: drumbeat.NoTime, MadeBy: drumbeat.CauseCorrection, Coverage: 0.75,
		Position: drumbeat.Position{Epoch: 1, Partition: 2, Offset: 1 << 60, Index: 4}, WarmingUp: true, Running: true,
		Values: append(feature.Nulls(2), 1.5, math.Copysign(0, -1)),
	}
	got, err := feature.DecodeVector("M-1", feature.AppendVector(nil, &want))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("vector (want -, got +):\n%s", diff)
	}
}

func TestARecordThatCannotBeReadIsRefused(t *testing.T) {
	v := testView(t, testFleet(true))
	e, h := worked(t, v, 30)
	r, _ := e.Record("M-1")
	item := h.Items[len(h.Items)-1]
	item.EventTime = r.Vector.AsOf.Add(time.Minute)
	with := func(change func(*feature.Record)) feature.Record {
		out := r
		out.Advance = bytes.Clone(r.Advance)
		change(&out)
		return out
	}
	for _, test := range []struct {
		name   string
		view   *feature.View
		record feature.Record
		kind   error
	}{
		{"a flipped bit", v, with(func(r *feature.Record) { r.Advance[40] ^= 1 }), drumbeat.ErrInvalid},
		{"cut short", v, with(func(r *feature.Record) { r.Advance = r.Advance[:9] }), drumbeat.ErrInvalid},
		{"not asked for", v, with(func(r *feature.Record) { r.Advance = nil }), drumbeat.ErrInvalid},
		{"a newer format", v, with(func(r *feature.Record) { r.Advance[0] = 2 }), drumbeat.ErrNewer},
		{"of another time", v, with(func(r *feature.Record) { r.Vector.AsOf -= 1000 }), drumbeat.ErrInvalid},
		{"of another view", laundry(t), r, drumbeat.ErrInvalid},
		{"a machine without a reading", v, feature.Record{}, drumbeat.ErrNotFound},
	} {
		if _, _, err := test.view.Advance(&test.record, &item, new(feature.Workspace)); !errors.Is(err, test.kind) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.kind)
		}
	}
	if _, status, err := v.Advance(&r, &item, new(feature.Workspace)); err != nil || status != feature.StatusUsed {
		t.Errorf("the record as it was: got %s, %v", status, err)
	}
}

func TestABurstShortensTheReachOfARecordButNeverItsBits(t *testing.T) {
	v := testView(t, testFleet(true))
	e, h := worked(t, v, 10)
	for i := range int64(900) {
		item := drumbeat.Item{
			Machine: "M-1", EventTime: start + drumbeat.Time(200*minute+i*80_000), Position: drumbeat.Position{Epoch: 2, Offset: i},
			Values: []int64{i % 13 * 100, 900, i, i, 0},
		}
		h.Items = append(h.Items, item)
		e.Apply(&item, nil)
	}
	r, _ := e.Record("M-1")
	if size, worst := len(r.Advance), feature.WorstRecord(v); size > worst {
		t.Errorf("got a record of %d bytes, want at most %d", size, worst)
	}
	ws, last, seen := new(feature.Workspace), h.Items[len(h.Items)-1], map[feature.Status]int{}
	for _, ahead := range []time.Duration{
		0, time.Millisecond, time.Second, time.Minute, 9 * time.Minute, time.Hour, 5 * time.Hour, 23 * time.Hour, 24 * time.Hour,
	} {
		item := last
		item.EventTime, item.Position.Offset = last.EventTime.Add(ahead), 5000
		got, status, err := v.Advance(&r, &item, ws)
		if err != nil {
			t.Fatal(err)
		}
		seen[status]++
		if status == feature.StatusStale {
			continue
		}
		want := feature.AsOf(v, &feature.History{Items: append(slices.Clip(h.Items), item)}, item.EventTime, item.Position)
		want.ArrivalTime = got.ArrivalTime
		if diff := different(v, &got, &want); diff != "" {
			t.Errorf("%s ahead: %s", ahead, diff)
		}
	}
	if seen[feature.StatusUsed] < 2 || seen[feature.StatusStale] == 0 {
		t.Errorf("got %v, want some used and some stale", seen)
	}
}

func TestAMachineOfTheLaundryHasASmallRecord(t *testing.T) {
	e, items, _ := washed(t, 1)
	r, _ := e.Record(items[0].Machine)
	if size := len(r.Advance); size > 8_000 {
		t.Errorf("got %d bytes, want at most 8,000", size)
	}
}

func FuzzAdvance(f *testing.F) {
	v := testView(f, testFleet(true))
	e, h := worked(f, v, 30)
	r, _ := e.Record("M-1")
	f.Add(r.Advance[1:len(r.Advance)-4], int64(60_000))
	f.Add(r.Advance[1:len(r.Advance)-4], int64(0))
	f.Add([]byte{}, int64(1))
	last := h.Items[len(h.Items)-2]
	f.Fuzz(func(t *testing.T, body []byte, ahead int64) {
		item := last
		item.EventTime = r.Vector.AsOf + drumbeat.Time(ahead%(1<<40))
		rec := feature.Record{Vector: r.Vector, Advance: feature.Sealed(body)}
		got, _, err := v.Advance(&rec, &item, new(feature.Workspace))
		if err != nil {
			if !errors.Is(err, drumbeat.ErrInvalid) {
				t.Fatalf("got %v of no kind", err)
			}
			return
		}
		if len(got.Values) != len(v.Features) {
			t.Fatalf("got %d values", len(got.Values))
		}
	})
}

func FuzzDecodeVector(f *testing.F) {
	v := drumbeat.Vector{Values: []float64{1, 2}}
	f.Add(feature.AppendVector(nil, &v)[1:])
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := feature.DecodeVector("M", feature.Sealed(body))
		if err != nil {
			return
		}
		again, err := feature.DecodeVector("M", feature.AppendVector(nil, &got))
		if diff := cmp.Diff(got, again, cmpopts.EquateNaNs()); err != nil || diff != "" {
			t.Fatalf("%v, vector (want -, got +):\n%s", err, diff)
		}
	})
}
