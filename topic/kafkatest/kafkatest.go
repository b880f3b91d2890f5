// Package kafkatest runs a real Apache Kafka broker, on a folder of its own,
// for a test: one node, with a listener each for clients without a password,
// with one, and with one over TLS.
package kafkatest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"drumbeat/topic"
)

// The user whom the broker knows, by each mechanism. They are of the shape
// that Azure Event Hubs asks for.
const (
	User     = "$ConnectionString"
	Password = "Endpoint=sb://local.servicebus.windows.net/;SharedAccessKeyName=k;SharedAccessKey=c2VjcmV0" //nolint:gosec // of a broker that lives for a test
)

// Broker is a Kafka broker in a process of its own.
type Broker struct {
	t       *testing.T
	jars    string
	dir     string
	ports   ports
	roots   *x509.CertPool
	running *exec.Cmd
	ended   chan error
}

type ports struct{ plain, sasl, tls, controller string }

// Start formats a folder and runs a broker on it until the test ends.
// Variable DRUMBEAT_KAFKA names the folder of Kafka's jars.
func Start(t *testing.T) *Broker {
	t.Helper()
	jars := os.Getenv("DRUMBEAT_KAFKA") //nolint:forbidigo // the make target says where they are
	if jars == "" {
		t.Fatal("DRUMBEAT_KAFKA names no folder of Kafka's jars: run this by `make test`, which installs them")
	}
	b := &Broker{t: t, jars: jars, dir: t.TempDir()}
	b.ports = ports{freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)}
	pem, roots, err := selfSigned()
	if err != nil {
		t.Fatal(err)
	}
	b.roots = roots
	b.write("key.pem", pem)
	b.write("ca.pem", pem[bytes.Index(pem, []byte("-----BEGIN CERTIFICATE")):])
	b.write("log4j2.yaml", []byte(logging))
	b.write("server.properties", []byte(b.properties()))
	b.format()
	b.Run()
	t.Cleanup(b.Kill)
	return b
}

func (b *Broker) write(name string, content []byte) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), content, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// format makes the folder of records, with the users whom SCRAM asks for.
func (b *Broker) format() {
	b.t.Helper()
	args := []string{"-Xmx128m", "-XX:TieredStopAtLevel=1"}
	args = append(args, "-cp", b.jars+"/*", "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", "server.properties")
	for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
		args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%q,password=%q]", mechanism, User, Password))
	}
	cmd := exec.CommandContext(b.t.Context(), "java", args...)
	cmd.Dir = b.dir
	if said, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("format the folder of a Kafka broker: %v\n%s", err, said)
	}
}

// Run starts the broker, after Kill once more, and waits until it serves.
func (b *Broker) Run() {
	b.t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(b.t.Context()), "java", "-Xms256m", "-Xmx512m", "-XX:+UseG1GC", //nolint:gosec // the test's own
		"-Dlog4j2.configurationFile="+filepath.Join(b.dir, "log4j2.yaml"), "-cp", b.jars+"/*", "kafka.Kafka", "server.properties")
	cmd.Dir = b.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said := &lines{want: "Kafka Server started", seen: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		b.t.Fatalf("start Kafka: %v", err)
	}
	b.running, b.ended = cmd, make(chan error, 1)
	go func() { b.ended <- cmd.Wait() }()
	select {
	case <-said.seen:
	case err := <-b.ended:
		b.running = nil
		b.t.Fatalf("Kafka ended: %v\n%s", err, said.text())
	case <-time.After(2 * time.Minute):
		b.t.Fatalf("Kafka did not start within two minutes\n%s", said.text())
	}
}

// Kill ends the broker as kill -9 does. Its folder stays: Run goes on with it.
func (b *Broker) Kill() {
	if b.running == nil {
		return
	}
	_ = b.running.Process.Kill() // it may have ended by itself
	b.await()
}

// Stop ends the broker as an operator does.
func (b *Broker) Stop() {
	b.t.Helper()
	if err := b.running.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	b.await()
}

// await waits for the process to end, in whatever way.
func (b *Broker) await() {
	_ = <-b.ended //nolint:staticcheck // errcheck wants to see it
	b.running = nil
}

// CAFile names the certificate of who signed the broker's.
func (b *Broker) CAFile() string { return filepath.Join(b.dir, "ca.pem") }

// Plain reaches the broker without a password.
func (b *Broker) Plain() topic.Config { return topic.Config{Brokers: []string{b.ports.plain}} }

// SASL reaches the broker with a password, in the clear.
func (b *Broker) SASL(mechanism topic.Mechanism) topic.Config {
	return topic.Config{
		Brokers: []string{b.ports.sasl},
		SASL:    &topic.SASL{Mechanism: mechanism, User: User, Password: Password},
	}
}

// TLS reaches the broker with a password, over TLS.
func (b *Broker) TLS(mechanism topic.Mechanism) topic.Config {
	cfg := b.SASL(mechanism)
	cfg.Brokers = []string{b.ports.tls}
	cfg.TLS = &tls.Config{RootCAs: b.roots, MinVersion: tls.VersionTLS12}
	return cfg
}

func (b *Broker) properties() string {
	p := b.ports
	listeners := fmt.Sprintf("PLAINTEXT://%s,SASL_PLAINTEXT://%s,SASL_SSL://%s", p.plain, p.sasl, p.tls)
	var text strings.Builder
	text.WriteString(strings.NewReplacer(
		"@listeners@", listeners, "@controller@", p.controller, "@dir@", b.dir,
	).Replace(settings))
	for _, listener := range []string{"sasl_plaintext", "sasl_ssl"} {
		fmt.Fprintf(&text, "listener.name.%s.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;\n",
			listener, User, Password)
		for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
			fmt.Fprintf(&text, "listener.name.%s.%s.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n",
				listener, mechanism)
		}
	}
	return text.String()
}

const settings = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@@controller@
listeners=@listeners@,CONTROLLER://@controller@
advertised.listeners=@listeners@
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs=@dir@/data
num.network.threads=2
num.io.threads=2
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.num.partitions=2
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
log.segment.bytes=67108864
log.retention.hours=-1
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
ssl.keystore.location=@dir@/key.pem
ssl.keystore.type=PEM
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
`

const logging = `Configuration:
  status: ERROR
  Appenders:
    Console:
      name: STDOUT
      PatternLayout: {pattern: "%d %p %c{1} %m%n"}
  Loggers:
    Root:
      level: WARN
      AppenderRef: {ref: STDOUT}
    Logger:
      - name: kafka.server.KafkaRaftServer
        level: INFO
      - name: org.apache.kafka.server
        level: INFO
`

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // only its number was wanted
	return listener.Addr().String()
}
