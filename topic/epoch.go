package topic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"drumbeat"
	"drumbeat/objstore"
)

// epochFormat is the version of an epoch's document.
const epochFormat = 1

// epochFolder holds one document an epoch: topics/<topic>/<epoch>.json.
const epochFolder = "topics/"

// Epochs remembers which incarnations of each topic there were: Kafka itself
// tells only a topic's id and number of partitions. The epoch of a topic starts
// at 0 and rises by one whenever either differs from what was seen last (T2).
// They are kept in the lake's own store, so that every process that writes the
// lake knows the same, and none is lost while the lake is kept. It is safe for
// concurrent use.
type Epochs struct {
	store objstore.Store
	mu    sync.Mutex
	seen  map[string][]Incarnation
}

// Incarnation is a topic as it was in one epoch.
type Incarnation struct {
	Format     int    `json:"format"`
	ID         string `json:"id"`
	Partitions int32  `json:"partitions"`
}

// NewEpochs returns the epochs that a store holds; with nil nothing is kept,
// which suits tests.
func NewEpochs(store objstore.Store) *Epochs {
	return &Epochs{store: store, seen: map[string][]Incarnation{}}
}

// Observe returns the epoch of a topic that has this id and this number of
// partitions, and durably remembers both if they are new. What a broker tells
// of an incarnation that is gone already, as one does that lags behind, is
// drumbeat.ErrConflict.
func (e *Epochs) Observe(ctx context.Context, name, id string, partitions int32) (int32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := Incarnation{Format: epochFormat, ID: id, Partitions: partitions}
	for {
		epoch := len(e.seen[name]) - 1
		if epoch >= 0 && e.seen[name][epoch] == now {
			return int32(epoch), nil //nolint:gosec // a topic is not made anew so often
		}
		fresh, err := e.load(ctx, name)
		if err != nil {
			return 0, fmt.Errorf("read the epochs of topic %s: %w", name, err)
		}
		if fresh {
			continue // others have seen more
		}
		if err := now.follows(e.seen[name]); err != nil {
			return 0, fmt.Errorf("observe topic %s: %w", name, err)
		}
		if err := e.create(ctx, name, now); err != nil {
			return 0, fmt.Errorf("remember epoch %d of topic %s: %w", epoch+1, name, err)
		}
	}
}

// Known returns the incarnations of a topic by their epochs, none if it was
// never seen.
func (e *Epochs) Known(ctx context.Context, name string) ([]Incarnation, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.load(ctx, name); err != nil {
		return nil, fmt.Errorf("read the epochs of topic %s: %w", name, err)
	}
	return e.seen[name], nil
}

// follows says whether an incarnation can come after these.
func (i Incarnation) follows(before []Incarnation) error {
	for at := range before {
		newest := at == len(before)-1
		if i.ID == before[at].ID && i.ID != "" && (!newest || i.Partitions <= before[at].Partitions) {
			return fmt.Errorf("a broker tells of id %.12s with %d partitions, which epoch %d had; epoch %d has %.12s with %d; try again when it has caught up: %w",
				i.ID, i.Partitions, at, len(before)-1, before[len(before)-1].ID, before[len(before)-1].Partitions, drumbeat.ErrConflict)
		}
	}
	return nil
}

func epochKey(name string, epoch int) string {
	return fmt.Sprintf("%s%s/%010d.json", epochFolder, name, epoch)
}

// load reads the epochs that are not known yet and says whether there were any.
func (e *Epochs) load(ctx context.Context, name string) (bool, error) {
	if e.store == nil {
		return false, nil
	}
	known := len(e.seen[name])
	after := ""
	if known > 0 {
		after = epochKey(name, known-1)
	}
	for entry, err := range e.store.List(ctx, epochFolder+name+"/", after) {
		if err != nil {
			return false, err
		}
		at, key := len(e.seen[name]), entry.Key
		if key != epochKey(name, at) {
			return false, fmt.Errorf("%s is missing, %s follows; restore it from a backup: %w", epochKey(name, at), key, drumbeat.ErrInvalid)
		}
		body, err := e.store.Read(ctx, key)
		if err != nil {
			return false, err
		}
		var was Incarnation
		if err := json.Unmarshal(body, &was); err != nil {
			return false, fmt.Errorf("%s: %w (%w)", key, drumbeat.ErrInvalid, err)
		}
		if was.Format > epochFormat {
			return false, fmt.Errorf("%s: format %d, this program knows %d: %w", key, was.Format, epochFormat, drumbeat.ErrNewer)
		}
		e.seen[name] = append(e.seen[name], was)
	}
	return len(e.seen[name]) > known, nil
}

// create remembers the next incarnation, unless another process just did.
func (e *Epochs) create(ctx context.Context, name string, now Incarnation) error {
	if e.store == nil {
		e.seen[name] = append(e.seen[name], now)
		return nil
	}
	body, err := json.Marshal(now)
	if err != nil {
		return err
	}
	err = e.store.Create(ctx, epochKey(name, len(e.seen[name])), body)
	if err != nil && !errors.Is(err, drumbeat.ErrConflict) {
		return err
	}
	return nil // Observe reads what stands there now
}
