package serve

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"drumbeat"
)

// boardAge is how old a list of machines may be: people do not see a second,
// and a crowd of them costs no more than one.
const boardAge = time.Second

// silentAfter is how many cadences a machine may be silent (A3).
const silentAfter = 4

// Board is the state of every machine of a fleet, worked out from the online
// store when somebody looks. It is safe for concurrent use.
type Board struct {
	site *Site
	now  func() time.Time

	mu   sync.Mutex // held while the list is worked out: others wait for it
	list []drumbeat.Machine
	made time.Time
	by   *Models // that the list is of
}

// newBoard makes the board of a site; now is the wall clock.
func newBoard(site *Site, now func() time.Time) *Board { return &Board{site: site, now: now} }

// Machines returns every known machine, those to look at first: at risk, by
// probability; down; not watched; then the rest by probability. Callers must
// not change it. Predictions carry no reasons.
func (b *Board) Machines(ctx context.Context) ([]drumbeat.Machine, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now, models := b.now(), b.site.Scorer.Models()
	if b.list != nil && b.by == models && now.Sub(b.made) < boardAge && !now.Before(b.made) {
		return b.list, nil
	}
	list, err := b.machines(ctx, models, b.site.Machines(), WhyNever)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	slices.SortFunc(list, byUrgency)
	b.list, b.made, b.by = list, now, models
	return list, nil
}

// Machine returns one machine as it stands now, with the reasons of its
// prediction, or a *NotKnown.
func (b *Board) Machine(ctx context.Context, id drumbeat.MachineID) (drumbeat.Machine, error) {
	known := b.site.Machines()
	at, found := slices.BinarySearchFunc(known, id, func(k Known, id drumbeat.MachineID) int {
		return cmp.Compare(k.ID, id)
	})
	if !found {
		return drumbeat.Machine{}, notKnown(id, known)
	}
	list, err := b.machines(ctx, b.site.Scorer.Models(), known[at:at+1], WhyAlways)
	if err != nil {
		return drumbeat.Machine{}, fmt.Errorf("read machine %s: %w", id, err)
	}
	return list[0], nil
}

// machines works out the state of some machines, all by the same models.
func (b *Board) machines(ctx context.Context, models *Models, known []Known, why Why) ([]drumbeat.Machine, error) {
	if models == nil {
		return nil, ErrNoModel
	}
	view := models.Champion.View
	ids := make([]drumbeat.MachineID, len(known))
	for i := range known {
		ids[i] = known[i].ID
	}
	records, err := b.site.Online.Read(ctx, view.Hash, ids, false)
	if err != nil {
		return nil, err
	}
	conditions, err := b.site.Conditions(ctx)
	if err != nil {
		return nil, err
	}
	now := b.site.Clock.Now()
	list := make([]drumbeat.Machine, len(known))
	for i := range known {
		condition := conditions[known[i].ID]
		m := &list[i]
		*m = drumbeat.Machine{ID: known[i].ID, LastSeen: drumbeat.NoTime, Static: known[i].Static, Alert: condition.Alert}
		v := &records[i].Vector
		if v.Values != nil {
			m.LastSeen = v.AsOf
			if !view.OutsideMaxAge(v.AsOf, now) { // P3
				p := models.Score(v, Asked{Purpose: drumbeat.PurposeQuery, Why: why})
				m.Prediction = &p
			}
		}
		m.State = b.state(m, v, condition, now)
	}
	return list, nil
}

// state says how a machine stands; the first that applies holds.
func (b *Board) state(m *drumbeat.Machine, v *drumbeat.Vector, c Condition, now drumbeat.Time) drumbeat.MachineState {
	never := m.LastSeen == drumbeat.NoTime
	silent := never || now != drumbeat.NoTime && now.Sub(m.LastSeen) > silentAfter*b.site.Fleet.Cadence
	switch {
	case c.Down:
		return drumbeat.StateDown
	case silent && (never || v.Running): // A3
		return drumbeat.StateNotWatched
	case c.Alert != "" || m.Prediction != nil && m.Prediction.Alarm:
		return drumbeat.StateAtRisk
	case !v.Running && silent:
		return drumbeat.StateOff
	case m.Prediction == nil || v.WarmingUp:
		return drumbeat.StateWarmingUp
	}
	return drumbeat.StateHealthy
}

// byUrgency orders machines as somebody with little time reads them.
func byUrgency(x, y drumbeat.Machine) int {
	return cmp.Or(
		cmp.Compare(urgency(&x), urgency(&y)),
		-cmp.Compare(risk(&x), risk(&y)),
		cmp.Compare(x.ID, y.ID),
	)
}

func urgency(m *drumbeat.Machine) int {
	switch {
	case m.Alert != "" || m.State == drumbeat.StateAtRisk:
		return 0
	case m.State == drumbeat.StateDown:
		return 1
	case m.State == drumbeat.StateNotWatched:
		return 2
	}
	return 3
}

func risk(m *drumbeat.Machine) float64 {
	if m.Prediction == nil {
		return -1
	}
	return m.Prediction.Probability
}
