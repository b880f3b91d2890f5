package onlinetest

import (
	"fmt"
	"testing"

	"drumbeat"
	"drumbeat/feature"
)

// RunDurable holds a store that keeps its records in a folder to the rest of
// the contract. open opens the store in dir; crash returns a folder as dir
// would be found if the process that has it open had been killed now.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) feature.Online, crash func(t *testing.T, dir string) string) {
	t.Run("what was written is there after Close and Open", func(t *testing.T) {
		dir := t.TempDir()
		for offset := int64(1); offset <= 3; offset++ {
			s := open(t, dir)
			if offset > 1 {
				want(t, s, record("M-1", offset-1), record("M-2", 1))
			}
			write(t, s, record("M-1", offset), record("M-2", 1))
			closing(t, s)
		}
	})
	t.Run("a stored position still rules after Open", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		write(t, s, record("M-1", 5))
		closing(t, s)
		s = open(t, dir)
		defer closing(t, s)
		if applied := write(t, s, record("M-1", 5), record("M-1", 4), record("M-1", 6)); applied[0] || applied[1] || !applied[2] {
			t.Errorf("got applied %v, want only the last", applied)
		}
		want(t, s, record("M-1", 6))
	})
	t.Run("a killed process leaves every acknowledged write, and whole batches only", func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, dir)
		defer closing(t, s)
		batch := make([]feature.Record, 20)
		for offset := int64(1); offset <= 3; offset++ {
			for m := range batch {
				batch[m] = record(drumbeat.MachineID(fmt.Sprintf("M-%d", m)), offset)
			}
			write(t, s, batch...)
			found := open(t, crash(t, dir))
			want(t, found, batch...)
			closing(t, found)
		}
	})
}

func closing(t *testing.T, s feature.Online) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
