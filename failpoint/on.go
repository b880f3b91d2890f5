//go:build failpoint

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// left is how many more passes the chosen place survives.
var left atomic.Int64 //nolint:gochecknoglobals // a process dies once

// chosen reads the environment once.
var chosen = sync.OnceValue(func() string { //nolint:gochecknoglobals // see left
	name, count, _ := strings.Cut(os.Getenv("DRUMBEAT_FAILPOINT"), ":") //nolint:forbidigo // a test asks any program of ours to die
	n, err := strconv.ParseInt(count, 10, 64)
	if err != nil || n < 1 {
		n = 1
	}
	left.Store(n)
	return name
})

// Here is a place of the given name. Names are literals, ROOM.STEP, each used
// at one place, so that a search of the source lists them all.
func Here(name string) {
	if chosen() == name && left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // until the signal has come
	}
}
