package xgboost

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"drumbeat"
)

// Params are how an ensemble is fitted; names and meanings are XGBoost's own.
// The objective is always binary:logistic, the method hist.
type Params struct {
	Rounds    int     `json:"rounds"`
	MaxDepth  int     `json:"max_depth"`
	Eta       float64 `json:"eta"`
	Subsample float64 `json:"subsample"`
	ColSample float64 `json:"colsample_bytree"`
	MinChild  float64 `json:"min_child_weight"`
	MaxBin    int     `json:"max_bin"`
	Seed      int64   `json:"seed"`
	// BaseScore is the probability before any tree; 0 lets XGBoost estimate it.
	BaseScore float64 `json:"base_score"`
	// Threads fit; the same seed and number give the same trees to the bit.
	Threads int `json:"threads"`
	// Patience ends a fit that has had this many rounds without a better loss
	// on the validation rows, and drops those rounds. 0 never does.
	Patience int `json:"patience"`
}

// maxRounds bounds a fit; package model reads no more trees.
const maxRounds = 10_000

func (p *Params) validate() error {
	ok := p.Rounds >= 0 && p.Rounds <= maxRounds && p.MaxDepth >= 1 && p.MaxDepth <= 32 &&
		p.Eta > 0 && p.Eta <= 1 && p.Subsample > 0 && p.Subsample <= 1 &&
		p.ColSample > 0 && p.ColSample <= 1 && p.MinChild >= 0 && p.MinChild < math.MaxFloat32 &&
		p.MaxBin >= 2 && p.MaxBin <= 1<<16 && p.Threads >= 1 && p.BaseScore >= 0 && p.BaseScore < 1 &&
		p.Patience >= 0
	if !ok {
		return fmt.Errorf("parameters out of range: %+v: %w", *p, drumbeat.ErrInvalid)
	}
	return nil
}

func (p *Params) list() [][2]string {
	float := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	list := [][2]string{
		{"objective", "binary:logistic"},
		{"eval_metric", "logloss"},
		{"tree_method", "hist"},
		{"max_depth", strconv.Itoa(p.MaxDepth)},
		{"eta", float(p.Eta)},
		{"subsample", float(p.Subsample)},
		{"colsample_bytree", float(p.ColSample)},
		{"min_child_weight", float(p.MinChild)},
		{"max_bin", strconv.Itoa(p.MaxBin)},
		{"seed", strconv.FormatInt(p.Seed&math.MaxInt32, 10)},
		{"nthread", strconv.Itoa(p.Threads)},
	}
	if p.BaseScore > 0 {
		list = append(list, [2]string{"base_score", float(p.BaseScore)})
	}
	return list
}

// Map returns the parameters as XGBoost was given them, for a manifest.
func (p *Params) Map() map[string]string {
	m := map[string]string{}
	for _, pair := range p.list() {
		m[pair[0]] = pair[1]
	}
	m["rounds"], m["patience"] = strconv.Itoa(p.Rounds), strconv.Itoa(p.Patience)
	return m
}

// Data is a training or validation set. NaN in X is missing; infinities are
// refused.
type Data struct {
	X       []float32 // row after row
	Names   []string  // one a column
	Y       []float32 // 0 or 1, one a row
	Weights []float32 // one a row, or nil
}

func (d *Data) validate() error {
	rows, columns := len(d.Y), len(d.Names)
	if columns == 0 || len(d.X) != rows*columns || (d.Weights != nil && len(d.Weights) != rows) {
		return fmt.Errorf("data: %d values are not %d rows of %d columns, with %d weights: %w",
			len(d.X), rows, columns, len(d.Weights), drumbeat.ErrInvalid)
	}
	return nil
}

// Fit is what Train learnt.
type Fit struct {
	Trees  []byte    // the ensemble, as UBJSON
	Rounds int       // kept, without those that Patience dropped
	Loss   []float64 // log loss on the validation rows after each round
}

// Train fits an ensemble to train. valid may be nil: then Patience means
// nothing. It ends between two rounds when ctx does. progress may be nil.
func (l *Library) Train(
	ctx context.Context, p Params, train, valid *Data, progress func(round, rounds int),
) (*Fit, error) {
	fit, err := l.train(ctx, p, train, valid, progress)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return fit, nil
}

