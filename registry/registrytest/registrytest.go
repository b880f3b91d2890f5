// Package registrytest holds every registry.Registry to its contract.
package registrytest

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/registry"
)

// Manifest returns a manifest that passes its check.
func Manifest(fleet drumbeat.FleetName) registry.Manifest {
	return registry.Manifest{
		Format: registry.ManifestFormat, Fleet: fleet, View: "machine_health", Hash: "abc",
		Features: []string{"vibration_now", "runtime_total"}, Horizon: "7d", Mode: "any",
		LabelPolicy: "L1-L3/1", Threshold: 0.45, Calibration: "platt",
		Data:   map[string]int64{"gold": 12},
		Split:  map[string]registry.TimeSpan{"train": {From: 1_000_000, Until: 2_000_000}},
		Params: map[string]string{"eta": "0.05"}, Seed: 7, Library: "xgboost 3.2.0", Program: "test",
		Measures: json.RawMessage(`{"pr_auc":0.5}`),
	}
}

// Registration returns something to register, told apart by content.
func Registration(fleet drumbeat.FleetName, content string) registry.Registration {
	return registry.Registration{
		Manifest:  Manifest(fleet),
		Files:     map[string][]byte{"model.ubj": []byte(content), "calibration.json": []byte("{}")},
		Who:       "train",
		WhenFleet: 5_000_000,
	}
}

// Run runs the suite against registries that open makes, each empty.
func Run(t *testing.T, open func(t *testing.T) registry.Registry) {
	tests := map[string]func(*testing.T, registry.Registry){
		"a version comes back whole":                         roundTrip,
		"versions are numbered from 1 by fleet":              numbers,
		"a run that is registered again is one version":      runs,
		"what is not there is not found":                     missing,
		"what is wrong is refused":                           wrong,
		"a move is compare-and-set and goes in the ledger":   moves,
		"of many that move at once one wins":                 race,
		"an alias can be taken away":                         takenAway,
		"the first champion has passed no gate and says so":  promoteFirst,
		"a later champion is not promoted as the first":      promoteSecond,
		"several challengers stand beside the champion":      severalChallengers,
		"a challenger that passed the gate is promoted":      promote,
		"what did not pass the gate is not promoted":         promoteRefused,
		"an override promotes and stays in the ledger":       promoteOverridden,
		"of many that promote at once one wins":              promoteRace,
		"a rollback goes back, and further back":             rollback,
		"a champion that was taken away comes back":          rollbackOfARemoval,
		"registering at once gives every version its number": registerRace,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := open(t)
			defer func() {
				if err := r.Close(); err != nil {
					t.Error(err)
				}
			}()
			test(t, r)
		})
	}
}

func register(t *testing.T, r registry.Registry, in registry.Registration) registry.Version {
	t.Helper()
	v, err := r.Register(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func roundTrip(t *testing.T, r registry.Registry) {
	in := Registration("laundry", "trees")
	v := register(t, r, in)
	if v.Number != 1 || v.Who != "train" || v.WhenFleet != in.WhenFleet || v.WhenWall == 0 {
		t.Errorf("registered: got %+v, want version 1 by train with both clocks", v)
	}
	got, err := r.Version(t.Context(), "laundry", 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, got); diff != "" {
		t.Errorf("version (-registered +read):\n%s", diff)
	}
	if diff := cmp.Diff(in.Manifest, got.Manifest); diff != "" {
		t.Errorf("manifest (-given +read):\n%s", diff)
	}
	for name, want := range in.Files {
		body, err := r.Read(t.Context(), &got, name)
		if err != nil || string(body) != string(want) {
			t.Errorf("file %s: got %q, %v, want %q", name, body, err, want)
		}
	}
	if len(got.Files) != 2 || got.Files[0].Name != "calibration.json" || got.Files[1].Bytes != 5 {
		t.Errorf("files: got %+v, want both, sorted by name", got.Files)
	}
}

func numbers(t *testing.T, r registry.Registry) {
	for i, fleet := range []drumbeat.FleetName{"laundry", "laundry", "dryers", "laundry"} {
		want := []drumbeat.ModelVersion{1, 2, 1, 3}[i]
		if v := register(t, r, Registration(fleet, strconv.Itoa(i))); v.Number != want {
			t.Errorf("version %d of %s: got number %d, want %d", i, fleet, v.Number, want)
		}
	}
	list, err := r.List(t.Context(), "laundry")
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Number != 1 || list[2].Number != 3 || len(list[2].Files) != 2 {
		t.Errorf("list: got %+v, want versions 1 to 3 with their files", list)
	}
}

func runs(t *testing.T, r registry.Registry) {
	in := Registration("laundry", "trees")
	in.Run = "run-1"
	first := register(t, r, in)
	in.WhenFleet += 1_000_000
	if diff := cmp.Diff(first, register(t, r, in)); diff != "" {
		t.Errorf("the same run again (-first +again):\n%s", diff)
	}
	in.Files["model.ubj"] = []byte("other trees")
	if _, err := r.Register(t.Context(), in); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("the same run with other content: got %v, want a conflict", err)
	}
	in.Run = "run-2"
	if v := register(t, r, in); v.Number != 2 {
		t.Errorf("another run: got version %d, want 2", v.Number)
	}
}

func missing(t *testing.T, r registry.Registry) {
	v := register(t, r, Registration("laundry", "trees"))
	_, version := r.Version(t.Context(), "laundry", 2)
	_, fleet := r.Version(t.Context(), "dryers", 1)
	_, file := r.Read(t.Context(), &v, "nothing")
	_, alias := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion)
	_, move := r.Move(t.Context(), to(0, 9))
	for what, err := range map[string]error{
		"version": version, "fleet": fleet, "file": file, "alias": alias, "move to a version": move,
	} {
		if !errors.Is(err, drumbeat.ErrNotFound) {
			t.Errorf("a %s that is not there: got %v, want not found", what, err)
		}
	}
	if list, err := r.List(t.Context(), "dryers"); err != nil || len(list) != 0 {
		t.Errorf("list of no fleet: got %v, %v, want nothing", list, err)
	}
}

