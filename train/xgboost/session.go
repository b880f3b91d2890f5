package xgboost

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	"drumbeat"
)

// session owns the handles and the pinned memory of one use of the library.
type session struct {
	l        *Library
	matrices []uintptr
	boosters []uintptr
	pin      runtime.Pinner
}

func (s *session) free() {
	for _, h := range s.boosters {
		s.l.api.boosterFree(h)
	}
	for _, h := range s.matrices {
		s.l.api.matrixFree(h)
	}
	s.pin.Unpin()
}

// array describes values to XGBoost by NumPy's array interface.
func (s *session) array(values []float32, rows, columns int) string {
	shape := fmt.Sprintf("%d,%d", rows, columns)
	if columns == 0 {
		shape = strconv.Itoa(rows)
	}
	var at uintptr
	if len(values) > 0 {
		s.pin.Pin(&values[0])
		at = uintptr(unsafe.Pointer(&values[0])) //nolint:gosec // pinned until free
	}
	return fmt.Sprintf(`{"data":[%d,true],"shape":[%s],"typestr":"<f4","version":3}`, at, shape)
}

// texts are C strings, pinned until free.
func (s *session) texts(names []string) []*byte {
	out := make([]*byte, len(names))
	for i, name := range names {
		text := append([]byte(name), 0)
		out[i] = &text[0]
		s.pin.Pin(out[i])
	}
	return out
}

// matrix copies rows of columns values into XGBoost.
func (s *session) matrix(x []float32, rows, columns, threads int) (uintptr, error) {
	var h uintptr
	config := fmt.Sprintf(`{"missing":NaN,"nthread":%d}`, threads)
	if s.l.api.matrixFromDense(s.array(x, rows, columns), config, &h) != 0 {
		return 0, s.l.fault("make matrix")
	}
	s.matrices = append(s.matrices, h)
	return h, nil
}

func (s *session) labelled(d *Data, threads int) (uintptr, error) {
	h, err := s.matrix(d.X, len(d.Y), len(d.Names), threads)
	if err != nil {
		return 0, err
	}
	if s.l.api.matrixInfo(h, "label", s.array(d.Y, len(d.Y), 0)) != 0 {
		return 0, s.l.fault("set labels")
	}
	if d.Weights != nil && s.l.api.matrixInfo(h, "weight", s.array(d.Weights, len(d.Y), 0)) != 0 {
		return 0, s.l.fault("set weights")
	}
	return h, nil
}

func (s *session) booster(matrices []uintptr, params [][2]string) (uintptr, error) {
	var h uintptr
	var first *uintptr
	if len(matrices) > 0 {
		first = &matrices[0]
	}
	if s.l.api.boosterCreate(first, uint64(len(matrices)), &h) != 0 {
		return 0, s.l.fault("make booster")
	}
	s.boosters = append(s.boosters, h)
	for _, p := range params {
		if s.l.api.boosterParam(h, p[0], p[1]) != 0 {
			return 0, s.l.fault("set " + p[0])
		}
	}
	return h, nil
}

// save writes the first rounds of a booster as UBJSON. Names set on a matrix
// are not saved; those set on the booster are.
func (s *session) save(booster uintptr, rounds int, names []string) ([]byte, error) {
	var kept uintptr
	if rounds == 0 {
		kept = booster // XGBoost does not slice what is empty
	} else {
		if s.l.api.boosterSlice(booster, 0, int32(rounds), 1, &kept) != 0 { //nolint:gosec // at most maxRounds
			return nil, s.l.fault("slice")
		}
		s.boosters = append(s.boosters, kept)
	}
	texts := s.texts(names)
	if s.l.api.boosterTexts(kept, "feature_name", &texts[0], uint64(len(texts))) != 0 {
		return nil, s.l.fault("set feature names")
	}
	return s.bytes(kept, "ubj")
}

// bytes copies a booster's file out of XGBoost.
func (s *session) bytes(booster uintptr, format string) ([]byte, error) {
	var n uint64
	var at *byte
	if s.l.api.boosterSave(booster, fmt.Sprintf(`{"format":%q}`, format), &n, &at) != 0 {
		return nil, s.l.fault("save")
	}
	return append([]byte(nil), unsafe.Slice(at, n)...), nil //nolint:gosec // XGBoost's own length
}

