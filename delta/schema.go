package delta

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"drumbeat"
)

// MaxPrecision is the widest decimal that fits an int64.
const MaxPrecision = 18

// schemaJSON is a schema as metaData actions hold it.
type schemaJSON struct {
	Type   string      `json:"type"`
	Fields []fieldJSON `json:"fields"`
}

type fieldJSON struct {
	Name     string                     `json:"name"`
	Type     json.RawMessage            `json:"type"`
	Nullable bool                       `json:"nullable"`
	Metadata map[string]json.RawMessage `json:"metadata"`
}

// typeNames are the Delta names of the types; a decimal's has its digits.
var typeNames = [...]string{ //nolint:gochecknoglobals // a constant table
	Int32: "integer", Int64: "long", Float64: "double", Bool: "boolean",
	String: "string", Timestamp: "timestamp", Decimal: "decimal", Binary: "binary", Date: "date",
}

var decimalName = regexp.MustCompile(`^decimal\((\d{1,2}),\s*(\d{1,2})\)$`)

// String returns the type's Delta name.
func (f Field) String() string {
	if f.Type == Decimal {
		return fmt.Sprintf("decimal(%d,%d)", f.Precision, f.Scale)
	}
	if int(f.Type) < len(typeNames) {
		return typeNames[f.Type]
	}
	return "unknown"
}

// Index returns the index of the named field, -1 if there is none.
func (s Schema) Index(name string) int {
	for i := range s {
		if s[i].Name == name {
			return i
		}
	}
	return -1
}

// Names returns the names of the columns, in order.
func (s Schema) Names() []string {
	names := make([]string, len(s))
	for i := range s {
		names[i] = s[i].Name
	}
	return names
}

// check says what keeps a schema from being written so that every Delta
// reader understands it.
func (s Schema) check() error {
	if len(s.stored()) == 0 {
		return fmt.Errorf("check schema: want at least one column that files hold: %w", drumbeat.ErrInvalid)
	}
	seen := map[string]string{}
	for _, f := range s {
		lower := strings.ToLower(f.Name)
		switch other, twice := seen[lower]; {
		case f.Name == "" || strings.ContainsAny(f.Name, " ,;{}()\n\t=.`\"\\"):
			return fmt.Errorf("check schema: column %q: want a name without spaces, dots, quotes and , ; { } ( ) =: %w",
				f.Name, drumbeat.ErrInvalid)
		case twice:
			return fmt.Errorf("check schema: columns %q and %q: names must differ in more than case: %w",
				other, f.Name, drumbeat.ErrInvalid)
		case int(f.Type) >= len(typeNames):
			return fmt.Errorf("check schema: column %q: unknown type %d: %w", f.Name, f.Type, drumbeat.ErrInvalid)
		case f.Type == Decimal && (f.Precision < 1 || f.Precision > MaxPrecision || f.Scale < 0 || f.Scale > f.Precision):
			return fmt.Errorf("check schema: column %q: want at most %d digits, got %s: %w",
				f.Name, MaxPrecision, f, drumbeat.ErrInvalid)
		case f.Partition && (f.Type == Binary || f.Type == Float64):
			return fmt.Errorf("check schema: column %q: tables are not partitioned by a %s: %w", f.Name, f, drumbeat.ErrInvalid)
		}
		seen[lower] = f.Name
	}
	return nil
}

