package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
)

// outcome is what a step measured of itself, the last line that it prints.
type outcome struct {
	Rows    int64   `json:"rows"`
	Seconds float64 `json:"seconds"` // of the work, without the start of the program
	// Sums are of the result, to see that two sides did the same work.
	Sums map[string]float64 `json:"sums,omitempty"`
	// Series is a measurement over time.
	Series []sample `json:"series,omitempty"`
	P50    float64  `json:"p50,omitempty"` // seconds
	P99    float64  `json:"p99,omitempty"`
	Max    float64  `json:"max,omitempty"`

	PeakMB float64 `json:"-"` // the process's resident memory at its highest
	CPU    float64 `json:"-"` // seconds
}

// sample is one point of a series.
type sample struct {
	Second  float64 `json:"second"`
	Rate    float64 `json:"rate"`        // readings/s since the point before
	Lag     int64   `json:"lag"`         // readings accepted and not yet committed
	RSS     float64 `json:"resident_mb"` // of the process that ingests
	Holding float64 `json:"heap_mb"`
}

// rate returns rows per second.
func (o *outcome) rate() float64 { return float64(o.Rows) / o.Seconds }

// ours runs a step of this program.
func (b *bench) ours(ctx context.Context, step string, args ...string) (outcome, error) {
	return measure(ctx, b.self, append([]string{"step", step}, args...)...)
}

// peer runs a peer's script.
func (b *bench) peer(ctx context.Context, script string, args ...string) (outcome, error) {
	if b.python == "" {
		return outcome{}, fmt.Errorf("run %s: DRUMBEAT_PEERS names no Python with the peers; use `make bench`", script)
	}
	return measure(ctx, b.python, append([]string{filepath.Join(b.peers, script)}, args...)...)
}

func measure(ctx context.Context, program string, args ...string) (outcome, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // ourselves, or the peers' own Python
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("run %s %v: %w", filepath.Base(program), args, err)
	}
	lines := bytes.Split(bytes.TrimSpace(out), []byte("\n"))
	var o outcome
	if err := json.Unmarshal(lines[len(lines)-1], &o); err != nil {
		return outcome{}, fmt.Errorf("run %s %v: its last line is no outcome: %w", filepath.Base(program), args, err)
	}
	if use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		o.PeakMB = float64(use.Maxrss) / 1024
	}
	o.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return o, nil
}

// median returns the middle one by a measure.
func median(outcomes []outcome, by func(*outcome) float64) float64 {
	values := make([]float64, len(outcomes))
	for i := range outcomes {
		values[i] = by(&outcomes[i])
	}
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

func seconds(o *outcome) float64 { return o.Seconds }
func peak(o *outcome) float64    { return o.PeakMB }
