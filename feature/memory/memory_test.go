package memory_test

import (
	"testing"

	"drumbeat/feature"
	"drumbeat/feature/memory"
	"drumbeat/feature/onlinetest"
)

func TestTheStoreInMemoryKeepsTheContract(t *testing.T) {
	onlinetest.Run(t, func(*testing.T) feature.Online { return memory.New() })
}
