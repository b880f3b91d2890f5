package xgboost

import "github.com/ebitengine/purego"

// api holds the functions of XGBoost's C API that are in use. Those with an
// int32 return 0 if they succeed; else lastError says why, on the same thread.
// What they return belongs to the handle or the thread: copy it at once.
type api struct {
	version      func(major, minor, patch *int32)
	lastError    func() string
	globalConfig func(config string) int32

	matrixFromDense func(array, config string, out *uintptr) int32
	matrixInfo      func(matrix uintptr, field, array string) int32
	matrixTexts     func(matrix uintptr, field string, texts **byte, n uint64) int32
	matrixFree      func(matrix uintptr) int32

	boosterCreate  func(matrices *uintptr, n uint64, out *uintptr) int32
	boosterParam   func(booster uintptr, name, value string) int32
	boosterTexts   func(booster uintptr, field string, texts **byte, n uint64) int32
	boosterUpdate  func(booster uintptr, round int32, train uintptr) int32
	boosterEval    func(booster uintptr, round int32, matrices *uintptr, names **byte, n uint64, out **byte) int32
	boosterSlice   func(booster uintptr, begin, end, step int32, out *uintptr) int32
	boosterSave    func(booster uintptr, config string, n *uint64, out **byte) int32
	boosterLoad    func(booster uintptr, data *byte, n uint64) int32
	boosterPredict func(booster, matrix uintptr, config string, shape **uint64, dims *uint64, out **float32) int32
	boosterInplace func(booster uintptr, array, config string, proxy uintptr, shape **uint64, dims *uint64,
		out **float32) int32
	boosterFree func(booster uintptr) int32
}

// bind looks up every function, so that a library that lacks one is refused
// when it is opened, not in the middle of a fit.
func (a *api) bind(handle uintptr) error {
	for _, f := range []struct {
		symbol string
		to     any
	}{
		{"XGBoostVersion", &a.version},
		{"XGBGetLastError", &a.lastError},
		{"XGBSetGlobalConfig", &a.globalConfig},
		{"XGDMatrixCreateFromDense", &a.matrixFromDense},
		{"XGDMatrixSetInfoFromInterface", &a.matrixInfo},
		{"XGDMatrixSetStrFeatureInfo", &a.matrixTexts},
		{"XGDMatrixFree", &a.matrixFree},
		{"XGBoosterCreate", &a.boosterCreate},
		{"XGBoosterSetParam", &a.boosterParam},
		{"XGBoosterSetStrFeatureInfo", &a.boosterTexts},
		{"XGBoosterUpdateOneIter", &a.boosterUpdate},
		{"XGBoosterEvalOneIter", &a.boosterEval},
		{"XGBoosterSlice", &a.boosterSlice},
		{"XGBoosterSaveModelToBuffer", &a.boosterSave},
		{"XGBoosterLoadModelFromBuffer", &a.boosterLoad},
		{"XGBoosterPredictFromDMatrix", &a.boosterPredict},
		{"XGBoosterPredictFromDense", &a.boosterInplace},
		{"XGBoosterFree", &a.boosterFree},
	} {
		address, err := purego.Dlsym(handle, f.symbol)
		if err != nil {
			return err
		}
		purego.RegisterFunc(f.to, address)
	}
	return nil
}
