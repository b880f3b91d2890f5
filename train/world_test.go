package train_test

import (
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
	"drumbeat/objstore/memory"
	"drumbeat/train"
)

const day = 24 * time.Hour

var begin = drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))

// world is a made-up fleet with its gold and its logs, in memory.
type world struct {
	fleet    *fleet.Fleet
	view     *feature.View
	lake     *lake.Lake
	gold     *lake.Gold
	written  int // vectors that gold has
	vectors  []drumbeat.Vector
	entries  []drumbeat.Item
	findings []drumbeat.Finding
	now      drumbeat.Time
}

func newWorld() *world {
	w := &world{fleet: &fleet.Fleet{
		Name: "mill", Cadence: 6 * time.Hour, TrainGrid: day, Lateness: day,
		FailureLog: fleet.Completeness{Kind: fleet.CompleteContinuous},
		Label:      fleet.LabelPolicy{Horizon: 3 * day, HorizonText: "3d", ReportingLag: day, DownMax: day},
		Policy: fleet.Policy{
			Threshold: 0.45, RecallTarget: 0.99, MinFailures: 20, MinPrecision: 0.2, MaxFalseAlarms: 0.5,
			MinLead: time.Hour, InspectionMinutes: 15,
		},
		Train: fleet.Train{Rounds: 80, MaxDepth: 4, Eta: 0.1, Subsample: 0.8, ColSample: 0.8, MinChild: 1, Seed: 1},
	}}
	w.view = &feature.View{Name: "mill_health", Fleet: w.fleet, Hash: "f00d"}
	for _, name := range []string{"wear", "heat", "noise", "rarely"} {
		w.view.Features = append(w.view.Features, feature.Feature{Name: name})
	}
	return w
}

func machine(i int) drumbeat.MachineID { return drumbeat.MachineID(fmt.Sprintf("M-%03d", i)) }

func (w *world) position() drumbeat.Position {
	return drumbeat.Position{Epoch: 1, Offset: int64(len(w.vectors) + len(w.entries))}
}

func (w *world) fail(m drumbeat.MachineID, at drumbeat.Time) {
	w.entries = append(w.entries, drumbeat.Item{
		Kind: drumbeat.KindEntry, Machine: m, EventTime: at, ArrivalTime: at, Position: w.position(),
		Entry: drumbeat.Entry{Log: "failure", ID: fmt.Sprint(m, at), Type: "bearing"},
	})
}

func (w *world) vector(m drumbeat.MachineID, at drumbeat.Time, values ...float64) *drumbeat.Vector {
	w.vectors = append(w.vectors, drumbeat.Vector{
		Machine: m, AsOf: at, ArrivalTime: at, Position: w.position(), Running: true, Values: values,
	})
	return &w.vectors[len(w.vectors)-1]
}

// live plays machines that wear for days before they fail. Wear shows, with
// noise, in two features; a third says nothing, a fourth is mostly missing.
func (w *world) live(seed uint64, machines, days int) {
	r := rand.New(rand.NewPCG(seed, 7))
	wear := make([]float64, machines)
	pace := make([]float64, machines)
	for m := range machines {
		wear[m], pace[m] = r.Float64(), 0.005+0.02*r.Float64()
	}
	for step := range days * 4 {
		at := begin.Add(time.Duration(step) * 6 * time.Hour)
		for m := range machines {
			if wear[m] += pace[m] * r.Float64(); wear[m] > 1 {
				w.fail(machine(m), at.Add(time.Hour))
				wear[m], pace[m] = 0, 0.005+0.02*r.Float64()
			}
			rarely := math.NaN()
			if r.IntN(10) == 0 {
				rarely = wear[m] + r.NormFloat64()
			}
			v := w.vector(machine(m), at, wear[m]+0.3*r.NormFloat64(), wear[m]*wear[m]+0.3*r.NormFloat64(), r.NormFloat64(), rarely)
			v.WarmingUp = step < 12
		}
	}
	w.now = begin.Add(time.Duration(days) * day)
}

func (w *world) input(t testing.TB) train.Input {
	t.Helper()
	ctx := t.Context()
	if w.gold == nil {
		var err error
		w.lake, err = lake.Open(ctx, memory.New(time.Now), w.fleet, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.lake.UseEpoch(1); err != nil {
			t.Fatal(err)
		}
		if w.gold, err = w.lake.Gold(ctx, w.view.Name, w.view.Hash, w.view.Names()); err != nil {
			t.Fatal(err)
		}
	}
	if w.written < len(w.vectors) {
		next := lake.Progress{0: 0}
		for i := range w.vectors {
			next[0] = max(next[0], w.vectors[i].Position.Offset+1)
		}
		if err := w.gold.Append(ctx, w.vectors[w.written:], next); err != nil {
			t.Fatal(err)
		}
		w.written = len(w.vectors)
	}
	return train.Input{
		Fleet: w.fleet, View: w.view, Gold: w.gold,
		Truth: label.NewTruth(w.fleet, 0, w.entries, w.findings, w.now),
	}
}

// sources is all that the world holds by now.
func (w *world) sources(t testing.TB) *train.Sources {
	t.Helper()
	w.input(t) // writes gold
	return &train.Sources{
		Fleet: w.fleet, View: w.view, Gold: w.gold, Epoch: w.lake.Epoch(), Entries: w.entries, Findings: w.findings,
		FleetNow: w.now,
	}
}

// grow adds what a pin must leave out: later readings, late ones and
// corrections in the midst of the test time, failures that are reported late,
// and findings.
func (w *world) grow() {
	for i := range 200 {
		m := machine(i % 50)
		w.vector(m, w.now.Add(time.Duration(i/50)*6*time.Hour), 1, 2, 3, 4)
		w.vector(m, begin.Add(100*day+time.Duration(i)*time.Hour), 9, 9, 9, 9)
		w.vector(m, begin.Add(100*day), 9, 9, 9, 9).MadeBy = drumbeat.CauseCorrection
		if i%10 == 0 {
			w.fail(m, begin.Add(time.Duration(20+i/2)*day))
		}
		w.findings = append(w.findings, drumbeat.Finding{
			ID: fmt.Sprintf("f-%d-%d", w.now, i), Fleet: "mill", Machine: m, Outcome: drumbeat.OutcomeFailed, Who: "kim",
			WhenFleet: begin.Add(time.Duration(i/2) * day), WhenWall: drumbeat.Time(1000 * (len(w.findings) + 1)),
		})
	}
	w.now = w.now.Add(day)
}
