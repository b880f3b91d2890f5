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
	// Begin is where its partitions begin, of those that do not at 0: what
	// stands before was read in the epoch before.
	Begin map[int32]int64 `json:"begin,omitempty"`
}

// Grown is called when partitions were added to a topic, before an epoch
// begins with that: it reads the topic as it was to its end, and returns that
// end, where the new epoch begins (T2).
type Grown func(ctx context.Context, before Topic) (map[int32]int64, error)

// NewEpochs returns the epochs that a store holds; with nil nothing is kept,
// which suits tests.
func NewEpochs(store objstore.Store) *Epochs {
	return &Epochs{store: store, seen: map[string][]Incarnation{}}
}

// Observe returns a topic with its epoch and where that begins, and durably
// remembers its id and its number of partitions if they are new. What a broker
// tells of an incarnation that is gone already, as one does that lags behind,
// is drumbeat.ErrConflict.
func (e *Epochs) Observe(ctx context.Context, found Topic, grown Grown) (Topic, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := Incarnation{Format: epochFormat, ID: found.ID, Partitions: found.Partitions}
	for {
		before := e.seen[found.Name]
		if at := len(before) - 1; at >= 0 && before[at].ID == now.ID && before[at].Partitions == now.Partitions {
			return before[at].topic(found.Name, at), nil
		}
		fresh, err := e.load(ctx, found.Name)
		if err != nil {
			return found, fmt.Errorf("read the epochs of topic %s: %w", found.Name, err)
		}
		if fresh {
			continue // others have seen more
		}
		if err := now.follow(ctx, found.Name, before, grown); err != nil {
			return found, fmt.Errorf("observe topic %s: %w", found.Name, err)
		}
		if err := e.create(ctx, found.Name, now); err != nil {
			return found, fmt.Errorf("remember epoch %d of topic %s: %w", len(before), found.Name, err)
		}
	}
}

// topic returns a topic as it was in an epoch.
func (i *Incarnation) topic(name string, epoch int) Topic {
	return Topic{Name: name, ID: i.ID, Partitions: i.Partitions, Epoch: int32(epoch), Begin: i.Begin} //nolint:gosec // a topic is not made anew so often
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

// follow sees that an incarnation can come after these, and where it begins.
func (i *Incarnation) follow(ctx context.Context, name string, before []Incarnation, grown Grown) error {
	for at := range before {
		newest := at == len(before)-1
		if i.ID == before[at].ID && i.ID != "" && (!newest || i.Partitions <= before[at].Partitions) {
			return fmt.Errorf("a broker tells of id %.12s with %d partitions, which epoch %d had; epoch %d has %.12s with %d; try again when it has caught up: %w",
				i.ID, i.Partitions, at, len(before)-1, before[len(before)-1].ID, before[len(before)-1].Partitions, drumbeat.ErrConflict)
		}
	}
	last := len(before) - 1
	if last < 0 || i.ID != before[last].ID || i.ID == "" {
		return nil
	}
	if grown == nil {
		return fmt.Errorf("it has %d partitions and had %d: nobody but Drumbeat writes it, so nobody adds partitions; make it anew with %d: %w",
			i.Partitions, before[last].Partitions, before[last].Partitions, drumbeat.ErrConflict)
	}
	var err error
	if i.Begin, err = grown(ctx, before[last].topic(name, last)); err != nil {
		return fmt.Errorf("read what it held before partitions were added: %w", err)
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
