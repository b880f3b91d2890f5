// Package refine makes silver out of bronze: it decodes and cleans every item
// and gives it exactly one fate (T8). Kept readings, log entries, machines and
// watermarks go to their tables; late, duplicate and quarantined items are set
// aside with the reason.
//
// Partitions are judged side by side: all that concerns a machine stands in
// one (T2), so the result does not depend on how they interleave.
package refine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"

	"golang.org/x/sync/errgroup"

	"drumbeat"
	"drumbeat/failpoint"
	"drumbeat/fleet"
	"drumbeat/lake"
)

// batch is how many bronze items make one silver commit: enough for files of
// a good size, and few enough to hold in memory, twice (some 200 bytes an
// item): one batch is written while the next is judged.
const batch = 250_000

// Counts says how many items met each fate (T8), and what cleaning did to the
// values of kept readings (V1).
type Counts struct {
	ByFate  [len(drumbeat.Fates)]int64
	Clipped int64
	Nulled  int64
}

// Add adds other to c.
func (c *Counts) Add(other *Counts) {
	for fate, n := range other.ByFate {
		c.ByFate[fate] += n
	}
	c.Clipped += other.Clipped
	c.Nulled += other.Nulled
}

// Items returns how many items were judged.
func (c *Counts) Items() int64 {
	var n int64
	for _, fate := range c.ByFate {
		n += fate
	}
	return n
}

// Refiner carries silver on from where it ends. It is not safe for concurrent
// use.
type Refiner struct {
	fleet  *fleet.Fleet
	lake   *lake.Lake
	log    *slog.Logger
	parts  map[int32]*part
	next   lake.Progress
	judged int // items not yet committed
	// writing is the commit that goes on beside the judging; nil without one.
	writing chan error
	// failed is why something was judged and not written, which only a new
	// Refiner judges again.
	failed error
}

// part judges one partition.
type part struct {
	decoder *fleet.Decoder
	judge   *fleet.Judge
	scratch []drumbeat.Item
	silver  *lake.SilverPart
	counts  Counts
}

