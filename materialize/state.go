package materialize

import (
	"context"
	"fmt"
	"maps"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// state is what the records of a topic below some offsets lead to: judges and
// windows. It is the same whether it came from silver, from the topic, or from
// the one up to any point and then the other.
type state struct {
	fleet   *fleet.Fleet
	decoder *fleet.Decoder
	judges  map[int32]*fleet.Judge
	views   []*engines
	next    map[int32]int64 // by partition, the first offset not taken in
	scratch []drumbeat.Item
}

func newState(f *fleet.Fleet, views []*feature.View) *state {
	st := &state{
		fleet: f, decoder: fleet.NewDecoder(f), judges: map[int32]*fleet.Judge{},
		next: map[int32]int64{},
	}
	for _, view := range views {
		st.views = append(st.views, newEngines(view))
	}
	return st
}

// load takes in what silver holds below to. The visit, if there is one, sees
// each item as well.
func (st *state) load(ctx context.Context, l *lake.Lake, to map[int32]int64, visit func(*drumbeat.Item)) error {
	maps.Copy(st.next, to)
	return load(ctx, l, to, st.views, func(item *drumbeat.Item) {
		st.judge(l.Home(item.Machine, item.Position)).Restore(item)
		if visit != nil {
			visit(item)
		}
	})
}

func (st *state) judge(partition int32) *fleet.Judge {
	judge := st.judges[partition]
	if judge == nil {
		judge = fleet.NewJudge(st.fleet)
		st.judges[partition] = judge
	}
	return judge
}

// kept judges a record's items, each once, and returns those that are kept, in
// order. They are valid until the next call.
func (st *state) kept(record *topic.Record) []drumbeat.Item {
	st.next[record.Partition] = record.Offset + 1
	items, err := st.decoder.Decode(fleet.FormOf(record.Type, record.Headers), record.Value, st.scratch[:0])
	if err != nil {
		return nil // ingest keeps it as a dead letter, with the reason
	}
	st.scratch = items
	judge, kept := st.judge(record.Partition), items[:0]
	for i := range items {
		item := &items[i]
		item.ArrivalTime = record.Time
		item.Position = drumbeat.Position{
			Epoch: record.Epoch, Partition: record.Partition, Offset: record.Offset,
			Index: int32(i),
		}
		if item.Kind == drumbeat.KindMachine {
			item.EventTime = record.Time
		}
		if item.Kind != drumbeat.KindMachine && item.Kind != drumbeat.KindWatermark && !judge.Known(item.Machine) {
			continue // a dead letter as well
		}
		if fate, _ := judge.Judge(item); fate == drumbeat.FateKept {
			kept = append(kept, *item)
		}
	}
	return kept
}

// replay takes in the topic's records up to the offsets, which have been read
// before: they are there.
func (st *state) replay(ctx context.Context, open OpenReader, to map[int32]int64) error {
	if st.reached(to) {
		return nil
	}
	reader, err := open(ctx, st.next)
	if err != nil {
		return err
	}
	defer reader.Close()
	for !st.reached(to) {
		records, err := reader.Poll(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read the topic again: %w", err)
		}
		for i := range records {
			if record := &records[i]; record.Offset < to[record.Partition] {
				st.take(record)
			} else {
				st.next[record.Partition] = max(st.next[record.Partition], to[record.Partition])
			}
		}
	}
	return nil
}

// take applies a record without making vectors.
func (st *state) take(record *topic.Record) {
	items := st.kept(record)
	for i := range items {
		for _, view := range st.views {
			view.at(record.Partition).Load(&items[i])
		}
	}
}

func (st *state) reached(to map[int32]int64) bool {
	for partition, offset := range to {
		if st.next[partition] < offset {
			return false
		}
	}
	return true
}
