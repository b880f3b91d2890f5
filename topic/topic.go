// Package topic speaks the Kafka protocol: it reads records from a position
// and writes them durably. It is the home of franz-go. Package
// topic/embedded is a broker in this process; any Kafka broker serves as well.
//
// [Ensure] makes a topic and tells its epoch, [NewWriter] and [NewTxnWriter]
// write, [NewReader] reads from given offsets without a consumer group, [Ends]
// and [Committed] say how far a topic and a group have come.
package topic

import (
	"context"
	"crypto/tls"

	"drumbeat"
)

// MaxRecordBytes bounds a record's value. A day of readings of one machine is
// some 20 KB; whoever sends more in one record has made a mistake.
const MaxRecordBytes = 1 << 20

// Record is one record of a topic.
type Record struct {
	Topic     string
	Key       string
	Value     []byte
	Type      string            // the "type" header (T2), "" if there is none
	Headers   map[string]string // the other headers, nil if there are none
	Time      drumbeat.Time     // the record's timestamp: its arrival_time (T1)
	Partition int32
	Offset    int64
	Epoch     int32 // rises when the topic is made anew (T2)
}

// Config says how to reach a broker. The zero value of all but Brokers suits
// the embedded one.
type Config struct {
	Brokers  []string // host:port
	ClientID string
	TLS      *tls.Config // nil: without TLS
	SASL     *SASL       // nil: without a user
	// Compression is that of what is written; Zstd if empty.
	Compression Compression
	// EventHubs says that the broker is Azure Event Hubs or another service
	// that has no transactions and whose topics are set elsewhere: a TxnWriter
	// then writes first and commits offsets after, and tells what it repeats by
	// its HeaderID (docs/adr/0015).
	EventHubs bool
}

// SASL is who a client is to a broker.
type SASL struct {
	Mechanism Mechanism
	User      string
	Password  string
}

// Mechanism is how a password is shown to a broker.
type Mechanism string

// The mechanisms. With Plain the password crosses the wire: only over TLS.
const (
	Plain       Mechanism = "plain"
	ScramSHA256 Mechanism = "scram-sha-256"
	ScramSHA512 Mechanism = "scram-sha-512"
)

// Compression is a codec of record batches.
type Compression string

// The codecs that Kafka knows.
const (
	Zstd          Compression = "zstd"
	LZ4           Compression = "lz4"
	Snappy        Compression = "snappy"
	Gzip          Compression = "gzip"
	NoCompression Compression = "none"
)

// Topic is a topic as the broker has it.
type Topic struct {
	Name       string
	ID         string // the broker's, in hex; another one after the topic was made anew
	Partitions int32
	Epoch      int32
	// Begin is where its partitions begin in this epoch, of those that do not
	// at 0.
	Begin map[int32]int64
}

// From says which offsets of a topic to read from, by partition; a partition
// that is absent is not read.
type From struct {
	Topic   Topic
	Offsets map[int32]int64
}

// Start returns the offset at which each partition of t begins.
func (t Topic) Start() map[int32]int64 {
	offsets := make(map[int32]int64, t.Partitions)
	for p := range t.Partitions {
		offsets[p] = t.Begin[p]
	}
	return offsets
}

// Lost is records that a topic no longer held when they were to be read: those
// at offsets [From, Until) of a partition.
type Lost struct {
	Partition   int32
	From, Until int64
}

// Reader reads partitions of one topic from given offsets, in order within a
// partition. It is not safe for concurrent use.
type Reader interface {
	// Poll returns what has come, at most some thousands of records, waiting
	// for the first until ctx ends, which is no error. The records are valid
	// until the next call.
	Poll(ctx context.Context) ([]Record, error)
	// Lost returns which records were gone when they were due, since it was
	// last asked: retention cut them. Poll goes on behind them.
	Lost() []Lost
	// Drained says whether Poll has returned everything that a partition held
	// when the broker was last asked (T6).
	Drained(partition int32) bool
	Close()
}

// Writer writes records durably: a record is on disk in every in-sync replica
// before Write returns nil. Safe for concurrent use.
type Writer interface {
	// Write returns when every record is acknowledged, or with the first error.
	// It sets Partition and Offset of each.
	Write(ctx context.Context, records []Record) error
	Close()
}
