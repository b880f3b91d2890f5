package train

import (
	"drumbeat"
	"drumbeat/label"
	"drumbeat/model"
)

// What the black-box tests look into.
var (
	SplitOf     = splitOf
	HorizonText = horizonText
)

// Part returns the part of the split that t is in, -1 for none.
func (s *Split) Part(t drumbeat.Time) int {
	if p, ok := s.part(t); ok {
		return p
	}
	return -1
}

// FitCalibrator fits on rows given in columns.
func FitCalibrator(machines []drumbeat.MachineID, margins []float32, failed []bool) (model.Calibrator, string) {
	p := &part{}
	for i, machine := range machines {
		v := label.Negative
		if failed[i] {
			v = label.Positive
		}
		p.add(&Row{Machine: machine, Verdict: label.Verdict{Value: v}})
	}
	c, chosen := fitCalibrator(p, margins)
	return c, chosen.Method
}
