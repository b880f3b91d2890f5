package lake_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
)

func vectors(items []drumbeat.Item, features int) []drumbeat.Vector {
	var out []drumbeat.Vector
	for _, item := range items {
		i := int(item.Position.Offset)*4 + int(item.Position.Partition)
		v := drumbeat.Vector{
			Machine: item.Machine, AsOf: item.EventTime, Position: item.Position,
			ArrivalTime: item.ArrivalTime, MadeBy: drumbeat.Cause(i % 2), Coverage: float64(i%10) / 10,
			WarmingUp: i%3 == 0, Overflow: i%11 == 0, Running: i%2 == 0,
		}
		for f := range features {
			x := math.Sqrt(float64(i*features + f))
			if (i+f)%9 == 0 {
				x = math.NaN()
			}
			v.Values = append(v.Values, x)
		}
		out = append(out, v)
	}
	return out
}

// fromChunks turns gold's columns back into vectors.
func fromChunks(t *testing.T, g *lake.Gold, opt lake.GoldScan) []drumbeat.Vector {
	t.Helper()
	var out []drumbeat.Vector
	err := g.Scan(t.Context(), opt, func(c *lake.GoldChunk) error {
		for i := range c.Len() {
			v := drumbeat.Vector{
				Machine: c.Machine[i], AsOf: c.AsOf[i], Position: c.Position[i], ArrivalTime: c.Arrival[i], MadeBy: c.MadeBy[i],
				Coverage: c.Coverage[i], WarmingUp: c.WarmingUp[i], Overflow: c.Overflow[i], Running: c.Running[i],
			}
			for _, f := range c.Features {
				v.Values = append(v.Values, f[i])
			}
			out = append(out, v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

var bits = cmp.Comparer(func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) })

func TestGoldIsReadBackToTheBit(t *testing.T) {
	l := open(t, memory.New(time.Now))
	g, err := l.Gold(t.Context(), "machine_health", "abc123", []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	s := newStream(3, 1)
	var want []drumbeat.Vector
	for _, n := range []int{10, 10_000} {
		made := vectors(s.batch(n), 3)
		want = append(want, made...)
		if err := g.Append(t.Context(), made, s.progress()); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, fromChunks(t, g, lake.GoldScan{}), bits); diff != "" {
		t.Fatalf("gold (-want +got):\n%.3000s", diff)
	}
	if got := g.Rows(); got != int64(len(want)) {
		t.Errorf("%d rows, want %d", got, len(want))
	}
	opt := lake.GoldScan{From: start.Add(100 * time.Hour), Until: start.Add(900 * time.Hour), Columns: []string{"c", "a"}}
	var some []drumbeat.Vector
	for _, v := range want {
		if v.AsOf >= opt.From && v.AsOf < opt.Until {
			v.Values = []float64{v.Values[2], v.Values[0]}
			some = append(some, v)
		}
	}
	if diff := cmp.Diff(some, fromChunks(t, g, opt), bits); diff != "" {
		t.Errorf("a part of gold (-want +got):\n%.3000s", diff)
	}
	if _, err := l.Gold(t.Context(), "machine_health", "abc124", []string{"a", "machine"}); err == nil || !strings.Contains(err.Error(), "machine") {
		t.Errorf("a feature named machine: %v", err)
	}
}
