package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/ingest"
	"drumbeat/lake"
	"drumbeat/materialize"
	"drumbeat/refine"
	"drumbeat/sim"
	"drumbeat/topic"
)

// produceEvidence says what was sent.
type produceEvidence struct {
	Machines int           `json:"machines"`
	Days     int           `json:"days"`
	From     drumbeat.Time `json:"from"`
	Until    drumbeat.Time `json:"until"`
	Records  int64         `json:"records"`
	InTopic  int64         `json:"records_in_topic"`
	Items    int64         `json:"items"`
	Resumed  int64         `json:"records_of_an_earlier_run,omitempty"`
	Sent     sim.Counts    `json:"sent"`
}

// produce plays the history into the topic. Ingest runs beside it.
func (q *quickstart) produce(ctx context.Context) (any, []string, error) {
	d := q.daemon
	head := d.sim()
	q.say("playing %d days of %d machines into Kafka at %s", head.Days, head.Machines, d.brokers())
	if err := d.openData(ctx); err != nil {
		return nil, nil, err
	}
	past, held, err := q.past(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := q.simulate(past); err != nil {
		return nil, nil, err
	}
	ingesting, stop := context.WithCancel(ctx)
	ingested := make(chan error, 1)
	go func() { ingested <- d.ingester.Run(ingesting) }()
	p := &player{daemon: d, sim: q.sim}
	err = q.playHistory(ctx, p)
	stop()
	if ingestErr := <-ingested; err == nil {
		err = ingestErr
	}
	if err != nil {
		return nil, nil, err
	}
	ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
	if err != nil {
		return nil, nil, err
	}
	counts := q.sim.Counts()
	e := produceEvidence{
		Machines: head.Machines, Days: head.Days, From: head.Start, Until: q.until,
		Records: counts.Records, InTopic: sum(ends), Items: counts.Items, Resumed: held, Sent: counts,
	}
	return e, unequal("records in the topic", e.InTopic, e.Records), nil
}

// playHistory plays day by day, so that progress can be shown.
func (q *quickstart) playHistory(ctx context.Context, p *player) error {
	bar := q.newProgress("produce", "days", int64(q.daemon.sim().Days))
	defer bar.Done()
	for day := 1; day <= q.daemon.sim().Days; day++ {
		if err := p.playTo(ctx, q.daemon.sim().Start.Add(time.Duration(day)*24*time.Hour)); err != nil {
			return err
		}
		bar.Set(int64(day))
	}
	return nil
}

// past reads what an earlier run left in the topic; nil if it is empty.
func (q *quickstart) past(ctx context.Context) (*sim.Past, int64, error) {
	d := q.daemon
	ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
	if err != nil || sum(ends) == 0 {
		return nil, 0, err
	}
	past := &sim.Past{Partitions: d.telemetry.Partitions}
	reader, err := d.reader(d.telemetry)(ctx, nil)
	if err != nil {
		return nil, 0, err
	}
	defer reader.Close()
	next := map[int32]int64{}
	for !reachedAll(next, ends) {
		records, err := reader.Poll(ctx)
		if err != nil {
			return nil, 0, err
		}
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		for i := range records {
			if err := past.Observe(&records[i]); err != nil {
				return nil, 0, err
			}
			next[records[i].Partition] = records[i].Offset + 1
		}
	}
	return past, sum(ends), nil
}

func reachedAll(next, ends map[int32]int64) bool {
	for partition, end := range ends {
		if next[partition] < end {
			return false
		}
	}
	return true
}

func (q *quickstart) simulate(past *sim.Past) error {
	head := q.daemon.sim()
	made, err := sim.New(sim.Config{
		Fleet: q.daemon.def, Topic: q.daemon.telemetry.Name, Seed: head.Seed, Machines: head.Machines, Start: head.Start, Past: past, Shifts: head.Shifts,
	})
	if err != nil {
		return fmt.Errorf("make the simulator: %w", err)
	}
	q.sim = made
	return nil
}

// ingestEvidence says what bronze holds.
type ingestEvidence struct {
	Bronze      int64            `json:"bronze_rows"`
	DeadLetters map[string]int64 `json:"dead_letters"`
	Replayed    int64            `json:"items_replayed_from_the_start"`
	Added       int64            `json:"rows_added_by_the_replay"`
}

// ingest ends the copying to bronze, then reads the topic again from its
// start.
func (q *quickstart) ingest(ctx context.Context) (any, []string, error) {
	d := q.daemon
	q.say("bronze: every item as it came, dead letters with their reason")
	ends, err := topic.Ends(ctx, d.kafka, d.telemetry.Name)
	if err != nil {
		return nil, nil, err
	}
	if err := d.ingester.Drain(ctx, ends); err != nil {
		return nil, nil, err
	}
	before, err := d.lake.Counts(ctx)
	if err != nil {
		return nil, nil, err
	}
	again, err := ingest.New(ctx, ingest.Config{Fleet: d.def, Lake: d.lake, Open: d.reader(d.telemetry), Log: d.log})
	if err != nil {
		return nil, nil, err
	}
	if err := again.Replay(ctx, ends); err != nil {
		return nil, nil, fmt.Errorf("replay the topic: %w", err)
	}
	after, err := d.lake.Counts(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent := q.sim.Counts()
	e := ingestEvidence{
		Bronze: after.Rows["bronze"], DeadLetters: after.DeadLetters, Replayed: again.Counts().Items,
		Added: after.Rows["bronze"] - before.Rows["bronze"] + after.Rows["dead_letters"] - before.Rows["dead_letters"],
	}
	dead := sent.Fates[drumbeat.FateUndecodable] + sent.Fates[drumbeat.FateUnknownMachine]
	faults := unequal("rows in bronze", e.Bronze, sent.Items-dead)
	faults = append(faults, unequalFates(e.DeadLetters, &sent, drumbeat.FateUndecodable, drumbeat.FateUnknownMachine)...)
	faults = append(faults, unequal("items replayed", e.Replayed, sent.Items)...)
	return e, append(faults, unequal("rows added by the replay", e.Added, 0)...), nil
}

// refineEvidence says what became of the items (T8).
type refineEvidence struct {
	Items   int64            `json:"items"`
	ByFate  map[string]int64 `json:"items_by_fate"`
	Clipped map[string]int64 `json:"values_clipped"`
	Nulled  map[string]int64 `json:"values_nulled"`
}

// refine makes silver and compares every fate with what the simulator knows.
func (q *quickstart) refine(ctx context.Context) (any, []string, error) {
	q.say("silver: each item has one fate, each value its flag")
	if _, err := q.daemon.refiner.Run(ctx); err != nil {
		return nil, nil, err
	}
	counts, err := q.daemon.lake.Counts(ctx)
	if err != nil {
		return nil, nil, err
	}
	sent := q.sim.Counts()
	e := refineEvidence{ByFate: map[string]int64{}, Clipped: counts.Clipped, Nulled: counts.Nulled}
	maps.Copy(e.ByFate, counts.Aside)
	maps.Copy(e.ByFate, counts.DeadLetters)
	e.ByFate["kept"] = counts.Rows["silver_readings"] + counts.Rows["silver_entries"] +
		counts.Rows["silver_machines"] + counts.Rows["silver_watermarks"]
	for _, n := range e.ByFate {
		e.Items += n
	}
	var fates []drumbeat.Fate
	for fate := range drumbeat.Fates {
		fates = append(fates, drumbeat.Fate(fate))
	}
	faults := unequal("items", e.Items, sent.Items)
	faults = append(faults, unequalFates(e.ByFate, &sent, fates...)...)
	faults = append(faults, unequalMaps("values clipped of", e.Clipped, sent.Clipped)...)
	return e, append(faults, unequalMaps("values nulled of", e.Nulled, sent.Nulled)...), nil
}

// materializeEvidence says what became features.
type materializeEvidence struct {
	View      string        `json:"view"`
	Hash      drumbeat.Hash `json:"view_hash"`
	Features  int           `json:"features"`
	Gold      int64         `json:"rows_in_gold"`
	Online    int           `json:"machines_online"`
	Compared  int           `json:"values_compared"`
	Differing int           `json:"bits_differing"`
}

// materialize makes gold, fills the online store and computes its vectors
// again from the lake by another way.
func (q *quickstart) materialize(ctx context.Context) (any, []string, error) {
	d := q.daemon
	q.say("gold: the view %s, %d features, as known at each reading", d.view.Name, len(d.view.Features))
	if _, err := d.backfills[d.view.Hash].Run(ctx); err != nil {
		return nil, nil, err
	}
	if err := d.openStream(ctx); err != nil {
		return nil, nil, err
	}
	counts, err := d.lake.Counts(ctx)
	if err != nil {
		return nil, nil, err
	}
	machines, err := d.online.Machines(ctx, d.view.Hash)
	if err != nil {
		return nil, nil, err
	}
	compared, differing, err := d.compareOnline(ctx, machines)
	if err != nil {
		return nil, nil, err
	}
	e := materializeEvidence{
		View: d.view.Name, Hash: d.view.Hash, Features: len(d.view.Features),
		Gold: d.backfills[d.view.Hash].Gold().Rows(), Online: len(machines), Compared: compared, Differing: differing,
	}
	faults := unequal("machines online", int64(e.Online), q.sim.Counts().Machines)
	faults = append(faults, unequal("bits differing between online and lake", int64(differing), 0)...)
	if kept := counts.Rows["silver_readings"]; e.Gold < kept {
		faults = append(faults, fmt.Sprintf("gold holds %d rows, fewer than the %d readings of silver", e.Gold, kept))
	}
	return e, faults, nil
}

// compareOnline computes each machine's online vector again, straight from
// silver at the same (t, k), and counts the bits that differ.
func (d *daemon) compareOnline(ctx context.Context, machines []drumbeat.MachineID) (compared, differing int, err error) {
	records, err := d.online.Read(ctx, d.view.Hash, machines, false)
	if err != nil {
		return 0, 0, fmt.Errorf("read the online store: %w", err)
	}
	for partition := range d.telemetry.Partitions { // one at a time: histories are large
		histories, err := d.histories(ctx, partition)
		if err != nil {
			return 0, 0, fmt.Errorf("read silver: %w", err)
		}
		for i := range records {
			online := &records[i].Vector
			if online.Position.Partition != partition {
				continue
			}
			again := feature.AsOf(d.view, histories[online.Machine], online.AsOf, online.Position)
			compared += len(online.Values)
			differing += differingBits(online, &again)
		}
	}
	return compared, differing, nil
}

func differingBits(x, y *drumbeat.Vector) int {
	n := 0
	for i := range x.Values {
		n += bits.OnesCount64(math.Float64bits(x.Values[i]) ^ math.Float64bits(y.Values[i]))
	}
	if x.Coverage != y.Coverage || x.WarmingUp != y.WarmingUp || x.Running != y.Running {
		n++
	}
	return n
}

// histories reads everything that silver holds of a partition, by machine.
func (d *daemon) histories(ctx context.Context, partition int32) (map[drumbeat.MachineID]*feature.History, error) {
	all := map[drumbeat.MachineID]*feature.History{}
	scan := lake.ScanOptions{Partition: partition, Since: drumbeat.NoTime}
	err := d.lake.ScanSilver(ctx, scan, func(items []drumbeat.Item) error {
		for i := range items {
			h := all[items[i].Machine]
			if h == nil {
				h = &feature.History{}
				all[items[i].Machine] = h
			}
			h.Items = append(h.Items, items[i].Clone())
		}
		return nil
	})
	return all, err
}

// openData opens the verbs that carry the lake.
func (d *daemon) openData(ctx context.Context) (err error) {
	if err := d.beginEpoch(ctx); err != nil {
		return err
	}
	d.ingester, err = ingest.New(ctx, ingest.Config{
		Fleet: d.def, Lake: d.lake, Topic: d.telemetry, Open: d.reader(d.telemetry), Follow: d.followers(), Log: d.log,
		Flush: min(d.copyEvery, ingest.DefaultFlush),
	})
	if err != nil {
		return err
	}
	if d.refiner, err = refine.New(ctx, d.def, d.lake, d.log); err != nil {
		return err
	}
	backfill, err := materialize.NewBackfill(ctx, d.lake, d.view)
	if err != nil {
		return err
	}
	d.backfills = map[drumbeat.Hash]*materialize.Backfill{d.view.Hash: backfill}
	d.writer, err = topic.NewWriter(ctx, d.kafka)
	return err
}
