// Package registry keeps trained models: numbered versions with the lineage of
// each, the aliases champion and challenger, and a ledger of every move of an
// alias that is only ever appended to.
//
// Package registry/local keeps them in SQLite and an object store. Package
// registry/registrytest holds every registry to the contract.
package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"drumbeat"
)

// ManifestFormat is the version of the manifest's form. A registry refuses a
// newer one (drumbeat.ErrNewer).
const ManifestFormat = 1

// Limits of a version: a model of 2,000 deep trees is some 20 MB, and a
// manifest that nobody can read is no lineage.
const (
	MaxFiles         = 64
	MaxFileBytes     = 256 << 20
	MaxManifestBytes = 4 << 20
	MaxTextBytes     = 4096 // of a reason, a proof, a name
)

// Manifest is the lineage of a version: what it was made of, how, and how good
// it was. It is written once.
type Manifest struct {
	Format   int                `json:"format"`
	Fleet    drumbeat.FleetName `json:"fleet"`
	View     string             `json:"view"`
	Hash     drumbeat.Hash      `json:"view_hash"` // P5
	Features []string           `json:"features"`  // in the model's order

	Horizon     string  `json:"horizon"` // as the fleet file writes it
	Mode        string  `json:"failure_mode"`
	LabelPolicy string  `json:"label_policy"` // L3
	Threshold   float64 `json:"threshold"`    // in force when it was measured (M2)
	Calibration string  `json:"calibration"`  // platt or isotonic

	// Data says which state of which table was read: a table version, or the
	// number of rows, by name.
	Data  map[string]int64    `json:"data"`
	Split map[string]TimeSpan `json:"split"` // train, validation, test (L4)
	// Params are the library's own parameters, as given to it.
	Params  map[string]string `json:"params"`
	Seed    int64             `json:"seed"`
	Library string            `json:"library"` // such as "xgboost 3.2.0"
	Program string            `json:"program"` // this program's version
	// Measures are the test measures and controls, as train writes them.
	Measures json.RawMessage `json:"measures,omitempty"`
}

// TimeSpan is the times [From, Until).
type TimeSpan struct {
	From  drumbeat.Time `json:"from"`
	Until drumbeat.Time `json:"until"`
}

// Check reports every fault of a manifest at once.
func (m *Manifest) Check() error {
	var faults []string
	if m.Format != ManifestFormat {
		kind := drumbeat.ErrInvalid
		if m.Format > ManifestFormat {
			kind = drumbeat.ErrNewer
		}
		return fmt.Errorf("check manifest: format is %d, this program reads %d: %w", m.Format, ManifestFormat, kind)
	}
	need := func(path, value string) {
		if value == "" {
			faults = append(faults, path+": must not be empty")
		}
	}
	need("fleet", string(m.Fleet))
	need("view_hash", string(m.Hash))
	need("horizon", m.Horizon)
	need("label_policy", m.LabelPolicy)
	if len(m.Features) == 0 {
		faults = append(faults, "features: must name at least one")
	}
	sorted := slices.Sorted(slices.Values(m.Features))
	for i := 1; i < len(sorted); i++ {
		if sorted[i] == sorted[i-1] {
			faults = append(faults, fmt.Sprintf("features: %q appears twice", sorted[i]))
		}
	}
	if !(m.Threshold > 0 && m.Threshold < 1) {
		faults = append(faults, fmt.Sprintf("threshold: must lie between 0 and 1 (got %v)", m.Threshold))
	}
	if len(faults) > 0 {
		return fmt.Errorf("check manifest: %s: %w", strings.Join(faults, "; "), drumbeat.ErrInvalid)
	}
	return nil
}

// DecodeManifest reads a manifest and checks it. A newer format is refused
// with drumbeat.ErrNewer before anything else of it is judged.
func DecodeManifest(text []byte) (Manifest, error) {
	if len(text) > MaxManifestBytes {
		return Manifest{}, fmt.Errorf("read manifest: %d bytes, at most %d: %w", len(text), MaxManifestBytes, drumbeat.ErrLimit)
	}
	var format struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(text, &format); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w: %w", err, drumbeat.ErrInvalid)
	}
	if format.Format > ManifestFormat {
		return Manifest{}, fmt.Errorf("read manifest: format is %d, this program reads %d: %w",
			format.Format, ManifestFormat, drumbeat.ErrNewer)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w: %w", err, drumbeat.ErrInvalid)
	}
	if err := m.Check(); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return m, nil
}