func wrong(t *testing.T, r registry.Registry) {
	tests := map[string]struct {
		change func(*registry.Registration)
		kind   error
	}{
		"no features":          {func(in *registry.Registration) { in.Manifest.Features = nil }, drumbeat.ErrInvalid},
		"a feature twice":      {func(in *registry.Registration) { in.Manifest.Features = []string{"a", "b", "a"} }, drumbeat.ErrInvalid},
		"no hash":              {func(in *registry.Registration) { in.Manifest.Hash = "" }, drumbeat.ErrInvalid},
		"a threshold of 1":     {func(in *registry.Registration) { in.Manifest.Threshold = 1 }, drumbeat.ErrInvalid},
		"a newer manifest":     {func(in *registry.Registration) { in.Manifest.Format++ }, drumbeat.ErrNewer},
		"no files":             {func(in *registry.Registration) { in.Files = nil }, drumbeat.ErrInvalid},
		"a file with a path":   {func(in *registry.Registration) { in.Files["../x"] = nil }, drumbeat.ErrInvalid},
		"nobody":               {func(in *registry.Registration) { in.Who = "" }, drumbeat.ErrInvalid},
		"measures are no JSON": {func(in *registry.Registration) { in.Manifest.Measures = json.RawMessage("{") }, drumbeat.ErrInvalid},
	}
	for name, test := range tests {
		in := Registration("laundry", "trees")
		test.change(&in)
		if _, err := r.Register(t.Context(), in); !errors.Is(err, test.kind) {
			t.Errorf("%s: got %v, want %v", name, err, test.kind)
		}
	}
	moves := map[string]registry.Move{
		"no reason": {Fleet: "laundry", Alias: drumbeat.RoleChampion, To: 1, Who: "kim", Proof: "gate"},
		"no proof":  {Fleet: "laundry", Alias: drumbeat.RoleChampion, To: 1, Who: "kim", Why: "better"},
		"nobody":    {Fleet: "laundry", Alias: drumbeat.RoleChampion, To: 1, Why: "better", Proof: "gate"},
		"an alias that is none": {
			Fleet: "laundry", Alias: "king", To: 1, Who: "kim", Why: "better", Proof: "gate",
		},
		"to where it stands": to(0, 0),
	}
	for name, m := range moves {
		if _, err := r.Move(t.Context(), m); !errors.Is(err, drumbeat.ErrInvalid) {
			t.Errorf("a move with %s: got %v, want it refused", name, err)
		}
	}
	if list, err := r.List(t.Context(), "laundry"); err != nil || len(list) != 0 {
		t.Errorf("after refusals: got %v, %v, want no version", list, err)
	}
}

func to(from, to drumbeat.ModelVersion) registry.Move {
	return registry.Move{
		Fleet: "laundry", Alias: drumbeat.RoleChampion, From: from, To: to, Who: "kim", Why: "better",
		Proof: "recall 0.99", WhenFleet: 7_000_000,
	}
}