// Predictor is a loaded ensemble, evaluated by XGBoost itself: the peer of
// package model in tests and benchmarks. It is for one goroutine at a time;
// lock it to its thread where errors matter.
type Predictor struct {
	s       session
	booster uintptr
	columns int
}

// Load reads an ensemble of the given number of columns into XGBoost.
func (l *Library) Load(trees []byte, columns, threads int) (*Predictor, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := &Predictor{s: session{l: l}, columns: columns}
	var err error
	if p.booster, err = p.s.booster(nil, nil); err == nil {
		err = p.load(trees, threads)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("load into xgboost: %w", err)
	}
	return p, nil
}

// load reads the file, then says with how many threads: a file brings settings
// of its own.
func (p *Predictor) load(trees []byte, threads int) error {
	if len(trees) == 0 {
		return fmt.Errorf("no bytes: %w", drumbeat.ErrInvalid)
	}
	if p.s.l.api.boosterLoad(p.booster, &trees[0], uint64(len(trees))) != 0 {
		return p.s.l.fault("read model")
	}
	if p.s.l.api.boosterParam(p.booster, "nthread", strconv.Itoa(threads)) != 0 {
		return p.s.l.fault("set nthread")
	}
	return nil
}

// Save returns the ensemble's file, as XGBoost writes it: json or ubj.
func (p *Predictor) Save(format string) ([]byte, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return p.s.bytes(p.booster, format)
}

// Close releases the ensemble.
func (p *Predictor) Close() { p.s.free() }

// The kinds of prediction, by XGBoost's own numbers.
const (
	kindMargin  = 1
	kindContrib = 2
)

// Margins returns one margin a row of x.
func (p *Predictor) Margins(x []float32) ([]float32, error) { return p.predict(x, kindMargin) }

// Contributions returns columns+1 values a row of x: TreeSHAP, the bias last.
func (p *Predictor) Contributions(x []float32) ([]float32, error) {
	return p.predict(x, kindContrib)
}

func (p *Predictor) predict(x []float32, kind int) ([]float32, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := session{l: p.s.l}
	defer s.free()
	m, err := s.matrix(x, len(x)/p.columns, p.columns, 1)
	if err != nil {
		return nil, fmt.Errorf("predict: %w", err)
	}
	config := fmt.Sprintf(`{"type":%d,"training":false,"iteration_begin":0,"iteration_end":0,"strict_shape":false}`, kind)
	var shape *uint64
	var dims uint64
	var out *float32
	// The matrix has no names to compare; the order of the columns is the caller's word.
	if p.s.l.api.boosterPredict(p.booster, m, config, &shape, &dims, &out) != 0 {
		return nil, s.l.fault("predict")
	}
	return p.copied(shape, dims, out)
}

// One returns the margin of one row the shortest way that XGBoost offers,
// without a matrix.
func (p *Predictor) One(row []float32) (float32, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := session{l: p.s.l}
	defer s.free()
	config := fmt.Sprintf(`{"type":%d,"training":false,"iteration_begin":0,"iteration_end":0,`+
		`"strict_shape":false,"missing":NaN}`, kindMargin)
	var shape *uint64
	var dims uint64
	var out *float32
	if s.l.api.boosterInplace(p.booster, s.array(row, 1, len(row)), config, 0, &shape, &dims, &out) != 0 {
		return 0, s.l.fault("predict in place")
	}
	return *out, nil
}

func (p *Predictor) copied(shape *uint64, dims uint64, out *float32) ([]float32, error) {
	n := uint64(1)
	for _, d := range unsafe.Slice(shape, dims) { //nolint:gosec // XGBoost's own length
		n *= d
	}
	if n == 0 {
		return nil, errors.New("predict: xgboost returned nothing")
	}
	return append([]float32(nil), unsafe.Slice(out, n)...), nil //nolint:gosec // XGBoost's own length
}
