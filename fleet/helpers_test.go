package fleet_test

import (
	"io/fs"
	"os"
	"testing"
)

// laundry returns the folder of ready fleets.
func laundry(t testing.TB) fs.FS {
	t.Helper()
	return os.DirFS("../fleets")
}
