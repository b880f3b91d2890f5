package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/objstore"
	"drumbeat/objstore/memory"
	"drumbeat/topic"
)

// shared is a topic that several processes ingest into one lake.
type shared struct {
	t     *testing.T
	cfg   topic.Config
	topic topic.Topic
	def   *fleet.Fleet
	store objstore.Store
	sent  int // records written
}

func newShared(t *testing.T, cfg topic.Config) *shared {
	t.Helper()
	def, _ := laundry(t)
	s := &shared{t: t, cfg: cfg, def: def, store: memory.New(time.Now)}
	var err error
	name := fmt.Sprintf("laundry-%d", time.Now().UnixNano())
	s.topic, err = topic.Ensure(t.Context(), cfg, topic.Spec{Name: name, Partitions: 6, CreateTime: true}, topic.NewEpochs(s.store))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// write writes a round of records: of each machine its declaration first, then
// a reading a minute.
func (s *shared) write(ctx context.Context, w topic.Writer, round int) error {
	const machines = 30
	at := time.Date(2026, 3, 2, 0, round, 0, 0, time.UTC)
	records := make([]topic.Record, machines)
	for i := range records {
		id := fmt.Sprintf("W-%03d", i)
		r := &records[i]
		*r = topic.Record{Topic: s.topic.Name, Key: id, Type: "reading", Time: drumbeat.At(at)}
		r.Value = fmt.Appendf(nil, `{"machine_id":%q,"timestamp":%q,"power_kw":3.5}`, id, at.Format(time.RFC3339))
		if round == 0 {
			r.Type, r.Value = "machine", fmt.Appendf(nil, `{"machine_id":%q,"location":"north","model_year":2019}`, id)
		}
	}
	if err := w.Write(ctx, records); err != nil {
		return err
	}
	s.sent += machines
	return nil
}

// process is an ingester as another process would have it: with a lake of its
// own over the shared store.
func (s *shared) process(store objstore.Store, share topic.Share) *ingest.Ingester {
	s.t.Helper()
	l, err := lake.Open(s.t.Context(), store, s.def, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	in, err := ingest.New(s.t.Context(), ingest.Config{
		Fleet: s.def, Lake: l, Log: slog.New(slog.DiscardHandler), Flush: 50 * time.Millisecond,
		Open: func(ctx context.Context, from map[int32]int64) (topic.Reader, error) {
			offsets := s.topic.Start()
			maps.Copy(offsets, from)
			return topic.NewReader(ctx, s.cfg, topic.From{Topic: s.topic, Offsets: offsets})
		},
		Follow: func(ctx context.Context, own topic.Share) (topic.Reader, error) {
			own.Session, own.Rebalance = share.Session, share.Rebalance
			return topic.NewGroupReader(ctx, s.cfg, s.topic, own)
		},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return in
}

// await waits until bronze holds everything that was sent.
func (s *shared) await() *lake.Lake {
	s.t.Helper()
	l, err := lake.Open(s.t.Context(), s.store, s.def, slog.New(slog.DiscardHandler))
	if err != nil {
		s.t.Fatal(err)
	}
	ends, err := topic.Ends(s.t.Context(), s.cfg, s.topic.Name)
	if err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		progress, err := l.RefreshBronze(s.t.Context())
		if err != nil {
			s.t.Fatal(err)
		}
		missing := false
		for partition, offset := range ends {
			missing = missing || progress[partition] < offset
		}
		if !missing {
			return l
		}
		if time.Now().After(end) {
			s.t.Fatalf("bronze has come to %v of %v", progress, ends)
		}
	}
}

// check holds bronze to what was sent: each record once, each machine's in
// order.
func (s *shared) check(l *lake.Lake) {
	s.t.Helper()
	seen := map[drumbeat.Position]int{}
	newest := map[drumbeat.MachineID]string{}
	items := 0
	_, err := l.ScanBronze(s.t.Context(), nil, func(rows []drumbeat.Item) error {
		for i := range rows {
			items++
			seen[rows[i].Position]++
			if raw := string(rows[i].Raw); rows[i].Kind == drumbeat.KindReading {
				if raw <= newest[rows[i].Machine] {
					s.t.Errorf("%s after %s", raw, newest[rows[i].Machine])
				}
				newest[rows[i].Machine] = raw
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	dead := 0
	err = l.ScanDeadLetters(s.t.Context(), func(rows []lake.DeadLetter) error { dead += len(rows); return nil })
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Logf("sent %d, in bronze %d, lost %d, doubled %d, dead letters %d", s.sent, len(seen), s.sent-len(seen), items-len(seen), dead)
	if items != s.sent || len(seen) != s.sent || dead != 0 {
		s.t.Errorf("%d rows at %d positions and %d dead letters of %d records", items, len(seen), dead, s.sent)
	}
}

// storm lets processes join and leave the group at random while records are
// written, and disturb do something to the broker now and then.
func (s *shared) storm(rounds int, disturb func(round int)) {
	s.t.Helper()
	w, err := topic.NewWriter(s.t.Context(), s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	defer w.Close()
	var running sync.WaitGroup
	defer running.Wait()
	chance := rand.New(rand.NewPCG(7, 7))
	leave := map[int]context.CancelFunc{}
	defer func() {
		for _, cancel := range leave {
			cancel()
		}
	}()
	share := topic.Share{Session: 6 * time.Second, Rebalance: 6 * time.Second}
	for round := range rounds {
		if slot := chance.IntN(4); leave[slot] != nil {
			leave[slot]()
			delete(leave, slot)
		} else {
			ctx, cancel := context.WithCancel(s.t.Context())
			leave[slot] = cancel
			running.Go(func() { s.run(ctx, share) })
		}
		disturb(round)
		if err := s.write(s.t.Context(), w, round); err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(time.Duration(chance.IntN(60)) * time.Millisecond)
	}
	if len(leave) == 0 {
		ctx, cancel := context.WithCancel(s.t.Context())
		leave[0] = cancel
		running.Go(func() { s.run(ctx, share) })
	}
	s.check(s.await())
}

// run keeps a process going, as whoever supervises it would: it may be started
// while there is no broker.
func (s *shared) run(ctx context.Context, share topic.Share) {
	for ctx.Err() == nil {
		err := s.process(s.store, share).Run(ctx) //nolint:contextcheck // it is made for as long as the test
		if err != nil && !strings.Contains(err.Error(), "reach broker") && ctx.Err() == nil {
			s.t.Errorf("a process ended: %v", err)
			return
		}
	}
}

// fakeKafka runs a broker in memory.
func fakeKafka(t *testing.T) topic.Config {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return topic.Config{Brokers: cluster.ListenAddrs()}
}

func TestARebalanceStormLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	newShared(t, fakeKafka(t)).storm(60, func(int) {})
}

// slow is a store whose creates wait while it is held.
type slow struct {
	objstore.Store
	held chan struct{} // closed when it goes on
	hit  sync.Once
	in   chan struct{} // closed when a create waits
}

func (s *slow) Create(ctx context.Context, key string, body []byte) error {
	s.hit.Do(func() { close(s.in) })
	<-s.held
	return s.Store.Create(ctx, key, body)
}

// testPaused stops one process in the middle of a commit until the group has
// given its partitions to another, which commits the same records; then lets
// it go on.
func testPaused(t *testing.T, s *shared) {
	t.Helper()
	w, err := topic.NewWriter(t.Context(), s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	share := topic.Share{Session: 6 * time.Second, Rebalance: time.Second}
	paused := &slow{Store: s.store, held: make(chan struct{}), in: make(chan struct{})}
	s.process(s.store, share) // makes the tables
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	first := s.process(paused, share)
	running.Go(func() {
		if err := first.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the paused process ended: %v", err)
		}
	})
	for round := range 20 {
		if err := s.write(t.Context(), w, round); err != nil {
			t.Fatal(err)
		}
	}
	<-paused.in
	second := s.process(s.store, share)
	running.Go(func() {
		if err := second.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the second process ended: %v", err)
		}
	})
	s.check(s.await()) // the second has taken everything
	close(paused.held)
	if err := s.write(t.Context(), w, 20); err != nil {
		t.Fatal(err)
	}
	s.await()
	cancel()
	running.Wait()
	s.check(s.await())
}

// TestTwoProcessesThatBothReadEverything runs two that know nothing of each
// other and both believe that each partition is theirs.
func TestTwoProcessesThatBothReadEverything(t *testing.T) {
	t.Parallel()
	s := newShared(t, fakeKafka(t))
	w, err := topic.NewWriter(t.Context(), s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for round := range 2 {
		if err := s.write(t.Context(), w, round); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var running sync.WaitGroup
	for range 2 {
		in := s.process(s.store, topic.Share{})
		running.Go(func() {
			if err := in.Drain(ctx, map[int32]int64{0: 1 << 40}); err != nil {
				t.Errorf("a process ended: %v", err)
			}
		})
	}
	for round := 2; round < 30; round++ {
		if err := s.write(t.Context(), w, round); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.await()
	cancel()
	running.Wait()
	s.check(s.await())
}
