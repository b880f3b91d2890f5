package sim

import (
	"math"
	"time"

	"drumbeat"
)

// build is what a machine is and never stops being: no two are alike, so what
// is usual for one means nothing for another.
type build struct {
	id       drumbeat.MachineID
	ghost    bool // sends readings, but nobody told us of it
	site     int
	night    bool
	frailty  float64 // how fast it wears beside its peers
	popular  float64 // how much of the load it gets
	year     int
	age      int // in months
	capacity int // in kg

	vibration, pressure, scale, heating, mistakes float64 // its ordinary level

	splitVibration bool // its vibration unit sends on its own
	newestFirst    bool // its gateway sends the newest first after an outage
	clock          drumbeat.Time
	offset         drumbeat.Time // its minute within the cadence
	serviceEvery   drumbeat.Time
}

// core is how a machine works and wears, apart from what its sensors and its
// network make of it. It holds no pointers: a copy lives on its own, which is
// how the simulator looks ahead.
type core struct {
	use, rot stream
	next     drumbeat.Time // of the next tick
	plan     plan
	pace     [modeCount]float64 // of wear, today
	parts    [modeCount]component
	phase    float64 // of the washing cycle
	cycle    float64 // its length in ticks
	hours    float64 // run since the counter began
	service  drumbeat.Time
	running  bool
	down     bool
	failed   mode
	back     drumbeat.Time // of the repair, while down
}

// happening is what one tick brought.
type happening struct {
	at       drumbeat.Time
	on       bool
	last     bool // switched off: one last reading
	load     float64
	failure  drumbeat.Time // NoTime if none
	mode     mode
	repair   drumbeat.Time
	repaired mode
	service  drumbeat.Time
}

// step runs the core through the interval that ends with its next tick.
func (c *core) step(seed uint64, b *build, cadence time.Duration) happening {
	t := c.next
	c.next = t.Add(cadence)
	h := happening{at: t, failure: drumbeat.NoTime, repair: drumbeat.NoTime, service: drumbeat.NoTime}
	if d := dayOf(t); d != c.plan.day {
		c.plan = draw(seed, b.site, b.night, d, &c.use)
		for i := range c.pace {
			c.pace[i] = math.Exp(0.45*c.rot.gauss() - 0.1)
		}
	}
	if c.down && c.back <= t {
		h.repair, h.repaired = c.back, c.failed
		c.mend(b)
	}
	if c.service <= t && !c.down {
		h.service = c.service
		c.service += b.serviceEvery
		for i := range c.parts {
			c.parts[i].service(&natures[i], b.frailty, &c.rot)
		}
	}
	on, shape := c.plan.on(int((t - drumbeat.Time(dayOf(t))*day) / minute))
	was := c.running
	c.running = on && !c.down
	if c.running {
		h.load = min(max(shape*b.popular*(1+0.06*c.use.gauss()), 0.15), 1.2)
		c.work(&h, cadence)
	}
	h.on = c.running
	h.last = was && !c.running
	return h
}

// work is one interval of running: the cycle goes on, parts wear, one may
// fail.
func (c *core) work(h *happening, cadence time.Duration) {
	hours := cadence.Hours()
	c.hours += hours
	c.phase += 1 / c.cycle
	if c.phase >= 1 {
		c.phase -= math.Floor(c.phase)
		c.cycle = c.use.between(0.8, 1.25) * (time.Hour.Hours() / hours)
	}
	first := 2.0
	for i := range c.parts {
		pace := c.pace[i] * (0.5 + 0.6*h.load)
		if part, failed := c.parts[i].wear(hours, pace, &c.rot); failed && part < first {
			first, c.failed = part, mode(i)
		}
	}
	if first > 1 {
		return
	}
	h.failure = h.at.Add(time.Duration((first - 1) * float64(cadence))).Cut()
	h.mode = c.failed
	c.running, c.down = false, true
	c.back = h.failure + drumbeat.Time(c.rot.between(1, 3)*float64(hour))
	c.back += drumbeat.Time(min(c.rot.exp(3), 8) * float64(hour))
	if night := c.back - drumbeat.Time(dayOf(c.back))*day; night < 6*hour {
		c.back += 6*hour - night + drumbeat.Time(c.rot.between(0, 1.5)*float64(hour))
	}
	c.back = c.back.Cut()
}

// mend ends a failure: the failed part is new, and what else looks bad may be
// changed with it.
func (c *core) mend(b *build) {
	for i := range c.parts {
		p := &c.parts[i]
		if mode(i) == c.failed || p.damage > 0.5 && c.rot.chance(0.35) {
			p.renew(&natures[i], b.frailty, &c.rot)
		}
	}
	if c.failed == motor && c.rot.chance(0.2) {
		c.hours = 0 // the counter sits on the drive's board
	}
	c.down = false
}

// worst returns the part furthest on its way to failure.
func (c *core) worst() (mode, float64) {
	at, damage := mode(0), -1.0
	for i := range c.parts {
		if c.parts[i].damage > damage {
			at, damage = mode(i), c.parts[i].damage
		}
	}
	return at, damage
}

// fix is what a technician does who was sent to look: every part whose
// defect can be found is made new, and a machine that is down runs again.
func (c *core) fix(b *build) (found bool, worst mode) {
	worst, damage := c.worst()
	if c.down {
		worst, damage = c.failed, 1
	}
	for i := range c.parts {
		if c.parts[i].damage >= foundFrom {
			c.parts[i].renew(&natures[i], b.frailty, &c.rot)
		}
	}
	c.down = false
	return damage >= foundFrom, worst
}

// foundFrom is how far a defect must have gone for a technician to find it.
const foundFrom = 0.05