// Registration is a version to be.
type Registration struct {
	Manifest Manifest
	Files    map[string][]byte // by name: model.ubj, calibration.json, …
	// Run names the training run. Registering a run again returns the version
	// that it made; "" is always a new version.
	Run       string
	Who       string
	WhenFleet drumbeat.Time // the fleet's clock (T6)
}

// Version is a registered model. It never changes.
type Version struct {
	Number    drumbeat.ModelVersion `json:"version"` // from 1, by fleet
	Manifest  Manifest              `json:"manifest"`
	Files     []File                `json:"files"` // sorted by name
	Run       string                `json:"run,omitempty"`
	Who       string                `json:"who"`
	WhenFleet drumbeat.Time         `json:"when_fleet"`
	WhenWall  drumbeat.Time         `json:"when_wall"`
}

// File is one file of a version, known by its content.
type File struct {
	Name   string `json:"name"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // lower-case hex
}

// Move sets an alias from one version to another.
type Move struct {
	Fleet drumbeat.FleetName
	Alias drumbeat.Role
	// From is the version that the mover saw there, 0 for none: if another
	// stands there by now, nothing moves. To is 0 to take the alias away.
	From, To  drumbeat.ModelVersion
	Who       string
	Why       string // in words
	Proof     string // what it rests on: the gate's report, or the words "no gate"
	WhenFleet drumbeat.Time
}

// LedgerRow is a move that was made.
type LedgerRow struct {
	Seq       int64                 `json:"seq"` // grows by fleet and over all fleets
	Fleet     drumbeat.FleetName    `json:"fleet"`
	Alias     drumbeat.Role         `json:"alias"`
	From      drumbeat.ModelVersion `json:"from"`
	To        drumbeat.ModelVersion `json:"to"`
	Who       string                `json:"who"`
	Why       string                `json:"why"`
	Proof     string                `json:"proof"`
	WhenFleet drumbeat.Time         `json:"when_fleet"`
	WhenWall  drumbeat.Time         `json:"when_wall"`
}

// Alias is where an alias stands.
type Alias struct {
	Fleet   drumbeat.FleetName
	Name    drumbeat.Role
	Version drumbeat.ModelVersion
	Seq     int64 // of the ledger row that put it there
}

// Versions keeps the models themselves. Implementations are safe for
// concurrent use.
type Versions interface {
	// Register stores files and manifest and gives them the fleet's next
	// number; the version is durable and complete once it has one. A run that
	// is registered again with the same content returns its version, with
	// other content drumbeat.ErrConflict.
	Register(ctx context.Context, r Registration) (Version, error)
	// Version returns one version, drumbeat.ErrNotFound if there is none.
	Version(ctx context.Context, fleet drumbeat.FleetName, number drumbeat.ModelVersion) (Version, error)
	// List returns the versions of a fleet by number.
	List(ctx context.Context, fleet drumbeat.FleetName) ([]Version, error)
	// Read returns one file of a version, verified against its hash: what was
	// altered is refused with drumbeat.ErrInvalid.
	Read(ctx context.Context, v *Version, name string) ([]byte, error)
}

// Aliases says which version plays which part.
type Aliases interface {
	// Alias returns where an alias stands, drumbeat.ErrNotFound if nowhere.
	Alias(ctx context.Context, fleet drumbeat.FleetName, name drumbeat.Role) (Alias, error)
	// Move moves an alias and appends to the ledger, both or neither. If the
	// alias does not stand at Move.From: drumbeat.ErrConflict.
	Move(ctx context.Context, m Move) (LedgerRow, error)
	// Ledger returns a fleet's rows after a sequence number, in order.
	Ledger(ctx context.Context, fleet drumbeat.FleetName, after int64) ([]LedgerRow, error)
}

// Registry is both.
type Registry interface {
	Versions
	Aliases
	io.Closer
}
