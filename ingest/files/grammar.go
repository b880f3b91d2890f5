package files

import (
	"encoding/json"
	"strconv"
	"strings"

	"drumbeat/fleet"
)

// grammar is how a source's rows become records.
type grammar struct {
	typ     string
	log     bool // log entries come after readings of the same arrival time
	declare fleet.Source
	timeKey string // the payload's key of the event time, "" without one
	members []member
}

// member is one key of the payload and the column that holds its value.
type member struct {
	key    string // as JSON, with the comma before and the colon behind
	column string
	kind   kind
	index  int // of the column in the file
}

// kind is what a member's value must be.
type kind uint8

const (
	number kind = iota
	text
	whole
	truth
)

func (g *grammar) add(key, column string, k kind) {
	g.members = append(g.members, member{key: "," + string(appendText(nil, key)) + ":", column: column, kind: k})
}

// columnOf returns the file's column for one of our names.
func columnOf(s fleet.Source, name string) string {
	if column, ok := s.Columns[name]; ok {
		return column
	}
	return name
}

func readingGrammar(f *fleet.Fleet) grammar {
	g := grammar{typ: fleet.TypeReading, declare: f.Import.Telemetry, timeKey: "timestamp"}
	for i := range f.Sensors {
		g.add(f.Sensors[i].Field, columnOf(g.declare, f.Sensors[i].Name), number)
	}
	return g
}

func machineGrammar(f *fleet.Fleet) grammar {
	g := grammar{typ: fleet.TypeMachine, declare: *f.Import.Machines}
	for i := range f.Static {
		k := text
		if f.Static[i].Type == fleet.Number {
			k = number
		}
		g.add(f.Static[i].Name, columnOf(g.declare, f.Static[i].Name), k)
	}
	return g
}

func logGrammar(f *fleet.Fleet, log *fleet.Log) grammar {
	g := grammar{typ: log.Name, log: true, declare: f.Import.Logs[log.Name], timeKey: log.Time}
	id := log.ID
	if id == "" {
		id = "id"
	}
	for _, m := range []struct {
		name, key string
		kind      kind
	}{
		{"type", log.Type, text},
		{"detail", log.Detail, text},
		{"id", id, text},
		{"revision", "revision", whole},
		{"withdrawn", "withdrawn", truth},
	} {
		if column, ok := g.declare.Columns[m.name]; ok && m.key != "" {
			g.add(m.key, column, m.kind)
		}
	}
	return g
}

// isMissing says whether a cell holds no value: what spreadsheets, R, pandas
// and databases write for it (V3).
func isMissing(cell string) bool {
	switch len(cell) {
	case 0:
		return true
	case 2, 3, 4, 8, 9: // the lengths of what follows
		switch strings.ToLower(strings.TrimLeft(cell, "+-")) {
		case "na", "n/a", "nan", "null", "none", "inf", "infinity":
			return true
		}
	}
	return false
}

// appendValue appends the cell as a JSON value, or says what it should be.
func appendValue(dst []byte, k kind, cell string) (out []byte, fault string) {
	switch k {
	case text:
		if cell == "" {
			return append(dst, "null"...), ""
		}
		return appendText(dst, cell), ""
	case number:
		if isMissing(cell) {
			return append(dst, "null"...), ""
		}
		canonical := fleet.CanonicalNumber(cell)
		if _, ok := fleet.Scale(canonical, 0); !ok {
			return dst, "must be a number or empty"
		}
		return append(dst, canonical...), ""
	case whole:
		if isMissing(cell) {
			return append(dst, '0'), ""
		}
		n, err := strconv.ParseInt(cell, 10, 64)
		if err != nil || n < 0 {
			return dst, "must be a whole number from 0 or empty"
		}
		return strconv.AppendInt(dst, n, 10), ""
	case truth:
		switch strings.ToLower(cell) {
		case "true", "t", "yes", "y", "1":
			return append(dst, "true"...), ""
		case "false", "f", "no", "n", "0", "":
			return append(dst, "false"...), ""
		}
		return dst, "must be true, false or empty"
	}
	return dst, "is of no known kind"
}

// appendText appends a JSON text.
func appendText(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if err != nil { // it has none for texts
				quoted = []byte(`""`)
			}
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, s...)
	return append(dst, '"')
}
