package fleet

import (
	"fmt"
	"slices"
	"strings"

	"drumbeat/fleet/strict"
)

// maxScaled bounds every scaled value: silver holds DECIMAL(18) (V2), and what
// is beyond it is out of any sensor's range.
const maxScaled = 999_999_999_999_999_999

// reserved are the columns that stand beside the sensors in silver.
func reserved() []string {
	return []string{
		"machine", "event_time", "arrival_time", "epoch", "partition", "offset", "index", "position", "redrive_of",
	}
}

func (l *loader) sensors(v strict.Value) {
	elements := v.List(maxSensors)
	if v.Exists() && len(elements) == 0 {
		v.Faultf("must list at least one sensor")
	}
	fields := map[string]string{}
	for _, element := range elements {
		l.sensor(element.Map(), fields)
	}
}

func (l *loader) sensor(m *strict.Map, fields map[string]string) {
	name := m.Need("name")
	s := Sensor{Name: l.name(name), Unit: m.Get("unit").Text("")}
	s.Title = m.Get("title").Text(titleOf(s.Name, s.Unit))
	s.Field = m.Get("field").Text(s.Name)
	s.Kind = SensorKind(m.Get("kind").OneOf(0, "gauge", "counter"))                     //nolint:gosec // 0 or 1
	s.OutOfRange = OutOfRange(m.Get("out_of_range").OneOf(0, "clip", "null", "reject")) //nolint:gosec // 0 to 2
	s.Decimals = int(m.Need("decimals").Int(0, 0, 9))
	s.StuckAfter = int(m.Get("stuck_after").Int(0, 2, 1_000_000))
	s.Factor = conversion(m.Get("factor"), "1")
	s.Offset = conversion(m.Get("offset"), "0")
	if parseDecimal(s.Factor).digits == "" {
		m.Get("factor").Faultf("must not be 0")
	}
	least, most := m.Need("min"), m.Need("max")
	s.Min = bound(least, s.Decimals)
	s.Max = bound(most, s.Decimals)
	if least.Exists() && most.Exists() && s.Max <= s.Min {
		most.Faultf("must be above min (got %s)", most.Raw())
	}
	if jump := m.Get("max_jump"); jump.Exists() {
		if s.MaxJump = bound(jump, s.Decimals); s.MaxJump <= 0 {
			jump.Faultf("must be above 0 (got %s)", jump.Raw())
		}
	}
	if slices.Contains(reserved(), s.Name) || strings.HasSuffix(s.Name, "_flags") {
		name.Faultf("%q is a column of silver's own: name the sensor otherwise and say field: %s", s.Name, s.Name)
	}
	at := m.Get("field")
	if !at.Exists() {
		at = name
	}
	if slices.Contains([]string{"machine_id", "timestamp", "sensor", "value"}, s.Field) {
		at.Faultf("%q means something else in payloads", s.Field)
	}
	if other, taken := fields[s.Field]; taken && s.Field != "" && other != s.Name {
		at.Faultf("the field %q is already that of %s", s.Field, other)
	}
	fields[s.Field] = s.Name
	m.Close()
	l.fleet.Sensors = append(l.fleet.Sensors, s)
}

// bound reads a constant on a sensor's scale, exactly.
func bound(v strict.Value, decimals int) int64 {
	text := v.Decimal("")
	if text == "" {
		return 0
	}
	x, err := exact(text, decimals)
	if err != nil {
		v.Faultf("%v", err)
	}
	return x
}

// exact scales a decimal text that must not need rounding.
func exact(text string, decimals int) (int64, error) {
	text = CanonicalNumber(text)
	if !isNumber(text) {
		return 0, fmt.Errorf("must be a decimal number (got %q)", text)
	}
	x, whole := scale(text, decimals)
	switch {
	case x == tooLarge || x == tooSmall:
		return 0, fmt.Errorf("must have at most 18 digits with the sensor's %d decimals (got %s)", decimals, text)
	case !whole:
		return 0, fmt.Errorf("must have at most %d decimals, as the sensor has (got %s)", decimals, text)
	}
	return x, nil
}

// conversion reads a unit's constant, brought to JSON's grammar.
func conversion(v strict.Value, def string) string {
	text := CanonicalNumber(v.Decimal(def))
	if !isNumber(text) {
		return def
	}
	d := parseDecimal(text)
	if d.point > maxUnitDigits || len(d.digits)-d.point > maxUnitDigits {
		v.Faultf("must have at most %d digits before and after the point (got %s)", maxUnitDigits, text)
		return def
	}
	return text
}
