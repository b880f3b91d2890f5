package alert_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/alert"
)

func TestAnAlertOpensUpdatesAndCloses(t *testing.T) {
	s := openNew(t)
	apply(t, s, batch(0, prediction("W-1", 1, 0.45), prediction("W-1", 2, 0.6), prediction("W-1", 3, 0.8),
		prediction("W-1", 4, 0.2), prediction("W-2", 4, 0.1)))
	open := s.Open()
	if len(open) != 1 {
		t.Fatalf("got %d open alerts, want 1", len(open))
	}
	want := drumbeat.Alert{
		ID: open[0].ID, Fleet: "laundry", Machine: "W-1", Mode: "any", OpenedAt: at(2),
		OpenedPos: drumbeat.Position{Offset: 200}, LastAbove: at(3), Peak: 0.8, Latest: *prediction("W-1", 4, 0.2),
		ClosedAt: drumbeat.NoTime, Model: 3,
	}
	if diff := cmp.Diff(want, open[0]); diff != "" {
		t.Errorf("open alert (-want +got):\n%s", diff)
	}
	stored, err := s.Alert(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored alert (-want +got):\n%s", diff)
	}
	apply(t, s, batch(5, entry(failure, "W-1", 5, 9)))
	closed, err := s.Alert(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	want.ClosedAt, want.Outcome = at(9), drumbeat.OutcomeLogFailure
	if diff := cmp.Diff(want, closed); diff != "" {
		t.Errorf("closed alert (-want +got):\n%s", diff)
	}
	if open := s.Open(); len(open) != 0 {
		t.Errorf("got %d open alerts after the failure, want none", len(open))
	}
	if !s.Down("W-1", at(10)) || s.Down("W-2", at(10)) || s.Down("W-9", at(10)) {
		t.Error("want W-1 down, the others not")
	}
}

func TestAPredictionAboveTheThresholdIsDurableWhenApplyReturns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	defer s.Close()
	apply(t, s, batch(0, prediction("W-1", 2, 0.6)))
	// Nobody has closed the store: what another process sees is on disk.
	if lines := dump(t, path); !slices.ContainsFunc(lines, func(l string) bool { return l[:5] == "alert" }) {
		t.Errorf("no alert in the file: %q", lines)
	}
}

func TestOnlyLivePredictionsOfTheChampionOpenAlerts(t *testing.T) {
	s := openNew(t)
	change := func(fn func(*drumbeat.Prediction)) *drumbeat.Prediction {
		p := prediction("W-1", 2, 0.9)
		fn(p)
		return p
	}
	apply(t, s, batch(0,
		change(func(p *drumbeat.Prediction) { p.Purpose = drumbeat.PurposeQuery }),
		change(func(p *drumbeat.Prediction) { p.Role = drumbeat.RoleChallenger }),
		change(func(p *drumbeat.Prediction) { p.Fleet = "dryers" }),
		change(func(p *drumbeat.Prediction) { p.Machine = "" }),
		change(func(p *drumbeat.Prediction) { p.Probability = math.NaN() }),
		change(func(p *drumbeat.Prediction) { p.Margin = math.Inf(1) }),
		change(func(p *drumbeat.Prediction) { p.Threshold = 0.9 }),
	))
	counts, err := s.Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := alert.Counts{
		Outcomes: map[drumbeat.Outcome]int{}, Applied: alert.Applied{Live: 1, Queries: 2, Invalid: 4},
	}
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestReplayedOffsetsChangeNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	first := batch(0, prediction("W-1", 1, 0.9), entry(maintenance, "W-1", 2, 2), prediction("W-1", 3, 0.3), prediction("W-1", 4, 0.9))
	apply(t, s, first)
	want := dump(t, path)
	apply(t, s, first)
	apply(t, s, batch(2, first.Events[2].Prediction, first.Events[3].Prediction))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	defer s.Close()
	apply(t, s, first)
	apply(t, s, batch(0, first.Events[0].Prediction))
	if diff := cmp.Diff(want, dump(t, path)); diff != "" {
		t.Errorf("file (-once +replayed):\n%s", diff)
	}
	if counts, err := s.Counts(t.Context()); err != nil || counts.Applied != (alert.Applied{Repeated: 5}) {
		t.Errorf("counts since reopening: got %+v, %v, want five repeated events", counts.Applied, err)
	}
	if got := s.Progress()[alert.Place{}]; got != 4 {
		t.Errorf("progress: got %d, want 4", got)
	}
}

