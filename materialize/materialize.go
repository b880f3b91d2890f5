// Package materialize turns silver into features: whole history into gold
// (Backfill), the topic into the online store and a sink, as it comes
// (Stream), and what was true into label rows (Labels).
//
// Both ways apply the same items in the same order to the same feature.Engine,
// so their vectors are the same bits (P1, P4).
package materialize

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/lake"
)

// engines holds one engine a partition: all that concerns a machine stands in
// one partition (T2), so they run side by side.
type engines struct {
	view *feature.View
	all  map[int32]*feature.Engine
}

func newEngines(view *feature.View) *engines {
	return &engines{view: view, all: map[int32]*feature.Engine{}}
}

// at returns the partition's engine, made at its first item.
func (e *engines) at(partition int32) *feature.Engine {
	engine := e.all[partition]
	if engine == nil {
		engine = feature.NewEngine(e.view)
		e.all[partition] = engine
	}
	return engine
}

// load rebuilds the state of every view's engines from one scan of silver, up
// to the given progress. The visit, if there is one, sees each item as well.
func load(ctx context.Context, l *lake.Lake, to lake.Progress, views []*engines, visit func(*drumbeat.Item)) error {
	if len(to) == 0 && l.Epoch() == 0 {
		return nil
	}
	spans, err := l.Spans(ctx, to)
	if err != nil {
		return fmt.Errorf("find when each machine began: %w", err)
	}
	var retention time.Duration
	for _, e := range views {
		for machine, span := range spans {
			e.at(span.Partition).LoadFirst(machine, span.First)
		}
		retention = max(retention, feature.NewEngine(e.view).Retention())
	}
	scan := lake.ScanOptions{To: to, Partition: lake.AllPartitions}
	err = l.ScanRecent(ctx, scan, retention, func(items []drumbeat.Item) error {
		for i := range items {
			for _, e := range views {
				e.at(l.Home(items[i].Machine, items[i].Position)).Load(&items[i])
			}
			if visit != nil {
				visit(&items[i])
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("load recent silver: %w", err)
	}
	return nil
}

// sync writes every machine's newest record to the online store, which keeps
// what it has where that is newer (P4).
func (e *engines) sync(ctx context.Context, online feature.Online) error {
	for _, partition := range e.partitions() {
		engine := e.all[partition]
		var records []feature.Record
		for _, machine := range engine.Machines() {
			if record, ok := engine.Record(machine); ok {
				records = append(records, record)
			}
		}
		if _, err := online.Write(ctx, e.view.Hash, records); err != nil {
			return fmt.Errorf("sync %d machines of view %s to the online store: %w", len(records), e.view.Name, err)
		}
	}
	return nil
}

// partitions returns the partitions that have an engine, in order.
func (e *engines) partitions() []int32 { return slices.Sorted(maps.Keys(e.all)) }
