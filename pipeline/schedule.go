package pipeline

import (
	"context"
	"fmt"
	"slices"
	"time"

	"drumbeat"
)

// retryFailed is when a scheduled run that failed is due again, if the next
// period does not end before: the trouble of a day has passed then, and nobody
// waits for a month.
const retryFailed = 24 * time.Hour

// Due says whether a period of length every has ended since last, and when the
// newest one did: a clock that jumps over many makes one run due. A clock that
// stands or falls, or has not begun, makes none, and a period of 0 never ends.
// Without a last time, the first run is due now.
func Due(last, now drumbeat.Time, every time.Duration) (since drumbeat.Time, due bool) {
	period := drumbeat.Time(every.Microseconds())
	switch {
	case now == drumbeat.NoTime || period <= 0:
		return drumbeat.NoTime, false
	case last == drumbeat.NoTime:
		return now, true
	case now < last.Add(every):
		return drumbeat.NoTime, false
	}
	return now - (now-last)%period, true
}

// Scheduled says whether a scheduled run of a graph and fleet is due, with the
// reason to ask for it. Periods follow the last run that did not fail, whatever
// its reason, or from if that is later: the time of the first model, say;
// without either, the first is due now. They keep step with the schedule, not
// with the polls that meet it. A scheduled run that failed is due again the
// next day.
func (r *Runner) Scheduled(
	ctx context.Context, graph string, fleet drumbeat.FleetName, every time.Duration, from drumbeat.Time,
) (Reason, bool, error) {
	runs, err := r.store.List(ctx, Query{Graph: graph, Fleet: fleet})
	if err != nil {
		return Reason{}, false, fmt.Errorf("look for the last run of %s of %s: %w", graph, fleet, err)
	}
	if slices.ContainsFunc(runs, func(run Run) bool { return run.State == Running }) {
		return Reason{}, false, nil
	}
	wait := every
	counts := func(run Run) bool { return run.State == Done || run.Reason.Kind == Schedule }
	if i := slices.IndexFunc(runs, counts); i >= 0 { // the last one that does
		last := runs[i].Requested.Fleet
		if runs[i].Reason.Kind == Schedule {
			last = runs[i].Reason.Since
		}
		if last >= from && runs[i].State == Failed {
			wait = min(every, retryFailed)
		}
		from = max(from, last)
	}
	since, due := Due(from, r.opt.FleetNow(fleet), wait)
	return Reason{
		Kind: Schedule, Subject: graph, Since: since, Detail: fmt.Sprintf("every %s", every),
	}, due, nil
}
