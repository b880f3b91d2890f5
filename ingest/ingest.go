// Package ingest brings what comes from outside into the lake: the fleet's
// topic into bronze and dead letters, the predictions topic into its table,
// each exactly once.
//
// An item that cannot be decoded, or whose machine nobody declared, is a dead
// letter with its reason; every other goes to bronze as it came (T8). Offsets
// are committed in the same Delta transaction as the rows.
package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"drumbeat"
	"drumbeat/failpoint"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/topic"
)

// The bounds of one commit. More items make larger files and fewer commits;
// fewer make rows visible sooner and hold less memory (some 300 bytes an
// item). While a commit is written nothing is read: a lake that is slow makes
// the topic wait, and memory stays as it is.
const (
	DefaultBatch = 250_000
	DefaultFlush = 2 * time.Second
	maxHeld      = 128 << 20 // bytes of payloads
)

// groupName begins the name of the consumer group in which processes share a
// fleet's topic.
const groupName = "drumbeat-ingest-"

// OpenReader opens a reader of the topic at the given offsets; partitions
// without an offset start at their beginning.
type OpenReader func(ctx context.Context, from map[int32]int64) (topic.Reader, error)

// Config is what an Ingester needs. Zero bounds take the defaults.
type Config struct {
	Fleet *fleet.Fleet
	Lake  *lake.Lake
	Topic topic.Topic
	Open  OpenReader
	// Follow joins a consumer group, if partitions are to be shared with other
	// processes; then Run reads what the group gives it. Nil: Run reads all.
	Follow func(ctx context.Context, share topic.Share) (topic.Reader, error)
	Batch  int           // items that make a commit due
	Flush  time.Duration // the longest that an item waits for its commit
	Log    *slog.Logger
}

// Counts says what became of the items that an Ingester took.
type Counts struct {
	Items  int64                   `json:"items"`
	Bronze int64                   `json:"bronze"`
	Dead   map[drumbeat.Fate]int64 `json:"-"`
	Ends   map[int32]int64         `json:"-"` // the next offset, by partition
	Newest map[int32]drumbeat.Time `json:"-"` // greatest arrival_time, by partition
}

// Ingester copies a fleet's topic into bronze. It is not safe for concurrent
// use.
type Ingester struct {
	cfg Config

	mu      sync.Mutex // guards what follows: a group moves partitions beside Run
	decoder *fleet.Decoder
	known   map[drumbeat.MachineID]bool
	next    lake.Progress
	bronze  *lake.Bronze // what the next commit writes
	newest  map[int32]drumbeat.Time
	scratch []drumbeat.Item
	arena   []byte
	bytes   int       // of payloads that the next commit writes
	due     time.Time // when the oldest waiting item must be committed
	counts  Counts
	failed  error // while partitions moved
}

// New returns an Ingester that goes on where bronze ends.
func New(ctx context.Context, cfg Config) (*Ingester, error) {
	if cfg.Batch == 0 {
		cfg.Batch = DefaultBatch
	}
	if cfg.Flush == 0 {
		cfg.Flush = DefaultFlush
	}
	in := &Ingester{
		cfg:     cfg,
		decoder: fleet.NewDecoder(cfg.Fleet),
		known:   map[drumbeat.MachineID]bool{},
		next:    cfg.Lake.BronzeProgress(),
		bronze:  cfg.Lake.NewBronze(),
		newest:  map[int32]drumbeat.Time{},
		counts: Counts{
			Dead: map[drumbeat.Fate]int64{},
			Ends: map[int32]int64{}, Newest: map[int32]drumbeat.Time{},
		},
	}
	if err := in.learnMachines(ctx); err != nil {
		return nil, fmt.Errorf("learn the fleet's machines: %w", err)
	}
	return in, nil
}

// learnMachines collects the machines declared so far: those of silver, and
// those that bronze holds beyond it.
func (in *Ingester) learnMachines(ctx context.Context) error {
	machines, err := in.cfg.Lake.Machines(ctx)
	if err != nil {
		return err
	}
	for i := range machines {
		in.known[machines[i].Machine] = true
	}
	_, err = in.cfg.Lake.ScanBronze(ctx, in.cfg.Lake.SilverProgress(), func(items []drumbeat.Item) error {
		for i := range items {
			if items[i].Kind == drumbeat.KindMachine {
				in.known[items[i].Machine] = true
			}
		}
		return nil
	})
	return err
}

// Counts returns what this Ingester has committed so far.
func (in *Ingester) Counts() Counts { return in.counts }

