package main

import (
	"bufio"
	"bytes"
	"context"
	"log/slog"
	"net"
	"runtime"
	"strconv"
	"strings"
	"time"

	"drumbeat/train/xgboost"
	"drumbeat/web"
)

// processChecks look at the process that runs them and its machine.
func processChecks() []check {
	return []check{
		{name: "cores", what: "processor cores that this process may use", site: checkCores},
		{name: "memory", what: "memory that is available to this process", site: checkMemory},
		{name: "open-files", what: "how many files this process may have open", site: checkOpenFiles},
		{name: "clock-jumps", what: "the wall clock against a steady one, since the process began", site: checkJumps},
		{name: "time-zones", what: "time zone data is there, for every zone that a fleet names", site: checkZones},
		{name: "libxgboost", what: "libxgboost is found, loads and is of the tested version", site: checkLibrary},
		{name: "page", what: "the page's scripts are in this program", site: checkPage},
		{name: "listener", what: "the address of the page and the API", site: checkListener},
	}
}

func usableCores() int { return runtime.GOMAXPROCS(0) }

func checkCores(_ context.Context, e *exam) verdict {
	v := found("%d cores of %d, %s, drumbeat %s on %s/%s", e.cores(), runtime.NumCPU(), runtime.Version(), version, runtime.GOOS, runtime.GOARCH)
	if e.cores() < 2 {
		return v.but("give the process a second core (the container's cpu limit, or GOMAXPROCS=2): training holds up scoring on one")
	}
	return v
}

const (
	// leastMemory is what serving a hundred machines takes; littleMemory what
	// training on a year of them takes besides.
	leastMemory  = 256 << 20
	littleMemory = 1 << 30
)

func checkMemory(_ context.Context, e *exam) verdict {
	available, known := e.available()
	if !known {
		return skipped("this system does not say how much memory is available")
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	v := found("%s available; this process took %s from the system", bytesText(available), bytesText(int64(stats.Sys))) //nolint:gosec // below 2^63
	switch {
	case available < leastMemory:
		return v.bad("give the process more memory, or end others on this machine")
	case available < littleMemory:
		return v.but("give the process at least %s, or train on another machine", bytesText(littleMemory))
	}
	return v
}

// available reads how much memory may still be taken: the machine's, or less
// where a control group bounds this process.
func (e *exam) available() (int64, bool) {
	text, err := e.read("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	least, known := int64(0), false
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		// MemAvailable:   12345678 kB
		if rest, ok := strings.CutPrefix(lines.Text(), "MemAvailable:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			least, known = kilobytes<<10, err == nil
		}
	}
	number := func(path string) (int64, bool) {
		text, err := e.read(path)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
		return n, err == nil // "max" is no bound
	}
	if limit, bounded := number("/sys/fs/cgroup/memory.max"); bounded && known {
		if used, ok := number("/sys/fs/cgroup/memory.current"); ok {
			least = min(least, max(0, limit-used))
		}
	}
	return least, known
}

const (
	// leastOpen fails a scan of a day's files beside the page's followers;
	// fewOpen leaves no room for a busy day.
	leastOpen = 512
	fewOpen   = 4096
)

func checkOpenFiles(_ context.Context, e *exam) verdict {
	n, err := e.limit()
	if err != nil {
		return skipped("read the limit of open files: %s", err)
	}
	const mend = "raise it: ulimit -n 65536, or LimitNOFILE=65536 in the service's unit"
	v := found("at most %d", n)
	switch {
	case n < leastOpen:
		return v.bad(mend)
	case n < fewOpen:
		return v.but(mend)
	}
	return v
}

// jumpSlack is what slewing by a time service may amount to in a while.
const jumpSlack = 2 * time.Second

func checkJumps(_ context.Context, e *exam) verdict {
	wall, steady := e.since()
	if jump := wall - steady; jump.Abs() > jumpSlack {
		return found("the wall clock jumped by %s within the last %s", jump.Round(time.Millisecond), durationText(steady)).
			but("let a time service slew the clock instead of stepping it, and see that only one sets it; then start again")
	}
	return good("no jump in %s", durationText(steady))
}

func checkZones(_ context.Context, e *exam) verdict {
	zones := []string{"Europe/Berlin"} // any will do to see that there is data
	for _, p := range e.patients {
		if p.depot != nil && p.def != nil && p.def.Import != nil {
			imports := p.def.Import
			zones = append(zones, imports.Telemetry.Zone)
			for _, source := range imports.Logs {
				zones = append(zones, source.Zone)
			}
		}
	}
	for _, zone := range zones {
		if err := e.zone(zone); zone != "" && err != nil {
			return found("%s", err).bad("install the system's time zone data (apt-get install tzdata), or correct the zone in fleet.yaml")
		}
	}
	return good("zones load")
}

func checkLibrary(_ context.Context, e *exam) verdict {
	path, version, err := e.library()
	_, want, _ := strings.Cut(xgboost.Wheel, "==")
	switch {
	case err != nil:
		return found("%s", err).bad("name the file: export DRUMBEAT_XGBOOST=…/xgboost/lib/libxgboost.so " +
			"(pip download --no-deps " + xgboost.Wheel + ", then unzip); everything but training works without it")
	case version != want:
		return found("%s is version %s, tested is %s", path, version, want).but("use the wheel " + xgboost.Wheel)
	}
	return good("version %s, %s", version, path)
}

// makePage makes the page of a fleet without a source: all that it needs is in
// this program.
func makePage() error {
	_, err := web.New([]web.Source{{}}, web.Options{Log: slog.New(slog.DiscardHandler), Now: wallNow})
	return err
}

func checkPage(_ context.Context, e *exam) verdict {
	if err := e.page(); err != nil {
		return found("%s", err).bad("build the program with make build")
	}
	return good("scripts, styles and templates are there")
}

// usualAddress is where drumbeat run listens unless it is told otherwise.
const usualAddress = "127.0.0.1:8080"

func tryListen(ctx context.Context, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return listener.Close()
}

func checkListener(ctx context.Context, e *exam) verdict {
	if e.running() {
		connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", e.host.localAddress())
		if err != nil {
			return found("%s", err).bad("see whether a firewall on this machine keeps it from its own address %s", e.host.localAddress())
		}
		_ = connection.Close() // nothing was said
		return good("answers at %s", e.host.localAddress())
	}
	if err := e.listens(ctx, usualAddress); err != nil {
		return found("%s is taken: %s", usualAddress, err).but("choose another: drumbeat run --data %s --listen 127.0.0.1:0", e.dir)
	}
	return good("%s is free for drumbeat run", usualAddress)
}
