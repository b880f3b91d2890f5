package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"drumbeat"
	"drumbeat/access"
	"drumbeat/fleet/strict"
)

// doctorCommand checks a data folder and everything in it.
type doctorCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Only this fleet's checks, beside those of the whole folder."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (doctorCommand) Help() string {
	return `Checks the machine, the folder, the broker, the lake, the online store, the models, the alerts and the record of acts. Each
check says what it looked at and what it found; a warning or a fault comes with its mend, a command or an edit. What cannot be
checked is listed with the reason. Nothing is repaired by the doctor itself. While a daemon runs, the daemon answers, so that
the checks of the process are about the process that serves.

Exit code: 0 no fault (warnings are printed), 1 a fault, 2 a wrong call.

Examples:
  drumbeat doctor --data D
  drumbeat doctor --data D --fleet laundry
  drumbeat doctor --data D --json | jq '.checks[] | select(.state == "fail")'`
}

// checkState is what came of a check.
type checkState string

// The states of a check.
const (
	stateOK      checkState = "ok"
	stateWarn    checkState = "warn"
	stateFail    checkState = "fail"
	stateSkipped checkState = "skipped"
)

// verdict is what a check found.
type verdict struct {
	State checkState
	Found string // for a skipped check: why
	Mend  string // a command or an edit
}

// checkResult is a check with its verdict.
type checkResult struct {
	Name  string             `json:"name"`
	Fleet drumbeat.FleetName `json:"fleet,omitempty"`
	What  string             `json:"what"` // it looks at
	State checkState         `json:"state"`
	Found string             `json:"found"`
	Mend  string             `json:"mend,omitempty"`
}

// doctorReport is the document of --json.
type doctorReport struct {
	OK      bool               `json:"ok"` // no check failed
	Running bool               `json:"running"`
	Wall    drumbeat.Time      `json:"wall"`
	Counts  map[checkState]int `json:"counts"`
	Checks  []checkResult      `json:"checks"`
}

// runDoctor is the operation behind the command, in a process that has the
// whole site open.
func runDoctor() *operation[ofFleet, output[doctorReport]] {
	return &operation[ofFleet, output[doctorReport]]{
		method: http.MethodGet, path: "/v1/doctor", id: "doctor", least: access.Engineer, timeout: doctorTime,
		summary: "Check the process, the folder and everything in it; each fault comes with its mend",
		run: func(ctx context.Context, h *host, _ access.Person, in *ofFleet) (*output[doctorReport], error) {
			e := newExam(h.dir, h.log)
			e.use(h)
			return answer(e.report(ctx, in.Fleet))
		},
	}
}

// Run prints what was found.
func (c *doctorCommand) Run(ctx context.Context, p *process) error {
	report, err := c.examine(ctx, newExam(c.Data, p.log))
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p.stdout, report)
	} else {
		err = report.print(p.stdout)
	}
	if err == nil && !report.OK {
		err = errSaid
	}
	return err
}

// examine asks the daemon that has the folder, or opens the folder part by
// part: what opens is checked, whatever else does not.
func (c *doctorCommand) examine(ctx context.Context, e *exam) (*doctorReport, error) {
	f, err := openFolder(c.Data, false)
	if errors.Is(err, errBusy) {
		out, failed := remote(ctx, c.Data, runDoctor(), &ofFleet{c.Fleet}, err)
		if failed == nil {
			return &out.Body, nil
		}
		if _, told := errors.AsType[*refused](failed); told {
			return nil, failed
		}
		e.busy, err = true, failed
	}
	if err != nil {
		e.faults[partFolder] = err
		report, err := e.report(ctx, c.Fleet)
		return &report, err
	}
	e.open(ctx, f)
	report, err := e.report(ctx, c.Fleet)
	return &report, errors.Join(err, e.site.Close())
}

// check is one thing that the doctor looks at: of the whole site, or of each
// fleet.
type check struct {
	name, what string
	needs      []string // parts that must be open
	site       func(ctx context.Context, e *exam) verdict
	fleet      func(ctx context.Context, e *exam, p *patient) verdict
}

// checks lists every check in the order in which they are told.
func checks() []check {
	var all []check
	for _, part := range [][]check{
		folderChecks(), processChecks(), partChecks(), accessChecks(),
		fleetPartChecks(), topicChecks(), tableChecks(), dataChecks(), modelChecks(), servingChecks(),
	} {
		all = append(all, part...)
	}
	return all
}

