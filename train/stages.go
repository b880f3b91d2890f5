package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"

	"drumbeat"
	"drumbeat/model"
	"drumbeat/registry"
	"drumbeat/train/xgboost"
)

// Prepared is a training set in figures. Its digest is what later parts hold
// their own reading of the rows to.
type Prepared struct {
	Rows     RowCounts `json:"rows"`
	Split    Split     `json:"split"`
	Features []string  `json:"features"`
	SHA256   string    `json:"sha256"` // over rows, labels and features
}

// Prepare picks, labels, splits and reads the rows that Fit would learn from.
func Prepare(ctx context.Context, in Input, opt Options) (*Prepared, error) {
	t, err := begin(in, opt)
	if err != nil {
		return nil, err
	}
	if err := t.steps(ctx, t.prepareSteps()); err != nil {
		return nil, t.failed(err)
	}
	return &Prepared{Rows: t.data.Counts, Split: t.split, Features: t.data.Features, SHA256: t.digest()}, nil
}

// digest is a SHA-256 over all that a fit and its measures learn of the rows.
func (t *training) digest() string {
	hash := sha256.New()
	var line []byte
	text := func(s string) { line = append(binary.AppendUvarint(line, uint64(len(s))), s...) }
	for _, name := range t.data.Features {
		text(name)
	}
	for i := range t.parts {
		p := &t.parts[i]
		width := len(t.data.Features)
		line = binary.AppendUvarint(line, uint64(len(p.y)))
		for row := range p.y {
			text(string(p.machines[row]))
			at := p.positions[row]
			for _, n := range []int64{
				int64(p.asOf[row]), int64(at.Epoch), int64(at.Partition), at.Offset, int64(at.Index), int64(p.values[row]),
			} {
				line = binary.AppendVarint(line, n)
			}
			for _, x := range p.x[row*width : (row+1)*width] {
				line = binary.LittleEndian.AppendUint32(line, math.Float32bits(x))
			}
			hash.Write(line) // never fails, by its contract
			line = line[:0]
		}
	}
	hash.Write(line)
	return hex.EncodeToString(hash.Sum(nil))
}

// reread reads the rows again and holds them to what was prepared.
func (t *training) reread(ctx context.Context, prepared *Prepared) error {
	if err := t.steps(ctx, t.prepareSteps()); err != nil {
		return err
	}
	if t.digest() != prepared.SHA256 {
		return fmt.Errorf("the rows are not those that were prepared: start a new run: %w", drumbeat.ErrConflict)
	}
	return nil
}

// Fitted is a model that is yet to be measured.
type Fitted struct {
	Files       map[string][]byte `json:"files"` // the model's: trees and calibration
	Params      xgboost.Params    `json:"params"`
	Rounds      int               `json:"rounds"`
	Counts      modelCounts       `json:"model"`
	Calibration calibration       `json:"calibration"`
	Shuffled    bool              `json:"shuffled,omitempty"` // its labels
	Library     string            `json:"library"`
}

// Fit fits and calibrates a model to what was prepared.
func Fit(ctx context.Context, in Input, opt Options, prepared *Prepared) (*Fitted, error) {
	t, err := begin(in, opt)
	if err != nil {
		return nil, err
	}
	if err := t.reread(ctx, prepared); err != nil {
		return nil, t.failed(err)
	}
	if err := t.steps(ctx, t.fitSteps()); err != nil {
		return nil, t.failed(err)
	}
	files, err := t.model.Encode()
	if err != nil {
		return nil, t.failed(err)
	}
	return &Fitted{
		Files: files, Params: t.params, Rounds: t.rounds, Counts: t.report.Model, Calibration: t.report.Calibration,
		Shuffled: t.shuffled, Library: t.library,
	}, nil
}

// Evaluate measures what was fitted, on the test rows of what was prepared.
func Evaluate(ctx context.Context, in Input, opt Options, prepared *Prepared, fitted *Fitted) (*Result, error) {
	t, err := begin(in, opt)
	if err != nil {
		return nil, err
	}
	if err := t.reread(ctx, prepared); err != nil {
		return nil, t.failed(err)
	}
	if err := t.take(fitted); err != nil {
		return nil, t.failed(err)
	}
	if err := t.steps(ctx, t.evaluateSteps()); err != nil {
		return nil, t.failed(err)
	}
	r, err := t.result(ctx)
	if err != nil {
		return nil, t.failed(err)
	}
	return r, nil
}

// take stands where a fit would have left off.
func (t *training) take(fitted *Fitted) error {
	var err error
	if t.model, err = model.Decode(fitted.Files); err != nil {
		return err
	}
	t.shuffled = fitted.Shuffled
	t.shuffle()
	t.ours, t.trees = t.model.Ensemble, fitted.Files[model.FileTrees]
	t.params, t.rounds, t.library = fitted.Params, fitted.Rounds, fitted.Library
	t.report.Model, t.report.Calibration = fitted.Counts, fitted.Calibration
	t.score()
	return nil
}

// Result is a trained model with its measures and its lineage.
type Result struct {
	Model    *model.Model
	Report   *Report
	Manifest registry.Manifest // its measures are the report
	// Files are registered beside the model's own, by name: what a later
	// program needs to know of the model, such as the view's features.yaml.
	Files map[string][]byte
}

// result writes the sentences of the report, and the lineage.
func (t *training) result(ctx context.Context) (*Result, error) {
	t.report.tell(t.in)
	for _, warning := range t.report.Warnings {
		t.opt.Log.WarnContext(ctx, "look at the trained model", "fleet", t.in.Fleet.Name, "warning", warning)
	}
	manifest, err := t.manifest()
	if err != nil {
		return nil, err
	}
	return &Result{Model: t.model, Report: t.report, Manifest: manifest}, nil
}

// Restore puts a result together from what Fit made and from the manifest of
// what Evaluate did.
func Restore(fitted *Fitted, manifest *registry.Manifest) (*Result, error) {
	r := &Result{Report: &Report{}, Manifest: *manifest}
	var err error
	if r.Model, err = model.Decode(fitted.Files); err != nil {
		return nil, fmt.Errorf("restore the model of %s: %w", manifest.Fleet, err)
	}
	if err := json.Unmarshal(manifest.Measures, r.Report); err != nil {
		return nil, fmt.Errorf("restore the report of %s: %w: %w", manifest.Fleet, err, drumbeat.ErrInvalid)
	}
	return r, nil
}

// Register stores the model in a registry. run names the training run, so that
// a repeated call returns the same version; it may be empty.
func (r *Result) Register(
	ctx context.Context, to registry.Versions, run, who string, fleetNow drumbeat.Time,
) (registry.Version, error) {
	files, err := r.Model.Encode()
	if err != nil {
		return registry.Version{}, err
	}
	for name := range r.Files {
		if _, taken := files[name]; taken {
			return registry.Version{}, fmt.Errorf("register the model of %s: file %s is the model's own: %w",
				r.Manifest.Fleet, name, drumbeat.ErrInvalid)
		}
	}
	maps.Copy(files, r.Files)
	return to.Register(ctx, registry.Registration{
		Manifest: r.Manifest, Files: files, Run: run, Who: who, WhenFleet: fleetNow,
	})
}
