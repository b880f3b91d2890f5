// Package onlinetest holds online stores to the contract of feature.Online.
// Every store runs [Run]; one that keeps its records on disk runs [RunDurable]
// too.
package onlinetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"drumbeat"
	"drumbeat/feature"
)

const hash drumbeat.Hash = "a hash of a view"

// record makes a machine's record at an offset; its values and bytes tell
// the offset, so that a torn record shows.
func record(id drumbeat.MachineID, offset int64) feature.Record {
	return feature.Record{
		Vector: drumbeat.Vector{
			Machine: id, AsOf: drumbeat.Time(1000 * offset), ArrivalTime: drumbeat.Time(1000*offset + 1),
			Position: drumbeat.Position{Epoch: 1, Partition: 2, Offset: offset, Index: 3},
			MadeBy:   drumbeat.CauseCorrection, Values: []float64{float64(offset), math.NaN(), math.Copysign(0, -1), math.Pi},
			Coverage: 0.5, WarmingUp: true, Running: true,
		},
		Advance: fmt.Appendf(nil, "advance of %d", offset),
	}
}

// same compares two records to the bit.
func same(a, b *feature.Record) bool {
	x, y := a.Vector, b.Vector
	bits := slices.EqualFunc(x.Values, y.Values, func(v, w float64) bool {
		return math.Float64bits(v) == math.Float64bits(w)
	})
	return bits && string(a.Advance) == string(b.Advance) && x.Machine == y.Machine && x.AsOf == y.AsOf &&
		x.Position == y.Position && x.ArrivalTime == y.ArrivalTime && x.MadeBy == y.MadeBy &&
		x.Coverage == y.Coverage && x.WarmingUp == y.WarmingUp && x.Overflow == y.Overflow && x.Running == y.Running
}

func write(t *testing.T, s feature.Online, records ...feature.Record) []bool {
	t.Helper()
	applied, err := s.Write(t.Context(), hash, records)
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func read(t *testing.T, s feature.Online, id drumbeat.MachineID) feature.Record {
	t.Helper()
	got, err := s.Read(t.Context(), hash, []drumbeat.MachineID{id}, true)
	if err != nil {
		t.Fatal(err)
	}
	return got[0]
}

func want(t *testing.T, s feature.Online, records ...feature.Record) {
	t.Helper()
	for i := range records {
		if got := read(t, s, records[i].Vector.Machine); !same(&got, &records[i]) {
			t.Errorf("got %+v, want %+v", got, records[i])
		}
	}
}

// Run holds the store that open makes, empty each time, to the contract. Run
// closes it.
func Run(t *testing.T, open func(t *testing.T) feature.Online) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, feature.Online)
	}{
		{"a record is read as it was written, to the bit", readsBack},
		{"advance is read only when asked for", advanceOnDemand},
		{"machines come back in the order asked, unknown ones without values", keepsOrder},
		{"only a position beyond the stored one is written", comparesAndSets},
		{"one write may hold several records of a machine", severalOfOne},
		{"hashes are apart", hashesApart},
		{"machines are listed sorted", listsMachines},
		{"records that cannot be kept are refused, and nothing of their batch is written", refusesBad},
		{"a cancelled context ends a call", honoursContext},
		{"concurrent writers leave the furthest record, whole", concurrentWriters},
		{"a closed store answers with an error", closed},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t)
			defer func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}()
			test.run(t, s)
		})
	}
}

func readsBack(t *testing.T, s feature.Online) {
	for _, id := range []drumbeat.MachineID{"M-1", "späne/7 'x'", "M-1\x00"} {
		r := record(id, 5)
		write(t, s, r)
		want(t, s, r)
	}
	plain := feature.Record{Vector: drumbeat.Vector{Machine: "plain", Values: []float64{}, Overflow: true}}
	write(t, s, plain)
	if got := read(t, s, "plain"); got.Vector.Values == nil || !got.Vector.Overflow || len(got.Advance) != 0 {
		t.Errorf("got %+v, want %+v", got, plain)
	}
}

