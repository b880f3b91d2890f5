package sim

import (
	"math"

	"drumbeat"
)

// sensor is one of the six that the simulator knows; the constants index
// what is kept per sensor.
type sensor uint8

const (
	temperature sensor = iota
	vibration
	pressure
	power
	runtimeHours
	errorCodes
	sensorCount
)

// sensorNames are the names that the fleet file must declare.
var sensorNames = [sensorCount]string{ //nolint:gochecknoglobals // a constant table
	"temperature_c", "vibration_hz", "pressure_bar", "power_kw", "runtime_hours", "error_code_count",
}

// mask says which of the sensors.
type mask uint8

const allSensors mask = 1<<sensorCount - 1

func (m mask) has(s sensor) bool { return m>>s&1 == 1 }

// sample is what the sensors said of one time. Values are scaled by the
// fleet's decimals.
type sample struct {
	event  drumbeat.Time
	values [sensorCount]int64
	has    mask // said at all
	null   mask // said as null
	nan    mask // said as the text NaN
}

// senses is the state of the sensors themselves, and of what disturbs them
// without being wear.
type senses struct {
	gain       [3]float64 // drift of temperature, vibration and pressure
	stuck      sensor
	stuckAt    int64
	stuckUntil drumbeat.Time

	unbalanced      float64 // a badly laid load shakes for a day or two
	unbalancedUntil drumbeat.Time
	program         float64 // which programs are in fashion: hotter or colder
	programUntil    drumbeat.Time
	clumsy          float64 // somebody new presses the wrong buttons
	clumsyUntil     drumbeat.Time

	jump      drumbeat.Time // the clock is that far ahead
	jumpUntil drumbeat.Time
	scales    [sensorCount]float64
}

func (x *senses) begin(s *stream, scales [sensorCount]float64) {
	x.scales = scales
	x.program = 0.6 * s.gauss()
	x.gain = [3]float64{1, 1, 1}
}

// calibrate undoes drift, as a service does.
func (x *senses) calibrate() { x.gain = [3]float64{1, 1, 1} }

// disturb lets what is not wear begin and end.
func (x *senses) disturb(s *stream, t drumbeat.Time) {
	for i := range x.gain {
		x.gain[i] *= 1 + 0.0004*s.gauss()
	}
	switch u := s.float(); {
	case u < 0.0010 && t >= x.unbalancedUntil:
		x.unbalanced = s.between(0.1, 0.4)
		x.unbalancedUntil = t + drumbeat.Time(s.between(8, 60))*hour
	case u < 0.0018 && t >= x.programUntil:
		x.program = 0.9 * s.gauss()
		x.programUntil = t + drumbeat.Time(s.between(2, 9))*day
	case u < 0.0024 && t >= x.clumsyUntil:
		x.clumsy = s.between(0.05, 0.3)
		x.clumsyUntil = t + drumbeat.Time(s.between(6, 40))*hour
	case u < 0.0027 && t >= x.stuckUntil:
		x.stuck, x.stuckAt = sensor(s.below(int(power)+1)), drumbeat.Missing //nolint:gosec // below 4
		x.stuckUntil = t + drumbeat.Time(s.between(3, 40))*hour
	}
}

// measure is what the sensors say at the end of a tick.
func (m *machine) measure(cfg *settings, h *happening) sample {
	seed := cfg.Seed
	s, x := &m.sense, &m.senses
	x.disturb(s, h.at)
	var seen [modeCount]float64
	for i := range seen {
		seen[i] = m.parts[i].severity(&natures[i])
	}
	d := dayOf(h.at)
	water := 1 + 0.04*weather(seed, m.site, d, 2)
	if weather(seed, m.site, d/3, 3) > 1.5 {
		water -= 0.10 // works on the mains
	}
	room := 20 + 3*weather(seed, m.site, d, 4)
	var v [sensorCount]float64
	if h.on {
		m.washing(h, &seen, water, room, &v)
	} else {
		v[temperature] = room + 8 + 2*s.gauss()
		v[pressure] = m.pressure * water * (0.96 + 0.01*s.gauss())
		v[power] = 0.02 + 0.01*s.float()
	}
	v[runtimeHours] = m.hours
	v[temperature] *= x.gain[0]
	v[vibration] *= x.gain[1]
	v[pressure] *= x.gain[2]
	if h.on {
		cfg.shifted(h.at, &v)
	}

	out := sample{event: (h.at + m.clock).Cut(), has: allSensors}
	for i := range v {
		out.values[i] = int64(math.Round(v[i] * x.scales[i]))
	}
	if h.at < x.stuckUntil && h.on {
		if x.stuckAt == drumbeat.Missing {
			x.stuckAt = out.values[x.stuck]
		}
		out.values[x.stuck] = x.stuckAt
	}
	m.glitch(&out)
	m.wrongClock(h.at, &out)
	return out
}

