package sim

import "drumbeat"

// site is a place with its own hours, load and water. Its weather is shared
// by its machines.
type site struct {
	hours [7]span    // from Sunday; an empty span is a day off
	level [7]float64 // how full the machines are
	name  string     // used if the fleet file declares no locations
}

// span is part of a day, in minutes.
type span struct{ on, off int }

// sites are the places that machines stand in.
var sites = [4]site{ //nolint:gochecknoglobals // a constant table
	{
		name:  "city",
		hours: [7]span{{}, {360, 1320}, {360, 1320}, {360, 1320}, {360, 1320}, {360, 1320}, {420, 960}},
		level: [7]float64{0, 1, 0.95, 0.9, 0.95, 1.05, 0.8},
	},
	{
		name:  "hospital",
		hours: [7]span{{360, 1320}, {240, 1440}, {240, 1440}, {240, 1440}, {240, 1440}, {240, 1440}, {360, 1320}},
		level: [7]float64{0.7, 1, 1, 1, 1, 1, 0.75},
	},
	{
		name:  "hotel",
		hours: [7]span{{360, 1260}, {360, 1260}, {420, 1260}, {420, 1260}, {420, 1260}, {360, 1260}, {360, 1260}},
		level: [7]float64{1.1, 1.05, 0.8, 0.75, 0.8, 0.95, 1.05},
	},
	{
		name:  "industrial",
		hours: [7]span{{}, {300, 1380}, {300, 1380}, {300, 1380}, {300, 1380}, {300, 1380}, {360, 840}},
		level: [7]float64{0, 1, 1, 1, 1, 0.95, 0.7},
	},
}

const (
	minute = drumbeat.Time(60_000_000)
	hour   = 60 * minute
	day    = 24 * hour
)

// plan is when a machine runs on one day: at most two spans.
type plan struct {
	day   int64
	spans [2]span
	level float64
}

// dayOf counts days since 1970.
func dayOf(t drumbeat.Time) int64 { return floorDiv(int64(t), int64(day)) }

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// weekday of a day, 0 is Sunday; 1970 began on a Thursday.
func weekday(d int64) int { return int(((d+4)%7 + 7) % 7) }

// draw plans a day of a machine.
func draw(seed uint64, at int, night bool, d int64, s *stream) plan {
	w := weekday(d)
	st := &sites[at]
	p := plan{day: d, level: st.level[w] * (1 + 0.10*weather(seed, at, d, 1)) * (1 + 0.08*s.gauss())}
	start, end := int(12*s.gauss()), int(15*s.gauss())
	idle := s.chance(0.05)
	switch {
	case night && !idle:
		// Runs through midnight and rests over midday.
		p.spans = [2]span{{0, 480 + start}, {960 + end, 1440}}
		p.level *= 0.85
	case st.hours[w].off > 0 && !idle:
		on, off := st.hours[w].on+start, st.hours[w].off+end
		p.spans[0] = span{max(on, 0), min(off, 1440)}
	}
	return p
}

// on says whether the machine runs at a minute of the day, and how full it
// is by the shift: slow at both ends, a dip at noon.
func (p *plan) on(m int) (bool, float64) {
	for _, s := range p.spans {
		if m < s.on || m >= s.off {
			continue
		}
		shape := 1.0
		switch {
		case m-s.on < 45:
			shape = 0.7
		case s.off-m < 45:
			shape = 0.65
		case m >= 720 && m < 780:
			shape = 0.75
		}
		return true, p.level * shape
	}
	return false, 0
}