func (l *Library) train(
	ctx context.Context, p Params, train, valid *Data, progress func(round, rounds int),
) (*Fit, error) {
	if err := errors.Join(p.validate(), train.validate()); err != nil {
		return nil, err
	}
	// One thread all along: errors and OpenMP's team of threads belong to it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &session{l: l}
	defer s.free()
	matrices := make([]uintptr, 1, 2)
	var err error
	if matrices[0], err = s.labelled(train, p.Threads); err != nil {
		return nil, err
	}
	if valid != nil {
		if err := valid.validate(); err != nil {
			return nil, err
		}
		m, err := s.labelled(valid, p.Threads)
		if err != nil {
			return nil, err
		}
		matrices = append(matrices, m)
	}
	return s.fit(ctx, p, matrices, train.Names, progress)
}

// fit boosts on the first matrix, watching the loss on the second if there is
// one.
func (s *session) fit(
	ctx context.Context, p Params, matrices []uintptr, names []string, progress func(round, rounds int),
) (*Fit, error) {
	booster, err := s.booster(matrices, p.list())
	if err != nil {
		return nil, err
	}
	fit, err := s.rounds(ctx, booster, p, matrices, progress)
	if err != nil {
		return nil, err
	}
	fit.Trees, err = s.save(booster, fit.Rounds, names)
	return fit, err
}

// Matrix is rows that stay in XGBoost from one fit to the next, with their
// features in bins already: for fits of the same rows to other labels. It is
// for one goroutine at a time.
type Matrix struct {
	s      session
	handle uintptr
	names  []string
	rows   int
}

// NewMatrix copies rows into XGBoost.
func (l *Library) NewMatrix(d *Data, threads int) (*Matrix, error) {
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("make matrix: %w", err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	m := &Matrix{s: session{l: l}, names: d.Names, rows: len(d.Y)}
	var err error
	if m.handle, err = m.s.labelled(d, threads); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// Close releases the rows.
func (m *Matrix) Close() { m.s.free() }

// Train fits to the matrix with the labels y.
func (m *Matrix) Train(ctx context.Context, p Params, y []float32) (*Fit, error) {
	if err := p.validate(); err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	if len(y) != m.rows {
		return nil, fmt.Errorf("train: %d labels for %d rows: %w", len(y), m.rows, drumbeat.ErrInvalid)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &session{l: m.s.l}
	defer s.free()
	if s.l.api.matrixInfo(m.handle, "label", s.array(y, len(y), 0)) != 0 {
		return nil, s.l.fault("set labels")
	}
	fit, err := s.fit(ctx, p, []uintptr{m.handle}, m.names, nil)
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return fit, nil
}

// rounds boosts until the rounds are done or the loss gets no better.
func (s *session) rounds(
	ctx context.Context, booster uintptr, p Params, matrices []uintptr, progress func(round, rounds int),
) (*Fit, error) {
	fit := &Fit{}
	best := math.Inf(1)
	for round := range p.Rounds {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("after round %d of %d: %w", round, p.Rounds, err)
		}
		if s.l.api.boosterUpdate(booster, int32(round), matrices[0]) != 0 {
			return nil, s.l.fault("boost")
		}
		if progress != nil {
			progress(round+1, p.Rounds)
		}
		if len(matrices) == 1 {
			fit.Rounds = round + 1
			continue
		}
		loss, err := s.loss(booster, round, matrices[1])
		if err != nil {
			return nil, err
		}
		fit.Loss = append(fit.Loss, loss)
		if loss < best || p.Patience == 0 {
			best, fit.Rounds = loss, round+1
		}
		if p.Patience > 0 && round+1-fit.Rounds >= p.Patience {
			break
		}
	}
	return fit, nil
}

// loss asks XGBoost for the log loss, which it writes as "[7]\tv-logloss:0.31".
func (s *session) loss(booster uintptr, round int, matrix uintptr) (float64, error) {
	name := []byte("v\x00")
	at := &name[0]
	s.pin.Pin(at)
	var out *byte
	if s.l.api.boosterEval(booster, int32(round), &matrix, &at, 1, &out) != 0 { //nolint:gosec // at most maxRounds
		return 0, s.l.fault("evaluate")
	}
	text := cString(out)
	_, number, _ := strings.Cut(text, "logloss:")
	loss, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(loss) {
		return 0, fmt.Errorf("evaluate: xgboost said %q: %w", text, drumbeat.ErrInvalid)
	}
	return loss, nil
}

// cString copies a text of C's.
func cString(at *byte) string {
	const longest = 1 << 16
	for n, bytes := 0, unsafe.Slice(at, longest); n < longest; n++ { //nolint:gosec // ends at its zero
		if bytes[n] == 0 {
			return string(bytes[:n])
		}
	}
	return ""
}
