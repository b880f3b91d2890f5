package sim

import "math"

// mode is a way to fail; the constants index the tables below.
type mode uint8

const (
	bearing mode = iota
	heater
	pump
	motor
	doorSeal
	modeCount
)

// modes names the failure modes as the failure log does.
var modes = [modeCount]string{"bearing", "heater", "pump", "motor", "door_seal"} //nolint:gochecknoglobals // a constant table

// parts names what a repair of each mode replaces.
//
//nolint:gochecknoglobals // a constant table
var parts = [modeCount]string{"drum bearing", "heating element", "drain pump", "drive motor", "door seal"}

// nature is how a component wears. Times are in running hours at full load.
type nature struct {
	onset   float64 // mean time from new to the first defect
	course  float64 // median time from the first defect to failure
	spread  float64 // of the logarithm of that time
	sudden  float64 // part of the defects that fail within a day
	convex  float64 // how late a defect begins to show
	curable float64 // part of the young defects that a service cures
}

// natures are those of the modes.
var natures = [modeCount]nature{ //nolint:gochecknoglobals // a constant table
	bearing:  {onset: 2650, course: 165, spread: 0.40, sudden: 0.08, convex: 0.85, curable: 0.35},
	heater:   {onset: 2800, course: 135, spread: 0.40, sudden: 0.14, convex: 0.65, curable: 0.50},
	pump:     {onset: 2750, course: 125, spread: 0.45, sudden: 0.12, convex: 0.75, curable: 0.60},
	motor:    {onset: 2850, course: 145, spread: 0.40, sudden: 0.15, convex: 0.70, curable: 0.30},
	doorSeal: {onset: 2700, course: 120, spread: 0.45, sudden: 0.12, convex: 0.75, curable: 0.65},
}

// component is one part of a machine on its way from new to failed.
type component struct {
	// left is how long it stays sound, in running hours; the defect begins
	// when it is used up.
	left float64
	// rate is how much of the way to failure an hour takes, damage how much
	// is gone: it fails at 1.
	rate, damage float64
	// shows scales what the sensors see of this defect: no two sound alike,
	// and some hardly at all.
	shows float64
}

// renew makes the component new.
func (c *component) renew(n *nature, frailty float64, s *stream) {
	// A sum of two waiting times: early failures are rare, but not excluded.
	mean := n.onset / frailty / 2
	c.left = s.exp(mean) + s.exp(mean)
	c.damage, c.shows = 0, 0
	course := n.course * math.Exp(n.spread*s.gauss())
	if s.chance(n.sudden) {
		course = s.between(3, 16)
	}
	c.rate = 1 / course
}

// wear runs the component for some hours at a pace; it reports the part of
// the time after which it failed, or false.
func (c *component) wear(hours, pace float64, s *stream) (float64, bool) {
	used := hours * pace
	if c.left > 0 {
		c.left -= used
		if c.left > 0 {
			return 0, false
		}
		used = -c.left
		c.left = 0
		c.shows = s.between(0.6, 1.25)
		if s.chance(0.08) {
			c.shows = s.between(0.02, 0.2)
		}
	}
	before := c.damage
	c.damage += used * c.rate
	if c.damage < 1 {
		return 0, false
	}
	return (1 - before) / (c.damage - before), true
}

// severity is what the sensors see of the defect, about 0 to 1.
func (c *component) severity(n *nature) float64 {
	if c.damage == 0 {
		return 0
	}
	return c.shows * math.Pow(min(c.damage, 1), n.convex)
}

// service is what a scheduled service does to the component: young defects
// may be found and cured, others are slowed.
func (c *component) service(n *nature, frailty float64, s *stream) {
	switch {
	case c.damage == 0:
		c.left += 0.04 * n.onset
	case c.damage < 0.5 && s.chance(n.curable):
		c.renew(n, frailty, s)
	case c.damage < 0.8:
		c.rate *= s.between(0.5, 0.85)
	}
}
