package registrytest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"drumbeat"
	"drumbeat/registry"
)

// gate is one that passed, or that refuses for a stated row.
func gate(challenger, champion drumbeat.ModelVersion, passed bool) *registry.Gate {
	g := &registry.Gate{
		Passed: passed, Fleet: "laundry", Challenger: challenger, Champion: champion,
		Rows: []registry.GateRow{
			{Name: registry.RowPrecision, Asked: "at least 0.2", Measured: "0.5", OK: true},
			{Name: registry.RowEventRecall, Asked: "at least 0.99", Measured: "0.9", OK: passed, Missing: "80 more failures"},
		},
	}
	return g
}

// champions registers versions and makes the first of them champion, the
// others challengers.
func champions(t *testing.T, r registry.Registry, versions int) {
	t.Helper()
	for i := range versions {
		v := register(t, r, Registration("laundry", strconv.Itoa(i)))
		if i == 0 {
			if _, err := registry.PromoteFirst(t.Context(), r, &v, "train", 1_000_000); err != nil {
				t.Fatal(err)
			}
			continue
		}
		move(t, r, challenger(i), 0, v.Number)
	}
}

// challenger names the i-th challenger's alias, from 1.
func challenger(i int) drumbeat.Role {
	if i == 1 {
		return drumbeat.RoleChallenger
	}
	return drumbeat.RoleChallenger + drumbeat.Role("-"+strconv.Itoa(i))
}

func move(t *testing.T, r registry.Registry, alias drumbeat.Role, from, to drumbeat.ModelVersion) {
	t.Helper()
	if _, err := r.Move(t.Context(), registry.Move{
		Fleet: "laundry", Alias: alias, From: from, To: to, Who: "train", Why: "trained", Proof: registry.NoGate,
	}); err != nil {
		t.Fatal(err)
	}
}

// stands checks which version stands where, "alias version" sorted by alias.
func stands(t *testing.T, r registry.Registry, want ...string) {
	t.Helper()
	standing, err := registry.Standing(t.Context(), r, "laundry")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, alias := range standing {
		got = append(got, string(alias.Name)+" "+strconv.Itoa(int(alias.Version)))
		at, err := r.Alias(t.Context(), "laundry", alias.Name)
		if err != nil || at != alias {
			t.Errorf("%s: the ledger says %+v, the registry %+v, %v", alias.Name, alias, at, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("aliases that stand (-want +got):\n%s", diff)
	}
}

func severalChallengers(t *testing.T, r registry.Registry) {
	stands(t, r)
	champions(t, r, registry.MaxChallengers+1)
	stands(t, r, "challenger 2", "challenger-2 3", "challenger-3 4", "challenger-4 5", "challenger-5 6",
		"challenger-6 7", "challenger-7 8", "challenger-8 9", "challenger-9 10", "champion 1")
	for i := 2; i <= registry.MaxChallengers; i++ {
		move(t, r, challenger(i), drumbeat.ModelVersion(i+1), 0)
	}
	stands(t, r, "challenger 2", "champion 1")
	for _, alias := range []drumbeat.Role{"challenger-1", "challenger-10", "challenger-", "challenger-x", "challengers"} {
		_, err := r.Move(t.Context(), registry.Move{
			Fleet: "laundry", Alias: alias, To: 1, Who: "kim", Why: "trained", Proof: registry.NoGate,
		})
		if !errors.Is(err, drumbeat.ErrInvalid) || registry.IsChallenger(alias) {
			t.Errorf("%s as an alias: got %v, want it refused", alias, err)
		}
	}
	champion, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion)
	if err != nil {
		t.Fatal(err)
	}
	if row, err := registry.PutBy(t.Context(), r, champion); err != nil || row.Who != "train" || row.WhenFleet != 1_000_000 {
		t.Errorf("who put the champion there: got %+v, %v, want train at 1 s", row, err)
	}
	if _, err := registry.PutBy(t.Context(), r, registry.Alias{Fleet: "laundry", Seq: 999}); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("a row that is not there: got %v, want not found", err)
	}
}

func promote(t *testing.T, r registry.Registry) {
	champions(t, r, 3)
	g := gate(2, 1, true)
	row, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
		Fleet: "laundry", Version: 2, Gate: g, Who: "kim", WhenFleet: 9_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if row.From != 1 || row.To != 2 || row.Who != "kim" || row.WhenFleet != 9_000_000 ||
		!strings.Contains(row.Proof, `"passed":true`) || row.Why != "it passed the gate" {
		t.Errorf("ledger row: got %+v, want 1 to 2 by kim with the gate as proof", row)
	}
	stands(t, r, "challenger-2 3", "champion 2")
	again, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
		Fleet: "laundry", Version: 2, Gate: g, Who: "lee", WhenFleet: 10_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(row, again); diff != "" {
		t.Errorf("promoted again (-first +again):\n%s", diff)
	}
}

