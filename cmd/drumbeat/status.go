package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"drumbeat"
	"drumbeat/access"
)

// statusCommand says at a glance how a site is.
type statusCommand struct {
	Data  string             `required:"" help:"Data folder." type:"path"`
	Fleet drumbeat.FleetName `help:"Only this fleet."`
	JSON  bool               `name:"json" help:"Print one JSON document."`
}

// Help teaches the command.
func (statusCommand) Help() string {
	return `For each fleet: how far each part is behind the topic, how fresh the readings are, which machines are watched, the open alerts,
the champion and its age, the last monitoring report, and what the folder takes on disk; and one next action, the most useful one.
It reads progress and counts, never whole tables, so it may be asked every minute. While a daemon runs, the daemon answers.

Exit code: 0 nothing needs a person, 1 something does (or the folder cannot be opened), 2 a wrong call.

Examples:
  drumbeat status --data D
  drumbeat status --data D --fleet laundry --json | jq .next
  drumbeat status --data D >/dev/null || notify "drumbeat needs somebody"`
}

// status is what an operator wants to know at a glance.
type status struct {
	OK      bool          `json:"ok"`      // nothing needs a person
	Running bool          `json:"running"` // a daemon has the folder
	Wall    drumbeat.Time `json:"wall"`    // when this was found
	Fleets  []fleetStatus `json:"fleets"`
	Disk    diskUse       `json:"disk"`
	Next    string        `json:"next"` // the most useful action
}

// need is something that needs a person.
type need struct {
	What string `json:"what"`
	Do   string `json:"do"`

	rank int // 0 is the most urgent
}

// String writes the need as one sentence.
func (n need) String() string { return n.What + ": " + n.Do }

// showStatus is the operation behind the command.
func showStatus() *operation[ofFleet, output[status]] {
	return &operation[ofFleet, output[status]]{
		method: http.MethodGet, path: "/v1/status", id: "status", least: access.Viewer,
		summary: "Lag, freshness, machines, alerts, model and disk of each fleet, and the next action",
		run: func(ctx context.Context, h *host, _ access.Person, in *ofFleet) (*output[status], error) {
			return answer(h.status(ctx, in.Fleet))
		},
	}
}

// Run prints the status.
func (c *statusCommand) Run(ctx context.Context, p *process) error {
	out, err := call(ctx, p, c.Data, showStatus(), &ofFleet{c.Fleet})
	if err != nil {
		return err
	}
	found := &out.Body
	if c.JSON {
		err = printJSON(p.stdout, found)
	} else {
		err = found.print(p.stdout)
	}
	if err == nil && !found.OK {
		err = errSaid
	}
	return err
}

// status finds out how the site is; an empty name asks for every fleet.
func (h *host) status(ctx context.Context, name drumbeat.FleetName) (status, error) {
	s := status{OK: true, Running: h.listener != nil, Wall: drumbeat.At(wallNow()), Fleets: []fleetStatus{}}
	depots := h.depots
	if name != "" {
		d, err := h.depot(name)
		if err != nil {
			return s, err
		}
		depots = []*depot{d}
	}
	names := make([]drumbeat.FleetName, len(h.depots))
	for i, d := range h.depots {
		names[i] = d.def.Name
	}
	use, err := useOf(h.dir, names, os.Geteuid())
	if err != nil {
		return s, err
	}
	s.Disk = use.diskUse
	for _, d := range depots {
		f, err := h.fleetStatus(ctx, d)
		if err != nil {
			return s, fmt.Errorf("find the status of fleet %s: %w", d.def.Name, err)
		}
		s.Fleets = append(s.Fleets, f)
	}
	s.decide(h.dir)
	return s, nil
}

