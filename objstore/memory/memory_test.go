package memory_test

import (
	"testing"
	"time"

	"drumbeat/objstore"
	"drumbeat/objstore/memory"
	"drumbeat/objstore/objstoretest"
)

func TestStore(t *testing.T) {
	objstoretest.Run(t, func(*testing.T) objstore.Store { return memory.New(time.Now) })
}
