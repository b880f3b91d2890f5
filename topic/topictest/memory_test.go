package topictest_test

import (
	"testing"

	"drumbeat/topic/topictest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	topictest.Run(t, topictest.NewMemory().Broker())
}
