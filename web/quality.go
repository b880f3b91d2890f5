package web

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"drumbeat"
)

// Quality is what became of what arrived.
type Quality struct {
	Days []QualityDay // oldest first; the page shows the last 30
	// Silent are the machines that should report and do not (A3).
	Silent []Silent
}

// QualityDay is one UTC day of arrival. Every item has exactly one fate (T8).
type QualityDay struct {
	Day      drumbeat.Time // its start
	Machines int           // heard of

	Kept, Late, Duplicate, Future, Rejected, Undecodable, UnknownMachine int64

	Flags []SensorFlags // one for each of the fleet's Sensors, in their order
}

// SensorFlags is how often a sensor's values of a day were flagged (V1, T3).
// A reading can be flagged more than once.
type SensorFlags struct {
	Values                    int64 // kept
	Clipped, Nulled, Conflict int64
	Stuck, Jump               int64
	Missing                   int64 // readings kept without this sensor
}

// Silent is a machine that is not watched.
type Silent struct {
	Machine  drumbeat.MachineID
	Since    drumbeat.Time // when it counted as silent
	LastSeen drumbeat.Time // its newest reading, NoTime without one
}

// qualityView is the page of data quality.
type qualityView struct {
	Headline, Under string
	Unusual         []string     // sentences
	Days            []QualityDay // newest first
	Fates           []string
	Sensors         []flagLine // over all days shown
	MoreSensors     int
	Silent          []Silent
	MoreSilent      int
	Plots           string
	PlotNames       []string
}

// flagLine is a sensor's flags over the days shown.
type flagLine struct {
	Sensor Sensor
	SensorFlags
}

const (
	maxQualityDays = 30
	maxSilent      = 100
	qualityRest    = 60
)

// fate is one way in which an item can end (T8).
type fate struct {
	word, means string
	did         string // in a sentence: items that came late
	of          func(d *QualityDay) int64
}

// fates are all, what is kept first.
//
//nolint:gochecknoglobals // a constant table
var fates = [...]fate{
	{"Kept", "went on to the model", "were kept", func(d *QualityDay) int64 { return d.Kept }},
	{"Duplicate", "had arrived before", "had arrived before", func(d *QualityDay) int64 { return d.Duplicate }},
	{"Late", "arrived too long after it was measured", "came late", func(d *QualityDay) int64 { return d.Late }},
	{"Future", "claims a time that has not come: a clock is wrong", "claimed a time to come", func(d *QualityDay) int64 { return d.Future }},
	{"Rejected", "a value that a sensor cannot have", "were rejected", func(d *QualityDay) int64 { return d.Rejected }},
	{"Undecodable", "cannot be read at all", "could not be read", func(d *QualityDay) int64 { return d.Undecodable }},
	{"Unknown machine", "from a machine that nobody announced", "came from unknown machines", func(d *QualityDay) int64 { return d.UnknownMachine }},
}

// flag is one mark that a value can carry (V1, T3).
type flag struct {
	word, means string
	did         string // in a sentence: values that were clipped
	of          func(f *SensorFlags) int64
}

//nolint:gochecknoglobals // a constant table
var flags = [...]flag{
	{"Missing", "readings without this sensor", "were missing", func(f *SensorFlags) int64 { return f.Missing }},
	{"Clipped", "beyond the physical limits, cut to them", "were clipped", func(f *SensorFlags) int64 { return f.Clipped }},
	{"Nulled", "beyond the physical limits, left out", "were left out", func(f *SensorFlags) int64 { return f.Nulled }},
	{"Conflict", "the same time came twice with another value", "contradicted earlier ones", func(f *SensorFlags) int64 { return f.Conflict }},
	{"Stuck", "the same value for too long", "were stuck", func(f *SensorFlags) int64 { return f.Stuck }},
	{"Jump", "further from the value before than can be", "jumped", func(f *SensorFlags) int64 { return f.Jump }},
}

// Items is everything that arrived on a day.
func (d *QualityDay) Items() int64 {
	var sum int64
	for _, f := range fates {
		sum += f.of(d)
	}
	return sum
}

// cell is a count with its rate.
type cell struct {
	N    int64
	Rate float64
}

// Zero says that there is nothing to see.
func (c cell) Zero() bool { return c.N == 0 }

// Cells are the day's items by fate, in the order of the table's heads.
func (d QualityDay) Cells() []cell {
	var list []cell
	for _, f := range fates {
		n := f.of(&d)
		list = append(list, cell{n, rate(n, d.Items())})
	}
	return list
}

