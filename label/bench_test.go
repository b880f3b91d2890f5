package label_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"drumbeat"
	"drumbeat/label"
)

// quarter is a quarter of a year of a fleet of 100 machines, a row every 15
// minutes, with two failures a day.
func quarter() (*label.Truth, []label.Row) {
	random := rand.New(rand.NewPCG(1, 1))
	const machines, days = 100, 90
	var entries []drumbeat.Item
	for i := range 2 * days {
		when := at(float64(i) * 12)
		machine := drumbeat.MachineID(fmt.Sprintf("W-%03d", random.IntN(machines)))
		for j, log := range []string{label.FailureLog, label.MaintenanceLog} {
			entries = append(entries, drumbeat.Item{
				Kind: drumbeat.KindEntry, Machine: machine, EventTime: when.Add(time.Duration(4*j) * time.Hour),
				ArrivalTime: when.Add(time.Duration(4*j) * time.Hour),
				Position:    drumbeat.Position{Offset: int64(i) * 4800, Index: int32(j)},
				Entry:       drumbeat.Entry{Log: log, ID: strconv.Itoa(i), Type: "unscheduled"},
			})
		}
	}
	var rows []label.Row
	for step := range days * 96 {
		for m := range machines {
			when := at(float64(step) / 4)
			rows = append(rows, label.Row{
				Machine: drumbeat.MachineID(fmt.Sprintf("W-%03d", m)), AsOf: when, Arrival: when,
				Position: drumbeat.Position{Offset: int64(step*100 + m)}, Probability: random.Float64() * random.Float64(), Running: true,
			})
		}
	}
	return label.NewTruth(laundry(), 7*day, entries, nil, at(days*24+1000)), rows
}

func BenchmarkEvents864kRows(b *testing.B) {
	truth, rows := quarter()
	for b.Loop() {
		measure(truth, options(), rows)
	}
	b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func BenchmarkLabel(b *testing.B) {
	truth, rows := quarter()
	i := 0
	for b.Loop() {
		truth.Label(rows[i].Machine, rows[i].AsOf)
		i = (i + 1) % len(rows)
	}
}

func BenchmarkMeasures100kRows200Resamples(b *testing.B) {
	truth, rows := quarter()
	var machines []drumbeat.MachineID
	var scores []float64
	var values []label.Value
	for i := range 100_000 {
		row := &rows[i*8]
		machines, scores = append(machines, row.Machine), append(scores, row.Probability)
		values = append(values, truth.Label(row.Machine, row.AsOf).Value)
	}
	for b.Loop() {
		s, err := label.NewScores(machines, scores, values)
		if err != nil {
			b.Fatal(err)
		}
		s.Measures(0.45, label.Bootstrap{Seed: 1})
	}
}
