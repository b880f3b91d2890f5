package serve

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"drumbeat"
	"drumbeat/feature"
	"drumbeat/fleet"
	"drumbeat/model"
)

// Live is a model version in service, with the view that it reads.
type Live struct {
	Version drumbeat.ModelVersion
	View    *feature.View
	Model   *model.Model
}

// Models are the versions in service: a snapshot that must not be changed.
// Whoever does several things with one takes it once, so that champion, view
// and what is usual belong together.
type Models struct {
	Champion *Live
	Shadows  []*Live // scored on the side, never answered with; each of its own view (P5)
	// Usual is what is ordinary for each machine, by view. For a view that is
	// not there nobody knows.
	Usual map[drumbeat.Hash]*Usual
}

// Scorer turns a fleet's vectors into predictions. It is safe for concurrent
// use; models are swapped between two predictions, never within one.
type Scorer struct {
	fleet  *fleet.Fleet
	models atomic.Pointer[Models]
}

// ErrNoModel says that no champion has been set.
var ErrNoModel = errors.New("no model is in service: train one and set it as champion")

// NewScorer makes a fleet's scorer, without a model.
func NewScorer(f *fleet.Fleet) *Scorer { return &Scorer{fleet: f} }

// Swap puts models in service. It refuses, with drumbeat.ErrInvalid, one that
// was trained on another definition than its view's (P5), and one of another
// fleet. The view of the champion, and of each shadow, must be in the stream
// and in the online store by then.
func (s *Scorer) Swap(m Models) error {
	if m.Champion == nil {
		return fmt.Errorf("put models in service: no champion: %w", drumbeat.ErrInvalid)
	}
	for _, live := range append([]*Live{m.Champion}, m.Shadows...) {
		if err := s.check(live); err != nil {
			return fmt.Errorf("put model version %d in service: %w", live.Version, err)
		}
	}
	for hash, usual := range m.Usual {
		if usual.hash != hash {
			return fmt.Errorf("put models in service: what is usual for view hash %s stands under %s: %w",
				usual.hash, hash, drumbeat.ErrInvalid)
		}
	}
	s.models.Store(&m)
	return nil
}

// check refuses a model that does not fit its view or the fleet.
func (s *Scorer) check(live *Live) error {
	switch {
	case live.View == nil:
		return fmt.Errorf("it has no view: %w", drumbeat.ErrInvalid)
	case live.View.Fleet != s.fleet || live.Model.Fleet != s.fleet.Name:
		return fmt.Errorf("it is a model of fleet %s with a view of fleet %s, this is fleet %s, loaded once: %w",
			live.Model.Fleet, live.View.Fleet.Name, s.fleet.Name, drumbeat.ErrInvalid)
	case live.Model.Hash != live.View.Hash || !slices.Equal(live.Model.Features, live.View.Names()):
		return fmt.Errorf("it was trained on view %s of hash %s, the view that it is given has hash %s; train again: %w",
			live.Model.View, live.Model.Hash, live.View.Hash, drumbeat.ErrInvalid)
	}
	return nil
}

// Models returns what is in service, nil without a champion.
func (s *Scorer) Models() *Models { return s.models.Load() }

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

// Score predicts with the champion from a vector of the champion's view;
// ErrNoModel without one. Where the champion may be swapped between making the
// vector and scoring it, take a snapshot with Models and score with that.
func (s *Scorer) Score(v *drumbeat.Vector, asked Asked) (drumbeat.Prediction, error) {
	models := s.models.Load()
	if models == nil {
		return drumbeat.Prediction{}, ErrNoModel
	}
	return models.Score(v, asked), nil
}

// Explain works out why the champion says what it says of a vector of its
// view; ErrNoModel without a champion.
func (s *Scorer) Explain(v *drumbeat.Vector) (Explanation, error) {
	models := s.models.Load()
	if models == nil {
		return Explanation{}, ErrNoModel
	}
	return models.Explain(v), nil
}

// Score predicts with the champion from a vector of the champion's view.
func (m *Models) Score(v *drumbeat.Vector, asked Asked) drumbeat.Prediction {
	p := m.Champion.score(v, asked)
	p.Role = drumbeat.RoleChampion
	if asked.Why == WhyAlways || asked.Why == WhyAlarm && p.Alarm {
		e := m.Explain(v)
		p.Reasons = e.Reasons[:min(maxReasons, len(e.Reasons))]
	}
	return p
}

// Shadow appends to dst what each shadow of a view says of a live vector of
// that view. The predictions are live, so that they are measured like the
// champion's, and a challenger's, so that they open no alert (S4). They carry
// no reasons.
func (m *Models) Shadow(view drumbeat.Hash, v *drumbeat.Vector, dst []drumbeat.Prediction) []drumbeat.Prediction {
	for _, shadow := range m.Shadows {
		if shadow.View.Hash != view {
			continue
		}
		p := shadow.score(v, Asked{Purpose: drumbeat.PurposeLive})
		p.Role = drumbeat.RoleChallenger
		dst = append(dst, p)
	}
	return dst
}

// Predict appends to dst what the models in service say of a vector of the
// stream: the champion, with reasons above the threshold, if it reads that
// view, and every shadow that does.
func (m *Models) Predict(view drumbeat.Hash, v *drumbeat.Vector, dst []drumbeat.Prediction) []drumbeat.Prediction {
	if view == m.Champion.View.Hash {
		dst = append(dst, m.Score(v, Asked{Purpose: drumbeat.PurposeLive, Why: WhyAlarm}))
	}
	return m.Shadow(view, v, dst)
}

// Learn shows a vector of a view to what is usual for its machine: readings
// count, corrections say nothing new.
func (m *Models) Learn(view drumbeat.Hash, v *drumbeat.Vector) {
	if usual := m.Usual[view]; usual != nil && v.MadeBy == drumbeat.CauseReading {
		usual.Add(v.Machine, v.Values)
	}
}

func (live *Live) score(v *drumbeat.Vector, asked Asked) drumbeat.Prediction {
	f := live.View.Fleet
	margin, probability := live.Model.Score(v.Values)
	return drumbeat.Prediction{
		Fleet: f.Name, Machine: v.Machine, AsOf: v.AsOf, Position: v.Position,
		ReadingID: asked.ReadingID, ArrivalTime: v.ArrivalTime,
		Hash: live.View.Hash, Model: live.Version, Purpose: asked.Purpose,
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
