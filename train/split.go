package train

import (
	"fmt"
	"math"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/label"
)

// Split parts rows in time, with a gap of at least the horizon between the
// parts, so that no label of one looks into the next (L4).
type Split struct {
	Pinned bool    `json:"pinned"` // by the fleet file, else chosen
	Gap    string  `json:"gap"`    // the horizon
	Spans  [3]Span `json:"spans"`  // train, validation, test
}

// Span is the times [From, Until) of a part, and how many failures fell into
// what its labels see.
type Span struct {
	Part     string        `json:"part"`
	From     drumbeat.Time `json:"from"`
	Until    drumbeat.Time `json:"until"`
	Failures int           `json:"failures"`
}

// The parts of the time that a chosen split gives to training and to
// validation, gaps apart; the test has the rest. Training wants most, and 22 %
// of a quarter's failures are enough to measure with a wide interval.
const (
	shareTrain      = 0.60
	shareValidation = 0.18
)

// leastTime is how many horizons of labelled rows a chosen split needs: two
// gaps, and some of each part.
const leastTime = 4

func splitOf(d *Dataset, in Input) (Split, error) {
	horizon := in.Truth.Horizon()
	times := make([]drumbeat.Time, 0, len(d.Rows))
	for i := range d.Rows {
		if d.Rows[i].Verdict.Value != label.Unknown {
			times = append(times, d.Rows[i].AsOf)
		}
	}
	if len(times) == 0 {
		return Split{}, fmt.Errorf("split: %s: %w", unlabelled(d, in), drumbeat.ErrInvalid)
	}
	slices.Sort(times)
	first, last := times[0], times[len(times)-1]
	s := Split{Gap: horizonText(in.Fleet, horizon)}
	var at [4]drumbeat.Time // ends of train and validation, start of the test, its end
	if pin := in.Fleet.Split; pin != nil {
		s.Pinned = true
		at = [4]drumbeat.Time{pin.TrainUntil, pin.TestFrom.Add(-horizon), pin.TestFrom, pin.TestUntil}
		if pin.TestUntil == drumbeat.NoTime {
			at[3] = last + 1
		}
	} else {
		if last.Sub(first) < leastTime*horizon {
			return Split{}, fmt.Errorf("split: labelled rows span %s (%s to %s), at least %d horizons of %s are needed: "+
				"wait, or train for a shorter horizon%s: %w",
				last.Sub(first).Round(time.Hour), first, last, leastTime, s.Gap, also(stopped(in)), drumbeat.ErrInvalid)
		}
		at = chosen(times, horizon, in.Fleet.TrainGrid)
	}
	for p, span := range [3][2]drumbeat.Time{
		{first, at[0]}, {at[0].Add(horizon), at[1]}, {at[2], at[3]},
	} {
		s.Spans[p] = Span{Part: partName(p), From: span[0], Until: span[1]}
		if span[0] >= span[1] {
			return Split{}, fmt.Errorf("split: no time is left for the %s rows (%s to %s) beside gaps of %s: %w",
				partName(p), span[0], span[1], s.Gap, drumbeat.ErrInvalid)
		}
	}
	for _, failure := range in.Truth.Failures() {
		for p := range s.Spans {
			if failure.At > s.Spans[p].From && failure.At <= s.Spans[p].Until.Add(horizon) {
				s.Spans[p].Failures++
			}
		}
	}
	return s, nil
}

// unlabelled says why no row has a known label, and what to do.
func unlabelled(d *Dataset, in Input) string {
	switch {
	case d.Counts.Grid == 0:
		return fmt.Sprintf("gold of view %s has no rows: refine and backfill first", in.View.Name)
	case d.Counts.WarmingUp == d.Counts.Grid:
		return fmt.Sprintf("each of the %d rows was warming up: wait until the history is longer than min_history", d.Counts.Grid)
	}
	return fmt.Sprintf("none of the %d rows has a known label (%d were warming up), and the failure log is complete to %s: "+
		"wait until it is complete for a horizon of %s after them%s", d.Counts.Grid, d.Counts.WarmingUp,
		in.Truth.CompleteTo(), horizonText(in.Fleet, in.Truth.Horizon()), also(stopped(in)))
}

// stopped says that the failure log lags behind the fleet's clock by more than
// reporting and labels explain, and what to do; else "".
func stopped(in Input) string {
	to, now := in.Truth.CompleteTo(), in.Truth.FleetNow()
	if to == drumbeat.NoTime || now == drumbeat.NoTime || now.Sub(to) <= in.Fleet.Label.ReportingLag+in.Truth.Horizon() {
		return ""
	}
	return fmt.Sprintf("the failure log is complete only to %s, %.0f days before the fleet's clock, and no row since then is negative: "+
		"send what it lacks and a watermark, or mend failure_log in the fleet file", to, now.Sub(to).Hours()/24)
}

// also joins a further sentence, if there is one.
func also(sentence string) string {
	if sentence == "" {
		return ""
	}
	return "; " + sentence
}

// chosen cuts where the rows are, not the calendar: a fleet that grows has
// most of its rows at the end. Cuts fall on the training grid.
func chosen(times []drumbeat.Time, horizon, grid time.Duration) [4]drumbeat.Time {
	first, last := times[0], times[len(times)-1]
	total := last.Sub(first)
	free := total - 2*horizon
	// quantile is the time before which that share of the rows lies, where the
	// gaps are taken out evenly: a cut by rows, but never into a gap.
	quantile := func(share float64) time.Duration {
		byRows := times[int(math.Round(share*float64(len(times)-1)))].Sub(first)
		return time.Duration(float64(byRows) / float64(total) * float64(free))
	}
	cut := func(d time.Duration) drumbeat.Time { return first.Add(d.Truncate(grid)) }
	train, validation := quantile(shareTrain), quantile(shareTrain+shareValidation)
	return [4]drumbeat.Time{
		cut(train), cut(validation + horizon), cut(validation + 2*horizon), last + 1,
	}
}

// part returns the part that a row as of t belongs to.
func (s *Split) part(t drumbeat.Time) (int, bool) {
	for p := range s.Spans {
		if t >= s.Spans[p].From && t < s.Spans[p].Until {
			return p, true
		}
	}
	return 0, false
}

func (s *Split) span(p int) string {
	return fmt.Sprintf("%s to %s", s.Spans[p].From, s.Spans[p].Until)
}
