package delta_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"drumbeat/delta"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"

	"github.com/google/go-cmp/cmp"
)

// lookAfter takes care of a table as a daemon does, with a commit of its own.
func lookAfter(t *testing.T, store delta.Store, c *clock) error {
	table, err := delta.Create(t.Context(), store, "t", columns, delta.Options{Now: c.now, CheckpointEvery: 3, Log: slog.New(slog.DiscardHandler)})
	for err == nil && table.Snapshot().Txn("app") < 11 {
		batches, commit := step(table, int(max(table.Snapshot().Txn("app"), 0))+1)
		if err = table.Append(t.Context(), batches, commit); err == nil {
			c.move(40 * time.Minute)
			_, err = table.Compact(t.Context(), delta.CompactOptions{})
		}
		if err == nil && table.Snapshot().Txn("app") > 8 {
			if _, err = table.Vacuum(t.Context(), time.Hour); err == nil {
				_, err = table.CleanLog(t.Context(), time.Hour)
			}
		}
	}
	return err
}

func TestACrashAtAnyWriteOfMaintenanceLosesAndDoublesNothing(t *testing.T) {
	c := newClock()
	counter := &objstoretest.Breaker{Store: memory.New(c.now), WritesOnly: true}
	if err := lookAfter(t, counter, c); err != nil {
		t.Fatal(err)
	}
	step := 2 // others with every change of the code
	if testing.Short() {
		step = 12
	}
	for n := 1; n <= counter.Calls(); n += step {
		for _, how := range []struct {
			moment objstoretest.Moment
			once   bool
		}{{objstoretest.After, false}, {objstoretest.Moment(n / 2 % 2), true}} {
			c := newClock()
			store := memory.New(c.now)
			breaker := &objstoretest.Breaker{Store: store, At: n, Moment: how.moment, Once: how.once, WritesOnly: true}
			if err := lookAfter(t, breaker, c); err != nil && !errors.Is(err, objstoretest.ErrBroken) {
				t.Fatalf("write %d: %v", n, err)
			}
			if err := lookAfter(t, store, c); err != nil {
				t.Fatalf("write %d: go on: %v", n, err)
			}
			if diff := cmp.Diff(upTo(11), offsets(t, openAt(t, store, c).Snapshot())); diff != "" {
				t.Fatalf("crash at write %d of %d, moment %d (-want +got):\n%s", n, counter.Calls(), how.moment, diff)
			}
		}
	}
}

// TestRandomMaintenance holds a table to a list in memory, whatever is done to
// it in whatever order.
func TestRandomMaintenance(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(seed, 7))
			c := newClock()
			store := memory.New(c.now)
			handles := []*delta.Table{openAt(t, store, c), openAt(t, store, c)}
			n := 0
			type past struct {
				snapshot *delta.Snapshot
				rows     int
				since    time.Time
			}
			var pasts []past
			for range 120 {
				which := random.IntN(2)
				table := handles[which]
				var err error
				switch random.IntN(12) {
				default:
					size := 1 + random.IntN(5)
					if random.IntN(20) == 0 {
						size = 1000
					}
					err = table.Append(t.Context(), []*delta.Batch{rows(n, size), rows(n+size, 1)}, delta.Commit{})
					n += size + 1
				case 0:
					_, err = table.Compact(t.Context(), delta.CompactOptions{FullBytes: 60 << 10})
				case 1:
					_, err = table.Vacuum(t.Context(), time.Hour)
				case 2:
					_, err = table.CleanLog(t.Context(), time.Hour)
				case 3:
					handles[which] = openAt(t, store, c)
				case 4:
					var s *delta.Snapshot
					if s, err = table.Refresh(t.Context()); err == nil {
						pasts = append(pasts, past{s, n, c.now()})
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				c.move(time.Duration(random.IntN(10)) * time.Minute)
				pasts = slices.DeleteFunc(pasts, func(p past) bool { return c.now().Sub(p.since) >= time.Hour })
				if len(pasts) > 0 {
					p := pasts[random.IntN(len(pasts))]
					if got := offsets(t, p.snapshot); !slices.Equal(got, upTo(p.rows)) {
						t.Fatalf("a version of %d rows reads %d", p.rows, len(got))
					}
				}
			}
			for _, table := range append(handles, openAt(t, store, c)) {
				s, err := table.Refresh(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := offsets(t, s); !slices.Equal(got, upTo(n)) {
					t.Fatalf("%d rows of %d, or in another order", len(got), n)
				}
			}
		})
	}
}