func advanceOnDemand(t *testing.T, s feature.Online) {
	write(t, s, record("M-1", 5))
	got, err := s.Read(t.Context(), hash, []drumbeat.MachineID{"M-1"}, false)
	if err != nil || got[0].Advance != nil || got[0].Vector.Values == nil {
		t.Errorf("got %+v, %v; want a vector without advance", got, err)
	}
	want(t, s, record("M-1", 5))
}

func keepsOrder(t *testing.T, s feature.Online) {
	write(t, s, record("a", 1), record("b", 2))
	got, err := s.Read(t.Context(), hash, []drumbeat.MachineID{"b", "none", "a", "b"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var offsets []int64
	for i, id := range []drumbeat.MachineID{"b", "none", "a", "b"} {
		offsets = append(offsets, got[i].Vector.Position.Offset)
		if got[i].Vector.Machine != id {
			t.Errorf("got the machine %q in place %d, want %q", got[i].Vector.Machine, i, id)
		}
	}
	if !slices.Equal(offsets, []int64{2, 0, 1, 2}) || got[1].Vector.Values != nil {
		t.Errorf("got the offsets %v and %v for an unknown machine", offsets, got[1].Vector.Values)
	}
}

func comparesAndSets(t *testing.T, s feature.Online) {
	at := func(epoch, partition int32, offset int64, index int32) feature.Record {
		r := record("M-1", offset)
		r.Vector.Position = drumbeat.Position{Epoch: epoch, Partition: partition, Offset: offset, Index: index}
		r.Vector.Values[0] = float64(epoch)*1e6 + float64(partition)*1e3 + float64(index)
		return r
	}
	stored := at(2, 5, 100, 3)
	write(t, s, stored)
	for _, step := range []struct {
		name    string
		record  feature.Record
		applied bool
	}{
		{"the same position", at(2, 5, 100, 3), false},
		{"the same position of another partition", at(2, 9, 100, 3), false},
		{"an earlier index", at(2, 5, 100, 2), false},
		{"an earlier offset", at(2, 5, 99, 9), false},
		{"an earlier epoch", at(1, 5, 1000, 9), false},
		{"a later index", at(2, 5, 100, 4), true},
		{"a later offset, less partition and index", at(2, 1, 101, 0), true},
		{"a later epoch", at(3, 0, 0, 0), true},
		{"the same again", at(3, 0, 0, 0), false},
	} {
		if got := write(t, s, step.record); got[0] != step.applied {
			t.Errorf("%s: got applied %v, want %v", step.name, got[0], step.applied)
		}
		if step.applied {
			stored = step.record
		}
		want(t, s, stored)
	}
}

func severalOfOne(t *testing.T, s feature.Online) {
	applied := write(t, s, record("M-1", 5), record("M-2", 1), record("M-1", 7), record("M-1", 6))
	if !slices.Equal(applied, []bool{true, true, true, false}) {
		t.Errorf("got applied %v", applied)
	}
	want(t, s, record("M-1", 7), record("M-2", 1))
	if applied := write(t, s); len(applied) != 0 {
		t.Errorf("an empty write: got %v", applied)
	}
}

func hashesApart(t *testing.T, s feature.Online) {
	write(t, s, record("M-1", 5))
	other := []feature.Record{record("M-1", 2)}
	if applied, err := s.Write(t.Context(), "another", other); err != nil || !applied[0] {
		t.Fatalf("got %v, %v", applied, err)
	}
	want(t, s, record("M-1", 5))
	got, err := s.Read(t.Context(), "another", []drumbeat.MachineID{"M-1"}, true)
	if err != nil || !same(&got[0], &other[0]) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Read(t.Context(), "a third", []drumbeat.MachineID{"M-1"}, true); err != nil || got[0].Vector.Values != nil {
		t.Errorf("of an unknown hash: got %+v, %v", got, err)
	}
}

func listsMachines(t *testing.T, s feature.Online) {
	if got, err := s.Machines(t.Context(), hash); err != nil || len(got) != 0 {
		t.Errorf("of an empty store: got %v, %v", got, err)
	}
	write(t, s, record("b", 1), record("a", 1), record("c", 1), record("b", 2))
	got, err := s.Machines(t.Context(), hash)
	if err != nil || !slices.Equal(got, []drumbeat.MachineID{"a", "b", "c"}) {
		t.Errorf("got %v, %v", got, err)
	}
}

func refusesBad(t *testing.T, s feature.Online) {
	nameless, empty, long := record("", 1), record("M-2", 1), record("M-2", 1)
	empty.Vector.Values = nil
	long.Vector.Values = make([]float64, feature.MaxFeatures+1)
	for _, bad := range []struct {
		record feature.Record
		kind   error
	}{{nameless, drumbeat.ErrInvalid}, {empty, drumbeat.ErrInvalid}, {long, drumbeat.ErrLimit}} {
		if _, err := s.Write(t.Context(), hash, []feature.Record{record("M-1", 1), bad.record}); !errors.Is(err, bad.kind) {
			t.Errorf("got %v, want %v", err, bad.kind)
		}
	}
	if got := read(t, s, "M-1"); got.Vector.Values != nil {
		t.Errorf("got %+v of a refused batch", got)
	}
}

func honoursContext(t *testing.T, s feature.Online) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Write(ctx, hash, []feature.Record{record("M-1", 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("write: got %v, want %v", err, context.Canceled)
	}
	if _, err := s.Machines(ctx, hash); !errors.Is(err, context.Canceled) {
		t.Errorf("machines: got %v, want %v", err, context.Canceled)
	}
	if got := read(t, s, "M-1"); got.Vector.Values != nil {
		t.Errorf("got %+v of a cancelled write", got)
	}
}

func concurrentWriters(t *testing.T, s feature.Online) {
	const writers, machines, last = 4, 3, 12
	id := func(m int) drumbeat.MachineID { return drumbeat.MachineID(fmt.Sprintf("M-%d", m)) }
	counts := make([]int64, machines*(last+1))
	var mu sync.Mutex
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for offset := int64(1); offset <= last; offset++ {
				batch := make([]feature.Record, machines)
				for m := range batch {
					batch[m] = record(id(m), offset)
				}
				applied, err := s.Write(t.Context(), hash, batch)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for m, ok := range applied {
					if ok {
						counts[int64(m)*(last+1)+offset]++
					}
				}
				mu.Unlock()
			}
		})
	}
	group.Go(func() { readAlong(t, s, id(0), last) })
	group.Wait()
	for i, n := range counts {
		if n > 1 {
			t.Errorf("machine %d at %d was applied %d times", i/(last+1), i%(last+1), n)
		}
	}
	for m := range machines {
		want(t, s, record(id(m), last))
	}
}

