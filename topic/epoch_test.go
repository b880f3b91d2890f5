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
	got, err := e.Observe(t.Context(), topic.Topic{Name: "laundry", ID: id, Partitions: partitions}, ended)
	if err != nil || got.Epoch != want || got.Partitions != partitions {
		t.Errorf("%s with %d partitions: %+v, %v, want epoch %d", id, partitions, got, err, want)
	}
}

// ended says that a topic was read to offset 7 of its partition 0.
func ended(context.Context, topic.Topic) (map[int32]int64, error) { return map[int32]int64{0: 7}, nil }

// see observes what must be refused.
func see(t *testing.T, e *topic.Epochs, id string, partitions int32, grown topic.Grown) error {
	t.Helper()
	_, err := e.Observe(t.Context(), topic.Topic{Name: "laundry", ID: id, Partitions: partitions}, grown)
	return err
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
	if err != nil || len(known) != 3 || known[1].Partitions != 8 || known[1].Begin[0] != 7 || known[2].ID != "b" || known[2].Begin != nil {
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
		if err := see(t, e, stale.ID, stale.Partitions, ended); !errors.Is(err, drumbeat.ErrConflict) {
			t.Errorf("%+v: %v, want a conflict", stale, err)
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
		if err := see(t, topic.NewEpochs(store), "a", 1, ended); !errors.Is(err, want) {
			t.Errorf("%s: got %v", text, err)
		}
	}
	store := memory.New(time.Now)
	if err := store.Create(t.Context(), "topics/laundry/0000000001.json", []byte(`{"format":1,"id":"a","partitions":1}`)); err != nil {
		t.Fatal(err)
	}
	if err := see(t, topic.NewEpochs(store), "a", 1, ended); !errors.Is(err, drumbeat.ErrInvalid) {
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
	if err := see(t, topic.NewEpochs(failing{store}), "b", 1, ended); err == nil {
		t.Error("an epoch was given that nobody remembers")
	}
	observe(t, topic.NewEpochs(store), "b", 1, 1)
}

func TestPartitionsThatWereAddedBeginWhereTheOldOnesEnd(t *testing.T) {
	t.Parallel()
	e := topic.NewEpochs(nil)
	observe(t, e, "a", 2, 0)
	if err := see(t, e, "a", 3, nil); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a topic that nobody may add partitions to: %v", err)
	}
	broken := errors.New("the broker is away")
	if err := see(t, e, "a", 3, func(context.Context, topic.Topic) (map[int32]int64, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	var before topic.Topic
	now, err := e.Observe(t.Context(), topic.Topic{Name: "laundry", ID: "a", Partitions: 3}, func(ctx context.Context, old topic.Topic) (map[int32]int64, error) {
		before = old
		return ended(ctx, old)
	})
	if err != nil || before.Partitions != 2 || before.Epoch != 0 {
		t.Fatalf("read before: %+v, %v", before, err)
	}
	if start := now.Start(); now.Epoch != 1 || start[0] != 7 || start[1] != 0 || start[2] != 0 || len(start) != 3 {
		t.Errorf("epoch %d begins at %v", now.Epoch, start)
	}
}