// New returns a Refiner whose judges know what silver holds.
func New(ctx context.Context, f *fleet.Fleet, l *lake.Lake, log *slog.Logger) (*Refiner, error) {
	r := &Refiner{fleet: f, lake: l, log: log, parts: map[int32]*part{}, next: l.SilverProgress()}
	if len(r.next) == 0 && l.Epoch() == 0 {
		return r, nil
	}
	scan := lake.ScanOptions{To: r.next, Partition: lake.AllPartitions}
	err := l.ScanRecent(ctx, scan, f.Memory(), func(items []drumbeat.Item) error {
		for i := range items {
			r.part(l.Home(items[i].Machine, items[i].Position)).judge.Restore(&items[i])
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("restore the judges from silver: %w", err)
	}
	return r, nil
}

// part returns the partition's judge, made at its first item.
func (r *Refiner) part(partition int32) *part {
	p := r.parts[partition]
	if p == nil {
		p = &part{decoder: fleet.NewDecoder(r.fleet), judge: fleet.NewJudge(r.fleet), silver: r.lake.NewSilverPart(0)}
		r.parts[partition] = p
	}
	return p
}

// Run refines what bronze holds beyond silver and returns what became of it. A
// Run that was cancelled, or could not read bronze, is gone on with by the
// next; after items could not be judged or written, make a new Refiner.
func (r *Refiner) Run(ctx context.Context) (Counts, error) {
	var total Counts
	if r.failed != nil {
		return total, fmt.Errorf("go on after an error: %w", r.failed)
	}
	err := r.run(ctx, &total)
	return total, errors.Join(err, r.written())
}

func (r *Refiner) run(ctx context.Context, total *Counts) error {
	end, err := r.lake.ScanBronze(ctx, r.next, func(items []drumbeat.Item) error {
		if err := r.judge(items); err != nil {
			return err
		}
		if r.judged < batch {
			return nil
		}
		return r.commit(ctx, total)
	})
	if err != nil {
		return fmt.Errorf("scan bronze: %w", err)
	}
	// The end is bronze's own progress: a partition may end in dead letters,
	// which bronze does not hold.
	moved := r.judged > 0
	for partition, offset := range end {
		if offset > r.next[partition] {
			r.next[partition], moved = offset, true
		}
	}
	if !moved {
		return nil
	}
	return r.commit(ctx, total)
}

// judge decodes and judges items, the partitions side by side.
func (r *Refiner) judge(items []drumbeat.Item) error {
	byPart := map[int32][]int{}
	for i := range items {
		at := items[i].Position
		byPart[at.Partition] = append(byPart[at.Partition], i)
		r.next[at.Partition] = max(r.next[at.Partition], at.Offset+1)
	}
	var group errgroup.Group
	for partition, indexes := range byPart {
		p := r.part(partition)
		group.Go(func() error { return p.judgeAll(items, indexes) })
	}
	r.judged += len(items)
	r.failed = group.Wait()
	return r.failed
}

// commit begins to write what was judged, with the progress that it reaches,
// once the commit before it is done: the scan never cuts a record. A commit
// that was begun is finished, also when ctx ends.
func (r *Refiner) commit(ctx context.Context, total *Counts) error {
	if err := r.written(); err != nil {
		return err
	}
	silver := map[int32]*lake.SilverPart{}
	for partition, p := range r.parts {
		silver[partition] = p.silver
		p.silver = r.lake.NewSilverPart(p.silver.Readings() * 9 / 8)
		total.Add(&p.counts)
		p.counts = Counts{}
	}
	ctx = context.WithoutCancel(ctx)
	judged, next := r.judged, maps.Clone(r.next)
	r.judged = 0
	r.writing = make(chan error, 1)
	go func(done chan<- error) {
		failpoint.Here("refine.commit")
		err := r.lake.AppendSilverParts(ctx, silver, next)
		failpoint.Here("refine.committed")
		if err != nil {
			err = fmt.Errorf("commit %d items to silver: %w", judged, err)
		}
		done <- err
	}(r.writing)
	return nil
}

// written waits for the commit under way.
func (r *Refiner) written() error {
	if r.writing == nil {
		return nil
	}
	r.failed = <-r.writing
	r.writing = nil
	return r.failed
}

// judgeAll decodes and judges the items at the given indexes, in order.
func (p *part) judgeAll(items []drumbeat.Item, indexes []int) error {
	for _, i := range indexes {
		if err := p.judgeOne(&items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (p *part) judgeOne(bronze *drumbeat.Item) error {
	items, err := p.decoder.Again(bronze, p.scratch[:0])
	if err != nil || len(items) != 1 {
		// Ingest decoded the same text: bronze was changed by another hand, or
		// the fleet file no longer reads what it read.
		return fmt.Errorf("decode bronze item at %s, which was decodable when it came: %w (got %d items); "+
			"has the fleet file changed?", bronze.Position, orInvalid(err), len(items))
	}
	p.scratch = items
	item := &items[0]
	item.Position, item.ArrivalTime = bronze.Position, bronze.ArrivalTime
	if item.Kind == drumbeat.KindMachine {
		item.EventTime = bronze.ArrivalTime
	}
	fate, why := p.judge.Judge(item)
	p.counts.ByFate[fate]++
	if fate != drumbeat.FateKept {
		p.silver.Aside = append(p.silver.Aside, lake.Aside{
			Position: item.Position, Machine: item.Machine, EventTime: item.EventTime,
			ArrivalTime: item.ArrivalTime, Fate: fate, Reason: why,
		})
		return nil
	}
	for _, flag := range item.Flags {
		if flag&drumbeat.FlagClipped != 0 {
			p.counts.Clipped++
		}
		if flag&drumbeat.FlagNulled != 0 {
			p.counts.Nulled++
		}
	}
	return p.silver.Keep(item)
}

func orInvalid(err error) error {
	if err == nil {
		return drumbeat.ErrInvalid
	}
	return err
}
