package ingest_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/topic"
)

// records is a topic of one partition in memory; it can be read any number of
// times.
type records []topic.Record

type reader struct {
	lost []topic.Lost
	all  records
	next int64
}

func (r *reader) Poll(context.Context) ([]topic.Record, error) {
	out := r.all[r.next:]
	r.next = int64(len(r.all))
	return out, nil
}

func (r *reader) Drained(int32) bool { return r.next >= int64(len(r.all)) }

func (r *reader) Lost() []topic.Lost {
	lost := r.lost
	r.lost = nil
	return lost
}

func (r *reader) Close() {}

func (r records) open(_ context.Context, from map[int32]int64) (topic.Reader, error) {
	return &reader{all: r, next: from[0]}, nil
}

func topicOf(values ...[2]string) records {
	start := drumbeat.At(time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC))
	var all records
	for i, v := range values {
		all = append(all, topic.Record{
			Key: "W-001", Type: v[0], Value: []byte(v[1]), Offset: int64(i), Time: start.Add(time.Duration(i) * time.Minute),
		})
	}
	return all
}

func laundry(t *testing.T) (*fleet.Fleet, *lake.Lake) {
	t.Helper()
	files, err := fs.Sub(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	def, err := fleet.Load(files, ".")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(t.Context(), memory.New(time.Now), def, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return def, l
}

func ingester(t *testing.T, def *fleet.Fleet, l *lake.Lake, all records) *ingest.Ingester {
	t.Helper()
	in, err := ingest.New(t.Context(), ingest.Config{Fleet: def, Lake: l, Open: all.open, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// sent is a topic with something of everything.
func sent() records {
	return topicOf(
		[2]string{"reading", `{"machine_id":"W-001","timestamp":"2026-03-02T00:00:00Z","power_kw":3.5}`}, // nobody declared it yet
		[2]string{"machine", `{"machine_id":"W-001","location":"north","model_year":2019}`},
		[2]string{"", `{"machine_id":"W-001","timestamp":"2026-03-02T00:02:00.0001Z","power_kw":3.5,"oddity":1}`},
		[2]string{"reading", `{"machine_id":"W-001","timestamp":`},
		[2]string{"reading", `[{"machine_id":"W-001","timestamp":"2026-03-02T00:03:00Z","power_kw":1},{"machine_id":"W-001","timestamp":"2026-03-02T00:04:00Z","power_kw":2}]`},
		[2]string{"failure", `{"machine_id":"W-001","failure_timestamp":"2026-03-02T00:05:00Z","failure_type":"bearing"}`},
		[2]string{"gossip", `{}`},
		[2]string{"watermark", `{"log":"failure","complete_to":"2026-03-02T00:00:00Z"}`},
	)
}

func TestEveryItemIsInBronzeOrADeadLetterWithItsReason(t *testing.T) {
	def, l := laundry(t)
	all := sent()
	in := ingester(t, def, l, all)
	if err := in.Drain(t.Context(), map[int32]int64{0: int64(len(all))}); err != nil {
		t.Fatal(err)
	}
	var bronze []string
	_, err := l.ScanBronze(t.Context(), nil, func(items []drumbeat.Item) error {
		for i := range items {
			bronze = append(bronze, items[i].Position.String()+" "+string(items[i].Raw))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"0/0/1/0 " + string(all[1].Value),
		"0/0/2/0 " + string(all[2].Value), // as it came: finer times and unknown fields too (T1)
		`0/0/4/0 {"machine_id":"W-001","timestamp":"2026-03-02T00:03:00Z","power_kw":1}`,
		`0/0/4/1 {"machine_id":"W-001","timestamp":"2026-03-02T00:04:00Z","power_kw":2}`,
		"0/0/5/0 " + string(all[5].Value),
		"0/0/7/0 " + string(all[7].Value),
	}
	if diff := cmp.Diff(want, bronze); diff != "" {
		t.Error(diff)
	}
	reasons := map[int64]string{}
	err = l.ScanDeadLetters(t.Context(), func(dead []lake.DeadLetter) error {
		for i := range dead {
			reasons[dead[i].Position.Offset] = dead[i].Fate.String() + ": " + dead[i].Reason
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for offset, word := range map[int64]string{0: "unknown_machine: machine \"W-001\" was not declared", 3: "undecodable: ", 6: "gossip"} {
		if !strings.Contains(reasons[offset], word) {
			t.Errorf("dead letter %d: got %q, want %q in it", offset, reasons[offset], word)
		}
	}
	if len(reasons) != 3 {
		t.Errorf("got %d dead letters, want 3: %v", len(reasons), reasons)
	}
}

func TestAReplayAndARestartAddNothing(t *testing.T) {
	def, l := laundry(t)
	all := sent()
	ends := map[int32]int64{0: int64(len(all))}
	// Half, then a restart that must know the machine declared in the first.
	if err := ingester(t, def, l, all[:5]).Drain(t.Context(), map[int32]int64{0: 5}); err != nil {
		t.Fatal(err)
	}
	if err := ingester(t, def, l, all).Drain(t.Context(), ends); err != nil {
		t.Fatal(err)
	}
	before, err := l.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if before.Rows["bronze"] != 6 || before.Rows["dead_letters"] != 3 {
		t.Fatalf("after a restart: %v, want 6 in bronze and 3 dead letters", before.Rows)
	}
	again := ingester(t, def, l, all)
	if err := again.Replay(t.Context(), ends); err != nil {
		t.Fatal(err)
	}
	if got := again.Counts().Items; got != 9 {
		t.Errorf("the replay took %d items, want 9", got)
	}
	after, err := l.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the replay changed the lake: %s", diff)
	}
}

func TestAnIngesterThatIsAskedToEndBeforeItBeganEndsWithoutAnError(t *testing.T) {
	def, l := laundry(t)
	open := func(ctx context.Context, _ map[int32]int64) (topic.Reader, error) {
		<-ctx.Done()
		return nil, fmt.Errorf("reach the broker: %w", ctx.Err())
	}
	in, err := ingest.New(t.Context(), ingest.Config{Fleet: def, Lake: l, Open: open, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := in.Run(ctx); err != nil {
		t.Errorf("got %v, want none", err)
	}
}

func TestADeadLetterThatIsRedrivenIsJudgedByWhenItFirstArrived(t *testing.T) {
	def, l := laundry(t)
	all := topicOf(
		[2]string{"reading", `{"machine_id":"W-001","timestamp":"2026-03-02T00:00:00Z","power_kw":3.5}`}, // nobody declared it yet
		[2]string{"machine", `{"machine_id":"W-001","location":"north"}`},
	)
	in := ingester(t, def, l, all)
	if err := in.Drain(t.Context(), map[int32]int64{0: 2}); err != nil {
		t.Fatal(err)
	}
	var again topic.Record
	err := l.ScanDeadLetters(t.Context(), func(letters []lake.DeadLetter) error {
		again = ingest.RedriveRecord("laundry", &letters[0], all[1].Time.Add(30*24*time.Hour))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	again.Offset = 2
	all = append(all, again)
	if err := ingester(t, def, l, all).Drain(t.Context(), map[int32]int64{0: 3}); err != nil {
		t.Fatal(err)
	}
	judge, decoder := fleet.NewJudge(def), fleet.NewDecoder(def)
	fates := map[string]string{}
	_, err = l.ScanBronze(t.Context(), nil, func(items []drumbeat.Item) error {
		for i := range items {
			got, err := decoder.Again(&items[i], nil)
			if err != nil {
				return err
			}
			got[0].Position, got[0].ArrivalTime = items[i].Position, items[i].ArrivalTime
			fate, why := judge.Judge(&got[0])
			fates[items[i].Position.String()] = fate.String() + why
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"0/0/1/0": "kept", "0/0/2/0": "kept"}, fates); diff != "" {
		t.Errorf("a month later it is not late (-want +got):\n%s", diff)
	}
	redriven, err := l.Redriven(t.Context())
	if err != nil || len(redriven) != 1 || !redriven[drumbeat.Position{}] {
		t.Errorf("redriven: %v, %v, want position 0/0/0/0", redriven, err)
	}
}

func TestRecordsThatWereGoneAreADatedGap(t *testing.T) {
	def, l := laundry(t)
	all := sent()
	open := func(context.Context, map[int32]int64) (topic.Reader, error) {
		return &reader{all: all, next: 5, lost: []topic.Lost{{From: 2, Until: 5}}}, nil
	}
	before := drumbeat.At(time.Now())
	first := ingester(t, def, l, all[:2])
	if err := first.Drain(t.Context(), map[int32]int64{0: 2}); err != nil {
		t.Fatal(err)
	}
	for range 2 { // told again, it is the same gap
		in, err := ingest.New(t.Context(), ingest.Config{Fleet: def, Lake: l, Open: open, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Drain(t.Context(), map[int32]int64{0: int64(len(all))}); err != nil {
			t.Fatal(err)
		}
	}
	lost, err := l.AllLost(t.Context())
	if err != nil || len(lost) != 1 || lost[0].Position.Offset != 2 || lost[0].Until != 5 || lost[0].Records() != 3 || lost[0].Noticed < before {
		t.Errorf("lost %+v, %v", lost, err)
	}
	counts, err := l.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// T8 with the gap: records sent = bronze + dead letters + lost.
	if got := counts.Rows["bronze"] + counts.Rows["dead_letters"] + lost[0].Records(); got != int64(len(all)) {
		t.Errorf("%v and 3 lost of %d records", counts.Rows, len(all))
	}
}
