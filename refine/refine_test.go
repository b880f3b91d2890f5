package refine_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/lake"
	"drumbeat/objstore"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"
	"drumbeat/refine"
)

const readings = 20_000 // more than one chunk of the scan

// filled opens a lake with a machine and its readings in bronze.
func filled(t *testing.T, store objstore.Store) (*fleet.Fleet, *lake.Lake) {
	t.Helper()
	def, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(t.Context(), store, def, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	start := drumbeat.At(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	items := []drumbeat.Item{{
		Kind: drumbeat.KindMachine, Machine: "W-1", EventTime: start, ArrivalTime: start, Raw: []byte(`{"machine_id":"W-1","location":"north"}`),
	}}
	for i := range readings {
		at := start.Add(time.Duration(i+1) * time.Minute)
		items = append(items, drumbeat.Item{
			Machine: "W-1", EventTime: at, ArrivalTime: at, Position: drumbeat.Position{Offset: int64(i + 1)},
			Raw: fmt.Appendf(nil, `{"machine_id":"W-1","timestamp":"%s","power_kw":%d.5}`, at, i%50),
		})
	}
	if err := l.AppendBronze(t.Context(), items, nil, lake.Progress{0: int64(len(items))}); err != nil {
		t.Fatal(err)
	}
	return def, l
}

func refiner(t *testing.T, def *fleet.Fleet, l *lake.Lake) *refine.Refiner {
	t.Helper()
	r, err := refine.New(t.Context(), def, l, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// whole sees that silver holds every reading once.
func whole(t *testing.T, l *lake.Lake) {
	t.Helper()
	counts, err := l.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := counts.Rows["silver_readings"]; got != readings {
		t.Errorf("silver has %d readings, want %d", got, readings)
	}
}

// ending is a store in which a context ends at the n-th call.
type ending struct {
	objstore.Store

	left int
	end  context.CancelFunc
}

func (e *ending) Open(ctx context.Context, key string) (objstore.Object, error) {
	if e.left--; e.left == 0 {
		e.end()
	}
	return e.Store.Open(ctx, key)
}

func TestARunThatIsCancelledIsGoneOnWith(t *testing.T) {
	store := &ending{Store: memory.New(time.Now)}
	def, l := filled(t, store)
	r := refiner(t, def, l)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled before it began: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	store.end, store.left = cancel, 1 // while it reads bronze
	if _, err := r.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled while it read: %v", err)
	}
	if _, err := r.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole(t, l)
}

func TestARefinerThatCouldNotWriteSaysSoUntilANewOneGoesOn(t *testing.T) {
	store := &objstoretest.Breaker{Store: memory.New(time.Now), WritesOnly: true}
	def, l := filled(t, store)
	r := refiner(t, def, l)
	store.At, store.Once = store.Calls()+1, true
	for range 2 { // what it judged must not be passed over
		if _, err := r.Run(t.Context()); !errors.Is(err, objstoretest.ErrBroken) {
			t.Fatalf("got %v, want the store's fault", err)
		}
	}
	if _, err := refiner(t, def, l).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	whole(t, l)
}
