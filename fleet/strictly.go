package fleet

import (
	"bytes"
	"encoding/json"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// strictReadings decodes readings of any lawful shape, and says what is wrong
// with the others.
func (d *Decoder) strictReadings(payload []byte, dst []drumbeat.Item) ([]drumbeat.Item, error) {
	if fault := checkJSON(payload); fault != nil {
		return dst, fault
	}
	trimmed := bytes.TrimLeft(payload, " \t\r\n")
	if trimmed[0] != '[' {
		if fault := d.strictReading(payload); fault != nil {
			return dst, fault
		}
		return d.keep(dst, payload), nil
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(payload, &elements); err != nil {
		return dst, undecodable("not JSON: %v", err)
	}
	switch {
	case len(elements) == 0:
		return dst, undecodable("an array without readings")
	case len(elements) > MaxItems:
		return dst, undecodable("an array of %d readings: at most %d are read", len(elements), MaxItems)
	}
	out := dst
	for i, raw := range elements {
		if fault := d.strictReading(raw); fault != nil {
			return dst, undecodable("[%d]: %s", i, fault.Reason)
		}
		out = d.keep(out, raw)
	}
	return out, nil
}

// strictReading decodes one reading into d.reading.
func (d *Decoder) strictReading(raw []byte) *Undecodable {
	o, fault := readObject(raw)
	if fault != nil {
		return fault
	}
	r := d.begin()
	id, fault := o.machineID()
	if fault != nil {
		return fault
	}
	r.machine = d.machineID([]byte(id))
	if r.time, fault = o.time("timestamp"); fault != nil {
		return fault
	}
	for _, m := range o {
		if i, ok := d.fields[m.key]; ok {
			if fault := d.strictValue(r, i, m.key, m.raw); fault != nil {
				return fault
			}
		}
	}
	return d.strictSensor(o, r)
}

// strictSensor reads {"sensor":…,"value":…}.
func (d *Decoder) strictSensor(o object, r *reading) *Undecodable {
	name, fault := o.find("sensor")
	if fault != nil || name == nil {
		return fault
	}
	var field string
	if err := json.Unmarshal(name, &field); err != nil {
		return undecodable("sensor: must be text (got %s)", clip(string(name)))
	}
	i, ok := d.fields[field]
	if !ok {
		known := make([]string, len(d.fleet.Sensors))
		for i := range d.fleet.Sensors {
			known[i] = d.fleet.Sensors[i].Field
		}
		return undecodable("sensor: %q is not declared%s", clip(field), strict.Suggest(clip(field), known))
	}
	value, found := json.RawMessage(nil), false
	for _, m := range o {
		if m.key != "value" {
			continue
		}
		if found && !bytes.Equal(value, m.raw) {
			return undecodable("value: stands there twice, as %s and as %s", clip(string(value)), clip(string(m.raw)))
		}
		value, found = m.raw, true
	}
	if !found {
		return undecodable("value: missing beside sensor %q", clip(field))
	}
	return d.strictValue(r, i, "value", value)
}

// strictValue reads one sensor's value.
func (d *Decoder) strictValue(r *reading, sensor int, key string, raw json.RawMessage) *Undecodable {
	value, flag, ok := drumbeat.Missing, drumbeat.Flag(0), true
	switch {
	case string(raw) == "null":
	case raw[0] == '"':
		var text string
		ok = json.Unmarshal(raw, &text) == nil
		if ok {
			flag, ok = notNumber(text)
		}
	case isNumber(raw):
		value = d.units[sensor].scale(raw)
	default:
		ok = false
	}
	if !ok {
		return undecodable("%s: must be a number or null (got %s)", key, clip(string(raw)))
	}
	if !r.put(sensor, value, flag) {
		return undecodable("%s: two different values in one reading", d.fleet.Sensors[sensor].Field)
	}
	return nil
}
