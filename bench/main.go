// Command bench measures Drumbeat against its peers: the same work in the same
// run, by turns, each measurement in a process of its own, medians compared.
// What is measured, against what and how far to go stands in benchmarks (one
// row each); the figures of the last runs stand in docs/benchmarks.md.
//
// A benchmark never decides whether a test passes. It prints one line of JSON a
// figure and writes docs/benchmarks.json and docs/benchmarks.md.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
)

// benchmark measures one row of the list.
type benchmark struct {
	id, what string
	long     bool // minutes of load: asked for by name, or by `make soak`
	run      func(context.Context, *bench) ([]figure, error)
}

// benchmarks is the list, in the order that it is run.
func benchmarks() []benchmark {
	return []benchmark{
		{"P12", "bronze to silver, a year of the laundry fleet, against pandas and Polars", false, refineYear},
		{"P8", "a filled topic to committed bronze, on the embedded broker", false, catchUp},
		{"P9", "a reading accepted to its row visible, at 20,000 readings/s", false, freshness},
		{"P14", "how the cost of P8 and P12 grows with the readings", false, growth},
		{"SOAK", "40,000 readings/s beside producer and broker, memory over time", true, soak},
	}
}

// bench is one run of the program.
type bench struct {
	self   string // this program
	python string // with the peers installed; "" has none
	peers  string // folder of the peers' scripts
	runs   int    // of each side
	days   int    // of the simulated fleet
	soak   string // how long the soak lasts
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) > 2 && os.Args[1] == "step" {
		err = runStep(ctx, os.Args[2], os.Args[3:])
	} else {
		err = run(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b := bench{self: self, python: os.Getenv("DRUMBEAT_PEERS")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	ids := flags.String("id", "", "which `IDS` to run, with commas between them; all but the long ones by default")
	docs := flags.String("docs", "docs", "`folder` of benchmarks.json and benchmarks.md")
	flags.StringVar(&b.peers, "peers", filepath.Join("bench", "peers"), "`folder` of the peers' scripts")
	flags.IntVar(&b.runs, "runs", 5, "how often each side runs")
	flags.IntVar(&b.days, "days", 365, "how many days of 100 machines to simulate")
	flags.StringVar(&b.soak, "soak", "10m", "how long the soak lasts")
	if err := flags.Parse(args); err != nil {
		return err
	}
	chosen, err := choose(*ids)
	if err != nil {
		return err
	}
	var faults []error
	for _, bm := range chosen {
		progress("%s: %s", bm.id, bm.what)
		figures, err := bm.run(ctx, &b)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", bm.id, err))
			continue
		}
		for i := range figures {
			figures[i].ID = bm.id
			text, err := json.Marshal(&figures[i])
			if err != nil {
				return err
			}
			fmt.Println(string(text))
		}
		if err := record(*docs, bm, figures); err != nil {
			return err
		}
	}
	return errors.Join(faults...)
}

// choose returns the benchmarks that were asked for.
func choose(ids string) ([]benchmark, error) {
	all := benchmarks()
	var chosen []benchmark
	if ids == "" {
		for _, bm := range all {
			if !bm.long {
				chosen = append(chosen, bm)
			}
		}
		return chosen, nil
	}
	for id := range strings.SplitSeq(ids, ",") {
		found := false
		for _, bm := range all {
			if strings.EqualFold(bm.id, strings.TrimSpace(id)) {
				chosen, found = append(chosen, bm), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no benchmark %q", id)
		}
	}
	return chosen, nil
}

// progress says on standard error what goes on.
func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
