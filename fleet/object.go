package fleet

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"drumbeat"
)

// member is one key of a JSON object with its value's text.
type member struct {
	key string
	raw json.RawMessage
}

// object is a JSON object read by encoding/json, duplicates and all.
type object []member

// checkJSON says why a payload is not one JSON value.
func checkJSON(payload []byte) *Undecodable {
	if !utf8.Valid(payload) {
		return undecodable("not UTF-8 text")
	}
	var raw json.RawMessage
	err := json.Unmarshal(payload, &raw)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &syntax):
		return undecodable("not JSON: %v at byte %d", syntax, syntax.Offset)
	}
	return undecodable("not JSON: %v", err)
}

// readObject reads valid JSON that should be an object.
func readObject(raw []byte) (object, *Undecodable) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // a number of any size is one
	token, err := decoder.Token()
	if err != nil || token != json.Delim('{') {
		return nil, undecodable("must be an object such as {\"machine_id\":…} (got %s)", clip(string(bytes.TrimSpace(raw))))
	}
	var o object
	for decoder.More() {
		key, err := decoder.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, undecodable("not JSON: a key must be text")
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, undecodable("%s: not JSON: %v", clip(name), err)
		}
		o = append(o, member{key: name, raw: value})
	}
	return o, nil
}

// find returns the value of a key; null and absent are nil. A key that stands
// there twice must say the same twice.
func (o object) find(key string) (json.RawMessage, *Undecodable) {
	var found json.RawMessage
	for i := range o {
		switch {
		case o[i].key != key:
		case found == nil:
			found = o[i].raw
		case !bytes.Equal(found, o[i].raw):
			return nil, undecodable("%s: stands there twice, as %s and as %s",
				key, clip(string(found)), clip(string(o[i].raw)))
		}
	}
	if string(found) == "null" {
		return nil, nil
	}
	return found, nil
}

// text reads a text of at most most bytes, or a number as its own text; ""
// if there is none.
func (o object) text(key string, most int) (string, *Undecodable) {
	raw, fault := o.find(key)
	if fault != nil || raw == nil {
		return "", fault
	}
	text := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return "", undecodable("%s: not JSON: %v", key, err)
		}
	} else if !isNumber(text) {
		return "", undecodable("%s: must be text (got %s)", key, clip(text))
	}
	switch {
	case len(text) > most:
		return "", undecodable("%s: a text of %d bytes: at most %d are read", key, len(text), most)
	case strings.IndexFunc(text, unicode.IsControl) >= 0 && most == maxID:
		return "", undecodable("%s: must not hold control characters (got %q)", key, clip(text))
	}
	return text, nil
}

// machineID reads the machine's id: text, or a whole number as its digits.
func (o object) machineID() (string, *Undecodable) {
	raw, fault := o.find("machine_id")
	if fault != nil {
		return "", fault
	}
	if raw == nil {
		return "", undecodable("machine_id: missing")
	}
	if raw[0] != '"' && !isWhole(raw) {
		return "", undecodable("machine_id: must be text or a whole number (got %s)", clip(string(raw)))
	}
	id, fault := o.text("machine_id", maxID)
	if fault == nil && id == "" {
		fault = undecodable("machine_id: must not be empty")
	}
	return id, fault
}

// time reads an event time.
func (o object) time(key string) (drumbeat.Time, *Undecodable) {
	raw, fault := o.find(key)
	if fault != nil {
		return 0, fault
	}
	if raw == nil {
		return 0, undecodable("%s: missing", key)
	}
	var t drumbeat.Time
	ok := false
	if raw[0] == '"' {
		var text string
		if err := json.Unmarshal(raw, &text); err == nil {
			t, ok = ParseTime(text)
		}
	} else if isWhole(raw) {
		x, _ := scale(raw, 3)
		t, ok = inRange(drumbeat.Time(x))
	}
	if !ok {
		return 0, undecodable("%s: must be a time such as 2026-01-31T06:00:00Z, 2026-01-31 06:00:00 "+
			"or milliseconds since 1970 (got %s)", key, clip(string(raw)))
	}
	return t, nil
}
