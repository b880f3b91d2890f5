package sim

import (
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/topic"
)

// Batches is Play in batches of at most size records, which are emit's to
// keep: nothing of them is used again. A writer can so be busy with one batch
// while the next is made.
func (s *Sim) Batches(until drumbeat.Time, size int, emit func([]topic.Record) error) error {
	const typical = 224 // bytes of a reading with its key
	size = max(size, 1)
	var (
		batch []topic.Record
		arena []byte
	)
	err := s.Play(until, func(r topic.Record) error {
		if batch == nil {
			batch = make([]topic.Record, 0, size)
		}
		if cap(arena)-len(arena) < len(r.Value) {
			arena = make([]byte, 0, max(len(r.Value), (size-len(batch))*typical))
		}
		from := len(arena)
		arena = append(arena, r.Value...)
		r.Value = slices.Clip(arena[from:])
		r.Headers = maps.Clone(r.Headers)
		if batch = append(batch, r); len(batch) < size {
			return nil
		}
		full := batch
		batch = nil
		return emit(full)
	})
	if err != nil || len(batch) == 0 {
		return err
	}
	return emit(batch)
}
