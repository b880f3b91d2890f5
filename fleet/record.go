package fleet

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strconv"

	"drumbeat"
	"drumbeat/fleet/strict"
)

// decodeOne decodes a record of one object that is no reading.
func (d *Decoder) decodeOne(
	payload []byte, dst []drumbeat.Item, fill func(*object, *drumbeat.Item) *Undecodable,
) ([]drumbeat.Item, error) {
	if fault := checkJSON(payload); fault != nil {
		return dst, fault
	}
	o, fault := readObject(payload)
	if fault != nil {
		return dst, fault
	}
	item := drumbeat.Item{Raw: payload}
	if fault := fill(&o, &item); fault != nil {
		return dst, fault
	}
	return append(dst, item), nil
}

// entry decodes a line of a log (T7).
func (d *Decoder) entry(log *Log, o *object, item *drumbeat.Item) *Undecodable {
	item.Kind = drumbeat.KindEntry
	id, fault := o.machineID()
	if fault != nil {
		return fault
	}
	item.Machine = d.machineID([]byte(id))
	if item.EventTime, fault = o.time(log.Time); fault != nil {
		return fault
	}
	e := &item.Entry
	e.Log = log.Name
	if e.Revision, fault = o.revision(); fault != nil {
		return fault
	}
	if e.Withdrawn, fault = o.withdrawn(); fault != nil {
		return fault
	}
	if log.Type != "" {
		if e.Type, fault = o.text(log.Type, maxID); fault != nil {
			return fault
		}
		if !e.Withdrawn && len(log.Types) > 0 && !slices.Contains(log.Types, e.Type) {
			return undecodable("%s: %q is not declared%s", log.Type, e.Type, strict.Suggest(e.Type, log.Types))
		}
	}
	if log.Detail != "" {
		if e.Detail, fault = o.text(log.Detail, MaxRecord); fault != nil {
			return fault
		}
	}
	key := log.ID
	if key == "" {
		key = "id"
	}
	if e.ID, fault = o.text(key, maxID); fault == nil && e.ID == "" {
		e.ID = EntryID(log.Name, item.Machine, item.EventTime, e.Type)
	}
	return fault
}

func (o object) revision() (int64, *Undecodable) {
	raw, fault := o.find("revision")
	if fault != nil || raw == nil {
		return 0, fault
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n < 0 {
		return 0, undecodable("revision: must be a whole number from 0 (got %s)", clip(string(raw)))
	}
	return n, nil
}

func (o object) withdrawn() (bool, *Undecodable) {
	raw, fault := o.find("withdrawn")
	if fault != nil || raw == nil {
		return false, fault
	}
	if string(raw) != "true" && string(raw) != "false" {
		return false, undecodable("withdrawn: must be true or false (got %s)", clip(string(raw)))
	}
	return string(raw) == "true", nil
}

// EntryID is the id of a log entry that brings none: a hash of log, machine,
// event time (in milliseconds) and type (T7).
func EntryID(log string, machine drumbeat.MachineID, at drumbeat.Time, typ string) string {
	const kept = 16 // bytes: 10^12 entries would still not meet
	h := sha256.New()
	var n [8]byte
	for _, part := range []string{log, string(machine), typ} {
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	binary.BigEndian.PutUint64(n[:], uint64(at.Milliseconds())) //nolint:gosec // bits, not a number
	h.Write(n[:])
	return hex.EncodeToString(h.Sum(nil)[:kept])
}

// machine decodes a machine's static attributes (V5).
func (d *Decoder) machine(o *object, item *drumbeat.Item) *Undecodable {
	item.Kind = drumbeat.KindMachine
	id, fault := o.machineID()
	if fault != nil {
		return fault
	}
	item.Machine = d.machineID([]byte(id))
	item.EventTime = drumbeat.NoTime
	item.Static = make([]string, len(d.fleet.Static))
	for i := range d.fleet.Static {
		a := &d.fleet.Static[i]
		text, fault := o.text(a.Name, maxID)
		if fault != nil {
			return fault
		}
		if a.Type == Number {
			if text, fault = number(a.Name, text); fault != nil {
				return fault
			}
		}
		item.Static[i] = text
	}
	return nil
}

// number brings equal numbers to equal texts; what is no finite one is null
// (V3).
func number(name, text string) (string, *Undecodable) {
	if _, missing := notNumber(text); missing {
		return "", nil
	}
	if !isNumber(text) {
		return "", undecodable("%s: must be a number or null (got %q)", name, clip(text))
	}
	x, _ := strconv.ParseFloat(text, 64) // its only error here: infinite
	if math.IsInf(x, 0) {
		return "", nil
	}
	return strconv.FormatFloat(x, 'f', -1, 64), nil
}

// watermark decodes how far a log is complete (L2).
func (d *Decoder) watermark(o *object, item *drumbeat.Item) *Undecodable {
	item.Kind = drumbeat.KindWatermark
	log, fault := o.text("log", maxID)
	if fault != nil {
		return fault
	}
	if d.fleet.LogNamed(log) == nil {
		var known []string
		for i := range d.fleet.Logs {
			known = append(known, d.fleet.Logs[i].Name)
		}
		return undecodable("log: %q is no log of this fleet%s", clip(log), strict.Suggest(clip(log), known))
	}
	if item.EventTime, fault = o.time("complete_to"); fault != nil {
		return fault
	}
	item.Watermark = drumbeat.Watermark{Log: log, CompleteTo: item.EventTime.Cut()}
	return nil
}
