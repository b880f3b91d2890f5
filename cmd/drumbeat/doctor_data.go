package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/lake"
)

// dataChecks look at what the data says.
func dataChecks() []check {
	needs := []string{partFolder, partObjects, partDefinition, partLake}
	return []check{
		{name: "dead-letters", what: "records that could not be taken in, and why", needs: needs, fleet: checkDeadLetters},
		{name: "lost-records", what: "records that the topic let go of before they were read", needs: needs, fleet: checkLost},
		{name: "set-aside", what: "items that were late, doubled, rejected or from the future", needs: needs, fleet: checkAside},
		{name: "event-times", what: "no reading is newer than its arrival or the wall clock (T5)", needs: needs, fleet: checkEventTimes},
		{name: "silent-machines", what: "machines in the logs or the list that never sent a reading", needs: needs, fleet: checkNeverSent},
		{name: "failure-log", what: "up to when the failure log is complete (L2)", needs: needs, fleet: checkFailureLog},
		{name: "failure-rate", what: "the failure log did not just stop", needs: needs, fleet: checkFailureRate},
	}
}

const (
	// someDead and manyDead are shares of items: a few are always wrong, a
	// fifth is a gateway that speaks another format.
	someDead, manyDead = 0.01, 0.2
	// topReasons is how many reasons a sentence holds.
	topReasons = 3
)

func checkDeadLetters(ctx context.Context, e *exam, p *patient) verdict {
	bronze, err := p.table(ctx, "bronze")
	if err != nil || bronze == nil {
		return skipped("bronze does not read")
	}
	letters, err := p.table(ctx, "dead_letters")
	if err != nil {
		return e.unreadable(err)
	}
	reasons, err := counted(ctx, letters, "reason")
	if err != nil {
		return e.unreadable(err)
	}
	dead := total(reasons)
	v := found("%d of %d items", dead, dead+bronze.Snapshot().Rows())
	if dead > 0 {
		v.Found += ": " + most(reasons, topReasons)
	}
	share := float64(dead) / max(1, float64(dead+bronze.Snapshot().Rows()))
	mend := fmt.Sprintf("correct what sends them, or the fields that %s names", p.home(fleet.FileName))
	switch {
	case share > manyDead:
		return v.bad("%s", mend)
	case share > someDead:
		return v.but("%s", mend)
	}
	return v
}

// lostFor is how long lost records are a fault: the usual longest window, in
// which they are missing.
const lostFor = 7 * 24 * time.Hour

