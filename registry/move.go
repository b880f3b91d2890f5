package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"drumbeat"
)

// Check reports what is wrong with a move before any registry is asked.
func (m *Move) Check() error {
	verb := fmt.Sprintf("move %s of %s", m.Alias, m.Fleet)
	switch {
	case m.Fleet == "":
		return fmt.Errorf("move %s: the fleet is missing: %w", m.Alias, drumbeat.ErrInvalid)
	case m.Alias != drumbeat.RoleChampion && !IsChallenger(m.Alias):
		return fmt.Errorf("%[1]s: an alias is %[2]s, %[3]s, or %[3]s-2 to %[3]s-%[4]d: %[5]w", verb, drumbeat.RoleChampion,
			drumbeat.RoleChallenger, MaxChallengers, drumbeat.ErrInvalid)
	case m.Who == "":
		return fmt.Errorf("%s: say who: %w", verb, drumbeat.ErrInvalid)
	case m.Why == "":
		return fmt.Errorf("%s: say why: %w", verb, drumbeat.ErrInvalid)
	case m.Proof == "":
		return fmt.Errorf(`%s: say what it rests on, or "no gate": %w`, verb, drumbeat.ErrInvalid)
	case m.From == m.To:
		return fmt.Errorf("%s: it stands at version %d already: %w", verb, m.To, drumbeat.ErrInvalid)
	case m.From < 0 || m.To < 0:
		return fmt.Errorf("%s: versions count from 1: %w", verb, drumbeat.ErrInvalid)
	case len(m.Why) > MaxTextBytes || len(m.Proof) > MaxManifestBytes || len(m.Who) > MaxTextBytes:
		return fmt.Errorf("%s: a text is too long: %w", verb, drumbeat.ErrLimit)
	}
	return nil
}

// MaxChallengers is how many versions may shadow the champion at once: each
// scores every reading, and nobody compares ten.
const MaxChallengers = 9

// IsChallenger says whether an alias is a challenger's: challenger, or
// challenger-2 to challenger-9.
func IsChallenger(alias drumbeat.Role) bool {
	number, numbered := strings.CutPrefix(string(alias), string(drumbeat.RoleChallenger)+"-")
	return alias == drumbeat.RoleChallenger || numbered && len(number) == 1 && number >= "2" && number <= "9"
}

// Champion returns the version that is champion, and where the alias stands;
// drumbeat.ErrNotFound if there is none.
func Champion(ctx context.Context, r Registry, fleet drumbeat.FleetName) (Version, Alias, error) {
	alias, err := r.Alias(ctx, fleet, drumbeat.RoleChampion)
	if err != nil {
		return Version{}, Alias{}, err
	}
	version, err := r.Version(ctx, fleet, alias.Version)
	return version, alias, err
}

// NoGate is what the ledger says of a champion that proved nothing (M5).
const NoGate = "no gate"

// PromoteFirst makes a version the fleet's first champion. There is nothing to
// compare it with, so no gate: the ledger says so, beside the test measures in
// proof (M5). A fleet that has a champion refuses with drumbeat.ErrConflict.
func PromoteFirst(
	ctx context.Context, r Aliases, v *Version, who string, fleetNow drumbeat.Time,
) (LedgerRow, error) {
	proof := NoGate
	if len(v.Manifest.Measures) > 0 {
		proof += "; test measures: " + string(v.Manifest.Measures)
	}
	row, err := r.Move(ctx, Move{
		Fleet: v.Manifest.Fleet, Alias: drumbeat.RoleChampion, To: v.Number, Who: who,
		Why: "the fleet's first champion: " + NoGate, Proof: proof, WhenFleet: fleetNow,
	})
	if errors.Is(err, drumbeat.ErrConflict) {
		return LedgerRow{}, fmt.Errorf(
			"promote version %d of %s as the first champion: there is one already; compare them, then move the alias: %w",
			v.Number, v.Manifest.Fleet, drumbeat.ErrConflict)
	}
	return row, err
}

// Follow calls change for where an alias stands and again whenever it has
// moved, looking once at the start and then at each tick, until ctx ends. An
// alias that stands nowhere has Version 0. It ends early with the first error
// of change; a look that fails is tried again at the next tick, and reported
// through failed, so that a registry that is away for a while stops nothing.
func Follow(
	ctx context.Context, r Aliases, at Alias, ticks <-chan time.Time, change func(Alias) error, failed func(error),
) error {
	first := true
	for {
		now, err := r.Alias(ctx, at.Fleet, at.Name)
		if errors.Is(err, drumbeat.ErrNotFound) {
			now, err = Alias{Fleet: at.Fleet, Name: at.Name}, nil
		}
		switch {
		case err != nil:
			if ctx.Err() == nil {
				failed(err)
			}
		case first || now.Version != at.Version || now.Seq != at.Seq:
			if err := change(now); err != nil {
				return fmt.Errorf("follow %s of %s: %w", at.Name, at.Fleet, err)
			}
			at, first = now, false
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks:
		}
	}
}