// Run copies until ctx ends, then commits what it still holds.
func (in *Ingester) Run(ctx context.Context) error {
	open := in.openAt(in.next)
	if in.cfg.Follow != nil {
		in.next = lake.Progress{}
		open = func(ctx context.Context) (topic.Reader, error) {
			return in.cfg.Follow(ctx, topic.Share{Group: groupName + string(in.cfg.Fleet.Name), Take: in.takeOver, Give: in.giveUp})
		}
	}
	return in.copy(ctx, open, func() bool { return false })
}

// openAt opens the topic at offsets.
func (in *Ingester) openAt(from lake.Progress) func(context.Context) (topic.Reader, error) {
	return func(ctx context.Context) (topic.Reader, error) { return in.cfg.Open(ctx, from) }
}

// takeOver begins with partitions where bronze ends, whoever wrote it.
func (in *Ingester) takeOver(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	progress, err := in.cfg.Lake.RefreshBronze(ctx)
	if err != nil {
		return nil, err
	}
	if err := in.learnMachines(ctx); err != nil {
		return nil, fmt.Errorf("learn the fleet's machines: %w", err)
	}
	from := map[int32]int64{}
	for _, partition := range partitions {
		from[partition] = progress[partition]
		in.next[partition] = progress[partition]
	}
	in.cfg.Log.InfoContext(ctx, "partitions taken over", "fleet", in.cfg.Fleet.Name, "from", from)
	return from, nil
}

// giveUp commits what is held, so that the next process goes on behind it. If
// that one was faster, what it has committed is left out of this commit: the
// tables know their own progress.
func (in *Ingester) giveUp(ctx context.Context, partitions []int32) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if err := in.commit(context.WithoutCancel(ctx)); err != nil {
		in.failed = errors.Join(in.failed, err)
		return
	}
	for _, partition := range partitions {
		delete(in.next, partition)
	}
	in.cfg.Log.InfoContext(ctx, "partitions given up", "fleet", in.cfg.Fleet.Name, "partitions", partitions)
}

// Drain copies until bronze holds everything below ends.
func (in *Ingester) Drain(ctx context.Context, ends map[int32]int64) error {
	return in.copy(ctx, in.openAt(in.next), func() bool { return reached(in.next, ends) })
}

// Replay reads the topic again from its start up to ends. Bronze knows its own
// progress, so nothing is added; that it is so is what a replay shows.
func (in *Ingester) Replay(ctx context.Context, ends map[int32]int64) error {
	in.next = lake.Progress{}
	return in.copy(ctx, in.openAt(lake.Progress{}), func() bool { return reached(in.next, ends) })
}

func reached(next lake.Progress, ends map[int32]int64) bool {
	for partition, end := range ends {
		if next[partition] < end {
			return false
		}
	}
	return true
}

func (in *Ingester) copy(ctx context.Context, open func(context.Context) (topic.Reader, error), done func() bool) error {
	reader, err := open(ctx)
	if err != nil && ctx.Err() != nil {
		return nil // it was asked to end before it began
	}
	if err != nil {
		return err
	}
	defer reader.Close()
	for !done() && ctx.Err() == nil {
		if err := in.step(ctx, reader); err != nil {
			return err
		}
	}
	// What was taken is committed even when ctx has ended: a shutdown leaves
	// nothing half done.
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.commit(context.WithoutCancel(ctx))
}

