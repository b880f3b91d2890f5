package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"drumbeat"
)

// Standing returns every alias of a fleet that stands, sorted by name, as the
// ledger has it: the last row of each that was not taken away.
func Standing(ctx context.Context, r Aliases, fleet drumbeat.FleetName) ([]Alias, error) {
	ledger, err := r.Ledger(ctx, fleet, 0)
	if err != nil {
		return nil, err
	}
	last := map[drumbeat.Role]Alias{}
	for i := range ledger {
		row := &ledger[i]
		last[row.Alias] = Alias{Fleet: fleet, Name: row.Alias, Version: row.To, Seq: row.Seq}
	}
	var standing []Alias
	for _, alias := range last {
		if alias.Version != 0 {
			standing = append(standing, alias)
		}
	}
	slices.SortFunc(standing, func(a, b Alias) int { return cmp.Compare(a.Name, b.Name) })
	return standing, nil
}

// PutBy returns the ledger row that put an alias where it stands: since when,
// by whom and why.
func PutBy(ctx context.Context, r Aliases, alias Alias) (LedgerRow, error) {
	rows, err := r.Ledger(ctx, alias.Fleet, alias.Seq-1)
	if err != nil {
		return LedgerRow{}, err
	}
	if len(rows) == 0 || rows[0].Seq != alias.Seq {
		return LedgerRow{}, fmt.Errorf("read ledger of %s: there is no row %d: %w", alias.Fleet, alias.Seq, drumbeat.ErrNotFound)
	}
	return rows[0], nil
}

// PromoteRequest asks for a version to become champion.
type PromoteRequest struct {
	Fleet   drumbeat.FleetName
	Version drumbeat.ModelVersion
	// Gate is what Judge said of the version beside the champion; nil if nobody
	// asked, which needs an override.
	Gate *Gate
	// Override is an engineer's reason to promote what did not pass; the ledger
	// keeps it (M5).
	Override  string
	Who       string
	WhenFleet drumbeat.Time
}

// Promote makes a version champion and takes its challenger alias away. Without
// an override the gate must have passed, and against the version that is
// champion now: else drumbeat.ErrConflict with what is missing.
//
// These are two moves. After a crash between them the version stands as
// champion and as challenger: it serves, and shadows itself, which opens no
// alert and costs a score more a reading. The next call of Promote or Rollback
// takes such an alias away first. Promoting the champion again does nothing
// else: it returns the row that made it champion.
func Promote(ctx context.Context, r Aliases, p PromoteRequest) (LedgerRow, error) {
	verb := fmt.Sprintf("promote version %d of %s", p.Version, p.Fleet)
	champion, err := r.Alias(ctx, p.Fleet, drumbeat.RoleChampion)
	if errors.Is(err, drumbeat.ErrNotFound) {
		champion, err = Alias{Fleet: p.Fleet, Name: drumbeat.RoleChampion}, nil
	}
	if err != nil {
		return LedgerRow{}, fmt.Errorf("%s: %w", verb, err)
	}
	if p.Version <= 0 {
		return LedgerRow{}, fmt.Errorf("%s: versions count from 1: %w", verb, drumbeat.ErrInvalid)
	}
	by := mover{r, p.Fleet, p.Who, p.WhenFleet}
	if err := by.tidy(ctx, champion.Version, champion.Seq); err != nil {
		return LedgerRow{}, fmt.Errorf("%s: %w", verb, err)
	}
	if champion.Version == p.Version {
		return PutBy(ctx, r, champion)
	}
	proof, err := p.proof()
	if err == nil && p.Gate != nil && p.Gate.Champion != champion.Version && !p.overridden() {
		err = fmt.Errorf("the gate compared it with version %d (0 is none), judge it again: %w",
			p.Gate.Champion, by.second(ctx))
	}
	if err != nil {
		return LedgerRow{}, fmt.Errorf("%s: %w", verb, err)
	}
	why := "it passed the gate"
	if p.overridden() {
		why = "override: " + p.Override
	}
	done, err := by.champion(ctx, champion.Version, p.Version, why, proof)
	if err != nil {
		return LedgerRow{}, fmt.Errorf("%s: %w", verb, err)
	}
	return done, by.tidy(ctx, done.To, done.Seq)
}

func (p *PromoteRequest) overridden() bool { return strings.TrimSpace(p.Override) != "" }

// proof returns what the promotion rests on, or why it is refused.
func (p *PromoteRequest) proof() (string, error) {
	switch {
	case p.Gate == nil && p.overridden():
		return NoGate, nil
	case p.Gate == nil:
		return "", fmt.Errorf("no gate has judged it: judge it, or override with a reason: %w", drumbeat.ErrConflict)
	case p.Gate.Challenger != p.Version || p.Gate.Fleet != p.Fleet:
		return "", fmt.Errorf("the gate judged version %d of %s: %w", p.Gate.Challenger, p.Gate.Fleet, drumbeat.ErrInvalid)
	case !p.Gate.Passed && !p.overridden():
		return "", fmt.Errorf("it did not pass the gate, so override with a reason or wait: %s: %w",
			p.Gate.Refusal(), drumbeat.ErrConflict)
	}
	text, err := json.Marshal(p.Gate)
	if err != nil {
		return "", fmt.Errorf("write the gate: %w: %w", err, drumbeat.ErrInvalid)
	}
	return string(text), nil
}

