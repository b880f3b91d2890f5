package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"drumbeat"
)

// folderChecks look at the folder from outside: they need nothing of it open.
func folderChecks() []check {
	return []check{
		{name: "folder", what: "the data folder exists, opens and has a known format", site: checkFolder},
		{name: "daemon", what: "who holds the folder, and whether it answers", site: checkDaemon},
		{name: "writable", what: "files can be written in the folder", site: checkWritable},
		{name: "owner", what: "every file belongs to the user that runs this", site: checkOwner},
		{name: "secrets", what: "control.json is 0600, and no database is readable by everybody", site: checkSecrets},
		{name: "disk-space", what: "free space now, and at the last day's rate", site: checkSpace},
		{name: "disk-files", what: "the file system can make more files", site: checkFiles},
		{name: "clock", what: "the wall clock against the newest file", site: checkClock},
	}
}

// measured looks at the folder's files once.
func (e *exam) measured() (*folderUse, error) {
	if e.folder != nil {
		return e.folder, nil
	}
	var fleets []drumbeat.FleetName
	for _, p := range e.patients {
		fleets = append(fleets, p.name)
	}
	if _, err := os.Stat(e.dir); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder: %w", drumbeat.ErrNotFound)
	} else if err != nil {
		return nil, fmt.Errorf("look at data folder: %w", err)
	}
	use, err := useOf(e.dir, fleets, e.uid)
	if err == nil {
		e.folder = use
	}
	return use, err
}

func checkFolder(_ context.Context, e *exam) verdict {
	err := e.faults[partFolder]
	switch {
	case err == nil:
		return good("%s, format %d, fleets: %d", e.dir, folderFormat, len(e.patients))
	case e.busy:
		return skipped("another process holds %s", e.dir)
	case errors.Is(err, fs.ErrNotExist):
		return found("there is no folder %s", e.dir).bad("name the right one with --data, or make one: drumbeat quickstart --dir %s", e.dir)
	case errors.Is(err, drumbeat.ErrNotFound):
		return found("%s", err).bad("name the right folder with --data, or make one: drumbeat quickstart --dir %s", e.dir)
	case errors.Is(err, fs.ErrPermission):
		return found("%s", err).bad("chown -R %s %s", userName(), e.dir)
	case errors.Is(err, drumbeat.ErrNewer):
		return found("%s", err).bad("use the Drumbeat that wrote %s, or a later one", e.dir)
	}
	return found("%s", err).bad("restore %s from a backup", folderPath(e.dir, headFile))
}

func userName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

func checkDaemon(_ context.Context, e *exam) verdict {
	path := folderPath(e.dir, controlFile)
	_, err := os.Stat(path)
	there := err == nil
	switch {
	case e.running():
		return good("this process (%d) holds the folder and answers at %s", os.Getpid(), e.host.localAddress())
	case e.busy:
		return found("process %s holds the folder: %s", e.holder(), e.faults[partFolder]).
			bad("wait if it is just starting, else end that process and start again: drumbeat run --data %s", e.dir)
	case e.faults[partFolder] != nil:
		return skipped("the folder did not open")
	case there:
		return found("no process holds the folder, but %s is left of one that died", controlFile).but("rm %s", path)
	}
	return good("no daemon runs; the folder is free")
}

// holder names the process that holds the folder's lock, by the kernel's list
// of locks.
func (e *exam) holder() string {
	info, err := os.Stat(folderPath(e.dir, lockFile))
	if err != nil {
		return "unknown"
	}
	stat, known := info.Sys().(*syscall.Stat_t)
	text, err := e.read("/proc/locks")
	if err != nil || !known {
		return "unknown"
	}
	inode := ":" + strconv.FormatUint(stat.Ino, 10)
	for line := range strings.Lines(string(text)) {
		// 1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF
		fields := strings.Fields(line)
		if len(fields) > 5 && fields[1] == "FLOCK" && strings.HasSuffix(fields[5], inode) {
			return fields[4]
		}
	}
	return "unknown"
}