// decide picks the next action: the first need of the fleet that has the most
// urgent one.
func (s *status) decide(dir string) {
	switch {
	case len(s.Fleets) == 0:
		s.OK = false
		s.Next = "the folder holds no fleet: drumbeat import --fleet FLEET --from CSV --data " + dir
	case !s.Running:
		s.Next = "nothing to do; no daemon runs: drumbeat run --data " + dir + " goes on"
	default:
		s.Next = "nothing to do"
	}
	var first *need
	for i := range s.Fleets {
		for k := range s.Fleets[i].Needs {
			s.OK = false
			n := &s.Fleets[i].Needs[k]
			if first == nil || n.rank < first.rank {
				first = n
				s.Next = n.String()
				if len(s.Fleets) > 1 {
					s.Next = string(s.Fleets[i].Fleet) + ": " + s.Next
				}
			}
		}
	}
}

// print writes the status for people.
func (s *status) print(w io.Writer) error {
	var b strings.Builder
	for i := range s.Fleets {
		s.Fleets[i].print(&b, s.Running)
	}
	fmt.Fprintf(&b, "disk        %s: broker %s, lake %s, models %s, databases %s; %s free\n",
		bytesText(s.Disk.Total), bytesText(s.Disk.Parts["broker"]), bytesText(s.Disk.Parts["lake"]),
		bytesText(s.Disk.Parts["models"]), bytesText(s.Disk.Parts["databases"]), bytesText(s.Disk.Free))
	fmt.Fprintf(&b, "next        %s\n", s.Next)
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// print writes a fleet's part.
func (f *fleetStatus) print(b *strings.Builder, running bool) {
	how := "no daemon runs"
	if running {
		how = "running"
	}
	fmt.Fprintf(b, "%s (%s)\n", f.Fleet, how)
	fmt.Fprintf(b, "  now       %s (clock: %s); newest reading %s%s\n", momentText(f.Fresh.Now), f.Clock, momentText(f.Fresh.Newest), f.Fresh.ageText())
	fmt.Fprintf(b, "  behind    %s\n", f.Lag.text())
	fmt.Fprintf(b, "  machines  %s\n", f.Machines.text())
	if f.Alerts.Open == 0 {
		fmt.Fprint(b, "  alerts    none open\n")
	} else {
		fmt.Fprintf(b, "  alerts    %d open, the oldest on %s since %s\n", f.Alerts.Open, f.Alerts.OldestMachine, momentText(f.Alerts.Oldest))
	}
	fmt.Fprintf(b, "  champion  %s\n", f.Model.text())
	if r := f.Report; r != nil {
		fmt.Fprintf(b, "  report    %s: %s\n", momentText(r.At), r.Says)
	}
	if r := f.Recall; r != nil {
		fmt.Fprintf(b, "  recall    %.2f (%.2f to %.2f), %d of %d failures caught; precision %.2f; %.2f alerts a machine and week\n",
			r.Recall, r.Least, r.Most, r.Caught, r.Seen, float64(r.Precision), r.Load)
	}
	files, rows := 0, int64(0)
	for _, t := range f.Tables {
		files, rows = files+t.Files, rows+t.Rows
	}
	fmt.Fprintf(b, "  tables    %d rows in %d files of %d tables\n", rows, files, len(f.Tables))
	for _, n := range f.Needs {
		fmt.Fprintf(b, "  needs     %s\n", n)
	}
}

// momentText writes a time for people.
func momentText(t drumbeat.Time) string {
	if t == drumbeat.NoTime {
		return "never"
	}
	return t.Std().Format("2006-01-02 15:04 UTC")
}

// durationText writes a duration in the unit that a person would choose.
func durationText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 2*day:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

// bytesText writes a size in the unit that a person would choose.
func bytesText(n int64) string {
	value, unit := float64(n), 0
	units := [...]string{"B", "KB", "MB", "GB", "TB"}
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if unit == 0 || value >= 100 {
		return fmt.Sprintf("%.0f %s", value, units[unit])
	}
	return fmt.Sprintf("%.1f %s", value, units[unit])
}
