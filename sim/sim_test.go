package sim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/fleet"
	"drumbeat/sim"
	"drumbeat/topic"
)

// play returns the records up to a time, each on its own.
func play(t *testing.T, s *sim.Sim, until drumbeat.Time) []topic.Record {
	t.Helper()
	var all []topic.Record
	if err := s.Batches(until, 1000, func(batch []topic.Record) error {
		all = append(all, batch...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// firstDifference compares one by one: cmp alone takes minutes for so many.
func firstDifference(want, got []topic.Record) string {
	for i := range min(len(want), len(got)) {
		if string(want[i].Value) != string(got[i].Value) || want[i].Key != got[i].Key ||
			want[i].Type != got[i].Type || want[i].Time != got[i].Time || !maps.Equal(want[i].Headers, got[i].Headers) {
			return fmt.Sprintf("record %d (-want +got):\n%s", i, cmp.Diff(want[i], got[i]))
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d records, want %d", len(got), len(want))
	}
	return ""
}

func start(t *testing.T, cfg sim.Config) *sim.Sim {
	t.Helper()
	s, err := sim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestASeedPlaysTheSameRecordsHoweverItIsCut(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 5, 30)
	until := cfg.Start.Add(6 * day)
	want := play(t, start(t, cfg), until)

	hourly := start(t, cfg)
	var got []topic.Record
	for at := cfg.Start; at < until; {
		at = min(at.Add(47*time.Minute), until)
		got = append(got, play(t, hourly, at)...)
	}
	if diff := firstDifference(want, got); diff != "" {
		t.Fatalf("played in pieces: %s", diff)
	}
	cfg.Seed = 6
	if other := play(t, start(t, cfg), until); firstDifference(want, other) == "" {
		t.Fatal("another seed plays the same records")
	}
}

func TestRecordsComeInOrderOfArrivalAndNumber(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 8, 40)
	s := start(t, cfg)
	var (
		last drumbeat.Time
		next int64
	)
	for i, r := range play(t, s, cfg.Start.Add(5*day)) {
		if r.Time < last {
			t.Fatalf("record %d arrives at %s, after one of %s", i, r.Time, last)
		}
		if want := strconv.FormatInt(next, 10); r.Headers["seq"] != want {
			t.Fatalf("record %d has number %s, want %s", i, r.Headers["seq"], want)
		}
		last = r.Time
		items := []json.RawMessage{nil}
		if json.Valid(r.Value) && r.Value[0] == '[' {
			if err := json.Unmarshal(r.Value, &items); err != nil {
				t.Fatal(err)
			}
		}
		next += int64(len(items))
	}
	if got := s.Counts().Items; got != next {
		t.Fatalf("%d items were counted, %d sent", got, next)
	}
}

// partitioned spreads records as a topic does.
func partitioned(records []topic.Record, n int32) map[int32][]topic.Record {
	parts := make(map[int32][]topic.Record)
	for _, r := range records {
		p := topic.PartitionOf(r.Key, n)
		r.Partition, r.Offset = p, int64(len(parts[p]))
		parts[p] = append(parts[p], r)
	}
	return parts
}

func TestARestartGoesOnFromWhatTheTopicHolds(t *testing.T) {
	t.Parallel()
	const partitions = 4
	cfg := laundry(t, 9, 25)
	crash, until := cfg.Start.Add(4*day), cfg.Start.Add(7*day)

	// The repairs are at the very time of a record.
	scout := play(t, start(t, cfg), cfg.Start.Add(2*day))
	first := start(t, cfg)
	all := play(t, first, scout[len(scout)-1].Time)
	if err := first.Repair("W-003", first.Now(), "ada"); err != nil {
		t.Fatal(err)
	}
	if err := first.Repair("W-004", first.Now(), "ben"); err != nil {
		t.Fatal(err)
	}
	all = append(all, play(t, first, crash)...)
	want := partitioned(append(slices.Clone(all), play(t, first, until)...), partitions)

	// The crash: each partition holds some of its records, not all.
	held := partitioned(all, partitions)
	past := &sim.Past{Partitions: partitions}
	for p := range held {
		held[p] = held[p][:len(held[p])*(90+int(p))/100]
		for i := range held[p] {
			if err := past.Observe(&held[p][i]); err != nil {
				t.Fatal(err)
			}
		}
		// A broker may hold a batch twice.
		for i := max(0, len(held[p])-3); i < len(held[p]); i++ {
			if err := past.Observe(&held[p][i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	cfg.Past = past
	second := start(t, cfg)
	for p, more := range partitioned(play(t, second, until), partitions) {
		held[p] = append(held[p], more...)
	}
	for p := range want {
		if diff := firstDifference(want[p], held[p]); diff != "" {
			t.Errorf("partition %d after the restart: %s", p, diff)
		}
	}
	if diff := cmp.Diff(first.Counts(), second.Counts()); diff != "" {
		t.Errorf("the counts after the restart:\n%s", diff)
	}
	if diff := cmp.Diff(first.Failures(), second.Failures()); diff != "" {
		t.Errorf("the failures after the restart:\n%s", diff)
	}
}

// byMachine returns the values of each machine's records, without numbers.
func byMachine(records []topic.Record) map[string][]string {
	values := make(map[string][]string)
	for _, r := range records {
		values[r.Key] = append(values[r.Key], r.Time.String()+string(r.Value))
	}
	return values
}

func TestARepairMendsOneMachineAndTouchesNoOther(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 11, 40)
	until := cfg.Start.Add(12 * day)
	left, mended := start(t, cfg), start(t, cfg)
	before := play(t, mended, cfg.Start.Add(5*day))
	without := play(t, left, until)

	soonest, at, mode := doomed(t, mended)
	state, err := mended.Inspect(soonest)
	if err != nil {
		t.Fatal(err)
	}
	if state.Mode != mode {
		t.Fatalf("%s will fail by %s, its worst part is %+v", soonest, mode, state)
	}
	if err := mended.Repair(soonest, mended.Now(), "ada"); err != nil {
		t.Fatal(err)
	}
	after := play(t, mended, mended.Now())
	if len(after) != 1 || after[0].Type != "maintenance" || after[0].Headers["by"] != "ada" ||
		after[0].Key != string(soonest) || !strings.Contains(string(after[0].Value), `"maintenance_type":"unscheduled"`) {
		t.Fatalf("the repair wrote %v", after)
	}
	if state, err = mended.Inspect(soonest); err != nil || state.Damage != 0 {
		t.Fatalf("after the repair: %+v, %v", state, err)
	}
	if later, _, err := mended.NextFailure(soonest); err != nil || later != drumbeat.NoTime && later <= at {
		t.Fatalf("it will fail at %s, without the repair at %s (%v)", later, at, err)
	}
	with := byMachine(slices.Concat(before, after, play(t, mended, until)))
	for machine, values := range byMachine(without) {
		same := slices.Equal(values, with[machine])
		if changed := machine == string(soonest); same == changed {
			t.Errorf("%s: same records %v, want %v", machine, same, !changed)
		}
	}
	if !slices.ContainsFunc(left.Failures(), func(f sim.Failure) bool { return f.Machine == soonest && f.Time == at && f.Mode == mode }) {
		t.Errorf("without the repair %s did not fail at %s by %s", soonest, at, mode)
	}
}

// doomed returns the machine that breaks first.
func doomed(t *testing.T, s *sim.Sim) (machine drumbeat.MachineID, at drumbeat.Time, mode string) {
	t.Helper()
	at = drumbeat.Time(1<<63 - 1)
	for _, m := range s.Machines() {
		when, how, err := s.NextFailure(m)
		if err != nil {
			t.Fatal(err)
		}
		if when != drumbeat.NoTime && when < at {
			machine, at, mode = m, when, how
		}
	}
	return machine, at, mode
}

func TestWhatIsForetoldHappens(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 13, 40)
	s := start(t, cfg)
	play(t, s, cfg.Start.Add(3*day))
	foretold := make(map[drumbeat.MachineID]drumbeat.Time)
	until := s.Now().Add(25 * day)
	for _, m := range s.Machines() {
		at, _, err := s.NextFailure(m)
		if err != nil {
			t.Fatal(err)
		}
		if at != drumbeat.NoTime && at <= until {
			foretold[m] = at
		}
	}
	from := s.Now()
	play(t, s, until.Add(time.Hour))
	happened := make(map[drumbeat.MachineID]drumbeat.Time)
	for _, f := range s.Failures() {
		if _, first := happened[f.Machine]; !first && f.Time > from && f.Time <= until {
			happened[f.Machine] = f.Time
		}
	}
	if diff := cmp.Diff(foretold, happened); diff != "" || len(foretold) == 0 {
		t.Fatalf("%d foretold (-foretold +happened):\n%s", len(foretold), diff)
	}
}

func TestAboutTwoOfAHundredMachinesFailADay(t *testing.T) {
	t.Parallel()
	const seeds, machines, days = 2, 50, 40
	modes, n, early := map[string]int{}, 0, 0
	for seed := range uint64(seeds) {
		cfg := laundry(t, seed, machines)
		s := start(t, cfg)
		if err := s.Play(cfg.Start.Add(days*day), func(topic.Record) error { return nil }); err != nil {
			t.Fatal(err)
		}
		for _, f := range s.Failures() {
			n++
			modes[f.Mode]++
			if f.Time < cfg.Start.Add(days/4*day) {
				early++
			}
			if f.Repaired != drumbeat.NoTime && (f.Repaired <= f.Time || f.Repaired > f.Time.Add(day)) {
				t.Errorf("failed at %s, repaired at %s", f.Time, f.Repaired)
			}
		}
	}
	if rate := float64(n) / (seeds * machines * days) * 100; rate < 1.3 || rate > 2.8 {
		t.Errorf("%.2f failures a day of 100 machines", rate)
	}
	if early < n/7 || early > n*2/5 {
		t.Errorf("%d of %d failures in the first quarter: wear is not steady from the first day", early, n)
	}
	for _, mode := range []string{"bearing", "heater", "pump", "motor", "door_seal"} {
		if share := float64(modes[mode]) / float64(n); share < 0.05 || share > 0.4 {
			t.Errorf("%s is %.2f of the failures", mode, share)
		}
	}
}

func TestMachinesRestAtNightAndSayWhenTheyStop(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 17, 40)
	power := cfg.Fleet.SensorIndex("power_kw")
	decoder := fleet.NewDecoder(cfg.Fleet)
	day, night, stops, runsAfterStop := 0, 0, 0, 0
	stopped := map[drumbeat.MachineID]drumbeat.Time{}
	for _, r := range play(t, start(t, cfg), cfg.Start.Add(14*24*time.Hour)) {
		if r.Type != "" {
			continue
		}
		items, err := decoder.Decode(fleet.Form{Type: r.Type}, r.Value, nil)
		if err != nil || len(items) != 1 || items[0].Values[power] == drumbeat.Missing {
			continue
		}
		item := items[0]
		hour := item.EventTime.Std().Hour()
		switch {
		case hour >= 1 && hour < 4:
			night++
		case hour >= 9 && hour < 12:
			day++
		}
		if !cfg.Fleet.Running.Holds(item.Values) {
			stops++
			stopped[item.Machine] = item.EventTime
		} else if at, ok := stopped[item.Machine]; ok && item.EventTime > at {
			if item.EventTime.Sub(at) < time.Hour {
				runsAfterStop++
			}
			delete(stopped, item.Machine)
		}
	}
	if night*5 > day || night == 0 {
		t.Errorf("%d readings by night, %d by day: want a few night shifts", night, day)
	}
	if stops < 40*8 || runsAfterStop*10 > stops {
		t.Errorf("%d last readings of 40 machines in two weeks, %d went on at once", stops, runsAfterStop)
	}
}

func TestTheFilesHoldWhatWasSent(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 19, 20)
	until := cfg.Start.Add(10 * day)
	dir := filepath.Join(t.TempDir(), "csv")
	if err := sim.WriteCSV(cfg, until, dir); err != nil {
		t.Fatal(err)
	}
	s := start(t, cfg)
	play(t, s, until)
	counts := s.Counts()
	want := map[string]int64{
		"telemetry.csv": counts.Readings[drumbeat.FateLate] + counts.Readings[drumbeat.FateDuplicate] + counts.Readings[drumbeat.FateKept],
		"machines.csv":  20,
		"failure_log.csv + maintenance_log.csv": counts.Entries["failure"] + counts.Entries["maintenance"] +
			counts.Fates[drumbeat.FateDuplicate] - counts.Readings[drumbeat.FateDuplicate],
	}
	got := map[string]int64{}
	for _, names := range slices.Collect(maps.Keys(want)) {
		for name := range strings.SplitSeq(names, " + ") {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			got[names] += int64(strings.Count(string(text), "\n")) - 1
			if !strings.HasPrefix(string(text), "machine_id,") {
				t.Errorf("%s begins with %.60q", name, text)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-sent +written):\n%s", diff)
	}
}

func TestAnErrorEndsThePlay(t *testing.T) {
	t.Parallel()
	cfg := laundry(t, 1, 5)
	full := errors.New("disk full")
	if err := start(t, cfg).Play(cfg.Start.Add(day), func(topic.Record) error { return full }); !errors.Is(err, full) {
		t.Fatalf("got %v", err)
	}
}

func TestAWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	good := laundry(t, 1, 5)
	without := func(change func(*fleet.Fleet)) *fleet.Fleet {
		f := *good.Fleet
		f.Sensors, f.Logs = slices.Clone(f.Sensors), slices.Clone(f.Logs)
		change(&f)
		return &f
	}
	for name, cfg := range map[string]sim.Config{
		"no fleet":             {},
		"too many machines":    {Fleet: good.Fleet, Machines: 20_001},
		"fewer than none":      {Fleet: good.Fleet, Machines: -1},
		"a sensor is missing":  {Fleet: without(func(f *fleet.Fleet) { f.Sensors[3].Name = "power_w" })},
		"a log is missing":     {Fleet: without(func(f *fleet.Fleet) { f.Logs = f.Logs[:1] })},
		"a past of no topic":   {Fleet: good.Fleet, Past: &sim.Past{}},
		"a past of other seed": {Fleet: good.Fleet, Machines: 5, Start: good.Start, Past: strangePast(t)},
	} {
		s, err := sim.New(cfg)
		if err == nil {
			err = s.Play(good.Start.Add(day), func(topic.Record) error { return nil })
		}
		if !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("%s: got %v, want an error of kind invalid", name, err)
		}
	}
	s := start(t, good)
	_, _, err := s.NextFailure("W-999")
	_, inspect := s.Inspect("W-999")
	for _, err := range []error{err, inspect, s.Repair("W-999", s.Now(), "")} {
		if !errors.Is(err, drumbeat.ErrNotFound) {
			t.Errorf("of an unknown machine: got %v, want an error of kind not found", err)
		}
	}
	record := topic.Record{Headers: map[string]string{"seq": "x"}}
	if err := new(sim.Past).Observe(&record); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a number that is none: got %v", err)
	}
}

// strangePast tells of a repair on a machine that five machines lack.
func strangePast(t *testing.T) *sim.Past {
	t.Helper()
	past := &sim.Past{Partitions: 1}
	record := topic.Record{
		Key: "W-050", Type: "maintenance", Time: drumbeat.At(time.Date(2026, 1, 1, 5, 0, 0, 0, time.UTC)),
		Headers: map[string]string{"seq": "7", "by": "ada"},
	}
	if err := past.Observe(&record); err != nil {
		t.Fatal(err)
	}
	return past
}
