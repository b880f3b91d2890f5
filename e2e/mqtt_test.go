//go:build real

package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mosquitto runs a real MQTT broker and returns its port.
func mosquitto(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	_ = listener.Close() // only its number was wanted
	file := filepath.Join(t.TempDir(), "mosquitto.conf")
	text := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_inflight_messages 200\nmax_queued_messages 100000\n", port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := exec.LookPath("mosquitto")
	if err != nil { // Debian keeps it beside the other servers
		path = "/usr/sbin/mosquitto"
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), path, "-c", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start mosquitto: %v: run this by `make test`, which installs it", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
	for range 200 {
		if connection, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = connection.Close()
			return port
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("mosquitto does not answer")
	return ""
}

// send publishes a message a line, as a device of that version of MQTT does.
func send(t *testing.T, port, version, topic string, lines []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "mosquitto_pub", "-p", port, "-V", version, "-q", "1", "-t", topic, "-l")
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_pub: %v\n%s", err, text)
	}
}

// liveLaundry is the laundry fleet with a wall clock.
func liveLaundry(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "laundry")
	if err := os.CopyFS(dir, os.DirFS("../fleets/laundry")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "fleet.yaml"))
	if err != nil || !strings.Contains(string(text), "clock: data") {
		t.Fatalf("%v: %.200s", err, text)
	}
	if err := os.WriteFile(filepath.Join(dir, "fleet.yaml"), []byte(strings.Replace(string(text), "clock: data", "clock: wall", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestMessagesOfMQTTComeToSilverOnceThoughTheSiteIsKilled(t *testing.T) {
	port := mosquitto(t)
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	site := "mqtt:\n  brokers: [mqtt://127.0.0.1:" + port + "]\n  subscriptions:\n" +
		"    - {topic: laundry/+/readings, fleet: laundry}\n    - {topic: laundry/machines, type: machine}\n    - {topic: laundry/log/failure, type: failure}\n"
	if err := os.WriteFile(filepath.Join(dir, "site.yaml"), []byte(site), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := runWith(t, dir, "--fleet", liveLaundry(t))
	var machines []string
	for m := range 10 {
		machines = append(machines, fmt.Sprintf(`{"machine_id":"W-%03d","location":"north","model_year":2019}`, m))
	}
	send(t, port, "mqttv5", "laundry/machines", machines)
	rowsOf(t, dir, "silver_machines", 10)
	stop()

	start := time.Now().Add(-4 * time.Hour).Truncate(time.Minute).UTC()
	readings := func(machine, from, until int) []string {
		var lines []string
		for i := from; i < until; i++ {
			lines = append(lines, fmt.Sprintf(`{"machine_id":"W-%03d","timestamp":%q,"power_kw":3.5}`, machine, start.Add(time.Duration(i)*time.Minute).Format(time.RFC3339)))
		}
		return lines
	}
	// Sent while the site is away: the broker keeps them.
	for m := range 10 {
		send(t, port, "mqttv311", fmt.Sprintf("laundry/W-%03d/readings", m), readings(m, 0, 100))
	}
	// Killed again and again while they come.
	for range 4 {
		cmd := command(t.Context(), t, "run", "--data", dir, "--listen", "127.0.0.1:0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(900 * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	stop = run(t, dir)
	defer stop()
	for m := range 10 {
		send(t, port, "mqttv5", fmt.Sprintf("laundry/W-%03d/readings", m), readings(m, 100, 150))
	}
	// Many machines in one message, an entry, and what nobody can read.
	send(t, port, "mqttv5", "laundry/all/readings", []string{"[" + strings.Join([]string{readings(1, 150, 151)[0], readings(2, 150, 151)[0]}, ",") + "]", `{"machine_id":`, `{"machine_id":"W-999","timestamp":"2026-03-02T00:00:00Z","power_kw":1}`})
	send(t, port, "mqttv5", "laundry/log/failure", []string{fmt.Sprintf(`{"machine_id":"W-001","failure_timestamp":%q,"failure_type":"bearing"}`, start.Format(time.RFC3339))})
	rowsOf(t, dir, "silver_readings", 10*150+2)
	rowsOf(t, dir, "silver_entries", 1)
	rowsOf(t, dir, "dead_letters", 2)
}
