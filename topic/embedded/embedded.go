// Package embedded is a Kafka broker in this process: franz-go's kfake, on
// disk and on the loopback address only. What it acknowledged is synced to
// disk, batch by batch.
//
// # What it keeps where
//
// Record batches stay on disk as they came, compressed; in memory it keeps
// some hundred bytes a batch and five sequence numbers a producer and
// partition. Opening a folder reads its segments once to check them, so it
// takes the memory of their compressed size for a moment.
//
// # After a crash
//
// Every acknowledged record is there, in order. A batch that was written but
// not acknowledged may be there too, and again at later offsets if its writer
// repeats it: whoever reads tells duplicates by content (T3).
//
// A transaction that a crash cut is aborted, but no marker on disk says so: if
// its transactional id committed again afterwards and the process crashed a
// second time, the cut records would count as committed. An id that is new
// with every start (Incarnation) rules this out; fencing loses nothing by it,
// because the broker dies with its only process.
//
// The broker stamps no arrival times itself (LogAppendTime): it serves topics
// with CreateTime only.
package embedded

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"

	"drumbeat"
	"drumbeat/topic"
)

// Broker is a running broker.
type Broker struct {
	cluster     *kfake.Cluster
	addr        string
	incarnation string
	lock        *os.File
	close       sync.Once
}

// Start opens the broker of a folder, which is made if it does not exist, and
// listens on addr: host:port of the loopback interface, port 0 or an empty
// addr for any. One process at a time may hold a folder.
func Start(ctx context.Context, dir, addr string, log *slog.Logger) (*Broker, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("start broker on %s: want host:port: %w", addr, drumbeat.ErrInvalid)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("start broker on %s: it asks nobody for a password, so it listens on 127.0.0.1 only: %w",
			addr, drumbeat.ErrInvalid)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("start broker: %w", err)
	}
	held, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("start broker: another process holds folder %s: %w (%w)",
			dir, drumbeat.ErrConflict, err)
	}
	listen := new(net.ListenConfig)
	cluster, err := kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("drumbeat"),
		kfake.DataDir(dir),
		kfake.SyncWrites(),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			return listen.Listen(ctx, network, addr)
		}),
		kfake.WithLogger(&logger{log: log.With("part", "broker")}),
		kfake.BrokerConfigs(map[string]string{
			// Offsets of a group are kept for ever, as the records are: a
			// reader that was off for a month goes on where it was.
			"offsets.retention.minutes": "2147483647",
			"message.max.bytes":         "2097152",
			"log.retention.ms":          "-1",
			"log.segment.bytes":         "67108864",
		}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start broker in %s: %w", dir, err), held.Close())
	}
	var id [8]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	return &Broker{
		cluster:     cluster,
		addr:        cluster.ListenAddrs()[0],
		incarnation: hex.EncodeToString(id[:]),
		lock:        held,
	}, nil
}

// Addr returns the host:port that the broker listens on.
func (b *Broker) Addr() string { return b.addr }

// Config returns what a client needs to reach the broker.
func (b *Broker) Config() topic.Config { return topic.Config{Brokers: []string{b.addr}} }

// Incarnation returns a text that differs from start to start, for
// transactional ids.
func (b *Broker) Incarnation() string { return b.incarnation }

// Close saves and stops the broker. Calling it again changes nothing.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		b.cluster.Close()
		err = b.lock.Close()
	})
	return err
}

// logger hands kfake's lines on; its debug lines are too many to be of use.
type logger struct{ log *slog.Logger }

func (l *logger) Logf(level kfake.LogLevel, format string, args ...any) {
	at := slog.LevelInfo
	switch level {
	case kfake.LogLevelError:
		at = slog.LevelError
	case kfake.LogLevelWarn:
		at = slog.LevelInfo // it warns of every transaction slower than 5 ms, which an fsync is
	case kfake.LogLevelNone, kfake.LogLevelInfo, kfake.LogLevelDebug:
		return
	}
	l.log.Log(context.Background(), at, "kfake", "line", fmt.Sprintf(format, args...))
}
