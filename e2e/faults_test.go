//go:build real

package e2e_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// faults are what goes wrong in a file system: once the count-th write or
// fsync from now is reached, it and those that follow for a while fail.
type faults struct {
	mu       sync.Mutex
	write    int // until the next failing write; below 0 there is none
	sync     int
	failed   int // writes and fsyncs that failed
	unsynced map[string]int64
}

// arm sets the next faults.
func (f *faults) arm(write, sync int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write, f.sync = write, sync
}

// hit counts down, and says whether this one fails.
func (f *faults) hit(left *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *left < 0 {
		return false
	}
	if *left > 0 {
		*left--
		return false
	}
	f.failed++
	return true
}

// faultyNode and faultyFile are a folder's files with faults in between.
type faultyNode struct {
	fs.LoopbackNode
	faults *faults
}

type faultyFile struct {
	*fs.LoopbackFile
	path   string
	faults *faults
}

// Write implements [fs.FileWriter]: a failing one writes half.
func (f *faultyFile) Write(ctx context.Context, data []byte, off int64) (uint32, syscall.Errno) {
	if f.faults.hit(&f.faults.write) {
		_, _ = f.LoopbackFile.Write(ctx, data[:len(data)/2], off)
		return 0, syscall.EIO
	}
	return f.LoopbackFile.Write(ctx, data, off)
}

// Fsync implements [fs.FileFsyncer]. What a failing one did not bring to the
// disk is gone, as it is when a kernel drops pages that it could not write.
func (f *faultyFile) Fsync(ctx context.Context, flags uint32) syscall.Errno {
	if f.faults.hit(&f.faults.sync) {
		f.faults.mu.Lock()
		defer f.faults.mu.Unlock()
		if err := os.Truncate(f.path, f.faults.unsynced[f.path]); err != nil {
			return syscall.EBADF
		}
		return syscall.EIO
	}
	errno := f.LoopbackFile.Fsync(ctx, flags)
	if info, err := os.Stat(f.path); err == nil && errno == 0 {
		f.faults.mu.Lock()
		defer f.faults.mu.Unlock()
		f.faults.unsynced[f.path] = info.Size()
	}
	return errno
}

// WrapChild implements [fs.NodeWrapChilder]: what is in a faulty folder is
// faulty.
func (n *faultyNode) WrapChild(_ context.Context, _ fs.InodeEmbedder) fs.InodeEmbedder {
	return &faultyNode{LoopbackNode: fs.LoopbackNode{RootData: n.RootData}, faults: n.faults}
}

func (n *faultyNode) wrap(handle fs.FileHandle, path string) fs.FileHandle {
	if file, ok := handle.(*fs.LoopbackFile); ok {
		return &faultyFile{LoopbackFile: file, path: path, faults: n.faults}
	}
	return handle
}

func (n *faultyNode) place(name string) string {
	return filepath.Join(n.RootData.Path, n.Path(n.Root()), name)
}

// Create implements [fs.NodeCreater].
func (n *faultyNode) Create(ctx context.Context, name string, flags, mode uint32, out *fuse.EntryOut) (*fs.Inode, fs.FileHandle, uint32, syscall.Errno) {
	inode, handle, fuseFlags, errno := n.LoopbackNode.Create(ctx, name, flags, mode, out)
	return inode, n.wrap(handle, n.place(name)), fuseFlags | fuse.FOPEN_DIRECT_IO, errno
}

// Open implements [fs.NodeOpener].
func (n *faultyNode) Open(ctx context.Context, flags uint32) (fs.FileHandle, uint32, syscall.Errno) {
	handle, fuseFlags, errno := n.LoopbackNode.Open(ctx, flags)
	path := n.place("")
	if info, err := os.Stat(path); err == nil {
		n.faults.mu.Lock()
		if _, known := n.faults.unsynced[path]; !known {
			n.faults.unsynced[path] = info.Size()
		}
		n.faults.mu.Unlock()
	}
	return n.wrap(handle, path), fuseFlags | fuse.FOPEN_DIRECT_IO, errno
}

// faultyDisk mounts a file system that fails on demand, which needs root, on a
// folder.
func faultyDisk(t *testing.T, on string) *faults {
	t.Helper()
	backing := t.TempDir()
	if err := os.MkdirAll(on, 0o750); err != nil {
		t.Fatal(err)
	}
	f := &faults{write: -1, sync: -1, unsynced: map[string]int64{}}
	var stat syscall.Stat_t
	if err := syscall.Stat(backing, &stat); err != nil {
		t.Fatal(err)
	}
	root := &fs.LoopbackRoot{Path: backing, Dev: stat.Dev}
	node := &faultyNode{LoopbackNode: fs.LoopbackNode{RootData: root}, faults: f}
	root.RootNode = node
	server, err := fs.Mount(on, node, &fs.Options{MountOptions: fuse.MountOptions{DirectMount: true, FsName: "faulty", Name: "faulty"}})
	if err != nil {
		t.Fatalf("mount a file system with faults, which needs root and /dev/fuse: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Unmount(); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return f
}

// TestWritesAndFsyncsThatFailLoseAndDoubleNothing plays the way from the topic
// to gold on disks whose writes and fsyncs fail at random.
func TestWritesAndFsyncsThatFailLoseAndDoubleNothing(t *testing.T) {
	_, whole := playOnce(t, filepath.Join(t.TempDir(), "data"), "", 0)
	want := sums(t, &whole)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	chance := rand.New(rand.NewPCG(seed, 3))
	ended, failed := 0, 0
	for range 4 {
		dir := filepath.Join(t.TempDir(), "data")
		lake, broker := faultyDisk(t, filepath.Join(dir, "objects")), faultyDisk(t, filepath.Join(dir, "broker"))
		for playFaulty(t, dir, chance, lake, broker) {
			ended++
		}
		_, report := playOnce(t, dir, "", 0)
		if got := sums(t, &report); got != want {
			t.Errorf("after %d failures:\n got %s\nwant %s", ended, got, want)
		}
		drumbeat(t, "lake", "verify", "--data", dir)
		failed += lake.failed + broker.failed
	}
	t.Logf("%d runs ended by %d failing writes and fsyncs: lost 0, doubled 0 (%s)", ended, failed, want)
	if ended == 0 {
		t.Error("nothing failed")
	}
}

// playFaulty plays once, with one of the disks failing at some point, and says
// whether that ended it.
func playFaulty(t *testing.T, dir string, chance *rand.Rand, lake, broker *faults) bool {
	t.Helper()
	failing, soon := lake, 30
	if chance.IntN(3) == 0 {
		failing, soon = broker, 12
	}
	if chance.IntN(2) == 0 {
		failing.arm(chance.IntN(soon), -1)
	} else {
		failing.arm(-1, chance.IntN(soon))
	}
	broken, _ := playBroken(t, dir)
	lake.arm(-1, -1)
	broker.arm(-1, -1)
	return broken
}
