package lake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
)

const day = drumbeat.Time(24 * time.Hour / time.Microsecond)

// qualityOf counts one by one.
func qualityOf(w *world, from, until drumbeat.Time) []lake.QualityDay {
	byDay := map[drumbeat.Time]*lake.QualityDay{}
	heard := map[string]bool{}
	least, most := drumbeat.Time(1<<62), drumbeat.Time(0)
	at := func(arrival drumbeat.Time) *lake.QualityDay {
		if from > 0 && arrival < from || until > 0 && arrival >= until {
			return nil
		}
		begin := arrival / day * day
		least, most = min(least, begin), max(most, begin)
		if byDay[begin] == nil {
			byDay[begin] = &lake.QualityDay{Day: begin, Items: map[string]int64{}, Sensors: map[string]lake.SensorQuality{}}
			for _, s := range washers().Sensors {
				byDay[begin].Sensors[s.Name] = lake.SensorQuality{}
			}
		}
		return byDay[begin]
	}
	hear := func(d *lake.QualityDay, m drumbeat.MachineID) {
		if key := fmt.Sprint(d.Day, m); !heard[key] {
			heard[key] = true
			d.Machines++
		}
	}
	for i := range w.items {
		item := &w.items[i]
		d := at(item.ArrivalTime)
		if d == nil {
			continue
		}
		d.Items["kept"]++
		if item.Kind == drumbeat.KindReading || item.Kind == drumbeat.KindEntry {
			hear(d, item.Machine)
		}
		for s := range item.Values {
			name := washers().Sensors[s].Name
			q, flags := d.Sensors[name], item.Flags[s]
			count := func(n *int64, yes bool) {
				if yes {
					*n++
				}
			}
			missing := item.Values[s] == drumbeat.Missing
			count(&q.Values, !missing)
			count(&q.Missing, missing && flags&(drumbeat.FlagNulled|drumbeat.FlagConflict) == 0)
			count(&q.Clipped, flags&drumbeat.FlagClipped != 0)
			count(&q.Nulled, flags&drumbeat.FlagNulled != 0)
			count(&q.Conflicts, flags&drumbeat.FlagConflict != 0)
			count(&q.Stuck, flags&drumbeat.FlagStuck != 0)
			count(&q.Jumps, flags&drumbeat.FlagJump != 0)
			d.Sensors[name] = q
		}
	}
	for _, a := range w.asides {
		if d := at(a.ArrivalTime); d != nil {
			d.Items[a.Fate.String()]++
			hear(d, a.Machine)
		}
	}
	for _, x := range w.dead {
		if d := at(x.ArrivalTime); d != nil {
			d.Items[x.Fate.String()]++
		}
	}
	out := []lake.QualityDay{}
	for at := least; at <= most; at += day {
		if d := byDay[at]; d != nil {
			out = append(out, *d)
		}
	}
	return out
}

// qualityWorld is some days of a fleet whose data is bad in every way.
func qualityWorld() *world {
	s := newStream(21, 2)
	w := &world{}
	for range 6 {
		items := s.batch(150)
		for i := range items {
			item := &items[i]
			item.ArrivalTime = start.Add(time.Duration(item.Position.Offset) * 17 * time.Minute)
			if item.Kind == drumbeat.KindReading {
				sensor := i / 9 % 6
				switch i % 9 {
				case 1:
					item.Values[sensor], item.Flags[sensor] = drumbeat.Missing, 0
				case 2:
					item.Values[sensor], item.Flags[sensor] = drumbeat.Missing, drumbeat.FlagConflict
				case 4:
					item.Flags[sensor] |= drumbeat.FlagJump
				}
			}
			switch i % 11 {
			case 3:
				fate := drumbeat.Fate(i / 11 % 2) // undecodable, unknown machine
				w.dead = append(w.dead, lake.DeadLetter{Position: item.Position, ArrivalTime: item.ArrivalTime, Fate: fate})
			case 5:
				fate := drumbeat.FateFuture + drumbeat.Fate(i/11%4)
				w.asides = append(w.asides, lake.Aside{
					Position: item.Position, Machine: drumbeat.MachineID(fmt.Sprint("W-aside-", i%3)), ArrivalTime: item.ArrivalTime, Fate: fate,
				})
			default:
				w.items = append(w.items, *item)
			}
		}
		w.cuts = append(w.cuts, s.progress())
	}
	w.ends = s.progress()
	return w
}

func TestTheQualityOfDaysIsWhatCountingItemsOneByOneGives(t *testing.T) {
	w := qualityWorld()
	l := open(t, memory.New(time.Now))
	before := lake.Progress{}
	for _, next := range w.cuts {
		err := l.AppendBronze(t.Context(), nil, between(w.dead, deadAt, before, next), next)
		if err == nil {
			silver := lake.Silver{Items: between(w.items, itemAt, before, next), Aside: between(w.asides, asideAt, before, next)}
			err = l.AppendSilver(t.Context(), silver, next)
		}
		if err != nil {
			t.Fatal(err)
		}
		before = next
	}
	for _, span := range [][2]drumbeat.Time{
		{drumbeat.NoTime, drumbeat.NoTime},
		{start + day, start + 3*day},
		{start + day/3, 0},
		{0, start + 2*day},
		{start + 1000*day, 0},
	} {
		got, err := l.Quality(t.Context(), span[0], span[1])
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(qualityOf(w, span[0], span[1]), got); diff != "" {
			t.Errorf("%s to %s (-want +got):\n%s", span[0], span[1], diff)
		}
	}
	if days := qualityOf(w, 0, 0); len(days) < 4 || days[1].Items["unknown_machine"] == 0 || days[1].Items["rejected"] == 0 ||
		days[1].Sensors["power_kw"].Stuck == 0 || days[1].Sensors["power_kw"].Jumps == 0 {
		t.Errorf("the test has too little in it: %+v", days)
	}
}

// BenchmarkQuality is what a page asks for: 90 days of 100 machines, written
// a day at a time.
func BenchmarkQuality(b *testing.B) {
	const perDay = 9600
	items, _ := benchReadings(90 * perDay)
	l := open(b, memory.New(time.Now))
	for k := range 90 {
		part := items[k*perDay : (k+1)*perDay]
		next := lake.Progress{}
		for i := range part {
			next[part[i].Position.Partition] = part[i].Position.Offset + 1
		}
		if err := l.AppendSilver(b.Context(), lake.Silver{Items: part}, next); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		days, err := l.Quality(b.Context(), drumbeat.NoTime, drumbeat.NoTime)
		if err != nil || len(days) != 90 {
			b.Fatal(len(days), err)
		}
	}
}