func TestPartitionsAndEpochsHaveTheirOwnOffsets(t *testing.T) {
	s := openNew(t)
	for i, place := range []alert.Place{{}, {Partition: 1}, {Epoch: 1}} {
		b := batch(0, prediction(drumbeat.MachineID(fmt.Sprint("W-", i)), 1, 0.9))
		b.Place = place
		apply(t, s, b)
	}
	if got := len(s.Open()); got != 3 {
		t.Errorf("got %d open alerts, want one of each place", got)
	}
}

func TestAlertsOfSilentMachinesEndByTheClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	b := batch(0, prediction("W-1", 1, 0.9), prediction("W-2", 2, 0.9))
	b.Now = at(2)
	apply(t, s, b)
	for _, step := range []struct {
		hours float64
		open  int
	}{{169, 2}, {169.1, 1}, {100, 1}, {170, 1}} {
		if err := s.Tick(t.Context(), at(step.hours)); err != nil {
			t.Fatal(err)
		}
		if got := len(s.Open()); got != step.open {
			t.Errorf("at hour %v: %d open alerts, want %d", step.hours, got, step.open)
		}
		if s.Now() < at(169) {
			t.Errorf("the clock fell to %s", s.Now())
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	defer s.Close()
	if got := s.Now(); got != at(170) {
		t.Errorf("clock after reopening: got %s, want %s", got, at(170))
	}
	closed, err := s.List(t.Context(), alert.Filter{Closed: true})
	if err != nil || len(closed) != 1 || closed[0].ClosedAt != at(169) || closed[0].Outcome != drumbeat.OutcomeUnanswered {
		t.Errorf("closed: got %+v, %v, want that of W-1 at hour 169, unanswered", closed, err)
	}
}

// drawThings draws what a partition brings, in order.
func drawThings(random *rand.Rand) []any {
	var things []any
	hour := 0.0
	for range 10 + random.IntN(40) {
		hour += []float64{1, 1, 5, 100}[random.IntN(4)]
		machine := drumbeat.MachineID(fmt.Sprint("W-", random.IntN(3)))
		switch random.IntN(8) {
		case 0:
			things = append(things, entry(failure, machine, hour-float64(random.IntN(9)), hour))
		case 1:
			things = append(things, entry(maintenance, machine, hour, hour))
		default:
			p := prediction(machine, hour, []float64{0.1, 0.9}[random.IntN(2)])
			p.Mode = []string{"", "any", "bearing"}[random.IntN(3)]
			things = append(things, p)
		}
	}
	return things
}

// Six seeds, not rapid's hundred runs: each run is some thirty commits to disk.
func TestBatchesCrashesAndReplaysComeToTheSame(t *testing.T) {
	for seed := range uint64(6) {
		random := rand.New(rand.NewPCG(seed, 1))
		things := drawThings(random)
		dir := t.TempDir()
		whole, parts := filepath.Join(dir, "whole.db"), filepath.Join(dir, "parts.db")
		s := openAt(t, whole)
		apply(t, s, batch(0, things...))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openAt(t, parts)
		for next := 0; next < len(things); {
			from, to := max(0, next-random.IntN(4)), min(len(things), next+1+random.IntN(9))
			apply(t, s, batch(int64(from), things[from:to]...))
			next = to
			if random.IntN(6) == 0 {
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = openAt(t, parts)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(dump(t, whole), dump(t, parts)); diff != "" {
			t.Fatalf("seed %d: file (-one batch +many, with replays and restarts):\n%s", seed, diff)
		}
	}
}

func TestAFailureToWriteChangesNothing(t *testing.T) {
	things := []any{prediction("W-1", 1, 0.9), entry(maintenance, "W-1", 2, 2), prediction("W-2", 3, 0.9)}
	for _, table := range []string{"progress", "watch", "alert", "fleet"} {
		t.Run(table, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "alerts.db")
			s := openAt(t, path)
			defer s.Close()
			apply(t, s, batch(0, prediction("W-1", 0, 0.9)))
			before := dump(t, path)
			b := batch(1, things...)
			b.Now = at(3)
			for _, verb := range []string{"INSERT", "UPDATE"} {
				trigger := fmt.Sprintf("CREATE TRIGGER no_%s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, 'disk full'); END", verb, verb, table)
				if err := edit(t, path, trigger); err != nil {
					t.Fatal(err)
				}
			}
			changes, stop := s.Subscribe(9)
			defer stop()
			if err := s.Apply(t.Context(), b); err == nil {
				t.Fatal("applied though nothing can be written")
			}
			if diff := cmp.Diff(before, dump(t, path)); diff != "" {
				t.Errorf("file (-before +after the failure):\n%s", diff)
			}
			if len(changes) != 0 || len(s.Open()) != 1 || s.Progress()[alert.Place{}] != 1 || s.Now() != drumbeat.NoTime {
				t.Errorf("the store remembers what was not written")
			}
			for _, verb := range []string{"INSERT", "UPDATE"} {
				if err := edit(t, path, "DROP TRIGGER no_"+verb); err != nil {
					t.Fatal(err)
				}
			}
			apply(t, s, b)
			other := filepath.Join(t.TempDir(), "alerts.db")
			untroubled := openAt(t, other)
			defer untroubled.Close()
			apply(t, untroubled, batch(0, prediction("W-1", 0, 0.9)))
			apply(t, untroubled, b)
			if diff := cmp.Diff(dump(t, other), dump(t, path)); diff != "" {
				t.Errorf("file (-without a failure +tried again):\n%s", diff)
			}
		})
	}
}

func TestPredictionsOfTheAPIShareCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	const callers = 32
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			p := prediction(drumbeat.MachineID(fmt.Sprint("W-", i)), 1, 0.9)
			for range 2 { // the second time changes nothing
				if err := s.Record(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openAt(t, path)
	defer s.Close()
	if got := len(s.Open()); got != callers {
		t.Errorf("got %d open alerts, want %d", got, callers)
	}
}

func TestRecordingGoesOnWhenItsCallerGivesUp(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Record(ctx, prediction("W-1", 1, 0.9)); err != nil || len(s.Open()) != 1 {
		t.Errorf("got %v and %d open alerts, want one: others may share the commit", err, len(s.Open()))
	}
}

func TestTheLogsSilenceEveryMode(t *testing.T) {
	s := openNew(t)
	p := prediction("W-1", 3, 0.9)
	p.Mode = "bearing"
	apply(t, s, batch(0, entry(failure, "W-1", 2, 2), p))
	if len(s.Open()) != 0 {
		t.Error("an alert of a mode opened while the machine was down")
	}
}

func TestRecordFailsForEveryCallerOfTheCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	s := openAt(t, path)
	defer s.Close()
	if err := edit(t, path, "CREATE TRIGGER no BEFORE INSERT ON alert BEGIN SELECT RAISE(ABORT, 'disk full'); END"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := s.Record(t.Context(), prediction(drumbeat.MachineID(fmt.Sprint("W-", i)), 1, 0.9)); err == nil {
				t.Error("recorded though nothing can be written")
			}
		})
	}
	wg.Wait()
}