// washing is the physics of a running machine: the stage of the cycle, its
// load, its own ordinary level, and what each defect changes. A reading is the
// mean of the interval.
func (m *machine) washing(
	h *happening, seen *[modeCount]float64, water, room float64, v *[sensorCount]float64,
) {
	s, x := &m.sense, &m.senses
	program := min(max(62+4.5*x.program+6*s.gauss(), 32), 90)
	var now stage
	for i := range 3 {
		part := m.stage(m.phase-float64(i)/(3*m.cycle), program, room, seen)
		now.warm += part.warm / 3
		now.draws += part.draws / 3
		now.shakes += part.shakes / 3
		now.presses += part.presses / 3
	}
	now.warm -= seen[heater] * 0.36 * (now.warm - room)
	v[temperature] = max(now.warm+1.2*s.gauss()-seen[doorSeal]*math.Abs(s.gauss())*14, 5)

	draws := now.draws * m.scale * (0.7 + 0.35*h.load)
	v[power] = max(draws*(1+0.05*s.gauss()), 0.55)

	shake := m.vibration * now.shakes * (0.75 + 0.35*h.load)
	shake *= 1 + 1.2*seen[bearing] + 0.12*seen[motor]
	if h.at < x.unbalancedUntil {
		shake *= 1 + x.unbalanced
	}
	shake *= 1 + 0.06*s.gauss()
	if s.chance(0.003 + 0.20*seen[bearing]*seen[bearing]) {
		shake += s.between(40, 150) // a knock
	}
	v[vibration] = max(shake, 0.2)

	press := m.pressure * water * now.presses
	press *= 1 - 0.44*seen[pump] - 0.14*seen[doorSeal]
	press *= 1 + (0.025+0.20*seen[pump])*s.gauss()
	if seen[doorSeal] > 0 && s.chance(0.35*seen[doorSeal]) {
		press *= s.between(0.75, 0.95) // it leaks in bursts
	}
	v[pressure] = max(press, 0)

	mistakes := m.mistakes + 0.26*seen[doorSeal]*seen[doorSeal]
	mistakes += 0.03*seen[pump] + 0.02*seen[heater] + 0.02*seen[motor]
	if h.at < x.clumsyUntil {
		mistakes += x.clumsy
	}
	v[errorCodes] = float64(s.poisson(mistakes))
}

// stage is what a part of the washing cycle asks of the machine.
type stage struct{ warm, draws, shakes, presses float64 }

// stage returns that of a phase. A weak heater gives less and takes longer; a
// bad motor or bearing draws more.
func (m *machine) stage(phase, program, room float64, seen *[modeCount]float64) stage {
	if phase < 0 {
		phase++
	}
	turning := 1 + 1.1*seen[motor] + 0.15*seen[bearing]
	heatEnd := 0.12 + 0.27*(program-room)/42 + 0.22*seen[heater]
	switch {
	case phase < 0.12: // fill
		return stage{room + 6, 0.5 + 0.6*turning, 0.5, 1.12}
	case phase < heatEnd:
		done := (phase - 0.12) / (heatEnd - 0.12)
		heats := 9.5 * m.heating * (1 - 0.25*seen[heater])
		return stage{room + (program-room)*math.Sqrt(done), 1.5*turning + heats, 0.7, 1}
	case phase < 0.66: // wash
		return stage{program - 2, 3.1 * turning, 1, 1}
	case phase < 0.84: // rinse
		return stage{room + (program-room)*0.35, 2.2 * turning, 0.9, 1.06}
	default: // spin
		return stage{room + 10, 6.2 * turning, 2.4, 0.93}
	}
}

// glitch is what electronics do: impossible values, nothing, no number.
func (m *machine) glitch(out *sample) {
	u := m.sense.float()
	if u > 0.012 {
		return
	}
	s := &m.sense
	scale := func(x sensor, v float64) { out.values[x] = int64(math.Round(v * m.senses.scales[x])) }
	switch {
	case u < 0.0030:
		scale(temperature, s.between(101, 420))
	case u < 0.0040:
		scale(vibration, s.between(501, 2000))
	case u < 0.0045:
		scale(vibration, -1)
	case u < 0.0052:
		scale(pressure, s.between(-4, -0.1))
	case u < 0.0056:
		scale(pressure, s.between(17, 99))
	case u < 0.0060:
		scale(power, s.between(61, 900))
	case u < 0.0090:
		out.null |= 1 << s.below(int(sensorCount))
	case u < 0.0100:
		out.nan |= 1 << s.below(int(power)+1)
	default:
		out.has &^= 1 << s.below(int(sensorCount))
	}
}

// wrongClock sets the time of a machine whose clock has jumped ahead, until
// it finds the time server again.
func (m *machine) wrongClock(t drumbeat.Time, out *sample) {
	x := &m.senses
	if m.sense.chance(0.0004) && t >= x.jumpUntil {
		x.jump = drumbeat.Time(m.sense.between(10, 400) * float64(minute))
		if m.sense.chance(0.4) { // hardly, at the edge of what is believed
			x.jump = drumbeat.Time(m.sense.between(3, 8) * float64(minute))
		}
		x.jumpUntil = t + drumbeat.Time(m.sense.between(10, 300))*minute
	}
	if t < x.jumpUntil {
		out.event = (out.event + x.jump).Cut()
	}
}
