package pipeline

import (
	"context"
	"fmt"
	"time"

	"drumbeat"
)

// retryFailed is when a scheduled run that failed is due again, if its period
// is not over before: a trouble of the day has passed, and nobody waits for a
// month.
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
// reason to ask for it. Periods follow the last run, whatever its reason, or
// from if there is none: the time of the first model, say, or NoTime to begin
// at once. They keep step with the schedule, not with the polls that meet it.
func (r *Runner) Scheduled(
	ctx context.Context, graph string, fleet drumbeat.FleetName, every time.Duration, from drumbeat.Time,
) (Reason, bool, error) {
	runs, err := r.store.List(ctx, Query{Graph: graph, Fleet: fleet, Limit: 1})
	if err != nil {
		return Reason{}, false, fmt.Errorf("look for the last run of %s of %s: %w", graph, fleet, err)
	}
	wait := every
	if len(runs) > 0 {
		last := &runs[0]
		if last.State == Running {
			return Reason{}, false, nil
		}
		from = last.Requested.Fleet
		if last.Reason.Kind == Schedule {
			from = last.Reason.Since
		}
		if last.State == Failed && every > 0 {
			wait = min(every, retryFailed)
		}
	}
	since, due := Due(from, r.opt.FleetNow(fleet), wait)
	return Reason{
		Kind: Schedule, Subject: graph, Since: since, Detail: fmt.Sprintf("every %s", every),
	}, due, nil
}