func checkLost(ctx context.Context, e *exam, p *patient) verdict {
	lost, err := p.lake.AllLost(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	if len(lost) == 0 {
		return good("none")
	}
	v := found("%s", lostText(lost))
	if fresh := recentlyLost(lost, e.now()); len(fresh) == 0 {
		return v
	}
	return v.bad("keep records in the topic for longer than the longest outage (retention.ms), and send again what machines or gateways still have")
}

// recentlyLost returns the gaps that windows still miss.
func recentlyLost(lost []lake.Lost, now time.Time) []lake.Lost {
	return slices.DeleteFunc(slices.Clone(lost), func(l lake.Lost) bool { return now.Sub(l.Noticed.Std()) > lostFor })
}

func lostText(lost []lake.Lost) string {
	records := int64(0)
	for i := range lost {
		records += lost[i].Records()
	}
	last := &lost[len(lost)-1]
	after := ""
	if last.After != drumbeat.NoTime {
		after = ", after " + momentText(last.After)
	}
	return fmt.Sprintf("%d records in %d gaps were gone from the topic before they were read; the last gap: offsets %d to %d of partition %d%s, noticed %s",
		records, len(lost), last.Position.Offset, last.Until-1, last.Position.Partition, after, momentText(last.Noticed))
}

func total(counts map[string]int64) int64 {
	var n int64
	for _, count := range counts {
		n += count
	}
	return n
}

func checkAside(ctx context.Context, e *exam, p *patient) verdict {
	bronze, err := p.table(ctx, "bronze")
	if err != nil || bronze == nil {
		return skipped("bronze does not read")
	}
	aside, err := p.table(ctx, "silver/aside")
	if err != nil {
		return e.unreadable(err)
	}
	fates, err := counted(ctx, aside, "fate")
	if err != nil {
		return e.unreadable(err)
	}
	rows := bronze.Snapshot().Rows()
	v := found("%d of %d items", total(fates), rows)
	if len(fates) > 0 {
		v.Found += ": " + most(fates, len(fates))
	}
	for _, bound := range []struct {
		fate  drumbeat.Fate
		share float64 // above it, something is wrong
		mend  string
	}{
		{drumbeat.FateFuture, 0.01, "set the clocks of the machines or gateways that send them"},
		{drumbeat.FateLate, 0.02, "find what holds the readings back, or raise allowed_lateness in " + p.home(fleet.FileName) + " (a new data folder)"},
		{drumbeat.FateRejected, 0.02, "see which sensor's bounds reject them: out_of_range in " + p.home(fleet.FileName)},
		{drumbeat.FateDuplicate, 0.25, "find what sends the same readings again and again"},
	} {
		if n := fates[bound.fate.String()]; float64(n) > bound.share*float64(rows) {
			v.Found += fmt.Sprintf("; more than %g %% %s", bound.share*100, bound.fate)
			return v.but("%s", bound.mend)
		}
	}
	return v
}

func checkEventTimes(ctx context.Context, e *exam, p *patient) verdict {
	readings, err := p.table(ctx, readingsTable)
	if err != nil || readings == nil {
		return skipped("silver does not read")
	}
	event, arrival := latest(readings.Snapshot(), "event_time"), latest(readings.Snapshot(), "arrival_time")
	if event == drumbeat.NoTime {
		return skipped("there are no readings yet")
	}
	wall := drumbeat.At(e.now())
	if p.def.Clock == fleet.ClockWall && max(event, arrival) > wall.Add(clockSlack) {
		return found("the newest reading is of %s, which has not come yet", momentText(max(event, arrival))).bad(setClock)
	}
	const future = 5 * time.Minute // T5
	if event > arrival.Add(future) {
		return found("a reading of %s is newer than everything that arrived (%s)", momentText(event), momentText(arrival)).
			bad("restore %s from a backup: refine never keeps such a reading", folderPath(e.dir, objectDir))
	}
	return good("the newest reading is of %s, arrived by %s", momentText(event), momentText(arrival))
}

func checkNeverSent(ctx context.Context, e *exam, p *patient) verdict {
	spans, err := p.heard(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	never := map[drumbeat.MachineID]bool{}
	machines, err := p.lake.Machines(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	entries, err := p.lake.Entries(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	for _, item := range append(machines, entries...) {
		if _, sent := spans[item.Machine]; !sent {
			never[item.Machine] = true
		}
	}
	if len(never) > 0 {
		return found("%d machines are in the logs or the list and never sent: %s", len(never), some(slices.Sorted(maps.Keys(never)))).
			but("connect them, or correct their ids where they are written: the same machine has one id everywhere")
	}
	return good("all %d machines have sent readings", len(spans))
}

// longAgo is how far a complete log may lie behind the readings, beyond what
// its labels look ahead: a month's report may come late.
const longAgo = 31 * 24 * time.Hour

func checkFailureLog(ctx context.Context, e *exam, p *patient) verdict {
	truth, err := p.truth(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	to, now := truth.CompleteTo(), truth.FleetNow()
	switch {
	case now == drumbeat.NoTime:
		return skipped("there are no readings yet")
	case to == drumbeat.NoTime:
		return found("nobody says up to when it is complete, so no row is negative and nothing can be learnt").
			bad("write failure_log: continuous (every failure is entered) or complete_to: DATE into %s", p.home(fleet.FileName))
	case now.Sub(to) > p.def.Label.Horizon+p.def.Label.ReportingLag+longAgo:
		return found("complete to %s, %s before the newest reading: later rows have no label", momentText(to), durationText(now.Sub(to))).
			but("bring the failure log up to date, and complete_to in %s (or send a watermark) with it", p.home(fleet.FileName))
	}
	return good("complete to %s; %d failures", momentText(to), len(truth.Failures()))
}

const (
	// fewFailures are too few to know a rate by.
	fewFailures = 5
	// oddSilence is how improbable a silence is that is no chance.
	oddSilence = 0.001
)

// checkFailureRate takes failures as a Poisson process: a silence of d at a
// rate of r has the probability exp(-r·d).
func checkFailureRate(ctx context.Context, e *exam, p *patient) verdict {
	truth, err := p.truth(ctx)
	if err != nil {
		return e.unreadable(err)
	}
	failures := truth.Failures()
	if len(failures) < fewFailures {
		return skipped("%d failures are too few to know a rate by", len(failures))
	}
	times := make([]drumbeat.Time, len(failures))
	for i := range failures {
		times[i] = failures[i].At
	}
	slices.Sort(times)
	first, last := times[0], times[len(times)-1]
	until := truth.FleetNow()
	if to := truth.CompleteTo(); to != drumbeat.NoTime {
		until = min(until, to)
	}
	span, silence := last.Sub(first), until.Sub(last)
	if span <= 0 {
		return skipped("all failures are of one moment")
	}
	perDay := float64(len(times)-1) / (span.Hours() / 24)
	if chance := math.Exp(-perDay * silence.Hours() / 24); chance < oddSilence {
		return found("%.2f failures a day until %s, none in the %s since: the log seems to have stopped",
			perDay, momentText(last), durationText(silence)).
			but("see that failures still reach the log; until they do, write complete_to: %s into %s",
				last.Std().Format(time.DateOnly), p.home(fleet.FileName))
	}
	return good("%.2f failures a day, the last %s", perDay, momentText(last))
}
