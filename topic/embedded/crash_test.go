package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"drumbeat"
	"drumbeat/topic"
	"drumbeat/topic/embedded"
)

// childDir names the folder that a child process, which is this test binary
// again, shall fill until it is killed.
const childDir, childWay = "DRUMBEAT_TEST_BROKER", "DRUMBEAT_TEST_WAY"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		os.Exit(m.Run())
	}
	way := produce
	switch os.Getenv(childWay) {
	case "transactions":
		way = transact
	case "once":
		way = onceEach
	}
	fmt.Fprintln(os.Stderr, way(context.Background(), dir)) // only an error ends it
	os.Exit(1)
}

// child opens the folder's broker and topic.
func child(ctx context.Context, dir string) (*embedded.Broker, topic.Topic, error) {
	b, err := embedded.Start(ctx, dir, "", quiet())
	if err != nil {
		return nil, topic.Topic{}, err
	}
	epochs := topic.NewEpochs(nil)
	made, err := topic.Ensure(ctx, b.Config(), topic.Spec{Name: "laundry", Partitions: 3, CreateTime: true}, epochs)
	return b, made, err
}

// produce writes batch after batch and says where each record stands.
func produce(ctx context.Context, dir string) error {
	b, made, err := child(ctx, dir)
	if err != nil {
		return err
	}
	w, err := topic.NewWriter(ctx, b.Config())
	if err != nil {
		return err
	}
	for n := 0; ; {
		records := make([]topic.Record, 20)
		for i := range records {
			records[i] = topic.Record{Topic: made.Name, Key: strconv.Itoa(n % 17), Value: fmt.Append(nil, n), Time: drumbeat.Time(n) * 1000}
			n++
		}
		if err := w.Write(ctx, records); err != nil {
			return err
		}
		var said strings.Builder
		for _, r := range records {
			fmt.Fprintf(&said, "%d %d %s\n", r.Partition, r.Offset, r.Value)
		}
		if _, err := os.Stdout.WriteString(said.String()); err != nil {
			return err
		}
	}
}

// transact writes ten records of one partition and its offset again and
// again, going on from the committed offset.
func transact(ctx context.Context, dir string) error {
	b, made, err := child(ctx, dir)
	if err != nil {
		return err
	}
	w, err := topic.NewTxnWriter(ctx, b.Config(), "txn-"+b.Incarnation())
	if err != nil {
		return err
	}
	committed, err := topic.Committed(ctx, b.Config(), "g", made.Name)
	if err != nil {
		return err
	}
	for n := committed[0]; ; n++ {
		records := make([]topic.Record, 10)
		for i := range records {
			records[i] = topic.Record{Topic: made.Name, Key: "k", Value: fmt.Append(nil, n)}
		}
		commit := topic.Commit{Group: "g", Topic: made, Offsets: map[int32]int64{0: n + 1}}
		if err := w.WriteTxn(ctx, records, commit); err != nil {
			return err
		}
		if _, err := fmt.Println(n); err != nil {
			return err
		}
	}
}

// onceEach writes ten records and an offset again and again as to a broker
// without transactions, going on from the committed offset.
func onceEach(ctx context.Context, dir string) error {
	b, _, err := child(ctx, dir)
	if err != nil {
		return err
	}
	return writeOnce(ctx, b, math.MaxInt64)
}

// writeOnce goes on up to an offset.
func writeOnce(ctx context.Context, b *embedded.Broker, until int64) error {
	cfg := b.Config()
	cfg.EventHubs = true
	spec := topic.Spec{Name: "source", Partitions: 1, CreateTime: true}
	source, err := topic.Ensure(ctx, cfg, spec, topic.NewEpochs(nil))
	if err != nil {
		return err
	}
	w, err := topic.NewTxnWriter(ctx, cfg, "once")
	if err != nil {
		return err
	}
	defer w.Close()
	committed, err := topic.Committed(ctx, cfg, "g", source.Name)
	if err != nil {
		return err
	}
	for n := committed[0]; n < until; n++ {
		records := make([]topic.Record, 10)
		for i := range records {
			id := fmt.Sprintf("%d/%d", n, i)
			records[i] = topic.Record{Topic: "laundry", Key: id, Value: []byte(id), Headers: map[string]string{topic.HeaderID: id}}
		}
		if err := w.WriteTxn(ctx, records, topic.Commit{Group: "g", Topic: source, Offsets: map[int32]int64{0: n + 1}}); err != nil {
			return err
		}
	}
	return nil
}

// killed runs a child until it has said so many lines, kills it as kill -9
// does, and returns all that it said.
func killed(t *testing.T, dir, way string, lines int) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childWay+"="+way)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var said []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		if said = append(said, scan.Text()); len(said) == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || len(said) < lines {
		t.Fatalf("the child ended by itself after %d lines: %v", len(said), err)
	}
	return said
}

func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	said := killed(t, dir, "produce", 2000)
	b := open(t, dir)
	made := topic.Topic{Name: "laundry", Partitions: 3}
	ends, err := topic.Ends(t.Context(), b.Config(), made.Name)
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, end := range ends {
		total += int(end)
	}
	held := map[string]string{}
	last := map[int32]int64{0: -1, 1: -1, 2: -1}
	for _, r := range readAll(t, b.Config(), made, total) {
		if r.Offset != last[r.Partition]+1 {
			t.Fatalf("offset %d of partition %d follows %d", r.Offset, r.Partition, last[r.Partition])
		}
		last[r.Partition] = r.Offset
		held[fmt.Sprintf("%d %d", r.Partition, r.Offset)] = string(r.Value)
	}
	for _, line := range said {
		place, value, _ := cutLast(line)
		if held[place] != value {
			t.Fatalf("at %s stands %q, acknowledged was %q", place, held[place], value)
		}
	}
}

func cutLast(line string) (before, after string, found bool) {
	i := strings.LastIndexByte(line, ' ')
	if i < 0 {
		return line, "", false
	}
	return line[:i], line[i+1:], true
}

func TestTransactionsSurviveTwoKillsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for range 2 {
		for _, line := range killed(t, dir, "transactions", 30) {
			acknowledged[line] = true
		}
	}
	wholeTransactions(t, dir, acknowledged)
}

// wholeTransactions sees that every transaction is there with all of its
// records, none of those acknowledged is missing, and the offsets agree.
func wholeTransactions(t *testing.T, dir string, acknowledged map[string]bool) {
	t.Helper()
	b := open(t, dir)
	made := topic.Topic{Name: "laundry", Partitions: 3}
	committed, err := topic.Committed(t.Context(), b.Config(), "g", made.Name)
	if err != nil {
		t.Fatal(err)
	}
	// A last record tells when everything before it was read.
	w, err := topic.NewWriter(t.Context(), b.Config())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Write(t.Context(), []topic.Record{{Topic: made.Name, Key: "k", Value: []byte("end")}}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for seen["end"] == 0 {
		for _, r := range readAll(t, b.Config(), made, int(committed[0])*10+1) {
			seen[string(r.Value)]++
		}
	}
	delete(seen, "end")
	for n, count := range seen {
		// Markers are written before offsets: a kill between the two lets one
		// transaction be done again, and readers tell it by its content.
		if count%10 != 0 || count > 20 {
			t.Errorf("transaction %s shows %d of its 10 records", n, count)
		}
		delete(acknowledged, n)
	}
	if len(acknowledged) > 0 {
		t.Errorf("acknowledged transactions are gone: %v", acknowledged)
	}
	if int(committed[0]) > len(seen) {
		t.Errorf("offset %d is committed, but %d transactions are readable", committed[0], len(seen))
	}
}
