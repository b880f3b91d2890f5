package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"drumbeat/pipeline"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

func isTerminal(f *os.File) bool {
	return term.IsTerminal(int(f.Fd()))
}

// progress shows how far long work is, with its rate and the time left. On
// anything but a terminal it is quiet.
type progress struct {
	bar *progressbar.ProgressBar
}

// newProgress starts a bar for total units of work.
func (p *process) newProgress(title, unit string, total int64) *progress {
	out := io.Discard
	if p.terminal {
		out = p.stderr
	}
	return &progress{bar: progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(fmt.Sprintf("  %-12s", title)),
		progressbar.OptionSetItsString(unit),
		progressbar.OptionShowIts(),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetWidth(24),
		progressbar.OptionClearOnFinish(),
	)}
}

// Set says how much is done.
func (p *progress) Set(done int64) { _ = p.bar.Set64(done) } // a bar that cannot draw is no fault

// Title says what the work is at now.
func (p *progress) Title(title string) { p.bar.Describe(fmt.Sprintf("  %-14s", title)) }

// Of says how much of a new total is done.
func (p *progress) Of(done, total int64) {
	p.bar.ChangeMax64(max(total, 1))
	p.Set(done)
}

// follow shows how far a run's steps are.
func (p *progress) follow(e pipeline.Event) {
	if e.Stage == "" {
		p.Title(e.Step)
		return
	}
	p.Title(e.Stage)
	p.Of(int64(e.Done), int64(e.Total))
}

// Done removes the bar.
func (p *progress) Done() { _ = p.bar.Finish() }

// say writes a line of what happens, for people.
func (p *process) say(format string, args ...any) {
	fmt.Fprintf(p.stderr, format+"\n", args...)
}

// residentMB is the memory that the process holds, 0 where the system does not
// say.
func residentMB() float64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		return 0
	}
	return float64(resident*int64(os.Getpagesize())) / (1 << 20)
}
