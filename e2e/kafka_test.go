//go:build real

package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	db "drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/lake"
	"drumbeat/objstore/s3"
	"drumbeat/objstore/s3test"
	"drumbeat/topic"
	"drumbeat/topic/kafkatest"
)

// onKafka makes a data folder whose site file has these sections.
func onKafka(t *testing.T, sections ...string) string {
	t.Helper()
	t.Setenv("DRUMBEAT_TEST_PASSWORD", kafkatest.Password)
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(strings.Join(sections, "")), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTheLoopRunsOnKafkaAsOnEventHubs plays quickstart over a real Kafka that
// is spoken to as Azure Event Hubs is: TLS, its connection string, no
// compression, no transactions. Each step compares what it holds with what the
// simulator sent.
func TestTheLoopRunsOnKafkaAsOnEventHubs(t *testing.T) {
	kafka := kafkatest.Start(t)
	dir := onKafka(t, fmt.Sprintf("kafka: {profile: event_hubs, brokers: ['%s'], connection_string_env: DRUMBEAT_TEST_PASSWORD, tls: {ca_file: '%s'}}\n",
		kafka.TLS(topic.Plain).Brokers[0], kafka.CAFile()))
	report := decode[quickstart](t, drumbeat(t, "quickstart", "--once", "--json", "--until", "finding", "--machines", "40", "--days", "60", "--dir", dir))
	if !report.OK {
		t.Errorf("quickstart: %+v", report)
	}
	if _, err := os.Stat(filepath.Join(dir, "broker")); err == nil {
		t.Error("the embedded broker was started beside the site's Kafka")
	}
}

// member is a `drumbeat ingest` beside others.
type member struct {
	cmd   *exec.Cmd
	ended chan error
}

func startMember(t *testing.T, dir string) *member {
	t.Helper()
	m := &member{cmd: command(context.WithoutCancel(t.Context()), t, "ingest", "--data", dir), ended: make(chan error, 1)}
	out, err := m.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	go func() {
		var said []string
		for scan := bufio.NewScanner(out); scan.Scan(); {
			if said = append(said, scan.Text()); strings.Contains(scan.Text(), "ingesting topic") {
				close(ready)
			}
		}
		err := m.cmd.Wait()
		if err != nil && !strings.Contains(err.Error(), "killed") {
			err = fmt.Errorf("%w: %s", err, strings.Join(said, "\n"))
		}
		m.ended <- err
	}()
	select {
	case <-ready:
	case err := <-m.ended:
		m.ended <- err
		t.Errorf("a member ended: %v", err)
	case <-time.After(time.Minute):
		t.Error("a member did not begin within a minute")
	}
	return m
}

func (m *member) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := m.cmd.Process.Signal(s); err != nil {
		t.Errorf("signal a member: %v", err)
	}
}

// TestProcessesShareATopicOfKafkaIntoABucket runs a site over Kafka and S3
// with members of its ingest group, which are killed, stopped and started at
// random while records come and the broker is killed once.
func TestProcessesShareATopicOfKafkaIntoABucket(t *testing.T) {
	kafka := kafkatest.Start(t)
	t.Setenv("DRUMBEAT_TEST_KEY", s3test.AccessKey)
	t.Setenv("DRUMBEAT_TEST_SECRET", s3test.SecretKey)
	endpoint := s3test.Start(t)
	dir := onKafka(t,
		fmt.Sprintf("kafka: {brokers: ['%s'], partitions: 6, tls: {ca_file: '%s'}, sasl: {mechanism: scram-sha-512, user: '%s', password_env: DRUMBEAT_TEST_PASSWORD}}\n",
			kafka.TLS(topic.Plain).Brokers[0], kafka.CAFile(), kafkatest.User),
		fmt.Sprintf("objects:\n  s3: {endpoint: '%s', bucket: %s, path_style: true, access_key_env: DRUMBEAT_TEST_KEY, secret_key_env: DRUMBEAT_TEST_SECRET}\n",
			endpoint, s3test.Bucket))
	stop := runWith(t, dir, "--fleet", "laundry")
	stop() // it made the folder, the topics and the tables
	stop = run(t, dir)
	defer stop()

	sent := sendWhile(t, kafka, func(chance *rand.Rand) { disturbMembers(t, kafka, dir, chance) })
	rowsOf(t, dir, "bronze", sent)
	rowsOf(t, dir, "silver_readings", sent-60)
	checkBucket(t, endpoint, sent)
}