// readAlong reads a machine while others write it: positions never fall, and
// each record is whole.
func readAlong(t *testing.T, s feature.Online, id drumbeat.MachineID, last int64) {
	before := int64(0)
	for before < last {
		got, err := s.Read(t.Context(), hash, []drumbeat.MachineID{id}, true)
		if err != nil {
			t.Error(err)
			return
		}
		offset := got[0].Vector.Position.Offset
		if whole := record(id, offset); offset < before || offset > 0 && !same(&got[0], &whole) {
			t.Errorf("got %+v after the offset %d", got[0], before)
			return
		}
		before = offset
	}
}

func closed(t *testing.T, s feature.Online) {
	write(t, s, record("M-1", 1))
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Write(t.Context(), hash, []feature.Record{record("M-1", 2)}); !errors.Is(err, feature.ErrClosed) {
		t.Errorf("write: got %v, want %v", err, feature.ErrClosed)
	}
	if _, err := s.Read(t.Context(), hash, []drumbeat.MachineID{"M-1"}, true); !errors.Is(err, feature.ErrClosed) {
		t.Errorf("read: got %v, want %v", err, feature.ErrClosed)
	}
	if _, err := s.Machines(t.Context(), hash); !errors.Is(err, feature.ErrClosed) {
		t.Errorf("machines: got %v, want %v", err, feature.ErrClosed)
	}
}