// encode writes the schema as a metaData action holds it.
func (s Schema) encode() (string, error) {
	out := schemaJSON{Type: "struct", Fields: make([]fieldJSON, len(s))}
	for i, f := range s {
		out.Fields[i] = fieldJSON{
			Name: f.Name, Type: json.RawMessage(strconv.Quote(f.String())), Nullable: f.Nullable,
			Metadata: map[string]json.RawMessage{},
		}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// decodeSchema reads a metaData action's schema. The second result says why
// rows must not be added by us, if so.
func decodeSchema(text string) (Schema, string, error) {
	var in schemaJSON
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, "", fmt.Errorf("read schema: %w: %w", err, drumbeat.ErrInvalid)
	}
	if in.Type != "struct" || len(in.Fields) == 0 {
		return nil, "", fmt.Errorf("read schema: want a struct with fields, got %q with %d: %w",
			in.Type, len(in.Fields), drumbeat.ErrInvalid)
	}
	schema := make(Schema, len(in.Fields))
	reason := ""
	for i, f := range in.Fields {
		schema[i] = Field{Name: f.Name, Nullable: f.Nullable}
		narrow, err := schema[i].parseType(f.Type)
		if err != nil {
			return nil, "", err
		}
		if narrow != "" {
			reason = fmt.Sprintf("column %s is a %s, which is read but not written here", f.Name, narrow)
		}
		for key := range f.Metadata {
			if key == "delta.invariants" || key == "delta.generationExpression" || strings.HasPrefix(key, "delta.identity") {
				reason = fmt.Sprintf("column %s has a rule of its own (%s)", f.Name, key)
			}
		}
	}
	return schema, reason, schema.check()
}

// narrowTypes are those of other programs that are read as wider ones.
var narrowTypes = map[string]Type{"float": Float64, "short": Int32, "byte": Int32} //nolint:gochecknoglobals // a constant table

// parseType reads a column's type; of one that is read as a wider one it
// returns the name.
func (f *Field) parseType(text json.RawMessage) (narrow string, err error) {
	var name string
	if err := json.Unmarshal(text, &name); err != nil {
		return "", fmt.Errorf("read schema: column %s is nested (%.60s), and only flat columns are read: %w",
			f.Name, text, drumbeat.ErrInvalid)
	}
	if digits := decimalName.FindStringSubmatch(name); digits != nil {
		f.Type = Decimal
		f.Precision, _ = strconv.Atoi(digits[1]) // at most two digits each
		f.Scale, _ = strconv.Atoi(digits[2])
		return "", nil
	}
	if wide, known := narrowTypes[name]; known {
		f.Type = wide
		return name, nil
	}
	for t, known := range typeNames {
		if name == known && Type(t) != Decimal {
			f.Type = Type(t)
			return "", nil
		}
	}
	return "", fmt.Errorf("read schema: column %s is a %.60s, which is not read here: %w", f.Name, name, drumbeat.ErrInvalid)
}

// stored returns the columns that data files hold.
func (s Schema) stored() Schema {
	return slices.DeleteFunc(slices.Clone(s), func(f Field) bool { return f.Partition })
}

// partitions returns the names of the columns that the table is partitioned
// by, in the schema's order.
func (s Schema) partitions() []string {
	return slices.DeleteFunc(slices.Clone(s), func(f Field) bool { return !f.Partition }).Names()
}

// sameColumn says whether two fields describe the same data on disk.
func sameColumn(a, b Field) bool {
	return a.Name == b.Name && a.Type == b.Type && a.Nullable == b.Nullable && a.Partition == b.Partition &&
		a.Precision == b.Precision && a.Scale == b.Scale
}

// extends says whether next is s with nullable columns added at its end.
func (s Schema) extends(next Schema) bool {
	if len(next) <= len(s) {
		return false
	}
	for i := range s {
		if !sameColumn(s[i], next[i]) {
			return false
		}
	}
	for _, f := range next[len(s):] {
		if !f.Nullable || f.Partition {
			return false
		}
	}
	return true
}

// difference says in words how want differs from s, "" if it does not.
func (s Schema) difference(want Schema) string {
	var words []string
	for _, f := range want {
		if i := s.Index(f.Name); i < 0 {
			words = append(words, fmt.Sprintf("column %s is missing", f.Name))
		} else if !sameColumn(s[i], f) {
			words = append(words, fmt.Sprintf("column %s is %s, want %s", f.Name, s[i].describe(), f.describe()))
		}
	}
	for _, f := range s {
		if want.Index(f.Name) < 0 {
			words = append(words, fmt.Sprintf("column %s is not wanted", f.Name))
		}
	}
	if len(words) == 0 {
		for i := range s {
			if s[i].Name != want[i].Name {
				return "the columns are in another order"
			}
		}
	}
	return strings.Join(words, "; ")
}

func (f Field) describe() string {
	text := f.String() + " not null"
	if f.Nullable {
		text = f.String() + " null"
	}
	if f.Partition {
		text += ", the table partitioned by it"
	}
	return text
}