// step polls once and commits if a commit is due.
func (in *Ingester) step(ctx context.Context, reader topic.Reader) error {
	in.mu.Lock()
	pending, due := in.pending(), in.due
	in.mu.Unlock()
	wait, cancel := ctx, context.CancelFunc(func() {})
	if pending {
		wait, cancel = context.WithDeadline(ctx, due)
	}
	records, err := reader.Poll(wait)
	cancel()
	if err != nil {
		return fmt.Errorf("read the topic: %w", err)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.failed != nil {
		return fmt.Errorf("give up partitions: %w", in.failed)
	}
	in.lose(ctx, reader.Lost())
	if len(records) > 0 && !in.pending() {
		in.due = time.Now().Add(in.cfg.Flush)
	}
	for i := range records {
		if err := in.take(&records[i]); err != nil {
			return err
		}
	}
	if in.held() >= in.cfg.Batch || in.bytes >= maxHeld || in.pending() && !time.Now().Before(in.due) {
		return in.commit(context.WithoutCancel(ctx)) // a commit that was begun is finished
	}
	return nil
}

func (in *Ingester) held() int {
	return in.bronze.Items() + len(in.bronze.Dead) + len(in.bronze.Lost)
}

// lose notes records that were gone before they were read.
func (in *Ingester) lose(ctx context.Context, lost []topic.Lost) {
	for _, l := range lost {
		if l.Until <= in.next[l.Partition] {
			continue
		}
		newest, seen := in.newest[l.Partition]
		if !seen {
			newest = drumbeat.NoTime
		}
		in.cfg.Log.ErrorContext(ctx, "records were gone from the topic before they were read", "fleet", in.cfg.Fleet.Name,
			"partition", l.Partition, "from", l.From, "until", l.Until)
		if !in.pending() {
			in.due = time.Now().Add(in.cfg.Flush)
		}
		in.bronze.Lost = append(in.bronze.Lost, lake.Lost{
			Position: drumbeat.Position{Epoch: in.cfg.Topic.Epoch, Partition: l.Partition, Offset: l.From},
			Until:    l.Until, After: newest, Noticed: drumbeat.At(time.Now()),
		})
		in.next[l.Partition] = l.Until
	}
}

func (in *Ingester) pending() bool { return in.held() > 0 }

// take decodes a record and sorts its items into bronze and dead letters.
func (in *Ingester) take(record *topic.Record) error {
	position := drumbeat.Position{Epoch: record.Epoch, Partition: record.Partition, Offset: record.Offset}
	in.next[record.Partition] = record.Offset + 1
	in.bytes += len(record.Value)
	payload, headers := in.keep(record.Value), headersText(record.Headers)
	form := fleet.FormOf(record.Type, record.Headers)
	items, err := in.decoder.Decode(form, payload, in.scratch[:0])
	letter := lake.DeadLetter{ // if it comes to that
		Position: position, ArrivalTime: record.Time, Key: record.Key, Type: record.Type, Raw: payload,
		Headers: headers, RedriveOf: form.RedriveOf,
	}
	if err != nil {
		in.bury(letter, drumbeat.FateUndecodable, err.Error())
		return nil
	}
	in.scratch = items
	for i := range items {
		item := &items[i]
		item.ArrivalTime = record.Time
		item.Position = position
		item.Position.Index = int32(i)
		item.Key, item.Headers = record.Key, headers
		if item.Kind == drumbeat.KindMachine {
			item.EventTime = record.Time
			in.known[item.Machine] = true
		}
		if item.Kind != drumbeat.KindWatermark && !in.known[item.Machine] {
			letter.Position, letter.Raw = item.Position, item.Raw
			in.bury(letter, drumbeat.FateUnknownMachine,
				fmt.Sprintf("machine %q was not declared before this: send a record of type machine first", item.Machine))
			continue
		}
		if err := in.bronze.Add(item); err != nil {
			return err
		}
		if newest, seen := in.newest[record.Partition]; !seen || item.ArrivalTime > newest {
			in.newest[record.Partition] = item.ArrivalTime
		}
	}
	return nil
}

// keep copies a payload: the reader's buffers live only until its next poll.
func (in *Ingester) keep(payload []byte) []byte {
	const chunk = 1 << 20
	if cap(in.arena)-len(in.arena) < len(payload) {
		in.arena = make([]byte, 0, max(chunk, len(payload)))
	}
	start := len(in.arena)
	in.arena = append(in.arena, payload...)
	return in.arena[start:len(in.arena):len(in.arena)]
}

func (in *Ingester) bury(letter lake.DeadLetter, fate drumbeat.Fate, why string) {
	letter.Fate, letter.Reason = fate, why
	in.bronze.Dead = append(in.bronze.Dead, letter)
}

// headersText returns headers as the text of a JSON object, its keys sorted.
func headersText(headers map[string]string) string {
	if len(headers) == 0 {
		return ""
	}
	text, _ := json.Marshal(headers) // texts always marshal; what is no UTF-8 is replaced
	return string(text)
}

// commit writes what is held, with the offsets that it reaches.
func (in *Ingester) commit(ctx context.Context) error {
	if !in.pending() {
		return nil
	}
	failpoint.Here("ingest.commit")
	if err := in.bronze.Append(ctx, maps.Clone(in.next)); err != nil {
		return fmt.Errorf("commit %d items to bronze: %w", in.bronze.Items(), err)
	}
	failpoint.Here("ingest.committed")
	in.count()
	in.bronze, in.arena, in.bytes = in.cfg.Lake.NewBronze(), nil, 0
	return nil
}

func (in *Ingester) count() {
	in.counts.Items += int64(in.held())
	in.counts.Bronze += int64(in.bronze.Items())
	for i := range in.bronze.Dead {
		in.counts.Dead[in.bronze.Dead[i].Fate]++
	}
	maps.Copy(in.counts.Ends, in.next)
	maps.Copy(in.counts.Newest, in.newest)
}