func TestOpenRefusesWhatItMustNotTouch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "alerts.db")
	if err := openAt(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	other := laundry()
	other.Name = "dryers"
	if _, err := alert.Open(t.Context(), path, other, slog.New(slog.DiscardHandler)); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("another fleet's file: got %v, want it refused", err)
	}
	if err := edit(t, path, `INSERT INTO watch (machine, mode, state) VALUES ('W-1', 'any', '{')`); err != nil {
		t.Fatal(err)
	}
	if _, err := alert.Open(t.Context(), path, laundry(), slog.New(slog.DiscardHandler)); !errors.Is(err, drumbeat.ErrInvalid) {
		t.Errorf("a damaged watch: got %v, want it refused", err)
	}
	if err := edit(t, path, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := alert.Open(t.Context(), path, laundry(), slog.New(slog.DiscardHandler)); !errors.Is(err, drumbeat.ErrNewer) {
		t.Errorf("a newer format: got %v, want it refused", err)
	}
}

func TestABatchHasALimit(t *testing.T) {
	s := openNew(t)
	b := &alert.Batch{Events: make([]alert.Event, alert.MaxBatch+1)}
	if err := s.Apply(t.Context(), b); !errors.Is(err, drumbeat.ErrLimit) {
		t.Errorf("got %v, want it refused", err)
	}
}

func TestApplyEndsWithItsContext(t *testing.T) {
	s := openNew(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Apply(ctx, batch(0, prediction("W-1", 1, 0.9))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	if len(s.Open()) != 0 {
		t.Error("an alert is open though nothing was written")
	}
}

func BenchmarkApply(b *testing.B) {
	s := openNew(b)
	offset := int64(0)
	const machines, steps = 100, 24
	for b.Loop() {
		var things []any
		for range steps {
			hour := float64(offset) / machines
			for m := range machines {
				p := prediction(drumbeat.MachineID(fmt.Sprintf("W-%03d", m)), hour, 0.3)
				if m < 5 {
					p.Probability = 0.9
				}
				things = append(things, p)
			}
			offset += machines
		}
		apply(b, s, batch(offset-machines*steps, things...))
	}
	b.ReportMetric(float64(machines*steps*b.N)/b.Elapsed().Seconds(), "predictions/s")
}
