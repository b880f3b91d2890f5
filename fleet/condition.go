package fleet

import (
	"strings"

	"drumbeat/fleet/strict"
)

// running reads `sensor op constant` (W7).
func (l *loader) running(v strict.Value) {
	text := v.Text("")
	if text == "" {
		return
	}
	ops := []struct {
		text string
		op   Op
	}{ // longer ones first
		{">=", OpGreaterEqual},
		{"<=", OpLessEqual},
		{"==", OpEqual},
		{"!=", OpNotEqual},
		{">", OpGreater},
		{"<", OpLess},
		{"=", OpEqual},
	}
	for _, op := range ops {
		left, right, ok := strings.Cut(text, op.text)
		if !ok {
			continue
		}
		name := strings.TrimSpace(left)
		c := &Condition{Op: op.op, Sensor: l.fleet.SensorIndex(name), Text: text}
		if c.Sensor < 0 {
			var known []string
			for i := range l.fleet.Sensors {
				known = append(known, l.fleet.Sensors[i].Name)
			}
			v.Faultf("there is no sensor %q%s", name, strict.Suggest(name, known))
			return
		}
		constant, err := exact(strings.TrimSpace(right), l.fleet.Sensors[c.Sensor].Decimals)
		if err != nil {
			v.Faultf("the constant %v", err)
			return
		}
		c.Value = constant
		l.fleet.Running = c
		return
	}
	v.Faultf("must compare a sensor with a number, such as power_kw > 0.5 (got %q)", text)
}