func moves(t *testing.T, r registry.Registry) {
	for i := range 3 {
		register(t, r, Registration("laundry", strconv.Itoa(i)))
	}
	var want []registry.LedgerRow
	for _, m := range []registry.Move{to(0, 1), to(1, 3), to(3, 2)} {
		row, err := r.Move(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if row.WhenWall == 0 || row.WhenFleet != m.WhenFleet {
			t.Errorf("ledger row %+v: want both clocks", row)
		}
		want = append(want, row)
	}
	if _, err := r.Move(t.Context(), to(1, 3)); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("a move from where it no longer stands: got %v, want a conflict", err)
	}
	alias, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion)
	wantAlias := registry.Alias{Fleet: "laundry", Name: drumbeat.RoleChampion, Version: 2, Seq: want[2].Seq}
	if err != nil || alias != wantAlias {
		t.Errorf("alias: got %+v, %v, want %+v", alias, err, wantAlias)
	}
	got, err := r.Ledger(t.Context(), "laundry", 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ledger (-moves that were made +got):\n%s", diff)
	}
	if got, err := r.Ledger(t.Context(), "laundry", want[1].Seq); err != nil || len(got) != 1 || got[0].To != 2 {
		t.Errorf("ledger after the second row: got %+v, %v, want the third", got, err)
	}
	champion, _, err := registry.Champion(t.Context(), r, "laundry")
	if err != nil || champion.Number != 2 {
		t.Errorf("champion: got version %d, %v, want 2", champion.Number, err)
	}
}

func race(t *testing.T, r registry.Registry) {
	const movers = 8
	for i := range movers + 1 {
		register(t, r, Registration("laundry", strconv.Itoa(i)))
	}
	var wg sync.WaitGroup
	errs := make([]error, movers)
	for i := range movers {
		wg.Go(func() {
			_, errs[i] = r.Move(t.Context(), to(0, drumbeat.ModelVersion(i+1)))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, drumbeat.ErrConflict):
			t.Errorf("a mover that came second: got %v, want a conflict", err)
		}
	}
	ledger, err := r.Ledger(t.Context(), "laundry", 0)
	if won != 1 || err != nil || len(ledger) != 1 {
		t.Errorf("%d of %d movers won, the ledger has %d rows (%v), want one each", won, movers, len(ledger), err)
	}
}

func registerRace(t *testing.T, r registry.Registry) {
	const models = 8
	var wg sync.WaitGroup
	numbers := make([]drumbeat.ModelVersion, models)
	for i := range models {
		wg.Go(func() {
			v, err := r.Register(context.WithoutCancel(t.Context()), Registration("laundry", "the same trees"))
			if err != nil {
				t.Error(err)
			}
			numbers[i] = v.Number
		})
	}
	wg.Wait()
	seen := map[drumbeat.ModelVersion]bool{}
	for _, n := range numbers {
		seen[n] = true
	}
	for n := range drumbeat.ModelVersion(models) {
		if !seen[n+1] {
			t.Errorf("numbers: got %v, want 1 to %d", numbers, models)
		}
	}
}

func takenAway(t *testing.T, r registry.Registry) {
	register(t, r, Registration("laundry", "trees"))
	for _, m := range []registry.Move{to(0, 1), to(1, 0)} {
		if _, err := r.Move(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("alias: got %v, want not found", err)
	}
	if ledger, err := r.Ledger(t.Context(), "laundry", 0); err != nil || len(ledger) != 2 {
		t.Errorf("ledger: got %+v, %v, want both moves", ledger, err)
	}
}

func promoteFirst(t *testing.T, r registry.Registry) {
	v := register(t, r, Registration("laundry", "trees"))
	row, err := registry.PromoteFirst(t.Context(), r, &v, "train", 9_000_000)
	if err != nil {
		t.Fatal(err)
	}
	want := registry.LedgerRow{
		Seq: row.Seq, Fleet: "laundry", Alias: drumbeat.RoleChampion, From: 0, To: 1, Who: "train",
		Why: "the fleet's first champion: no gate", Proof: `no gate; test measures: {"pr_auc":0.5}`,
		WhenFleet: 9_000_000, WhenWall: row.WhenWall,
	}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("ledger row (-want +got):\n%s", diff)
	}
}

func promoteSecond(t *testing.T, r registry.Registry) {
	first, second := register(t, r, Registration("laundry", "trees")), register(t, r, Registration("laundry", "more"))
	if _, err := registry.PromoteFirst(t.Context(), r, &first, "train", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := registry.PromoteFirst(t.Context(), r, &second, "train", 2); !errors.Is(err, drumbeat.ErrConflict) {
		t.Errorf("got %v, want a conflict", err)
	}
}
