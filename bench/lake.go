package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// yearMachines send 3.5 M readings in a year of shifts and closed Sundays.
const yearMachines = 160

// scratch makes a folder for one benchmark's data, which its caller deletes.
func scratch() (string, func(), error) {
	dir, err := os.MkdirTemp("", "drumbeat-bench-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// year fills a topic with simulated days of a fleet and copies it to bronze,
// which it measures.
func (b *bench) year(ctx context.Context, dir string, machines, days int) (outcome, error) {
	fleet := []string{"-dir", dir, "-machines", strconv.Itoa(machines), "-days", strconv.Itoa(days)}
	filled, err := b.ours(ctx, "fill", fleet...)
	if err != nil {
		return outcome{}, err
	}
	progress("  %d items in the topic after %.0f s", filled.Rows, filled.Seconds)
	return b.ours(ctx, "ingest", "-dir", dir)
}

// refineYear compares bronze to silver with pandas and Polars on the same
// bronze files, and sees that all three came to the same numbers.
func refineYear(ctx context.Context, b *bench) ([]figure, error) {
	dir, done, err := scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	if _, err := b.year(ctx, dir, yearMachines, b.days); err != nil {
		return nil, err
	}
	var ours []outcome
	names, peers := []string{"pandas", "polars"}, map[string][]outcome{}
	for i := range b.runs {
		name := "run" + strconv.Itoa(i)
		if err := link(filepath.Join(dir, "lake"), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		o, err := b.ours(ctx, "refine", "-dir", dir, "-lake", name)
		if err != nil {
			return nil, err
		}
		ours = append(ours, o)
		for _, peer := range names {
			p, err := b.peer(ctx, "clean_"+peer+".py", filepath.Join(dir, "lake", "laundry", "bronze"), filepath.Join(dir, peer+".parquet"))
			if err != nil {
				return nil, err
			}
			peers[peer] = append(peers[peer], p)
			progress("  run %d: ours %.2f s, %s %.2f s", i+1, o.Seconds, peer, p.Seconds)
		}
	}
	silver := filepath.Join(dir, "run0", "laundry", "silver", "readings")
	var figures []figure
	for _, peer := range names {
		same, err := b.peer(ctx, "same_silver.py", silver, filepath.Join(dir, peer+".parquet"))
		if err != nil {
			return nil, fmt.Errorf("the silver of %s is another than ours: %w", peer, err)
		}
		f := figure{
			Work: fmt.Sprintf("bronze to silver, %d items of %d machines in %d days", ours[0].Rows, yearMachines, b.days), Unit: "s",
			Ours: median(ours, seconds), Peer: median(peers[peer], seconds), PeerName: peer, Runs: b.runs,
			Goal: "≥ 5× pandas; Polars compared",
		}
		f.Ratio = f.Peer / f.Ours
		f.Met = f.Ratio >= 5 || peer == "polars"
		f.Note = fmt.Sprintf("%.0f items/s, at most %.0f MB resident (%s: %.0f MB). Both wrote the same %d (machine, time) rows, every value equal.",
			float64(ours[0].Rows)/f.Ours, median(ours, peak), peer, median(peers[peer], peak), same.Rows)
		figures = append(figures, f)
	}
	return figures, nil
}

// link makes a lake again out of the same immutable files.
func link(from, to string) error {
	if err := os.Mkdir(to, 0o750); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		old, fresh := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if e.IsDir() {
			err = link(old, fresh)
		} else {
			err = os.Link(old, fresh)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// catchUp copies a filled topic into bronze again and again, each time into a
// new lake.
func catchUp(ctx context.Context, b *bench) ([]figure, error) {
	dir, done, err := scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	days := strconv.Itoa(min(b.days, 120))
	if _, err := b.ours(ctx, "fill", "-dir", dir, "-days", days); err != nil {
		return nil, err
	}
	var runs []outcome
	for i := range b.runs {
		o, err := b.ours(ctx, "ingest", "-dir", dir, "-lake", "run"+strconv.Itoa(i))
		if err != nil {
			return nil, err
		}
		progress("  run %d: %.0f readings/s", i+1, o.rate())
		runs = append(runs, o)
	}
	f := figure{
		Work: fmt.Sprintf("%d items from the embedded broker to committed bronze", runs[0].Rows), Unit: "readings/s",
		Ours: median(runs, func(o *outcome) float64 { return o.rate() }), Goal: "≥ 150,000 readings/s on 2 cores", Runs: b.runs,
	}
	f.Ratio = f.Ours / 150_000
	f.Met = f.Ratio >= 1
	f.Note = fmt.Sprintf("Broker and ingest in one process; at most %.0f MB resident.", median(runs, peak))
	return []figure{f}, nil
}

// freshness measures how long a reading waits for its row.
func freshness(ctx context.Context, b *bench) ([]figure, error) {
	dir, done, err := scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	o, err := b.ours(ctx, "fresh", "-dir", dir, "-rate", "20000", "-machines", "1000", "-length", "1m")
	if err != nil {
		return nil, err
	}
	f := figure{
		Work: "reading accepted to its row visible in bronze, 20,000 readings/s for a minute", Unit: "s (p99)",
		Ours: o.P99, Goal: "p99 ≤ 5 s", Runs: 1, Ratio: 5 / o.P99, Met: o.P99 <= 5,
		Note: fmt.Sprintf("Median %.2f s, longest %.2f s, seen by a second reader of the table; producer, broker, ingest and reader on the same cores.", o.P50, o.Max),
	}
	return []figure{f}, nil
}

// growth ingests and refines a year of 10, 100 and 1,000 machines.
func growth(ctx context.Context, b *bench) ([]figure, error) {
	var figures []figure
	var base [2]float64
	for _, times := range []int{1, 10, 100} {
		dir, done, err := scratch()
		if err != nil {
			return nil, err
		}
		machines := 10 * times
		ingested, err := b.year(ctx, dir, machines, b.days)
		if err != nil {
			done()
			return nil, err
		}
		refined, err := b.ours(ctx, "refine", "-dir", dir)
		done()
		if err != nil {
			return nil, err
		}
		for i, o := range []outcome{ingested, refined} {
			perItem := o.Seconds / float64(o.Rows) * 1e6
			if times == 1 {
				base[i] = perItem
			}
			f := figure{
				Work: fmt.Sprintf("%s, %d machines, %d items", []string{"topic to bronze", "bronze to silver"}[i], machines, o.Rows),
				Unit: "µs an item", Ours: perItem, Goal: "linear: within 1.5× of the smallest", Runs: 1, Ratio: base[i] / perItem,
				Note: fmt.Sprintf("%.1f s, at most %.0f MB resident.", o.Seconds, o.PeakMB),
			}
			f.Met = f.Ratio >= 1/1.5
			figures = append(figures, f)
		}
	}
	return figures, nil
}

// soak keeps a load up for minutes and watches the memory.
func soak(ctx context.Context, b *bench) ([]figure, error) {
	length, err := time.ParseDuration(b.soak)
	if err != nil {
		return nil, err
	}
	dir, done, err := scratch()
	if err != nil {
		return nil, err
	}
	defer done()
	o, err := b.ours(ctx, "fresh", "-dir", dir, "-rate", "40000", "-machines", "2000", "-length", length.String())
	if err != nil {
		return nil, err
	}
	f := figure{
		Work: "readings taken beside producer and broker for " + length.String(), Unit: "readings/s",
		Ours: o.rate(), Goal: "≥ 40,000 readings/s for 10 minutes, flat memory", Runs: 1, Ratio: o.rate() / 40_000,
	}
	first, last := thirds(o.Series)
	f.Met = o.rate() >= 39_900 && length >= 10*time.Minute && last <= 1.25*first
	f.Note = fmt.Sprintf("Row visible after %.2f s (median), %.2f s (p99). Resident memory: mean of the second third %.0f MB, of the last %.0f MB.",
		o.P50, o.P99, first, last)
	f.Series = thin(o.Series)
	return []figure{f}, nil
}

// thirds returns the mean resident memory of the second and of the last third.
func thirds(series []sample) (second, last float64) {
	n := len(series) / 3
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	for i := range n {
		second += series[n+i].RSS / float64(n)
		last += series[len(series)-1-i].RSS / float64(n)
	}
	return second, last
}

// thin keeps some twenty points of a series.
func thin(series []sample) []sample {
	every := max(1, len(series)/20)
	var kept []sample
	for i := every - 1; i < len(series); i += every {
		kept = append(kept, series[i])
	}
	return kept
}
