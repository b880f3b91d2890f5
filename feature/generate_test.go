package feature_test

import (
	"strconv"

	"drumbeat"
	"drumbeat/fleet"

	"pgregory.net/rapid"
)

// stream draws the accepted items of one machine, as fleet's judge leaves
// them: no value twice, none later than twice the lateness.
type stream struct {
	rt     *rapid.T
	fleet  *fleet.Fleet
	newest drumbeat.Time
	known  map[drumbeat.Time][]bool
	times  []drumbeat.Time
	ids    int
	offset int64
}

func newStream(rt *rapid.T, f *fleet.Fleet) *stream {
	return &stream{rt: rt, fleet: f, newest: start, known: map[drumbeat.Time][]bool{}}
}

func (s *stream) draw(n int, label string) int { return rapid.IntRange(0, n-1).Draw(s.rt, label) }

// time draws an event time: mostly the next of the grid, else near one, long
// after, at a window's very edge, or out of order.
func (s *stream) time() drumbeat.Time {
	earliest := s.newest.Add(-2 * s.fleet.Lateness)
	switch s.draw(12, "when") {
	case 0:
		return s.newest + drumbeat.Time(minute*int64(s.draw(4000, "gap")))
	case 1:
		return s.newest
	case 2, 3:
		return max(earliest, s.newest-drumbeat.Time(minute*int64(s.draw(700, "back"))))
	case 4:
		if len(s.times) > 0 { // the edge of a window that begins at an earlier reading
			from := s.times[s.draw(len(s.times), "edge")]
			w := []int64{10, 60, 24 * 60, 50 * 60}[s.draw(4, "window")]
			return max(earliest, from+drumbeat.Time(w*minute+int64(s.draw(3, "beside")-1)*1000))
		}
	case 5:
		if len(s.times) > 0 { // more of a reading that is there
			return max(earliest, s.times[s.draw(len(s.times), "again")])
		}
	case 6:
		return s.newest + drumbeat.Time(1000*int64(s.draw(5, "ms")))
	}
	return s.newest + drumbeat.Time(15*minute)
}

func (s *stream) next() drumbeat.Item {
	for {
		item, ok := s.item()
		if ok {
			s.offset++
			item.Machine = "M-1"
			item.Position = drumbeat.Position{Epoch: 1, Partition: 3, Offset: s.offset / 3, Index: int32(s.offset % 3)}
			item.ArrivalTime = max(item.EventTime, s.newest) + drumbeat.Time(s.draw(1000, "delay")*1000)
			if item.Kind == drumbeat.KindMachine {
				item.EventTime = item.ArrivalTime - drumbeat.Time(minute*int64(s.draw(100, "load")))
			}
			return item
		}
	}
}

func (s *stream) item() (drumbeat.Item, bool) {
	switch s.draw(14, "kind") {
	case 0, 1:
		return s.entry(), true
	case 2:
		return drumbeat.Item{Kind: drumbeat.KindMachine, Static: []string{
			rapid.SampledFrom([]string{"north", "south", "", "moon"}).Draw(s.rt, "site"),
			rapid.SampledFrom([]string{"", "23.9", "24", "60", "1e3", "old"}).Draw(s.rt, "age"),
		}}, true
	}
	t := s.time()
	values, flags, ok := s.values(t)
	if !ok {
		return drumbeat.Item{}, false
	}
	if s.known[t] == nil {
		s.known[t] = make([]bool, len(values))
		s.times = append(s.times, t)
	}
	for i, x := range values {
		s.known[t][i] = s.known[t][i] || x != drumbeat.Missing
	}
	if s.newest = max(s.newest, t); len(s.times) == 1 {
		s.newest = s.times[0] // start was no reading's time
	}
	return drumbeat.Item{EventTime: t, Values: values, Flags: flags}, true
}

func (s *stream) values(t drumbeat.Time) (values []int64, flags []drumbeat.Flag, says bool) {
	values = make([]int64, len(s.fleet.Sensors))
	flags = make([]drumbeat.Flag, len(values))
	for i := range values {
		sensor := &s.fleet.Sensors[i]
		values[i] = drumbeat.Missing
		if s.known[t] != nil && s.known[t][i] || s.draw(5, "missing") == 0 {
			continue
		}
		says = true
		switch s.draw(4, "size") {
		case 0:
			values[i] = rapid.Int64Range(sensor.Min, sensor.Max).Draw(s.rt, "value")
		case 1:
			values[i] = sensor.Max
		case 2:
			values[i] = sensor.Min
		default:
			values[i] = min(sensor.Max, int64(s.draw(3, "small")*400))
		}
		flags[i] = rapid.SampledFrom([]drumbeat.Flag{
			0, 0, 0, 0, drumbeat.FlagClipped, drumbeat.FlagStuck, drumbeat.FlagJump, drumbeat.FlagClipped | drumbeat.FlagJump,
		}).Draw(s.rt, "flag")
	}
	return values, flags, says
}

// entry draws a log entry: new, revised, withdrawn, of the past, announced.
func (s *stream) entry() drumbeat.Item {
	id := s.draw(s.ids+1, "id")
	if id == s.ids {
		s.ids++
	}
	return drumbeat.Item{
		Kind: drumbeat.KindEntry, EventTime: s.newest + drumbeat.Time(minute*int64(s.draw(6000, "at")-5000)),
		Entry: drumbeat.Entry{
			Log: s.fleet.Logs[id%len(s.fleet.Logs)].Name, ID: strconv.Itoa(id), Revision: int64(s.draw(4, "revision")),
			Withdrawn: s.draw(5, "withdrawn") == 0, Type: []string{"belt", "pump"}[s.draw(2, "type")],
		},
	}
}
