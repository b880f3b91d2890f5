// Package model is the trained model in pure Go: XGBoost's tree ensembles,
// read from its own files, evaluated to the bit and explained exactly, with
// the calibration that makes a margin a probability.
//
// An [Ensemble] is read by [Load]. A [Model] bundles it with its [Calibrator]
// and with the view whose vectors it scores; it is stored as the few files
// that Encode makes.
package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"drumbeat"
)

// Format is the version of the files that Encode makes.
const Format = 1

// The files of a model.
const (
	FileTrees = "model.ubj"  // as XGBoost saved it
	FileModel = "model.json" // the rest, a Description
)

// Model is what serving loads: trees, calibration, and what they expect of a
// vector. It is immutable and safe for concurrent use.
type Model struct {
	Description
	Ensemble *Ensemble
	trees    []byte // the ensemble's file
}

// Description is a model without its trees.
type Description struct {
	Format      int                `json:"format"`
	Fleet       drumbeat.FleetName `json:"fleet"`
	View        string             `json:"view"`
	Hash        drumbeat.Hash      `json:"view_hash"` // of the view that it was trained on (P5)
	Features    []string           `json:"features"`  // in the order of a vector's values
	Horizon     string             `json:"horizon"`   // as the fleet file writes it: 7d
	HorizonTime time.Duration      `json:"horizon_ns"`
	Calibrator  Calibrator         `json:"calibrator"`
	TreesSHA256 string             `json:"trees_sha256"`
}

// New bundles an ensemble's file with a description, whose format and
// checksum it fills in.
func New(trees []byte, d Description) (*Model, error) {
	sum := sha256.Sum256(trees)
	d.Format, d.TreesSHA256 = Format, hex.EncodeToString(sum[:])
	return assemble(trees, d)
}

func assemble(trees []byte, d Description) (*Model, error) {
	e, err := Load(trees)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(e.features, d.Features) {
		return nil, invalid("bundle model: the trees' features are not the description's: %q and %q",
			e.features, d.Features)
	}
	if err := d.Calibrator.Validate(); err != nil {
		return nil, fmt.Errorf("bundle model: calibrator: %w", err)
	}
	return &Model{Description: d, Ensemble: e, trees: trees}, nil
}

// Encode returns the model's files by name.
func (m *Model) Encode() (map[string][]byte, error) {
	text, err := json.MarshalIndent(m.Description, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode model: %w", err)
	}
	return map[string][]byte{FileTrees: m.trees, FileModel: append(text, '\n')}, nil
}

// Decode reads what Encode made, ignoring files of other names.
func Decode(files map[string][]byte) (*Model, error) {
	var d Description
	if err := json.Unmarshal(files[FileModel], &d); err != nil {
		return nil, fmt.Errorf("decode %s: %w: %w", FileModel, err, drumbeat.ErrInvalid)
	}
	if d.Format > Format {
		return nil, fmt.Errorf("decode %s: format %d, at most %d is known: %w",
			FileModel, d.Format, Format, drumbeat.ErrNewer)
	}
	if d.Format < 1 {
		return nil, invalid("decode %s: format %d, want 1 to %d", FileModel, d.Format, Format)
	}
	sum := sha256.Sum256(files[FileTrees])
	if hex.EncodeToString(sum[:]) != d.TreesSHA256 {
		return nil, invalid("decode %s: its checksum is not the one in %s", FileTrees, FileModel)
	}
	return assemble(files[FileTrees], d)
}

// Score returns the margin (log-odds) of a vector's values, NaN being
// missing, and the calibrated probability.
func (m *Model) Score(values []float64) (margin, probability float64) {
	var room [heapFeatures]float32
	margin = float64(m.Ensemble.Margin(Narrow(values, room[:0])))
	return margin, m.Calibrator.Probability(margin)
}

// Explain appends to dst each feature's contribution to the margin of values
// and, last, the bias (TreeSHAP). They sum to the margin but for rounding.
func (m *Model) Explain(values, dst []float64) []float64 {
	var room [heapFeatures]float32
	n := len(m.Features) + 1
	dst = slices.Grow(dst, n)
	out := dst[len(dst) : len(dst)+n]
	m.Ensemble.Explain(Narrow(values, room[:0]), out)
	return dst[:len(dst)+n]
}

// Narrow appends values to dst as the float32 that trees see. Training and
// serving both come through here. A number too large for float32 becomes the
// largest one, so that it stays on its side of every threshold: XGBoost
// refuses infinities.
func Narrow(values []float64, dst []float32) []float32 {
	for _, v := range values {
		x := float32(v)
		if math.IsInf(float64(x), 0) {
			x = float32(math.Copysign(math.MaxFloat32, v))
		}
		dst = append(dst, x)
	}
	return dst
}
