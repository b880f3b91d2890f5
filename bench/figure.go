package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// figure is one result. Ratio is ours against the peer's, above 1 is better
// for us; without a peer it is the value against the goal.
type figure struct {
	ID       string   `json:"id"`
	Work     string   `json:"work"`
	Unit     string   `json:"unit"`
	Ours     float64  `json:"ours"`
	Peer     float64  `json:"peer,omitempty"`
	PeerName string   `json:"peer_name,omitempty"`
	Ratio    float64  `json:"ratio"`
	Goal     string   `json:"goal"`
	Met      bool     `json:"met"`
	Runs     int      `json:"runs"`
	Note     string   `json:"note,omitempty"`
	Series   []sample `json:"series,omitempty"`
	// Where and when.
	Date  string `json:"date"`
	Cores int    `json:"cores"`
	Go    string `json:"go"`
}

// record replaces a benchmark's figures in benchmarks.json and writes
// benchmarks.md anew.
func record(docs string, bm benchmark, figures []figure) error {
	name := filepath.Join(docs, "benchmarks.json")
	var all []figure
	text, err := os.ReadFile(name) //nolint:gosec // the caller's own folder
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	all = slices.DeleteFunc(all, func(f figure) bool { return f.ID == bm.id })
	for i := range figures {
		figures[i].Date = time.Now().UTC().Format(time.DateOnly)
		figures[i].Cores, figures[i].Go = runtime.NumCPU(), runtime.Version()
	}
	all = append(all, figures...)
	slices.SortStableFunc(all, func(a, b figure) int { return strings.Compare(a.ID, b.ID) })
	if text, err = json.MarshalIndent(all, "", "  "); err != nil {
		return err
	}
	if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil { //nolint:gosec // a page to be read
		return fmt.Errorf("write the figures: %w", err)
	}
	page := filepath.Join(docs, "benchmarks.md")
	if err := os.WriteFile(page, []byte(render(all)), 0o644); err != nil { //nolint:gosec // a page to be read
		return fmt.Errorf("write the figures: %w", err)
	}
	return nil
}

const pageHead = `# Benchmarks

Written by ` + "`make bench`" + ` (` + "`make bench ID=P12`" + ` runs one, ` + "`make soak`" + ` the long ones); the same figures stand in benchmarks.json. Each side ran in processes of its own, by turns, on the same data; medians. A ratio above 1 is better for us.
The machines are small and noisy: compare ratios, not times.

| id | work | ours | peer | ratio | goal | met | runs | measured |
|---|---|---|---|---|---|---|---|---|
`

func render(all []figure) string {
	var page strings.Builder
	page.WriteString(pageHead)
	for i := range all {
		f := &all[i]
		peer := "–"
		if f.PeerName != "" {
			peer = fmt.Sprintf("%s %s (%s)", number(f.Peer), f.Unit, f.PeerName)
		}
		met := "no"
		if f.Met {
			met = "yes"
		}
		fmt.Fprintf(&page, "| %s | %s | %s %s | %s | %.2f | %s | %s | %d | %s, %d cores, %s |\n",
			f.ID, f.Work, number(f.Ours), f.Unit, peer, f.Ratio, f.Goal, met, f.Runs, f.Date, f.Cores, f.Go)
	}
	for i := range all {
		f := &all[i]
		if f.Note != "" {
			fmt.Fprintf(&page, "\n**%s, %s.** %s\n", f.ID, f.Work, f.Note)
		}
		if len(f.Series) == 0 {
			continue
		}
		page.WriteString("\n| second | readings/s | waiting | resident MB | heap MB |\n|---|---|---|---|---|\n")
		for _, s := range f.Series {
			fmt.Fprintf(&page, "| %.0f | %.0f | %d | %.0f | %.0f |\n", s.Second, s.Rate, s.Lag, s.RSS, s.Holding)
		}
	}
	return page.String()
}

// number writes three significant digits, and all of those before the point.
func number(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