// report runs every check.
func (e *exam) report(ctx context.Context, only drumbeat.FleetName) (doctorReport, error) {
	r := doctorReport{OK: true, Running: e.running(), Wall: drumbeat.At(e.now()), Counts: map[checkState]int{}, Checks: []checkResult{}}
	patients, err := e.chosen(only)
	if err != nil {
		return r, err
	}
	for _, c := range checks() {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if c.site != nil {
			r.add(&c, "", e.judge(c.needs, nil, func() verdict { return c.site(ctx, e) }))
			continue
		}
		for _, p := range patients {
			r.add(&c, p.name, e.judge(c.needs, p, func() verdict { return c.fleet(ctx, e, p) }))
		}
	}
	return r, nil
}

// chosen returns the fleets to be checked. Where the folder did not open, one
// of no name stands for them all, so that what was skipped is listed.
func (e *exam) chosen(only drumbeat.FleetName) ([]*patient, error) {
	if _, closed := e.faults[partFolder]; closed {
		return []*patient{{name: only, faults: map[string]error{}}}, nil
	}
	if only == "" {
		return e.patients, nil
	}
	var names []string
	for _, p := range e.patients {
		if p.name == only {
			return []*patient{p}, nil
		}
		names = append(names, string(p.name))
	}
	return nil, fmt.Errorf("check fleet %q: data folder %s holds no such fleet%s: %w", only, e.dir, strict.Suggest(string(only), names), drumbeat.ErrNotFound)
}

// judge runs a check, unless a part that it needs is not open.
func (e *exam) judge(needs []string, p *patient, run func() verdict) verdict {
	for _, part := range needs {
		err := e.faults[part]
		if err == nil && p != nil {
			err = p.faults[part]
		}
		if err != nil {
			return verdict{State: stateSkipped, Found: "needs " + partNames[part] + ", which did not open"}
		}
	}
	return run()
}

func (r *doctorReport) add(c *check, fleet drumbeat.FleetName, v verdict) {
	r.Checks = append(r.Checks, checkResult{Name: c.name, Fleet: fleet, What: c.what, State: v.State, Found: v.Found, Mend: v.Mend})
	r.Counts[v.State]++
	r.OK = r.OK && v.State != stateFail
}

// print writes the report for people: faults first, each with its mend.
func (r *doctorReport) print(w io.Writer) error {
	var b strings.Builder
	for _, state := range []checkState{stateFail, stateWarn, stateSkipped, stateOK} {
		for i := range r.Checks {
			c := &r.Checks[i]
			if c.State != state {
				continue
			}
			name := c.Name
			if c.Fleet != "" {
				name = string(c.Fleet) + "/" + name
			}
			fmt.Fprintf(&b, "%-7s  %-28s  %s\n", c.State, name, c.Found)
			if c.Mend != "" {
				fmt.Fprintf(&b, "%-7s  %-28s  mend: %s\n", "", "", c.Mend)
			}
		}
	}
	fmt.Fprintf(&b, "%d checks: %d ok, %d warnings, %d faults, %d skipped\n",
		len(r.Checks), r.Counts[stateOK], r.Counts[stateWarn], r.Counts[stateFail], r.Counts[stateSkipped])
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// good says that all is well.
func good(format string, args ...any) verdict {
	return verdict{State: stateOK, Found: fmt.Sprintf(format, args...)}
}

// skipped says why nothing was checked.
func skipped(format string, args ...any) verdict {
	return verdict{State: stateSkipped, Found: fmt.Sprintf(format, args...)}
}

// but makes a verdict a warning with its mend.
func (v verdict) but(mend string, args ...any) verdict {
	v.State, v.Mend = stateWarn, fmt.Sprintf(mend, args...)
	return v
}

// bad makes a verdict a fault with its mend.
func (v verdict) bad(mend string, args ...any) verdict {
	v.State, v.Mend = stateFail, fmt.Sprintf(mend, args...)
	return v
}

// found says what was found, to be judged.
func found(format string, args ...any) verdict { return good(format, args...) }

// unreadable says that a check met an error, and what to do about its kind.
func (e *exam) unreadable(err error) verdict {
	mend := "restore what it names from a backup of %s"
	switch {
	case errors.Is(err, drumbeat.ErrNewer):
		mend = "use the Drumbeat that wrote %s, or a later one"
	case errors.Is(err, drumbeat.ErrConflict):
		mend = "stop every other process that works in %s"
	}
	return found("%s", err).bad(mend, e.dir)
}
