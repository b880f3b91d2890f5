package sim_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/fleets"
	"drumbeat/sim"
	"drumbeat/topic"
)

// laundry is a configuration of the laundry fleet.
func laundry(t testing.TB, seed uint64, machines int) sim.Config {
	t.Helper()
	f, err := fleet.Load(fleets.FS(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	return sim.Config{
		Fleet: f, Topic: "laundry", Seed: seed, Machines: machines,
		Start: drumbeat.At(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)),
	}
}

const day = 24 * time.Hour

// pipeline decodes and judges, as ingest and refine do, and counts.
type pipeline struct {
	fleet   *fleet.Fleet
	decoder *fleet.Decoder
	judge   *fleet.Judge
	items   []drumbeat.Item
	counts  sim.Counts
}

func newPipeline(f *fleet.Fleet) *pipeline {
	return &pipeline{
		fleet: f, decoder: fleet.NewDecoder(f), judge: fleet.NewJudge(f),
		counts: sim.Counts{Clipped: map[string]int64{}, Nulled: map[string]int64{}, Entries: map[string]int64{}},
	}
}

func (p *pipeline) record(r topic.Record) {
	p.counts.Records++
	value := append([]byte(nil), r.Value...)
	items, err := p.decoder.Decode(fleet.Form{Type: r.Type}, value, p.items[:0])
	p.items = items
	if err != nil {
		p.counts.Items++
		p.counts.Fates[drumbeat.FateUndecodable]++
		p.counts.Readings[drumbeat.FateUndecodable]++
		return
	}
	for i := range items {
		item := &items[i]
		item.ArrivalTime = r.Time
		item.Position = drumbeat.Position{Partition: r.Partition, Offset: r.Offset, Index: int32(i)}
		fate, _ := p.judge.Judge(item)
		p.item(item, fate)
	}
}

func (p *pipeline) item(item *drumbeat.Item, fate drumbeat.Fate) {
	p.counts.Items++
	p.counts.Fates[fate]++
	switch item.Kind {
	case drumbeat.KindReading:
		p.counts.Readings[fate]++
		if fate != drumbeat.FateKept {
			return
		}
		for x, flag := range item.Flags {
			if flag&drumbeat.FlagClipped != 0 {
				p.counts.Clipped[p.fleet.Sensors[x].Name]++
			}
			if flag&drumbeat.FlagNulled != 0 {
				p.counts.Nulled[p.fleet.Sensors[x].Name]++
			}
		}
	case drumbeat.KindEntry:
		if fate == drumbeat.FateKept {
			p.counts.Entries[item.Entry.Log]++
		}
	case drumbeat.KindMachine:
		if fate == drumbeat.FateKept {
			p.counts.Machines++
		}
	case drumbeat.KindWatermark:
	}
}

func TestCountsAgreeWithTheJudge(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 4, 60)
	// The laundry clips and nulls; every policy shall be seen.
	cfg.Fleet.Sensors[cfg.Fleet.SensorIndex("pressure_bar")].OutOfRange = fleet.Reject
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := newPipeline(cfg.Fleet)
	if err := s.Play(cfg.Start.Add(10*day), func(r topic.Record) error {
		p.record(r)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.counts, s.Counts()); diff != "" {
		t.Errorf("what the pipeline found is not what was sent (-pipeline +sim):\n%s", diff)
	}
	for fate, n := range s.Counts().Readings {
		if n == 0 {
			t.Errorf("no reading is %s: the test sees nothing of it", drumbeat.Fate(fate))
		}
	}
	c := s.Counts()
	again := c.Fates[drumbeat.FateDuplicate] - c.Readings[drumbeat.FateDuplicate]
	if c.Clipped["temperature_c"] == 0 || c.Nulled["vibration_hz"] == 0 || again == 0 {
		t.Errorf("nothing clipped, nulled or no log entry sent twice: %+v", c)
	}
}
