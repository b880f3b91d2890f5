package serve

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/model"
)

// Live is a model version that answers.
type Live struct {
	Version drumbeat.ModelVersion
	Model   *model.Model
}

// Models are the versions in service: an immutable snapshot.
type Models struct {
	Champion *Live
	Shadows  []*Live // scored on the side, never answered with
	Usual    *Usual  // what is ordinary for each machine; nil if nobody knows
}

// Scorer turns a view's vectors into predictions. It is safe for concurrent
// use; models are swapped between two predictions, never within one.
type Scorer struct {
	view   *feature.View
	models atomic.Pointer[Models]
}

// ErrNoModel says that no champion has been set.
var ErrNoModel = errors.New("no model is in service: train one and set it as champion")

// NewScorer makes a scorer of a view's vectors, without a model.
func NewScorer(v *feature.View) *Scorer { return &Scorer{view: v} }

// Swap puts models in service. It refuses, with drumbeat.ErrInvalid, one that
// was trained on another definition than the view's (P5).
func (s *Scorer) Swap(m Models) error {
	if m.Champion == nil {
		return fmt.Errorf("put models in service: no champion: %w", drumbeat.ErrInvalid)
	}
	for _, live := range append([]*Live{m.Champion}, m.Shadows...) {
		if live.Model.Hash != s.view.Hash || !slices.Equal(live.Model.Features, s.view.Names()) {
			return fmt.Errorf("put model version %d in service: it was trained on view %s of hash %s, "+
				"this program makes hash %s; train again: %w", live.Version, live.Model.View, live.Model.Hash, s.view.Hash, drumbeat.ErrInvalid)
		}
	}
	s.models.Store(&m)
	return nil
}

// Champion returns the version in service, nil without one.
func (s *Scorer) Champion() *Live {
	if m := s.models.Load(); m != nil {
		return m.Champion
	}
	return nil
}

// Why says for which predictions reasons are worked out; they cost many times
// the prediction itself.
type Why uint8

// When reasons are worked out.
const (
	WhyNever Why = iota
	WhyAlarm     // only above the threshold
	WhyAlways
)

// Asked is what a prediction needs to know beside the vector.
type Asked struct {
	Purpose   drumbeat.Purpose
	Why       Why
	ReadingID string   // of the folded reading (S3)
	Flags     []string // what the caller has to add, such as FlagStale
}

// The flags of a prediction.
const (
	FlagWarmingUp   = "warming_up"       // less history than min_history (W7)
	FlagOverflow    = "overflow"         // a window held too many readings (W5)
	FlagLowCoverage = "low_coverage"     // under half of the expected readings (W7)
	FlagStale       = "stale"            // the reading lies beyond the horizon (S1)
	FlagNotUsed     = "reading_not_used" // the reading is older than the vector (S2)
)

// lowCoverage is the coverage below which a prediction says so: with less
// than half of its readings a window's mean says little.
const lowCoverage = 0.5

// anyMode is the failure mode of a model that does not tell modes apart (A1).
const anyMode = "any"

// Score predicts with the champion; ErrNoModel without one.
func (s *Scorer) Score(v *drumbeat.Vector, asked Asked) (drumbeat.Prediction, error) {
	models := s.models.Load()
	if models == nil {
		return drumbeat.Prediction{}, ErrNoModel
	}
	p := s.score(models.Champion, v, asked)
	p.Role = drumbeat.RoleChampion
	if asked.Why == WhyAlways || asked.Why == WhyAlarm && p.Alarm {
		e := s.explain(models, v)
		p.Reasons = e.Reasons[:min(maxReasons, len(e.Reasons))]
	}
	return p, nil
}

// Shadow appends to dst what each shadow says; their purpose is a query's.
func (s *Scorer) Shadow(v *drumbeat.Vector, dst []drumbeat.Prediction) []drumbeat.Prediction {
	models := s.models.Load()
	if models == nil {
		return dst
	}
	for _, shadow := range models.Shadows {
		p := s.score(shadow, v, Asked{Purpose: drumbeat.PurposeQuery})
		p.Role = drumbeat.RoleChallenger
		dst = append(dst, p)
	}
	return dst
}

func (s *Scorer) score(live *Live, v *drumbeat.Vector, asked Asked) drumbeat.Prediction {
	f := s.view.Fleet
	margin, probability := live.Model.Score(v.Values)
	return drumbeat.Prediction{
		Fleet: f.Name, Machine: v.Machine, AsOf: v.AsOf, Position: v.Position,
		ReadingID: asked.ReadingID, ArrivalTime: v.ArrivalTime,
		Hash: s.view.Hash, Model: live.Version, Purpose: asked.Purpose,
		Horizon: f.Label.HorizonText, Mode: anyMode,
		Margin: margin, Probability: probability, Threshold: f.Policy.Threshold,
		Alarm:   probability > f.Policy.Threshold, // strictly (A1)
		Running: v.Running,
		Flags:   flags(v, asked.Flags),
	}
}

// flags lists what a prediction must say beside its number.
func flags(v *drumbeat.Vector, more []string) []string {
	if !v.WarmingUp && !v.Overflow && v.Coverage >= lowCoverage {
		return more
	}
	list := slices.Clone(more)
	if v.WarmingUp {
		list = append(list, FlagWarmingUp)
	}
	if v.Overflow {
		list = append(list, FlagOverflow)
	}
	if v.Coverage < lowCoverage {
		list = append(list, FlagLowCoverage)
	}
	return list
}
