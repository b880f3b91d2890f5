package label_test

import (
	"encoding/json"
	"testing"

	"drumbeat"
	"drumbeat/label"
)

// A stored state may have been written by anybody: whatever it holds, the rule
// goes on without a crash, and its own state is read again as it was written.
func FuzzWatchState(f *testing.F) {
	w := label.NewWatch(&label.Rule{Horizon: 7 * day, DownMax: day})
	play(w, []say{fails(1), serviced(2), high(3), high(5)})
	seed, err := json.Marshal(&w.State)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"open":true,"log":{"failures":[{"id":"a"}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		w := label.NewWatch(&label.Rule{Horizon: 7 * day, DownMax: day})
		if json.Unmarshal(text, &w.State) != nil {
			return
		}
		play(w, []say{high(1), fails(2), low(3), serviced(4), high(5), answered(drumbeat.OutcomeFailed, 6), tick(900)})
		if w.State.Open {
			t.Error("an alert is open long after H")
		}
	})
}
