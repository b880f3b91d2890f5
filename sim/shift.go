package sim

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"drumbeat"
)

// Shift moves what a sensor says, on every machine at once: other detergent,
// a firmware that measures otherwise, a new mounting. It is no wear, and
// nothing that breaks later comes of it. Shifts of one sensor add up.
type Shift struct {
	Sensor string        `json:"sensor"` // the fleet's name of it, a gauge
	From   drumbeat.Time `json:"from"`   // what is measured after it is moved
	By     float64       `json:"by"`     // in the sensor's unit, added while a machine runs
}

// maxShift bounds a shift in a sensor's smallest steps: far beyond any bound
// of the laundry's sensors, and exact in a float64.
const maxShift = 1e12

// shift is a Shift made ready.
type shift struct {
	sensor sensor
	from   drumbeat.Time
	by     float64
}

// newShift refuses what the simulator cannot play.
func (c *settings) newShift(s Shift) (shift, error) {
	x := slices.Index(sensorNames[:], s.Sensor)
	switch {
	case x < 0:
		return shift{}, fmt.Errorf("shift sensor %q: the simulator plays %s: %w",
			s.Sensor, strings.Join(sensorNames[:], ", "), drumbeat.ErrInvalid)
	case sensor(x) == runtimeHours: //nolint:gosec // below sensorCount
		return shift{}, fmt.Errorf("shift sensor %q: a counter that is moved while the machine runs would be reset "+
			"whenever it stops: %w", s.Sensor, drumbeat.ErrInvalid)
	case !(math.Abs(s.By)*c.scales[x] <= maxShift):
		return shift{}, fmt.Errorf("shift sensor %q by %v: want at most %g: %w",
			s.Sensor, s.By, maxShift/c.scales[x], drumbeat.ErrInvalid)
	}
	return shift{sensor: sensor(x), from: s.From, by: s.By}, nil //nolint:gosec // below sensorCount
}

// Shift lets a sensor say something else from a time on, which must not lie
// before Now. Nothing of it is written to the topic: whoever goes on from the
// past must give its shifts again, as Config.Shifts.
func (s *Sim) Shift(sh Shift) error {
	if sh.From < s.now {
		return fmt.Errorf("shift sensor %q from %s: it is %s already: %w", sh.Sensor, sh.From, s.now, drumbeat.ErrInvalid)
	}
	ready, err := s.cfg.newShift(sh)
	if err != nil {
		return err
	}
	s.cfg.shifts = append(s.cfg.shifts, ready)
	return nil
}

// shifted adds the shifts that hold at t to what a running machine measured.
// It draws nothing, so that all else happens as it would without them.
func (c *settings) shifted(t drumbeat.Time, v *[sensorCount]float64) {
	for i := range c.shifts {
		if sh := &c.shifts[i]; t > sh.from {
			v[sh.sensor] += sh.by
		}
	}
}
