//go:build real

package ingest_test

import (
	"testing"

	"drumbeat/topic/kafkatest"
)

// TestKafkaSharesATopic plays what the fake broker was asked above to the real
// Apache Kafka, which is killed and started again meanwhile.
func TestKafkaSharesATopic(t *testing.T) {
	kafka := kafkatest.Start(t)
	t.Run("a rebalance storm, and the broker killed in it", func(t *testing.T) {
		newShared(t, kafka.Plain()).storm(80, func(round int) {
			if round == 30 || round == 60 {
				kafka.Kill()
				kafka.Run()
			}
		})
	})
	t.Run("a paused process", func(t *testing.T) { testPaused(t, newShared(t, kafka.Plain())) })
}