func checkWritable(_ context.Context, e *exam) verdict {
	file, err := os.CreateTemp(e.dir, ".doctor-*")
	if err == nil {
		_, err = file.WriteString("written by drumbeat doctor\n")
		err = errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
	}
	switch {
	case err == nil:
		return good("a file was written, synced and removed")
	case errors.Is(err, fs.ErrNotExist):
		return skipped("there is no folder")
	case errors.Is(err, syscall.EROFS):
		return found("%s", err).bad("mount the file system of %s for writing: mount -o remount,rw", e.dir)
	case errors.Is(err, syscall.ENOSPC):
		return found("%s", err).bad("make room on the file system of %s", e.dir)
	}
	return found("%s", err).bad("chown -R %s %s && chmod -R u+rwX %s", userName(), e.dir, e.dir)
}

func checkOwner(_ context.Context, e *exam) verdict {
	use, err := e.measured()
	switch {
	case err != nil:
		return skipped("%s", err)
	case len(use.unreachable) > 0:
		return found("%s cannot be read", some(use.unreachable)).bad("chown -R %s %s", userName(), e.dir)
	case len(use.foreign) > 0:
		return found("%s belong to another user than %s", some(use.foreign), userName()).but("chown -R %s %s", userName(), e.dir)
	}
	return good("all %d files belong to %s", use.Files, userName())
}

func checkSecrets(_ context.Context, e *exam) verdict {
	use, err := e.measured()
	if err != nil {
		return skipped("%s", err)
	}
	path := folderPath(e.dir, controlFile)
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return found("%s has mode %04o: whoever reads it may do everything", controlFile, info.Mode().Perm()).bad("chmod 600 %s", path)
	}
	if len(use.exposed) > 0 {
		if info, err := os.Stat(e.dir); err == nil && info.Mode().Perm()&0o001 == 0 {
			return good("the folder itself (mode %04o) keeps others out", info.Mode().Perm())
		}
		return found("everybody on this machine can read %s", some(use.exposed)).but("chmod 750 %s", e.dir)
	}
	return good("nobody else reads databases or tokens")
}

const (
	// leastFree stops a compaction or a training in the middle; littleFree is
	// a warning in time.
	leastFree  = 1 << 30
	littleFree = 5 << 30
	// daysLeft is a warning with time to order a disk.
	daysLeft = 30
)

func checkSpace(_ context.Context, e *exam) verdict {
	use, err := e.measured()
	if err != nil {
		return skipped("%s", err)
	}
	v := found("%s free of %s; the folder takes %s, %s of it written in the last day",
		bytesText(use.Free), bytesText(use.size), bytesText(use.Total), bytesText(use.LastDay))
	days := 1e6
	if use.LastDay > 0 {
		days = float64(use.Free) / float64(use.LastDay)
		v.Found += fmt.Sprintf("; at that rate it is full in %.0f days", days)
	}
	switch {
	case use.Free < leastFree || days < 1:
		return v.bad("free space on the file system of %s, or move the folder to a larger one", e.dir)
	case use.Free < littleFree || days < daysLeft:
		return v.but("free space on the file system of %s, or move the folder to a larger one", e.dir)
	}
	return v
}

// fewFiles is a day's files of a few fleets.
const fewFiles = 100_000

func checkFiles(_ context.Context, e *exam) verdict {
	use, err := e.measured()
	if err != nil {
		return skipped("%s", err)
	}
	if use.freeFiles < fewFiles {
		return found("the file system can make only %d more files; the folder has %d", use.freeFiles, use.Files).
			but("remove files from it, or move %s to a file system with more inodes (df -i)", e.dir)
	}
	return good("%d files in the folder, and room for more", use.Files)
}

// epochStart is when this program was first written: a clock before it is
// wrong.
var epochStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clockSlack is how far clocks may differ: less than what quarantines a
// reading (T5).
const clockSlack = 2 * time.Minute

const setClock = "set the clock: timedatectl set-ntp true (or chronyc makestep)"

func checkClock(_ context.Context, e *exam) verdict {
	now := e.now()
	if now.Before(epochStart) {
		return found("the wall clock says %s", now.UTC().Format(time.DateTime)).bad(setClock)
	}
	use, err := e.measured()
	if err != nil {
		return skipped("%s", err)
	}
	if use.newest != nil {
		if ahead := use.newest.ModTime().Sub(now); ahead > clockSlack {
			return found("%s was written %s in the future: the wall clock was set back", use.newestPath, durationText(ahead)).bad(setClock)
		}
	}
	return good("the wall clock says %s, later than every file", now.UTC().Format(time.DateTime))
}
