package lake_test

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/delta"
	"drumbeat/fleet"
	"drumbeat/lake"
	"drumbeat/objstore/memory"

	"github.com/google/go-cmp/cmp"
)

// keeping is the fleet with retention.
func keeping(r fleet.Retention) *fleet.Fleet {
	f := washers()
	f.Lateness, f.Retention = 24*time.Hour, r
	f.Label = fleet.LabelPolicy{Horizon: 7 * 24 * time.Hour, ReportingLag: 24 * time.Hour}
	return f
}

// aging is a lake of 60 days, a reading a machine and day, a file a day. W-2
// falls silent after day 10, and the last day is not refined.
type aging struct {
	store delta.Store
	fleet *fleet.Fleet
	items []drumbeat.Item
	ends  lake.Progress
}

const agingDays = 60

func (a *aging) open(t *testing.T) *lake.Lake {
	t.Helper()
	l, err := lake.Open(t.Context(), a.store, a.fleet, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newAging(t *testing.T, r fleet.Retention) *aging {
	t.Helper()
	a := &aging{store: memory.New(time.Now), fleet: keeping(r), ends: lake.Progress{}}
	l := a.open(t)
	for d := range agingDays {
		at := start + drumbeat.Time(d)*day
		var batch []drumbeat.Item
		for m := range 3 {
			if m == 2 && d > 10 {
				continue
			}
			batch = append(batch, drumbeat.Item{
				Machine: drumbeat.MachineID(fmt.Sprint("W-", m)), EventTime: at, ArrivalTime: at + 1000,
				Position: drumbeat.Position{Offset: a.ends[0]}, Values: make([]int64, 6), Flags: make([]drumbeat.Flag, 6),
			})
			a.ends[0]++
		}
		a.items = append(a.items, batch...)
		dead := []lake.DeadLetter{{Position: drumbeat.Position{Offset: a.ends[0]}, ArrivalTime: at}}
		a.ends[0]++
		err := l.AppendBronze(t.Context(), withRaw(batch), dead, maps.Clone(a.ends))
		if err == nil && d < agingDays-1 {
			err = l.AppendSilver(t.Context(), lake.Silver{Items: batch}, maps.Clone(a.ends))
			scores := predictions(batch)
			for i := range scores {
				scores[i].ArrivalTime = batch[i].ArrivalTime
			}
			err = errors.Join(err, l.AppendPredictions(t.Context(), scores, 0, maps.Clone(a.ends)))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// left returns the days of which there are items of a machine.
func left(machine drumbeat.MachineID, items []drumbeat.Item) (out []int) {
	for i := range items {
		if items[i].Machine == machine {
			out = append(out, int((items[i].EventTime-start)/day))
		}
	}
	return out
}

func TestOldRowsGoAndWhatARestartNeedsStays(t *testing.T) {
	a := newAging(t, fleet.Retention{
		Bronze: 20 * 24 * time.Hour, DeadLetters: 2 * 24 * time.Hour, Silver: 24 * time.Hour, Predictions: 30 * 24 * time.Hour,
	})
	l := a.open(t)
	progress := []lake.Progress{l.BronzeProgress(), l.SilverProgress(), l.PredictionProgress(0)}
	opt := lake.MaintainOptions{FleetNow: start + agingDays*day, Need: 5 * 24 * time.Hour}
	recent := func(l *lake.Lake) []string {
		var out []drumbeat.Item
		scan := lake.ScanOptions{Partition: lake.AllPartitions}
		err := l.ScanRecent(t.Context(), scan, opt.Need, func(items []drumbeat.Item) error { out = append(out, items...); return nil })
		if err != nil {
			t.Fatal(err)
		}
		return lines(t, out)
	}
	before := recent(l)
	done := maintain(t, l, opt)
	if done.Expired == 0 || len(done.Notes) != 1 || !strings.Contains(done.Notes[0], "silver") {
		t.Errorf("%+v", done)
	}
	l = a.open(t)
	if d := cmp.Diff(before, recent(l)); d != "" {
		t.Errorf("what a restart reads (-want +got):\n%s", d)
	}
	if d := cmp.Diff(progress, []lake.Progress{l.BronzeProgress(), l.SilverProgress(), l.PredictionProgress(0)}); d != "" {
		t.Errorf("progress (-want +got):\n%s", d)
	}
	silver := readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
	// Need and the judge's memory are 7 days and 5 minutes, from each machine's
	// own last reading on; the files that hold those stay whole.
	if d := cmp.Diff([]int{3, 4, 5, 6, 7, 8, 9, 10}, left("W-2", silver)); d != "" {
		t.Errorf("W-2 in silver (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]int{3, 4, 5, 6, 7, 8, 9, 10, 51, 52, 53, 54, 55, 56, 57, 58}, left("W-0", silver)); d != "" {
		t.Errorf("W-0 in silver (-want +got):\n%s", d)
	}
	bronze, _ := readBronze(t, l, nil)
	if got := left("W-1", bronze); len(got) != 20 || got[0] != 40 || got[19] != 59 {
		t.Errorf("W-1 in bronze: %v", got)
	}
	counts, err := l.Counts(t.Context())
	if err != nil || counts.Rows["dead_letters"] != 2 || counts.Rows["predictions"] != 2*29 {
		t.Errorf("%v, %v", counts.Rows, err)
	}
}

func TestBronzeThatSilverDoesNotHaveStaysHoweverOld(t *testing.T) {
	a := newAging(t, fleet.Retention{Bronze: 20 * 24 * time.Hour, Silver: 20 * 24 * time.Hour})
	opt := lake.MaintainOptions{FleetNow: start + 1000*day}
	for _, refined := range []bool{false, true} {
		l := a.open(t)
		if refined {
			if err := l.AppendSilver(t.Context(), lake.Silver{Items: a.items[len(a.items)-2:]}, a.ends); err != nil {
				t.Fatal(err)
			}
		}
		maintain(t, l, opt)
		bronze, _ := readBronze(t, l, nil)
		if got := left("W-0", bronze); refined && len(got) > 0 || !refined && !slices.Equal(got, []int{59}) {
			t.Errorf("refined %t: bronze has %v", refined, got)
		}
		silver := readSilver(t, l, lake.ScanOptions{Partition: lake.AllPartitions})
		for _, machine := range []drumbeat.MachineID{"W-0", "W-1", "W-2"} {
			if len(left(machine, silver)) == 0 {
				t.Errorf("refined %t: nothing is left of %s in silver", refined, machine)
			}
		}
	}
}
