package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"syscall"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/lake"
	"drumbeat/topic"
	"drumbeat/train/xgboost"
)

// The parts of a site, and of each fleet, that a check may need.
const (
	partFolder     = "folder"
	partObjects    = "objects"
	partBroker     = "broker"
	partRegistry   = "registry"
	partRuns       = "runs"
	partAccess     = "access"
	partDefinition = "definition"
	partLake       = "lake"
	partTopics     = "topics"
	partOnline     = "online"
	partAlerts     = "alerts"
)

// partNames are the parts' names for people.
var partNames = map[string]string{
	partFolder: "the data folder", partObjects: "the lake's folder", partBroker: "the broker", partRegistry: "the model registry",
	partRuns: "the store of runs", partAccess: "the access database", partDefinition: "the fleet's files", partLake: "the lake", partTopics: "the topics",
	partOnline: "the online store", partAlerts: "the alert store",
}

const (
	// doctorTime bounds a whole examination by the API: every file of a large
	// lake is looked at, but none is read whole.
	doctorTime = 2 * time.Minute
	// partTime bounds the opening of one part.
	partTime = 30 * time.Second
)

// exam is one examination of a site. What its checks ask of the machine is a
// field, so that a test can answer.
type exam struct {
	dir    string
	log    *slog.Logger
	site   *site
	host   *host // of the daemon that runs the examination, else nil
	busy   bool  // another process holds the folder and does not answer
	faults map[string]error
	// patients are the folder's fleets, whether they opened or not.
	patients []*patient
	folder   *folderUse // nil where it could not be measured
	// remembered is what was known of topics before they were opened: opening
	// a fleet whose topic is another begins an epoch.
	remembered map[string]topic.Incarnation

	now     func() time.Time
	since   func() (wall, monotonic time.Duration) // since the process began
	read    func(path string) ([]byte, error)
	limit   func() (uint64, error) // of open files
	zone    func(name string) error
	library func() (path, version string, err error)
	cores   func() int
	listens func(ctx context.Context, address string) error
	page    func() error
	uid     int
	small   int // files of a table that are too many
}

// patient is one fleet under examination.
type patient struct {
	*depot
	name   drumbeat.FleetName
	faults map[string]error
	seen   lakeSeen
}

// lakeSeen is what several checks read of a fleet's lake, read once.
type lakeSeen struct {
	tables []*delta.Table
	spans  map[drumbeat.MachineID]lake.Span
}

// processStarted is when this process began, by both clocks.
var processStarted = time.Now()

func newExam(dir string, log *slog.Logger) *exam {
	e := &exam{
		dir: dir, log: log, faults: map[string]error{}, remembered: map[string]topic.Incarnation{},
		now: wallNow, read: os.ReadFile, cores: usableCores, listens: tryListen, page: makePage, uid: os.Geteuid(), small: manySmall,
		since: func() (wall, monotonic time.Duration) {
			now := time.Now()
			return now.Round(0).Sub(processStarted.Round(0)), now.Sub(processStarted)
		},
		limit: func() (uint64, error) {
			var limit syscall.Rlimit
			err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
			return limit.Cur, err
		},
		zone: func(name string) error { _, err := time.LoadLocation(name); return err },
	}
	e.library = func() (path, version string, err error) {
		var l *xgboost.Library
		if l, err = findXGBoost(); err != nil {
			return "", "", err
		}
		return l.Path(), l.Version(), nil
	}
	return e
}

// running says whether this process is the daemon.
func (e *exam) running() bool { return e.host != nil && e.host.listener != nil }

// use takes a site that is open as a whole.
func (e *exam) use(h *host) {
	e.host, e.site = h, h.site
	for _, d := range h.depots {
		e.patients = append(e.patients, &patient{depot: d, name: d.def.Name, faults: map[string]error{}})
	}
}

// open opens a folder part by part; a part that does not open stands in faults.
func (e *exam) open(ctx context.Context, f *folder) {
	s := &site{folder: f, log: e.log, closers: []func() error{f.Close}}
	e.site = s
	e.part(ctx, e.faults, partObjects, func(ctx context.Context) (err error) {
		if s.file, err = loadSite(e.dir); err != nil {
			return err
		}
		return s.openObjects(ctx)
	})
	e.part(ctx, e.faults, partBroker, s.openBroker)
	if e.faults[partObjects] == nil {
		e.part(ctx, e.faults, partRegistry, s.openRegistry)
	} else {
		e.faults[partRegistry] = errNeeds(partObjects)
	}
	e.part(ctx, e.faults, partRuns, s.openRuns)
	e.part(ctx, e.faults, partAccess, s.openAccess)
	for _, head := range f.head.Fleets {
		e.patients = append(e.patients, e.openPatient(ctx, head.Name))
	}
	e.host = &host{site: s}
}

// part opens one part.
func (e *exam) part(ctx context.Context, faults map[string]error, name string, open func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, partTime)
	defer cancel()
	if err := open(ctx); err != nil {
		faults[name] = err
	}
}

func errNeeds(part string) error {
	return fmt.Errorf("needs %s, which did not open: %w", partNames[part], errPart)
}

// errPart is why a part was not tried.
var errPart = errors.New("see there")

// openPatient opens a fleet part by part.
func (e *exam) openPatient(ctx context.Context, name drumbeat.FleetName) *patient {
	d := &depot{site: e.site}
	p := &patient{depot: d, name: name, faults: map[string]error{}}
	e.part(ctx, p.faults, partDefinition, func(ctx context.Context) error { return d.define(ctx, name) })
	for _, part := range []struct {
		name  string
		needs []string
		open  func(context.Context, drumbeat.FleetName) error
	}{
		{partLake, []string{partObjects}, d.openLake},
		{partTopics, []string{partBroker, partObjects}, func(ctx context.Context, name drumbeat.FleetName) error { return e.openTopics(ctx, d, name) }},
		{partOnline, nil, d.openOnline},
		{partAlerts, nil, d.openAlerts},
	} {
		shut := slices.IndexFunc(part.needs, func(need string) bool { return e.faults[need] != nil })
		switch {
		case p.faults[partDefinition] != nil:
			p.faults[part.name] = errNeeds(partDefinition)
		case shut >= 0:
			p.faults[part.name] = errNeeds(part.needs[shut])
		default:
			e.part(ctx, p.faults, part.name, func(ctx context.Context) error { return part.open(ctx, name) })
		}
	}
	if len(p.faults) == 0 {
		e.site.depots = append(e.site.depots, d)
	}
	return p
}

// openTopics opens the topics of a fleet. One that was there and is gone is
// not made anew: that would begin an epoch (T2).
func (e *exam) openTopics(ctx context.Context, d *depot, name drumbeat.FleetName) error {
	for _, topicName := range []string{string(name), string(name) + ".predictions"} {
		known, err := d.epochs.Known(ctx, topicName)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			continue
		}
		e.remembered[topicName] = known[len(known)-1]
		if _, err := topic.Ends(ctx, d.kafka, topicName); err != nil {
			return fmt.Errorf("topic %s was there before and does not answer now: %w", topicName, err)
		}
	}
	return d.openTopics(ctx, name)
}