// sendWhile writes to the topic until the disturbance is over, and returns how
// many records Kafka acknowledged.
func sendWhile(t *testing.T, kafka *kafkatest.Broker, disturb func(*rand.Rand)) int64 {
	t.Helper()
	w, err := topic.NewWriter(t.Context(), kafka.Plain())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	over := make(chan struct{})
	go func() {
		defer close(over)
		disturb(rand.New(rand.NewPCG(seed, 0)))
	}()
	const machines = 60
	sent := int64(0)
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for round := 0; ; round++ {
		if err := w.Write(t.Context(), roundOf(machines, round, start)); err != nil {
			t.Fatal(err)
		}
		sent += machines
		select {
		case <-over:
			return sent
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// roundOf makes a reading of each machine, a minute after the round before; in
// round 0 it declares them.
func roundOf(machines, round int, start time.Time) []topic.Record {
	at := start.Add(time.Duration(round) * time.Minute)
	records := make([]topic.Record, machines)
	for i := range records {
		id := fmt.Sprintf("W-%03d", i)
		records[i] = topic.Record{
			Topic: "laundry", Key: id, Type: "reading", Time: db.At(at),
			Value: fmt.Appendf(nil, `{"machine_id":%q,"timestamp":%q,"power_kw":3.5}`, id, at.Format(time.RFC3339)),
		}
		if round == 0 {
			records[i].Type = "machine"
			records[i].Value = fmt.Appendf(nil, `{"machine_id":%q,"location":"north","model_year":2019}`, id)
		}
	}
	return records
}

// disturbMembers starts members and kills, stops and ends them, for a while.
func disturbMembers(t *testing.T, kafka *kafkatest.Broker, dir string, chance *rand.Rand) {
	t.Helper()
	members := []*member{startMember(t, dir), startMember(t, dir)}
	kills, pauses := 0, 0
	var brokerOnce sync.Once
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(time.Duration(500+chance.IntN(1500)) * time.Millisecond) {
		at := chance.IntN(len(members))
		switch chance.IntN(3) {
		case 0:
			members[at].signal(t, syscall.SIGKILL)
			if err := <-members[at].ended; err == nil {
				t.Error("a member that was killed ended well")
			}
			members[at] = startMember(t, dir)
			kills++
		case 1:
			members[at].signal(t, syscall.SIGSTOP)
			time.Sleep(time.Duration(chance.IntN(3000)) * time.Millisecond)
			members[at].signal(t, syscall.SIGCONT)
			pauses++
		case 2:
			members[at].signal(t, syscall.SIGTERM)
			if err := <-members[at].ended; err != nil {
				t.Errorf("a member that was asked to end: %v", err)
			}
			members[at] = startMember(t, dir)
		}
		if time.Since(began) > 12*time.Second {
			brokerOnce.Do(func() {
				time.Sleep(3 * time.Second) // whoever was just started has joined: a start needs a broker
				kafka.Kill()
				kafka.Run()
			})
		}
	}
	// One is away for longer than the group waits, and comes back.
	members[0].signal(t, syscall.SIGSTOP)
	time.Sleep(20 * time.Second)
	members[0].signal(t, syscall.SIGCONT)
	for _, m := range members {
		m.signal(t, syscall.SIGTERM)
		if err := <-m.ended; err != nil {
			t.Errorf("a member that was asked to end: %v", err)
		}
	}
	t.Logf("%d members killed, %d stopped for a while, the broker killed once", kills, pauses+1)
}

// checkBucket reads the lake in the bucket: each record once, each machine's
// in order.
func checkBucket(t *testing.T, endpoint string, sent int64) {
	t.Helper()
	store, err := s3.Open(t.Context(), s3.Config{
		Endpoint: endpoint, Bucket: s3test.Bucket, PathStyle: true, AccessKey: s3test.AccessKey, SecretKey: s3test.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	def, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	l, err := lake.Open(t.Context(), store, def, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	seen, rows := map[db.Position]bool{}, int64(0)
	newest := map[db.MachineID]db.Time{}
	_, err = l.ScanBronze(t.Context(), nil, func(items []db.Item) error {
		for i := range items {
			rows++
			seen[items[i].Position] = true
			if at := items[i].EventTime; at < newest[items[i].Machine] {
				t.Errorf("machine %s: %s after %s", items[i].Machine, at, newest[items[i].Machine])
			} else {
				newest[items[i].Machine] = at
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("sent %d, in bronze %d, lost %d, doubled %d", sent, len(seen), sent-int64(len(seen)), rows-int64(len(seen)))
	if rows != sent || int64(len(seen)) != sent {
		t.Errorf("%d rows at %d positions of %d records", rows, len(seen), sent)
	}
}

// sendRounds writes rounds of readings of ten machines, in the first round
// their declarations.
func sendRounds(t *testing.T, cfg topic.Config, from, until int) {
	t.Helper()
	w, err := topic.NewWriter(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	start := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for round := from; round < until; round++ {
		if err := w.Write(t.Context(), roundOf(10, round, start)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestATopicThatChangesBeginsAnEpoch adds partitions to a topic, and makes it
// anew with others: nothing is read twice in the first case, and what is sent
// again in the second is a duplicate (T2, T3).
func TestATopicThatChangesBeginsAnEpoch(t *testing.T) {
	kafka := kafkatest.Start(t)
	client, err := kgo.NewClient(kgo.SeedBrokers(kafka.Plain().Brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	dir := onKafka(t, fmt.Sprintf("kafka: {brokers: ['%s'], partitions: 3}\n", kafka.Plain().Brokers[0]))
	stop := runWith(t, dir, "--fleet", "laundry")
	sendRounds(t, kafka.Plain(), 0, 31)
	rowsOf(t, dir, "silver_readings", 300)
	stop()

	if added, err := admin.CreatePartitions(t.Context(), 4, "laundry"); err != nil || added.Error() != nil {
		t.Fatal(err, added.Error())
	}
	sendRounds(t, kafka.Plain(), 31, 41)
	stop = run(t, dir)
	rowsOf(t, dir, "silver_readings", 400)
	rowsOf(t, dir, "bronze", 410)
	rowsOf(t, dir, "silver_aside", 0)
	stop()

	if _, err := admin.DeleteTopic(t.Context(), "laundry"); err != nil {
		t.Fatal(err)
	}
	stop = run(t, dir)
	sendRounds(t, kafka.Plain(), 0, 51)
	rowsOf(t, dir, "silver_readings", 500)
	rowsOf(t, dir, "bronze", 410+510)
	rowsOf(t, dir, "silver_machines", 10)
	rowsOf(t, dir, "silver_aside", 410)
	stop()
	if text := string(said(t, "doctor", "--data", dir)); !strings.Contains(text, "epoch 2; the lake is in epoch 2") {
		t.Errorf("doctor does not know the third epoch:\n%s", text)
	}
}
