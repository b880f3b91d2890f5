package monitor

import (
	"fmt"
	"math"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/label"
)

// When a log is taken for silent. quietGaps bounds how far back its rate is
// taken from, fewestGaps how few say anything. chanceOfQuiet is low because the
// question is asked every day.
const (
	quietGaps     = 200
	fewestGaps    = 9
	chanceOfQuiet = 0.001
)

// logSilence says why the failure log cannot be relied on, "" if it can.
func logSilence(truth *label.Truth, f *fleet.Fleet) string {
	to, now := truth.CompleteTo(), truth.FleetNow().Add(-f.Label.ReportingLag)
	if to == drumbeat.NoTime {
		return "nobody says up to when the failure log is complete, so no machine is known to have stayed well; " +
			"declare failure_log: continuous or complete_to, or send watermarks."
	}
	if behind := now.Sub(to); behind > truth.Horizon() {
		return fmt.Sprintf("the failure log is complete to %s only, %.0f days behind: send what is missing, or a watermark.",
			day(to), behind.Hours()/24)
	}
	last, due := quiet(truth, now)
	if due == 0 {
		return ""
	}
	return fmt.Sprintf("the failure log holds no failure since %s, though about %.0f were due at the rate before: "+
		"find out whether it is still fed.", day(last), due)
}

// quiet returns when the last failure was and how many were due since, if that
// is more than chance explains: with exponential gaps, none comes for a time T
// after n gaps of together S with probability (1 + T/S)^-n (the ratio follows
// the F distribution of 2 and 2n degrees of freedom). 0 due means that nothing
// is odd. A repair counts like a failure: who repairs in time has none to log.
func quiet(truth *label.Truth, now drumbeat.Time) (last drumbeat.Time, due float64) {
	var times []drumbeat.Time
	for _, events := range [][]label.Event{truth.Failures(), truth.Repairs()} {
		for i := range events {
			if events[i].At <= now {
				times = append(times, events[i].At)
			}
		}
	}
	slices.Sort(times)
	times = times[max(len(times)-quietGaps-1, 0):]
	gaps := len(times) - 1
	if gaps < fewestGaps {
		return drumbeat.NoTime, 0
	}
	last = times[gaps]
	before, since := last.Sub(times[0]).Hours(), now.Sub(last).Hours()
	if before <= 0 || math.Pow(1+since/before, -float64(gaps)) >= chanceOfQuiet {
		return last, 0
	}
	return last, float64(gaps) * since / before
}