// Cells are the sensor's flags, in the order of the table's heads.
func (l flagLine) Cells() []cell {
	var list []cell
	for _, f := range flags {
		n, of := f.of(&l.SensorFlags), l.Values
		if f.word == "Missing" {
			of += n // of the readings, not of the values that there are
		}
		list = append(list, cell{n, rate(n, of)})
	}
	return list
}

func (b *board) quality(ctx context.Context) (Quality, error) {
	if b.source.Quality == nil {
		return Quality{}, nil
	}
	q, err := b.source.Quality(ctx)
	if err != nil {
		return Quality{}, fmt.Errorf("read the quality of the data: %w", err)
	}
	return q, nil
}

// qualityPage shows what became of what arrived.
func (b *board) qualityPage(w http.ResponseWriter, r *http.Request) error {
	q, err := b.quality(r.Context())
	if err != nil {
		return err
	}
	days := q.Days[max(0, len(q.Days)-maxQualityDays):]
	v := &qualityView{Silent: slices.Clone(q.Silent), Unusual: b.unusual(days)}
	for _, day := range slices.Backward(days) {
		v.Days = append(v.Days, day)
	}
	slices.SortFunc(v.Silent, func(x, y Silent) int { return cmp.Compare(x.LastSeen, y.LastSeen) })
	if n := len(v.Silent) - maxSilent; n > 0 {
		v.Silent, v.MoreSilent = v.Silent[:maxSilent], n
	}
	v.Sensors = b.flagLines(days)
	if n := len(v.Sensors) - maxSensors; n > 0 {
		v.Sensors, v.MoreSensors = v.Sensors[:maxSensors], n
	}
	plots := b.qualityPlots(days)
	for i := range plots {
		v.PlotNames = append(v.PlotNames, plots[i].Name)
	}
	if v.Plots, err = plotData(plots); err != nil {
		return err
	}
	v.Headline, v.Under = qualityHeadline(v, days)
	return b.show(w, r, http.StatusOK, "quality", &page{Title: v.Headline, Here: "quality", Follow: true, Rest: qualityRest, Main: v})
}

// Heads and FlagHeads are the columns of the two tables.
func (v *qualityView) Heads() []fateHead {
	var list []fateHead
	for _, f := range fates {
		list = append(list, fateHead{f.word, f.means})
	}
	return list
}

// FlagHeads are the columns of the sensors' table.
func (v *qualityView) FlagHeads() []fateHead {
	var list []fateHead
	for _, f := range flags {
		list = append(list, fateHead{f.word, f.means})
	}
	return list
}

// fateHead is the head of a column, with what it means.
type fateHead struct{ Word, Means string }

// flagLines sums the flags of each sensor over the days.
func (b *board) flagLines(days []QualityDay) []flagLine {
	list := make([]flagLine, len(b.source.Fleet.Sensors))
	for i, s := range b.source.Fleet.Sensors {
		list[i].Sensor = b.sensor(s.Name)
		for d := range days {
			if i < len(days[d].Flags) {
				list[i].add(&days[d].Flags[i])
			}
		}
	}
	return list
}

func (f *SensorFlags) add(g *SensorFlags) {
	f.Values += g.Values
	f.Clipped += g.Clipped
	f.Nulled += g.Nulled
	f.Conflict += g.Conflict
	f.Stuck += g.Stuck
	f.Jump += g.Jump
	f.Missing += g.Missing
}

// series is a share that is followed by day.
type series struct {
	name      string
	what, did string // vibration values, jumped
	of, among func(d *QualityDay) int64
}

// followed lists the shares that are worth a line: every fate but the good
// one, and every flag of every sensor.
func (b *board) followed() []series {
	var list []series
	for _, f := range fates[1:] {
		list = append(list, series{f.word, "items", f.did, f.of, (*QualityDay).Items})
	}
	for i, s := range b.source.Fleet.Sensors {
		title := b.sensor(s.Name).Title
		for _, f := range flags {
			word := strings.ToLower(f.word)
			of := func(d *QualityDay) int64 {
				if i >= len(d.Flags) {
					return 0
				}
				return f.of(&d.Flags[i])
			}
			among := func(d *QualityDay) int64 {
				if i >= len(d.Flags) {
					return 0
				}
				if word == "missing" {
					return d.Flags[i].Values + d.Flags[i].Missing
				}
				return d.Flags[i].Values
			}
			list = append(list, series{title + ": " + word, title + " values", f.did, of, among})
		}
	}
	return list
}

// leastPlotted is the share below which a line would be flat.
const leastPlotted = 0.002

