package topic_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/objstore"
	"drumbeat/objstore/memory"
	"drumbeat/topic"
)

func observe(t *testing.T, e *topic.Epochs, id string, partitions, want int32) {
	t.Helper()
	got, err := e.Observe(t.Context(), "laundry", id, partitions)
	if err != nil || got != want {
		t.Errorf("%s with %d partitions: epoch %d, %v, want %d", id, partitions, got, err, want)
	}
}

func TestProcessesThatShareAStoreKnowTheSameEpochs(t *testing.T) {
	t.Parallel()
	store := memory.New(time.Now)
	one, two := topic.NewEpochs(store), topic.NewEpochs(store)
	observe(t, one, "a", 4, 0)
	observe(t, two, "a", 4, 0)
	observe(t, two, "a", 8, 1) // partitions were added
	observe(t, one, "a", 8, 1)
	observe(t, one, "b", 8, 2) // made anew
	observe(t, two, "b", 8, 2)
	known, err := topic.NewEpochs(store).Known(t.Context(), "laundry")
	if err != nil || len(known) != 3 || known[1].Partitions != 8 || known[2].ID != "b" {
		t.Errorf("known %+v, %v", known, err)
	}
}

func TestABrokerThatLagsBehindBeginsNoEpoch(t *testing.T) {
	t.Parallel()
	e := topic.NewEpochs(nil)
	observe(t, e, "a", 4, 0)
	observe(t, e, "a", 8, 1)
	observe(t, e, "b", 4, 2)
	for _, stale := range []topic.Incarnation{{ID: "a", Partitions: 8}, {ID: "a", Partitions: 4}, {ID: "b", Partitions: 2}} {
		if epoch, err := e.Observe(t.Context(), "laundry", stale.ID, stale.Partitions); !errors.Is(err, drumbeat.ErrConflict) {
			t.Errorf("%+v: epoch %d, %v, want a conflict", stale, epoch, err)
		}
	}
	observe(t, e, "b", 4, 2)
}

func TestOfManyThatSeeAnEpochOneWritesIt(t *testing.T) {
	t.Parallel()
	store := memory.New(time.Now)
	observe(t, topic.NewEpochs(store), "a", 4, 0)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() { observe(t, topic.NewEpochs(store), "b", 4, 1) })
	}
	all.Wait()
}

func TestEpochsThatAreNotOursAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]error{
		`{"format":2,"id":"a","partitions":1}`: drumbeat.ErrNewer,
		`{"format":`:                           drumbeat.ErrInvalid,
	} {
		store := memory.New(time.Now)
		if err := store.Create(t.Context(), "topics/laundry/0000000000.json", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := topic.NewEpochs(store).Observe(t.Context(), "laundry", "a", 1); !errors.Is(err, want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	store := memory.New(time.Now)
	if err := store.Create(t.Context(), "topics/laundry/0000000001.json", []byte(`{"format":1,"id":"a","partitions":1}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := topic.NewEpochs(store).Observe(t.Context(), "laundry", "a", 1); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("the first epoch is missing: got %v", err)
	}
}

// failing refuses to create.
type failing struct{ objstore.Store }

func (failing) Create(context.Context, string, []byte) error { return errors.New("disk full") }

func TestAnEpochThatCannotBeKeptIsNotGiven(t *testing.T) {
	t.Parallel()
	store := memory.New(time.Now)
	observe(t, topic.NewEpochs(store), "a", 1, 0)
	if epoch, err := topic.NewEpochs(failing{store}).Observe(t.Context(), "laundry", "b", 1); err == nil {
		t.Errorf("epoch %d was given that nobody remembers", epoch)
	}
	observe(t, topic.NewEpochs(store), "b", 1, 1)
}
