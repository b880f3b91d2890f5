package materialize

import (
	"context"
	"fmt"
	"maps"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/failpoint"
	"drumbeat/feature"
	"drumbeat/lake"
)

// goldBatch is how many vectors make one commit to gold: with 40 features some
// 100 MB of memory, and files of a good size.
const goldBatch = 250_000

// Backfill carries the gold table of a view on from where it ends. It is not
// safe for concurrent use.
type Backfill struct {
	lake    *lake.Lake
	gold    *lake.Gold
	engines *engines
	next    lake.Progress
	fresh   bool // gold is empty: every epoch of silver is to be materialized
	made    []drumbeat.Vector
}

// NewBackfill opens the view's gold table and rebuilds the windows as of its
// end.
func NewBackfill(ctx context.Context, l *lake.Lake, view *feature.View) (*Backfill, error) {
	gold, err := l.Gold(ctx, view.Name, view.Hash, view.Names())
	if err != nil {
		return nil, fmt.Errorf("open gold of view %s: %w", view.Name, err)
	}
	b := &Backfill{lake: l, gold: gold, engines: newEngines(view), next: gold.Progress(), fresh: !gold.Begun()}
	if b.fresh {
		return b, nil
	}
	if err := load(ctx, l, b.next, []*engines{b.engines}, nil); err != nil {
		return nil, fmt.Errorf("rebuild the windows of view %s: %w", view.Name, err)
	}
	return b, nil
}

// Gold returns the table that the backfill writes.
func (b *Backfill) Gold() *lake.Gold { return b.gold }

// Run materializes what silver holds beyond gold, and returns how many rows it
// wrote.
func (b *Backfill) Run(ctx context.Context) (int64, error) {
	end := b.lake.SilverProgress()
	if !beyond(end, b.next) {
		return 0, nil
	}
	var rows int64
	scan := lake.ScanOptions{From: b.next, To: end, Partition: lake.AllPartitions}
	if b.fresh {
		scan.From = nil
	}
	err := b.lake.ScanSilver(ctx, scan, func(items []drumbeat.Item) error {
		if err := b.apply(items); err != nil {
			return err
		}
		if len(b.made) < goldBatch {
			return nil
		}
		rows += int64(len(b.made))
		return b.commit(ctx, nil)
	})
	if err != nil {
		return rows, fmt.Errorf("scan silver: %w", err)
	}
	rows += int64(len(b.made))
	return rows, b.commit(ctx, end)
}

// beyond says whether end is past next in any partition.
func beyond(end, next lake.Progress) bool {
	for partition, offset := range end {
		if offset > next[partition] {
			return true
		}
	}
	return false
}

// apply feeds the items to their engines, the partitions side by side.
func (b *Backfill) apply(items []drumbeat.Item) error {
	byPart := map[int32][]int{}
	for i := range items {
		at := items[i].Position
		partition := b.lake.Home(items[i].Machine, at)
		byPart[partition] = append(byPart[partition], i)
		if at.Epoch == b.lake.Epoch() {
			b.next[partition] = max(b.next[partition], at.Offset+1)
		}
	}
	made := make([][]drumbeat.Vector, len(byPart))
	var group errgroup.Group
	slot := 0
	for partition, indexes := range byPart {
		engine, out := b.engines.at(partition), &made[slot]
		slot++
		group.Go(func() error {
			vectors := make([]drumbeat.Vector, 0, len(indexes)+len(indexes)/8)
			for _, i := range indexes {
				vectors = engine.Apply(&items[i], vectors)
			}
			*out = vectors
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, vectors := range made {
		b.made = append(b.made, vectors...)
	}
	return nil
}

// commit writes the vectors made so far, with the progress that they reach:
// the scan never cuts a record.
func (b *Backfill) commit(ctx context.Context, end lake.Progress) error {
	maps.Copy(b.next, end)
	failpoint.Here("materialize.commit")
	if err := b.gold.Append(ctx, b.made, maps.Clone(b.next)); err != nil {
		return fmt.Errorf("commit %d rows to gold: %w", len(b.made), err)
	}
	failpoint.Here("materialize.committed")
	b.made, b.fresh = b.made[:0], false
	return nil
}
