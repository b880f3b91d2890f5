package propose

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"slices"

	"drumbeat"
	"drumbeat/fleet"
)

// Record is one record of a topic: its type header and its payload, a JSON
// object or an array of them.
type Record struct {
	Type    string // "reading" (also ""), "machine", or a log's name
	Payload []byte
}

// What payloads call the machine and the time of a reading; a fleet file can
// not rename them.
const (
	machineField = "machine_id"
	timeField    = "timestamp"
)

// FromRecords proposes a fleet from the records of a topic, which are ranged
// over several times: they must be the same each time. The proposal has no
// import, for the records are in the topic already.
func FromRecords(ctx context.Context, records iter.Seq2[Record, error], opts Options) (*Proposal, error) {
	columns := map[string]map[string]bool{}
	rows := map[string]int64{}
	wrong := 0
	for record, err := range records {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		typ := cmp.Or(record.Type, fleet.TypeReading)
		if columns[typ] == nil {
			if len(columns) >= maxTables {
				return nil, fmt.Errorf("propose a fleet: records of more than %d types: %w", maxTables, drumbeat.ErrLimit)
			}
			columns[typ] = map[string]bool{}
		}
		objects, ok := decode(record.Payload)
		if !ok {
			wrong++
			continue
		}
		for _, object := range objects {
			rows[typ]++
			for key := range object {
				if len(columns[typ]) < maxColumns {
					columns[typ][key] = true
				}
			}
		}
	}
	d := newDraft(opts)
	d.records = true
	if wrong > 0 {
		d.doubt("files", "%s are no JSON objects: they are dead letters", plural(wrong, "record"))
	}
	var tables []*table
	for _, typ := range slices.Sorted(maps.Keys(columns)) {
		if typ == fleet.TypeWatermark {
			continue
		}
		t := recordTable(typ, slices.Sorted(maps.Keys(columns[typ])), records)
		t.size = rows[typ]
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("propose a fleet: there are no records to read: %w", drumbeat.ErrNotFound)
	}
	return d.propose(ctx, tables)
}

// recordTable makes a table of the records of one type.
func recordTable(typ string, columns []string, records iter.Seq2[Record, error]) *table {
	t := &table{name: typ, columns: columns, comma: true, log: typ}
	switch typ {
	case fleet.TypeReading:
		t.role, t.log = roleTelemetry, ""
	case fleet.TypeMachine:
		t.role, t.log = roleMachines, ""
	default:
		t.role = roleLog
	}
	t.rows = func(ctx context.Context) iter.Seq2[[][]byte, error] {
		return func(yield func([][]byte, error) bool) {
			cells := make([][]byte, len(columns))
			for record, err := range records {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if cmp.Or(record.Type, fleet.TypeReading) != typ {
					continue
				}
				objects, _ := decode(record.Payload)
				for _, object := range objects {
					for i, column := range columns {
						cells[i] = cellOf(object[column])
					}
					if !yield(cells, nil) {
						return
					}
				}
			}
		}
	}
	return t
}

// decode reads an object or an array of objects; {"sensor":…,"value":…}
// becomes a member of the sensor's name.
func decode(payload []byte) (objects []map[string]json.RawMessage, ok bool) {
	payload = bytes.TrimSpace(payload)
	if len(payload) > 0 && payload[0] == '[' {
		if json.Unmarshal(payload, &objects) != nil {
			return nil, false
		}
	} else {
		var one map[string]json.RawMessage
		if json.Unmarshal(payload, &one) != nil {
			return nil, false
		}
		objects = append(objects, one)
	}
	for _, object := range objects {
		var name string
		if value, ok := object["value"]; ok && json.Unmarshal(object["sensor"], &name) == nil && name != "" {
			delete(object, "sensor")
			delete(object, "value")
			object[name] = value
		}
	}
	return objects, true
}

// cellOf returns a member's value as a file would write it.
func cellOf(raw json.RawMessage) []byte {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return nil
	case raw[0] == '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return nil
		}
		return []byte(text)
	}
	return raw
}
