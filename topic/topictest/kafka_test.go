//go:build kafka

package topictest_test

import (
	"os"
	"testing"

	"drumbeat/topic"
	"drumbeat/topic/topictest"
)

// TestKafkaKeepsTheContract runs with -tags kafka against the broker that
// DRUMBEAT_KAFKA names (host:port); asked for and absent, it fails.
func TestKafkaKeepsTheContract(t *testing.T) {
	addr := os.Getenv("DRUMBEAT_KAFKA")
	if addr == "" {
		t.Fatal("set DRUMBEAT_KAFKA to the host:port of a Kafka broker")
	}
	b, err := topictest.Kafka(topic.Config{Brokers: []string{addr}})
	if err != nil {
		t.Fatal(err)
	}
	topictest.Run(t, b)
}
