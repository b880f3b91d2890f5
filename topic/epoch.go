package topic

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"

	"drumbeat"
)

// epochFormat is the version of the epoch file.
const epochFormat = 1

// Epochs remembers, in a small file, which incarnation of each topic was seen
// last: Kafka itself tells only a topic's id and number of partitions. The
// epoch of a topic starts at 0 and rises by one whenever either differs from
// what is remembered (T2). Losing the file while the lake is kept would let an
// epoch fall, so it lives beside the lake. It is safe for concurrent use.
type Epochs struct {
	path string
	mu   sync.Mutex
	seen map[string]incarnation
}

type incarnation struct {
	ID         string `json:"id"`
	Partitions int32  `json:"partitions"`
	Epoch      int32  `json:"epoch"`
}

type epochFile struct {
	Format int                    `json:"format"`
	Topics map[string]incarnation `json:"topics"`
}

// OpenEpochs reads the file at path, which need not exist yet. With an empty
// path nothing is kept, which suits tests.
func OpenEpochs(path string) (*Epochs, error) {
	e := &Epochs{path: path, seen: make(map[string]incarnation)}
	if path == "" {
		return e, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // the operator's own path
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read topic epochs: %w", err)
	}
	var file epochFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("read topic epochs %s: %w (%w)", path, drumbeat.ErrInvalid, err)
	}
	if file.Format > epochFormat {
		return nil, fmt.Errorf("read topic epochs %s: format %d, this program knows %d: %w",
			path, file.Format, epochFormat, drumbeat.ErrNewer)
	}
	maps.Copy(e.seen, file.Topics)
	return e, nil
}

// Observe returns the epoch of a topic that has this id and this number of
// partitions, and durably remembers both if they are new.
func (e *Epochs) Observe(name, id string, partitions int32) (int32, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	last, known := e.seen[name]
	if known && last.ID == id && last.Partitions == partitions {
		return last.Epoch, nil
	}
	next := incarnation{ID: id, Partitions: partitions}
	if known {
		next.Epoch = last.Epoch + 1
	}
	e.seen[name] = next
	if err := e.save(); err != nil {
		delete(e.seen, name)
		if known {
			e.seen[name] = last
		}
		return 0, fmt.Errorf("remember epoch %d of topic %s: %w", next.Epoch, name, err)
	}
	return next.Epoch, nil
}

// save replaces the file as a whole: a crash leaves the old one or the new one.
func (e *Epochs) save() error {
	if e.path == "" {
		return nil
	}
	text, err := json.MarshalIndent(epochFile{Format: epochFormat, Topics: e.seen}, "", "  ")
	if err != nil {
		return err
	}
	folder := filepath.Dir(e.path)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return err
	}
	temp, err := os.CreateTemp(folder, ".epochs-*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(text, '\n'))
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), e.path); err != nil {
		return err
	}
	dir, err := os.Open(folder) //nolint:gosec // the operator's own path
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