func promoteRefused(t *testing.T, r registry.Registry) {
	champions(t, r, 3)
	for name, test := range map[string]struct {
		request registry.PromoteRequest
		kind    error
		says    string
	}{
		"no gate":                        {registry.PromoteRequest{Version: 2}, drumbeat.ErrConflict, "no gate has judged it"},
		"a gate that did not pass":       {registry.PromoteRequest{Version: 2, Gate: gate(2, 1, false)}, drumbeat.ErrConflict, "event_recall: asked is at least 0.99, measured is 0.9 (80 more failures)"},
		"an override of blanks":          {registry.PromoteRequest{Version: 2, Gate: gate(2, 1, false), Override: " "}, drumbeat.ErrConflict, "did not pass"},
		"a gate of another version":      {registry.PromoteRequest{Version: 3, Gate: gate(2, 1, true)}, drumbeat.ErrInvalid, "judged version 2"},
		"a gate with another champion":   {registry.PromoteRequest{Version: 2, Gate: gate(2, 3, true)}, drumbeat.ErrConflict, "compared it with version 3"},
		"a version that is not there":    {registry.PromoteRequest{Version: 9, Gate: gate(9, 1, true)}, drumbeat.ErrNotFound, "version 9"},
		"version 0, which is no version": {registry.PromoteRequest{Override: "because"}, drumbeat.ErrInvalid, "from 1"},
	} {
		test.request.Fleet, test.request.Who = "laundry", "kim"
		_, err := registry.Promote(t.Context(), r, test.request)
		if !errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %v and %q", name, err, test.kind, test.says)
		}
	}
	stands(t, r, "challenger 2", "challenger-2 3", "champion 1")
}

func promoteOverridden(t *testing.T, r registry.Registry) {
	champions(t, r, 3)
	for i, g := range []*registry.Gate{gate(2, 1, false), nil} {
		version := drumbeat.ModelVersion(i + 2)
		row, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
			Fleet: "laundry", Version: version, Gate: g, Override: "the old one is blind to bearings", Who: "kim",
		})
		if err != nil {
			t.Fatal(err)
		}
		proof := `"passed":false`
		if g == nil {
			proof = registry.NoGate
		}
		if row.To != version || row.Why != "override: the old one is blind to bearings" || !strings.Contains(row.Proof, proof) {
			t.Errorf("ledger row: got %+v, want the reason and %s", row, proof)
		}
	}
	stands(t, r, "champion 3")
}

func promoteRace(t *testing.T, r registry.Registry) {
	const movers = 6
	champions(t, r, movers+1)
	var wg sync.WaitGroup
	errs := make([]error, movers)
	for i := range movers {
		version := drumbeat.ModelVersion(i + 2)
		wg.Go(func() {
			_, errs[i] = registry.Promote(t.Context(), r, registry.PromoteRequest{
				Fleet: "laundry", Version: version, Gate: gate(version, 1, true), Who: "mover " + strconv.Itoa(int(version)),
			})
		})
	}
	wg.Wait()
	champion, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		won := drumbeat.ModelVersion(i+2) == champion.Version
		switch {
		case won && err != nil:
			t.Errorf("version %d is champion, and its mover got %v", champion.Version, err)
		case !won && (!errors.Is(err, drumbeat.ErrConflict) || !strings.Contains(err.Error(), fmt.Sprintf("mover %d was first", champion.Version))):
			t.Errorf("a mover that came second: got %v, want a conflict that names mover %d", err, champion.Version)
		}
	}
	standing, err := registry.Standing(t.Context(), r, "laundry")
	if err != nil || len(standing) != movers {
		t.Errorf("standing: got %v, %v, want the champion and %d challengers", standing, err, movers-1)
	}
}

func rollback(t *testing.T, r registry.Registry) {
	champions(t, r, 4)
	for _, version := range []drumbeat.ModelVersion{2, 3} {
		if _, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
			Fleet: "laundry", Version: version, Gate: gate(version, version-1, true), Who: "kim",
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []drumbeat.ModelVersion{2, 1} {
		before, err := r.Alias(t.Context(), "laundry", drumbeat.RoleChampion)
		if err != nil {
			t.Fatal(err)
		}
		row, err := registry.Rollback(t.Context(), r, "laundry", "lee", "too many false alarms", 11_000_000)
		if err != nil {
			t.Fatal(err)
		}
		if row.To != want || row.Who != "lee" || row.Why != "too many false alarms" || !strings.HasPrefix(row.Proof, "rollback of row ") ||
			row.From != before.Version {
			t.Errorf("ledger row: got %+v, want a rollback of row %d to version %d by lee", row, before.Seq, want)
		}
	}
	stands(t, r, "challenger-3 4", "champion 1")
	if _, err := registry.Rollback(t.Context(), r, "laundry", "lee", "again", 1); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("with nothing to roll back to: got %v, want not found", err)
	}
	if _, err := registry.Rollback(t.Context(), r, "dryers", "lee", "again", 1); !errors.Is(err, drumbeat.ErrNotFound) {
		t.Errorf("of a fleet without a model: got %v, want not found", err)
	}
	if _, err := registry.Promote(t.Context(), r, registry.PromoteRequest{
		Fleet: "laundry", Version: 4, Gate: gate(4, 1, true), Who: "kim",
	}); err != nil {
		t.Fatal(err)
	}
	if row, err := registry.Rollback(t.Context(), r, "laundry", "lee", "no", 1); err != nil || row.To != 1 {
		t.Errorf("after another promotion: got %+v, %v, want version 1", row, err)
	}
}

func rollbackOfARemoval(t *testing.T, r registry.Registry) {
	champions(t, r, 1)
	move(t, r, drumbeat.RoleChampion, 1, 0)
	if row, err := registry.Rollback(t.Context(), r, "laundry", "lee", "who took it away?", 1); err != nil || row.From != 0 || row.To != 1 {
		t.Errorf("got %+v, %v, want version 1 back", row, err)
	}
	stands(t, r, "champion 1")
}