// qualityPlots draws what arrived, and each share that was ever worth a line.
func (b *board) qualityPlots(days []QualityDay) []plot {
	if len(days) == 0 {
		return nil
	}
	all := plot{Name: "Everything", Title: "items that arrived", Unit: "a day", Zero: true}
	for i := range days {
		n := float64(days[i].Items())
		all.Times, all.Values = append(all.Times, daySeconds(days[i].Day)), append(all.Values, &n)
	}
	newest := &days[len(days)-1]
	all.Summary = fmt.Sprintf("Items that arrived each day; %s so far on %s.", number(newest.Items()), plainDate(newest.Day))
	list := []plot{all}
	for _, s := range b.followed() {
		p := plot{Name: s.name, Title: s.what + " that " + s.did, Unit: "%", Decimals: 2, Zero: true, Times: all.Times}
		var k, n int64
		most := 0.0
		for i := range days {
			share := rate(s.of(&days[i]), s.among(&days[i]))
			p.Values = append(p.Values, orNull(100*share))
			k, n = k+s.of(&days[i]), n+s.among(&days[i])
			if share > most { // never of NaN
				most = share
			}
		}
		if most < leastPlotted || len(list) >= maxPlots {
			continue
		}
		p.Summary = fmt.Sprintf("Share of %s that %s, by day; %s of %s in all.", s.what, s.did, number(k), number(n))
		list = append(list, p)
	}
	return list
}

// What counts as unusual: a whole day's share beyond three times what is usual
// here, by at least half a per cent and twenty cases, or less than half of the
// usual number of items. Usual is the median of the days before, of which
// there must be a week: with fewer, nothing is.
const (
	unusualTimes  = 3
	unusualShare  = 0.005
	unusualCases  = 20
	unusualBefore = 7
	unusualRecent = 3 // of the last so many whole days
)

// unusual says what stands out on the last whole days. The newest day is not
// whole.
func (b *board) unusual(days []QualityDay) []string {
	var list []string
	for at := len(days) - 2; at >= unusualBefore && at > len(days)-2-unusualRecent; at-- {
		day, before := &days[at], days[:at]
		usual := median(before, func(d *QualityDay) float64 { return float64(d.Items()) })
		if n := float64(day.Items()); n < usual/2 {
			list = append(list, fmt.Sprintf("On %s, only %s items arrived; %s is usual.", dayName(day.Day), number(day.Items()), decimals(usual, 0)))
		}
		for _, s := range b.followed() {
			k, n := s.of(day), s.among(day)
			usual := median(before, func(d *QualityDay) float64 { return rate(s.of(d), s.among(d)) })
			if math.IsNaN(usual) {
				usual = 0
			}
			if now := rate(k, n); k >= unusualCases && now >= unusualTimes*usual && now >= usual+unusualShare {
				list = append(list, fmt.Sprintf("On %s, %s of the %s %s (%s of %s); %s is usual.",
					dayName(day.Day), share(now), s.what, s.did, number(k), number(n), share(usual)))
			}
		}
	}
	return list[:min(len(list), maxUnusual)]
}

// maxUnusual bounds the sentences: beyond it everything is unusual.
const maxUnusual = 12

// median of a figure over days, skipping what is unknown.
func median(days []QualityDay, of func(d *QualityDay) float64) float64 {
	var list []float64
	for i := range days {
		if x := of(&days[i]); !math.IsNaN(x) {
			list = append(list, x)
		}
	}
	if len(list) == 0 {
		return math.NaN()
	}
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// dayName writes a day of this month as people say it.
func dayName(t drumbeat.Time) string { return t.Std().Format("Mon 2 Jan") }

func qualityHeadline(v *qualityView, days []QualityDay) (first, second string) {
	silent := len(v.Silent) + v.MoreSilent
	switch {
	case len(days) == 0 && silent == 0:
		return "Nothing has arrived yet", "Send readings to the fleet's topic, or import a file: the first day appears here at once."
	case len(v.Unusual) > 0:
		first = count(len(v.Unusual), "thing is unusual", "things are unusual")
	case silent > 0:
		first = count(silent, "machine is not watched", "machines are not watched")
	case len(days) <= unusualBefore+1:
		first = "Too early to say what is usual"
	default:
		first = "Nothing unusual"
	}
	var items, kept int64
	for i := range days {
		items, kept = items+days[i].Items(), kept+days[i].Kept
	}
	second = fmt.Sprintf("%s arrived in the last %s; %s were kept and went on to the model.",
		number(items)+" "+pluralOf(items, "item", "items"), count(len(days), "day", "days"), share(rate(kept, items)))
	return first, second
}
