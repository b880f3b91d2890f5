package train

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"time"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/label"
	"drumbeat/lake"
)

// Sources is all that there is to learn from now. It grows all the time.
type Sources struct {
	Fleet *fleet.Fleet
	View  *feature.View
	Gold  *lake.Gold // of the view and its hash
	Epoch int32      // the lake's standing one
	// Entries are silver's log entries and watermarks, in any order.
	Entries  []drumbeat.Item
	Findings []drumbeat.Finding
	FleetNow drumbeat.Time // the fleet's clock (T6)
}

// Pin says how much of the sources a training learns from, so that each of its
// parts reads the same, whatever has been written since.
type Pin struct {
	View string        `json:"view"`
	Hash drumbeat.Hash `json:"view_hash"`
	// Settings is a digest of what the fleet file says of labels, splits, fits
	// and measures.
	Settings string        `json:"settings_sha256"`
	Horizon  time.Duration `json:"horizon_ns"`
	FleetNow drumbeat.Time `json:"fleet_now"`

	// Gold and Entries are the first offsets of the epoch that are left out,
	// by partition; earlier epochs count whole, later ones not at all.
	Epoch   int32         `json:"epoch"`
	Gold    lake.Progress `json:"gold"`
	Entries lake.Progress `json:"entries"`
	// Findings is how many count, the first by the wall clock; the digest is
	// of their ids.
	Findings       int    `json:"findings"`
	FindingsSHA256 string `json:"findings_sha256"`
}

// Pin pins what there is now. A horizon of 0 is the fleet's own.
func (s *Sources) Pin(horizon time.Duration) Pin {
	p := Pin{
		View: s.View.Name, Hash: s.View.Hash, Settings: settings(s.Fleet),
		Horizon: label.RuleOf(s.Fleet, horizon).Horizon, FleetNow: s.FleetNow,
		Epoch: s.Epoch, Gold: maps.Clone(s.Gold.Progress()), Entries: lake.Progress{},
		Findings: len(s.Findings), FindingsSHA256: idsOf(s.Findings),
	}
	for i := range s.Entries {
		if at := &s.Entries[i].Position; at.Epoch == s.Epoch {
			p.Entries[at.Partition] = max(p.Entries[at.Partition], at.Offset+1)
		}
	}
	return p
}

// Input is what the pin lets through. If the sources are no longer those that
// were pinned, it is drumbeat.ErrConflict.
func (s *Sources) Input(p *Pin) (Input, error) {
	if err := s.holds(p); err != nil {
		return Input{}, fmt.Errorf("read what %s was pinned to: %w", s.Fleet.Name, err)
	}
	var entries []drumbeat.Item
	for i := range s.Entries {
		if before(s.Entries[i].Position, p.Epoch, p.Entries) {
			entries = append(entries, s.Entries[i])
		}
	}
	findings := byWall(s.Findings)[:p.Findings]
	return Input{
		Fleet: s.Fleet, View: s.View, Gold: s.Gold, Pin: p,
		Truth: label.NewTruth(s.Fleet, p.Horizon, entries, findings, p.FleetNow),
	}, nil
}

// holds refuses sources that cannot give again what was pinned.
func (s *Sources) holds(p *Pin) error {
	const anew = "start a new run"
	switch {
	case s.View.Name != p.View || s.View.Hash != p.Hash:
		return fmt.Errorf("the view is %s %s now, and was %s %s: %s: %w",
			s.View.Name, s.View.Hash, p.View, p.Hash, anew, drumbeat.ErrConflict)
	case settings(s.Fleet) != p.Settings:
		return fmt.Errorf("the fleet file says something else of labels or training now: %s: %w", anew, drumbeat.ErrConflict)
	case len(s.Findings) < p.Findings || idsOf(byWall(s.Findings)[:p.Findings]) != p.FindingsSHA256:
		return fmt.Errorf("the %d findings that were known then are no longer the first ones: %s: %w",
			p.Findings, anew, drumbeat.ErrConflict)
	}
	return nil
}

// before says whether a position was known to a progress.
func before(at drumbeat.Position, epoch int32, next lake.Progress) bool {
	return at.Epoch < epoch || at.Epoch == epoch && at.Offset < next[at.Partition]
}

// byWall puts findings in the order in which they were made.
func byWall(findings []drumbeat.Finding) []drumbeat.Finding {
	return slices.SortedFunc(slices.Values(findings), func(a, b drumbeat.Finding) int {
		return cmp.Or(cmp.Compare(a.WhenWall, b.WhenWall), cmp.Compare(a.ID, b.ID))
	})
}

// idsOf is a digest of the findings' ids, whatever their order.
func idsOf(findings []drumbeat.Finding) string {
	ids := make([]string, len(findings))
	for i := range findings {
		ids[i] = findings[i].ID
	}
	slices.Sort(ids)
	return digest(ids)
}

// settings is a digest of the parts of a fleet file on which a model and its
// report depend, beside the view, which has a hash of its own (P5).
func settings(f *fleet.Fleet) string {
	split := fleet.Split{}
	if f.Split != nil {
		split = *f.Split
	}
	p := &f.Policy
	return digest([]any{
		f.Name, f.TrainGrid, f.Train, f.Split != nil, split, f.Label, f.FailureLog, f.FailureIsTerminal,
		p.Threshold, p.RecallTarget, p.MinFailures, p.MinPrecision, p.MaxFalseAlarms, p.MinLead, p.InspectionMinutes,
	})
}

// digest is a SHA-256 of values as Go writes them.
func digest(values any) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%#v", values))
	return hex.EncodeToString(sum[:])
}