// Rollback makes the version champion that was champion before the standing
// one, by the ledger; drumbeat.ErrNotFound with a sentence if there was none.
// A rollback of a rollback goes further back, not forth again.
func Rollback(
	ctx context.Context, r Aliases, fleet drumbeat.FleetName, who, why string, whenFleet drumbeat.Time,
) (LedgerRow, error) {
	ledger, err := r.Ledger(ctx, fleet, 0)
	if err != nil {
		return LedgerRow{}, fmt.Errorf("roll back the champion of %s: %w", fleet, err)
	}
	undo, before := undoable(ledger)
	if before == 0 {
		return LedgerRow{}, fmt.Errorf(
			"roll back the champion of %s: no version was champion before version %d (0 is none): promote one instead: %w",
			fleet, undo.To, drumbeat.ErrNotFound)
	}
	by := mover{r, fleet, who, whenFleet}
	if err := by.tidy(ctx, undo.To, undo.Seq); err != nil {
		return LedgerRow{}, fmt.Errorf("roll back the champion of %s: %w", fleet, err)
	}
	done, err := by.champion(ctx, undo.To, before, why, rollbackOf(undo.Seq))
	if err != nil {
		return LedgerRow{}, fmt.Errorf("roll back the champion of %s to version %d: %w", fleet, before, err)
	}
	return done, by.tidy(ctx, done.To, done.Seq)
}

func rollbackOf(seq int64) string { return fmt.Sprintf("rollback of row %d", seq) }

// undoable returns the row that put the champion where it stands, and the
// version that was champion before, 0 for none. A rollback and the row that it
// undid count as if neither had been.
func undoable(ledger []LedgerRow) (LedgerRow, drumbeat.ModelVersion) {
	var rows []LedgerRow
	var now drumbeat.ModelVersion
	for i := range ledger {
		if ledger[i].Alias != drumbeat.RoleChampion {
			continue
		}
		now = ledger[i].To
		if last := len(rows) - 1; last >= 0 && ledger[i].Proof == rollbackOf(rows[last].Seq) {
			rows = rows[:last]
			continue
		}
		rows = append(rows, ledger[i])
	}
	if len(rows) == 0 {
		return LedgerRow{}, 0
	}
	undo := rows[len(rows)-1]
	undo.To = now
	for _, row := range slices.Backward(rows[:len(rows)-1]) {
		if row.To != 0 && row.To != now {
			return undo, row.To
		}
	}
	return undo, 0
}

// Previous returns the version that a rollback would make champion again, 0 if
// there is none.
func Previous(ledger []LedgerRow) drumbeat.ModelVersion {
	_, before := undoable(ledger)
	return before
}

// mover is who moves the aliases of a fleet.
type mover struct {
	aliases Aliases
	fleet   drumbeat.FleetName
	who     string
	when    drumbeat.Time
}

// champion moves the champion. If somebody was first, the error says who.
func (m *mover) champion(ctx context.Context, from, to drumbeat.ModelVersion, why, proof string) (LedgerRow, error) {
	row, err := m.aliases.Move(ctx, Move{
		Fleet: m.fleet, Alias: drumbeat.RoleChampion, From: from, To: to, Who: m.who, Why: why, Proof: proof,
		WhenFleet: m.when,
	})
	if !errors.Is(err, drumbeat.ErrConflict) {
		return row, err
	}
	return LedgerRow{}, m.second(ctx)
}

// second says who moved the champion before us: drumbeat.ErrConflict.
func (m *mover) second(ctx context.Context) error {
	ledger, err := m.aliases.Ledger(ctx, m.fleet, 0)
	if err != nil {
		return err
	}
	for _, first := range slices.Backward(ledger) {
		if first.Alias == drumbeat.RoleChampion {
			return fmt.Errorf("%s was first and made version %d champion (row %d: %s): %w",
				first.Who, first.To, first.Seq, first.Why, drumbeat.ErrConflict)
		}
	}
	return fmt.Errorf("there is no champion: %w", drumbeat.ErrConflict)
}

// tidy takes every challenger alias away that stands at the champion, which
// the ledger's row seq put there.
func (m *mover) tidy(ctx context.Context, champion drumbeat.ModelVersion, seq int64) error {
	standing, err := Standing(ctx, m.aliases, m.fleet)
	for _, alias := range standing {
		if err != nil || !IsChallenger(alias.Name) || alias.Version != champion {
			continue
		}
		_, err = m.aliases.Move(ctx, Move{
			Fleet: m.fleet, Alias: alias.Name, From: alias.Version, To: 0, Who: m.who,
			Why: "it is champion", Proof: fmt.Sprintf("row %d", seq), WhenFleet: m.when,
		})
		if errors.Is(err, drumbeat.ErrConflict) {
			err = nil // somebody else moved it: it does not stand there any more
		}
	}
	if err != nil {
		return fmt.Errorf("version %d is champion (row %d), but stands as challenger too; call again to mend that: %w",
			champion, seq, err)
	}
	return nil
}
