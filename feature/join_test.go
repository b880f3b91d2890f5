package feature_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// joinedByForce takes, for every spine row, every vector into account (P2).
func joinedByForce(v *feature.View, spine []feature.SpineRow, vectors []drumbeat.Vector) []drumbeat.Vector {
	out := make([]drumbeat.Vector, len(spine))
	for i, row := range spine {
		out[i] = drumbeat.Vector{Machine: row.Machine, AsOf: drumbeat.NoTime, ArrivalTime: drumbeat.NoTime}
		for _, x := range vectors {
			if x.Machine != row.Machine || x.AsOf > row.Time || v.TTL > 0 && x.AsOf < row.Time.Add(-v.TTL) ||
				x.ArrivalTime > row.Time.Add(v.ServeLag) {
				continue
			}
			if out[i].Values == nil || x.AsOf > out[i].AsOf ||
				x.AsOf == out[i].AsOf && x.Position.Compare(out[i].Position) > 0 {
				out[i] = x
			}
		}
	}
	return out
}

func TestAJoinEqualsOneByForce(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at := func(label string) drumbeat.Time {
			return start + drumbeat.Time(minute*int64(rapid.IntRange(0, 40).Draw(rt, label)))
		}
		id := rapid.Custom(func(rt *rapid.T) drumbeat.MachineID {
			return drumbeat.MachineID(fmt.Sprintf("M-%d", rapid.IntRange(0, 2).Draw(rt, "machine")))
		})
		v := &feature.View{
			TTL:      time.Duration(rapid.IntRange(0, 20).Draw(rt, "ttl")) * time.Minute,
			ServeLag: time.Duration(rapid.IntRange(0, 5).Draw(rt, "lag")) * time.Minute,
		}
		spine := make([]feature.SpineRow, rapid.IntRange(0, 15).Draw(rt, "spine"))
		for i := range spine {
			spine[i] = feature.SpineRow{Machine: id.Draw(rt, "id"), Time: at("time")}
		}
		vectors := make([]drumbeat.Vector, rapid.IntRange(0, 25).Draw(rt, "vectors"))
		for i := range vectors {
			asOf := at("as of")
			vectors[i] = drumbeat.Vector{
				Machine: id.Draw(rt, "id"), AsOf: asOf, Position: drumbeat.Position{Offset: int64(i)},
				ArrivalTime: asOf.Add(time.Duration(rapid.IntRange(-2, 15).Draw(rt, "delay")) * time.Minute),
				Values:      []float64{float64(i)},
			}
		}
		want := joinedByForce(v, spine, vectors)
		vectors = rapid.Permutation(vectors).Draw(rt, "order")
		if diff := cmp.Diff(want, v.Join(spine, slices.Values(vectors))); diff != "" {
			rt.Fatalf("joined rows (want -, got +):\n%s", diff)
		}
	})
}

func TestTheBoundsOfAJoinAreInclusive(t *testing.T) {
	v := &feature.View{TTL: time.Hour, ServeLag: 5 * time.Minute}
	vector := drumbeat.Vector{Machine: "M", AsOf: start, ArrivalTime: start.Add(20 * time.Minute), Values: []float64{1}}
	for at, want := range map[time.Duration]bool{
		15*time.Minute - time.Millisecond: false, 15 * time.Minute: true, time.Hour: true, time.Hour + time.Millisecond: false,
	} {
		got := v.Join([]feature.SpineRow{{Machine: "M", Time: start.Add(at)}}, slices.Values([]drumbeat.Vector{vector}))
		if found := got[0].Values != nil; found != want {
			t.Errorf("%s after the vector: got %v, want %v", at, found, want)
		}
	}
}
